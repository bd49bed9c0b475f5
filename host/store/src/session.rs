//! Sessions: made, found, listed, changed and deleted; what their runs leave in them.

use std::collections::HashMap;

use serde_json::{Map, Value};
use stepmill_core::audit::AuditNote;
use stepmill_core::ids::{ComponentId, SessionId, UserId};
use stepmill_core::principal::Sees;
use stepmill_core::time::Timestamp;

use crate::audit;
use crate::database::{Row, Statement};
use crate::error::StoreError;
use crate::run::{SessionEntry, seen};
use crate::store::TenantStore;
use crate::stored;
use crate::usage::ModelUsage;

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSession {
    /// Chosen by the client or made by the host.
    pub id: SessionId,
    /// Who it belongs to; `None`: nobody, and everybody in the tenant may enter.
    pub user: Option<UserId>,
    /// The workflow it was made for.
    pub workflow: Option<ComponentId>,
    /// As a client named it.
    pub name: Option<String>,
    /// Its state; `None` where nobody ever said anything.
    pub state: Option<Map<String, Value>>,
    /// As a client wrote it.
    pub metadata: Option<Map<String, Value>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used or changed.
    pub updated_at: Timestamp,
}

/// A session with what its runs say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionOverview {
    /// The session.
    pub session: StoredSession,
    /// The message of its first run that the caller sees; empty where its name is shown instead.
    pub opening: Option<String>,
    /// What its ended runs used, by model, in the order of first use.
    pub usage: Vec<ModelUsage>,
}

/// What a run finds in a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionBefore {
    /// Its state.
    pub state: Map<String, Value>,
    /// Its metadata.
    pub metadata: Map<String, Value>,
}

/// What is changed; `None` leaves a part as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionChange {
    /// The name.
    pub name: Option<String>,
    /// The whole state.
    pub state: Option<Map<String, Value>>,
    /// The whole metadata.
    pub metadata: Option<Map<String, Value>>,
}

/// Which sessions are wanted; what is not said lets all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of one user.
    pub user: Option<UserId>,
    /// Made for one workflow.
    pub workflow: Option<ComponentId>,
    /// With this in the name; ASCII letters in either case.
    pub name: Option<String>,
}

/// What sessions are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKey {
    /// When they were made.
    CreatedAt,
    /// When they were last used.
    UpdatedAt,
    /// Their ids.
    Id,
    /// Their owners.
    User,
    /// Their workflows.
    Workflow,
}

/// A part of a sorted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionPage {
    /// Sorted by.
    pub key: SessionKey,
    /// From the largest to the smallest.
    pub descending: bool,
    /// How many are left out at the beginning.
    pub offset: u64,
    /// The most that are given.
    pub limit: u32,
}

/// A page of sessions. Each is read when its turn comes: what its texts unfold to is held for one
/// session at a time.
#[derive(Default)]
pub struct SessionList {
    rows: std::vec::IntoIter<Row>,
    usage: HashMap<String, Vec<ModelUsage>>,
}

impl Iterator for SessionList {
    type Item = Result<SessionOverview, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(overview(&row, &mut self.usage))
    }
}

/// All columns of a [`SessionOverview`] but its usage, in the order [`overview`] reads them.
fn select(sees: Sees<'_>) -> Statement<'_> {
    let statement = Statement::new(
        "select id, user_id, workflow_id, name, state, metadata, created_at, updated_at,
            (select case when sessions.name is null then input else '\"\"' end from runs
                where runs.tenant_id = sessions.tenant_id and runs.session_id = sessions.id",
    );
    seen(statement, sees).and(" order by created_at, id limit 1) from sessions")
}

impl TenantStore {
    /// Makes a session.
    ///
    /// # Errors
    /// [`StoreError::SessionExists`]; [`StoreError::Unstorable`].
    pub async fn session_create(&self, session: &StoredSession) -> Result<(), StoreError> {
        let object = |it: &Option<Map<String, Value>>| it.as_ref().map(stored::object).transpose();
        let statement = Statement::new(
            "insert into sessions (
                tenant_id, id, user_id, workflow_id, name, state, metadata, created_at, updated_at
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (tenant_id, id) do nothing",
        )
        .text(self.tenant.as_str())
        .text(session.id.as_str())
        .maybe_text(session.user.as_ref().map(UserId::as_str))
        .maybe_text(session.workflow.as_ref().map(ComponentId::as_str))
        .maybe_text(name(session.name.as_deref())?)
        .maybe_json(object(&session.state)?)
        .maybe_json(object(&session.metadata)?)
        .number(session.created_at.micros())
        .number(session.updated_at.micros());
        match self.write("make a session", vec![statement]).await? {
            0 => Err(StoreError::SessionExists),
            _ => Ok(()),
        }
    }

    /// One session. None if there is none, or it is another user's.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn session_find(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
    ) -> Result<Option<SessionOverview>, StoreError> {
        let statement = select(sees)
            .and(" where tenant_id = ? and id = ?")
            .text(self.tenant.as_str())
            .text(session.as_str());
        let rows = self.database.read("find a session", seen(statement, sees)).await?;
        self.session_rows(rows).await?.next().transpose()
    }

    /// The state and the metadata that a run of `user` finds which enters a session. None if there
    /// is no such session.
    ///
    /// # Errors
    /// [`StoreError::SessionForeign`] if it has an owner that `entry` does not let pass: what is
    /// in it must not show in what the caller is told. [`StoreError::Unreadable`].
    pub async fn session_before(
        &self,
        session: &SessionId,
        user: Option<&UserId>,
        entry: SessionEntry,
    ) -> Result<Option<SessionBefore>, StoreError> {
        let statement = Statement::new(
            "select state, metadata,
                case when user_id is null or user_id = ? or ? = 1 then 1 else 0 end
            from sessions where tenant_id = ? and id = ?",
        )
        .maybe_text(user.map(UserId::as_str))
        .number(i64::from(entry == SessionEntry::Any))
        .text(self.tenant.as_str())
        .text(session.as_str());
        let rows = self.database.read("read a session's state", statement).await?;
        if let Some(row) = rows.first()
            && row.number(2)? == 0
        {
            return Err(StoreError::SessionForeign);
        }
        let before = |row: &Row| {
            Ok(SessionBefore {
                state: object(row, 0, "state")?.unwrap_or_default(),
                metadata: object(row, 1, "metadata")?.unwrap_or_default(),
            })
        };
        rows.first().map(before).transpose()
    }

    /// A page of the sessions that the filter lets through, without other users', while they hold
    /// `bytes` at most, and how many there are in all.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; the database's.
    pub async fn session_list(
        &self,
        sees: Sees<'_>,
        filter: &SessionFilter,
        page: SessionPage,
        bytes: usize,
    ) -> Result<(SessionList, u64), StoreError> {
        let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
        let wanted = |select| {
            let statement = Statement::and(select, " where tenant_id = ?");
            let statement = statement.text(self.tenant.as_str());
            filtered(seen(statement, sees), filter)
        };
        let count = wanted(Statement::new("select count(*) from sessions"));
        let rows = self.database.read("count sessions", count).await?;
        let total = rows.first().map_or(Ok(0), |it| it.number(0))?.unsigned_abs();
        let statement = wanted(select(sees)).and(order(page.key, page.descending));
        let statement = statement.and(" limit ? offset ?").number(page.limit.into()).number(offset);
        let [rows] = self.database.read_within("list sessions", bytes, [statement]).await?;
        Ok((self.session_rows(rows).await?, total))
    }

    async fn session_rows(&self, rows: Vec<Row>) -> Result<SessionList, StoreError> {
        let ids = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let usage = self.usage_of(&ids).await?;
        Ok(SessionList { rows: rows.into_iter(), usage })
    }

    /// Changes a session. Gives whether there is one that the caller sees.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unstorable`].
    pub async fn session_change(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
        change: &SessionChange,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let object = |it: &Option<Map<String, Value>>| it.as_ref().map(stored::object).transpose();
        let statement = Statement::new(
            "update sessions set name = coalesce(?, name), state = coalesce(?, state),
            metadata = coalesce(?, metadata), updated_at = ? where tenant_id = ? and id = ?",
        )
        .maybe_text(name(change.name.as_deref())?)
        .maybe_json(object(&change.state)?)
        .maybe_json(object(&change.metadata)?)
        .number(at.micros())
        .text(self.tenant.as_str())
        .text(session.as_str());
        Ok(0 < self.write("change a session", vec![seen(statement, sees)]).await?)
    }

    /// Removes a session with its runs and their journals. Gives whether there was one that the
    /// caller sees. A run under way in it finds its place gone, and ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn session_delete(
        &self,
        sees: Sees<'_>,
        session: &SessionId,
        note: &AuditNote,
    ) -> Result<bool, StoreError> {
        let known = self.session_seen(sees, session);
        if self.database.read("find a session", known).await?.is_empty() {
            return Ok(false);
        }
        let tenant = self.tenant.as_str();
        // What `head` finds in the session, if the caller still sees it. All it asks for is the
        // tenant.
        let inside = |head: &'static str, tail: &'static str| {
            let mut statement = Statement::new(head);
            for _ in head.matches('?') {
                statement = statement.text(tenant);
            }
            let statement =
                statement.and("(select id from sessions where tenant_id = ? and id = ?");
            seen(statement.text(tenant).text(session.as_str()), sees).and(tail)
        };
        // Who writes to the runs meanwhile waits, and finds them gone. Runs before the session,
        // as a run's end takes them.
        let locks = [
            inside(
                "select id from runs where tenant_id = ? and session_id in ",
                ") order by id for update",
            ),
            inside("select id from sessions where tenant_id = ? and id in ", ") for update"),
        ];
        let mut statements: Vec<_> =
            locks.into_iter().filter_map(|it| self.database.lock(it)).collect();
        let noted = audit::noted_of(tenant, note, "sessions where tenant_id = ? and id = ?");
        statements.push(seen(noted.text(tenant).text(session.as_str()), sees));
        statements.extend([
            inside(
                "delete from events where tenant_id = ? and run_id in
                (select id from runs where tenant_id = ? and session_id in ",
                "))",
            ),
            inside("delete from runs where tenant_id = ? and session_id in ", ")"),
            inside("delete from session_usage where tenant_id = ? and session_id in ", ")"),
            inside("delete from sessions where tenant_id = ? and id in ", ")"),
        ]);
        self.write("delete a session", statements).await?;
        Ok(true)
    }

    /// A row if there is a session that the caller sees.
    pub(crate) fn session_seen<'a>(
        &'a self,
        sees: Sees<'a>,
        session: &'a SessionId,
    ) -> Statement<'a> {
        let statement = Statement::new("select 1 from sessions where tenant_id = ? and id = ?")
            .text(self.tenant.as_str())
            .text(session.as_str());
        seen(statement, sees)
    }
}

/// A name goes into a column of its own, where PostgreSQL keeps no U+0000.
fn name(name: Option<&str>) -> Result<Option<&str>, StoreError> {
    match name {
        Some(name) if name.contains('\0') => {
            Err(StoreError::Unstorable { what: "a session's name with the character U+0000" })
        }
        name => Ok(name),
    }
}

fn filtered<'a>(mut statement: Statement<'a>, filter: &'a SessionFilter) -> Statement<'a> {
    if let Some(user) = &filter.user {
        statement = statement.and(" and user_id = ?").text(user.as_str());
    }
    if let Some(workflow) = &filter.workflow {
        statement = statement.and(" and workflow_id = ?").text(workflow.as_str());
    }
    match &filter.name {
        None => {}
        Some(name) if name.is_empty() => statement = statement.and(" and name is not null"),
        // No name has it, and neither database compares it.
        Some(name) if name.contains('\0') => statement = statement.and(" and 1 = 0"),
        Some(name) => {
            // In this column's collation both databases know ASCII's small letters only.
            let condition = " and replace(lower(name), ?, '') <> lower(name)";
            statement = statement.and(condition).text(name.to_ascii_lowercase());
        }
    }
    statement
}

fn order(key: SessionKey, descending: bool) -> &'static str {
    match (key, descending) {
        (SessionKey::CreatedAt, true) => " order by created_at desc, id desc",
        (SessionKey::CreatedAt, false) => " order by created_at, id",
        (SessionKey::UpdatedAt, true) => " order by updated_at desc, id desc",
        (SessionKey::UpdatedAt, false) => " order by updated_at, id",
        (SessionKey::Id, true) => " order by id desc",
        (SessionKey::Id, false) => " order by id",
        (SessionKey::User, true) => " order by coalesce(user_id, '') desc, created_at, id",
        (SessionKey::User, false) => " order by coalesce(user_id, ''), created_at, id",
        (SessionKey::Workflow, true) => " order by coalesce(workflow_id, '') desc, created_at, id",
        (SessionKey::Workflow, false) => " order by coalesce(workflow_id, ''), created_at, id",
    }
}

fn object(row: &Row, column: usize, what: &str) -> Result<Option<Map<String, Value>>, StoreError> {
    let text = row.maybe_text(column)?;
    text.map(|it| stored::parse(&format!("a session's {what}"), it)).transpose()
}

fn overview(
    row: &Row,
    usage: &mut HashMap<String, Vec<ModelUsage>>,
) -> Result<SessionOverview, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("a session's {what}"));
    let user = row.maybe_text(1)?.map(UserId::new).transpose();
    let workflow = row.maybe_text(2)?.map(ComponentId::new).transpose();
    let opening = row.maybe_text(8)?;
    Ok(SessionOverview {
        session: StoredSession {
            id: SessionId::new(row.text(0)?).map_err(|_| unreadable("id"))?,
            user: user.map_err(|_| unreadable("user"))?,
            workflow: workflow.map_err(|_| unreadable("workflow"))?,
            name: row.maybe_text(3)?.map(str::to_owned),
            state: object(row, 4, "state")?,
            metadata: object(row, 5, "metadata")?,
            created_at: Timestamp::from_micros(row.number(6)?),
            updated_at: Timestamp::from_micros(row.number(7)?),
        },
        opening: opening.map(|it| stored::parse("a run's input", it)).transpose()?,
        usage: usage.remove(row.text(0)?).unwrap_or_default(),
    })
}
