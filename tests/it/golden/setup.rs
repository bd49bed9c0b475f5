//! A server of `just golden`, with a model that answers as the recorded one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use stepmill_fake_provider::FakeProvider;

use crate::house::{is_postgres, postgres_database, repository, stepmill, target};

/// Compiling plugins is what takes time: one at a time, so that the others find them compiled.
static STARTING: Mutex<()> = Mutex::new(());

/// A running set-up.
pub(super) struct Setup {
    script: Child,
    pub(super) url: String,
    pub(super) client: reqwest::Client,
    _provider: FakeProvider,
}

impl Setup {
    /// Starts it and waits until all its workflows are there.
    pub(super) async fn start(name: &str) -> Self {
        let plugin = target().join("golden/plugin.wasm");
        assert!(plugin.exists(), "{} is not there: `tests/run` builds it", plugin.display());
        let provider = FakeProvider::open().await.unwrap();
        let mut command = Command::new(repository().join("tests/golden/serve"));
        command
            .args([name, "127.0.0.1:0"])
            .env("STEPMILL_BIN", stepmill())
            .env("CARGO_TARGET_DIR", target())
            .env("OPENAI_BASE_URL", format!("{}/v1", provider.url("ok")))
            .env("STEPMILL_LOG", "warn")
            .env_remove("STEPMILL_DATABASE_URL")
            .stdout(Stdio::piped());
        if name == "pg" || is_postgres() {
            command.env("STEPMILL_DATABASE_URL", postgres_database().await);
        }
        let (script, url) = tokio::task::spawn_blocking(move || started(command)).await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { script, url, client, _provider: provider }
    }
}

fn started(mut command: Command) -> (Child, String) {
    let _turn = STARTING.lock();
    let mut script = command.spawn().unwrap();
    let lines = BufReader::new(script.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find(|it| it.starts_with("ready: "));
    let ready = ready.expect("tests/golden/serve says when it is ready");
    (script, ready.rsplit(' ').next().unwrap().to_owned())
}

/// The script stops its server, and removes what it made.
impl Drop for Setup {
    fn drop(&mut self) {
        let id = self.script.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.script.wait();
    }
}
