//! Sessions: made, found, listed, changed, deleted, and what runs leave in them.

use serde_json::{Map, json};
use stepmill_core::event::RunEvent;
use stepmill_core::principal::Sees;
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_store::{
    Closing, LIST_BYTES, ModelUsage, RunFilter, SessionChange, SessionEntry, SessionFilter,
    SessionKey, SessionPage, StoreError, StoredSession, TenantStore, Touch,
};

use crate::house::{
    House, at, component, entry, note, of, pin, run, session, step_started, tenant, user, workflow,
};
use crate::states::{changes, entered, object};

const FIRST: SessionPage =
    SessionPage { key: SessionKey::CreatedAt, descending: true, offset: 0, limit: 10 };

fn made(name: &str, by: Option<&str>, micros: i64) -> StoredSession {
    StoredSession {
        id: session(name),
        user: by.map(user),
        workflow: Some(component("w")),
        name: Some(format!("Talk {name}")),
        state: Some(object(json!({ "a": ["\u{0}", 1.5] }))),
        metadata: None,
        created_at: at(micros),
        updated_at: at(micros),
    }
}

async fn open(store: &TenantStore, pin: &RunPin, touch: Touch) {
    store.run_open(pin, &[RunEvent::RunStarted], SessionEntry::Owner, touch).await.unwrap();
}

fn used(model: &str, tokens: u64, micros: i64) -> ModelUsage {
    ModelUsage {
        model: model.into(),
        api: "API".into(),
        input_tokens: tokens,
        output_tokens: 2 * tokens,
        first_at: at(micros),
    }
}

pub(crate) async fn a_session_reads_back_as_it_was_made(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let new = made("s", Some("ada"), 5);
    acme.session_create(&new).await.unwrap();
    let found = acme.session_find(Sees::Everyone, &session("s")).await.unwrap().unwrap();
    assert_eq!((found.session, found.opening, found.usage), (new.clone(), None, vec![]));
    let again = acme.session_create(&made("s", None, 6)).await;
    assert!(matches!(again, Err(StoreError::SessionExists)));
    let odd = StoredSession { name: Some("a\0b".into()), ..made("odd", None, 6) };
    assert!(matches!(acme.session_create(&odd).await, Err(StoreError::Unstorable { .. })));
    let other = tenant(&store, "other");
    assert_eq!(other.session_find(Sees::Everyone, &session("s")).await.unwrap(), None);
    other.session_create(&new).await.unwrap();
}

pub(crate) async fn a_caller_sees_its_own_sessions(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    for (at, (name, by)) in
        (1..).zip([("ada's", Some("ada")), ("bob's", Some("bob")), ("open", None)])
    {
        acme.session_create(&made(name, by, at)).await.unwrap();
    }
    let ada = user("ada");
    for (sees, expected) in [
        (Sees::Everyone, vec!["open", "bob's", "ada's"]),
        (Sees::Only(&ada), vec!["ada's"]),
        (Sees::Nobody, vec![]),
    ] {
        let (found, total) =
            acme.session_list(sees, &SessionFilter::default(), FIRST, LIST_BYTES).await.unwrap();
        let names: Vec<_> = found.map(|it| it.unwrap().session.id.to_string()).collect();
        assert_eq!(
            (names.len() as u64, names),
            (total, expected.iter().map(|it| it.to_string()).collect())
        );
        for name in ["ada's", "bob's", "open"] {
            let found = acme.session_find(sees, &session(name)).await.unwrap();
            assert_eq!(found.is_some(), expected.contains(&name), "{sees:?} {name}");
            let change = SessionChange::default();
            let changed = acme.session_change(sees, &session(name), &change, at(9)).await;
            assert_eq!(changed.unwrap(), expected.contains(&name));
        }
    }
    assert!(!acme.session_delete(Sees::Only(&ada), &session("bob's"), &note()).await.unwrap());
    assert!(
        !tenant(&store, "other")
            .session_delete(Sees::Everyone, &session("open"), &note())
            .await
            .unwrap()
    );
    assert!(acme.session_find(Sees::Everyone, &session("bob's")).await.unwrap().is_some());
}

pub(crate) async fn sessions_are_filtered_sorted_and_paged(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    for (micros, name) in [(3, "c"), (1, "a%b"), (2, "B")] {
        acme.session_create(&made(name, Some("ada"), micros)).await.unwrap();
    }
    acme.session_create(&StoredSession { workflow: None, ..made("d", None, 4) }).await.unwrap();
    let list = async |filter: SessionFilter, page: SessionPage| {
        let (found, total) =
            acme.session_list(Sees::Everyone, &filter, page, LIST_BYTES).await.unwrap();
        let names: Vec<_> = found.map(|it| it.unwrap().session.id.to_string()).collect();
        (names.join(" "), total)
    };
    let all = SessionFilter::default();
    let by = |key, descending| SessionPage { key, descending, ..FIRST };
    assert_eq!(list(all.clone(), FIRST).await, ("d c B a%b".into(), 4));
    assert_eq!(list(all.clone(), by(SessionKey::CreatedAt, false)).await.0, "a%b B c d");
    assert_eq!(list(all.clone(), by(SessionKey::Id, false)).await.0, "B a%b c d");
    assert_eq!(list(all.clone(), by(SessionKey::User, true)).await.0, "a%b B c d");
    assert_eq!(list(all.clone(), by(SessionKey::Workflow, false)).await.0, "d a%b B c");
    assert_eq!(list(all.clone(), by(SessionKey::UpdatedAt, true)).await.0, "d c B a%b");
    let second = SessionPage { offset: 2, limit: 1, ..FIRST };
    assert_eq!(list(all.clone(), second).await, ("B".into(), 4));
    let user = SessionFilter { user: Some(user("ada")), ..all.clone() };
    assert_eq!(list(user, FIRST).await, ("c B a%b".into(), 3));
    let workflow = SessionFilter { workflow: Some(component("w")), ..all.clone() };
    assert_eq!(list(workflow, FIRST).await.1, 3);
    for (name, expected) in
        [("TALK b", "B"), ("k", "d c B a%b"), ("%", "a%b"), ("_", ""), ("\\", "")]
    {
        let filter = SessionFilter { name: Some(name.into()), ..all.clone() };
        assert_eq!(list(filter, FIRST).await.0, expected, "{name}");
    }
    let filter = SessionFilter { name: Some("_".repeat(60_000)), ..all.clone() };
    assert_eq!(list(filter, FIRST).await.1, 0);
    acme.session_create(&made("ÄB", Some("ada"), 5)).await.unwrap();
    let filter = SessionFilter { name: Some("Äb".into()), ..all };
    assert_eq!(list(filter, FIRST).await, ("ÄB".into(), 1));
}

pub(crate) async fn a_change_replaces_what_it_names(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.session_create(&made("s", None, 1)).await.unwrap();
    let change = SessionChange { state: Some(object(json!({ "b": 2 }))), ..Default::default() };
    acme.session_change(Sees::Everyone, &session("s"), &change, at(7)).await.unwrap();
    let change = SessionChange {
        name: Some(String::new()),
        metadata: Some(object(json!({ "z": null }))),
        ..Default::default()
    };
    acme.session_change(Sees::Everyone, &session("s"), &change, at(8)).await.unwrap();
    let found = acme.session_find(Sees::Everyone, &session("s")).await.unwrap().unwrap().session;
    let expected = StoredSession {
        name: Some(String::new()),
        state: Some(object(json!({ "b": 2 }))),
        metadata: Some(object(json!({ "z": null }))),
        updated_at: at(8),
        ..made("s", None, 1)
    };
    assert_eq!(found, expected);
}

pub(crate) async fn a_run_leaves_its_mark_on_its_session(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let first = RunPin { session_state: object(json!({ "n": 10 })), ..pin(1, "s", Some("ada")) };
    open(&acme, &first, Touch::Use).await;
    let found = acme.session_find(Sees::Everyone, &session("s")).await.unwrap().unwrap();
    assert_eq!(found.opening.as_deref(), Some("Hello"));
    assert_eq!(found.session.workflow, Some(component("w")));
    assert_eq!(found.session.state, Some(object(json!({ "n": 10 }))));
    assert_eq!(found.session.metadata, Some(Map::new()));

    let last = [step_started(1), entry(2, RunEvent::RunCompleted)];
    let closing = Closing {
        usage: vec![used("b", 5, 30), used("a\0", 1, 20)],
        state: changes(json!({ "n": 10 }), json!({ "n": 11 })),
        ..Closing::default()
    };
    acme.journal_close(&first, &last, &closing).await.unwrap();
    let before = entered(&acme, "s").await.unwrap().unwrap();
    assert_eq!(before.state, object(json!({ "n": 11 })));
    let kept = acme.run_fetch(run(1)).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.pin), (RunStatus::Completed, first.clone()));

    // What is not changed stays, and what is used is added up, once.
    let second = RunPin { session_state: Map::new(), ..pin(2, "s", Some("ada")) };
    open(&acme, &second, Touch::Use).await;
    let closing = Closing { usage: vec![used("b", 7, 40)], ..Closing::default() };
    acme.journal_close(&second, &last, &closing).await.unwrap();
    let twice = acme.journal_close(&second, &last, &closing).await;
    assert!(matches!(twice, Err(StoreError::SequenceTaken)));
    let found = acme.session_find(Sees::Everyone, &session("s")).await.unwrap().unwrap();
    assert_eq!(found.usage, [used("a\u{fffd}", 1, 20), used("b", 12, 30)]);
    assert_eq!(found.session.state, Some(object(json!({ "n": 11 }))));
    assert_eq!(found.session.updated_at, last[1].at);

    let third = RunPin { session_state: object(json!({ "n": 1 })), ..pin(3, "s", Some("ada")) };
    let said = changes(json!({}), json!({ "n": 1 })).unwrap();
    open(&acme, &third, Touch::State(said)).await;
    let before = entered(&acme, "s").await.unwrap().unwrap();
    assert_eq!(before.state, object(json!({ "n": 1 })));
    assert_eq!(entered(&acme, "none").await.unwrap(), None);
    // Bob learns nothing of what is in it, whatever he sends along.
    let bobs = acme.session_before(&session("s"), Some(&user("bob")), SessionEntry::Owner).await;
    assert!(matches!(bobs, Err(StoreError::SessionForeign)));
    let nobodys = acme.session_before(&session("s"), None, SessionEntry::Owner).await;
    assert!(matches!(nobodys, Err(StoreError::SessionForeign)));
    let admins = acme.session_before(&session("s"), None, SessionEntry::Any).await;
    assert!(admins.unwrap().is_some());
}

pub(crate) async fn runs_of_a_session_are_filtered(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let other = RunPin { workflow: workflow("v"), ..pin(2, "s", None) };
    for it in [&pin(1, "s", None), &other, &pin(3, "s", None)] {
        open(&acme, it, Touch::Use).await;
    }
    acme.journal_append(run(3), &[entry(1, RunEvent::RunCompleted)]).await.unwrap();
    let list = async |filter: RunFilter| {
        let found =
            acme.run_list(Sees::Everyone, &session("s"), &filter, 10, LIST_BYTES).await.unwrap();
        found.unwrap().map(|it| it.unwrap().0.pin.id).collect::<Vec<_>>()
    };
    let all = RunFilter::default();
    assert_eq!(list(all.clone()).await, [run(1), run(2), run(3)]);
    assert_eq!(list(of("v")).await, [run(2)]);
    let done = RunFilter { statuses: Some(vec![RunStatus::Completed]), ..all.clone() };
    assert_eq!(list(done).await, [run(3)]);
    let either = Some(vec![RunStatus::Completed, RunStatus::Running]);
    assert_eq!(list(RunFilter { statuses: either, ..of("w") }).await, [run(1), run(3)]);
    assert_eq!(list(RunFilter { statuses: Some(vec![]), ..of("w") }).await, []);
    let times = RunFilter { created_after: Some(at(2)), created_before: Some(at(2)), ..all };
    assert_eq!(list(times).await, [run(2)]);
    for (of, number) in [(Some(workflow("v")), 2), (None, 1)] {
        let first = acme.run_first(Sees::Everyone, &session("s"), of.as_ref()).await;
        assert_eq!(first.unwrap().unwrap().pin.id, run(number));
    }
}

pub(crate) async fn a_session_opens_with_a_message_its_reader_may_read(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let ada = user("ada");
    acme.session_create(&StoredSession { name: None, ..made("s", Some("ada"), 1) }).await.unwrap();
    let admins = RunPin { input: "Between us".into(), ..pin(2, "s", Some("admin")) };
    acme.run_open(&admins, &[RunEvent::RunStarted], SessionEntry::Any, Touch::Use).await.unwrap();
    let reads = async |sees| {
        let found = acme.session_find(sees, &session("s")).await.unwrap().unwrap();
        let mut page =
            acme.session_list(sees, &SessionFilter::default(), FIRST, LIST_BYTES).await.unwrap().0;
        assert_eq!(page.next().unwrap().unwrap().opening, found.opening);
        let first = acme.run_first(sees, &session("s"), None).await.unwrap();
        assert_eq!(first.map(|it| it.pin.input), found.opening);
        found.opening
    };

    assert_eq!(reads(Sees::Everyone).await.as_deref(), Some("Between us"));
    assert_eq!(reads(Sees::Only(&ada)).await, None);
    open(&acme, &pin(3, "s", Some("ada")), Touch::Use).await;
    assert_eq!(reads(Sees::Only(&ada)).await.as_deref(), Some("Hello"));
}

pub(crate) async fn a_deleted_session_takes_its_runs_along(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, &pin(1, "s", Some("ada")), Touch::Use).await;
    open(&acme, &pin(2, "other", Some("ada")), Touch::Use).await;
    let closing = Closing { usage: vec![used("m", 1, 1)], ..Closing::default() };
    let last = [entry(1, RunEvent::RunCompleted)];
    acme.journal_close(&pin(1, "s", Some("ada")), &last, &closing).await.unwrap();
    let ada = user("ada");
    assert!(acme.session_delete(Sees::Only(&ada), &session("s"), &note()).await.unwrap());
    assert!(!acme.session_delete(Sees::Only(&ada), &session("s"), &note()).await.unwrap());
    assert_eq!(acme.run_fetch(run(1)).await.unwrap(), None);
    assert_eq!(acme.journal_read(run(1), 0, 10).await.unwrap(), []);
    assert_eq!(acme.session_find(Sees::Everyone, &session("s")).await.unwrap(), None);
    assert!(acme.run_fetch(run(2)).await.unwrap().is_some());
    // A run that is still under way finds its place gone.
    let late = acme.journal_append(run(1), &[step_started(5)]).await;
    assert!(matches!(late, Err(StoreError::RunMissing)));
    // The id is free again, and nothing of the old one is in the new one.
    open(&acme, &pin(3, "s", Some("bob")), Touch::Use).await;
    let found = acme.session_find(Sees::Everyone, &session("s")).await.unwrap().unwrap();
    assert_eq!((found.session.user, found.usage), (Some(user("bob")), vec![]));
}

pub(crate) async fn a_session_is_deleted_while_its_runs_write(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    for round in 0..10 {
        let pins = [0, 1, 2].map(|it| pin(round * 3 + it + 1, "s", None));
        for pin in &pins {
            open(&acme, pin, Touch::Use).await;
        }
        let acme = &acme;
        // Each writes until it finds its place gone.
        let write = async |pin: &RunPin| {
            let mut sequence = 1;
            loop {
                match acme.journal_append(pin.id, &[step_started(sequence)]).await {
                    Ok(()) => sequence += 1,
                    Err(StoreError::RunMissing) => break,
                    Err(fault) => panic!("{fault}"),
                }
            }
        };
        let delete = async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            acme.session_delete(Sees::Everyone, &session("s"), &note()).await
        };

        let [first, second, third] = &pins;
        let (deleted, ..) = tokio::join!(delete, write(first), write(second), write(third));

        assert!(deleted.unwrap());
    }
}
