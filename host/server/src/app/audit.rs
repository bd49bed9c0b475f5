//! The audit log: its lines, and what was not let be done, counted before it is written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::ids::TenantId;
use stepmill_core::principal::Principal;
use stepmill_core::time::Timestamp;
use stepmill_store::{AuditFilter, AuditRow};

use super::clock::now;
use super::error::AppError;
use super::wiring::App;

/// How long denials are counted before they are written: a guesser costs a line in this time for
/// each thing it tries, however often it tries.
const GATHER: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(86_400);

/// The most different denials of a tenant that are counted at once. Any more are counted together,
/// so that nobody's are lost in another's.
const DENIALS: usize = 256;

/// What all denials beyond that are called.
const OTHERS: &str = "others";

/// One kind of denial: whose, who, and what was not let be done.
type Denial = (Option<TenantId>, Actor, String);

/// Denials that are not written yet.
#[derive(Default)]
pub(crate) struct Denials(Mutex<HashMap<Option<TenantId>, Counted>>);

/// How often who was not let do what.
type Counted = HashMap<(Actor, String), u64>;

impl Denials {
    /// Counts one. Gives whether it is the first since they were taken.
    fn count(&self, denial: Denial) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counted.is_empty();
        let (tenant, actor, target) = denial;
        let counted = counted.entry(tenant).or_default();
        let kind = (actor, target);
        let is_one_of_many = DENIALS <= counted.len() && !counted.contains_key(&kind);
        let kind = if is_one_of_many { (Actor::default(), OTHERS.to_owned()) } else { kind };
        *counted.entry(kind).or_default() += 1;
        is_first
    }

    fn take(&self) -> Vec<(Option<TenantId>, AuditNote, u64)> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let at = now();
        let line = |((actor, target), times)| {
            let action = Action::AccessDenied;
            (AuditNote { at, actor, action, target, detail: None }, times)
        };
        let lines = counted.into_iter().flat_map(|(tenant, counted)| {
            counted.into_iter().map(line).map(move |(note, times)| (tenant.clone(), note, times))
        });
        lines.collect()
    }
}

/// A line about something that is about to be done.
pub(crate) fn note(actor: Actor, action: Action, target: impl ToString) -> AuditNote {
    AuditNote { at: now(), actor, action, target: target.to_string(), detail: None }
}

/// Which lines somebody wants to read.
pub struct ReadAudit {
    /// Whose; absent: the caller's tenant.
    pub tenant: Option<TenantId>,
    /// The host's own instead.
    pub host: bool,
    /// Which, and how many.
    pub filter: AuditFilter,
}

impl App {
    /// Counts something that was not let be done; soon it is in the log. `target` is the method
    /// and the route.
    pub(crate) fn denied(&self, who: Option<&Principal>, target: String) {
        let tenant = who.map(|it| it.tenant.clone());
        let actor = who.map(Principal::actor).unwrap_or_default();
        if self.denials.count((tenant, actor, target)) {
            self.tasks.spawn(self.clone().write_denials_soon());
        }
    }

    /// The host's stop does not wait for the next lines.
    async fn write_denials_soon(self) {
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = self.stopping() => {}
        }
        if let Err(fault) = self.store.audit_add(&self.denials.take()).await {
            let fault = &fault as &dyn std::error::Error;
            tracing::error!(fault, "denied requests are missing in the audit log");
        }
    }

    /// Removes old lines, now and every day.
    pub(crate) async fn sweep_audit_log(self) {
        let kept = DAY.as_micros() as i64 * i64::from(self.audit_settings.keep_days);
        loop {
            let before = Timestamp::from_micros(now().micros().saturating_sub(kept));
            if let Err(fault) = self.store.audit_sweep(before).await {
                let fault = &fault as &dyn std::error::Error;
                tracing::warn!(fault, "old lines of the audit log were not removed");
            }
            tokio::select! {
                () = tokio::time::sleep(DAY) => {}
                () = self.stopping() => return,
            }
        }
    }

    /// The latest lines first.
    ///
    /// # Errors
    /// The caller is no admin, or wants another's lines and is not the host's operator.
    pub async fn audit_list(
        &self,
        who: &Principal,
        ask: &ReadAudit,
    ) -> Result<Vec<AuditRow>, AppError> {
        if !who.is_admin() {
            return Err(AppError::ScopeMissing(stepmill_core::scope::ADMIN));
        }
        if (ask.host || ask.tenant.is_some()) && !who.is_operator() {
            return Err(AppError::NotOperator);
        }
        let of = match (ask.host, &ask.tenant) {
            (true, _) => None,
            (false, Some(tenant)) => Some(tenant),
            (false, None) => Some(&who.tenant),
        };
        Ok(self.store.audit_list(of, ask.filter).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(target: &str) -> Denial {
        (None, Actor::default(), target.to_owned())
    }

    #[test]
    fn the_same_denial_is_one_line_and_their_number_is_bounded() {
        let denials = Denials::default();
        assert!(denials.count(denial("GET /a")));
        assert!(!denials.count(denial("GET /a")));
        for number in 0..2 * DENIALS {
            denials.count(denial(&number.to_string()));
        }
        let lines = denials.take();
        assert_eq!(lines.len(), DENIALS + 1);
        let times = |target: &str| {
            lines.iter().find(|(_, it, _)| it.target == target).map(|(_, _, times)| *times)
        };
        assert_eq!(times("GET /a"), Some(2));
        assert_eq!(times(OTHERS), Some(DENIALS as u64 + 1));
        for number in 0..2 * DENIALS {
            denials.count(denial(&number.to_string()));
        }
        let acme = TenantId::new("acme").unwrap();
        denials.count((Some(acme.clone()), Actor::default(), "GET /a".to_owned()));
        let is_acmes = |(of, note, _): &(Option<TenantId>, AuditNote, u64)| {
            of.as_ref() == Some(&acme) && note.target == "GET /a"
        };
        assert!(denials.take().iter().any(is_acmes), "another's denials took its place");
        assert!(denials.take().is_empty());
    }
}
