//! What a guest may call: one file for each capability.

mod config;
pub(crate) mod database;
pub(crate) mod http;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod outgoing;
pub(crate) mod progress;
pub(crate) mod secrets;
pub(crate) mod wasi;
mod wasi_http;

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::call::CallState;
use crate::wit::newest::stepmill::plugin as wit;

/// Everything that is offered to plugins, granted or not: what was not granted says so.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasi_http::add_to_linker(&mut linker)?;
    wit::types::add_to_linker::<_, Types>(&mut linker, |_| Types)?;
    wit::log::add_to_linker::<_, log::Log>(&mut linker, log::LogView::of)?;
    wit::progress::add_to_linker::<_, progress::Progress>(&mut linker, progress::ProgressView::of)?;
    wit::config::add_to_linker::<_, config::Config>(&mut linker, config::ConfigView::of)?;
    wit::kv::add_to_linker::<_, kv::KeyValue>(&mut linker, kv::KeyValueView::of)?;
    wit::http::add_to_linker::<_, http::Http>(&mut linker, http::HttpView::of)?;
    wit::database::add_to_linker::<_, database::Database>(&mut linker, database::DatabaseView::of)?;
    wit::secrets::add_to_linker::<_, secrets::Secret>(&mut linker, secrets::SecretView::of)?;
    Ok(linker)
}

/// The shared words have no functions.
struct Types;

impl wit::types::Host for Types {}

impl wasmtime::component::HasData for Types {
    type Data<'a> = Types;
}

/// A view of a call that is asked by a guest, without any guest: for the capabilities' own tests.
#[cfg(test)]
mod testing {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use stepmill_core::capability::{Capability, Grants};
    use stepmill_core::database::{Answer, DatabaseFailure, Statement};
    use stepmill_core::ids::SecretName;
    use stepmill_core::limits::Admit;

    use crate::call::{CallSite, CallState};
    use crate::services::{
        Databases, KeyValueFault, KeyValues, Lines, Network, OutboundFailure, OutboundRequest,
        OutboundResponse, Secrets, SecretsDown,
    };
    use crate::settings::CallLimits;

    /// Says `value` to every question and writes down what it was asked.
    #[derive(Default)]
    pub(super) struct Noting(pub(super) Mutex<Vec<String>>);

    impl Noting {
        fn note(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    #[async_trait]
    impl KeyValues for Noting {
        async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueFault> {
            self.note(format!("get {key}"));
            if key == "down" { Err(KeyValueFault::Down) } else { Ok(Some(b"value".to_vec())) }
        }

        async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueFault> {
            self.note(format!("set {key} {}", value.len()));
            if key == "full" { Err(KeyValueFault::Full) } else { Ok(()) }
        }

        async fn kv_delete(&self, key: &str) -> Result<(), KeyValueFault> {
            self.note(format!("delete {key}"));
            Ok(())
        }
    }

    impl Lines for Noting {
        /// One line, and no more.
        fn log_line(&self) -> Admit {
            let mut said = self.0.lock().unwrap();
            said.push("line".to_owned());
            match said.len() {
                1 => Admit::Last,
                _ => Admit::Later { wait_us: 1 },
            }
        }
    }

    #[async_trait]
    impl Network for Noting {
        async fn http_fetch(
            &self,
            request: OutboundRequest,
        ) -> Result<OutboundResponse, OutboundFailure> {
            self.note(format!("{} {} at {}", request.method, request.url, request.host));
            match request.url.rsplit('/').next() {
                Some("late") => Err(OutboundFailure::TimedOut),
                Some("private") => Err(OutboundFailure::NotAllowed),
                Some("large") => {
                    let body = vec![0; request.body_limit_bytes + 1];
                    Ok(OutboundResponse { status: 200, headers: vec![], body })
                }
                _ => Ok(OutboundResponse { status: 200, headers: vec![], body: b"ok".to_vec() }),
            }
        }
    }

    #[async_trait]
    impl Databases for Noting {
        async fn database_ask(&self, statement: Statement) -> Result<Answer, DatabaseFailure> {
            let Statement { database, access, text, parameters } = statement;
            self.note(format!("{access:?} {database}: {text}"));
            match text.as_str() {
                "nonsense" => Err(DatabaseFailure::Invalid("syntax".to_owned())),
                "late" => Err(DatabaseFailure::TimedOut),
                _ => {
                    Ok(Answer { columns: vec!["n".to_owned()], rows: vec![parameters], changed: 1 })
                }
            }
        }
    }

    #[async_trait]
    impl Secrets for Noting {
        async fn secret_find(&self, name: &SecretName) -> Result<bool, SecretsDown> {
            self.note(format!("secret {name}"));
            if name.as_str() == "down" { Err(SecretsDown) } else { Ok(name.as_str() != "none") }
        }
    }

    pub(super) fn state(grants: &[Capability], limits: CallLimits) -> (CallState, Arc<Noting>) {
        let services = Arc::new(Noting::default());
        let config = [("region".to_owned(), "eu".to_owned())];
        let grants = Grants::of(grants, grants);
        let config = Arc::new(config.into());
        let site = CallSite::granted("acme/test", grants, config, services.clone());
        (CallState::new(site, &limits), services)
    }
}
