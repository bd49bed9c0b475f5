//! What a tenant's models were asked for, and what its budgets leave for today.

use stepmill_core::budget::{Budget, Cost};
use stepmill_core::ids::TenantId;
use stepmill_core::policy::PolicyScope;
use stepmill_core::principal::Principal;
use stepmill_core::scope::Right;
use stepmill_core::time::Day;
use stepmill_store::Spending;

use super::clock::now;
use super::error::AppError;
use super::wiring::App;

/// To read what the whole tenant uses. Asked also where workflows ask for no scope.
const READ: &str = "usage:read";

/// The most days of one answer: a year.
const DAYS: i64 = 366;

/// The most rows of one answer.
const ROWS: u32 = 10_000;

/// What somebody wants to know.
pub struct ReadUsage {
    /// Whose; `None`: the caller's own.
    pub tenant: Option<TenantId>,
    /// From which day on; `None`: today.
    pub from: Option<Day>,
    /// To which day, included; `None`: today.
    pub to: Option<Day>,
}

/// What was used.
pub struct UsageView {
    /// By whom.
    pub tenant: TenantId,
    /// From which day on.
    pub from: Day,
    /// To which day, included.
    pub to: Day,
    /// By day, workflow and model.
    pub rows: Vec<Spending>,
    /// Every budget that the caller may know of, from the widest scope to the narrowest.
    pub budgets: Vec<BudgetView>,
}

/// A budget, and what of it is spent today.
pub struct BudgetView {
    /// Of what.
    pub scope: PolicyScope,
    /// How much.
    pub budget: Budget,
    /// Tokens of today.
    pub tokens: u64,
    /// What they cost.
    pub cost: Cost,
}

impl App {
    /// What a tenant's models were asked for. Whoever operates the host may name any tenant, and
    /// sees what all tenants together leave of the host's budgets; others see their own.
    ///
    /// # Errors
    /// The caller may not read it, or asks for more than one answer holds.
    pub async fn usage_read(&self, who: &Principal, ask: ReadUsage) -> Result<UsageView, AppError> {
        if !who.holds(Right::new(READ)) {
            return Err(AppError::ScopeMissing(READ));
        }
        let tenant = ask.tenant.unwrap_or_else(|| who.tenant.clone());
        if tenant != who.tenant && !who.is_operator() {
            return Err(AppError::NotOperator);
        }
        let today = Day::of(now());
        let (from, to) = (ask.from.unwrap_or(ask.to.unwrap_or(today)), ask.to.unwrap_or(today));
        if to < from || DAYS <= to.since(from) {
            return Err(AppError::BadDays { most: DAYS });
        }
        let rows = self.store.tenant(&tenant).spending_list(from, to, ROWS + 1).await?;
        if (ROWS as usize) < rows.len() {
            return Err(AppError::TooMuchUsage { rows: ROWS });
        }
        let budgets = self.budget_views(who, &tenant);
        Ok(UsageView { tenant, from, to, rows, budgets })
    }

    fn budget_views(&self, who: &Principal, tenant: &TenantId) -> Vec<BudgetView> {
        let is_shown = |scope: &PolicyScope| match scope {
            // What these leave tells what other tenants do.
            PolicyScope::Host | PolicyScope::Plugin(None, _) => who.is_operator(),
            PolicyScope::Tenant(it) | PolicyScope::Plugin(Some(it), _) => it == tenant,
        };
        let view = |scope: &PolicyScope, budget: Budget| {
            let (tokens, cost) = self.budgets.spent_today(scope);
            BudgetView { scope: scope.clone(), budget, tokens, cost }
        };
        let policies = self.policies.current();
        let budgets = policies.iter().map(|(scope, policy)| (scope, policy.models));
        let shown = budgets.filter(|(scope, it)| *it != Budget::default() && is_shown(scope));
        shown.map(|(scope, budget)| view(scope, budget)).collect()
    }
}
