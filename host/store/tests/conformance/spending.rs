//! What models were asked for, by day.

use stepmill_core::budget::Cost;
use stepmill_core::event::RunEvent;
use stepmill_core::time::Day;
use stepmill_store::{Closing, SessionEntry, Spending, Store, StoreError, TenantStore, Touch};
use tokio::task::JoinSet;

use crate::house::{House, entry, pin, run, step_started, tenant, workflow};

const TODAY: i32 = 20_782;

/// One call of workflow `w` to a model.
fn call(day: i32, model: &str) -> Spending {
    Spending {
        day: Day::from_number(day),
        owner: None,
        workflow: workflow("w"),
        model: model.into(),
        input_tokens: 100,
        output_tokens: 10,
        cost: Cost::from_micros(7),
        calls: 1,
        estimated_calls: 0,
    }
}

async fn begun(store: &Store, name: &str, number: u128) -> TenantStore {
    let of = tenant(store, name);
    let started = [RunEvent::RunStarted];
    of.run_open(&pin(number, "s", None), &started, SessionEntry::Owner, Touch::Use).await.unwrap();
    of
}

async fn spent(of: &TenantStore, from: i32, to: i32) -> Vec<Spending> {
    of.spending_list(Day::from_number(from), Day::from_number(to), 100).await.unwrap()
}

pub(crate) async fn what_calls_use_is_noted_with_what_they_answer(house: House) {
    let store = house.open().await;
    let acme = begun(&store, "acme", 1).await;
    acme.journal_spend(run(1), &[step_started(1)], &[call(TODAY, "m")]).await.unwrap();
    acme.journal_spend(run(1), &[step_started(2)], &[]).await.unwrap();
    // An append that is refused spends nothing either.
    let refused = acme.journal_spend(run(1), &[step_started(2)], &[call(TODAY, "m")]).await;
    assert!(matches!(refused, Err(StoreError::SequenceTaken)), "{refused:?}");
    let refused = acme.journal_spend(run(2), &[step_started(0)], &[call(TODAY, "m")]).await;
    assert!(matches!(refused, Err(StoreError::RunMissing)), "{refused:?}");
    assert_eq!(spent(&acme, 0, TODAY).await, [call(TODAY, "m")]);
    assert_eq!(acme.journal_read(run(1), 0, 10).await.unwrap().len(), 3);

    let guess = Spending { estimated_calls: 1, ..call(TODAY, "m") };
    let closing = Closing { spent: vec![guess], ..Closing::default() };
    let last = [entry(3, RunEvent::RunCompleted)];
    acme.journal_close(&pin(1, "s", None), &last, &closing).await.unwrap();
    let both = Spending {
        input_tokens: 200,
        output_tokens: 20,
        cost: Cost::from_micros(14),
        calls: 2,
        estimated_calls: 1,
        ..call(TODAY, "m")
    };
    assert_eq!(spent(&acme, 0, TODAY).await, [both]);
}

pub(crate) async fn a_day_is_listed_by_workflow_and_model(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let own = Spending {
        owner: Some(acme.tenant().clone()),
        workflow: workflow("a"),
        ..call(TODAY, "m")
    };
    let strange = call(TODAY, "a\0ü");
    let all = [call(TODAY, "m"), own.clone(), call(TODAY - 1, "m"), strange, call(TODAY + 1, "m")];
    acme.spending_add(&all).await.unwrap();
    acme.spending_add(&[]).await.unwrap();
    let kept = call(TODAY, "a\u{fffd}ü");
    assert_eq!(spent(&acme, TODAY, TODAY).await, [own, kept, call(TODAY, "m")]);
    assert_eq!(spent(&acme, TODAY - 9, TODAY - 1).await, [call(TODAY - 1, "m")]);
    assert_eq!(spent(&acme, TODAY + 1, TODAY).await, []);
    let few = acme.spending_list(Day::from_number(0), Day::from_number(TODAY), 2).await.unwrap();
    assert_eq!(few.len(), 2);
}

pub(crate) async fn another_tenants_spending_is_not_there_and_the_host_sees_all(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    let (m, n) = (call(TODAY, "m"), call(TODAY, "n"));
    acme.spending_add(&[m.clone(), n, call(TODAY - 1, "m")]).await.unwrap();
    assert_eq!(spent(&other, 0, TODAY).await, []);
    other.spending_add(&[m]).await.unwrap();

    let mut since = store.spending_since(Day::from_number(TODAY)).await.unwrap();
    since.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    let told: Vec<_> =
        since.iter().map(|it| (it.tenant.as_str(), it.tokens, it.cost.micros())).collect();
    assert_eq!(told, [("acme", 220, 14), ("other", 110, 7)]);
    assert_eq!(store.spending_since(Day::from_number(TODAY - 1)).await.unwrap().len(), 3);
}

pub(crate) async fn calls_at_the_same_moment_are_all_counted(house: House) {
    let store = house.open().await;
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let acme = begun(&store, "acme", number).await;
        tasks.spawn(async move {
            for sequence in 1..=10 {
                let spent = [call(TODAY, "m")];
                acme.journal_spend(run(number), &[step_started(sequence)], &spent).await.unwrap();
            }
            let closing = Closing { spent: vec![call(TODAY, "m")], ..Closing::default() };
            let last = [entry(11, RunEvent::RunCompleted)];
            acme.journal_close(&pin(number, "s", None), &last, &closing).await.unwrap();
        });
    }
    tasks.join_all().await;
    let found = spent(&tenant(&store, "acme"), TODAY, TODAY).await;
    assert_eq!((found[0].calls, found[0].input_tokens), (220, 22_000));
}

pub(crate) async fn numbers_beyond_all_measure_are_bounded(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let much = Spending {
        input_tokens: u64::MAX,
        output_tokens: u64::MAX,
        cost: Cost::from_micros(u64::MAX),
        ..call(TODAY, "m")
    };
    for _ in 0..10 {
        acme.spending_add(std::slice::from_ref(&much)).await.unwrap();
    }
    assert_eq!(spent(&acme, TODAY, TODAY).await[0].cost.micros(), 10 << 49);
    assert_eq!(store.spending_since(Day::from_number(0)).await.unwrap()[0].tokens, 20 << 49);
}
