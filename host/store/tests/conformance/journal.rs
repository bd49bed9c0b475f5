//! The journal.

use stepmill_core::event::{JournalEntry, RunEvent, StepFailure};
use stepmill_core::principal::Sees;
use stepmill_core::run::RunStatus;
use stepmill_store::{LIST_BYTES, SessionEntry, Store, StoreError, TenantStore, Touch};
use tokio::task::JoinSet;

use crate::house::{House, at, entry, of, piece, pin, run, session, step_started, tenant};

/// A tenant with run 1 in it, begun.
async fn begun(store: &Store) -> TenantStore {
    let acme = tenant(store, "acme");
    let started = [RunEvent::RunStarted];
    acme.run_open(&pin(1, "s", None), &started, SessionEntry::Owner, Touch::Use).await.unwrap();
    acme
}

async fn sequences(acme: &TenantStore, number: u128) -> Vec<u64> {
    let entries = acme.journal_read(run(number), 0, u32::MAX).await.unwrap();
    entries.iter().map(|it| it.sequence).collect()
}

pub(crate) async fn entries_are_read_back_in_order(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let entries = [step_started(1), piece(2, "a"), piece(3, "b"), step_started(4)];
    acme.journal_append(run(1), &entries[..1]).await.unwrap();
    acme.journal_append(run(1), &entries[1..]).await.unwrap();
    acme.journal_append(run(1), &[]).await.unwrap();

    assert_eq!(acme.journal_read(run(1), 1, 10).await.unwrap(), entries);
    assert_eq!(acme.journal_read(run(1), 2, 2).await.unwrap(), entries[1..3]);
    assert_eq!(acme.journal_read(run(1), 5, 10).await.unwrap(), []);
    assert_eq!(acme.journal_read(run(1), u64::MAX, 10).await.unwrap(), []);
    assert_eq!(acme.journal_read(run(1), 0, 0).await.unwrap(), []);
    assert_eq!(acme.journal_read(run(2), 0, 10).await.unwrap(), []);
}

pub(crate) async fn a_place_in_the_journal_is_taken_once(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    acme.journal_append(run(1), &[piece(1, "first")]).await.unwrap();

    let refused = acme.journal_append(run(1), &[piece(1, "second")]).await;
    assert!(matches!(refused, Err(StoreError::SequenceTaken)), "{refused:?}");
    assert_eq!(acme.journal_read(run(1), 1, 10).await.unwrap(), [piece(1, "first")]);
}

pub(crate) async fn an_append_is_all_or_nothing(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let last = entry(0, RunEvent::RunCompleted);

    let refused = acme.journal_append(run(1), &[step_started(1), last]).await;
    assert!(matches!(refused, Err(StoreError::SequenceTaken)), "{refused:?}");
    let many: Vec<_> = (1..200).chain([0]).map(|it| piece(it, "x")).collect();
    let refused = acme.journal_append(run(1), &many).await;
    assert!(matches!(refused, Err(StoreError::SequenceTaken)), "{refused:?}");

    assert_eq!(sequences(&acme, 1).await, [0]);
    assert_eq!(acme.run_fetch(run(1)).await.unwrap().unwrap().status, RunStatus::Running);
    // The store is as good as before.
    acme.journal_append(run(1), &[step_started(1)]).await.unwrap();
}

/// Appends every batch at the same time and gives how many arrived; the others were too late.
async fn at_once(acme: &TenantStore, batches: Vec<(u128, Vec<JournalEntry>)>) -> usize {
    let mut tasks = JoinSet::new();
    for (number, entries) in batches {
        let acme = acme.clone();
        tasks.spawn(async move { acme.journal_append(run(number), &entries).await });
    }
    let mut arrived = 0;
    for answer in tasks.join_all().await {
        match answer {
            Ok(()) => arrived += 1,
            Err(StoreError::SequenceTaken) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    arrived
}

pub(crate) async fn of_two_hosts_hands_at_one_place_one_wins(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let batches = (0..8).map(|it| (1, vec![step_started(1), piece(2, &it.to_string())])).collect();

    assert_eq!(at_once(&acme, batches).await, 1);
    assert_eq!(sequences(&acme, 1).await, [0, 1, 2]);
}

pub(crate) async fn appends_to_many_runs_at_once_all_arrive(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    for number in 0..20 {
        let pin = pin(number, "s", None);
        acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use)
            .await
            .unwrap();
    }
    let batch = |it: u128| (it % 20, vec![step_started(1 + it as u64 / 20)]);

    assert_eq!(at_once(&acme, (0..200).map(batch).collect()).await, 200);
    for number in 0..20 {
        assert_eq!(sequences(&acme, number).await, (0..=10).collect::<Vec<_>>());
    }
}

pub(crate) async fn a_last_entry_sets_the_status(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let pin = pin(2, "s", None);
    acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use).await.unwrap();

    acme.journal_append(run(1), &[step_started(1)]).await.unwrap();
    let running = acme.run_fetch(run(1)).await.unwrap().unwrap();
    assert_eq!((running.status, running.updated_at), (RunStatus::Running, at(1)));

    let done = [step_started(2), entry(3, RunEvent::RunCompleted)];
    acme.journal_append(run(1), &done).await.unwrap();
    let failure = StepFailure::PluginTrapped;
    acme.journal_append(run(2), &[entry(1, RunEvent::RunFailed { failure })]).await.unwrap();

    let completed = acme.run_fetch(run(1)).await.unwrap().unwrap();
    assert_eq!((completed.status, completed.updated_at), (RunStatus::Completed, at(1_003)));
    let failed = acme.run_fetch(run(2)).await.unwrap().unwrap();
    assert_eq!((failed.status, failed.updated_at), (RunStatus::Failed, at(1_001)));
}

pub(crate) async fn a_list_tells_each_run_without_pieces(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    acme.journal_append(run(1), &[piece(1, "a"), step_started(2), piece(3, "b")]).await.unwrap();
    for number in 2..150 {
        let pin = pin(number, "s", None);
        acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use)
            .await
            .unwrap();
    }

    let listed =
        acme.run_list(Sees::Everyone, &session("s"), &of("w"), 1_000, LIST_BYTES).await.unwrap();
    let told = listed.unwrap().map(|it| {
        let (run, journal) = it.unwrap();
        (run.pin.id, journal.iter().map(|it| it.sequence).collect::<Vec<_>>())
    });
    let expected =
        (1..150).map(|number| (run(number), if number == 1 { vec![0, 2] } else { vec![0] }));
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

pub(crate) async fn a_long_append_arrives_whole(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let entries: Vec<_> = (1..=1_000).map(|it| piece(it, "x")).collect();
    acme.journal_append(run(1), &entries).await.unwrap();
    assert_eq!(acme.journal_read(run(1), 1, 2_000).await.unwrap(), entries);
}

pub(crate) async fn another_tenants_journal_is_not_there(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let other = tenant(&store, "other");

    assert_eq!(other.journal_read(run(1), 0, 10).await.unwrap(), []);
    for number in [1, 2] {
        // Whether the place is free there or not: there is no such run.
        for entries in [[step_started(0)], [step_started(1)], [entry(1, RunEvent::RunCompleted)]] {
            let refused = other.journal_append(run(number), &entries).await;
            assert!(matches!(refused, Err(StoreError::RunMissing)), "{refused:?}");
        }
    }
    assert_eq!(sequences(&acme, 1).await, [0]);
    assert_eq!(acme.run_fetch(run(1)).await.unwrap().unwrap().status, RunStatus::Running);
}

pub(crate) async fn numbers_that_do_not_fit_are_refused(house: House) {
    let store = house.open().await;
    let acme = begun(&store).await;
    let far = JournalEntry { sequence: 1 << 63, ..step_started(1) };
    let refused = acme.journal_append(run(1), &[far]).await;
    assert!(matches!(refused, Err(StoreError::Unstorable { .. })), "{refused:?}");
}
