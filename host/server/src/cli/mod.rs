//! The commands of the binary.

mod compile_worker;
#[cfg(feature = "demo")]
mod demo;
mod inspect;
mod push;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::settings::{Environment, Overrides};

/// A WebAssembly plugin host for workflow factories.
///
/// Tenants upload factories as sandboxed WebAssembly components. For each request a factory draws
/// a step graph; the host checks it, runs its steps and keeps a journal of everything.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped when asked to
  1  failed: the database, the address, the server, or a refused upload
  2  used wrongly: flags, settings, a file that declares no workflow

Logging goes to standard error; STEPMILL_LOG sets what is logged, such as `info` or
`stepmill=debug`.";

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    ForPeople(CommandForPeople),
    /// Compile one component for the host that started this.
    #[command(name = compile_worker::NAME, hide = true)]
    CompileWorker {
        /// What the host wants
        order: String,
    },
}

#[derive(Subcommand)]
enum CommandForPeople {
    /// Serve, with everything an operator can set.
    ///
    /// Settings come from the file, then from the environment, then from flags. Without
    /// authentication in the settings only loopback addresses are served. SIGTERM or Ctrl-C stops
    /// taking requests, lets runs finish for a while, and leaves the rest to the next start.
    Serve(ServeArgs),
    /// Serve the example plugins on this machine: no keys, no database server, no setup.
    ///
    /// With OPENAI_API_KEY set (OPENAI_BASE_URL is honoured), models are real ones through OpenAI
    /// Responses. Without it a built-in demo model answers, and says that it is one.
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Upload a plugin to a running host. It is in effect from the next request on.
    Push(PushArgs),
    /// Show what a plugin is, what it asks for, and what of that it is granted.
    ///
    /// Of a file, that is what a host with these settings would grant; of an id, what a running
    /// host grants.
    Inspect(InspectArgs),
}

#[derive(Args)]
struct ServeArgs {
    /// Address to listen on, such as 127.0.0.1:7777, which is the default
    #[arg(long, env = "STEPMILL_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Folder for the database, compiled plugins and workflows/*.toml|json [default: stepmill-data]
    #[arg(long, env = "STEPMILL_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// sqlite://PATH or postgres://… [default: stepmill.sqlite in the data folder]
    #[arg(long, env = "STEPMILL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<SecretString>,
    /// Settings file (TOML)
    #[arg(long, env = "STEPMILL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ServeArgs {
    fn overrides(self) -> (Option<PathBuf>, Overrides) {
        let Self { listen, data_dir, database_url, config } = self;
        (config, Overrides { listen, data_dir, database_url })
    }
}

#[derive(Args)]
#[cfg(feature = "demo")]
struct DemoArgs {
    /// Address to listen on; a loopback address, because the demo knows no callers
    #[arg(long, env = "STEPMILL_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:7777")]
    listen: SocketAddr,
    /// Folder for the database, compiled plugins and workflows/*.toml|json; made if it is not there
    #[arg(long, env = "STEPMILL_DATA_DIR", value_name = "DIR", default_value = "stepmill-data")]
    data_dir: PathBuf,
    /// sqlite://PATH or postgres://… [default: stepmill.sqlite in the data folder]
    #[arg(long, env = "STEPMILL_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<SecretString>,
}

#[derive(Args)]
struct PushArgs {
    /// The component: a .wasm file
    file: PathBuf,
    /// Id of the workflow it makes [default: the file's name without its ending, `_` as `-`]
    #[arg(long)]
    id: Option<String>,
    /// The host
    #[arg(long, env = "STEPMILL_URL", default_value = "http://127.0.0.1:7777")]
    url: String,
    /// For all tenants: the token has to be the operator's
    #[arg(long)]
    shared: bool,
    /// Token for a host with authentication; it needs the scope plugins:write
    #[arg(long, env = "STEPMILL_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
}

#[derive(Args)]
struct InspectArgs {
    /// A .wasm file, or the id of a plugin of a running host
    plugin: PathBuf,
    /// Of a file: the id it would be uploaded under [default: the file's name]
    #[arg(long)]
    id: Option<String>,
    /// Of a file: the tenant that would upload it [default: the operator, for all tenants]
    #[arg(long)]
    tenant: Option<String>,
    /// Of a file: settings (TOML), whose policies decide
    #[arg(long, env = "STEPMILL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Of an id: the host
    #[arg(long, env = "STEPMILL_URL", default_value = "http://127.0.0.1:7777")]
    url: String,
    /// Of an id: token for a host with authentication; it needs the scope plugins:read
    #[arg(long, env = "STEPMILL_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
}

/// Lines of the log that may wait to be written. More are dropped: a host whose log nobody reads
/// serves on. A plugin's line has at most 4 KiB.
const LOG_LINES: usize = 8_192;

/// How long work that nobody waits for any more may hold up the end of the process.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a command did not do its work.
#[derive(Debug)]
enum Failure {
    /// The command was used wrongly.
    Usage(anyhow::Error),
    /// Something outside failed.
    Work(anyhow::Error),
}

impl Failure {
    fn usage(fault: impl Into<anyhow::Error>) -> Self {
        Self::Usage(fault.into())
    }

    fn work(fault: impl Into<anyhow::Error>) -> Self {
        Self::Work(fault.into())
    }
}

/// Runs the command the arguments ask for.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::ForPeople(command) => main_for_people(command),
        // It has to limit itself before anything else is done.
        Command::CompileWorker { order } => stepmill_sandbox::compile_worker(&order),
    }
}

fn main_for_people(command: CommandForPeople) -> ExitCode {
    let environment = Environment::of_process();
    let log = log(&environment);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(command, &environment));
            // A component that is being read cannot be broken off.
            runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
            done
        }
        Err(fault) => Err(Failure::work(fault)),
    };
    // Its last lines come before the complaint.
    log.close();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(fault)) => complain(&fault, 2),
        Err(Failure::Work(fault)) => complain(&fault, 1),
    }
}

#[expect(clippy::print_stderr, reason = "this is where a command says why it failed")]
fn complain(fault: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("stepmill: {fault:#}");
    ExitCode::from(code)
}

async fn run(command: CommandForPeople, environment: &Environment) -> Result<(), Failure> {
    match command {
        CommandForPeople::Serve(args) => Box::pin(serve::run(args, environment)).await,
        #[cfg(feature = "demo")]
        CommandForPeople::Demo(args) => Box::pin(demo::run(args, environment)).await,
        CommandForPeople::Push(args) => push::run(args).await,
        CommandForPeople::Inspect(args) => inspect::run(args, environment).await,
    }
}

/// The log. Lines are written by a thread of their own, so that whoever reads them, or does not,
/// holds up nobody.
struct Log {
    lines: WorkerGuard,
    dropped: ErrorCounter,
}

impl Log {
    /// Waits for the last lines, for a moment.
    fn close(self) {
        let dropped = self.dropped.dropped_lines();
        if dropped != 0 {
            tracing::warn!(dropped, "{dropped} lines of the log were dropped");
        }
        drop(self.lines);
    }
}

fn log(environment: &Environment) -> Log {
    use std::io::{IsTerminal, stderr};

    let words = environment.text("STEPMILL_LOG").unwrap_or("info");
    let filter = EnvFilter::try_new(words).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = stderr().is_terminal();
    let lines = NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES);
    let (writer, lines) = lines.thread_name("log").finish(stderr());
    let dropped = writer.error_counter();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(writer).init();
    Log { lines, dropped }
}
