//! Lists: what they hold is bounded by bytes, and what a preview does not show is not read.

use serde_json::{Map, json};
use stepmill_core::event::{RunEvent, StepFailure, StepIndex, StepOutput};
use stepmill_core::principal::Sees;
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_store::{
    Closing, LIST_BYTES, PREVIEW_CHARACTERS, PreviewedOutcome, RunFilter, SessionEntry,
    SessionFilter, SessionKey, SessionPage, StoreError, StoredPreview, StoredSession, TenantStore,
    Touch,
};

use crate::house::{CONNECTIONS, House, at, entry, pin, run, session, tenant, user, workflow};

const MIB: usize = 1024 * 1024;

async fn open(acme: &TenantStore, pin: &RunPin) {
    let started = [RunEvent::RunStarted];
    acme.run_open(pin, &started, SessionEntry::Owner, Touch::Use).await.unwrap();
}

/// The size of the list of the session's latest runs, and of their previews; None if it is
/// refused.
async fn sizes(acme: &TenantStore, limit: u32) -> (Option<usize>, usize) {
    let (sees, filter) = (Sees::Everyone, RunFilter::default());
    let listed = match acme.run_list(sees, &session("s"), &filter, limit, LIST_BYTES).await {
        Err(StoreError::TooLarge) => None,
        listed => Some(listed.unwrap().unwrap().map(Result::unwrap).count()),
    };
    let previews =
        acme.run_previews(sees, &session("s"), &filter, limit, LIST_BYTES).await.unwrap();
    (listed, previews.unwrap().len())
}

fn step_completed(content: String) -> RunEvent {
    RunEvent::StepCompleted { step: StepIndex(0), output: StepOutput { content, stop: false } }
}

pub(crate) async fn a_list_of_runs_holds_so_much_and_no_more(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let large = "x".repeat(4 * MIB);
    for number in 1..=9 {
        open(&acme, &RunPin { input: large.clone(), ..pin(number, "s", None) }).await;
    }

    // What is refused leaves every connection fit for others.
    for _ in 0..2 * CONNECTIONS {
        assert_eq!(sizes(&acme, 100).await, (None, 9));
    }
    let seven = u32::try_from(LIST_BYTES / large.len() - 1).unwrap();
    assert_eq!(sizes(&acme, seven).await, (Some(7), 7));
    let one = acme.run_find(Sees::Everyone, None, &session("s"), run(1)).await.unwrap();
    assert_eq!(one.unwrap().0.pin.input.len(), large.len());
}

pub(crate) async fn what_runs_came_to_counts_too(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    open(&acme, &pin(1, "s", None)).await;
    open(&acme, &pin(2, "s", None)).await;
    for sequence in 1..=9 {
        let event = step_completed("x".repeat(4 * MIB));
        acme.journal_append(run(1), &[entry(sequence, event)]).await.unwrap();
    }

    assert_eq!(sizes(&acme, 100).await, (None, 2));
    assert_eq!(sizes(&acme, 1).await, (Some(1), 1));
    // One run is bounded by its own limits.
    let one = acme.run_find(Sees::Everyone, None, &session("s"), run(1)).await.unwrap();
    assert_eq!(one.unwrap().1.len(), 10);
}

pub(crate) async fn a_history_is_of_one_workflow_and_one_user(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let close = async |pin: RunPin, content: &str, last: RunEvent| {
        let closing = Closing::default();
        open(&acme, &pin).await;
        let entries = [entry(1, step_completed(content.to_owned())), entry(2, last)];
        acme.journal_close(&pin, &entries, &closing).await.unwrap();
    };
    let failed = || RunEvent::RunFailed { failure: StepFailure::HostFailed };
    let input =
        |number: u128, input: &str| RunPin { input: input.into(), ..pin(number, "s", None) };
    close(input(1, "one"), "1", RunEvent::RunCompleted).await;
    close(input(2, "two"), "2", failed()).await;
    close(RunPin { workflow: workflow("v"), ..input(3, "three") }, "3", RunEvent::RunCompleted)
        .await;
    close(pin(4, "s", Some("ada")), "4", RunEvent::RunCompleted).await;
    open(&acme, &input(5, "five")).await;
    close(input(6, &"x".repeat(200 * 1024)), "6", RunEvent::RunCompleted).await;
    close(input(7, "seven"), "7", RunEvent::RunCompleted).await;

    let told = async |by: Option<&str>, limit| {
        let user = by.map(user);
        let runs = acme.run_history(&session("s"), &workflow("w"), user.as_ref(), limit).await;
        runs.unwrap().into_iter().map(|it| it.content).collect::<Vec<_>>()
    };
    assert_eq!(told(None, 9).await, ["1", "6", "7"]);
    assert_eq!(told(None, 1).await, ["7"]);
    assert_eq!(told(Some("ada"), 9).await, ["4"]);
    assert!(told(Some("bob"), 9).await.is_empty());
    let other = tenant(&store, "other");
    let none = other.run_history(&session("s"), &workflow("w"), None, 9).await.unwrap();
    assert!(none.is_empty());
    // What is older than what fits is not told.
    close(input(8, &"y".repeat(100 * 1024)), "8", RunEvent::RunCompleted).await;
    assert_eq!(told(None, 9).await, ["7", "8"]);
}

pub(crate) async fn a_page_of_sessions_holds_so_much_and_no_more(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let state = Map::from_iter([("plan".to_owned(), json!("x".repeat(MIB - 16)))]);
    for number in 1..=33 {
        let made = StoredSession {
            id: session(&format!("{number:02}")),
            user: None,
            workflow: None,
            name: None,
            state: Some(state.clone()),
            metadata: None,
            created_at: at(number),
            updated_at: at(number),
        };
        acme.session_create(&made).await.unwrap();
    }
    let list = async |limit| {
        let page = SessionPage { key: SessionKey::Id, descending: false, offset: 0, limit };
        acme.session_list(Sees::Everyone, &SessionFilter::default(), page, LIST_BYTES).await
    };

    let (page, total) = list(20).await.unwrap();
    assert_eq!((page.map(Result::unwrap).count(), total), (20, 33));
    assert!(matches!(list(33).await, Err(StoreError::TooLarge)));
    // A long message is no name where there is one.
    let long = RunPin { input: "x".repeat(LIST_BYTES), ..pin(1, "01", None) };
    open(&acme, &long).await;
    assert!(matches!(list(1).await, Err(StoreError::TooLarge)));
    let named = stepmill_store::SessionChange { name: Some("Plan".into()), ..Default::default() };
    acme.session_change(Sees::Everyone, &session("01"), &named, at(9)).await.unwrap();
    let opening = list(1).await.unwrap().0.next().unwrap().unwrap().opening;
    assert_eq!(opening.as_deref(), Some(""));
}

async fn previews(acme: &TenantStore) -> Vec<StoredPreview> {
    let found = acme
        .run_previews(Sees::Everyone, &session("s"), &RunFilter::default(), 100, LIST_BYTES)
        .await;
    found.unwrap().unwrap()
}

pub(crate) async fn a_preview_is_cut_where_it_is_read(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let texts = ["\0".repeat(5_000), "\u{1f98a}\" \\ ü\n".repeat(1_000), "short".into()];
    for (number, text) in (1..).zip(&texts) {
        open(&acme, &RunPin { input: text.clone(), ..pin(number, "s", Some("ada")) }).await;
        let events = ["another", text].map(|it| step_completed(it.to_owned()));
        let entries: Vec<_> = (1..).zip(events).map(|(at, it)| entry(at, it)).collect();
        acme.journal_append(run(number), &entries).await.unwrap();
    }
    acme.journal_append(run(1), &[entry(3, RunEvent::RunCompleted)]).await.unwrap();
    open(&acme, &pin(4, "s", Some("ada"))).await;

    let told = previews(&acme).await;

    let begins = |beginning: &str, text: &str| {
        let count = beginning.chars().count();
        let enough = PREVIEW_CHARACTERS.min(text.chars().count());
        text.starts_with(beginning) && enough <= count && count <= 8 * PREVIEW_CHARACTERS
    };
    for (preview, text) in told.iter().zip(&texts) {
        assert!(begins(&preview.input, text), "{preview:?}");
        let (PreviewedOutcome::Completed(Some(content)) | PreviewedOutcome::Running(Some(content))) =
            &preview.outcome
        else {
            panic!("{preview:?}");
        };
        assert!(begins(content, text), "{preview:?}");
    }
    assert!(matches!(told[0].outcome, PreviewedOutcome::Completed(_)));
    let expected = pin(4, "s", Some("ada"));
    let last = StoredPreview {
        id: expected.id,
        workflow: expected.workflow,
        user: expected.user,
        created_at: expected.created_at,
        input: expected.input,
        outcome: PreviewedOutcome::Running(None),
    };
    assert_eq!(told[3], last);
}

pub(crate) async fn a_preview_says_why_its_run_failed(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let failure = StepFailure::ModelBusy;
    // More than are looked up at once.
    for number in 1..=20 {
        open(&acme, &pin(number, "s", None)).await;
        let mut entries = vec![
            entry(1, step_completed("before".into())),
            entry(2, RunEvent::StepFailed { step: StepIndex(0), failure }),
            entry(3, RunEvent::RunFailed { failure }),
        ];
        if number == 1 {
            entries.remove(1);
        }
        acme.journal_append(run(number), &entries).await.unwrap();
    }

    let told: Vec<_> = previews(&acme).await.into_iter().map(|it| it.outcome).collect();

    assert_eq!(told.len(), 20);
    assert_eq!(told[0], PreviewedOutcome::Failed(None, failure));
    for outcome in &told[1..] {
        assert_eq!(*outcome, PreviewedOutcome::Failed(Some("step".into()), failure));
    }
    let filter = RunFilter { statuses: Some(vec![RunStatus::Running]), ..RunFilter::default() };
    let running = acme.run_previews(Sees::Everyone, &session("s"), &filter, 100, LIST_BYTES).await;
    assert_eq!(running.unwrap(), Some(vec![]));
}
