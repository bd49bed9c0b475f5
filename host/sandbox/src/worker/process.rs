//! The host's side: starts a worker, feeds it, hears it out, and ends it when nobody waits.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tracing::debug;

use super::{Order, Verdict, WorkerProgram};
use crate::load::LoadFailure;
use crate::text::{cut, log_line};

/// What is said of an invalid component; it names places in it.
const MESSAGE_BYTES: usize = 4_096;

/// What is kept of a worker's last words, for the debug log.
const LAST_WORDS_BYTES: u64 = 16 * 1024;

/// A worker did not do its work. The component may have a part in it; nobody can know.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFault {
    /// It could not be started.
    #[error("the compile worker could not be started")]
    Start(#[source] io::Error),
    /// It could not be spoken to.
    #[error("the compile worker could not be heard out")]
    Talk(#[source] io::Error),
    /// It ended otherwise than workers do: killed by somebody else, or by a fault of the compiler.
    #[error("the compile worker ended by itself ({0})")]
    Ended(ExitStatus),
    /// The binary was replaced by one whose code this host cannot run.
    #[error("the compile worker is of another version than the host")]
    OtherVersion,
}

/// Has a component compiled. A worker that nobody waits for any more is killed.
pub(crate) async fn run(
    program: &WorkerProgram,
    order: &Order,
    component: &[u8],
    code_bytes: usize,
) -> Result<Vec<u8>, LoadFailure> {
    let mut worker = Worker::start(program, order).map_err(WorkerFault::Start)?;
    let (status, answer) = worker.hear_out(component, code_bytes).await?;
    let verdict = status.code().and_then(Verdict::of_code);
    match (verdict, status.signal().and_then(Signal::from_named_raw)) {
        (Some(Verdict::Compiled), _) => Ok(answer),
        (Some(Verdict::Invalid), _) => {
            let text = String::from_utf8_lossy(&answer);
            Err(LoadFailure::Invalid(cut(&text, MESSAGE_BYTES).into()))
        }
        // Where the allocator finds no memory, the process aborts. Other faults of the compiler
        // are panics, which do not.
        (Some(Verdict::OutOfMemory), _) | (None, Some(Signal::ABORT)) => {
            Err(LoadFailure::TooLargeToCompile { limit: order.memory_bytes })
        }
        (None, Some(Signal::XCPU)) => Err(LoadFailure::CompileTimedOut),
        (Some(Verdict::OtherVersion), _) => Err(WorkerFault::OtherVersion.into()),
        (None, _) => Err(WorkerFault::Ended(status).into()),
    }
}

/// Has its child as long as it lives.
struct Worker(Option<Child>);

impl Worker {
    fn start(program: &WorkerProgram, order: &Order) -> io::Result<Self> {
        // Removed once the worker stands in it: there is nothing in it, and nothing can be made.
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(&program.program);
        command
            .args(&program.arguments)
            .arg(serde_json::to_string(order)?)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            // What a terminal sends to the host is not for the worker.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map(|it| Self(Some(it)))
    }

    /// Sends the component, and reads at most so many bytes of an answer.
    async fn hear_out(
        &mut self,
        component: &[u8],
        limit: usize,
    ) -> Result<(ExitStatus, Vec<u8>), LoadFailure> {
        let talk = |it| LoadFailure::from(WorkerFault::Talk(it));
        let missing = || talk(io::ErrorKind::BrokenPipe.into());
        let child = self.0.as_mut().ok_or_else(missing)?;
        let mut input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let errors = child.stderr.take().ok_or_else(missing)?;
        let feed = async {
            // A worker that does not read to the end says by its own end why.
            let _ = input.write_all(component).await;
            Ok(())
        };
        let last_words = async {
            let mut text = Vec::new();
            errors.take(LAST_WORDS_BYTES).read_to_end(&mut text).await.map_err(talk)?;
            Ok(text)
        };
        let ((), answer, last_words) = tokio::try_join!(feed, answer(output, limit), last_words)?;
        let status = child.wait().await.map_err(talk)?;
        // Until here it was open: it is what the worker holds on to.
        drop(input);
        if !last_words.is_empty() {
            let text = String::from_utf8_lossy(&last_words);
            debug!(%status, "a compile worker said: {}", log_line(&text, text.len()));
        }
        Ok((status, answer))
    }
}

/// Nothing, where the worker ended without one.
async fn answer(mut output: impl AsyncRead + Unpin, limit: usize) -> Result<Vec<u8>, LoadFailure> {
    let talk = |it| LoadFailure::from(WorkerFault::Talk(it));
    let mut length = [0; 8];
    match output.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Vec::new()),
        Err(error) => return Err(talk(error)),
    }
    let length = u64::from_be_bytes(length);
    crate::scan::at_most("bytes of compiled code", length, limit as u64)?;
    let mut answer = Vec::with_capacity(usize::try_from(length).unwrap_or(limit));
    output.take(length).read_to_end(&mut answer).await.map_err(talk)?;
    Ok(answer)
}

impl Drop for Worker {
    /// Also what it may have started. A worker that ended is not touched: it has no id any more,
    /// and its number may be somebody else's.
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        let Some(group) = child.id().and_then(|it| Pid::from_raw(it.cast_signed())) else { return };
        // It may have ended this very moment.
        let _ = kill_process_group(group, Signal::KILL);
        // Somebody has to hear how it ended, or it stays a zombie until something else happens to
        // the host. It takes no time that anybody would have to wait for.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { child.wait().await });
        }
    }
}
