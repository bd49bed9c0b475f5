//! The audit log: a change and its line are written together or not at all.

use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::ids::{KeyId, TenantId, UserId};
use stepmill_core::time::Timestamp;

use crate::database::{Promise, Row, Statement};
use crate::error::StoreError;
use crate::store::Store;

/// Whose log: a tenant's, or the host's.
pub(crate) const HOST: &str = "";

/// A line as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the log. Later lines have greater ones; some are missing.
    pub sequence: i64,
    /// The line.
    pub note: AuditNote,
    /// How often the same happened in a short while.
    pub times: u64,
}

/// Which lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter {
    /// Only what stands before this place.
    pub before: Option<i64>,
    /// Only this.
    pub action: Option<Action>,
    /// No more than so many.
    pub limit: u32,
}

const INSERT: &str =
    "insert into audit (tenant_id, at, user_id, key_id, action, target, detail, times) ";

/// A statement that writes a line.
pub(crate) fn noted(owner: &str, note: &AuditNote, times: u64) -> Statement<'static> {
    values(Statement::new(format!("{INSERT} values (?, ?, ?, ?, ?, ?, ?, ?)")), owner, note, times)
}

/// A statement that writes a line if there is what is going to be changed: a row that
/// `rest`, such as `plugins where id = ?`, finds. Its arguments are added by the caller.
pub(crate) fn noted_of(owner: &str, note: &AuditNote, rest: &str) -> Statement<'static> {
    // PostgreSQL does not see from a select what kind of parameters these are.
    let sql = format!(
        "{INSERT} select cast(? as text), cast(? as bigint), cast(? as text), cast(? as text), \
         cast(? as text), cast(? as text), cast(? as text), cast(? as bigint) from {rest}"
    );
    values(Statement::new(sql), owner, note, 1)
}

fn values(
    statement: Statement<'static>,
    owner: &str,
    note: &AuditNote,
    times: u64,
) -> Statement<'static> {
    statement
        .text(owner.to_owned())
        .number(note.at.micros())
        .maybe_text(note.actor.user.as_ref().map(ToString::to_string))
        .maybe_text(note.actor.key.map(|it| it.to_string()))
        .text(note.action.word())
        .text(note.target.clone())
        .maybe_text(note.detail.clone())
        .number(i64::try_from(times).unwrap_or(i64::MAX))
}

impl Store {
    /// Writes lines that no change belongs to, each with how often it happened. Those of no
    /// tenant are the host's.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_add(
        &self,
        notes: &[(Option<TenantId>, AuditNote, u64)],
    ) -> Result<(), StoreError> {
        let owner = |it: &Option<TenantId>| it.as_ref().map_or(HOST, TenantId::as_str).to_owned();
        let statements = notes.iter().map(|(of, note, times)| noted(&owner(of), note, *times));
        let statements: Vec<_> = statements.collect();
        if !statements.is_empty() {
            self.database().write("add to the audit log", HOST, Promise::Given, statements).await?;
        }
        Ok(())
    }

    /// The latest lines first, of one tenant or of the host.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn audit_list(
        &self,
        of: Option<&TenantId>,
        filter: AuditFilter,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let statement = Statement::new(
            "select sequence, at, user_id, key_id, action, target, detail, times from audit
            where tenant_id = ? and sequence < ?",
        )
        .text(of.map_or(HOST, TenantId::as_str))
        .number(filter.before.unwrap_or(i64::MAX));
        let statement = match filter.action {
            Some(action) => statement.and(" and action = ?").text(action.word()),
            None => statement,
        };
        let statement =
            statement.and(" order by sequence desc limit ?").number(filter.limit.into());
        let rows = self.database().read("read the audit log", statement).await?;
        rows.iter().map(audit_row).collect()
    }

    /// Removes what is older.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        let statement = Statement::new("delete from audit where at < ?").number(before.micros());
        let doing = "sweep the audit log";
        self.database().write(doing, HOST, Promise::Progress, vec![statement]).await
    }
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("an audit line's {what}"));
    let user = row.maybe_text(2)?.map(UserId::new).transpose();
    let key = row.maybe_text(3)?.map(KeyId::parse).transpose();
    Ok(AuditRow {
        sequence: row.number(0)?,
        note: AuditNote {
            at: Timestamp::from_micros(row.number(1)?),
            actor: Actor {
                user: user.map_err(|_| unreadable("user"))?,
                key: key.map_err(|_| unreadable("key"))?,
            },
            action: Action::parse(row.text(4)?).ok_or_else(|| unreadable("action"))?,
            target: row.text(5)?.to_owned(),
            detail: row.maybe_text(6)?.map(str::to_owned),
        },
        times: row.number(7)?.unsigned_abs(),
    })
}
