//! What can go wrong in a use case, in the words of the house.

use std::time::Duration;

use stepmill_core::budget::Refusal;
use stepmill_core::capability::Capability;
use stepmill_core::graph::GraphFault;
use stepmill_core::ids::{IdFault, RunId, SessionId, WorkflowId};
use stepmill_sandbox::{BuildFailure, CallFailure, LoadFailure};
use stepmill_store::{LIST_BYTES, StoreError};

use super::input::InputFault;
use super::schema::SchemaFault;
use super::secrets::{SecretFault, VaultFault};
use crate::settings::PolicyFault;

const LIST_MIB: usize = LIST_BYTES / (1024 * 1024);

/// Why a use case gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Unknown, or another tenant's: the same to the caller.
    #[error("there is no such workflow")]
    UnknownWorkflow,
    /// Unknown, of another workflow, or not the caller's.
    #[error("there is no such session")]
    UnknownSession,
    /// Unknown, of another session or workflow, or not the caller's.
    #[error("there is no such run")]
    UnknownRun,
    /// Somebody deleted the run's session while it was under way.
    #[error("the run was deleted with its session")]
    RunDeleted,
    /// The session has no runs at all.
    #[error("the session has no runs")]
    NoRuns,
    /// A session is to be made whose id is taken.
    #[error("there is a session of this id")]
    SessionExists(SessionId),
    /// The same, and it is nothing the caller may know of.
    #[error("the session's id cannot be used")]
    SessionTaken,
    /// A list of runs that holds more than the host reads at once.
    #[error(
        "These runs hold more than {LIST_MIB} MiB together, the most that one list gives; \
         GET /sessions/{{session_id}}/run-previews names them, and each can be read by itself"
    )]
    RunsTooLarge,
    /// A page of sessions that holds more than the host reads at once.
    #[error(
        "These sessions hold more than {LIST_MIB} MiB together, the most that one page gives; \
         ask for fewer of them with `limit`"
    )]
    SessionsTooLarge,
    /// There is no such plugin in the caller's tenant.
    #[error("there is no such plugin")]
    UnknownPlugin,
    /// The caller's scopes do not cover this.
    #[error("the scope `{0}` is required")]
    ScopeMissing(&'static str),
    /// There is no such API key in the caller's tenant.
    #[error("there is no such key")]
    UnknownKey,
    /// A key is to have a role that this host does not know.
    #[error("there is no such role")]
    UnknownRole,
    /// A key is to be one of the host's own users.
    #[error("the user is one of the host's own")]
    ReservedUser,
    /// A key is to do more than whoever makes it.
    #[error("the key could do more than whoever makes it")]
    KeyBeyondMaker,
    /// Who came in by a key asks for another one.
    #[error("a key makes no keys")]
    KeyMakesKeys,
    /// The caller's tenant has as many keys as it may have.
    #[error("the tenant has no room for another key")]
    KeysFull,
    /// This is for the host's operator only.
    #[error("only the host's operator may do this")]
    NotOperator,
    /// The caller's scopes do not let it do this with the workflow.
    #[error("the caller may not {0} this workflow")]
    WorkflowDenied(&'static str),
    /// An id the caller chose cannot be one.
    #[error("{field} {fault}")]
    BadId {
        /// The field it came in.
        field: &'static str,
        /// What is wrong with it.
        fault: IdFault,
    },
    /// A session's state would be larger than this many bytes.
    #[error("the session's state must not be larger than {0} bytes")]
    StateTooLarge(usize),
    /// `factory_input` cannot be used.
    #[error(transparent)]
    Input(#[from] InputFault),
    /// The factory refused the caller. The text is for the caller.
    #[error("the factory refused the caller")]
    FactoryRefused(String),
    /// The factory refused the input. The text is for the caller.
    #[error("the factory refused the input")]
    FactoryInvalid(String),
    /// The factory failed in its own words. They are for the log.
    #[error("the factory reported an error")]
    FactoryFailed(String),
    /// The plugin stopped before it answered.
    #[error("the plugin stopped before it answered")]
    PluginStopped(#[source] CallFailure),
    /// The plugin's code is not there or does not load any more.
    #[error("the code of plugin `{0}` is not available")]
    PluginMissing(WorkflowId),
    /// The plugin drew a graph that cannot run.
    #[error("the plugin drew a graph that cannot run")]
    BadGraph(Vec<GraphFault>),
    /// An uploaded component is not a plugin.
    #[error("the component is not a plugin")]
    NotAPlugin(#[source] LoadFailure),
    /// An uploaded plugin's input schema cannot be used.
    #[error("the plugin's input schema cannot be used")]
    BadSchema(#[from] SchemaFault),
    /// The id belongs to a workflow that is declared in a file or shared by the operator.
    #[error("the id `{0}` is taken by a workflow of the operator")]
    IdTaken(WorkflowId),
    /// Nothing is said of this scope, or not over the API.
    #[error("nothing is said of this")]
    UnknownPolicy,
    /// A policy says something that cannot be.
    #[error("the policy cannot be")]
    BadPolicy(#[source] PolicyFault),
    /// After a patch a policy would have a field that is unknown, or of another type.
    #[error("the patch makes no policy")]
    BadPatch(#[source] serde_json::Error),
    /// As many policies are said over the API as the host keeps.
    #[error("there must not be more than {0} policies")]
    TooManyPolicies(usize),
    /// A stored policy is not what this host understands.
    #[error("a stored policy cannot be read")]
    PolicyUnreadable,
    /// The caller's tenant, or the operator, keeps no such secret.
    #[error("there is no such secret")]
    UnknownSecret,
    /// A secret that cannot be one.
    #[error("the secret cannot be")]
    BadSecret(#[source] SecretFault),
    /// As many secrets are kept as the host keeps for one owner.
    #[error("there must not be more than {0} secrets")]
    TooManySecrets(usize),
    /// The host has no key for secrets.
    #[error("secrets cannot be kept")]
    SecretsUnavailable(#[source] VaultFault),
    /// An uploaded plugin asks for what nobody of its place is granted.
    #[error("the plugin asks for what is not granted")]
    NotGranted {
        /// What.
        missing: Vec<Capability>,
        /// What would be granted here.
        allowed: Vec<Capability>,
    },
    /// A step asks a model that the plugin was not granted.
    #[error("the step `{step}` asks a model that is not granted")]
    ModelNotGranted {
        /// Which step.
        step: String,
    },
    /// The first call of a model would not fit into what budgets have left.
    #[error("the budget for models does not have enough")]
    Budget(Refusal),
    /// The days somebody asks for are in the wrong order, or too many.
    #[error("`from` must not be after `to`, and there must not be more than {most} days")]
    BadDays {
        /// The most of one answer.
        most: i64,
    },
    /// What was used on the days somebody asks for is more than one answer holds.
    #[error("there are more than {rows} rows; ask for fewer days")]
    TooMuchUsage {
        /// The most of one answer.
        rows: u32,
    },
    /// A step asks a database that the plugin was not granted, or not for writing.
    #[error("the step `{step}` asks a database that is not granted")]
    DatabaseNotGranted {
        /// Which step.
        step: String,
    },
    /// As many runs are under way as the host takes on.
    #[error("the host is busy")]
    Busy,
    /// As many runs of the caller's tenant are under way as it may have at once.
    #[error("as many runs of the tenant are under way as it may have at once")]
    TenantBusy,
    /// As many uploads of the caller's tenant wait for their turn as may.
    #[error("as many uploads of the tenant wait as may, which are {0}")]
    UploadsWait(usize),
    /// As many runs of this workflow are under way as the tenant may have at once.
    #[error("as many runs of the workflow are under way as the tenant may have at once")]
    WorkflowBusy,
    /// The tenant asks more often than it may.
    #[error("the tenant may ask {per_minute} times in a minute")]
    TooManyRequests {
        /// How often it may.
        per_minute: u64,
        /// When it may again.
        wait: Duration,
    },
    /// The tenant has as many plugins as it may.
    #[error("The tenant has {0} plugins, which is as many as it may have; delete one first")]
    TooManyPlugins(u64),
    /// The tenant's plugins would be larger than they may be.
    #[error(
        "With this plugin the tenant would have more than {0} bytes of plugins, which is as much as \
         it may have; delete one first, or upload a smaller one"
    )]
    PluginsTooLarge(u64),
    /// The host is going down.
    #[error("the host is shutting down")]
    Stopping,
    /// The database did not say whether it took the run. If it did, the run goes on.
    #[error("whether the run was accepted is not known")]
    InDoubt {
        /// The run's id, if it was.
        run: RunId,
        /// Its session.
        session: SessionId,
        /// What the database said instead.
        #[source]
        fault: StoreError,
    },
    /// A task of the host ended before its work was done.
    #[error("the host failed")]
    Broken,
    /// The database.
    #[error("the host's database did not do its work")]
    Store(#[from] StoreError),
}

impl From<BuildFailure> for AppError {
    fn from(failure: BuildFailure) -> Self {
        match failure {
            BuildFailure::Permission(text) => Self::FactoryRefused(text),
            BuildFailure::Validation(text) => Self::FactoryInvalid(text),
            BuildFailure::Other(text) => Self::FactoryFailed(text),
            BuildFailure::Call(failure) => Self::PluginStopped(failure),
        }
    }
}
