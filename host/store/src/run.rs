//! Runs and the sessions they belong to.

use std::sync::Arc;

use sqlx::error::ErrorKind;
use stepmill_core::context::RequestContext;
use stepmill_core::event::{JournalEntry, RunEvent};
use stepmill_core::graph::StepGraph;
use stepmill_core::ids::{Digest, RunId, SessionId, UserId, WorkflowId};
use stepmill_core::principal::Sees;
use stepmill_core::run::{Origin, RunPin, RunStatus, Telling};
use stepmill_core::time::Timestamp;

use crate::database::{Row, Statement, places};
use crate::error::StoreError;
use crate::journal::{Facts, JOURNAL_PAGE, facts_of, journal_insert, status_after};
use crate::store::TenantStore;
use crate::stored;
use crate::usage::StateChange;

/// Which sessions a new run may enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEntry {
    /// Sessions without an owner, and those the run's user owns.
    Owner,
    /// Any session of the tenant: for admins.
    Any,
}

/// What a new run leaves in a session that is there already.
#[derive(Debug, Clone, PartialEq)]
pub enum Touch {
    /// Only that it is in use.
    Use,
    /// What the client changes in its state.
    State(StateChange),
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// What was pinned when it was accepted.
    pub pin: RunPin,
    /// Where it stands.
    pub status: RunStatus,
    /// When the status last changed.
    pub updated_at: Timestamp,
}

/// The most that the rows of one list ever hold together. A page of twenty sessions, which a client gets
/// that names no number, fits in whatever their states are (`[runs] state_bytes`); and what the host
/// holds while it tells the list is a few times as much.
pub const LIST_BYTES: usize = 32 * 1024 * 1024;

/// All columns of a [`StoredRun`], in the order [`stored_run`] reads them.
macro_rules! select_run {
    ($rest:literal) => {
        concat!(
            "select id, workflow_id, session_id, user_id, status, telling, plugin_digest, input, \
             context, graph, created_at, updated_at, extras from runs ",
            $rest
        )
    };
}

impl TenantStore {
    /// Accepts a run: its session (made, or touched), its row and its first journal entries,
    /// noted at `pin.created_at`, all or nothing. A session keeps the owner it was made with.
    ///
    /// # Errors
    /// [`StoreError::SessionForeign`] if the session has an owner that `entry` does not let pass;
    /// [`StoreError::RunExists`], and nothing is overwritten; [`StoreError::ComponentMissing`] if
    /// the run pins code that neither this tenant nor the operator has stored;
    /// [`StoreError::StateTooLarge`].
    pub async fn run_open(
        &self,
        pin: &RunPin,
        events: &[RunEvent],
        entry: SessionEntry,
        changed: Touch,
    ) -> Result<(), StoreError> {
        let entries: Vec<_> = (0..)
            .zip(events)
            .map(|(sequence, event)| JournalEntry {
                sequence,
                at: pin.created_at,
                event: event.clone(),
            })
            .collect();
        let mut statements = vec![self.session_touch(pin)?, self.run_insert(pin, &entries, entry)?];
        if let Touch::State(change) = changed {
            // After the run: who may not enter the session learns nothing of what is in it.
            statements.push(self.session_use(&pin.session, pin.created_at, Some(change)));
        }
        statements.extend(journal_insert(&self.tenant, pin.id, &entries)?);
        self.write("open a run", statements).await.map_err(|error| match error.violation() {
            Some(ErrorKind::NotNullViolation) => StoreError::SessionForeign,
            Some(ErrorKind::CheckViolation) => StoreError::ComponentMissing,
            Some(ErrorKind::UniqueViolation) => StoreError::RunExists,
            _ => error,
        })?;
        Ok(())
    }

    fn session_touch<'a>(&'a self, pin: &'a RunPin) -> Result<Statement<'a>, StoreError> {
        Ok(Statement::new(
            "insert into sessions (
                tenant_id, id, user_id, workflow_id, state, metadata, created_at, updated_at
            ) values (?, ?, ?, ?, ?, '{}', ?, ?)
            on conflict (tenant_id, id) do update set updated_at = excluded.updated_at,
                state = coalesce(sessions.state, '{}')",
        )
        .text(self.tenant.as_str())
        .text(pin.session.as_str())
        .maybe_text(pin.user.as_ref().map(UserId::as_str))
        .text(pin.workflow.as_str())
        .json(stored::object(&pin.session_state)?)
        .number(pin.created_at.micros())
        .number(pin.created_at.micros()))
    }

    /// The session's id is looked up, not copied: one that may not be entered gives null, which
    /// `session_id` refuses. The same with code that is not there and `runs_origin`.
    fn run_insert<'a>(
        &'a self,
        pin: &'a RunPin,
        entries: &[JournalEntry],
        entry: SessionEntry,
    ) -> Result<Statement<'a>, StoreError> {
        let digest = match pin.origin {
            Origin::Plugin(digest) => Some(digest.to_string()),
            Origin::Declared => None,
        };
        let tenant = self.tenant.as_str();
        let user = pin.user.as_ref().map(UserId::as_str);
        Ok(Statement::new(
            "insert into runs (
                id, tenant_id, workflow_id, session_id, user_id, status, telling, origin,
                plugin_digest, input, context, graph, created_at, updated_at, extras
            ) values (
                ?, ?, ?,
                (select id from sessions where tenant_id = ? and id = ?
                    and (user_id is null or user_id = ? or ? = 1)),
                ?, ?, ?, ?,
                (select max(digest) from components where tenant_id in (?, '') and digest = ?),
                ?, ?, ?, ?, ?, ?
            )",
        )
        .text(pin.id.to_string())
        .text(tenant)
        .text(pin.workflow.as_str())
        .text(tenant)
        .text(pin.session.as_str())
        .maybe_text(user)
        .number(i64::from(entry == SessionEntry::Any))
        .maybe_text(user)
        .text(status_word(status_after(entries).unwrap_or(RunStatus::Running)))
        .text(match pin.telling {
            Telling::Streamed => "streamed",
            Telling::Quiet => "quiet",
        })
        .text(if digest.is_some() { "plugin" } else { "declared" })
        .text(tenant)
        .maybe_text(digest)
        .json(stored::text(&pin.input))
        .json(stored::context::write(&pin.context)?)
        .json(stored::graph::write(&pin.graph))
        .number(pin.created_at.micros())
        .number(pin.created_at.micros())
        .maybe_json(stored::extras::write(&pin.extras, &pin.session_state, &pin.history)?))
    }

    /// A run by its id alone: for the host, which has asked the caller nothing yet.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn run_fetch(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        let statement = Statement::new(select_run!("where tenant_id = ? and id = ?"))
            .text(self.tenant.as_str())
            .text(run.to_string());
        let rows = self.database.read("fetch a run", statement).await?;
        rows.first().map(|row| Alike::default().stored_run(row)).transpose()
    }

    /// A run as a caller names it, with its journal: of this workflow, or of any. None if one of
    /// the names is wrong, or the run is another user's.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn run_find(
        &self,
        sees: Sees<'_>,
        workflow: Option<&WorkflowId>,
        session: &SessionId,
        run: RunId,
    ) -> Result<Option<(StoredRun, Vec<JournalEntry>)>, StoreError> {
        let mut found =
            Statement::new(select_run!("where tenant_id = ? and id = ? and session_id = ?"))
                .text(self.tenant.as_str())
                .text(run.to_string())
                .text(session.as_str());
        if let Some(workflow) = workflow {
            found = found.and(" and workflow_id = ?").text(workflow.as_str());
        }
        let page = self.journal_page(run, 0, JOURNAL_PAGE);
        let [found, page] =
            self.database.read_each("find a run", [seen(found, sees), page]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        Ok(Some((Alike::default().stored_run(row)?, self.journal_from(run, &page).await?)))
    }

    /// The latest `limit` runs of a session that the filter lets through, without other users',
    /// while they hold `bytes` at most. None if there is no such session, or it is another user's.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; the database's; [`StoreError::Unreadable`].
    pub async fn run_list(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
        filter: &RunFilter,
        limit: u32,
        bytes: usize,
    ) -> Result<Option<RunList>, StoreError> {
        const DOING: &str = "list runs";
        let listed = |statement| self.listed(statement, sees, session, filter).number(limit.into());
        let runs = listed(Statement::new(select_run!("")));
        let facts = facts_of(&self.tenant, listed);
        let known = self.session_seen(sees, session);
        let [known, runs, facts] =
            self.database.read_within(DOING, bytes, [known, runs, facts]).await?;
        if known.is_empty() {
            return Ok(None);
        }
        let mut facts = Facts::new(facts)?;
        // On PostgreSQL: runs that one more pushed out of the second statement's list.
        let ids = runs.iter().map(run_id).collect::<Result<Vec<_>, _>>()?;
        let missing: Vec<_> = ids.into_iter().filter(|it| !facts.has(*it)).collect();
        if !missing.is_empty() {
            let those = format!(" where tenant_id = ? and id in {}", places(1, missing.len()));
            let statement = facts_of(&self.tenant, |runs| {
                let runs = runs.and(those).text(self.tenant.as_str());
                missing.iter().fold(runs, |runs, it| runs.text(it.to_string()))
            });
            let [more] = self.database.read_within(DOING, bytes, [statement]).await?;
            facts.add(more)?;
        }
        Ok(Some(RunList { runs: runs.into_iter(), facts, last: Alike::default() }))
    }

    /// Which runs, after `from runs`; the most of them is the last argument.
    pub(crate) fn listed<'a>(
        &'a self,
        statement: Statement<'a>,
        sees: Sees<'a>,
        session: &'a SessionId,
        filter: &'a RunFilter,
    ) -> Statement<'a> {
        let statement = statement
            .and(" where tenant_id = ? and session_id = ?")
            .text(self.tenant.as_str())
            .text(session.as_str());
        filtered(seen(statement, sees), filter).and(" order by created_at desc, id desc limit ?")
    }

    /// The first run of a session, without other users': of its own workflow, if that is known.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn run_first(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
        workflow: Option<&WorkflowId>,
    ) -> Result<Option<StoredRun>, StoreError> {
        let statement = Statement::new(select_run!(
            "where tenant_id = ? and session_id = ? and workflow_id = coalesce(?, workflow_id)"
        ))
        .text(self.tenant.as_str())
        .text(session.as_str())
        .maybe_text(workflow.map(WorkflowId::as_str));
        let statement = seen(statement, sees).and(" order by created_at, id limit 1");
        let rows = self.database.read("find a session's first run", statement).await?;
        rows.first().map(|row| Alike::default().stored_run(row)).transpose()
    }
}

/// The runs of a list, oldest first, each with its journal without the pieces of models' answers.
///
/// A run is read when its turn comes: what its texts unfold to is held for one run at a time.
pub struct RunList {
    runs: std::vec::IntoIter<Row>,
    facts: Facts,
    last: Alike,
}

impl Iterator for RunList {
    type Item = Result<(StoredRun, Vec<JournalEntry>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The database gave the latest first.
        let run = self.runs.next_back().map(|row| self.last.stored_run(&row))?;
        Some(run.and_then(|run| {
            let journal = self.facts.journal(run.pin.id)?;
            Ok((run, journal))
        }))
    }
}

/// Which runs of a session are wanted; what is not said lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of one workflow.
    pub workflow: Option<WorkflowId>,
    /// In one of these states.
    pub statuses: Option<Vec<RunStatus>>,
    /// Accepted at this time or later.
    pub created_after: Option<Timestamp>,
    /// Accepted at this time or earlier.
    pub created_before: Option<Timestamp>,
}

fn filtered<'a>(mut statement: Statement<'a>, filter: &'a RunFilter) -> Statement<'a> {
    if let Some(workflow) = &filter.workflow {
        statement = statement.and(" and workflow_id = ?").text(workflow.as_str());
    }
    if let Some(after) = filter.created_after {
        statement = statement.and(" and created_at >= ?").number(after.micros());
    }
    if let Some(before) = filter.created_before {
        statement = statement.and(" and created_at <= ?").number(before.micros());
    }
    if let Some(statuses) = &filter.statuses {
        statement = statement.and(" and (1 = 0");
        for status in statuses {
            statement = statement.and(" or status = ?").text(status_word(*status));
        }
        statement = statement.and(")");
    }
    statement
}

/// Leaves out what the caller does not see, among rows with a `user_id`.
pub(crate) fn seen<'a>(statement: Statement<'a>, sees: Sees<'a>) -> Statement<'a> {
    let user = match sees {
        Sees::Only(user) => Some(user.as_str()),
        Sees::Everyone | Sees::Nobody => None,
    };
    let statement = statement.and(" and (user_id = ? or ? = 1)").maybe_text(user);
    statement.number(i64::from(sees == Sees::Everyone))
}

pub(crate) fn run_id(row: &Row) -> Result<RunId, StoreError> {
    RunId::parse(row.text(0)?).map_err(|_| StoreError::unreadable("a run's id"))
}

/// What was read last: runs of one session often have the same context and the same graph, and
/// reading those again costs more than seeing that they are the same.
#[derive(Default)]
struct Alike {
    context: Option<(String, Arc<RequestContext>)>,
    graph: Option<(String, Arc<StepGraph>)>,
}

impl Alike {
    fn stored_run(&mut self, row: &Row) -> Result<StoredRun, StoreError> {
        let unreadable = |what: &str| StoreError::unreadable(format!("a run's {what}"));
        let digest = match row.maybe_text(6)? {
            Some(text) => Some(Digest::parse(text).ok_or_else(|| unreadable("digest"))?),
            None => None,
        };
        let user = row.maybe_text(3)?.map(UserId::new).transpose();
        let (extras, session_state, history) = stored::extras::read(row.maybe_text(12)?)?;
        let pin = RunPin {
            id: run_id(row)?,
            workflow: WorkflowId::new(row.text(1)?).map_err(|_| unreadable("workflow"))?,
            session: SessionId::new(row.text(2)?).map_err(|_| unreadable("session"))?,
            user: user.map_err(|_| unreadable("user"))?,
            input: stored::parse("a run's input", row.text(7)?)?,
            extras: Arc::new(extras),
            session_state,
            history,
            telling: match row.text(5)? {
                "streamed" => Telling::Streamed,
                "quiet" => Telling::Quiet,
                _ => return Err(unreadable("telling")),
            },
            origin: digest.map_or(Origin::Declared, Origin::Plugin),
            context: again(&mut self.context, row.text(8)?, stored::context::read)?,
            graph: again(&mut self.graph, row.text(9)?, stored::graph::read)?,
            created_at: Timestamp::from_micros(row.number(10)?),
        };
        let status = status_of(row.text(4)?)?;
        Ok(StoredRun { pin, status, updated_at: Timestamp::from_micros(row.number(11)?) })
    }
}

/// What the text says; what it said last time, if it is the same text.
fn again<T>(
    last: &mut Option<(String, Arc<T>)>,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, StoreError>,
) -> Result<Arc<T>, StoreError> {
    match last {
        Some((same, it)) if same == text => Ok(it.clone()),
        _ => {
            let it = Arc::new(read(text)?);
            *last = Some((text.to_owned(), it.clone()));
            Ok(it)
        }
    }
}

pub(crate) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
    }
}

pub(crate) fn status_of(word: &str) -> Result<RunStatus, StoreError> {
    match word {
        "running" => Ok(RunStatus::Running),
        "completed" => Ok(RunStatus::Completed),
        "failed" => Ok(RunStatus::Failed),
        _ => Err(StoreError::unreadable("a run's status")),
    }
}
