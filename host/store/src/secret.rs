//! Secrets as they are kept: sealed. What opens them is not known here.

use std::sync::Arc;

use stepmill_core::audit::AuditNote;
use stepmill_core::capability::HttpRule;
use stepmill_core::ids::{SecretName, TenantId, UserId};
use stepmill_core::time::Timestamp;

use crate::audit;
use crate::database::{Database, Promise, Row, Statement};
use crate::error::StoreError;
use crate::plugin::SharedStore;
use crate::store::{Store, TenantStore};

/// The owner of what belongs to no tenant. No tenant's id is empty.
const SHARED: &str = "";

/// One secret, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// What plugins call it.
    pub name: SecretName,
    /// Where it may go.
    pub places: Vec<HttpRule>,
    /// Which key sealed it.
    pub key_id: String,
    /// The value, as nobody can read it.
    pub sealed: Vec<u8>,
    /// When the name was first used.
    pub created_at: Timestamp,
    /// When this value was put.
    pub updated_at: Timestamp,
    /// Who put it.
    pub updated_by: Option<UserId>,
}

/// The secrets of one owner: a tenant, or the operator.
#[derive(Clone)]
pub struct SecretStore {
    database: Arc<Database>,
    owner: String,
}

/// All columns of a [`SecretRow`], and before them the owner.
macro_rules! select_secret {
    ($rest:literal) => {
        concat!(
            "select tenant_id, name, places, key_id, sealed, created_at, updated_at, updated_by \
             from secrets ",
            $rest
        )
    };
}

impl TenantStore {
    /// The tenant's secrets.
    pub fn secrets(&self) -> SecretStore {
        SecretStore { database: self.database.clone(), owner: self.tenant.to_string() }
    }
}

impl SharedStore {
    /// The operator's secrets, for the plugins it shares.
    pub fn secrets(&self) -> SecretStore {
        SecretStore { database: self.database.clone(), owner: SHARED.to_owned() }
    }
}

impl Store {
    /// The secrets of every owner (none: the operator) that another key than this one sealed.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn secret_sealed_otherwise(
        &self,
        key_id: &str,
    ) -> Result<Vec<(Option<TenantId>, SecretRow)>, StoreError> {
        let statement =
            Statement::new(select_secret!("where key_id <> ? order by tenant_id, name"));
        let rows = self.database.read("list secrets of other keys", statement.text(key_id)).await?;
        let owned = |row: &Row| {
            let owner = row.text(0)?;
            let tenant = (owner != SHARED).then(|| TenantId::new(owner)).transpose();
            Ok((tenant.map_err(|_| unreadable("tenant"))?, secret_row(row)?))
        };
        rows.iter().map(owned).collect()
    }
}

impl SecretStore {
    /// All secrets of this owner, by name.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn secret_list(&self) -> Result<Vec<SecretRow>, StoreError> {
        let statement = Statement::new(select_secret!("where tenant_id = ? order by name"));
        let rows = self.database.read("list secrets", statement.text(&self.owner)).await?;
        rows.iter().map(secret_row).collect()
    }

    /// One secret.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn secret_fetch(&self, name: &SecretName) -> Result<Option<SecretRow>, StoreError> {
        let statement = Statement::new(select_secret!("where tenant_id = ? and name = ?"));
        let statement = statement.text(&self.owner).text(name.as_str());
        let rows = self.database.read("fetch a secret", statement).await?;
        rows.first().map(secret_row).transpose()
    }

    /// Keeps a secret, in the place of one of the same name, whose birthday it keeps. The audit log
    /// gets the line.
    ///
    /// # Errors
    /// The database's.
    pub async fn secret_put(&self, row: &SecretRow, note: &AuditNote) -> Result<(), StoreError> {
        let places: Vec<_> = row.places.iter().map(ToString::to_string).collect();
        let statement = Statement::new(
            "insert into secrets (
                tenant_id, name, places, key_id, sealed, created_at, updated_at, updated_by
            ) values (?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (tenant_id, name) do update set
                places = excluded.places, key_id = excluded.key_id, sealed = excluded.sealed,
                updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )
        .text(&self.owner)
        .text(row.name.as_str())
        .text(places.join("\n"))
        .text(&row.key_id)
        .bytes(&row.sealed)
        .number(row.created_at.micros())
        .number(row.updated_at.micros())
        .maybe_text(row.updated_by.as_ref().map(UserId::as_str));
        let statements = vec![statement, audit::noted(&self.owner, note, 1)];
        self.database.write("keep a secret", &self.owner, Promise::Given, statements).await?;
        Ok(())
    }

    /// Removes a secret. Gives whether there was one; if so, the audit log gets the line.
    ///
    /// # Errors
    /// The database's.
    pub async fn secret_delete(
        &self,
        name: &SecretName,
        note: &AuditNote,
    ) -> Result<bool, StoreError> {
        let noted = audit::noted_of(&self.owner, note, "secrets where tenant_id = ? and name = ?");
        let delete = Statement::new("delete from secrets where tenant_id = ? and name = ?");
        let statements = [noted, delete].map(|it| it.text(&self.owner).text(name.as_str()));
        let (doing, share) = ("delete a secret", &self.owner);
        let gone = self.database.write(doing, share, Promise::Given, statements.into()).await?;
        Ok(0 < gone)
    }
}

fn unreadable(what: &str) -> StoreError {
    StoreError::unreadable(format!("a secret's {what}"))
}

fn secret_row(row: &Row) -> Result<SecretRow, StoreError> {
    let places = row.text(2)?.lines().map(HttpRule::new).collect::<Result<_, _>>();
    let updated_by = row.maybe_text(7)?.map(UserId::new).transpose();
    Ok(SecretRow {
        name: SecretName::new(row.text(1)?).map_err(|_| unreadable("name"))?,
        places: places.map_err(|_| unreadable("places"))?,
        key_id: row.text(3)?.to_owned(),
        sealed: row.bytes(4)?,
        created_at: Timestamp::from_micros(row.number(5)?),
        updated_at: Timestamp::from_micros(row.number(6)?),
        updated_by: updated_by.map_err(|_| unreadable("author"))?,
    })
}
