//! Calls a factory without a host, for the tests of its author.
//!
//! ```
//! use stepmill_sdk::{prelude::*, testing::Call};
//!
//! fn build(ctx: &RequestContext) -> Result<Workflow, FactoryError> {
//!     if !ctx.trusted.scopes.contains("workflows:run") {
//!         return Err(FactoryError::permission("Missing 'workflows:run' scope"));
//!     }
//!     Ok(Workflow::new("Guarded"))
//! }
//!
//! let factory = WorkflowFactory::new("guarded", build);
//! assert!(Call::new().scope("workflows:run").build(&factory).is_ok());
//! assert!(Call::new().build(&factory).is_err());
//! ```
//!
//! Every capability the factory asks for is granted, no other. The input is not checked
//! against its schema, which is the host's work.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::database::{Changed, Rows};
use crate::http::Response;
use crate::wit::stepmill::plugin::types as wire;
use crate::{FactoryError, Input, StepError, StepInput, StepOutput, Workflow, WorkflowFactory};

/// A made-up call: who asks, and what the host has to offer. It is a `POST` of nobody, of the
/// tenant `default`, without input.
#[derive(Debug, Clone)]
pub struct Call {
    context: wire::RequestContext,
    host: Host,
}

impl Default for Call {
    fn default() -> Self {
        Self::new()
    }
}

impl Call {
    /// A call that says as little as possible.
    pub fn new() -> Self {
        let (method, path) = ("POST".into(), "/workflows/under-test/runs".into());
        let context = wire::RequestContext {
            user_id: None,
            session_id: None,
            input: None,
            request: wire::Request { method, path, headers: Vec::new() },
            trusted: wire::TrustedContext {
                tenant: "default".into(),
                claims: Vec::new(),
                scopes: Vec::new(),
            },
        };
        Self { context, host: Host::default() }
    }

    /// Who asks.
    pub fn user(mut self, id: &str) -> Self {
        self.context.user_id = Some(id.to_owned());
        self
    }

    /// The session the client names.
    pub fn session(mut self, id: &str) -> Self {
        self.context.session_id = Some(id.to_owned());
        self
    }

    /// What the client sends as `factory_input`; should be an object.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.context.input = Some(input.into().to_string());
        self
    }

    /// The tenant of the caller.
    pub fn tenant(mut self, id: &str) -> Self {
        self.context.trusted.tenant = id.to_owned();
        self
    }

    /// Adds a claim to the token.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into().to_string();
        self.context.trusted.claims.push(wire::Claim { name: name.to_owned(), value });
        self
    }

    /// Adds a scope to the token.
    pub fn scope(mut self, scope: &str) -> Self {
        self.context.trusted.scopes.push(scope.to_owned());
        self
    }

    /// Adds a request header. The name is in lower case.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let header = wire::Header { name: name.to_owned(), value: value.to_owned() };
        self.context.request.headers.push(header);
        self
    }

    /// What the operator configured.
    pub fn config(mut self, key: &str, value: impl Into<String>) -> Self {
        self.host.config.insert(key.to_owned(), value.into());
        self
    }

    /// What the plugin kept earlier.
    pub fn kv(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.host.kv.insert(key.to_owned(), value.into());
        self
    }

    /// A secret that somebody keeps for the plugin. As on a host, the plugin sees a placeholder
    /// and never a value, so none is given here.
    pub fn secret(mut self, name: &str) -> Self {
        self.host.secrets.insert(name.to_owned());
        self
    }

    /// What the other side answers to a request for exactly this URL. What has no answer
    /// cannot be reached.
    pub fn answer(mut self, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
        let response = Response { status, headers: Vec::new(), body: body.into() };
        self.host.answers.insert(url.to_owned(), response);
        self
    }

    /// What a database answers to exactly this statement, whatever its parameters. What has no
    /// answer is refused.
    pub fn rows(
        mut self,
        database: &str,
        statement: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = Vec<wire::Value>>,
    ) -> Self {
        let columns = columns.iter().map(|it| (*it).to_owned()).collect();
        let rows: Vec<_> = rows.into_iter().collect();
        let count = rows.len() as u64;
        let answer = Changed { count, returned: Rows { columns, rows } };
        self.host.databases.insert((database.to_owned(), statement.to_owned()), answer);
        self
    }

    /// Builds a workflow as the host would.
    ///
    /// # Errors
    /// What the factory answered instead.
    pub fn build<I: Input, C: DeserializeOwned>(
        &self,
        factory: &WorkflowFactory<I, C>,
    ) -> Result<Workflow, FactoryError> {
        self.with_host(factory, |context| factory.draw(context))
    }

    /// Runs a function step as the host would.
    ///
    /// # Errors
    /// What the function answered instead.
    pub fn run<I: Input, C: DeserializeOwned>(
        &self,
        factory: &WorkflowFactory<I, C>,
        input: StepInput,
    ) -> Result<StepOutput, StepError> {
        self.with_host(factory, |context| factory.work(context, input))
    }

    fn with_host<I: Input, C: DeserializeOwned, T>(
        &self,
        factory: &WorkflowFactory<I, C>,
        call: impl FnOnce(wire::RequestContext) -> T,
    ) -> T {
        let granted = factory.describe().capabilities;
        HOST.set(Some(Host { granted, ..self.host.clone() }));
        let answer = call(self.context.clone());
        HOST.set(None);
        answer
    }
}

/// What is behind the border in a test.
#[derive(Debug, Clone, Default)]
struct Host {
    granted: Vec<wire::Capability>,
    config: BTreeMap<String, String>,
    kv: BTreeMap<String, Vec<u8>>,
    answers: BTreeMap<String, Response>,
    databases: BTreeMap<(String, String), Changed>,
    secrets: BTreeSet<String>,
}

thread_local! {
    /// The host of the call in progress. A plugin reaches its host by plain functions, so in a
    /// test the way back to the [`Call`] is the thread.
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The contract's imports, answered by the [`Call`] in progress.
pub(crate) mod border {
    use super::{HOST, Host, wire};

    fn ask<T>(question: impl FnOnce(&mut Host) -> T) -> T {
        HOST.with_borrow_mut(|host| {
            question(
                host.as_mut().expect("there is no host here: use `stepmill_sdk::testing::Call`"),
            )
        })
    }

    pub(crate) mod log {
        use crate::wit::stepmill::plugin::log::Level;

        pub(crate) fn write(level: Level, message: &str) {
            eprintln!("{level:?}: {message}");
        }
    }

    pub(crate) mod progress {
        use crate::wit::stepmill::plugin::progress::ProgressError;

        pub(crate) fn tell(content: Option<&str>, data: Option<&str>) -> Result<(), ProgressError> {
            let told = [content, data].into_iter().flatten();
            eprintln!("told: {}", told.collect::<Vec<_>>().join(" "));
            Ok(())
        }
    }

    pub(crate) mod config {
        use super::{ask, wire::Capability};
        use crate::wit::stepmill::plugin::config::ConfigError;

        pub(crate) fn get(key: &str) -> Result<Option<String>, ConfigError> {
            ask(|host| match host.granted.contains(&Capability::Config) {
                true => Ok(host.config.get(key).cloned()),
                false => Err(ConfigError::NotGranted),
            })
        }
    }

    pub(crate) mod kv {
        use super::{Host, ask, wire::Capability};
        use crate::wit::stepmill::plugin::kv::KvError;

        fn granted<T>(use_it: impl FnOnce(&mut Host) -> T) -> Result<T, KvError> {
            ask(|host| match host.granted.contains(&Capability::Kv) {
                true => Ok(use_it(host)),
                false => Err(KvError::NotGranted),
            })
        }

        pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
            granted(|host| host.kv.get(key).cloned())
        }

        pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), KvError> {
            granted(|host| drop(host.kv.insert(key.to_owned(), value.to_owned())))
        }

        pub(crate) fn delete(key: &str) -> Result<(), KvError> {
            granted(|host| drop(host.kv.remove(key)))
        }
    }

    pub(crate) mod database {
        use super::{Host, ask, wire};
        use crate::database::Changed;
        use crate::wit::stepmill::plugin::database::{DatabaseError, Outcome, Rows};

        pub(crate) fn query(
            database: &str,
            statement: &str,
            _parameters: &[wire::Value],
        ) -> Result<Rows, DatabaseError> {
            let writes = format!("{database}:write");
            let answer = asked(database, statement, &[database, &writes])?;
            Ok(answer.returned.into())
        }

        pub(crate) fn execute(
            database: &str,
            statement: &str,
            _parameters: &[wire::Value],
        ) -> Result<Outcome, DatabaseError> {
            let answer = asked(database, statement, &[&format!("{database}:write")])?;
            Ok(Outcome { changed: answer.count, returned: answer.returned.into() })
        }

        fn asked(
            database: &str,
            statement: &str,
            rules: &[&str],
        ) -> Result<Changed, DatabaseError> {
            ask(|host: &mut Host| {
                let covers = |it: &wire::Capability| match it {
                    wire::Capability::Database(rule) => rules.contains(&rule.as_str()),
                    _ => false,
                };
                if !host.granted.iter().any(covers) {
                    return Err(DatabaseError::NotGranted);
                }
                let asked = (database.to_owned(), statement.to_owned());
                let answer = host.databases.get(&asked).cloned();
                let text = "the test has no answer to this statement";
                answer.ok_or_else(|| DatabaseError::Invalid(text.to_owned()))
            })
        }
    }

    pub(crate) mod http {
        use super::{Host, ask, wire::Capability};
        use crate::wit::stepmill::plugin::http::{HttpError, HttpRequest, HttpResponse};

        pub(crate) fn fetch(request: &HttpRequest) -> Result<HttpResponse, HttpError> {
            ask(|host| {
                if !covered(host, &request.url) {
                    return Err(HttpError::NotGranted);
                }
                let answer = host.answers.get(&request.url).cloned().ok_or(HttpError::Failed)?;
                Ok(HttpResponse { status: answer.status, headers: Vec::new(), body: answer.body })
            })
        }

        fn covered(host: &Host, url: &str) -> bool {
            let authority = url.split_once("://").map_or("", |(_, rest)| rest);
            let name = authority.split(['/', '?', '#', ':']).next().unwrap_or_default();
            host.granted.iter().any(|it| match it {
                Capability::Http(pattern) => match pattern.strip_prefix('*') {
                    Some(suffix) => name.ends_with(suffix),
                    None => name == pattern,
                },
                _ => false,
            })
        }
    }

    pub(crate) mod secrets {
        use super::{ask, wire::Capability};
        use crate::wit::stepmill::plugin::secrets::SecretError;

        pub(crate) fn get(name: &str) -> Result<String, SecretError> {
            ask(|host| {
                if !host.granted.contains(&Capability::Secret(name.to_owned())) {
                    return Err(SecretError::NotGranted);
                }
                if !host.secrets.contains(name) {
                    return Err(SecretError::Unknown);
                }
                Ok(format!("stepmill-secret-{name}"))
            })
        }
    }
}
