//! What runs leave in their sessions when they end: what they used, and the state.

use std::collections::HashMap;

use serde_json::{Map, Value};
use stepmill_core::change::ObjectChange;
use stepmill_core::ids::SessionId;
use stepmill_core::time::Timestamp;

use crate::database::{Statement, places};
use crate::error::StoreError;
use crate::run::LIST_BYTES;
use crate::spending::Spending;
use crate::store::TenantStore;
use crate::stored;

/// What was used of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUsage {
    /// The model's id.
    pub model: String,
    /// How it was spoken to.
    pub api: String,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// When it first answered.
    pub first_at: Timestamp,
}

/// What a run leaves when it ends: in its session, and in what the day has spent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Closing {
    /// What it used.
    pub usage: Vec<ModelUsage>,
    /// What it changed in the session's state, if it did.
    pub state: Option<StateChange>,
    /// What its last calls used, unless it was noted before.
    pub spent: Vec<Spending>,
}

/// What is changed in a session's state. It is made in what the session holds when it is written,
/// so that of two changes at the same moment neither undoes what it did not touch.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// What becomes of it.
    pub change: ObjectChange,
    /// The most bytes that the state may have then, as JSON.
    pub limit: usize,
}

impl StateChange {
    fn revise(&self, held: Option<&str>) -> Result<String, StoreError> {
        let held = held.map(|it| stored::parse("a session's state", it)).transpose()?;
        let mut state: Map<String, Value> = held.unwrap_or_default();
        self.change.apply(&mut state);
        let text = stored::object(&state)?;
        if self.limit < text.len() {
            return Err(StoreError::StateTooLarge { limit: self.limit });
        }
        Ok(text)
    }
}

impl TenantStore {
    /// Statements that leave in a session what a run used and changed.
    pub(crate) fn session_leave<'a>(
        &'a self,
        session: &'a SessionId,
        at: Timestamp,
        closing: &Closing,
    ) -> Vec<Statement<'a>> {
        let mut statements = vec![self.session_use(session, at, closing.state.clone())];
        for usage in &closing.usage {
            let statement = Statement::new(
                "insert into session_usage (
                    tenant_id, session_id, model, api, input_tokens, output_tokens, first_at
                ) values (?, ?, ?, ?, ?, ?, ?)
                on conflict (tenant_id, session_id, model, api) do update set
                    input_tokens = session_usage.input_tokens + excluded.input_tokens,
                    output_tokens = session_usage.output_tokens + excluded.output_tokens",
            )
            .text(self.tenant.as_str())
            .text(session.as_str())
            // PostgreSQL keeps no U+0000 in a text; a graph may name a model so.
            .text(usage.model.replace('\0', "\u{fffd}"))
            .text(usage.api.replace('\0', "\u{fffd}"))
            .number(i64::try_from(usage.input_tokens).unwrap_or(i64::MAX))
            .number(i64::try_from(usage.output_tokens).unwrap_or(i64::MAX))
            .number(usage.first_at.micros());
            statements.push(statement);
        }
        statements
    }

    /// A session is in use, and its state may become another.
    pub(crate) fn session_use<'a>(
        &'a self,
        session: &'a SessionId,
        at: Timestamp,
        state: Option<StateChange>,
    ) -> Statement<'a> {
        let of_session = |statement: Statement<'a>| {
            statement
                .and(" where tenant_id = ? and id = ?")
                .text(self.tenant.as_str())
                .text(session.as_str())
        };
        let Some(state) = state else {
            let used = Statement::new("update sessions set updated_at = ?").number(at.micros());
            return of_session(used);
        };
        let held = of_session(Statement::new("select state from sessions"));
        let changed = Statement::new("update sessions set updated_at = ?, state = ?")
            .number(at.micros())
            .revised(held, move |held| state.revise(held));
        of_session(changed)
    }

    /// What the runs of sessions used, by the session's id.
    pub(crate) async fn usage_of(
        &self,
        sessions: &[&str],
    ) -> Result<HashMap<String, Vec<ModelUsage>>, StoreError> {
        if sessions.is_empty() {
            return Ok(HashMap::new());
        }
        let mut statement = Statement::new(format!(
            "select session_id, model, api, input_tokens, output_tokens, first_at
            from session_usage where tenant_id = ? and session_id in {}
            order by session_id, first_at, model, api",
            places(1, sessions.len())
        ))
        .text(self.tenant.as_str());
        for session in sessions {
            statement = statement.text(*session);
        }
        let doing = "read what sessions used";
        let [rows] = self.database.read_within(doing, LIST_BYTES, [statement]).await?;
        let mut found: HashMap<String, Vec<ModelUsage>> = HashMap::new();
        for row in &rows {
            found.entry(row.text(0)?.to_owned()).or_default().push(ModelUsage {
                model: row.text(1)?.to_owned(),
                api: row.text(2)?.to_owned(),
                input_tokens: row.number(3)?.unsigned_abs(),
                output_tokens: row.number(4)?.unsigned_abs(),
                first_at: Timestamp::from_micros(row.number(5)?),
            });
        }
        Ok(found)
    }
}
