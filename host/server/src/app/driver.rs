//! Drives one run: do what the machine says, note it, tell it. Nobody hears what is not written.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use stepmill_core::agent::{ModelAnswer, ModelName};
use stepmill_core::budget::{Ask, Charge};
use stepmill_core::call::{FunctionInput, ModelRequest};
use stepmill_core::change::ObjectChange;
use stepmill_core::database::{DatabaseFailure, Statement};
use stepmill_core::event::{JournalEntry, RunEvent, StepFailure, StepIndex, StepOutput};
use stepmill_core::graph::Executor;
use stepmill_core::ids::TenantId;
use stepmill_core::run::{Origin, RunPin, Telling};
use stepmill_engine::{Action, Machine, Next, RunRecord};
use stepmill_models::{ChatModel, ModelFailure, Piece};
use stepmill_store::{Closing, ModelUsage, SessionEntry, Spending, StoreError, TenantStore, Touch};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::catalog::Factory;
use super::clock::now;
use super::functions::FunctionCaller;
use super::rows::content;
use super::seats::RunSeat;
use super::telling::{Batch, Speaker};
use super::wiring::App;

/// How long to wait between two tries while the database is away: twice as long each time, up to
/// eight seconds. It is tried until the host stops: a run that was accepted goes on by itself when
/// the database is back, however long that takes, and those that wait are as many as have a seat.
const AWAY_PAUSE_MS: u64 = 500;
const AWAY_DOUBLINGS: u32 = 4;

/// How often a fault of a database that answers is tried away: about fifteen seconds in all. After
/// that the run is left as the journal has it; the next start takes it up.
const NOTE_TRIES: u32 = 5;

/// How often a database that answers is asked for a run that may have been stored, before it is
/// believed that there is none: for about fifteen seconds. Longer than PostgreSQL works on
/// statements of a host that has given up (`statement_timeout_ms`), and a little for the commit.
const DOUBT_LOOKS: u32 = 5;

/// How far apart pieces of an answer are written. Nobody sees so short a wait, and a model that is
/// quicker costs one write for all that it says meanwhile.
const PIECES_APART: Duration = Duration::from_millis(10);

/// One run under way.
pub(crate) struct Driver {
    app: App,
    store: TenantStore,
    pin: Arc<RunPin>,
    machine: Machine,
    models: Vec<Option<Arc<dyn ChatModel>>>,
    factory: Option<Arc<Factory>>,
    /// Whose the workflow is; none if the operator shares or declares it.
    owner: Option<TenantId>,
    speaker: Speaker,
    /// Applied and not yet written.
    pending: Vec<JournalEntry>,
    /// Used by models and not yet written.
    spent: Vec<Spending>,
    /// What the run's models have used so far.
    tokens: u64,
    next_sequence: u64,
    /// False once the session could not take what the run changed in its state.
    leaves_state: bool,
    /// Kept until the run ends.
    _seat: RunSeat,
}

impl Driver {
    /// A run of which nothing is noted yet.
    pub(crate) fn new(
        app: App,
        store: TenantStore,
        pin: Arc<RunPin>,
        factory: Option<Arc<Factory>>,
        seat: RunSeat,
    ) -> Self {
        let models: Vec<_> = pin
            .graph
            .steps()
            .iter()
            .map(|it| match &it.executor {
                Executor::Agent(agent) => app.models.resolve(&agent.model),
                Executor::Function(_) | Executor::Query(_) => None,
            })
            .collect();
        let identities =
            models.iter().map(|it| it.as_ref().map(|model| model.identity().clone())).collect();
        let machine = Machine::new(pin.clone(), identities);
        let owner = match (&factory, pin.origin) {
            (Some(factory), _) => factory.shelf.owner().cloned(),
            (None, Origin::Declared) => None,
            // Its code is gone: nobody but its tenant is known to be bound by what it does.
            (None, Origin::Plugin(_)) => Some(pin.context.tenant.clone()),
        };
        Self {
            app,
            store,
            pin,
            machine,
            models,
            factory,
            owner,
            speaker: Speaker::new(),
            pending: Vec::new(),
            spent: Vec::new(),
            tokens: 0,
            next_sequence: 0,
            leaves_state: true,
            _seat: seat,
        }
    }

    /// Takes up a run where its journal ends. `lost` is the call that was under way then.
    pub(crate) fn resume(mut self, journal: &[JournalEntry], lost: Option<Spending>) -> Self {
        for entry in journal {
            // A call that was under way when the run was taken up before, or that failed.
            let may_have_used = match entry.event {
                RunEvent::RunResumed => true,
                RunEvent::TryFailed { failure, .. } => was_asked(failure),
                _ => false,
            };
            if may_have_used && let Next::Do(Action::AskModel(_, request)) = self.machine.next() {
                self.tokens = self.tokens.saturating_add(self.question(&request).most_tokens());
            }
            self.machine.apply(entry);
        }
        for (_, answer) in self.machine.record().answers() {
            let used = answer.usage.input_tokens.saturating_add(answer.usage.output_tokens);
            self.tokens = self.tokens.saturating_add(used);
        }
        if let Some(it) = lost {
            self.tokens = self.tokens.saturating_add(it.input_tokens + it.output_tokens);
            self.spent.push(it);
        }
        self.next_sequence = journal.last().map_or(0, |it| it.sequence + 1);
        self.note(RunEvent::RunResumed);
        self
    }

    /// Whose run it is.
    pub(crate) fn tenant(&self) -> &TenantId {
        self.store.tenant()
    }

    /// Hears everything that is noted from here on.
    pub(crate) fn listener(&self) -> Receiver<Batch> {
        self.speaker.listener()
    }

    /// Stores the run with all that can be noted before something has to happen outside.
    pub(crate) async fn open(
        &mut self,
        entry: SessionEntry,
        touch: Touch,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        self.decide();
        let mut first = std::mem::take(&mut self.pending);
        first.iter_mut().for_each(|it| it.at = self.pin.created_at);
        let events: Vec<_> = first.iter().map(|it| it.event.clone()).collect();
        self.store.run_open(&self.pin, &events, entry, touch).await?;
        Ok(first)
    }

    /// Whether the run is there although nobody said so: the database took it and its answer was
    /// lost. Asked until the database answers, or the host has to stop; then the next start finds
    /// the run.
    pub(crate) async fn was_stored(&self, stop: &CancellationToken) -> bool {
        let finding_out = async {
            let mut looks = 0;
            for tries in 0.. {
                pause(tries).await;
                match Box::pin(self.look()).await {
                    Ok(true) => return true,
                    Ok(false) => looks += 1,
                    Err(fault) if fault.is_passing() => {}
                    // Another host has the database and takes up what is in it, or the row is
                    // none that a run goes on from.
                    Err(_) => return false,
                }
                if looks == DOUBT_LOOKS {
                    break;
                }
            }
            false
        };
        let found = stop.run_until_cancelled(finding_out).await.unwrap_or(false);
        let run = self.pin.id;
        tracing::info!(run.id = %run, found, "whether run {run} was stored was in doubt");
        found
    }

    /// Whether the run is stored. On SQLite what was asked for before a ping is decided after it.
    async fn look(&self) -> Result<bool, StoreError> {
        self.app.store.ping().await?;
        Ok(self.store.run_fetch(self.pin.id).await?.is_some())
    }

    /// Until the run ends, or the host has to stop. Stopping leaves the run as the journal has
    /// it: what was under way is asked again by whoever takes it up.
    pub(crate) async fn drive(mut self, stop: CancellationToken) {
        let run = self.pin.id;
        while let Some(action) = self.decide() {
            let done = async {
                self.write().await?;
                self.act(action).await
            };
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    return tracing::info!(run.id = %run, "run {run} waits for the next start");
                }
                outcome = done => outcome,
            };
            match outcome {
                Ok(event) => self.note(event),
                Err(fault) => return self.abandon(&fault).await,
            }
        }
        match self.write().await {
            Ok(()) => {
                tracing::debug!(run.id = %run, "run {run} ended: {:?}", self.machine.record().status())
            }
            Err(fault) => self.abandon(&fault).await,
        }
    }

    async fn abandon(&self, fault: &StoreError) {
        let run = self.pin.id;
        if matches!(fault, StoreError::RunMissing) {
            // Who deletes a run does not get back what it used.
            if let Err(fault) = self.store.spending_add(&self.spent).await {
                let fault = &fault as &dyn std::error::Error;
                tracing::error!(run.id = %run, fault, "what run {run} used at last is not counted");
            }
            return tracing::info!(run.id = %run, "run {run} was deleted with its session");
        }
        let fault = fault as &dyn std::error::Error;
        tracing::error!(run.id = %run, fault, "run {run} cannot be noted and waits for the next start");
    }

    /// Follows the machine up to the next thing that has to happen outside.
    fn decide(&mut self) -> Option<Action> {
        loop {
            match self.machine.next() {
                Next::Note(event) => self.note(event),
                Next::Do(action) => return Some(action),
                Next::Finished => return None,
            }
        }
    }

    fn note(&mut self, event: RunEvent) {
        let entry = JournalEntry { sequence: self.next_sequence, at: now(), event };
        self.next_sequence += 1;
        self.machine.apply(&entry);
        self.pending.push(entry);
    }

    /// Writes what is pending, then tells it.
    async fn write(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            match self.append().await {
                Ok(()) => break,
                // Nobody else writes this journal: an earlier try got through unheard.
                Err(StoreError::SequenceTaken) if 0 < tries => break,
                Err(StoreError::Database { .. }) if tries < NOTE_TRIES => {}
                Err(fault) if fault.is_passing() && 0 < tries => {}
                Err(fault) if fault.is_passing() => {
                    let run = self.pin.id;
                    let fault = &fault as &dyn std::error::Error;
                    tracing::warn!(run.id = %run, fault, "run {run} waits for the database");
                }
                Err(fault @ (StoreError::StateTooLarge { .. } | StoreError::Unreadable { .. }))
                    if self.leaves_state =>
                {
                    self.end_without_state(&fault);
                    continue;
                }
                Err(fault) => return Err(fault),
            }
            pause(tries).await;
            tries += 1;
        }
        self.spent.clear();
        self.speaker.tell(std::mem::take(&mut self.pending));
        Ok(())
    }

    /// The last entries take along what the run leaves in its session.
    async fn append(&self) -> Result<(), StoreError> {
        if self.pending.last().is_some_and(|it| it.event.is_last()) {
            let closing = self.closing();
            return self.store.journal_close(&self.pin, &self.pending, &closing).await;
        }
        self.store.journal_spend(self.pin.id, &self.pending, &self.spent).await
    }

    /// What a run that ends leaves in its session: what its models used, and what its steps
    /// changed in the state which it began with.
    fn closing(&self) -> Closing {
        let record = self.machine.record();
        let change = record
            .session_state()
            .map(|after| ObjectChange::between(&self.pin.session_state, after))
            .filter(|it| self.leaves_state && !it.is_empty());
        let state = change.map(|it| self.app.state_change(it));
        Closing { usage: usage(record), state, spent: self.spent.clone() }
    }

    /// The session cannot take what steps changed in its state. A run that would have completed
    /// fails: what it did is not lost in silence.
    fn end_without_state(&mut self, fault: &StoreError) {
        let run = self.pin.id;
        let failure = match fault {
            StoreError::StateTooLarge { .. } => StepFailure::PluginOverLimit,
            _ => StepFailure::HostFailed,
        };
        tracing::warn!(run.id = %run, %fault, "what run {run} changed in its session's state is not kept");
        self.leaves_state = false;
        if let Some(last) = self.pending.last_mut()
            && last.event == RunEvent::RunCompleted
        {
            last.event = RunEvent::RunFailed { failure };
            self.machine.apply(last);
        }
    }

    async fn act(&mut self, action: Action) -> Result<RunEvent, StoreError> {
        match action {
            Action::AskModel(step, request) => self.ask(step, request).await,
            Action::CallFunction(step, input) => self.call(step, input).await,
            Action::AskDatabase(step, statement) => Ok(self.query(step, statement).await),
        }
    }

    /// Asks a model, if it is granted and the budgets have enough for it: what the call can use at
    /// most is held before it is made, and what it used is counted with its answer.
    async fn ask(
        &mut self,
        step: StepIndex,
        mut request: ModelRequest,
    ) -> Result<RunEvent, StoreError> {
        let failed = |failure| Ok(RunEvent::TryFailed { step, failure });
        let Some(model) = self.models.get(step.at()).cloned().flatten() else {
            return failed(StepFailure::ModelUnknown);
        };
        if !self.is_granted(&request.model) {
            return failed(StepFailure::ModelNotGranted);
        }
        let run = self.pin.id;
        let mut hold = match self.app.budgets.hold(self.question(&request)).await {
            Ok(hold) => hold,
            Err(refusal) => {
                let failure = refusal.step_failure();
                tracing::warn!(run.id = %run, step = step.0, "a model is not asked by run {run}: {failure}");
                return failed(failure);
            }
        };
        request.max_output_tokens = hold.asked().or(request.max_output_tokens);
        let heard = self.next_sequence;
        let answer = match self.pin.telling {
            Telling::Quiet => Ok(model.answer(&request).await),
            Telling::Streamed => self.listen(step, model.as_ref(), &request).await,
        };
        let charge = match &answer {
            Ok(Ok(answer)) => hold.commit(&answer.usage),
            Ok(Err(failure)) if !failure.may_have_cost() && heard == self.next_sequence => {
                hold.release();
                None
            }
            Ok(Err(_)) | Err(_) => hold.commit_whole(),
        };
        self.spend(&request.model, charge);
        Ok(match answer? {
            Ok(answer) => RunEvent::ModelAnswered { step, answer },
            Err(failure) => {
                tracing::warn!(run.id = %run, step = step.0, %failure, "a model call of run {run} failed");
                RunEvent::TryFailed { step, failure: failure.step_failure() }
            }
        })
    }

    /// Whether the plugin may ask this model now. What a file declares is the operator's own word.
    fn is_granted(&self, model: &ModelName) -> bool {
        let workflow = &self.pin.workflow;
        match (&self.factory, self.pin.origin) {
            (Some(factory), _) => self.app.grants(workflow, factory).model(model),
            (None, Origin::Declared) => true,
            // Its code is gone, and with it what it asked for.
            (None, Origin::Plugin(_)) => self.app.allows(self.owner.as_ref(), workflow, model),
        }
    }

    /// What a call would use at most.
    fn question(&self, request: &ModelRequest) -> Ask {
        let tenant = &self.pin.context.tenant;
        self.app.model_ask(tenant, self.owner.as_ref(), &self.pin.workflow, request, self.tokens)
    }

    /// Counts what a call used; it is written with what is noted next.
    fn spend(&mut self, model: &ModelName, charge: Option<Charge>) {
        let Some(charge) = charge else { return };
        if charge.is_over {
            let run = self.pin.id;
            tracing::warn!(run.id = %run, "a provider says that run {run} used more than it was asked for");
        }
        self.tokens = self.tokens.saturating_add(charge.tokens());
        self.spent.push(spending(self.owner.clone(), &self.pin, model, charge));
    }

    /// Notes and tells pieces as they arrive: the first at once, and those that come quickly
    /// after each other a few milliseconds apart, together.
    async fn listen(
        &mut self,
        step: StepIndex,
        model: &dyn ChatModel,
        request: &ModelRequest,
    ) -> Result<Result<ModelAnswer, ModelFailure>, StoreError> {
        let mut pieces = model.stream(request);
        let mut write_at = Instant::now();
        loop {
            match self.next_of(&mut pieces, &mut write_at).await? {
                Some(Ok(Piece::Began(mark))) => self.note(RunEvent::ModelBegan { step, mark }),
                Some(Ok(Piece::Delta(text))) => self.note(RunEvent::ModelDelta { step, text }),
                Some(Ok(Piece::Done(answer))) => return Ok(Ok(answer)),
                Some(Err(failure)) => return Ok(Err(failure)),
                None => return Ok(Err(ModelFailure::BrokeOff)),
            }
        }
    }

    /// The next of what is told on the way. What was noted is written while that is waited for,
    /// and not before `write_at`.
    async fn next_of<S: Stream + Unpin>(
        &mut self,
        told: &mut S,
        write_at: &mut Instant,
    ) -> Result<Option<S::Item>, StoreError> {
        loop {
            if self.pending.is_empty() {
                return Ok(told.next().await);
            }
            if let Ok(next) = timeout_at(*write_at, told.next()).await {
                return Ok(next);
            }
            self.write().await?;
            *write_at = Instant::now() + PIECES_APART;
        }
    }

    /// Calls a function, and notes and tells what it tells on the way as it arrives.
    async fn call(
        &mut self,
        step: StepIndex,
        input: FunctionInput,
    ) -> Result<RunEvent, StoreError> {
        let caller = FunctionCaller::new(&self.app, &self.pin, self.factory.as_ref());
        if self.pin.telling == Telling::Quiet {
            return Ok(caller.call(step, &input, None).await);
        }
        let mut told = caller.listen(step, input);
        let mut write_at = Instant::now();
        loop {
            match self.next_of(&mut told, &mut write_at).await? {
                Some(RunEvent::FunctionProgress { step, progress }) => {
                    if self.machine.record().has_room_for(&progress) {
                        self.note(RunEvent::FunctionProgress { step, progress });
                    }
                }
                Some(event) => return Ok(event),
                None => {
                    return Ok(RunEvent::TryFailed { step, failure: StepFailure::HostFailed });
                }
            }
        }
    }

    /// Puts a query step's statement, if that is (still) granted. What a file declares is the
    /// operator's own word.
    async fn query(&self, step: StepIndex, statement: Statement) -> RunEvent {
        let workflow = &self.pin.workflow;
        let grants = self.factory.as_ref().map(|it| self.app.grants(workflow, it));
        if grants.is_some_and(|it| !it.database(&statement.database, statement.access)) {
            return RunEvent::TryFailed { step, failure: StepFailure::DatabaseNotGranted };
        }
        let access = statement.access;
        match self.app.databases.ask(&self.pin.context.tenant, statement).await {
            Ok(answer) => {
                let output = StepOutput { content: content(&answer, access), stop: false };
                RunEvent::FunctionAnswered { step, output, session_state: None }
            }
            Err(failure) => {
                let run = self.pin.id;
                tracing::warn!(run.id = %run, step = step.0, %failure, "a query of run {run} failed");
                if let DatabaseFailure::Invalid(text) = &failure {
                    tracing::debug!(run.id = %run, step = step.0, text, "why the database refused it");
                }
                RunEvent::TryFailed { step, failure: failure.step_failure() }
            }
        }
    }
}

/// Whether a model was asked before its try failed so.
fn was_asked(failure: StepFailure) -> bool {
    !matches!(
        failure,
        StepFailure::ModelUnknown
            | StepFailure::ModelNotGranted
            | StepFailure::ModelNotPriced
            | StepFailure::BudgetExhausted
            | StepFailure::BudgetTooSmall
            | StepFailure::BudgetBusy
    )
}

/// Before the next try of something that failed so often.
pub(super) async fn pause(tries: u32) {
    let doublings = tries.min(AWAY_DOUBLINGS);
    tokio::time::sleep(Duration::from_millis(AWAY_PAUSE_MS << doublings)).await;
}

/// What one call used, as the day's table has it.
pub(super) fn spending(
    owner: Option<TenantId>,
    pin: &RunPin,
    model: &ModelName,
    charge: Charge,
) -> Spending {
    Spending {
        day: charge.day,
        owner,
        workflow: pin.workflow.clone(),
        model: model.to_string(),
        input_tokens: charge.input_tokens,
        output_tokens: charge.output_tokens,
        cost: charge.cost,
        calls: 1,
        estimated_calls: charge.is_estimate.into(),
    }
}

/// What models used, by model.
fn usage(record: &RunRecord) -> Vec<ModelUsage> {
    let mut usage: Vec<ModelUsage> = Vec::new();
    for (call, answer) in record.answers() {
        let known =
            usage.iter_mut().find(|it| it.model == call.model.model && it.api == call.model.api);
        match known {
            Some(it) => {
                it.input_tokens = it.input_tokens.saturating_add(answer.usage.input_tokens);
                it.output_tokens = it.output_tokens.saturating_add(answer.usage.output_tokens);
            }
            None => usage.push(ModelUsage {
                model: call.model.model.clone(),
                api: call.model.api.clone(),
                input_tokens: answer.usage.input_tokens,
                output_tokens: answer.usage.output_tokens,
                first_at: call.asked_at,
            }),
        }
    }
    usage
}
