//! What models were asked for, as people read it. Money is a decimal in a text.

use serde::Serialize;
use stepmill_core::policy::PolicyScope;
use stepmill_store::Spending;
use utoipa::ToSchema;

use crate::app::{BudgetView, UsageView};
use crate::settings::BudgetForm;

/// What was used, and what is left.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageBody<'a> {
    tenant: &'a str,
    #[schema(format = Date)]
    from: String,
    #[schema(format = Date)]
    to: String,
    /// By day, workflow and model.
    usage: Vec<UsageRow<'a>>,
    /// Each budget, and how it stands today.
    budgets: Vec<BudgetBody<'a>>,
}

/// What a workflow asked of one model on one day.
#[derive(Serialize, ToSchema)]
struct UsageRow<'a> {
    /// The day on which the calls began, in UTC.
    #[schema(format = Date)]
    day: String,
    workflow_id: &'a str,
    /// Whether the workflow is the operator's, for all tenants.
    shared: bool,
    /// As the graph names it.
    model: &'a str,
    input_tokens: u64,
    output_tokens: u64,
    /// In the currency of the price table.
    cost: String,
    calls: u64,
    /// Calls of which the provider did not tell everything: the most they can have used is in here.
    estimated_calls: u64,
}

/// A budget, and what of it is spent today.
#[derive(Serialize, ToSchema)]
struct BudgetBody<'a> {
    /// `host`, `tenant` or `workflow`.
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    workflow_id: Option<&'a str>,
    /// Whether other tenants spend of it too.
    shared: bool,
    budget: BudgetForm,
    tokens_today: u64,
    cost_today: String,
    /// Of `tokens_per_day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokens_left: Option<u64>,
    /// Of `cost_per_day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cost_left: Option<String>,
}

impl<'a> UsageBody<'a> {
    pub(crate) fn of(view: &'a UsageView) -> Self {
        Self {
            tenant: view.tenant.as_str(),
            from: view.from.to_string(),
            to: view.to.to_string(),
            usage: view.rows.iter().map(UsageRow::of).collect(),
            budgets: view.budgets.iter().map(BudgetBody::of).collect(),
        }
    }
}

impl<'a> UsageRow<'a> {
    fn of(row: &'a Spending) -> Self {
        Self {
            day: row.day.to_string(),
            workflow_id: row.workflow.as_str(),
            shared: row.owner.is_none(),
            model: &row.model,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cost: row.cost.to_string(),
            calls: row.calls,
            estimated_calls: row.estimated_calls,
        }
    }
}

impl<'a> BudgetBody<'a> {
    fn of(view: &'a BudgetView) -> Self {
        let (scope, workflow_id, shared) = match &view.scope {
            PolicyScope::Host => ("host", None, true),
            PolicyScope::Tenant(_) => ("tenant", None, false),
            PolicyScope::Plugin(owner, id) => ("workflow", Some(id.as_str()), owner.is_none()),
        };
        let budget = &view.budget;
        Self {
            scope,
            workflow_id,
            shared,
            budget: BudgetForm::of(budget),
            tokens_today: view.tokens,
            cost_today: view.cost.to_string(),
            tokens_left: budget.tokens_per_day.map(|it| it.saturating_sub(view.tokens)),
            cost_left: budget.cost_per_day.map(|it| it.minus(view.cost).to_string()),
        }
    }
}
