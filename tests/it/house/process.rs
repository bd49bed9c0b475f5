//! A host in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::reply::{Events, Reply};
use super::token::{KEY, Token};

/// Nothing here takes as long; what does has gone wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host that has logged nothing for so long has logged all that it had to.
const LOG_REST: Duration = Duration::from_millis(50);

/// The built binary.
pub(crate) fn stepmill() -> PathBuf {
    if let Some(path) = std::env::var_os("STEPMILL_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("stepmill");
    assert!(binary.exists(), "{} is not there: `tests/run` builds it first", binary.display());
    binary
}

/// How to open a house.
pub(crate) struct Builder {
    command: &'static str,
    settings: String,
    workflows: Vec<(String, String)>,
    vars: Vec<(String, String)>,
    database: Option<String>,
    token: Option<String>,
    binary: PathBuf,
}

impl Builder {
    /// Adds to the settings file.
    pub(crate) fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Declares a workflow.
    pub(crate) fn workflow(mut self, id: &str, toml: &str) -> Self {
        self.workflows.push((id.to_owned(), toml.to_owned()));
        self
    }

    /// Sets a variable of the host's environment.
    pub(crate) fn var(mut self, name: &str, value: impl Into<String>) -> Self {
        self.vars.push((name.to_owned(), value.into()));
        self
    }

    /// Runs another file than the built binary.
    pub(crate) fn binary(mut self, path: PathBuf) -> Self {
        self.binary = path;
        self
    }

    /// Lets in only who has a token; the house's own calls carry an admin's of the tenant `acme`.
    pub(crate) fn guarded(mut self) -> Self {
        self.token = Some(Token::admin("acme").sign());
        self.settings("[auth.jwt]\nalgorithm = \"HS256\"\nkey_env = \"JWT_VERIFICATION_KEY\"")
            .var("JWT_VERIFICATION_KEY", KEY)
    }

    /// Sends every model to one address, in OpenAI's Responses protocol, without retries.
    pub(crate) fn models_at(self, base_url: &str) -> Self {
        self.settings(&format!(
            "[models]\ndefault_provider = \"there\"\n[models.providers.there]\n\
             wire = \"openai-responses\"\nbase_url = \"{base_url}/v1\"\nkey_env = \"TEST_KEY\"\n\
             limits = {{ retries = 0 }}"
        ))
        .var("TEST_KEY", "sk-test")
    }

    /// Every model is the demo model.
    pub(crate) fn demo_models(self) -> Self {
        self.settings(
            "[models]\ndefault_provider = \"demo\"\n[models.providers.demo]\nwire = \"demo\"",
        )
    }

    /// Allows what the hostile guest asks for, so that it may try.
    pub(crate) fn generous(self) -> Self {
        self.settings(
            "[policy]\nallow = [\"clock\", \"randomness\", \"config\", \"kv\", \"model:*\", \
             \"http:api.example.com\"]",
        )
    }

    /// Opens it on this database, if there is one.
    pub(crate) fn database(mut self, url: Option<String>) -> Self {
        self.database = url;
        self
    }

    /// Opens it on a file in its folder, or on a fresh PostgreSQL database where
    /// `STEPMILL_TEST_DATABASE` says so: every test holds on both.
    pub(crate) async fn open(mut self) -> House {
        if self.database.is_none() && super::needs::is_postgres() {
            self.database = Some(super::needs::postgres_database().await);
        }
        let folder = TempDir::new().unwrap();
        let mut house = House {
            builder: self,
            folder,
            child: None,
            address: String::new(),
            client: Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap(),
            said: String::new(),
        };
        house.start().await;
        house
    }
}

/// A running host, its data folder, and a client.
pub(crate) struct House {
    builder: Builder,
    folder: TempDir,
    child: Option<Child>,
    address: String,
    client: Client,
    /// What it printed before it was ready.
    pub(crate) said: String,
}

impl House {
    /// `stepmill serve`.
    pub(crate) fn serve() -> Builder {
        Builder {
            command: "serve",
            settings: String::new(),
            workflows: vec![],
            vars: vec![],
            database: None,
            token: None,
            binary: stepmill(),
        }
    }

    /// `stepmill demo`.
    pub(crate) fn demo() -> Builder {
        Builder { command: "demo", ..Self::serve() }
    }

    /// Starts the host again in the same folder, on another port.
    pub(crate) async fn start(&mut self) {
        let mut command = Command::new(&self.builder.binary);
        command
            .arg(self.builder.command)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.folder.path().join("data"))
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"))
            .env("STEPMILL_LOG", "info")
            .envs(self.builder.vars.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(self.log_file()))
            .kill_on_drop(true);
        let workflows = self.data().join("workflows");
        std::fs::create_dir_all(&workflows).unwrap();
        for (id, toml) in &self.builder.workflows {
            std::fs::write(workflows.join(format!("{id}.toml")), toml).unwrap();
        }
        if self.builder.command == "serve" {
            let settings = self.folder.path().join("settings.toml");
            std::fs::write(&settings, &self.builder.settings).unwrap();
            command.arg("--config").arg(settings);
        }
        if let Some(url) = &self.builder.database {
            command.args(["--database-url", url]);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = if self.builder.command == "demo" { "Ready." } else { "  models" };
        self.said.clear();
        loop {
            let line = timeout(PATIENCE, lines.next_line())
                .await
                .expect("the host starts in time")
                .unwrap();
            let Some(line) = line else { panic!("the host did not start:\n{}", self.log()) };
            if let Some((_, address)) = line.split_once(" listens on ") {
                self.address = address.to_owned();
            }
            self.said.push_str(&line);
            self.said.push('\n');
            if line.starts_with(last) {
                break;
            }
        }
        self.child = Some(child);
    }

    /// Has other settings when it starts the next time.
    pub(crate) fn change(&mut self, change: impl FnOnce(Builder) -> Builder) {
        self.builder = change(std::mem::replace(&mut self.builder, Self::serve()));
    }

    fn log_file(&self) -> std::fs::File {
        let path = self.folder.path().join("log");
        std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
    }

    /// Everything it has logged. A thread of its own writes that: it is waited for until it has had
    /// nothing to write for a moment.
    pub(crate) fn log(&self) -> String {
        let read = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut said = read();
        loop {
            std::thread::sleep(LOG_REST);
            let now = read();
            if now.len() == said.len() {
                return now;
            }
            said = now;
        }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database, where it is no file in the data folder.
    pub(crate) fn database_url(&self) -> Option<&str> {
        self.builder.database.as_deref()
    }

    /// Where it listens: `http://127.0.0.1:…`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The memory it has in use, in bytes: its own process, without children.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let id = self.child.as_ref().and_then(Child::id).expect("the host runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Says something else from the next start on.
    pub(crate) fn change_settings(&mut self, from: &str, to: &str) {
        assert!(self.builder.settings.contains(from), "{}", self.builder.settings);
        self.builder.settings = self.builder.settings.replace(from, to);
    }

    /// SIGTERM; the exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        timeout(PATIENCE, child.wait()).await.expect("the host stops in time").unwrap().code()
    }

    /// A request with the house's own token.
    pub(crate) fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.address));
        match &self.builder.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.ask(Method::GET, path)).await
    }

    /// A request with somebody's token.
    pub(crate) fn ask_as(
        &self,
        token: &Token,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address)).bearer_auth(token.sign())
    }

    pub(crate) async fn get_as(&self, token: &Token, path: &str) -> Reply {
        Reply::of(self.ask_as(token, Method::GET, path)).await
    }

    /// Sends JSON with the house's own token.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        Reply::of(self.ask(method, path).json(body)).await
    }

    /// Runs a workflow and waits for its end: a urlencoded form with `stream=false`.
    pub(crate) async fn run(&self, workflow: &str, fields: &[(&str, &str)]) -> Reply {
        Reply::of(self.run_request(workflow, fields)).await
    }

    pub(crate) async fn run_as(
        &self,
        token: &Token,
        workflow: &str,
        fields: &[(&str, &str)],
    ) -> Reply {
        let path = format!("{}/workflows/{workflow}/runs", self.address);
        let request = self.client.post(path).bearer_auth(token.sign()).form(&quiet(fields));
        Reply::of(request).await
    }

    /// The request [`House::run`] sends.
    pub(crate) fn run_request(
        &self,
        workflow: &str,
        fields: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        self.ask(Method::POST, &format!("/workflows/{workflow}/runs")).form(&quiet(fields))
    }

    /// Runs a workflow and listens.
    pub(crate) async fn stream(&self, workflow: &str, fields: &[(&str, &str)]) -> Events {
        let request = self.ask(Method::POST, &format!("/workflows/{workflow}/runs")).form(fields);
        Events::of(request.send().await.unwrap())
    }

    /// Uploads a plugin.
    pub(crate) async fn push(&self, id: &str, component: Vec<u8>) -> Reply {
        Reply::of(self.ask(Method::PUT, &format!("/plugins/{id}")).body(component)).await
    }

    /// Uploads a plugin with somebody's token.
    pub(crate) async fn push_as(&self, token: &Token, id: &str, component: Vec<u8>) -> Reply {
        let request = self.ask_as(token, Method::PUT, &format!("/plugins/{id}"));
        Reply::of(request.body(component)).await
    }

    /// Uploads an example of `plugins/`.
    pub(crate) async fn push_example(&self, id: &str) {
        let reply = self.push(id, super::example(id)).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}

/// A test that fails shows what the host said of it.
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the host's log:\n{}", self.log());
        }
    }
}

fn quiet<'a>(fields: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    fields.iter().copied().chain([("stream", "false")]).collect()
}

/// What a command of the binary printed and how it ended.
pub(crate) async fn command(args: &[&str], vars: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(stepmill());
    command.args(args).env_clear().envs(vars.iter().copied()).stdin(Stdio::null());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut text = String::new();
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let reading = async {
        out.read_to_string(&mut text).await.unwrap();
        err.read_to_string(&mut text).await.unwrap();
        child.wait().await.unwrap().code()
    };
    let code = timeout(PATIENCE, reading).await.expect("the command ends in time");
    (code, text)
}
