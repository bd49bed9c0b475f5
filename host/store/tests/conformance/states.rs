//! The state of a session: of those who change it at the same moment, each leaves what it changed.

use serde_json::{Map, Value, json};
use stepmill_core::change::ObjectChange;
use stepmill_core::event::RunEvent;
use stepmill_core::principal::Sees;
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_store::{
    Closing, SessionBefore, SessionChange, SessionEntry, StateChange, StoreError, TenantStore,
    Touch,
};

use crate::house::{House, at, entry, execute, pin, run, session, tenant, user};

pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(crate) async fn entered(
    acme: &TenantStore,
    id: &str,
) -> Result<Option<SessionBefore>, StoreError> {
    acme.session_before(&session(id), Some(&user("ada")), SessionEntry::Owner).await
}

async fn open(acme: &TenantStore, pin: &RunPin, touch: Touch) -> Result<(), StoreError> {
    acme.run_open(pin, &[RunEvent::RunStarted], SessionEntry::Owner, touch).await
}

pub(crate) fn changes(before: Value, after: Value) -> Option<StateChange> {
    let change = ObjectChange::between(&object(before), &object(after));
    Some(StateChange { change, limit: 1_000 })
}

/// Ends a run that made `after` of `before`, the state it began with.
async fn ends(
    acme: &TenantStore,
    number: u128,
    before: Value,
    after: Value,
) -> Result<(), StoreError> {
    let closing = Closing { state: changes(before, after), ..Closing::default() };
    let last = [entry(1, RunEvent::RunCompleted)];
    acme.journal_close(&pin(number, "s", Some("ada")), &last, &closing).await
}

pub(crate) async fn runs_at_the_same_moment_leave_what_each_changed(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let start = json!({ "in": { "all": 0 }, "gone": 1, "TEXT \0 '\"?": "\0" });
    let numbers = 1..=20;
    for number in numbers.clone() {
        let session_state = object(start.clone());
        let pin = RunPin { session_state, ..pin(number, "s", Some("ada")) };
        open(&acme, &pin, Touch::Use).await.unwrap();
    }
    // Meanwhile a client writes the state anew.
    let anew = json!({ "in": { "all": 0 }, "gone": 1, "theirs": 1.5 });
    let change = SessionChange { state: Some(object(anew.clone())), ..Default::default() };
    acme.session_change(Sees::Everyone, &session("s"), &change, at(7)).await.unwrap();

    let ending = numbers.map(|number| {
        let mut after = start.clone();
        after.as_object_mut().unwrap().remove("gone");
        after["in"][number.to_string()] = json!(number as u64);
        ends(&acme, number, start.clone(), after)
    });
    for ended in futures::future::join_all(ending).await {
        ended.unwrap();
    }

    let mut expected = json!({ "in": { "all": 0 }, "theirs": 1.5 });
    (1..=20).for_each(|it| expected["in"][it.to_string()] = json!(it));
    let held = entered(&acme, "s").await.unwrap().unwrap().state;
    assert_eq!(Value::Object(held), expected);
}

pub(crate) async fn clients_at_the_same_moment_leave_what_each_said(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let opening = (1..=20).map(|number| {
        let said = json!({ number.to_string(): 1 });
        let session_state = object(said.clone());
        let pin = RunPin { session_state, ..pin(number, "s", Some("ada")) };
        let touch = Touch::State(changes(json!({}), said).unwrap());
        let acme = &acme;
        async move { open(acme, &pin, touch).await }
    });
    for opened in futures::future::join_all(opening).await {
        opened.unwrap();
    }

    let held = entered(&acme, "s").await.unwrap().unwrap().state;
    let expected = (1..=20).map(|it| (it.to_string(), json!(1))).collect::<Map<_, _>>();
    assert_eq!(held, expected);
}

pub(crate) async fn a_state_that_cannot_take_a_change_stays(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let half = json!("x".repeat(600));
    for number in 1..=4 {
        open(&acme, &pin(number, "s", Some("ada")), Touch::Use).await.unwrap();
    }
    ends(&acme, 1, json!({}), json!({ "one": half })).await.unwrap();
    let (id, named) =
        (session("s"), SessionChange { name: Some("S".into()), ..Default::default() });
    let beside = acme.session_change(Sees::Everyone, &id, &named, at(7));

    // Beside another write: what is refused does it no harm.
    let (refused, beside) =
        tokio::join!(ends(&acme, 2, json!({}), json!({ "other": half })), beside);

    assert!(beside.unwrap());
    assert!(matches!(refused, Err(StoreError::StateTooLarge { limit: 1_000 })), "{refused:?}");
    let held = entered(&acme, "s").await.unwrap().unwrap().state;
    assert_eq!(Value::Object(held), json!({ "one": half }));
    assert_eq!(acme.run_fetch(run(2)).await.unwrap().unwrap().status, RunStatus::Running);
    assert_eq!(acme.journal_read(run(2), 1, 10).await.unwrap(), []);
    let touch = Touch::State(changes(json!({}), json!({ "other": half })).unwrap());
    let by = pin(9, "s", Some("ada"));
    let refused = open(&acme, &by, touch).await;
    assert!(matches!(refused, Err(StoreError::StateTooLarge { .. })), "{refused:?}");
    // Bob learns nothing of what is in it.
    let touch = Touch::State(changes(json!({}), json!({ "other": half })).unwrap());
    let bobs = pin(9, "s", Some("bob"));
    let refused = open(&acme, &bobs, touch).await;
    assert!(matches!(refused, Err(StoreError::SessionForeign)), "{refused:?}");

    // What it makes smaller, it takes.
    ends(&acme, 3, json!({ "one": 1 }), json!({ "other": half })).await.unwrap();

    execute(&house.url, "update sessions set state = '[]'").await;
    let refused = ends(&acme, 4, json!({}), json!({ "n": 1 })).await;
    assert!(matches!(refused, Err(StoreError::Unreadable { .. })), "{refused:?}");
}
