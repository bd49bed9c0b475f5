//! API keys: made and taken away by a tenant's admins, shown by programs.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use stepmill_core::audit::Action;
use stepmill_core::ids::{KeyId, UserId};
use stepmill_core::key::ApiKey;
use stepmill_core::principal::Principal;
use stepmill_core::scope::ADMIN;
use stepmill_core::time::Timestamp;
use stepmill_store::{FoundKey, KeyDigest, StoreError};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::audit::note;
use super::clock::now;
use super::error::AppError;
use super::wiring::App;

/// What every key begins with: people, and programs that look for lost secrets, know it by that.
const PREFIX: &str = "smk_";

/// The bytes of a secret: as many as of the digest that is kept of it.
const SECRET_BYTES: usize = 32;

/// The characters that stand for them.
const SECRET_CHARACTERS: usize = 43;

/// The most keys of a tenant: a list of all is one answer.
pub const KEYS_PER_TENANT: u32 = 500;

/// The use of a key is noted once in this time: nobody waits for it, and it wears no disk out.
const USE_NOTED_EVERY: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(86_400);

/// A key somebody wants.
pub struct NewKey {
    /// For people.
    pub name: String,
    /// Roles it is to have.
    pub roles: BTreeSet<String>,
    /// Scopes it is to have beside.
    pub scopes: BTreeSet<String>,
    /// Who its holder is.
    pub user: Option<String>,
    /// How long it opens; for ever if absent.
    pub days: Option<u32>,
}

/// What somebody shows: which key, and its secret.
struct Shown<'a> {
    id: KeyId,
    secret: &'a str,
}

impl<'a> Shown<'a> {
    /// Reads a key's text. What does not look like one is not looked for.
    fn read(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        if secret.len() != SECRET_CHARACTERS {
            return None;
        }
        Some(Self { id: KeyId::parse(id).ok()?, secret })
    }
}

/// Whether a text is meant to be a key.
pub(crate) fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl App {
    /// Makes a key for the caller's tenant. Its text is told once: only a digest is kept.
    ///
    /// # Errors
    /// The caller is no admin, or came in by a key itself; the key could do more than the caller;
    /// a role or a user that there is not; too many keys.
    pub async fn key_create(
        &self,
        who: &Principal,
        ask: NewKey,
    ) -> Result<(SecretString, ApiKey), AppError> {
        require_admin(who)?;
        // A key that was lost must not live on in others.
        if who.key.is_some() {
            return Err(AppError::KeyMakesKeys);
        }
        if !ask.roles.iter().all(|it| self.roles.knows(it)) {
            return Err(AppError::UnknownRole);
        }
        let given = &ask.scopes | &self.roles.scopes(&ask.roles);
        if given.iter().any(|it| self.roles.is_operators(it) || !who.may_give(it)) {
            return Err(AppError::KeyBeyondMaker);
        }
        let user = ask.user.map(UserId::new).transpose();
        let user = user.map_err(|fault| AppError::BadId { field: "user_id", fault })?;
        if user.as_ref().is_some_and(UserId::is_reserved) {
            return Err(AppError::ReservedUser);
        }
        let created_at = now();
        let key = ApiKey {
            id: KeyId::from_uuid(Uuid::now_v7()),
            name: ask.name,
            roles: ask.roles,
            scopes: ask.scopes,
            user,
            created_by: who.user.clone(),
            created_at,
            expires_at: ask.days.map(|days| later(created_at, DAY * days)),
            last_used_at: None,
        };
        let secret = secret();
        let digest = digest(&secret);
        let store = self.store.tenant(&who.tenant);
        let note = note(who.actor(), Action::KeyCreate, key.id);
        store.key_create(&key, &digest, KEYS_PER_TENANT, &note).await.map_err(
            |fault| match fault {
                StoreError::KeysFull => AppError::KeysFull,
                fault => fault.into(),
            },
        )?;
        tracing::info!(key = %key.id, "key {} is made", key.id);
        Ok((format!("{PREFIX}{}_{secret}", key.id).into(), key))
    }

    /// The keys of the caller's tenant, oldest first.
    ///
    /// # Errors
    /// The caller is no admin.
    pub async fn key_list(&self, who: &Principal) -> Result<Vec<ApiKey>, AppError> {
        require_admin(who)?;
        Ok(self.store.tenant(&who.tenant).key_list().await?)
    }

    /// Takes a key away. From the next request on it opens nothing.
    ///
    /// # Errors
    /// The caller is no admin, or there is no such key in its tenant.
    pub async fn key_delete(&self, who: &Principal, id: KeyId) -> Result<(), AppError> {
        require_admin(who)?;
        let note = note(who.actor(), Action::KeyDelete, id);
        if !self.store.tenant(&who.tenant).key_delete(id, &note).await? {
            return Err(AppError::UnknownKey);
        }
        tracing::info!(key = %id, "key {id} is deleted");
        Ok(())
    }

    /// The key that this text is, as long as it opens; asked anew for each request, so that one
    /// that was deleted opens nothing, whichever host deleted it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn key_shown(&self, text: &str) -> Result<Option<FoundKey>, AppError> {
        let Some(shown) = Shown::read(text) else { return Ok(None) };
        let Some(found) = self.store.key_find(shown.id).await? else { return Ok(None) };
        let is_right = digest(shown.secret).0.ct_eq(&found.digest.0);
        let at = now();
        if !bool::from(is_right) || found.key.is_over(at) {
            return Ok(None);
        }
        self.note_use(&found.key, at);
        Ok(Some(found))
    }

    fn note_use(&self, key: &ApiKey, at: Timestamp) {
        let unless_since = earlier(at, USE_NOTED_EVERY);
        if key.last_used_at.is_some_and(|it| unless_since <= it) {
            return;
        }
        let (app, id) = (self.clone(), key.id);
        self.tasks.spawn(async move {
            if let Err(fault) = app.store.key_used(id, at, unless_since).await {
                tracing::warn!(key = %id, %fault, "the use of key {id} was not noted");
            }
        });
    }
}

/// Keys are ways in: whoever makes them is an admin also where workflows ask for no scope.
fn require_admin(who: &Principal) -> Result<(), AppError> {
    if who.is_admin() { Ok(()) } else { Err(AppError::ScopeMissing(ADMIN)) }
}

fn secret() -> String {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("an operating system that gives no chance runs no host");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(secret: &str) -> KeyDigest {
    KeyDigest(Sha256::digest(secret).into())
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_add(by))
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.micros().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_chance_of_its_length() {
        let (one, other) = (secret(), secret());
        assert_eq!((one.len(), other.len()), (SECRET_CHARACTERS, SECRET_CHARACTERS));
        assert_ne!(one, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(&one).unwrap().len(), SECRET_BYTES);
    }

    #[test]
    fn a_keys_text_is_read_in_one_form() {
        let (id, secret) = ("0".repeat(31) + "a", "-_".repeat(21) + "x");
        let text = format!("smk_{id}_{secret}");
        let shown = Shown::read(&text).unwrap();
        assert_eq!((shown.id.to_string(), shown.secret), (id.clone(), secret.as_str()));
        for bad in [
            String::new(),
            "smk_".into(),
            "smk__".into(),
            format!("smk_{id}"),
            format!("smk_{id}_"),
            format!("smk_{id}_{secret}x"),
            format!("smk_{id}_{}", &secret[1..]),
            format!("smk_{}_{secret}", id.to_uppercase()),
            format!("smk_{}_{secret}", &id[1..]),
            format!("SMK_{id}_{secret}"),
            format!(" smk_{id}_{secret}"),
            format!("smk_' or 1=1 --_{secret}"),
        ] {
            assert!(Shown::read(&bad).is_none(), "{bad}");
        }
    }
}
