//! What earlier runs of a session came to, for those that come after them.

use std::collections::HashMap;

use stepmill_core::event::RunEvent;
use stepmill_core::ids::{SessionId, UserId, WorkflowId};
use stepmill_core::run::PastRun;

use crate::database::{Statement, places};
use crate::error::StoreError;
use crate::journal::{RESULTS, latest};
use crate::store::TenantStore;
use crate::stored;

/// The most that the runs of one history hold together, as they are stored. More than models read
/// with pleasure; it is stored with each run that is told of it, and sent with each of its steps.
const HISTORY_BYTES: i64 = 256 * 1024;

impl TenantStore {
    /// The latest `limit` completed runs of this workflow and this user in a session, latest last,
    /// as far back as they are not too large together.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn run_history(
        &self,
        session: &SessionId,
        workflow: &WorkflowId,
        user: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<PastRun>, StoreError> {
        const DOING: &str = "read what earlier runs came to";
        let sizes = Statement::new(format!(
            "select id, octet_length(cast(input as text)) + coalesce({}, 0)
            from runs where tenant_id = ? and session_id = ? and workflow_id = ?
            and user_id is not distinct from ? and status = 'completed'
            order by created_at desc, id desc limit ?",
            latest("octet_length(cast(body as text))", &RESULTS)
        ))
        .text(self.tenant.as_str())
        .text(session.as_str())
        .text(workflow.as_str())
        .maybe_text(user.map(UserId::as_str))
        .number(limit.into());
        let mut room = HISTORY_BYTES;
        let mut fitting = Vec::new();
        for row in &self.database.read(DOING, sizes).await? {
            room -= row.number(1)?;
            if room < 0 {
                break;
            }
            fitting.push(row.text(0)?.to_owned());
        }
        if fitting.is_empty() {
            return Ok(Vec::new());
        }
        let mut runs = Statement::new(format!(
            "select id, input, {} from runs where tenant_id = ? and id in {}",
            latest("body", &RESULTS),
            places(1, fitting.len())
        ))
        .text(self.tenant.as_str());
        for id in &fitting {
            runs = runs.text(id.clone());
        }
        let mut found = HashMap::new();
        for row in &self.database.read(DOING, runs).await? {
            let content = match row.maybe_text(2)?.map(stored::event::read).transpose()? {
                Some(
                    RunEvent::StepCompleted { output, .. } | RunEvent::StepSkipped { output, .. },
                ) => output.content,
                _ => String::new(),
            };
            let input = stored::parse("a run's input", row.text(1)?)?;
            found.insert(row.text(0)?.to_owned(), PastRun { input, content });
        }
        // Those that were deleted since are left out.
        Ok(fitting.iter().rev().filter_map(|it| found.remove(it)).collect())
    }
}
