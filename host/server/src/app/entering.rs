//! What a run finds when it enters its session, with what the client sends over it.

use serde_json::{Map, Value};
use stepmill_core::change::ObjectChange;
use stepmill_core::extras::Extras;
use stepmill_core::graph::StepGraph;
use stepmill_core::ids::{SessionId, UserId, WorkflowId};
use stepmill_core::json;
use stepmill_core::principal::Principal;
use stepmill_core::run::PastRun;
use stepmill_store::{StateChange, Touch};

use super::error::AppError;
use super::runs::{StartRun, refusal, session_entry};
use super::wiring::App;

/// What a run finds, and what came with the message.
pub(super) struct Found {
    pub(super) state: Map<String, Value>,
    /// What earlier runs came to, as far as the graph's steps are told of them.
    pub(super) history: Vec<PastRun>,
    pub(super) extras: Extras,
    /// What is left in the session when the run is accepted.
    pub(super) touch: Touch,
}

impl App {
    /// The token's word counts instead of the client's, and the client's more than the session's.
    /// The workflow's state is where a new session begins.
    ///
    /// # Errors
    /// The session is another user's; the state would be larger than a session's may be.
    pub(super) async fn enter(
        &self,
        who: &Principal,
        session: Option<&SessionId>,
        user: Option<&UserId>,
        workflow: &WorkflowId,
        graph: &StepGraph,
        ask: &StartRun,
    ) -> Result<Found, AppError> {
        let store = self.store.tenant(&who.tenant);
        let before = match session {
            Some(session) => {
                store.session_before(session, user, session_entry(who)).await.map_err(refusal)?
            }
            None => None,
        };
        let history = match session.filter(|_| before.is_some() && graph.history() != 0) {
            Some(session) => store.run_history(session, workflow, user, graph.history()).await?,
            None => Vec::new(),
        };
        let is_new = before.is_none();
        let before = before.unwrap_or_default();
        let mut state = if is_new { graph.session_state() } else { &before.state }.clone();
        let said = who.session_state.as_ref().or(ask.session_state.as_ref());
        let said = ObjectChange::from(said.cloned().unwrap_or_default());
        said.apply(&mut state);
        let is_changed = is_new || state != before.state;
        if is_changed {
            self.check_state(&state)?;
        }
        // Also of a new session: another run may have made it by the time this one is stored.
        let touch = if is_changed && !said.is_empty() {
            Touch::State(self.state_change(said))
        } else {
            Touch::Use
        };
        let mut extras = ask.extras.clone();
        if let Some(dependencies) = &who.dependencies {
            extras.dependencies = Some(Value::Object(dependencies.clone()));
        }
        let said = std::mem::replace(&mut extras.metadata, before.metadata);
        json::lay_over(&mut extras.metadata, said);
        Ok(Found { state, history, extras, touch })
    }

    /// The change, and how large it may make a session's state.
    pub(super) fn state_change(&self, change: ObjectChange) -> StateChange {
        StateChange { change, limit: self.run_settings.state_bytes }
    }

    /// Whether a session may have this state. Every run reads it and every step may write it, so
    /// it must not grow from run to run without end.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn check_state(&self, state: &Map<String, Value>) -> Result<(), AppError> {
        let limit = self.run_settings.state_bytes;
        if limit < json::bytes(state) { Err(AppError::StateTooLarge(limit)) } else { Ok(()) }
    }
}
