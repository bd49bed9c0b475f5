//! Plugins and their code: a tenant's own, and those the operator shares with all.

use std::sync::Arc;

use stepmill_core::audit::AuditNote;
use stepmill_core::ids::{Digest, UserId, WorkflowId};
use stepmill_core::plugin::Description;
use stepmill_core::time::Timestamp;

use crate::audit;
use crate::database::{Database, Promise, Row, Statement};
use crate::error::StoreError;
use crate::store::TenantStore;
use crate::stored;

/// The owner of shared plugins. No tenant's id is empty.
const SHARED: &str = "";

/// One plugin, without its code.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// The id it was uploaded under: the one that counts.
    pub id: WorkflowId,
    /// Which code.
    pub digest: Digest,
    /// How large the code is.
    pub bytes: u64,
    /// What the plugin says about itself.
    pub description: Description,
    /// When this code was uploaded.
    pub uploaded_at: Timestamp,
    /// Who uploaded it.
    pub uploaded_by: Option<UserId>,
    /// When the id was first used. A replacement keeps what is stored.
    pub created_at: Timestamp,
}

/// All that may be asked of what the operator shares with all tenants.
#[derive(Clone)]
pub struct SharedStore {
    pub(crate) database: Arc<Database>,
}

/// The same functions for two kinds of owner.
macro_rules! plugin_functions {
    ($Handle:ident, |$handle:ident| $owner:expr) => {
        impl $Handle {
            /// Keeps a plugin and its code, all or nothing. One of the same id is replaced; its
            /// code stays until [`crate::Store::component_sweep`] finds that nobody needs it. The
            /// audit log gets the line.
            ///
            /// # Errors
            /// The database's; [`StoreError::Unstorable`].
            pub async fn plugin_put(
                &self,
                row: &PluginRow,
                bytes: &[u8],
                note: &AuditNote,
            ) -> Result<(), StoreError> {
                let $handle = self;
                plugin_put(&self.database, $owner, row, bytes, note).await
            }

            /// All plugins of this owner, by id.
            ///
            /// # Errors
            /// The database's; [`StoreError::Unreadable`].
            pub async fn plugin_list(&self) -> Result<Vec<PluginRow>, StoreError> {
                let $handle = self;
                let rows = plugin_rows(&self.database, Some($owner)).await?;
                Ok(rows.into_iter().map(|(_, row)| row).collect())
            }

            /// One plugin.
            ///
            /// # Errors
            /// The database's; [`StoreError::Unreadable`].
            pub async fn plugin_fetch(
                &self,
                id: &WorkflowId,
            ) -> Result<Option<PluginRow>, StoreError> {
                let $handle = self;
                plugin_fetch(&self.database, $owner, id).await
            }

            /// Removes a plugin; its code stays until nobody needs it. Gives whether there was one;
            /// if so, the audit log gets the line.
            ///
            /// # Errors
            /// The database's.
            pub async fn plugin_delete(
                &self,
                id: &WorkflowId,
                note: &AuditNote,
            ) -> Result<bool, StoreError> {
                let $handle = self;
                plugin_delete(&self.database, $owner, id, note).await
            }

            /// The code of a digest, if this owner has it.
            ///
            /// # Errors
            /// The database's.
            pub async fn component_fetch(
                &self,
                digest: Digest,
            ) -> Result<Option<Vec<u8>>, StoreError> {
                let $handle = self;
                component_fetch(&self.database, $owner, digest).await
            }
        }
    };
}

plugin_functions!(TenantStore, |it| it.tenant.as_str());
plugin_functions!(SharedStore, |_it| SHARED);

async fn plugin_put(
    database: &Database,
    owner: &str,
    row: &PluginRow,
    bytes: &[u8],
    note: &AuditNote,
) -> Result<(), StoreError> {
    let count = i64::try_from(row.bytes)
        .map_err(|_| StoreError::Unstorable { what: "a size of 2^63 bytes or more" })?;
    let component = Statement::new(
        "insert into components (tenant_id, digest, bytes) values (?, ?, ?)
        on conflict (tenant_id, digest) do nothing",
    )
    .text(owner)
    .text(row.digest.to_string())
    .bytes(bytes);
    let plugin = Statement::new(
        "insert into plugins (
            tenant_id, id, digest, byte_count, description, uploaded_at, uploaded_by, created_at
        ) values (?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (tenant_id, id) do update set
            digest = excluded.digest, byte_count = excluded.byte_count,
            description = excluded.description, uploaded_at = excluded.uploaded_at,
            uploaded_by = excluded.uploaded_by",
    )
    .text(owner)
    .text(row.id.as_str())
    .text(row.digest.to_string())
    .number(count)
    .json(stored::description::write(&row.description)?)
    .number(row.uploaded_at.micros())
    .maybe_text(row.uploaded_by.as_ref().map(UserId::as_str))
    .number(row.created_at.micros());
    let statements = vec![component, plugin, audit::noted(owner, note, 1)];
    database.write("store a plugin", owner, Promise::Given, statements).await?;
    Ok(())
}

/// All columns of a [`PluginRow`], and before them the owner.
macro_rules! select_plugin {
    ($rest:literal) => {
        concat!(
            "select tenant_id, id, digest, byte_count, description, uploaded_at, uploaded_by, \
             created_at from plugins ",
            $rest
        )
    };
}

/// The plugins of one owner, or of all tenants, each with its owner.
pub(crate) async fn plugin_rows(
    database: &Database,
    owner: Option<&str>,
) -> Result<Vec<(String, PluginRow)>, StoreError> {
    let statement = match owner {
        Some(owner) => {
            Statement::new(select_plugin!("where tenant_id = ? order by id")).text(owner)
        }
        None => Statement::new(select_plugin!("where tenant_id <> '' order by tenant_id, id")),
    };
    let rows = database.read("list plugins", statement).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), plugin_row(row)?))).collect()
}

async fn plugin_fetch(
    database: &Database,
    owner: &str,
    id: &WorkflowId,
) -> Result<Option<PluginRow>, StoreError> {
    let statement = Statement::new(select_plugin!("where tenant_id = ? and id = ?"));
    let statement = statement.text(owner).text(id.as_str());
    let rows = database.read("fetch a plugin", statement).await?;
    rows.first().map(plugin_row).transpose()
}

async fn plugin_delete(
    database: &Database,
    owner: &str,
    id: &WorkflowId,
    note: &AuditNote,
) -> Result<bool, StoreError> {
    let noted = audit::noted_of(owner, note, "plugins where tenant_id = ? and id = ?");
    let delete = Statement::new("delete from plugins where tenant_id = ? and id = ?");
    let statements = [noted, delete].map(|it| it.text(owner).text(id.as_str()));
    let gone = database.write("delete a plugin", owner, Promise::Given, statements.into()).await?;
    Ok(0 < gone)
}

async fn component_fetch(
    database: &Database,
    owner: &str,
    digest: Digest,
) -> Result<Option<Vec<u8>>, StoreError> {
    let statement =
        Statement::new("select bytes from components where tenant_id = ? and digest = ?");
    let statement = statement.text(owner).text(digest.to_string());
    let rows = database.read("fetch a component", statement).await?;
    rows.first().map(|row| row.bytes(0)).transpose()
}

fn plugin_row(row: &Row) -> Result<PluginRow, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("a plugin's {what}"));
    let uploaded_by = row.maybe_text(6)?.map(UserId::new).transpose();
    Ok(PluginRow {
        id: WorkflowId::new(row.text(1)?).map_err(|_| unreadable("id"))?,
        digest: Digest::parse(row.text(2)?).ok_or_else(|| unreadable("digest"))?,
        bytes: u64::try_from(row.number(3)?).map_err(|_| unreadable("size"))?,
        description: stored::description::read(row.text(4)?)?,
        uploaded_at: Timestamp::from_micros(row.number(5)?),
        uploaded_by: uploaded_by.map_err(|_| unreadable("uploader"))?,
        created_at: Timestamp::from_micros(row.number(7)?),
    })
}
