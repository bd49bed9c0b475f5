//! `database`: statements to the operator's databases.

use std::sync::Arc;
use std::time::Instant;

use stepmill_core::capability::{Access, Grants};
use stepmill_core::database::{Answer, DatabaseFailure, Statement, Value};
use stepmill_core::ids::DatabaseName;
use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::Meter;
use crate::services::Databases;
use crate::wit::newest::stepmill::plugin::database as wit;
use crate::wit::newest::stepmill::plugin::database::{DatabaseError, Outcome, Rows};

pub(crate) struct Database;

impl HasData for Database {
    type Data<'a> = DatabaseView<'a>;
}

pub(crate) struct DatabaseView<'a> {
    meter: &'a mut Meter,
    grants: &'a Grants,
    databases: Option<&'a Arc<dyn Databases>>,
}

impl DatabaseView<'_> {
    pub(crate) fn of(state: &mut CallState) -> DatabaseView<'_> {
        let site = &state.site;
        let databases = site.databases.as_ref();
        DatabaseView { meter: &mut state.meter, grants: &site.grants, databases }
    }

    /// Counts the statement, and puts it if it was granted. How large it may be, the database's
    /// own caps say.
    async fn ask(
        &mut self,
        access: Access,
        database: String,
        text: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<Answer, DatabaseError>> {
        self.meter.host_call()?;
        let Some(databases) = self.databases.cloned() else {
            return Ok(Err(DatabaseError::NotGranted));
        };
        // What cannot be a name was granted to nobody.
        let name = DatabaseName::new(database).ok();
        let Some(database) = name.filter(|it| self.grants.database(it, access)) else {
            return Ok(Err(DatabaseError::NotGranted));
        };
        self.meter.database_statement()?;
        let parameters = parameters.into_iter().map(Value::from).collect();
        let began = Instant::now();
        let statement = Statement { database, access, text, parameters };
        let ask = async move { databases.database_ask(statement).await };
        let answer =
            self.meter.pace.at_home(ask).await.unwrap_or(Err(DatabaseFailure::Unavailable));
        self.meter.note_wait(began.elapsed());
        Ok(answer.map_err(DatabaseError::from))
    }
}

impl wit::Host for DatabaseView<'_> {
    async fn query(
        &mut self,
        database: String,
        statement: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<Rows, DatabaseError>> {
        let answer = self.ask(Access::Read, database, statement, parameters).await?;
        Ok(answer.map(rows))
    }

    async fn execute(
        &mut self,
        database: String,
        statement: String,
        parameters: Vec<wit::Value>,
    ) -> wasmtime::Result<Result<Outcome, DatabaseError>> {
        let answer = self.ask(Access::Write, database, statement, parameters).await?;
        Ok(answer.map(|it| Outcome { changed: it.changed, returned: rows(it) }))
    }
}

fn rows(answer: Answer) -> Rows {
    let row = |it: Vec<Value>| it.into_iter().map(wit::Value::from).collect();
    Rows { columns: answer.columns, rows: answer.rows.into_iter().map(row).collect() }
}

impl From<DatabaseFailure> for DatabaseError {
    fn from(failure: DatabaseFailure) -> Self {
        match failure {
            DatabaseFailure::Unknown => Self::Unknown,
            DatabaseFailure::Invalid(text) => Self::Invalid(text),
            DatabaseFailure::TooLarge => Self::TooLarge,
            DatabaseFailure::TimedOut => Self::TimedOut,
            DatabaseFailure::Unavailable => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::capability::Capability;
    use wit::Host;

    use super::super::testing::state;
    use super::*;
    use crate::meter::Overrun;
    use crate::settings::CallLimits;

    fn granted(words: &[&str]) -> Vec<Capability> {
        words.iter().map(|it| Capability::parse(it).unwrap()).collect()
    }

    async fn query(
        state: &mut CallState,
        database: &str,
        text: &str,
    ) -> Result<Rows, DatabaseError> {
        let parameters = vec![wit::Value::Integer(7)];
        let mut view = DatabaseView::of(state);
        view.query(database.to_owned(), text.to_owned(), parameters).await.unwrap()
    }

    async fn execute(state: &mut CallState, database: &str) -> Result<Outcome, DatabaseError> {
        let mut view = DatabaseView::of(state);
        view.execute(database.to_owned(), "insert".to_owned(), vec![]).await.unwrap()
    }

    #[tokio::test]
    async fn a_statement_goes_as_far_as_it_was_granted() {
        let grants = granted(&["database:orders", "database:notes:write"]);
        let (mut state, services) = state(&grants, CallLimits::default());
        let rows = query(&mut state, "orders", "select").await.unwrap();
        assert_eq!(rows.columns, ["n"]);
        assert!(matches!(rows.rows[0][0], wit::Value::Integer(7)));
        query(&mut state, "notes", "select").await.unwrap();
        assert_eq!(execute(&mut state, "notes").await.unwrap().changed, 1);
        for database in ["orders", "other", "Orders", ""] {
            let refused = execute(&mut state, database).await;
            assert!(matches!(refused, Err(DatabaseError::NotGranted)), "{database}");
        }
        let refused = query(&mut state, "other", "select").await;
        assert!(matches!(refused, Err(DatabaseError::NotGranted)));
        let asked = ["Read orders: select", "Read notes: select", "Write notes: insert"];
        assert_eq!(*services.0.lock().unwrap(), asked);
    }

    #[tokio::test]
    async fn nothing_goes_out_without_any_grant() {
        let (mut state, services) = state(&[Capability::KeyValue], CallLimits::default());
        let refused = query(&mut state, "orders", "select").await;
        assert!(matches!(refused, Err(DatabaseError::NotGranted)));
        assert!(services.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn failures_have_their_words() {
        let (mut state, _) = state(&granted(&["database:orders"]), CallLimits::default());
        let refused = query(&mut state, "orders", "nonsense").await;
        assert!(matches!(refused, Err(DatabaseError::Invalid(text)) if text == "syntax"));
        let late = query(&mut state, "orders", "late").await;
        assert!(matches!(late, Err(DatabaseError::TimedOut)));
    }

    #[tokio::test]
    async fn statements_are_counted() {
        let limits = CallLimits { database_statements: 1, ..CallLimits::default() };
        let (mut state, _) = state(&granted(&["database:orders"]), limits);
        query(&mut state, "orders", "select").await.unwrap();
        let mut view = DatabaseView::of(&mut state);
        let error = view.query("orders".to_owned(), "select".to_owned(), vec![]).await;
        assert_eq!(error.unwrap_err().downcast_ref(), Some(&Overrun::HostCalls));
    }
}
