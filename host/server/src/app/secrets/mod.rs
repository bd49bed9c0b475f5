//! Secrets: kept for plugins that may send them and never see them.
//!
//! A tenant's plugin uses its tenant's, a shared plugin the operator's, whichever tenant calls it:
//! so neither spends what is the other's.

mod sending;
mod vault;

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::capability::HttpRule;
use stepmill_core::ids::{SecretName, TenantId};
use stepmill_core::principal::Principal;
use stepmill_core::scope::Right;
use stepmill_store::{SecretRow, SecretStore, Store};
use tokio::sync::Mutex;

pub(crate) use self::sending::{OpenSecret, Sending};
use self::vault::Label;
pub(crate) use self::vault::Vault;
pub use self::vault::{KeySource, MasterKey, VaultFault};
use super::audit::note;
use super::clock::now;
use super::error::AppError;
use super::plugins::Shelf;
use super::wiring::App;

/// The most secrets of one owner.
const MAX_SECRETS: usize = 100;

/// Shorter ones could be found by trying, and would be found in many an answer by chance.
const LEAST_VALUE_BYTES: usize = 8;

/// Keys and tokens are shorter; a header takes no more.
const MOST_VALUE_BYTES: usize = 4_096;

/// The most places of one secret: each is read by a person.
const MAX_PLACES: usize = 16;

/// What is wrong with a secret. No text holds anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// Its length.
    #[error("value: must have {LEAST_VALUE_BYTES} to {MOST_VALUE_BYTES} bytes")]
    Length,
    /// What no header can carry.
    #[error("value: must be visible ASCII, with blanks only inside")]
    Character,
    /// Their number.
    #[error("hosts: must be 1 to {MAX_PLACES}")]
    Places,
    /// One of them.
    #[error("hosts.{0}: must be a place such as `api.example.com` or `POST api.example.com/v1/*`")]
    Place(usize),
}

/// A secret as somebody sends it.
pub struct SecretDraft {
    /// What is to stay secret.
    pub value: SecretString,
    /// Where it may go.
    pub hosts: Vec<String>,
}

impl SecretDraft {
    /// The places, if all is well.
    fn check(&self) -> Result<Vec<HttpRule>, SecretFault> {
        let value = self.value.expose_secret();
        if !(LEAST_VALUE_BYTES..=MOST_VALUE_BYTES).contains(&value.len()) {
            return Err(SecretFault::Length);
        }
        let is_seen = |it: u8| it.is_ascii_graphic() || it == b' ';
        if value.trim() != value || !value.bytes().all(is_seen) {
            return Err(SecretFault::Character);
        }
        if !(1..=MAX_PLACES).contains(&self.hosts.len()) {
            return Err(SecretFault::Places);
        }
        let place =
            |(at, it): (usize, &String)| HttpRule::new(it).map_err(|_| SecretFault::Place(at));
        self.hosts.iter().enumerate().map(place).collect()
    }
}

/// A secret as its owner sees it: everything but the value.
pub struct SecretView {
    /// What is stored of it.
    pub row: SecretRow,
    /// Whether the key that sealed it is here.
    pub usable: bool,
}

/// The keys, and what is held while secrets change.
pub(crate) struct SecretBook {
    vault: Vault,
    turn: Mutex<()>,
}

impl SecretBook {
    /// Seals with the new key what an old one sealed. What no key opens is said once and stays:
    /// who uses it learns that it is not available.
    pub(crate) async fn open(vault: Vault, store: &Store) -> Result<Self, AppError> {
        let book = Self { vault, turn: Mutex::new(()) };
        let key_id = book.vault.key_id().unwrap_or_else(|fault| {
            tracing::error!(%fault, "secrets cannot be used: {fault}");
            String::new()
        });
        let (mut moved, mut lost) = (0, 0);
        for (owner, row) in store.secret_sealed_otherwise(&key_id).await? {
            match book.sealed_anew(owner.as_ref(), &row) {
                Ok(row) => {
                    let mut note = note(Actor::default(), Action::SecretPut, &row.name);
                    note.detail = Some("sealed anew".to_owned());
                    secrets_of(store, owner.as_ref()).secret_put(&row, &note).await?;
                    moved += 1;
                }
                Err(_) => lost += 1,
            }
        }
        if 0 < moved {
            tracing::info!("sealed {moved} secrets with the key {key_id}");
        }
        if 0 < lost {
            tracing::error!("{lost} secrets cannot be used: the key that sealed them is not here");
        }
        Ok(book)
    }

    fn sealed_anew(
        &self,
        owner: Option<&TenantId>,
        row: &SecretRow,
    ) -> Result<SecretRow, VaultFault> {
        let label = Label { owner, name: &row.name, places: &row.places };
        let value = self.vault.open(label, &row.key_id, &row.sealed)?;
        let sealed = self.vault.seal(label, &value)?;
        Ok(SecretRow { key_id: sealed.key_id, sealed: sealed.bytes, ..row.clone() })
    }

    /// Opens a secret for one call.
    pub(crate) fn open_for(
        &self,
        owner: Option<&TenantId>,
        row: SecretRow,
    ) -> Result<Arc<OpenSecret>, VaultFault> {
        let label = Label { owner, name: &row.name, places: &row.places };
        let value = self.vault.open(label, &row.key_id, &row.sealed)?;
        Ok(Arc::new(OpenSecret { value, places: row.places }))
    }
}

/// The secrets of an owner; none: the operator's.
pub(crate) fn secrets_of(store: &Store, owner: Option<&TenantId>) -> SecretStore {
    match owner {
        None => store.shared().secrets(),
        Some(tenant) => store.tenant(tenant).secrets(),
    }
}

impl App {
    /// The names of the tenant's secrets, or of those for shared plugins.
    ///
    /// # Errors
    /// The scope `secrets:read` is missing; for the shared ones, the caller is not the operator.
    pub async fn secret_list(
        &self,
        who: &Principal,
        shared: bool,
    ) -> Result<Vec<SecretView>, AppError> {
        let shelf = shelf(who, shared, "secrets:read")?;
        let rows = secrets_of(&self.store, shelf.owner()).secret_list().await?;
        Ok(rows.into_iter().map(|it| self.secret_view(it)).collect())
    }

    /// Keeps a secret, in the place of one of the same name. It counts from the next call of a
    /// plugin on.
    ///
    /// # Errors
    /// The scope `secrets:write` is missing (for the shared ones, the caller is not the operator),
    /// the secret cannot be, there are too many, or there is no key to seal it.
    pub async fn secret_put(
        &self,
        who: &Principal,
        shared: bool,
        name: SecretName,
        draft: SecretDraft,
    ) -> Result<SecretView, AppError> {
        let shelf = shelf(who, shared, "secrets:write")?;
        let places = draft.check().map_err(AppError::BadSecret)?;
        let label = Label { owner: shelf.owner(), name: &name, places: &places };
        let sealed = self.secrets.vault.seal(label, &draft.value);
        let sealed = sealed.map_err(AppError::SecretsUnavailable)?;
        let at = now();
        let row = SecretRow {
            name,
            places,
            key_id: sealed.key_id,
            sealed: sealed.bytes,
            created_at: at,
            updated_at: at,
            updated_by: who.user.clone(),
        };
        let note = note(who.actor(), Action::SecretPut, &row.name);
        let row = self.see_through(self.clone().secret_keep(shelf, row, note)).await?;
        Ok(self.secret_view(row))
    }

    async fn secret_keep(
        self,
        shelf: Shelf,
        mut row: SecretRow,
        note: AuditNote,
    ) -> Result<SecretRow, AppError> {
        let store = secrets_of(&self.store, shelf.owner());
        let _turn = self.secrets.turn.lock().await;
        let kept = store.secret_list().await?;
        match kept.iter().find(|it| it.name == row.name) {
            Some(before) => row.created_at = before.created_at,
            None if MAX_SECRETS <= kept.len() => return Err(AppError::TooManySecrets(MAX_SECRETS)),
            None => (),
        }
        store.secret_put(&row, &note).await?;
        tracing::info!(secret = %row.name, "secret {} is kept", row.name);
        Ok(row)
    }

    /// Forgets a secret.
    ///
    /// # Errors
    /// The scope `secrets:delete` is missing (for the shared ones, the caller is not the operator),
    /// or there is no such secret.
    pub async fn secret_delete(
        &self,
        who: &Principal,
        shared: bool,
        name: SecretName,
    ) -> Result<(), AppError> {
        let shelf = shelf(who, shared, "secrets:delete")?;
        let note = note(who.actor(), Action::SecretDelete, &name);
        self.see_through(self.clone().secret_forget(shelf, name, note)).await
    }

    async fn secret_forget(
        self,
        shelf: Shelf,
        name: SecretName,
        note: AuditNote,
    ) -> Result<(), AppError> {
        let _turn = self.secrets.turn.lock().await;
        if !secrets_of(&self.store, shelf.owner()).secret_delete(&name, &note).await? {
            return Err(AppError::UnknownSecret);
        }
        tracing::info!(secret = %name, "secret {name} is forgotten");
        Ok(())
    }

    fn secret_view(&self, row: SecretRow) -> SecretView {
        SecretView { usable: self.secrets.vault.has_key(&row.key_id), row }
    }
}

/// Whose secrets the caller speaks of, if it may.
fn shelf(who: &Principal, shared: bool, scope: &'static str) -> Result<Shelf, AppError> {
    match shared {
        true if who.is_operator() => Ok(Shelf::Shared),
        true => Err(AppError::NotOperator),
        false if who.holds(Right::new(scope)) => Ok(Shelf::Tenant(who.tenant.clone())),
        false => Err(AppError::ScopeMissing(scope)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(value: &str, hosts: &[&str]) -> Option<SecretFault> {
        let hosts = hosts.iter().map(|it| (*it).to_owned()).collect();
        SecretDraft { value: value.into(), hosts }.check().err()
    }

    #[test]
    fn a_secret_can_be_sent_in_a_header_to_some_place() {
        let there = ["api.example.com"];
        assert_eq!(fault("Basic dXNlcjpwYXNz", &there), None);
        for bad in ["short", &"x".repeat(4_097)] {
            assert_eq!(fault(bad, &there), Some(SecretFault::Length));
        }
        for bad in [" hunter2hunter2", "hunter2hunter2\n", "hunter2\r\nhost: b", "hünter2hunter2"]
        {
            assert_eq!(fault(bad, &there), Some(SecretFault::Character), "{bad:?}");
        }
        assert_eq!(fault("hunter2hunter2", &[]), Some(SecretFault::Places));
        assert_eq!(fault("hunter2hunter2", &["a.test"; 17]), Some(SecretFault::Places));
        let said = fault("hunter2hunter2", &["a.test", "https://hunter2"]).unwrap();
        assert_eq!(said, SecretFault::Place(1));
        assert!(!said.to_string().contains("hunter2"));
    }
}
