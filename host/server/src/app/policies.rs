//! Policies: those of the settings file, and over them those that operators say while the host runs.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};
use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::policy::{Policies, Policy, PolicyScope};
use stepmill_core::principal::Principal;
use stepmill_store::{PolicyRow, Store};
use tokio::sync::Mutex;

use super::audit::note;
use super::clock::now;
use super::error::AppError;
use super::wiring::App;
use crate::settings::PolicyForm;

/// The most policies that are said over the API; the file may say more.
const MAX_SAID: usize = 10_000;

/// All policies in effect, and where each comes from.
pub(crate) struct PolicyBook {
    file: Policies,
    /// What was said over the API, as the store has it. Held while one is changed.
    said: Mutex<Vec<PolicyRow>>,
    /// What counts. A call takes it once and keeps to it.
    current: RwLock<Arc<Policies>>,
}

/// What is said of one scope.
pub struct PolicyView {
    /// Of what.
    pub scope: PolicyScope,
    /// What.
    pub policy: Policy,
    /// What the store knows of it; none if the settings file says it.
    pub said: Option<PolicyRow>,
}

impl PolicyBook {
    /// Reads what was said over the API.
    pub(crate) async fn open(file: Policies, store: &Store) -> Result<Self, AppError> {
        let said = store.policy_list().await?;
        let current = RwLock::new(Arc::new(together(&file, &said)?));
        Ok(Self { file, said: Mutex::new(said), current })
    }

    /// What counts now.
    pub(crate) fn current(&self) -> Arc<Policies> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is said of a scope now, wherever it is said.
    fn form(&self, scope: &PolicyScope) -> PolicyForm {
        let current = self.current();
        let said = current.iter().find(|(it, _)| *it == scope);
        said.map_or_else(PolicyForm::default, |(_, policy)| PolicyForm::of(policy))
    }
}

/// What becomes of what was said of a scope.
enum Saying {
    /// This takes its place.
    All(Box<PolicyForm>),
    /// This is merged into it.
    Part(Map<String, Value>),
}

fn together(file: &Policies, said: &[PolicyRow]) -> Result<Policies, AppError> {
    let mut over = Policies::default();
    for row in said {
        over.put(row.scope.clone(), read(&row.scope, &row.document)?);
    }
    Ok(file.under(&over))
}

/// A host that does not understand what an operator forbade does not open.
fn read(scope: &PolicyScope, document: &str) -> Result<Policy, AppError> {
    let form: PolicyForm =
        serde_json::from_str(document).map_err(|_| AppError::PolicyUnreadable)?;
    form.policy(scope).map_err(AppError::BadPolicy)
}

impl App {
    /// Everything that is said, from the widest scope to the narrowest.
    ///
    /// # Errors
    /// The caller is not the host's operator.
    pub async fn policy_list(&self, who: &Principal) -> Result<Vec<PolicyView>, AppError> {
        require(who)?;
        let said = self.policies.said.lock().await;
        let current = self.policies.current();
        let view = |(scope, policy): (&PolicyScope, &Policy)| PolicyView {
            scope: scope.clone(),
            policy: policy.clone(),
            said: said.iter().find(|it| it.scope == *scope).cloned(),
        };
        Ok(current.iter().map(view).collect())
    }

    /// What is said of one scope.
    ///
    /// # Errors
    /// The caller is not the host's operator, or nothing is said.
    pub async fn policy_fetch(
        &self,
        who: &Principal,
        scope: &PolicyScope,
    ) -> Result<PolicyView, AppError> {
        let all = self.policy_list(who).await?;
        all.into_iter().find(|it| it.scope == *scope).ok_or(AppError::UnknownPolicy)
    }

    /// Says something of a scope. It counts from the next call of a plugin on.
    ///
    /// # Errors
    /// The caller is not the host's operator, or the policy cannot be.
    pub async fn policy_put(
        &self,
        who: &Principal,
        scope: PolicyScope,
        form: PolicyForm,
    ) -> Result<PolicyView, AppError> {
        self.policy_say(who, scope, Saying::All(Box::new(form))).await
    }

    /// Changes what is said of a scope, in the settings file too, and leaves the rest of it as it
    /// is. Of two changes at once neither undoes the other.
    ///
    /// # Errors
    /// As of [`Self::policy_put`].
    pub async fn policy_patch(
        &self,
        who: &Principal,
        scope: PolicyScope,
        patch: Map<String, Value>,
    ) -> Result<PolicyView, AppError> {
        self.policy_say(who, scope, Saying::Part(patch)).await
    }

    async fn policy_say(
        &self,
        who: &Principal,
        scope: PolicyScope,
        saying: Saying,
    ) -> Result<PolicyView, AppError> {
        require(who)?;
        self.see_through(self.clone().policy_keep(scope, saying, who.actor())).await
    }

    async fn policy_keep(
        self,
        scope: PolicyScope,
        saying: Saying,
        actor: Actor,
    ) -> Result<PolicyView, AppError> {
        let mut said = self.policies.said.lock().await;
        let form = match saying {
            Saying::All(form) => *form,
            Saying::Part(patch) => {
                let form = self.policies.form(&scope);
                form.patched(patch).map_err(AppError::BadPatch)?
            }
        };
        let policy = form.policy(&scope).map_err(AppError::BadPolicy)?;
        let document = serde_json::to_string(&form).map_err(|_| AppError::Broken)?;
        let (updated_at, updated_by) = (now(), actor.user.clone());
        let row = PolicyRow { scope: scope.clone(), document, updated_at, updated_by };
        let mut next: Vec<_> = said.iter().filter(|it| it.scope != scope).cloned().collect();
        if MAX_SAID <= next.len() {
            return Err(AppError::TooManyPolicies(MAX_SAID));
        }
        let note = note(actor, Action::PolicyPut, place(&scope));
        self.store.policy_put(&row, &note).await?;
        next.push(row.clone());
        self.policy_take_effect(&mut said, next)?;
        Ok(PolicyView { scope, policy, said: Some(row) })
    }

    /// Takes back what was said over the API; what the settings file says counts again.
    ///
    /// # Errors
    /// The caller is not the host's operator, or nothing was said over the API.
    pub async fn policy_delete(&self, who: &Principal, scope: PolicyScope) -> Result<(), AppError> {
        require(who)?;
        let note = note(who.actor(), Action::PolicyDelete, place(&scope));
        self.see_through(self.clone().policy_forget(scope, note)).await
    }

    async fn policy_forget(self, scope: PolicyScope, note: AuditNote) -> Result<(), AppError> {
        let mut said = self.policies.said.lock().await;
        if !self.store.policy_delete(&scope, &note).await? {
            return Err(AppError::UnknownPolicy);
        }
        let next = said.iter().filter(|it| it.scope != scope).cloned().collect();
        self.policy_take_effect(&mut said, next)
    }

    fn policy_take_effect(
        &self,
        said: &mut Vec<PolicyRow>,
        next: Vec<PolicyRow>,
    ) -> Result<(), AppError> {
        let policies = Arc::new(together(&self.policies.file, &next)?);
        *said = next;
        *self.policies.current.write().unwrap_or_else(PoisonError::into_inner) = policies;
        Ok(())
    }
}

/// A scope in the audit log, as the settings file writes it.
fn place(scope: &PolicyScope) -> String {
    match scope {
        PolicyScope::Host => "host".to_owned(),
        PolicyScope::Tenant(tenant) => format!("tenants.{tenant}"),
        PolicyScope::Plugin(None, plugin) => format!("plugins.{plugin}"),
        PolicyScope::Plugin(Some(tenant), plugin) => format!("plugins.{tenant}/{plugin}"),
    }
}

fn require(who: &Principal) -> Result<(), AppError> {
    if who.is_operator() { Ok(()) } else { Err(AppError::NotOperator) }
}
