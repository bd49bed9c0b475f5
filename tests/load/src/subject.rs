//! A server under load: ours or Agno's, with the same two workflows and the same model.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::case::{StoredRun, stored};
use crate::client::Client;
use crate::hostile;
use crate::process::{Memory, Process, beside, output, repository, target};

/// What is compared with. With Agno's server and the client for the model.
const AGNO: [&str; 4] =
    ["agno[os]==3.1.10", "openai==3.57.0", "sqlalchemy==2.1.9", "uvicorn==0.54.0"];

/// The session of the run that is read back.
const SESSION: &str = "load";

pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) stored: StoredRun,
    /// After it was started, got its two workflows and ran one.
    pub(crate) idle: Memory,
    process: Process,
    _postgres: Option<Postgres>,
    _folder: TempDir,
}

impl Subject {
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.process.cpu()
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        self.process.memory()
    }
}

/// Our host, with its database in a temporary folder.
pub(crate) async fn stepmill(
    binary: Option<PathBuf>,
    on_postgres: bool,
    model: &str,
) -> anyhow::Result<Subject> {
    let binary = binary.map_or_else(|| beside("stepmill"), Ok)?;
    let folder = TempDir::new()?;
    let postgres = match on_postgres {
        true => Some(Postgres::start().await?),
        false => None,
    };
    let mut command = serve(&binary, folder.path(), &models(model))?;
    if let Some(postgres) = &postgres {
        command.args(["--database-url", &postgres.url]);
    }
    let (process, address) = listening(command).await?;
    for id in ["echo", "content-pipeline"] {
        push(&binary, address, id, example(id)?, None).await?;
    }
    let stored = store_a_run(address).await?;
    let idle = process.memory()?;
    let name = if on_postgres { "Stepmill, PostgreSQL" } else { "Stepmill, SQLite" };
    Ok(Subject { name, address, stored, idle, process, _postgres: postgres, _folder: folder })
}

/// Every model is the fake one.
fn models(url: &str) -> String {
    format!(
        "[models]\ndefault_provider = \"fake\"\n[models.providers.fake]\n\
         wire = \"openai-responses\"\nbase_url = \"{url}\"\nkey_env = \"LOAD_KEY\"\n"
    )
}

/// `stepmill serve` with these settings.
fn serve(binary: &Path, folder: &Path, settings: &str) -> anyhow::Result<Command> {
    let file = folder.join("stepmill.toml");
    std::fs::write(&file, settings)?;
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    command.arg("--data-dir").arg(folder.join("data")).env("LOAD_KEY", "sk-load");
    command.stderr(log(folder)?);
    Ok(command)
}

async fn listening(command: Command) -> anyhow::Result<(Process, SocketAddr)> {
    let (process, line) = Process::start(command, "listens on").await?;
    let (_, address) = line.split_once("http://").context("it says no address")?;
    Ok((process, address.trim().parse()?))
}

fn example(id: &str) -> anyhow::Result<PathBuf> {
    let file = format!("{}.wasm", id.replace('-', "_"));
    Ok(target()?.join("plugins-build/wasm32-wasip2/plugin").join(file))
}

async fn push(
    binary: &Path,
    address: SocketAddr,
    id: &str,
    component: PathBuf,
    token: Option<&str>,
) -> anyhow::Result<()> {
    let mut push = Command::new(binary);
    push.arg("push").arg(component).args(["--id", id, "--url", &format!("http://{address}")]);
    if let Some(token) = token {
        push.env("STEPMILL_TOKEN", token);
    }
    output(push).await.with_context(|| format!("cannot push {id}"))?;
    Ok(())
}

/// Our host with tokens and two tenants: a quiet one that has the two-step workflow, and a noisy
/// one that has the hostile guest.
pub(crate) struct Guarded {
    pub(crate) address: SocketAddr,
    pub(crate) quiet_token: String,
    pub(crate) noisy_token: String,
    process: Process,
    _folder: TempDir,
}

impl Guarded {
    /// How many compile workers are there.
    pub(crate) fn workers(&self) -> anyhow::Result<usize> {
        self.process.children()
    }
}

/// Signs the tokens of such a host.
const KEY: &str = "a-key-of-the-load-measurement-32-bytes-long";

pub(crate) async fn guarded(binary: Option<PathBuf>, model: &str) -> anyhow::Result<Guarded> {
    let binary = binary.map_or_else(|| beside("stepmill"), Ok)?;
    let folder = TempDir::new()?;
    let settings = format!("{}{GUARD}", models(model));
    let mut command = serve(&binary, folder.path(), &settings)?;
    command.env("LOAD_TOKEN_KEY", KEY);
    let (process, address) = listening(command).await?;
    let (quiet_token, noisy_token) = (token("quiet")?, token("noisy")?);
    let two_steps = "content-pipeline";
    push(&binary, address, two_steps, example(two_steps)?, Some(&quiet_token)).await?;
    push(&binary, address, "hostile", hostile::file()?, Some(&noisy_token)).await?;
    Ok(Guarded { address, quiet_token, noisy_token, process, _folder: folder })
}

/// The hostile guest gets what it asks for, so that it may try.
const GUARD: &str = "[auth.jwt]
algorithm = \"HS256\"
key_env = \"LOAD_TOKEN_KEY\"
[policy]
allow = [\"clock\", \"randomness\", \"config\", \"kv\", \"model:*\", \"http:api.example.com\"]
";

/// An admin's of a tenant.
fn token(tenant: &str) -> anyhow::Result<String> {
    let expires = jsonwebtoken::get_current_timestamp() + 24 * 60 * 60;
    let claims = serde_json::json!({
        "sub": "load", "tenant": tenant, "exp": expires, "scopes": ["agent_os:admin"],
    });
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes());
    Ok(jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)?)
}

/// Agno as its users start it: one worker of uvicorn, SQLite.
pub(crate) async fn agno(model: &str) -> anyhow::Result<Subject> {
    let venv = target()?.join("tools/agno");
    install(&venv).await.context("Agno cannot be installed")?;
    let folder = TempDir::new()?;
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(repository().join("tests/load/agno_app.py"));
    command.args([model.as_ref(), folder.path().join("agno.sqlite").as_os_str()]);
    command.current_dir(folder.path()).stderr(log(folder.path())?);
    command.env("AGNO_TELEMETRY", "false").env("OPENAI_API_KEY", "sk-load");
    let (process, line) = Process::start(command, "LISTEN").await?;
    let (_, address) = line.split_once("http://").context("it says no address")?;
    let address: SocketAddr = address.trim().parse()?;
    let stored = store_a_run(address).await?;
    let idle = process.memory()?;
    let name = "Agno, SQLite";
    Ok(Subject { name, address, stored, idle, process, _postgres: None, _folder: folder })
}

async fn install(venv: &Path) -> anyhow::Result<()> {
    let note = venv.join("installed");
    let wanted = AGNO.join(" ");
    if std::fs::read_to_string(&note).is_ok_and(|it| it == wanted) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(venv);
    output(make).await?;
    let mut install = Command::new(venv.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check"]).args(AGNO);
    output(install).await?;
    Ok(std::fs::write(note, wanted)?)
}

async fn store_a_run(address: SocketAddr) -> anyhow::Result<StoredRun> {
    let answer = Client::connect(address).await?.ask(&stored(SESSION)).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let run = answer["run_id"].as_str().context("a run without an id")?.to_owned();
    Ok(StoredRun { run, session: SESSION.to_owned() })
}

fn log(folder: &Path) -> std::io::Result<File> {
    File::create(folder.join("log"))
}

/// A server that `tests/postgres.sh` starts and stops.
struct Postgres {
    url: String,
    folder: TempDir,
}

impl Postgres {
    async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mut command = Command::new(script());
        command.arg("start").arg(folder.path());
        let url = output(command).await.context("PostgreSQL does not start")?;
        Ok(Self { url, folder })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It is stopped with whatever is left of it; there is nothing to keep.
        let _ = std::process::Command::new(script()).arg("stop").arg(self.folder.path()).status();
    }
}

fn script() -> PathBuf {
    repository().join("tests/postgres.sh")
}
