//! Runs and their sessions.

use stepmill_core::event::{RunEvent, StepFailure};
use stepmill_core::ids::{RunId, TenantId};
use stepmill_core::principal::Sees;
use stepmill_core::run::{RunStatus, Telling};
use stepmill_store::{
    LIST_BYTES, RunList, SessionEntry, StoreError, StoredRun, TenantStore, Touch,
};

use crate::house::{
    House, at, digest, note, of, pin, plugin, plugin_pin, run, session, tenant, user, workflow,
};

const STARTED: [RunEvent; 1] = [RunEvent::RunStarted];

async fn open(acme: &TenantStore, number: u128, in_session: &str, by: Option<&str>) {
    acme.run_open(&pin(number, in_session, by), &STARTED, SessionEntry::Owner, Touch::Use)
        .await
        .unwrap();
}

pub(crate) async fn a_run_reads_back_as_it_was_accepted(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.plugin_put(&plugin("w", digest(7)), b"abc", &note()).await.unwrap();
    let mut declared = pin(1, "s", Some("ada"));
    declared.telling = Telling::Quiet;
    let drawn = plugin_pin(2, digest(7));

    for pin in [declared, drawn] {
        let events = [RunEvent::RunStarted, RunEvent::RunResumed];
        acme.run_open(&pin, &events, SessionEntry::Any, Touch::Use).await.unwrap();

        let journal = acme.journal_read(pin.id, 0, 10).await.unwrap();
        let told: Vec<_> = journal.iter().map(|it| (it.sequence, it.at, &it.event)).collect();
        assert_eq!(told, [(0, pin.created_at, &events[0]), (1, pin.created_at, &events[1])]);
        let updated_at = pin.created_at;
        let expected = StoredRun { pin, status: RunStatus::Running, updated_at };
        assert_eq!(acme.run_fetch(expected.pin.id).await.unwrap(), Some(expected));
    }
}

pub(crate) async fn a_run_id_is_used_once_in_all_tenants(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, 1, "s", Some("ada")).await;

    for name in ["acme", "other"] {
        let mut again = pin(1, "s", Some("ada"));
        again.input = "Something else".into();
        let refused =
            tenant(&store, name).run_open(&again, &STARTED, SessionEntry::Any, Touch::Use).await;
        assert!(matches!(refused, Err(StoreError::RunExists)), "{refused:?}");
    }
    let kept = acme.run_fetch(run(1)).await.unwrap().unwrap();
    assert_eq!(kept.pin.input, "Hello");
    assert_eq!(tenant(&store, "other").run_fetch(run(1)).await.unwrap(), None);
}

pub(crate) async fn a_refused_run_leaves_nothing_behind(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, 1, "s", None).await;

    let again = pin(1, "fresh", None);
    let refused = acme.run_open(&again, &STARTED, SessionEntry::Any, Touch::Use).await;
    assert!(matches!(refused, Err(StoreError::RunExists)), "{refused:?}");
    let fresh = acme.run_list(Sees::Everyone, &session("fresh"), &of("w"), 10, LIST_BYTES).await;
    assert!(fresh.unwrap().is_none());
    assert_eq!(acme.journal_read(run(1), 0, 10).await.unwrap().len(), 1);
    open(&acme, 2, "s", None).await;
}

pub(crate) async fn a_session_belongs_to_whoever_opened_it(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, 1, "s", Some("ada")).await;
    open(&acme, 2, "s", Some("ada")).await;

    for by in [Some("bob"), None] {
        let refused =
            acme.run_open(&pin(3, "s", by), &STARTED, SessionEntry::Owner, Touch::Use).await;
        assert!(matches!(refused, Err(StoreError::SessionForeign)), "{refused:?}");
        assert_eq!(acme.run_fetch(run(3)).await.unwrap(), None);
        assert_eq!(acme.journal_read(run(3), 0, 10).await.unwrap(), []);
    }
    // An admin enters, and the session stays what it was.
    acme.run_open(&pin(4, "s", Some("bob")), &STARTED, SessionEntry::Any, Touch::Use)
        .await
        .unwrap();
    let refused =
        acme.run_open(&pin(5, "s", Some("bob")), &STARTED, SessionEntry::Owner, Touch::Use).await;
    assert!(matches!(refused, Err(StoreError::SessionForeign)), "{refused:?}");
    open(&acme, 6, "s", Some("ada")).await;
    // In another tenant the same name is another session.
    open(&tenant(&store, "other"), 7, "s", Some("bob")).await;
}

pub(crate) async fn a_session_without_an_owner_is_open_to_all(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, 1, "s", None).await;
    open(&acme, 2, "s", Some("ada")).await;
    open(&acme, 3, "s", Some("bob")).await;
    open(&acme, 4, "s", None).await;
}

async fn finds(acme: &TenantStore, sees: Sees<'_>, number: u128) -> bool {
    let found =
        acme.run_find(sees, Some(&workflow("w")), &session("s"), run(number)).await.unwrap();
    found.is_some_and(|it| it.0.pin.id == run(number))
}

async fn lists(acme: &TenantStore, sees: Sees<'_>, name: &str) -> Option<Vec<RunId>> {
    let listed = acme.run_list(sees, &session(name), &of("w"), 10, LIST_BYTES).await.unwrap();
    let previewed =
        acme.run_previews(sees, &session(name), &of("w"), 10, LIST_BYTES).await.unwrap();
    let listed = listed.map(ids);
    assert_eq!(previewed.map(|it| it.into_iter().map(|it| it.id).collect()), listed);
    listed
}

fn ids(listed: RunList) -> Vec<RunId> {
    listed.map(|it| it.unwrap().0.pin.id).collect()
}

pub(crate) async fn a_caller_finds_only_what_it_sees(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let (ada, bob) = (user("ada"), user("bob"));
    open(&acme, 1, "s", None).await;
    open(&acme, 2, "s", Some("ada")).await;
    open(&acme, 3, "s", Some("bob")).await;
    open(&acme, 4, "adas", Some("ada")).await;

    let cases = [
        (Sees::Everyone, vec![1, 2, 3]),
        (Sees::Only(&ada), vec![2]),
        (Sees::Only(&bob), vec![3]),
        (Sees::Nobody, vec![]),
    ];
    for (sees, visible) in cases {
        for number in 1..=3 {
            assert_eq!(finds(&acme, sees, number).await, visible.contains(&number), "{sees:?}");
        }
        // The session is nobody's.
        let all = visible.into_iter().map(run).collect();
        let listed = (sees == Sees::Everyone).then_some(all);
        assert_eq!(lists(&acme, sees, "s").await, listed, "{sees:?}");
    }
    assert_eq!(lists(&acme, Sees::Only(&ada), "adas").await, Some(vec![run(4)]));
    assert_eq!(lists(&acme, Sees::Everyone, "adas").await, Some(vec![run(4)]));
    assert_eq!(lists(&acme, Sees::Only(&bob), "adas").await, None);
    assert_eq!(lists(&acme, Sees::Nobody, "adas").await, None);
    assert_eq!(lists(&acme, Sees::Everyone, "unknown").await, None);

    let everyone = Sees::Everyone;
    let wrong = acme.run_find(everyone, Some(&workflow("x")), &session("s"), run(1)).await;
    assert_eq!(wrong.unwrap(), None);
    let wrong = acme.run_find(everyone, Some(&workflow("w")), &session("adas"), run(1)).await;
    assert_eq!(wrong.unwrap(), None);
}

pub(crate) async fn the_latest_runs_are_listed_oldest_first(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    for number in [3, 1, 2] {
        open(&acme, number, "s", None).await;
    }
    let mut other = pin(4, "s", None);
    other.workflow = workflow("another");
    acme.run_open(&other, &STARTED, SessionEntry::Owner, Touch::Use).await.unwrap();

    assert_eq!(lists(&acme, Sees::Everyone, "s").await, Some(vec![run(1), run(2), run(3)]));
    let two = acme.run_list(Sees::Everyone, &session("s"), &of("w"), 2, LIST_BYTES).await.unwrap();
    assert_eq!(ids(two.unwrap()), [run(2), run(3)]);
    let none = acme.run_list(Sees::Everyone, &session("s"), &of("unused"), 2, LIST_BYTES).await;
    assert_eq!(ids(none.unwrap().unwrap()), []);
}

pub(crate) async fn another_tenants_runs_are_not_there(house: House) {
    let store = house.open().await;
    open(&tenant(&store, "acme"), 1, "s", None).await;

    let other = tenant(&store, "other");
    assert_eq!(other.run_fetch(run(1)).await.unwrap(), None);
    assert!(!finds(&other, Sees::Everyone, 1).await);
    assert_eq!(lists(&other, Sees::Everyone, "s").await, None);
}

pub(crate) async fn the_host_sees_all_unfinished_runs(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    open(&acme, 2, "s", Some("ada")).await;
    open(&other, 1, "s", None).await;
    open(&acme, 3, "s", Some("ada")).await;
    let done = crate::house::entry(1, RunEvent::RunCompleted);
    acme.journal_append(run(3), &[done]).await.unwrap();

    let name = |it: &str| TenantId::new(it).unwrap();
    let unfinished = store.run_unfinished().await.unwrap();
    assert_eq!(unfinished, [(name("other"), run(1)), (name("acme"), run(2))]);
}

pub(crate) async fn a_run_that_ends_as_it_begins_is_finished(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let events = [RunEvent::RunStarted, RunEvent::RunFailed { failure: StepFailure::HostFailed }];
    acme.run_open(&pin(5, "s", None), &events, SessionEntry::Owner, Touch::Use).await.unwrap();

    let kept = acme.run_fetch(run(5)).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.updated_at), (RunStatus::Failed, at(5)));
    assert_eq!(store.run_unfinished().await.unwrap(), []);
}

pub(crate) async fn a_refused_run_does_no_harm_to_those_beside_it(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, 1, "adas", Some("ada")).await;

    // Bob's have no way into Ada's session; the others open one each. All at the same moment.
    let opened = (2..42).map(async |number| {
        let bob = pin(number, "adas", Some("bob"));
        let fresh = pin(number, &format!("s{number}"), None);
        let pin = if number % 4 == 0 { bob } else { fresh };
        acme.run_open(&pin, &STARTED, SessionEntry::Owner, Touch::Use).await
    });
    let opened = futures::future::join_all(opened).await;

    for (number, opened) in (2..).zip(opened) {
        let refused = matches!(opened, Err(StoreError::SessionForeign));
        assert_eq!(refused, number % 4 == 0, "{number}: {opened:?}");
        assert_eq!(acme.run_fetch(run(number)).await.unwrap().is_none(), refused, "{number}");
    }
}
