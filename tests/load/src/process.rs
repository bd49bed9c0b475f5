//! Processes beside this one: started, listened to, looked at through `/proc`, and ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Nothing here takes longer to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What Linux counts CPU time in, on every machine there is.
const TICKS_PER_SECOND: u64 = 100;

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    /// Kept open, so that it may go on printing.
    _said: Lines<BufReader<ChildStdout>>,
}

/// How much memory a process has, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Process {
    /// Starts it and waits for the line that holds `word`, which is given back.
    pub(crate) async fn start(mut command: Command, word: &str) -> anyhow::Result<(Self, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("it cannot be started")?;
        let said = child.stdout.take().context("it has no output")?;
        let mut said = BufReader::new(said).lines();
        let heard = async {
            while let Some(line) = said.next_line().await? {
                if line.contains(word) {
                    return Ok(line);
                }
            }
            bail!("it ended before it was ready")
        };
        let line = timeout(PATIENCE, heard).await.context("it is not ready in time")??;
        Ok((Self { child, _said: said }, line))
    }

    fn file(&self, name: &str) -> anyhow::Result<String> {
        let pid = self.child.id().context("the process has ended")?;
        let path = format!("/proc/{pid}/{name}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// The CPU time of all its threads so far, in user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu(&self.file("stat")?)
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let status = self.file("status")?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(name)).context("no memory")?;
            let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>()?;
            anyhow::Ok(kilobytes * 1_024)
        };
        Ok(Memory { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }
}

/// The CPU time of this very process.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu(&std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?)
}

fn cpu(stat: &str) -> anyhow::Result<Duration> {
    // The name, in brackets, may hold blanks.
    let fields = stat.rsplit_once(')').context("a strange /proc/…/stat")?.1;
    let used: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    ensure!(used.len() == 2, "a strange /proc/…/stat");
    Ok(ticks(used.iter().sum()))
}

/// What so many of the kernel's ticks are.
pub(crate) fn ticks(number: u64) -> Duration {
    Duration::from_millis(number * 1_000 / TICKS_PER_SECOND)
}

/// Runs something to its end, and gives what it printed.
pub(crate) async fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().await?;
    ensure!(output.status.success(), "it failed: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A program that was built beside this one.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is not there: `just load` builds it", path.display());
    Ok(path)
}

/// The folder cargo builds into.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?;
    Ok(path.ancestors().nth(2).context("this program is in no target folder")?.to_owned())
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/"))
}

/// A model that answers at once.
pub(crate) struct FakeModel {
    /// The base URL of its OpenAI protocols.
    pub(crate) url: String,
    process: Process,
}

impl FakeModel {
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.process.cpu()
    }
}

pub(crate) async fn fake_model() -> anyhow::Result<FakeModel> {
    let mut command = Command::new(beside("stepmill-fake-provider")?);
    command.arg("127.0.0.1:0");
    let (process, line) = Process::start(command, "/v1").await?;
    let url = line.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(FakeModel { url, process })
}
