//! What is asked, and how a right answer is known.

use std::fmt;

use bytes::Bytes;
use clap::ValueEnum;
use hyper::Method;

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// A session's runs, of which there is one
    ListRuns,
    /// That run
    GetRun,
    /// A run of one function step
    Echo,
    /// A run of two model steps, as JSON
    TwoStep,
    /// The same as server-sent events, read to the end
    TwoStepStreamed,
}

/// A run that was stored before measuring, to be read back.
pub(crate) struct StoredRun {
    pub(crate) run: String,
    pub(crate) session: String,
}

/// A request, ready to be sent again and again.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// A form; empty for a read.
    pub(crate) body: Bytes,
    /// What is in every right answer and in no wrong one.
    pub(crate) word: &'static str,
}

impl Case {
    pub(crate) const ALL: [Self; 5] =
        [Self::ListRuns, Self::GetRun, Self::Echo, Self::TwoStep, Self::TwoStepStreamed];

    pub(crate) fn ask(self, stored: &StoredRun) -> Ask {
        let StoredRun { run, session } = stored;
        let two_steps = "/workflows/content-pipeline/runs";
        match self {
            Self::ListRuns => read(format!("{two_steps}?session_id={session}")),
            Self::GetRun => read(format!("{two_steps}/{run}?session_id={session}")),
            Self::Echo => start("/workflows/echo/runs", "stream=false", "\"COMPLETED\""),
            Self::TwoStep => start(two_steps, "stream=false", "\"COMPLETED\""),
            Self::TwoStepStreamed => start(two_steps, "stream=true", "event: WorkflowCompleted"),
        }
    }

    /// The most CPU time a request may cost, in milliseconds, where Agno is not measured beside it: a
    /// twentieth of what it took on two cores.
    pub(crate) fn target_ms(self) -> f64 {
        match self {
            Self::ListRuns => 0.13,
            Self::GetRun => 0.16,
            Self::Echo => 0.25,
            Self::TwoStep => 0.7,
            Self::TwoStepStreamed => 1.3,
        }
    }
}

fn read(path: String) -> Ask {
    Ask { method: Method::GET, path, body: Bytes::new(), word: "\"COMPLETED\"" }
}

fn start(path: &str, stream: &str, word: &'static str) -> Ask {
    let message = "message=Write+a+blog+post+about+sustainable+energy&user_id=tenant_42";
    let body = format!("{message}&{stream}").into();
    Ask { method: Method::POST, path: path.to_owned(), body, word }
}

/// A run to be read back.
pub(crate) fn stored(session: &str) -> Ask {
    let more = format!("stream=false&session_id={session}");
    start("/workflows/content-pipeline/runs", &more, "\"COMPLETED\"")
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ListRuns => "list runs",
            Self::GetRun => "get run",
            Self::Echo => "echo",
            Self::TwoStep => "two steps",
            Self::TwoStepStreamed => "two steps, streamed",
        })
    }
}
