//! Runs: start one, read it back.

use std::sync::Arc;

use serde_json::{Map, Value};
use stepmill_core::call::ModelRequest;
use stepmill_core::capability::Grants;
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::event::JournalEntry;
use stepmill_core::extras::{Extras, Media};
use stepmill_core::graph::{Executor, GraphLimits, Query, StepGraph};
use stepmill_core::ids::{DatabaseName, IdFault, RunId, SessionId, TenantId, UserId, WorkflowId};
use stepmill_core::limits::Limits;
use stepmill_core::principal::{Principal, Standing};
use stepmill_core::run::{Origin, RunPin, RunStatus, Telling};
use stepmill_core::scope::Right;
use stepmill_store::{RunFilter, RunList, SessionEntry, StoreError, StoredRun};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::catalog::{Entry, Factory, Source};
use super::clock::now;
use super::driver::Driver;
use super::error::AppError;
use super::follow::{Follow, Started};
use super::input;
use super::large_lists::ListRead;
use super::wiring::App;

/// To look at a workflow.
const READ: Right<'static> = Right::new("workflows:read");

/// To run a workflow, and to read its runs.
const RUN: Right<'static> = Right::new("workflows:run");

fn may(who: &Principal, id: &str, right: Right<'static>) -> Result<(), AppError> {
    if who.may(right.on(id)) { Ok(()) } else { Err(AppError::WorkflowDenied(right.action)) }
}

/// How often a run is tried while its plugin is being replaced.
const START_TRIES: u32 = 3;

/// What a client asks for. Every text is still as the client wrote it.
pub struct StartRun {
    /// Which workflow.
    pub workflow: String,
    /// The message.
    pub message: String,
    /// The conversation; `None` starts a new one.
    pub session: Option<String>,
    /// Who the client says it is. Believed only by a host without authentication.
    pub user: Option<String>,
    /// JSON text.
    pub factory_input: Option<String>,
    /// What came with the message.
    pub extras: Extras,
    /// Laid over the session's state.
    pub session_state: Option<Map<String, Value>>,
    /// Whether pieces of answers are told.
    pub telling: Telling,
    /// The request.
    pub request: RequestFacts,
}

/// What a client wants to read.
pub struct ReadRuns {
    /// Of which workflow.
    pub workflow: String,
    /// Of which conversation.
    pub session: String,
    /// JSON text; drives the factory's rebuild.
    pub factory_input: Option<String>,
    /// The request.
    pub request: RequestFacts,
}

/// A graph for one request, and who drew it.
struct Drawn {
    graph: Arc<StepGraph>,
    origin: Origin,
    factory: Option<Arc<Factory>>,
}

impl Drawn {
    /// The message as steps get it, and whether it is an object that a schema was read into: of a
    /// prototype with a schema, it has to be valid.
    fn message(&self, text: &str) -> Result<(String, bool), AppError> {
        let factory = self.factory.as_ref().filter(|it| it.fixed.is_some());
        match factory.and_then(|it| it.schema.as_ref()) {
            Some(schema) => Ok((input::written(input::read_message(text, schema)?)?, true)),
            None => Ok((text.to_owned(), false)),
        }
    }
}

fn bad_session(fault: IdFault) -> AppError {
    AppError::BadId { field: "session_id", fault }
}

impl App {
    /// All workflows of the caller's tenant that the caller may look at.
    pub fn workflow_list(&self, who: &Principal) -> Vec<Entry> {
        let mut found = self.catalog.list(&who.tenant);
        found.retain(|it| who.may(READ.on(it.id.as_str())));
        found
    }

    /// How many workflows every tenant sees.
    pub fn workflow_count(&self) -> usize {
        self.catalog.public_count()
    }

    /// One workflow.
    ///
    /// # Errors
    /// The caller may not look at it, there is none of this id, or it is another tenant's.
    pub fn workflow_fetch(&self, who: &Principal, id: &str) -> Result<Entry, AppError> {
        self.workflow(who, id, READ)
    }

    /// Whether the caller may run a workflow of this id, if there is one: asked before anything
    /// else that a request says is looked at.
    ///
    /// # Errors
    /// It may not.
    pub fn run_may(&self, who: &Principal, id: &str) -> Result<(), AppError> {
        may(who, id, RUN)
    }

    /// A workflow the caller may do this with. That is asked first: who may not is not told
    /// what there is.
    fn workflow(
        &self,
        who: &Principal,
        id: &str,
        right: Right<'static>,
    ) -> Result<Entry, AppError> {
        may(who, id, right)?;
        // What cannot be an id names nothing.
        let id = WorkflowId::new(id).map_err(|_| AppError::UnknownWorkflow)?;
        self.catalog.find(&who.tenant, &id).ok_or(AppError::UnknownWorkflow)
    }

    /// The steps of a workflow that are the same for everybody; a factory has none before it is
    /// asked.
    ///
    /// # Errors
    /// The plugin's code cannot be loaded.
    pub async fn workflow_graph(&self, entry: &Entry) -> Result<Option<Arc<StepGraph>>, AppError> {
        match &entry.source {
            Source::Declared(declared) => Ok(Some(declared.graph.clone())),
            Source::Factory(_) if entry.is_factory() => Ok(None),
            Source::Factory(slot) => Ok(self.catalog.factory(slot).await?.fixed.clone()),
        }
    }

    /// From "somebody asked" to "a run exists". Once the run is stored, its failure is an event.
    ///
    /// # Errors
    /// Whatever keeps the run from existing; nothing is left behind then.
    pub async fn run_start(&self, who: &Principal, ask: &StartRun) -> Result<Started, AppError> {
        self.sandbox.in_turn(who.tenant.as_str(), self.run_tries(who, ask)).await
    }

    async fn run_tries(&self, who: &Principal, ask: &StartRun) -> Result<Started, AppError> {
        for _ in 1..START_TRIES {
            match self.run_try(who, ask).await {
                // The plugin was replaced after it drew and took its code along: ask the new one.
                Err(AppError::Store(StoreError::ComponentMissing)) => {}
                done => return done,
            }
        }
        self.run_try(who, ask).await
    }

    /// Every line hands the next one something stronger; nothing flows back.
    async fn run_try(&self, who: &Principal, ask: &StartRun) -> Result<Started, AppError> {
        let entry = self.workflow(who, &ask.workflow, RUN)?;
        let session = match &who.session {
            Some(session) => Some(session.clone()),
            None => ask.session.clone().map(SessionId::new).transpose().map_err(bad_session)?,
        };
        let user = effective_user(who, ask.user.clone())?;
        let limits = self.entry_limits(&who.tenant, &entry);
        let seat = self.seat(&who.tenant, &entry.id, &limits)?;
        let (input, request) = (ask.factory_input.as_deref(), ask.request.clone());
        let (context, drawn) =
            self.draw(who, &entry, user.clone(), session.clone(), input, request).await?;
        let (message, is_object) = drawn.message(&ask.message)?;
        self.check_graph_grants(&entry.id, &drawn)?;
        self.check_budget(who, &entry.id, &drawn, &message, &ask.extras.media)?;
        let store = self.store.tenant(&who.tenant);
        let found =
            self.enter(who, session.as_ref(), user.as_ref(), &entry.id, &drawn.graph, ask).await?;
        let pin = Arc::new(RunPin {
            id: RunId::from_uuid(Uuid::now_v7()),
            workflow: entry.id,
            session: session.unwrap_or_else(new_session),
            user,
            input: message,
            extras: Arc::new(Extras { is_object, ..found.extras }),
            session_state: found.state,
            history: found.history.into(),
            telling: ask.telling,
            origin: drawn.origin,
            context,
            graph: drawn.graph,
            created_at: now(),
        });
        let driver = Driver::new(self.clone(), store.clone(), pin.clone(), drawn.factory, seat);
        let listener = driver.listener();
        let (answer, stored) = oneshot::channel();
        self.spawn_new(driver, session_entry(who), found.touch, answer);
        // Without an answer the task has panicked, which is in the log.
        let first = match stored.await.map_err(|_| AppError::Broken)? {
            Err(fault) if fault.leaves_doubt() => {
                return Err(AppError::InDoubt { run: pin.id, session: pin.session.clone(), fault });
            }
            first => first.map_err(refusal)?,
        };
        let follow = Follow::new(store, pin.id, listener, first, self.tasks.clone());
        Ok(Started { pin, follow })
    }

    /// Whether the plugin was granted every model and database its graph asks. What a file declares
    /// is the operator's own word.
    fn check_graph_grants(&self, id: &WorkflowId, drawn: &Drawn) -> Result<(), AppError> {
        let Some(factory) = &drawn.factory else { return Ok(()) };
        let grants = self.grants(id, factory);
        for step in drawn.graph.steps() {
            match &step.executor {
                Executor::Agent(agent) if !grants.model(&agent.model) => {
                    return Err(AppError::ModelNotGranted { step: step.name.clone() });
                }
                Executor::Query(query) if !covers(&grants, query) => {
                    return Err(AppError::DatabaseNotGranted { step: step.name.clone() });
                }
                Executor::Agent(_) | Executor::Function(_) | Executor::Query(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the budgets have enough for the first model that is asked, by the message as steps
    /// get it. What is asked later, and what a step before leaves it to read, is not known yet; what
    /// is told of the session's state and of the dependencies is not counted here. All of it is when
    /// the model is asked.
    fn check_budget(
        &self,
        who: &Principal,
        id: &WorkflowId,
        drawn: &Drawn,
        message: &str,
        media: &Arc<[Media]>,
    ) -> Result<(), AppError> {
        for (place, step) in drawn.graph.steps().iter().enumerate() {
            let Executor::Agent(agent) = &step.executor else { continue };
            let message = if place == 0 { message } else { "" };
            let instructions = agent.instructions.clone();
            let request = ModelRequest::of(agent, instructions, message.into(), media.clone());
            let owner = drawn.factory.as_ref().and_then(|it| it.shelf.owner());
            let question = self.model_ask(&who.tenant, owner, id, &request, 0);
            return self.budgets.check(&question).map_err(AppError::Budget);
        }
        Ok(())
    }

    /// One run, read back. The factory is asked again, so what it refuses cannot be read either.
    ///
    /// # Errors
    /// The factory's refusal, or there is no such run for this caller.
    pub async fn run_fetch(
        &self,
        who: &Principal,
        ask: ReadRuns,
        run: &str,
    ) -> Result<(StoredRun, Vec<JournalEntry>), AppError> {
        let (workflow, session) = self.admit(who, ask).await?;
        let session = session.ok_or(AppError::UnknownRun)?;
        let run = RunId::parse(run).map_err(|_| AppError::UnknownRun)?;
        let store = self.store.tenant(&who.tenant);
        let found = store.run_find(who.sees(), Some(&workflow), &session, run).await?;
        found.ok_or(AppError::UnknownRun)
    }

    /// The latest runs of one session, oldest first, without the pieces of streamed answers: a
    /// session may hold more of them than fits into memory. The factory is asked again.
    ///
    /// # Errors
    /// The factory's refusal, or there is no such session for this caller;
    /// [`AppError::RunsTooLarge`].
    pub async fn run_list(
        &self,
        who: &Principal,
        ask: ReadRuns,
        statuses: Option<Vec<RunStatus>>,
    ) -> Result<ListRead<RunList>, AppError> {
        let (workflow, session) = self.admit(who, ask).await?;
        let session = session.ok_or(AppError::UnknownSession)?;
        let filter = RunFilter { workflow: Some(workflow), statuses, ..RunFilter::default() };
        self.runs_of(who, &session, &filter).await
    }

    pub(super) async fn runs_of(
        &self,
        who: &Principal,
        session: &SessionId,
        filter: &RunFilter,
    ) -> Result<ListRead<RunList>, AppError> {
        let (store, limit) = (self.store.tenant(&who.tenant), self.run_settings.list);
        let read = |bytes| store.run_list(who.sees(), session, filter, limit, bytes);
        let found = self.large_lists.read(&who.tenant, read).await.map_err(runs_too_large)?;
        found.transpose().ok_or(AppError::UnknownSession)
    }

    /// Lets a reader in as the factory would let a run in. A session that cannot be one is `None`.
    async fn admit(
        &self,
        who: &Principal,
        ask: ReadRuns,
    ) -> Result<(WorkflowId, Option<SessionId>), AppError> {
        let entry = self.workflow(who, &ask.workflow, RUN)?;
        let session = who.session.clone().or_else(|| SessionId::new(ask.session).ok());
        let user = effective_user(who, None)?;
        self.draw(who, &entry, user, session.clone(), ask.factory_input.as_deref(), ask.request)
            .await?;
        Ok((entry.id, session))
    }

    /// What the operator says of a workflow in this tenant.
    fn entry_limits(&self, tenant: &TenantId, entry: &Entry) -> Limits {
        let owner = match &entry.source {
            Source::Factory(slot) => slot.shelf.owner(),
            Source::Declared(_) => None,
        };
        self.policies.current().plugin_limits(owner, tenant, &entry.id)
    }

    /// Asks the factory for a graph and checks it. A declared workflow has its graph already.
    async fn draw(
        &self,
        who: &Principal,
        entry: &Entry,
        user: Option<UserId>,
        session: Option<SessionId>,
        factory_input: Option<&str>,
        request: RequestFacts,
    ) -> Result<(Arc<RequestContext>, Drawn), AppError> {
        let mut context = RequestContext {
            user,
            session,
            input: None,
            request,
            tenant: who.tenant.clone(),
            trusted: who.trusted.clone(),
        };
        let slot = match &entry.source {
            Source::Factory(slot) => slot,
            Source::Declared(declared) => {
                let graph = declared.graph.clone();
                return Ok((
                    Arc::new(context),
                    Drawn { graph, origin: Origin::Declared, factory: None },
                ));
            }
        };
        let factory = self.catalog.factory(slot).await?;
        let origin = Origin::Plugin(factory.plugin.digest());
        if let Some(graph) = factory.fixed.clone() {
            return Ok((Arc::new(context), Drawn { graph, origin, factory: Some(factory) }));
        }
        context.input = input::read(factory_input, factory.schema.as_ref())?;
        let site = self.call_site(&who.tenant, &entry.id, &factory);
        let draft = factory.plugin.build(site, &context).await.map_err(AppError::from)?;
        let limits = self.entry_limits(&who.tenant, entry);
        let graph =
            draft.check(&graph_limits(self.graph_limits, &limits)).map_err(AppError::BadGraph)?;
        Ok((Arc::new(context), Drawn { graph: Arc::new(graph), origin, factory: Some(factory) }))
    }
}

fn covers(grants: &Grants, query: &Query) -> bool {
    let name = DatabaseName::new(query.database.as_str());
    name.is_ok_and(|it| grants.database(&it, query.access))
}

/// The host's, and where the operator's of a tenant or a plugin are narrower, those.
fn graph_limits(host: GraphLimits, limits: &Limits) -> GraphLimits {
    let nodes = limits.nodes.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
    GraphLimits { nodes: host.nodes.min(nodes), ..host }
}

/// Runs that are beyond what one list may hold, in the words of whoever asked for them.
pub(super) fn runs_too_large(fault: AppError) -> AppError {
    match fault {
        AppError::Store(StoreError::TooLarge) => AppError::RunsTooLarge,
        fault => fault,
    }
}

/// Who the run belongs to: the token's subject; on an open host whoever the client says.
pub(crate) fn effective_user(
    who: &Principal,
    said: Option<String>,
) -> Result<Option<UserId>, AppError> {
    match who.standing {
        Standing::Member | Standing::Admin | Standing::Operator => Ok(who.user.clone()),
        Standing::Open => {
            let user = said.map(UserId::new).transpose();
            user.map_err(|fault| AppError::BadId { field: "user_id", fault })
        }
    }
}

/// Why a run may not enter its session. One of another user's is told like one that is not there.
pub(super) fn refusal(fault: StoreError) -> AppError {
    match fault {
        StoreError::SessionForeign => AppError::UnknownSession,
        StoreError::StateTooLarge { limit } => AppError::StateTooLarge(limit),
        fault => fault.into(),
    }
}

/// Admins may enter any session of their tenant.
pub(super) fn session_entry(who: &Principal) -> SessionEntry {
    match who.standing {
        Standing::Admin | Standing::Operator => SessionEntry::Any,
        Standing::Open | Standing::Member => SessionEntry::Owner,
    }
}

/// Ids of runs and sessions begin with the time, so that new rows lie side by side: a database
/// writes a few pages for many of them. Seventy-four bits of an id are chance, and ids are no secrets.
pub(crate) fn new_session() -> SessionId {
    SessionId::new(Uuid::now_v7().to_string()).expect("a UUID is a session id")
}
