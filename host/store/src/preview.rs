//! Runs in a few words: read without what is not shown, and cut where they are read.

use std::collections::HashMap;

use stepmill_core::event::{RunEvent, StepFailure};
use stepmill_core::ids::{RunId, SessionId, UserId, WorkflowId};
use stepmill_core::principal::Sees;
use stepmill_core::run::RunStatus;
use stepmill_core::time::Timestamp;

use crate::database::{Row, Statement, places};
use crate::error::StoreError;
use crate::journal::{RESULTS, latest};
use crate::run::{RunFilter, run_id, status_of};
use crate::store::TenantStore;
use crate::stored;

/// The characters of a text that a preview shows. Texts come no shorter than that, but may come longer.
pub const PREVIEW_CHARACTERS: usize = 280;

/// As many characters of a stored text hold those of a preview: JSON has up to six for one, and
/// an event says less than a hundred before its content.
const CUT: usize = 6 * PREVIEW_CHARACTERS + 100;

/// Graphs that are held at once to look a step's name up. A plugin draws some megabytes at most.
const GRAPHS: usize = 8;

/// A run in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPreview {
    /// Which.
    pub id: RunId,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Whose.
    pub user: Option<UserId>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// How its message begins.
    pub input: String,
    /// What it came to.
    pub outcome: PreviewedOutcome,
}

/// What a run came to, in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewedOutcome {
    /// Under way; how the content of its last finished step begins.
    Running(Option<String>),
    /// Done; how its content begins, if it had any steps.
    Completed(Option<String>),
    /// Failed, and in which step, if it was in one.
    Failed(Option<String>, StepFailure),
}

impl TenantStore {
    /// Previews of the latest `limit` runs of a session that the filter lets through, oldest
    /// first, without other users', while they hold `bytes` at most. None if there is no such
    /// session, or it is another user's.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; the database's; [`StoreError::Unreadable`].
    pub async fn run_previews(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
        filter: &RunFilter,
        limit: u32,
        bytes: usize,
    ) -> Result<Option<Vec<StoredPreview>>, StoreError> {
        let runs = Statement::new(format!(
            "select id, workflow_id, user_id, status, created_at,
                substr(cast(input as text), 1, {CUT}), case when status <> 'failed' then {} end
            from runs",
            latest(&format!("substr(cast(body as text), 1, {CUT})"), &RESULTS)
        ));
        let runs = self.listed(runs, sees, session, filter).number(limit.into());
        let known = self.session_seen(sees, session);
        let [known, runs] = self.database.read_within("preview runs", bytes, [known, runs]).await?;
        if known.is_empty() {
            return Ok(None);
        }
        let mut failed = Vec::new();
        for row in &runs {
            if status_of(row.text(3)?)? == RunStatus::Failed {
                failed.push(run_id(row)?);
            }
        }
        let mut failures = self.failures(&failed).await?;
        let mut previews = Vec::with_capacity(runs.len());
        for row in runs.iter().rev() {
            let content = || {
                let body = row.maybe_text(6)?;
                body.map(stored::event::content_beginning).transpose()
            };
            let outcome = match status_of(row.text(3)?)? {
                RunStatus::Running => PreviewedOutcome::Running(content()?),
                RunStatus::Completed => PreviewedOutcome::Completed(content()?),
                RunStatus::Failed => match failures.remove(&run_id(row)?) {
                    Some(failure) => failure,
                    // Deleted since.
                    None => continue,
                },
            };
            previews.push(preview(row, outcome)?);
        }
        Ok(Some(previews))
    }

    /// Why each of these runs failed.
    async fn failures(
        &self,
        runs: &[RunId],
    ) -> Result<HashMap<RunId, PreviewedOutcome>, StoreError> {
        let mut found = HashMap::new();
        for chunk in runs.chunks(GRAPHS) {
            let mut statement = Statement::new(format!(
                "select id, graph, {}, {} from runs where tenant_id = ? and id in {}",
                latest("body", &["step_failed"]),
                latest("body", &["run_failed"]),
                places(1, chunk.len())
            ))
            .text(self.tenant.as_str());
            for run in chunk {
                statement = statement.text(run.to_string());
            }
            for row in &self.database.read("read why runs failed", statement).await? {
                found.insert(run_id(row)?, outcome(row)?);
            }
        }
        Ok(found)
    }
}

fn outcome(row: &Row) -> Result<PreviewedOutcome, StoreError> {
    let step = match row.maybe_text(2)?.map(stored::event::read).transpose()? {
        Some(RunEvent::StepFailed { step, .. }) => {
            let graph = stored::graph::read(row.text(1)?)?;
            graph.steps().get(step.at()).map(|it| it.name.clone())
        }
        _ => None,
    };
    match stored::event::read(row.text(3)?)? {
        RunEvent::RunFailed { failure } => Ok(PreviewedOutcome::Failed(step, failure)),
        _ => Err(StoreError::unreadable("why a run failed")),
    }
}

fn preview(row: &Row, outcome: PreviewedOutcome) -> Result<StoredPreview, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("a run's {what}"));
    let user = row.maybe_text(2)?.map(UserId::new).transpose();
    Ok(StoredPreview {
        id: run_id(row)?,
        workflow: WorkflowId::new(row.text(1)?).map_err(|_| unreadable("workflow"))?,
        user: user.map_err(|_| unreadable("user"))?,
        created_at: Timestamp::from_micros(row.number(4)?),
        input: stored::beginning(row.text(5)?).ok_or_else(|| unreadable("input"))?,
        outcome,
    })
}
