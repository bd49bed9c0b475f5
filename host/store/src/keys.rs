//! API keys: who holds what, and the digests of their secrets.

use std::collections::BTreeSet;
use std::fmt;

use stepmill_core::audit::AuditNote;
use stepmill_core::ids::{KeyId, TenantId, UserId};
use stepmill_core::key::ApiKey;
use stepmill_core::time::Timestamp;

use crate::audit;
use crate::database::{Promise, Row, Statement};
use crate::error::StoreError;
use crate::store::{Store, TenantStore};
use crate::stored;

/// SHA-256 of a key's secret. A secret is 256 bits of chance, which nobody guesses, so that a
/// slower hash would cost every request and protect nothing. It is in no text that is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest")
    }
}

/// A key that somebody shows: what it opens, if the secret is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The tenant it was made in.
    pub tenant: TenantId,
    /// The key.
    pub key: ApiKey,
    /// What its secret has to be.
    pub digest: KeyDigest,
}

/// All columns of an [`ApiKey`], in the order [`api_key`] reads them, and more.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "select id, name, roles, scopes, user_id, created_by, created_at, expires_at, \
             last_used_at, tenant_id, digest from api_keys ",
            $rest
        )
    };
}

impl TenantStore {
    /// Keeps a key, if the tenant has less than so many. The audit log gets the line.
    ///
    /// # Errors
    /// [`StoreError::KeysFull`]; [`StoreError::Unstorable`] for a name with the character U+0000.
    pub async fn key_create(
        &self,
        key: &ApiKey,
        digest: &KeyDigest,
        most: u32,
        note: &AuditNote,
    ) -> Result<(), StoreError> {
        if key.name.contains('\0') {
            return Err(StoreError::Unstorable { what: "a key's name with the character U+0000" });
        }
        let statement = Statement::new(
            "insert into api_keys (
                tenant_id, id, digest, name, roles, scopes, user_id, created_by, created_at,
                expires_at, last_used_at
            ) select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
            where (select count(*) from api_keys where tenant_id = ?) < ?",
        )
        .text(self.tenant.as_str())
        .text(key.id.to_string())
        .bytes(&digest.0[..])
        .text(key.name.as_str())
        .json(stored::text(&key.roles))
        .json(stored::text(&key.scopes))
        .maybe_text(key.user.as_ref().map(UserId::as_str))
        .maybe_text(key.created_by.as_ref().map(UserId::as_str))
        .number(key.created_at.micros())
        .maybe_number(key.expires_at.map(Timestamp::micros))
        .maybe_number(key.last_used_at.map(Timestamp::micros))
        .text(self.tenant.as_str())
        .number(most.into());
        // Two who ask at once must not both find the last free place.
        let noted =
            audit::noted_of(self.tenant.as_str(), note, "api_keys where tenant_id = ? and id = ?");
        let noted = noted.text(self.tenant.as_str()).text(key.id.to_string());
        let statements = vec![statement, noted];
        let (doing, share) = ("keep a key", self.tenant.as_str());
        match self.database.write_alone(doing, share, "api_keys", statements).await? {
            0 => Err(StoreError::KeysFull),
            _ => Ok(()),
        }
    }

    /// All keys of the tenant, oldest first; also those whose time is over.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn key_list(&self) -> Result<Vec<ApiKey>, StoreError> {
        let statement = Statement::new(select_keys!("where tenant_id = ? order by created_at, id"));
        let rows = self.database.read("list keys", statement.text(self.tenant.as_str())).await?;
        rows.iter().map(api_key).collect()
    }

    /// Removes a key: nobody comes in with it any more. Gives whether there was one; if
    /// so, the audit log gets the line.
    ///
    /// # Errors
    /// The database's.
    pub async fn key_delete(&self, id: KeyId, note: &AuditNote) -> Result<bool, StoreError> {
        let owner = self.tenant.as_str();
        let noted = audit::noted_of(owner, note, "api_keys where tenant_id = ? and id = ?");
        let delete = Statement::new("delete from api_keys where tenant_id = ? and id = ?");
        let statements = [noted, delete].map(|it| it.text(owner).text(id.to_string()));
        Ok(0 < self.write("delete a key", statements.into()).await?)
    }
}

impl Store {
    /// A key of whichever tenant: who shows one does not say whose it is.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn key_find(&self, id: KeyId) -> Result<Option<FoundKey>, StoreError> {
        let statement = Statement::new(select_keys!("where id = ?")).text(id.to_string());
        let rows = self.database().read("find a key", statement).await?;
        let found = |row: &Row| {
            let unreadable = |what: &str| StoreError::unreadable(format!("a key's {what}"));
            let digest = row.bytes(10)?.try_into().map_err(|_| unreadable("digest"))?;
            Ok(FoundKey {
                tenant: TenantId::new(row.text(9)?).map_err(|_| unreadable("tenant"))?,
                key: api_key(row)?,
                digest: KeyDigest(digest),
            })
        };
        rows.first().map(found).transpose()
    }

    /// Notes that a key was shown, unless that was noted since a moment before.
    ///
    /// # Errors
    /// The database's.
    pub async fn key_used(
        &self,
        id: KeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = Statement::new(
            "update api_keys set last_used_at = ?
            where id = ? and (last_used_at is null or last_used_at < ?)",
        )
        .number(at.micros())
        .text(id.to_string())
        .number(unless_since.micros());
        // Nobody was promised anything by it.
        let (doing, share) = ("note a key's use", audit::HOST);
        self.database().write(doing, share, Promise::Progress, vec![statement]).await?;
        Ok(())
    }
}

fn api_key(row: &Row) -> Result<ApiKey, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("a key's {what}"));
    let names = |column, what: &str| -> Result<BTreeSet<String>, StoreError> {
        stored::parse(&format!("a key's {what}"), row.text(column)?)
    };
    let user = |column, what: &str| {
        row.maybe_text(column)?.map(UserId::new).transpose().map_err(|_| unreadable(what))
    };
    let time = |column| Ok::<_, StoreError>(row.maybe_number(column)?.map(Timestamp::from_micros));
    Ok(ApiKey {
        id: KeyId::parse(row.text(0)?).map_err(|_| unreadable("id"))?,
        name: row.text(1)?.to_owned(),
        roles: names(2, "roles")?,
        scopes: names(3, "scopes")?,
        user: user(4, "user")?,
        created_by: user(5, "maker")?,
        created_at: Timestamp::from_micros(row.number(6)?),
        expires_at: time(7)?,
        last_used_at: time(8)?,
    })
}
