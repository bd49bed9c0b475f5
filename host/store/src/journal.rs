//! The journal of a run: facts are added and read, never changed.

use std::collections::HashMap;

use sqlx::error::ErrorKind;
use stepmill_core::event::{JournalEntry, RunEvent};
use stepmill_core::ids::{RunId, TenantId};
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_core::time::Timestamp;

use crate::database::{Promise, Row, Statement, places};
use crate::error::StoreError;
use crate::run::status_word;
use crate::store::TenantStore;
use crate::stored;
use crate::usage::Closing;

/// Rows of one statement: few enough that the texts of all lengths stay prepared.
const CHUNK: usize = 64;

/// Entries of one answer, when a whole journal is read.
pub(crate) const JOURNAL_PAGE: u32 = 1_000;

impl TenantStore {
    /// Adds facts to a run's journal, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::SequenceTaken`] if there is an entry at one of the places;
    /// [`StoreError::RunMissing`].
    pub async fn journal_append(
        &self,
        run: RunId,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.append(run, entries, Vec::new()).await
    }

    /// Adds the last facts to a run's journal, and leaves in its session what the run used and
    /// changed: all or nothing. The last fact also sets the run's status.
    ///
    /// # Errors
    /// As of [`Self::journal_append`]; [`StoreError::StateTooLarge`] and
    /// [`StoreError::Unreadable`] if the session's state cannot take the change.
    pub async fn journal_close(
        &self,
        pin: &RunPin,
        entries: &[JournalEntry],
        closing: &Closing,
    ) -> Result<(), StoreError> {
        let at = entries.last().map_or(pin.created_at, |it| it.at);
        let mut left = self.session_leave(&pin.session, at, closing);
        // Last: other runs of the tenant wait for these rows.
        left.extend(closing.spent.iter().map(|it| self.spending_insert(it)));
        self.append(pin.id, entries, left).await
    }

    /// `beside` touches no row that the entries do.
    pub(crate) async fn append(
        &self,
        run: RunId,
        entries: &[JournalEntry],
        beside: Vec<Statement<'_>>,
    ) -> Result<(), StoreError> {
        let mut statements = journal_insert(&self.tenant, run, entries)?;
        // A run's end takes its rows in an order, and a text for each of so many rows is kept.
        let is_one = entries.len() <= CHUNK && !entries.iter().any(|it| it.event.is_last());
        if let Some(last) = entries.iter().rfind(|it| it.event.is_last()) {
            let status = status_after(entries).unwrap_or(RunStatus::Running);
            let update =
                "update runs set status = ?, updated_at = ? where tenant_id = ? and id = ?";
            let update = Statement::new(update)
                .text(status_word(status))
                .number(last.at.micros())
                .text(self.tenant.as_str())
                .text(run.to_string());
            statements.push(update);
        }
        statements.extend(beside);
        if statements.is_empty() {
            return Ok(());
        }
        let (doing, share) = ("append to a journal", self.tenant.as_str());
        let written = match is_one {
            true => self.database.write_together(doing, share, Promise::Progress, statements).await,
            false => self.database.write(doing, share, Promise::Progress, statements).await,
        };
        written.map_err(|error| match error.violation() {
            Some(ErrorKind::UniqueViolation) => StoreError::SequenceTaken,
            Some(ErrorKind::ForeignKeyViolation) => StoreError::RunMissing,
            _ => error,
        })?;
        Ok(())
    }

    /// The entries from a place on, in order; empty if there is no such run.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn journal_read(
        &self,
        run: RunId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
        let rows =
            self.database.read("read a journal", self.journal_page(run, from, limit)).await?;
        rows.iter().map(|row| entry(row, 0)).collect()
    }

    /// The whole journal, page by page.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn journal_whole(&self, run: RunId) -> Result<Vec<JournalEntry>, StoreError> {
        let page = self.journal_page(run, 0, JOURNAL_PAGE);
        let page = self.database.read("read a journal", page).await?;
        self.journal_from(run, &page).await
    }

    /// The whole journal, of which a first page was read.
    pub(crate) async fn journal_from(
        &self,
        run: RunId,
        page: &[Row],
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let entries = page.iter().map(|row| entry(row, 0));
        let mut journal = entries.collect::<Result<Vec<_>, _>>()?;
        let mut read = page.len();
        while JOURNAL_PAGE as usize <= read {
            let from = journal.last().map_or(0, |it| it.sequence + 1);
            let page = self.journal_read(run, from, JOURNAL_PAGE).await?;
            read = page.len();
            journal.extend(page);
        }
        Ok(journal)
    }

    pub(crate) fn journal_page(&self, run: RunId, from: i64, limit: u32) -> Statement<'_> {
        Statement::new(
            "select sequence, at, body from events
            where tenant_id = ? and run_id = ? and sequence >= ? order by sequence limit ?",
        )
        .text(self.tenant.as_str())
        .text(run.to_string())
        .number(from)
        .number(limit.into())
    }
}

/// What a run came to last: the body of its latest entry of these kinds, after `from runs`. `body`
/// says how much of it.
pub(crate) fn latest(body: &str, kinds: &[&str]) -> String {
    let kinds = kinds.join("', '");
    format!(
        "(select {body} from events where events.tenant_id = runs.tenant_id
        and events.run_id = runs.id and kind in ('{kinds}') order by sequence desc limit 1)"
    )
}

/// The kinds of entries that a finished step leaves.
pub(crate) const RESULTS: [&str; 2] = ["step_completed", "step_skipped"];

/// Entries of a tenant's runs, without what was told on the way: pieces of
/// models' answers and what came before them, and the progress of functions.
/// `which` says of which runs, after `from runs`.
pub(crate) fn facts_of<'a>(
    tenant: &'a TenantId,
    which: impl FnOnce(Statement<'a>) -> Statement<'a>,
) -> Statement<'a> {
    // Joined in this order SQLite looks up each run, and makes no table of their ids.
    which(Statement::new("with listed (id) as (select id from runs"))
        .and(
            ") select sequence, at, body, run_id from listed cross join events
            where tenant_id = ? and run_id = listed.id
            and kind not in ('model_began', 'model_delta', 'function_progress')",
        )
        .text(tenant.as_str())
}

/// The rows of [`facts_of`], and which are whose.
pub(crate) struct Facts(HashMap<RunId, Vec<Row>>);

impl Facts {
    pub(crate) fn new(rows: Vec<Row>) -> Result<Self, StoreError> {
        let mut facts = Self(HashMap::new());
        facts.add(rows)?;
        Ok(facts)
    }

    /// Adds those of other runs.
    pub(crate) fn add(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        for row in rows {
            let run = RunId::parse(row.text(3)?)
                .map_err(|_| StoreError::unreadable("the run of an entry"))?;
            self.0.entry(run).or_default().push(row);
        }
        Ok(())
    }

    pub(crate) fn has(&self, run: RunId) -> bool {
        self.0.contains_key(&run)
    }

    /// A run's entries, in order.
    pub(crate) fn journal(&self, run: RunId) -> Result<Vec<JournalEntry>, StoreError> {
        let rows = self.0.get(&run).map_or(&[][..], Vec::as_slice);
        let mut journal = rows.iter().map(|row| entry(row, 0)).collect::<Result<Vec<_>, _>>()?;
        journal.sort_unstable_by_key(|it| it.sequence);
        Ok(journal)
    }
}

/// Statements that add the entries.
pub(crate) fn journal_insert<'a>(
    tenant: &'a TenantId,
    run: RunId,
    entries: &[JournalEntry],
) -> Result<Vec<Statement<'a>>, StoreError> {
    let run = run.to_string();
    let insert = |chunk: &[JournalEntry]| {
        let mut statement = Statement::new(format!(
            "insert into events (tenant_id, run_id, sequence, at, kind, body) values {}",
            places(chunk.len(), 6)
        ));
        for entry in chunk {
            let sequence = i64::try_from(entry.sequence).map_err(|_| StoreError::Unstorable {
                what: "a sequence number of 2^63 or more",
            })?;
            statement = statement
                .text(tenant.as_str())
                .text(run.clone())
                .number(sequence)
                .number(entry.at.micros())
                .text(stored::event::kind(&entry.event))
                .json(stored::event::write(&entry.event));
        }
        Ok(statement)
    };
    entries.chunks(CHUNK).map(insert).collect()
}

/// The status that the entries give a run, if one of them is a last one.
pub(crate) fn status_after(entries: &[JournalEntry]) -> Option<RunStatus> {
    entries.iter().rev().find_map(|it| match it.event {
        RunEvent::RunCompleted => Some(RunStatus::Completed),
        RunEvent::RunFailed { .. } => Some(RunStatus::Failed),
        _ => None,
    })
}

/// Sequence, time and body, from a column on.
fn entry(row: &Row, column: usize) -> Result<JournalEntry, StoreError> {
    let sequence = u64::try_from(row.number(column)?)
        .map_err(|_| StoreError::unreadable("an entry's sequence number"))?;
    Ok(JournalEntry {
        sequence,
        at: Timestamp::from_micros(row.number(column + 1)?),
        event: stored::event::read(row.text(column + 2)?)?,
    })
}
