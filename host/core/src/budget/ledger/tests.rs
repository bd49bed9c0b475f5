//! What the book holds and what it refuses; and its law, for any order of calls.

use proptest::collection::vec;
use proptest::option::of as maybe;
use proptest::prelude::*;

use super::*;
use crate::ids::{TenantId, WorkflowId};

fn tenant(name: &str) -> PolicyScope {
    PolicyScope::Tenant(TenantId::new(name).unwrap())
}

fn workflow(owner: Option<&str>, name: &str) -> PolicyScope {
    let owner = owner.map(|it| TenantId::new(it).unwrap());
    PolicyScope::Plugin(owner, WorkflowId::new(name).unwrap())
}

fn day(number: i32) -> Day {
    Day::from_number(number)
}

fn cost(micros: u64) -> Cost {
    Cost::from_micros(micros)
}

/// A prompt of a hundred tokens and no bounds.
fn ask() -> Ask {
    Ask {
        bounds: vec![(PolicyScope::Host, Budget::default()), (tenant("acme"), Budget::default())],
        input_tokens: 100,
        output_tokens: None,
        run_tokens: 0,
        price: None,
    }
}

fn bounded(budget: Budget) -> Ask {
    let mut ask = ask();
    ask.bounds[1].1 = budget;
    ask
}

fn a_day(tokens: u64) -> Ask {
    bounded(Budget { tokens_per_day: Some(tokens), ..Budget::default() })
}

fn used(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

#[test]
fn without_bounds_nothing_is_asked_of_the_provider_and_all_is_counted() {
    let mut ledger = Ledger::default();
    let call = ledger.reserve(day(1), &ask()).unwrap();
    assert_eq!(call.output_cap, None);
    let charge = ledger.commit(call, &used(5, 7));
    assert_eq!((charge.tokens(), charge.is_estimate, charge.is_over), (12, false, false));
    assert_eq!(ledger.spent(day(1), &PolicyScope::Host), (12, cost(0)));
    assert_eq!(ledger.spent(day(1), &tenant("acme")), (12, cost(0)));
    assert_eq!(ledger.spent(day(2), &tenant("acme")), (0, cost(0)));
}

#[test]
fn an_answer_is_lowered_to_what_is_left() {
    let mut ledger = Ledger::default();
    let cap = |ledger: &mut Ledger, ask: &Ask| {
        let call = ledger.reserve(day(1), ask)?;
        let cap = call.output_cap;
        ledger.release(call);
        Ok::<_, Refusal>(cap)
    };
    let one = bounded(Budget { output_tokens: Some(50), ..Budget::default() });
    assert_eq!(cap(&mut ledger, &one), Ok(Some(50)));
    assert_eq!(cap(&mut ledger, &Ask { output_tokens: Some(20), ..one }), Ok(Some(20)));
    assert_eq!(cap(&mut ledger, &a_day(1_000_000)), Ok(Some(DEFAULT_OUTPUT_TOKENS)));
    assert_eq!(cap(&mut ledger, &a_day(150)), Ok(Some(50)));
    assert_eq!(cap(&mut ledger, &a_day(116)), Ok(Some(16)));
    assert_eq!(cap(&mut ledger, &a_day(115)), Err(Refusal::TooSmall));
    // Who asks for little needs no more.
    let little = Ask { output_tokens: Some(3), ..a_day(103) };
    assert_eq!(cap(&mut ledger, &little), Ok(Some(3)));

    let a_run = bounded(Budget { tokens_per_run: Some(500), ..Budget::default() });
    assert_eq!(cap(&mut ledger, &Ask { run_tokens: 300, ..a_run.clone() }), Ok(Some(100)));
    let late = Ask { run_tokens: 390, ..a_run };
    assert_eq!(cap(&mut ledger, &late), Err(Refusal::TooSmall));
}

#[test]
fn what_is_spent_waits_for_another_day_and_what_is_held_does_not() {
    let mut ledger = Ledger::default();
    let ask = Ask { output_tokens: Some(100), ..a_day(300) };
    let call = ledger.reserve(day(1), &ask).unwrap();
    assert_eq!(ledger.reserve(day(1), &ask).unwrap_err(), Refusal::Held(tenant("acme")));
    assert_eq!(ledger.check(day(1), &ask), Err(Refusal::Held(tenant("acme"))));
    ledger.release(call);
    let call = ledger.reserve(day(1), &ask).unwrap();
    ledger.commit(call, &used(100, 95));
    assert_eq!(ledger.reserve(day(1), &ask).unwrap_err(), Refusal::Exhausted);
    assert_eq!(ledger.check(day(2), &ask), Ok(()));
}

#[test]
fn money_is_a_bound_where_there_is_a_price() {
    let price = Price { input: cost(1_000_000), cached_input: cost(0), output: cost(2_000_000) };
    let a_day = bounded(Budget { cost_per_day: Some(cost(200)), ..Budget::default() });
    let mut ledger = Ledger::default();
    assert_eq!(ledger.reserve(day(1), &a_day).unwrap_err(), Refusal::NoPrice);
    let priced = Ask { price: Some(price), ..a_day };
    let call = ledger.reserve(day(1), &priced).unwrap();
    assert_eq!(call.output_cap, Some(50));
    assert_eq!(ledger.commit(call, &used(100, 20)).cost, cost(140));
    assert_eq!(ledger.reserve(day(1), &priced).unwrap_err(), Refusal::Exhausted);
    let dear = Ask { input_tokens: 170, ..priced };
    assert_eq!(ledger.reserve(day(2), &dear).unwrap_err(), Refusal::TooSmall);
}

#[test]
fn every_scope_bounds_and_none_takes_back_another() {
    let mut ledger = Ledger::default();
    let mut one = ask();
    one.bounds[0].1.tokens_per_day = Some(1_000);
    one.bounds.push((workflow(None, "w"), Budget { concurrent: Some(1), ..Budget::default() }));
    let call = ledger.reserve(day(1), &one).unwrap();
    assert_eq!(call.output_cap, Some(900));
    let mut other = one.clone();
    other.bounds[0].1 = Budget::default();
    other.bounds[1].0 = tenant("other");
    assert_eq!(ledger.reserve(day(1), &other).unwrap_err(), Refusal::Held(workflow(None, "w")));
    assert_eq!(ledger.check(day(1), &other), Ok(()));
    ledger.commit(call, &used(10, 10));
    assert!(ledger.reserve(day(1), &other).is_ok());
}

#[test]
fn what_nobody_told_counts_whole_and_what_is_told_counts_as_told() {
    let mut ledger = Ledger::default();
    let ask = Ask { output_tokens: Some(100), ..a_day(1_000) };
    let call = ledger.reserve(day(1), &ask).unwrap();
    let charge = ledger.commit(call, &used(0, 7));
    assert_eq!((charge.input_tokens, charge.output_tokens, charge.is_estimate), (100, 7, true));
    let call = ledger.reserve(day(1), &ask).unwrap();
    let charge = ledger.commit_whole(call);
    assert_eq!((charge.tokens(), charge.is_estimate, charge.is_over), (200, true, false));
    let call = ledger.reserve(day(1), &ask).unwrap();
    let charge = ledger.commit(call, &used(90, 2_000));
    assert!(charge.is_over);
    assert_eq!(ledger.spent(day(1), &tenant("acme")).0, 107 + 200 + 2_090);
}

#[test]
fn a_lost_call_counts_as_much_as_it_can_have_had() {
    let mut ledger = Ledger::default();
    let ask = Ask { output_tokens: Some(500), ..a_day(1_000) };
    ledger.enter(day(1), &[tenant("acme")], 700, cost(0));
    let lost = ledger.count_lost(day(1), &ask);
    assert_eq!((lost.input_tokens, lost.output_tokens, lost.is_estimate), (100, 200, true));
    assert_eq!(ledger.spent(day(1), &tenant("acme")).0, 1_000);
    assert_eq!(ledger.count_lost(day(2), &ask).tokens(), 600);
}

#[test]
fn a_clock_that_goes_back_brings_no_new_day() {
    let mut ledger = Ledger::default();
    let ask = Ask { output_tokens: Some(100), ..a_day(200) };
    for today in [day(100), day(101)] {
        let call = ledger.reserve(today, &ask).unwrap();
        ledger.commit_whole(call);
    }
    assert_eq!(ledger.reserve(day(100), &ask).unwrap_err(), Refusal::Exhausted);
    // The book goes back to day 94, and no further: there is one such day, not many.
    let call = ledger.reserve(day(3), &ask).unwrap();
    assert_eq!(ledger.commit_whole(call).day, day(94));
    assert_eq!(ledger.reserve(day(1), &ask).unwrap_err(), Refusal::Exhausted);
}

/// What happens to a call, now or some steps later.
#[derive(Debug, Clone)]
enum Deed {
    /// By which of the tenants' workflows, with how large a prompt and answer.
    Reserve {
        who: usize,
        input: u64,
        output: Option<u32>,
    },
    /// Which of those under way, and how much of each hundred held it used.
    Commit {
        which: usize,
        input: u64,
        output: u64,
    },
    CommitWhole {
        which: usize,
    },
    Release {
        which: usize,
    },
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..4usize, 0..300u64, maybe(1..300u32))
            .prop_map(|(who, input, output)| Deed::Reserve { who, input, output }),
        2 => (0..8usize, 1..=100u64, 1..=100u64)
            .prop_map(|(which, input, output)| Deed::Commit { which, input, output }),
        1 => (0..8usize).prop_map(|which| Deed::CommitWhole { which }),
        1 => (0..8usize).prop_map(|which| Deed::Release { which }),
    ]
}

fn any_budget() -> impl Strategy<Value = Budget> {
    let day = (maybe(0..3_000u64), maybe(0..6_000u64));
    (day, maybe(1..200u32), maybe(1..4u32)).prop_map(
        |((tokens_per_day, cost_per_day), output_tokens, concurrent)| Budget {
            output_tokens,
            tokens_per_run: None,
            tokens_per_day,
            cost_per_day: cost_per_day.map(cost),
            concurrent,
        },
    )
}

proptest! {
    /// The law: whatever the order, nothing committed or held exceeds a bound, no more calls are
    /// under way than may be, and when all are handed back nothing is held.
    #[test]
    fn no_order_of_calls_exceeds_a_bound(
        budgets in vec(any_budget(), 7), deeds in vec(any_deed(), 1..60),
    ) {
        let price = Price { input: cost(1_500_000), cached_input: cost(0), output: cost(2_000_000) };
        let scopes = [
            PolicyScope::Host,
            tenant("a"),
            tenant("b"),
            workflow(None, "shared"),
            workflow(Some("a"), "own"),
            workflow(Some("b"), "own"),
            workflow(None, "declared"),
        ];
        let covers = [[0, 1, 3], [0, 2, 3], [0, 1, 4], [0, 2, 5]];
        let mut ledger = Ledger::default();
        let mut under_way: Vec<Reservation> = Vec::new();
        for deed in deeds {
            let taken = |which: usize, all: &mut Vec<Reservation>| {
                (!all.is_empty()).then(|| all.remove(which % all.len()))
            };
            match deed {
                Deed::Reserve { who, input, output } => {
                    let bound = |at: usize| (scopes[at].clone(), budgets[at]);
                    let ask = Ask {
                        bounds: covers[who].into_iter().map(bound).collect(),
                        input_tokens: input,
                        output_tokens: output,
                        run_tokens: 0,
                        price: Some(price),
                    };
                    let is_fit = ledger.check(day(1), &ask);
                    match ledger.reserve(day(1), &ask) {
                        Ok(call) => {
                            prop_assert_eq!(is_fit, Ok(()));
                            under_way.push(call);
                        }
                        // A refusal holds nothing: whoever comes later is judged alike.
                        Err(refusal) => prop_assert_eq!(
                            ledger.reserve(day(1), &ask).map(|_| ()), Err(refusal)
                        ),
                    }
                }
                Deed::Commit { which, input, output } => {
                    if let Some(call) = taken(which, &mut under_way) {
                        let part = |held: u64, of: u64| held * of / 100;
                        let usage = used(
                            part(call.input_tokens, input), part(call.output_tokens, output),
                        );
                        prop_assert!(!ledger.commit(call, &usage).is_over);
                    }
                }
                Deed::CommitWhole { which } => {
                    if let Some(call) = taken(which, &mut under_way) {
                        ledger.commit_whole(call);
                    }
                }
                Deed::Release { which } => {
                    if let Some(call) = taken(which, &mut under_way) {
                        ledger.release(call);
                    }
                }
            }
            for (scope, budget) in scopes.iter().zip(&budgets) {
                let account = ledger.read(day(1), scope);
                let all = |it: Column| it.spent + it.held;
                prop_assert!(budget.tokens_per_day.is_none_or(|it| all(account.tokens) <= it));
                prop_assert!(
                    budget.cost_per_day.is_none_or(|it| all(account.cost) <= it.micros())
                );
                let calls = under_way.iter().filter(|it| it.scopes.contains(scope)).count();
                prop_assert!(budget.concurrent.is_none_or(|it| calls <= it as usize));
            }
        }
        let spent = scopes.clone().map(|it| ledger.spent(day(1), &it));
        under_way.into_iter().for_each(|it| ledger.release(it));
        for (scope, spent) in scopes.iter().zip(spent) {
            let account = ledger.read(day(1), scope);
            prop_assert_eq!((account.tokens.held, account.cost.held), (0, 0));
            prop_assert_eq!(ledger.spent(day(1), scope), spent);
        }
        prop_assert!(ledger.calls.is_empty());
    }
}
