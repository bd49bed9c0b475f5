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
        let stat = self.file("stat")?;
        let fields = after_name(&stat).context("a strange /proc/…/stat")?;
        let used: Vec<u64> =
            fields.iter().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
        ensure!(used.len() == 2, "a strange /proc/…/stat");
        Ok(ticks(used.iter().sum()))
    }

    /// How many processes are there that it has started.
    pub(crate) fn children(&self) -> anyhow::Result<usize> {
        let id = self.child.id().context("the process has ended")?;
        Ok(stats()?.iter().filter(|it| it.parent == id).count())
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

/// A process, as the kernel tells of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    /// The CPU time of all its threads so far, and of those it started that have ended: what one
    /// has used is in the sum of all of them also when it is gone.
    pub(crate) used: Duration,
}

/// All processes there are.
pub(crate) fn stats() -> anyhow::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        // One that ends meanwhile is in its parent's time, or in the next sum.
        if let Ok(text) = std::fs::read_to_string(entry?.path().join("stat")) {
            found.extend(stat(&text));
        }
    }
    ensure!(!found.is_empty(), "a strange /proc");
    Ok(found)
}

/// Nothing where it is not a process's.
fn stat(text: &str) -> Option<Stat> {
    let (id, _) = text.split_once(' ')?;
    let numbers = after_name(text)?;
    let used: u64 =
        numbers.get(11..15)?.iter().map(|it| it.parse::<u64>().ok()).sum::<Option<_>>()?;
    Some(Stat { id: id.parse().ok()?, parent: numbers.get(1)?.parse().ok()?, used: ticks(used) })
}

/// What stands behind the name, which is in brackets and may hold blanks.
fn after_name(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// What so many of the kernel's ticks are.
fn ticks(number: u64) -> Duration {
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
    _process: Process,
}

pub(crate) async fn fake_model() -> anyhow::Result<FakeModel> {
    let mut command = Command::new(beside("stepmill-fake-provider")?);
    command.arg("127.0.0.1:0");
    let (process, line) = Process::start(command, "/v1").await?;
    let url = line.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(FakeModel { url, _process: process })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_process_is_read() {
        let text = "42 (a) name) S 7 42 42 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0 5";
        let used = Duration::from_millis(43_300);
        assert_eq!(stat(text), Some(Stat { id: 42, parent: 7, used }));
        assert_eq!(stat("cpu  1 2 3 4"), None);
    }

    #[test]
    fn this_process_is_among_all() {
        let this = std::process::id();
        assert!(stats().unwrap().iter().any(|it| it.id == this));
    }
}
