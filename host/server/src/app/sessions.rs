//! Sessions: made, listed, looked at, changed and deleted by those who may.

use std::sync::Arc;

use serde_json::{Map, Value};
use stepmill_core::audit::Action;
use stepmill_core::event::JournalEntry;
use stepmill_core::graph::StepGraph;
use stepmill_core::ids::{ComponentId, RunId, SessionId, UserId, WorkflowId};
use stepmill_core::principal::{Principal, Sees};
use stepmill_store::{
    RunFilter, RunList, SessionChange, SessionFilter, SessionList, SessionOverview, SessionPage,
    StoreError, StoredPreview, StoredRun, StoredSession,
};

use super::audit::note;
use super::clock::now;
use super::error::AppError;
use super::large_lists::ListRead;
use super::runs::{effective_user, new_session, runs_too_large};
use super::wiring::App;

/// A session that a client asks for. Every text is still as the client wrote it.
#[derive(Default)]
pub struct NewSession {
    /// `None` lets the host choose.
    pub id: Option<String>,
    /// Who it shall belong to. Believed of the operator only.
    pub user: Option<String>,
    /// The workflow it is made for.
    pub workflow: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its state.
    pub state: Option<Map<String, Value>>,
    /// Its metadata.
    pub metadata: Option<Map<String, Value>>,
}

/// Which sessions a client wants to see.
pub struct ListSessions {
    /// Of one user. Heard from those who see more than their own.
    pub user: Option<String>,
    /// Made for one workflow.
    pub workflow: Option<String>,
    /// With this in the name.
    pub name: Option<String>,
    /// Which part of them.
    pub page: SessionPage,
}

/// One session, whole.
pub struct SessionDetail {
    /// What is kept.
    pub overview: SessionOverview,
    /// The workflow whose run made it, and the graph of that run; `None` if a client made it.
    pub graph: Option<(WorkflowId, Arc<StepGraph>)>,
}

impl App {
    /// Makes a session.
    ///
    /// # Errors
    /// There is one of this id, the caller's or another's, or a text cannot be what it is meant
    /// for.
    pub async fn session_create(
        &self,
        who: &Principal,
        ask: NewSession,
    ) -> Result<SessionDetail, AppError> {
        let bad = |field, fault| AppError::BadId { field, fault };
        let id = ask.id.filter(|it| !it.is_empty()).map(SessionId::new).transpose();
        let user = effective_user(who, ask.user.filter(|it| !it.is_empty()))?;
        let workflow = ask.workflow.filter(|it| !it.is_empty()).map(ComponentId::new);
        ask.state.as_ref().map_or(Ok(()), |it| self.check_state(it))?;
        let at = now();
        let session = StoredSession {
            id: id.map_err(|it| bad("session_id", it))?.unwrap_or_else(new_session),
            user,
            workflow: workflow.transpose().map_err(|it| bad("workflow_id", it))?,
            name: ask.name,
            state: ask.state,
            metadata: ask.metadata,
            created_at: at,
            updated_at: at,
        };
        let store = self.store.tenant(&who.tenant);
        match store.session_create(&session).await {
            Err(StoreError::SessionExists) => {
                Err(match store.session_find(who.sees(), &session.id).await? {
                    Some(_) => AppError::SessionExists(session.id),
                    None => AppError::SessionTaken,
                })
            }
            done => {
                done?;
                let overview = SessionOverview { session, opening: None, usage: Vec::new() };
                Ok(SessionDetail { overview, graph: None })
            }
        }
    }

    /// A page of the sessions the caller sees, and how many there are.
    ///
    /// # Errors
    /// [`AppError::SessionsTooLarge`]; the database's.
    pub async fn session_list(
        &self,
        who: &Principal,
        ask: ListSessions,
    ) -> Result<ListRead<(SessionList, u64)>, AppError> {
        // What cannot be an id is nobody's.
        let Ok(user) = said_user(who, ask.user) else { return Ok(ListRead::default()) };
        let Ok(workflow) = ask.workflow.map(ComponentId::new).transpose() else {
            return Ok(ListRead::default());
        };
        let filter = SessionFilter { user, workflow, name: ask.name };
        let store = self.store.tenant(&who.tenant);
        let read = |bytes| store.session_list(who.sees(), &filter, ask.page, bytes);
        self.large_lists.read(&who.tenant, read).await.map_err(|fault| match fault {
            AppError::Store(StoreError::TooLarge) => AppError::SessionsTooLarge,
            fault => fault,
        })
    }

    /// One session.
    ///
    /// # Errors
    /// There is none that the caller sees and that is `user`'s, if one is named.
    pub async fn session_fetch(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
    ) -> Result<SessionDetail, AppError> {
        let overview = self.session_of(who, id, user).await?;
        let store = self.store.tenant(&who.tenant);
        let session = &overview.session;
        let workflow = session.workflow.as_ref().and_then(|it| WorkflowId::new(it.as_str()).ok());
        let first = match overview.opening {
            Some(_) => store.run_first(who.sees(), &session.id, workflow.as_ref()).await?,
            None => None,
        };
        // A run makes its session in the moment it is accepted in.
        let first = first.filter(|it| it.pin.created_at == session.created_at);
        let graph = first.map(|it| (it.pin.workflow, it.pin.graph));
        Ok(SessionDetail { overview, graph })
    }

    async fn session_of(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
    ) -> Result<SessionOverview, AppError> {
        let id = SessionId::new(id).map_err(|_| AppError::UnknownSession)?;
        let user = said_user(who, user).map_err(|()| AppError::UnknownSession)?;
        let found = self.store.tenant(&who.tenant).session_find(narrowed(who, &user), &id).await?;
        found.ok_or(AppError::UnknownSession)
    }

    /// Changes a session.
    ///
    /// # Errors
    /// As of [`Self::session_fetch`].
    pub async fn session_change(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
        change: SessionChange,
    ) -> Result<SessionDetail, AppError> {
        let found = self.session_of(who, id, user.clone()).await?;
        change.state.as_ref().map_or(Ok(()), |it| self.check_state(it))?;
        if change != SessionChange::default() {
            let store = self.store.tenant(&who.tenant);
            store.session_change(who.sees(), &found.session.id, &change, now()).await?;
        }
        self.session_fetch(who, id, user).await
    }

    /// Deletes sessions with their runs. One that is not there, or not the caller's, is no error.
    ///
    /// # Errors
    /// The database's.
    pub async fn session_delete(
        &self,
        who: &Principal,
        ids: &[String],
        user: Option<String>,
    ) -> Result<(), AppError> {
        let Ok(user) = said_user(who, user) else { return Ok(()) };
        let store = self.store.tenant(&who.tenant);
        for id in ids {
            let Ok(session) = SessionId::new(id) else { continue };
            let note = note(who.actor(), Action::SessionDelete, &session);
            if store.session_delete(narrowed(who, &user), &session, &note).await? {
                tracing::info!(session.id = %session, "session {session} is deleted");
            }
        }
        Ok(())
    }

    /// The latest runs of a session, of all its workflows, oldest first, without the pieces of
    /// streamed answers.
    ///
    /// # Errors
    /// As of [`Self::session_fetch`]; [`AppError::RunsTooLarge`].
    pub async fn session_runs(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
        filter: &RunFilter,
    ) -> Result<ListRead<RunList>, AppError> {
        let session = self.session_of(who, id, user).await?.session.id;
        self.runs_of(who, &session, filter).await
    }

    /// The same runs in a few words.
    ///
    /// # Errors
    /// As of [`Self::session_runs`].
    pub async fn session_previews(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
        filter: &RunFilter,
    ) -> Result<ListRead<Vec<StoredPreview>>, AppError> {
        let session = self.session_of(who, id, user).await?.session.id;
        let (store, limit) = (self.store.tenant(&who.tenant), self.run_settings.list);
        let read = |bytes| store.run_previews(who.sees(), &session, filter, limit, bytes);
        let found = self.large_lists.read(&who.tenant, read).await.map_err(runs_too_large)?;
        found.transpose().ok_or(AppError::UnknownSession)
    }

    /// One run of a session, of whichever workflow.
    ///
    /// # Errors
    /// As of [`Self::session_fetch`]; [`AppError::NoRuns`] if the session has none at all;
    /// [`AppError::UnknownRun`].
    pub async fn session_run(
        &self,
        who: &Principal,
        id: &str,
        user: Option<String>,
        run: &str,
    ) -> Result<(StoredRun, Vec<JournalEntry>), AppError> {
        let overview = self.session_of(who, id, user).await?;
        if overview.opening.is_none() {
            return Err(AppError::NoRuns);
        }
        let run = RunId::parse(run).map_err(|_| AppError::UnknownRun)?;
        let store = self.store.tenant(&who.tenant);
        let found = store.run_find(who.sees(), None, &overview.session.id, run).await?;
        found.ok_or(AppError::UnknownRun)
    }
}

/// The user a client names; one who sees its own rows only names nobody by it.
fn said_user(who: &Principal, said: Option<String>) -> Result<Option<UserId>, ()> {
    match (who.sees(), said) {
        (Sees::Everyone, Some(user)) => UserId::new(user).map(Some).map_err(|_| ()),
        _ => Ok(None),
    }
}

/// What the caller sees of [`said_user`]'s rows.
fn narrowed<'a>(who: &'a Principal, user: &'a Option<UserId>) -> Sees<'a> {
    user.as_ref().map_or(who.sees(), Sees::Only)
}
