//! The machine as a driver sees it: journals in, decisions out.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use stepmill_core::agent::{Agent, AnswerMark, ModelAnswer, ModelName, Usage};
use stepmill_core::capability::Access;
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::database;
use stepmill_core::event::{
    JournalEntry, ModelIdentity, Progress, RunEvent, StepFailure, StepIndex, StepOutput,
};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, OnFailure, Parameter, Query, Step,
    StepOptions,
};
use stepmill_core::ids::{RunId, SessionId, TenantId, WorkflowId};
use stepmill_core::principal::TrustedClaims;
use stepmill_core::run::{Origin, PastRun, RunPin, RunStatus, Telling};
use stepmill_core::time::Timestamp;
use stepmill_engine::{Action, Machine, Next};
use uuid::Uuid;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Agent,
    Function,
    Query,
    UnknownModel,
}

type Plan = (Kind, StepOptions);

fn pin(plans: &[Plan], name: fn(usize) -> String) -> Arc<RunPin> {
    let step = |(at, (kind, options)): (usize, &Plan)| {
        let executor = match kind {
            Kind::Function => Executor::Function(FunctionCall { name: "f".into(), argument: None }),
            Kind::Query => Executor::Query(Query {
                database: "orders".into(),
                statement: "select $1, $2, $3".into(),
                parameters: vec![
                    Parameter::Message,
                    Parameter::Previous,
                    Parameter::Value(database::Value::Integer(7)),
                ],
                access: Access::Read,
            }),
            Kind::Agent | Kind::UnknownModel => Executor::Agent(Agent {
                name: format!("Agent {at}"),
                model: ModelName { id: "m".into(), provider: None },
                instructions: format!("order {at}"),
                temperature: None,
                max_output_tokens: None,
            }),
        };
        NodeDraft::Step(Step { name: name(at), description: None, executor, options: *options })
    };
    let mut nodes: Vec<_> = plans.iter().enumerate().map(step).collect();
    let root = nodes.len() as u32;
    nodes.push(NodeDraft::Sequence((0..root).collect()));
    let draft = GraphDraft::new("w", nodes, root);
    let tenant = TenantId::new("t").unwrap();
    Arc::new(RunPin {
        id: RunId::from_uuid(Uuid::from_u128(1)),
        workflow: WorkflowId::new("w").unwrap(),
        session: SessionId::new("s").unwrap(),
        user: None,
        input: "message".into(),
        extras: Arc::default(),
        session_state: Default::default(),
        history: ["one", "two"].map(past).into(),
        telling: Telling::Quiet,
        origin: Origin::Declared,
        context: Arc::new(RequestContext {
            user: None,
            session: None,
            input: None,
            request: RequestFacts { method: "POST".into(), path: "/".into(), headers: vec![] },
            tenant,
            trusted: TrustedClaims::default(),
        }),
        graph: Arc::new(draft.check(&GraphLimits::default()).unwrap()),
        created_at: Timestamp::from_micros(0),
    })
}

fn past(text: &str) -> PastRun {
    PastRun { input: format!("asked {text}"), content: text.into() }
}

fn machine(plans: &[Plan], name: fn(usize) -> String) -> Machine {
    let model = ModelIdentity { model: "m".into(), vendor: "V".into(), api: "V api".into() };
    let models = plans.iter().map(|it| matches!(it.0, Kind::Agent).then(|| model.clone()));
    Machine::new(pin(plans, name), models.collect())
}

fn answer(text: &str) -> ModelAnswer {
    ModelAnswer {
        content: text.into(),
        usage: Usage::default(),
        mark: AnswerMark::default(),
        first_token_micros: None,
        duration_micros: 5,
    }
}

/// A driver without an outside: outcomes come from a list.
struct Drive {
    machine: Machine,
    journal: Vec<JournalEntry>,
    actions: Vec<Action>,
}

impl Drive {
    fn new(kinds: &[Kind]) -> Self {
        Self::named(kinds, |at| format!("s{at}"))
    }

    fn named(kinds: &[Kind], name: fn(usize) -> String) -> Self {
        let plans: Vec<_> = kinds.iter().map(|it| (*it, StepOptions::default())).collect();
        Self::planned(&plans, name)
    }

    fn planned(plans: &[Plan], name: fn(usize) -> String) -> Self {
        Self { machine: machine(plans, name), journal: vec![], actions: vec![] }
    }

    fn replay(plans: &[Plan], journal: &[JournalEntry]) -> Self {
        let mut drive = Self::planned(plans, |at| format!("s{at}"));
        for entry in journal {
            drive.machine.apply(entry);
            drive.journal.push(entry.clone());
        }
        drive
    }

    fn note(&mut self, event: RunEvent) {
        let sequence = self.journal.len() as u64;
        let entry = JournalEntry { sequence, at: Timestamp::from_micros(sequence as i64), event };
        self.machine.apply(&entry);
        self.journal.push(entry);
    }

    fn run(&mut self, outcome: &mut dyn FnMut(&Action) -> RunEvent) {
        loop {
            match self.machine.next() {
                Next::Note(event) => self.note(event),
                Next::Do(action) => {
                    let event = outcome(&action);
                    self.actions.push(action);
                    self.note(event);
                }
                Next::Finished => return,
            }
        }
    }

    fn words(&self) -> Vec<String> {
        let word = |it: &JournalEntry| format!("{:?}", it.event);
        let first = |it: String| it.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        self.journal.iter().map(word).map(first).collect()
    }
}

/// Each action succeeds, and says which step it was.
fn good(action: &Action) -> RunEvent {
    match action {
        Action::AskModel(step, request) => {
            let content = format!("{}<{}>", request.instructions, request.message);
            RunEvent::ModelAnswered { step: *step, answer: answer(&content) }
        }
        Action::CallFunction(step, input) => {
            let content = format!("f<{}>", input.previous.as_ref().unwrap_or(&input.message));
            function_answered(*step, StepOutput { content, stop: false })
        }
        Action::AskDatabase(step, statement) => {
            let content = format!("{:?}", statement.parameters);
            function_answered(*step, StepOutput { content, stop: false })
        }
    }
}

fn function_answered(step: StepIndex, output: StepOutput) -> RunEvent {
    RunEvent::FunctionAnswered { step, output, session_state: None }
}

#[test]
fn each_step_gets_what_the_one_before_produced() {
    let mut drive = Drive::new(&[Kind::Agent, Kind::Function, Kind::Agent]);
    drive.run(&mut good);
    let record = drive.machine.record();
    assert_eq!(record.content(), Some("order 2<f<order 0<message>>>"));
    assert_eq!(record.status(), RunStatus::Completed);
    assert_eq!(
        drive.words(),
        [
            "RunStarted",
            "StepStarted",
            "ModelCalled",
            "ModelAnswered",
            "StepCompleted",
            "StepStarted",
            "FunctionCalled",
            "FunctionAnswered",
            "StepCompleted",
            "StepStarted",
            "ModelCalled",
            "ModelAnswered",
            "StepCompleted",
            "RunCompleted"
        ]
    );
}

#[test]
fn a_function_sees_every_earlier_step() {
    let mut drive = Drive::new(&[Kind::Agent, Kind::Function]);
    drive.run(&mut good);
    let Some(Action::CallFunction(_, input)) = drive.actions.last() else {
        panic!("a function was called")
    };
    assert_eq!(input.message, "message");
    assert_eq!(input.outputs.len(), 1);
    assert_eq!(input.outputs[0].step, "s0");
    assert_eq!(input.outputs[0].content, "order 0<message>");
}

#[test]
fn of_two_steps_of_one_name_the_later_one_counts() {
    let kinds = [Kind::Agent, Kind::Agent, Kind::Agent, Kind::Function];
    let mut drive = Drive::named(&kinds, |at| if at == 1 { "b" } else { "a" }.to_owned());
    drive.run(&mut good);
    let Some(Action::CallFunction(_, input)) = drive.actions.last() else {
        panic!("a function was called")
    };
    let names: Vec<_> = input.outputs.iter().map(|it| it.step.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(Some(&input.outputs[0].content), input.previous.as_ref());
}

#[test]
fn a_query_is_given_what_its_places_name() {
    let mut drive = Drive::new(&[Kind::Query, Kind::Query]);
    drive.run(&mut |action| {
        let Action::AskDatabase(step, _) = action else { panic!("all are queries") };
        function_answered(*step, StepOutput { content: "rows".into(), stop: false })
    });
    let asked = drive.actions.iter().map(|it| match it {
        Action::AskDatabase(_, statement) => statement.clone(),
        other => panic!("{other:?}"),
    });
    let asked: Vec<_> = asked.collect();
    let text = |it: &str| database::Value::Text(it.into());
    let seven = database::Value::Integer(7);
    assert_eq!(asked[0].parameters, [text("message"), database::Value::Null, seven.clone()]);
    assert_eq!(asked[1].parameters, [text("message"), text("rows"), seven]);
    assert_eq!((asked[0].database.as_str(), asked[0].access), ("orders", Access::Read));
    assert_eq!(drive.machine.record().content(), Some("rows"));
}

#[test]
fn a_workflow_without_steps_completes() {
    let mut drive = Drive::new(&[]);
    drive.run(&mut good);
    assert_eq!(drive.words(), ["RunStarted", "RunCompleted"]);
}

#[test]
fn a_failed_step_fails_the_run_and_nothing_follows() {
    let mut drive = Drive::new(&[Kind::Agent, Kind::Agent]);
    drive.run(&mut |_| RunEvent::TryFailed {
        step: StepIndex(0),
        failure: StepFailure::ModelTimedOut,
    });
    assert_eq!(
        drive.words(),
        ["RunStarted", "StepStarted", "ModelCalled", "TryFailed", "StepFailed", "RunFailed"]
    );
    assert_eq!(drive.actions.len(), 1);
}

#[test]
fn a_model_nobody_knows_fails_its_step_without_a_call() {
    let mut drive = Drive::new(&[Kind::Function, Kind::UnknownModel]);
    drive.run(&mut good);
    assert_eq!(
        drive.words()[5..],
        ["StepStarted", "TryFailed", "StepFailed", "RunFailed"].map(String::from)[..]
    );
}

#[test]
fn a_step_may_end_the_workflow() {
    let mut drive = Drive::new(&[Kind::Function, Kind::Agent]);
    drive.run(&mut |_| {
        let output = StepOutput { content: "enough".into(), stop: true };
        function_answered(StepIndex(0), output)
    });
    assert_eq!(drive.machine.record().content(), Some("enough"));
    assert_eq!(drive.words().last().map(String::as_str), Some("RunCompleted"));
}

#[test]
fn a_step_finds_the_state_that_the_step_before_left() {
    let mut drive = Drive::new(&[Kind::Function, Kind::Function, Kind::Function]);
    let mut seen = Vec::new();
    drive.run(&mut |action| {
        let Action::CallFunction(step, input) = action else { panic!("all are functions") };
        seen.push(input.session_state.get("n").cloned());
        // The second step leaves the state as it is.
        let session_state =
            (step.0 != 1).then(|| [("n".to_owned(), step.0.into())].into_iter().collect());
        let output = StepOutput { content: String::new(), stop: false };
        RunEvent::FunctionAnswered { step: *step, output, session_state }
    });
    assert_eq!(seen, [None, Some(0.into()), Some(0.into())]);
    assert_eq!(drive.machine.record().session_state().and_then(|it| it.get("n")), Some(&2.into()));
}

#[test]
fn a_step_is_tried_again_as_often_as_it_says() {
    let options = StepOptions { retries: 2, ..StepOptions::default() };
    let mut drive = Drive::planned(&[(Kind::Agent, options)], |at| format!("s{at}"));
    drive.run(&mut scripted(&mut [1, 1].into()));
    let tried = ["ModelCalled", "TryFailed"];
    let words = [&["RunStarted", "StepStarted"][..], &tried, &tried, &["ModelCalled"]].concat();
    assert_eq!(drive.words()[..words.len()], words);
    assert_eq!(drive.machine.record().status(), RunStatus::Completed);
    let calls = drive.journal.iter().filter_map(|it| match it.event {
        RunEvent::ModelCalled { call, .. } => Some(call),
        _ => None,
    });
    let calls: std::collections::HashSet<_> = calls.collect();
    assert_eq!(calls.len(), 3, "each call has an id of its own");

    let mut drive = Drive::planned(&[(Kind::Function, options)], |at| format!("s{at}"));
    drive.run(&mut scripted(&mut [1, 1, 1].into()));
    assert_eq!(drive.actions.len(), 3);
    assert_eq!(drive.machine.record().status(), RunStatus::Failed);
}

#[test]
fn what_cannot_pass_is_not_tried_again() {
    let options = StepOptions { retries: 2, ..StepOptions::default() };
    let mut drive = Drive::planned(&[(Kind::Query, options)], |at| format!("s{at}"));
    let failure = StepFailure::DatabaseNotGranted;
    drive.run(&mut |_| RunEvent::TryFailed { step: StepIndex(0), failure });
    assert_eq!(drive.actions.len(), 1);
}

#[test]
fn a_run_goes_on_without_a_step_that_may_fail() {
    let may_fail = StepOptions { on_failure: OnFailure::Skip, ..StepOptions::default() };
    let plans = [(Kind::UnknownModel, may_fail), (Kind::Function, may_fail)];
    let mut drive = Drive::planned(&plans, |at| format!("s{at}"));
    drive.run(&mut scripted(&mut [1].into()));
    assert_eq!(
        drive.words()[1..],
        [
            "StepStarted",
            "TryFailed",
            "StepSkipped",
            "StepStarted",
            "FunctionCalled",
            "TryFailed",
            "StepSkipped",
            "RunCompleted"
        ]
    );
    let Action::CallFunction(_, input) = &drive.actions[0] else { panic!("it is a function") };
    assert_eq!(input.previous.as_deref(), Some("Step s0 failed but skipped"));
    assert_eq!(drive.machine.record().content(), Some("Step s1 failed but skipped"));
}

#[test]
fn a_step_is_told_of_as_many_earlier_runs_as_it_asks() {
    let told = |history| StepOptions { history, ..StepOptions::default() };
    let plans = [(Kind::Function, told(0)), (Kind::Function, told(1)), (Kind::Agent, told(5))];
    let mut drive = Drive::planned(&plans, |at| format!("s{at}"));
    drive.run(&mut good);
    let histories = drive.actions.iter().filter_map(|it| match it {
        Action::CallFunction(_, input) => Some(input.history.clone()),
        _ => None,
    });
    assert_eq!(histories.collect::<Vec<_>>(), [vec![], vec![past("two")]]);
    let Some(Action::AskModel(_, request)) = drive.actions.last() else { panic!("an agent") };
    assert!(
        request
            .message
            .starts_with("<workflow_history_context>\n[Workflow Run-1]\nUser input: asked one\n")
    );
}

#[test]
fn what_functions_tell_is_bounded_in_all() {
    let mut drive = Drive::new(&[Kind::Function]);
    let told = || Progress { content: Some("x".repeat(1024)), data: None };
    let mut count = 0;
    while drive.machine.record().has_room_for(&told()) {
        drive.note(RunEvent::FunctionProgress { step: StepIndex(0), progress: told() });
        count += 1;
    }
    assert_eq!(count, 1024 * 1024 / (1024 + 256));
    let again = Drive::replay(&[(Kind::Function, StepOptions::default())], &drive.journal);
    assert!(!again.machine.record().has_room_for(&told()));
    assert!(drive.machine.record().has_room_for(&Progress::default()));
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let options = (0u32..3, any::<bool>()).prop_map(|(retries, may_fail)| StepOptions {
        retries,
        on_failure: if may_fail { OnFailure::Skip } else { OnFailure::Fail },
        history: 0,
    });
    kinds().prop_flat_map(move |kinds| {
        let options = proptest::collection::vec(options.clone(), kinds.len());
        options.prop_map(move |options| kinds.iter().copied().zip(options).collect())
    })
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let kind = prop_oneof![
        Just(Kind::Agent),
        Just(Kind::Function),
        Just(Kind::Query),
        Just(Kind::UnknownModel)
    ];
    proptest::collection::vec(kind, 0..6)
}

/// Succeed, stop or fail, as the list says.
fn scripted(script: &mut VecDeque<u8>) -> impl FnMut(&Action) -> RunEvent + '_ {
    move |action| {
        let (Action::AskModel(step, _)
        | Action::CallFunction(step, _)
        | Action::AskDatabase(step, _)) = action;
        match (script.pop_front(), action) {
            (Some(1), _) => {
                RunEvent::TryFailed { step: *step, failure: StepFailure::FunctionFailed }
            }
            (Some(2), Action::CallFunction(..)) => {
                let output = StepOutput { content: "stop".into(), stop: true };
                function_answered(*step, output)
            }
            _ => good(action),
        }
    }
}

proptest! {
    /// A host dies after any entry: the next one goes on to the very same journal, and asks
    /// nothing that is answered there.
    #[test]
    fn a_run_goes_on_from_any_entry(plans in plans(), script in proptest::collection::vec(0u8..6, 0..6), cut in 0usize..40) {
        let mut whole = Drive::planned(&plans, |at| format!("s{at}"));
        whole.run(&mut scripted(&mut script.clone().into()));

        let cut = cut.min(whole.journal.len());
        let answered = whole.journal[..cut].iter().filter(|it| matches!(
            it.event,
            RunEvent::ModelAnswered { .. } | RunEvent::FunctionAnswered { .. }
        ) || matches!(it.event, RunEvent::TryFailed { failure: StepFailure::FunctionFailed, .. })).count();
        let mut rest: VecDeque<u8> = script.iter().skip(answered).copied().collect();
        let mut resumed = Drive::replay(&plans, &whole.journal[..cut]);
        resumed.run(&mut scripted(&mut rest));

        prop_assert_eq!(&resumed.journal, &whole.journal);
        prop_assert_eq!(&resumed.actions[..], &whole.actions[answered..]);
    }

    /// Whatever happens, a journal ends with exactly one ending.
    #[test]
    fn every_journal_ends_once(plans in plans(), script in proptest::collection::vec(0u8..6, 0..6)) {
        let mut drive = Drive::planned(&plans, |at| format!("s{at}"));
        drive.run(&mut scripted(&mut script.into()));
        let endings = drive.journal.iter().filter(|it| it.event.is_last()).count();
        prop_assert_eq!(endings, 1);
        prop_assert!(drive.journal.last().is_some_and(|it| it.event.is_last()));
    }
}
