//! What models were asked for, tenant by tenant and day by day. It outlives the runs.

use stepmill_core::budget::Cost;
use stepmill_core::event::JournalEntry;
use stepmill_core::ids::{RunId, TenantId, WorkflowId};
use stepmill_core::time::Day;

use crate::database::{Promise, Row, Statement};
use crate::error::StoreError;
use crate::store::{Store, TenantStore};

/// The most that one row takes of one number at once. Ten thousand such fit into a column.
const MOST: u64 = 1 << 49;

/// What a workflow asked of one model on one day, for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// The day on which the calls began.
    pub day: Day,
    /// Whose the workflow is; none if the operator shares or declares it.
    pub owner: Option<TenantId>,
    /// Which workflow.
    pub workflow: WorkflowId,
    /// The model as the graph names it.
    pub model: String,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What they cost.
    pub cost: Cost,
    /// How many calls there were.
    pub calls: u64,
    /// Of how many of them the provider did not tell everything.
    pub estimated_calls: u64,
}

/// What a workflow spent on one day, for one tenant, on all models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaySpending {
    /// For whom.
    pub tenant: TenantId,
    /// Whose the workflow is; none if the operator shares or declares it.
    pub owner: Option<TenantId>,
    /// Which workflow.
    pub workflow: WorkflowId,
    /// When.
    pub day: Day,
    /// Tokens of prompts and answers.
    pub tokens: u64,
    /// What they cost.
    pub cost: Cost,
}

impl TenantStore {
    /// Adds facts to a run's journal, and what its calls have used to the day's: all or nothing.
    ///
    /// # Errors
    /// As of [`Self::journal_append`].
    pub async fn journal_spend(
        &self,
        run: RunId,
        entries: &[JournalEntry],
        spent: &[Spending],
    ) -> Result<(), StoreError> {
        self.append(run, entries, spent.iter().map(|it| self.spending_insert(it)).collect()).await
    }

    /// Adds what calls have used to the day's, where there is no run any more to note it in.
    ///
    /// # Errors
    /// The database's.
    pub async fn spending_add(&self, spent: &[Spending]) -> Result<(), StoreError> {
        let statements: Vec<_> = spent.iter().map(|it| self.spending_insert(it)).collect();
        if !statements.is_empty() {
            let (doing, share) = ("count what was spent", self.tenant.as_str());
            self.database.write(doing, share, Promise::Progress, statements).await?;
        }
        Ok(())
    }

    pub(crate) fn spending_insert<'a>(&'a self, spent: &Spending) -> Statement<'a> {
        let number = |it: u64| i64::try_from(it.min(MOST)).unwrap_or(i64::MAX);
        Statement::new(
            "insert into spending (
                tenant_id, day, owner_id, workflow_id, model,
                input_tokens, output_tokens, cost, calls, estimated_calls
            ) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (tenant_id, day, owner_id, workflow_id, model) do update set
                input_tokens = spending.input_tokens + excluded.input_tokens,
                output_tokens = spending.output_tokens + excluded.output_tokens,
                cost = spending.cost + excluded.cost,
                calls = spending.calls + excluded.calls,
                estimated_calls = spending.estimated_calls + excluded.estimated_calls",
        )
        .text(self.tenant.as_str())
        .text(spent.day.to_string())
        .text(spent.owner.as_ref().map_or(String::new(), ToString::to_string))
        .text(spent.workflow.to_string())
        // PostgreSQL keeps no U+0000 in a text; a graph may name a model so.
        .text(spent.model.replace('\0', "\u{fffd}"))
        .number(number(spent.input_tokens))
        .number(number(spent.output_tokens))
        .number(number(spent.cost.micros()))
        .number(number(spent.calls))
        .number(number(spent.estimated_calls))
    }

    /// What was spent from one day to another, both included: by day, workflow and model, at most
    /// so many rows.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn spending_list(
        &self,
        from: Day,
        to: Day,
        limit: u32,
    ) -> Result<Vec<Spending>, StoreError> {
        let statement = Statement::new(
            "select day, owner_id, workflow_id, model,
                input_tokens, output_tokens, cost, calls, estimated_calls
            from spending where tenant_id = ? and day >= ? and day <= ?
            order by day, workflow_id, owner_id, model limit ?",
        )
        .text(self.tenant.as_str())
        .text(from.to_string())
        .text(to.to_string())
        .number(limit.into());
        let rows = self.database.read("read what was spent", statement).await?;
        rows.iter().map(spending).collect()
    }
}

impl Store {
    /// What all tenants have spent since a day, by workflow and day.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn spending_since(&self, day: Day) -> Result<Vec<DaySpending>, StoreError> {
        // The sum of bigints is a numeric in PostgreSQL.
        let statement = Statement::new(
            "select tenant_id, owner_id, workflow_id, day,
                cast(sum(input_tokens + output_tokens) as bigint), cast(sum(cost) as bigint)
            from spending where day >= ? group by tenant_id, owner_id, workflow_id, day",
        )
        .text(day.to_string());
        let rows = self.database.read("read what was spent", statement).await?;
        let read = |row: &Row| {
            Ok(DaySpending {
                tenant: TenantId::new(row.text(0)?).map_err(|_| unreadable("tenant"))?,
                owner: owner(row.text(1)?)?,
                workflow: workflow(row.text(2)?)?,
                day: read_day(row.text(3)?)?,
                tokens: row.number(4)?.unsigned_abs(),
                cost: Cost::from_micros(row.number(5)?.unsigned_abs()),
            })
        };
        rows.iter().map(read).collect()
    }
}

fn spending(row: &Row) -> Result<Spending, StoreError> {
    Ok(Spending {
        day: read_day(row.text(0)?)?,
        owner: owner(row.text(1)?)?,
        workflow: workflow(row.text(2)?)?,
        model: row.text(3)?.to_owned(),
        input_tokens: row.number(4)?.unsigned_abs(),
        output_tokens: row.number(5)?.unsigned_abs(),
        cost: Cost::from_micros(row.number(6)?.unsigned_abs()),
        calls: row.number(7)?.unsigned_abs(),
        estimated_calls: row.number(8)?.unsigned_abs(),
    })
}

fn unreadable(what: &str) -> StoreError {
    StoreError::unreadable(format!("the {what} of what was spent"))
}

fn read_day(text: &str) -> Result<Day, StoreError> {
    Day::parse(text).ok_or_else(|| unreadable("day"))
}

fn owner(text: &str) -> Result<Option<TenantId>, StoreError> {
    let owner = (!text.is_empty()).then(|| TenantId::new(text)).transpose();
    owner.map_err(|_| unreadable("owner"))
}

fn workflow(text: &str) -> Result<WorkflowId, StoreError> {
    WorkflowId::new(text).map_err(|_| unreadable("workflow"))
}
