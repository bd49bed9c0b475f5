//! The book of what models were asked for: reserve before a call, commit after it.

use std::collections::{BTreeMap, HashMap};

use super::{Bounds, Budget, Cost, DEFAULT_OUTPUT_TOKENS, MIN_OUTPUT_TOKENS, Price};
use crate::agent::Usage;
use crate::event::StepFailure;
use crate::policy::PolicyScope;
use crate::time::Day;

/// What a call would use at most, and who bounds it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What covers the run.
    pub bounds: Bounds,
    /// The most tokens of the prompt: [`super::most_input_tokens`].
    pub input_tokens: u64,
    /// The most tokens of the answer that the graph asks for.
    pub output_tokens: Option<u32>,
    /// What earlier calls of the run have used.
    pub run_tokens: u64,
    /// What the model's tokens cost; none if nothing is said of it.
    pub price: Option<Price>,
}

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A scope bounds what a day costs, and nobody says what the model costs.
    NoPrice,
    /// It does not fit into what a run, or a whole day, may use.
    TooSmall,
    /// The day's tokens or money are spent. Another day brings new ones.
    Exhausted,
    /// Calls under way hold what it needs of this scope.
    Held(PolicyScope),
}

impl Ask {
    /// The most tokens that the call can use, if nothing lowers its answer.
    pub fn most_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(wanted(self).0)
    }
}

impl Refusal {
    /// What a step fails of because of this.
    pub fn step_failure(&self) -> StepFailure {
        match self {
            Self::NoPrice => StepFailure::ModelNotPriced,
            Self::TooSmall => StepFailure::BudgetTooSmall,
            Self::Exhausted => StepFailure::BudgetExhausted,
            Self::Held(_) => StepFailure::BudgetBusy,
        }
    }
}

/// A call that may be made, and what is held for it. It has to be handed back, in one of the
/// three ways in which a call ends.
#[derive(Debug)]
#[must_use = "what is held stays held until it is handed back"]
pub struct Reservation {
    day: Day,
    scopes: Vec<PolicyScope>,
    input_tokens: u64,
    output_tokens: u64,
    cost: Cost,
    price: Price,
    /// The most tokens of the answer to be asked for; none if nobody bounds it.
    pub output_cap: Option<u32>,
}

/// What a call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// The day it began on.
    pub day: Day,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// What it cost.
    pub cost: Cost,
    /// Whether nobody told all of it, so that the most it can have been is in here.
    pub is_estimate: bool,
    /// Whether it is more than was reserved.
    pub is_over: bool,
}

impl Charge {
    /// Tokens of prompt and answer.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// What one scope spent on one day, and what is held for calls under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    tokens: Column,
    /// In millionths.
    cost: Column,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Column {
    spent: u64,
    held: u64,
}

/// The book of a host: by day, and in each by scope.
///
/// Law: as long as no provider reports more than was reserved, nothing that is committed exceeds
/// a bound which held while it was reserved.
#[derive(Debug, Default)]
pub struct Ledger {
    days: BTreeMap<Day, HashMap<PolicyScope, Account>>,
    /// Calls under way.
    calls: HashMap<PolicyScope, u32>,
}

/// One bound of a day, and how it stands.
struct DayBound<'a> {
    scope: &'a PolicyScope,
    /// None: it bounds tokens.
    price: Option<Price>,
    cap: u64,
    column: Column,
}

impl DayBound<'_> {
    /// How many tokens of an answer fit beside a prompt, where `taken` is gone; none if the
    /// prompt alone does not fit.
    fn fitting(&self, taken: u64, input_tokens: u64) -> Option<u64> {
        let room = self.cap.saturating_sub(taken);
        match &self.price {
            None => room.checked_sub(input_tokens),
            Some(price) => price.affordable(Cost::from_micros(room), input_tokens),
        }
    }
}

impl Ledger {
    /// How many days the book goes back. A clock that is set back by more makes no earlier day,
    /// for what was spent on it is no longer in the book.
    pub const DAYS: i32 = 7;

    /// Enters what was spent in an earlier life of the host.
    pub fn enter(&mut self, day: Day, scopes: &[PolicyScope], tokens: u64, cost: Cost) {
        for scope in scopes {
            let account = self.account(day, scope);
            account.tokens.spent = account.tokens.spent.saturating_add(tokens);
            account.cost.spent = account.cost.spent.saturating_add(cost.micros());
        }
    }

    /// Whether a call would fit, whoever else is making one at the moment. The answer may be
    /// another one when the call is made.
    ///
    /// # Errors
    /// As of [`Self::reserve`], without regard to calls at once.
    pub fn check(&self, today: Day, ask: &Ask) -> Result<(), Refusal> {
        self.fit(self.open_day(today), ask).map(|_| ())
    }

    /// Holds the most that a call can use. An answer that would not fit whole into what is left
    /// is cut to that; one that would not fit only because of others under way is not.
    ///
    /// # Errors
    /// There is not enough left.
    pub fn reserve(&mut self, today: Day, ask: &Ask) -> Result<Reservation, Refusal> {
        let day = self.open_day(today);
        let (output_tokens, output_cap) = self.fit(day, ask)?;
        let under_way = |scope: &PolicyScope| self.calls.get(scope).copied().unwrap_or_default();
        let is_full = |(scope, budget): &&(PolicyScope, Budget)| {
            budget.concurrent.is_some_and(|most| most <= under_way(scope))
        };
        if let Some((scope, _)) = ask.bounds.iter().find(is_full) {
            return Err(Refusal::Held(scope.clone()));
        }
        let price = ask.price.unwrap_or_default();
        let reservation = Reservation {
            day,
            scopes: ask.bounds.iter().map(|(scope, _)| scope.clone()).collect(),
            input_tokens: ask.input_tokens,
            output_tokens,
            cost: price.most(ask.input_tokens, output_tokens),
            price,
            output_cap,
        };
        let tokens = reservation.tokens();
        for scope in &reservation.scopes {
            let calls = self.calls.entry(scope.clone()).or_default();
            *calls = calls.saturating_add(1);
            let account = self.account(day, scope);
            account.tokens.held = account.tokens.held.saturating_add(tokens);
            account.cost.held = account.cost.held.saturating_add(reservation.cost.micros());
        }
        self.days = self.days.split_off(&self.oldest());
        Ok(reservation)
    }

    /// Hands a reservation back with what the provider says was used. What it does not say counts
    /// as all that was held for it. What it says beyond that counts too: it cannot be undone.
    pub fn commit(&mut self, reservation: Reservation, usage: &Usage) -> Charge {
        let told = |said: u64, held: u64| if said == 0 { held } else { said };
        let is_estimate = usage.input_tokens == 0 || usage.output_tokens == 0;
        let usage = Usage {
            input_tokens: told(usage.input_tokens, reservation.input_tokens),
            output_tokens: told(usage.output_tokens, reservation.output_tokens),
            ..*usage
        };
        let charge = Charge {
            day: reservation.day,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost: reservation.price.of(&usage),
            is_estimate,
            is_over: false,
        };
        self.settle(&reservation, charge)
    }

    /// Hands a reservation back as used up: the call was made, and nobody knows what it used.
    pub fn commit_whole(&mut self, reservation: Reservation) -> Charge {
        let charge = Charge {
            day: reservation.day,
            input_tokens: reservation.input_tokens,
            output_tokens: reservation.output_tokens,
            cost: reservation.cost,
            is_estimate: true,
            is_over: false,
        };
        self.settle(&reservation, charge)
    }

    /// Hands a reservation back unused: the call was not made, or cost nothing.
    pub fn release(&mut self, reservation: Reservation) {
        self.let_go(&reservation);
    }

    /// Counts a call that an earlier life of the host made and did not hear the answer of: the
    /// most it can have used. What it had reserved fitted beside all that was committed since, so
    /// that is no more than what is left.
    pub fn count_lost(&mut self, day: Day, ask: &Ask) -> Charge {
        let wanted = wanted(ask).0;
        let day = self.open_day(day);
        let left = self.day_bounds(day, ask);
        let left = left.map(|it| it.fitting(it.column.spent, ask.input_tokens).unwrap_or_default());
        let output_tokens = left.fold(wanted, u64::min);
        let price = ask.price.unwrap_or_default();
        let cost = price.most(ask.input_tokens, output_tokens);
        let charge = Charge {
            day,
            input_tokens: ask.input_tokens,
            output_tokens,
            cost,
            is_estimate: true,
            is_over: false,
        };
        let scopes: Vec<_> = ask.bounds.iter().map(|(scope, _)| scope.clone()).collect();
        self.enter(day, &scopes, charge.tokens(), cost);
        charge
    }

    /// What a scope has spent on a day: tokens, and money.
    pub fn spent(&self, day: Day, scope: &PolicyScope) -> (u64, Cost) {
        let account = self.read(day, scope);
        (account.tokens.spent, Cost::from_micros(account.cost.spent))
    }

    /// How many tokens of an answer may be reserved, and the cap that makes it so.
    fn fit(&self, day: Day, ask: &Ask) -> Result<(u64, Option<u32>), Refusal> {
        let (wanted, is_bound) = wanted(ask);
        let least = wanted.min(MIN_OUTPUT_TOKENS.into());
        let is_enough = |fits: Option<u64>| fits.filter(|it| least <= *it);
        let budgets = || ask.bounds.iter().map(|(_, budget)| budget);
        if ask.price.is_none() && budgets().any(|it| it.cost_per_day.is_some()) {
            return Err(Refusal::NoPrice);
        }
        let used = ask.run_tokens.saturating_add(ask.input_tokens);
        let mut fits = wanted;
        for most in budgets().filter_map(|it| it.tokens_per_run) {
            fits = fits.min(is_enough(most.checked_sub(used)).ok_or(Refusal::TooSmall)?);
        }
        let mut is_exhausted = false;
        for it in self.day_bounds(day, ask) {
            is_enough(it.fitting(0, ask.input_tokens)).ok_or(Refusal::TooSmall)?;
            match is_enough(it.fitting(it.column.spent, ask.input_tokens)) {
                Some(left) => fits = fits.min(left),
                None => is_exhausted = true,
            }
        }
        if is_exhausted {
            return Err(Refusal::Exhausted);
        }
        for it in self.day_bounds(day, ask) {
            let taken = it.column.spent.saturating_add(it.column.held);
            if it.fitting(taken, ask.input_tokens).is_none_or(|free| free < fits) {
                return Err(Refusal::Held(it.scope.clone()));
            }
        }
        // Never more than was wanted, which is a number of 32 bits.
        let cap = is_bound.then(|| u32::try_from(fits).unwrap_or(u32::MAX));
        Ok((fits, cap))
    }

    fn day_bounds<'a>(&'a self, day: Day, ask: &'a Ask) -> impl Iterator<Item = DayBound<'a>> {
        ask.bounds.iter().flat_map(move |(scope, budget)| {
            let tokens = budget.tokens_per_day.map(|cap| DayBound {
                scope,
                price: None,
                cap,
                column: self.read(day, scope).tokens,
            });
            let cost = budget.cost_per_day.map(|cap| DayBound {
                scope,
                price: Some(ask.price.unwrap_or_default()),
                cap: cap.micros(),
                column: self.read(day, scope).cost,
            });
            tokens.into_iter().chain(cost)
        })
    }

    fn settle(&mut self, reservation: &Reservation, charge: Charge) -> Charge {
        self.let_go(reservation);
        self.enter(reservation.day, &reservation.scopes, charge.tokens(), charge.cost);
        let is_over = reservation.input_tokens < charge.input_tokens
            || reservation.output_tokens < charge.output_tokens;
        Charge { is_over, ..charge }
    }

    fn let_go(&mut self, reservation: &Reservation) {
        let (day, tokens) = (reservation.day, reservation.tokens());
        for scope in &reservation.scopes {
            if let Some(calls) = self.calls.get_mut(scope) {
                *calls = calls.saturating_sub(1);
                if *calls == 0 {
                    self.calls.remove(scope);
                }
            }
            let account = self.account(day, scope);
            account.tokens.held = account.tokens.held.saturating_sub(tokens);
            account.cost.held = account.cost.held.saturating_sub(reservation.cost.micros());
        }
    }

    fn account(&mut self, day: Day, scope: &PolicyScope) -> &mut Account {
        self.days.entry(day).or_default().entry(scope.clone()).or_default()
    }

    fn read(&self, day: Day, scope: &PolicyScope) -> Account {
        self.days.get(&day).and_then(|it| it.get(scope)).copied().unwrap_or_default()
    }

    /// The day that counts: what the clock says, unless the book does not go back so far.
    fn open_day(&self, today: Day) -> Day {
        today.max(self.oldest())
    }

    /// The first day of the book.
    fn oldest(&self) -> Day {
        let newest = self.days.last_key_value().map(|(day, _)| day.back(Self::DAYS));
        newest.unwrap_or(Day::from_number(i32::MIN))
    }
}

impl Reservation {
    fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// The most tokens of an answer that anybody asks for, and whether somebody bounds them.
fn wanted(ask: &Ask) -> (u64, bool) {
    let budgets = || ask.bounds.iter().map(|(_, budget)| budget);
    let of_answers = budgets().filter_map(|it| it.output_tokens);
    let most = of_answers.chain(ask.output_tokens).min();
    let is_bound = most.is_some()
        || budgets().any(|it| {
            it.tokens_per_run.is_some() || it.tokens_per_day.is_some() || it.cost_per_day.is_some()
        });
    (most.unwrap_or(DEFAULT_OUTPUT_TOKENS).into(), is_bound)
}

#[cfg(test)]
mod tests;
