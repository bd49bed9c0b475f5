//! What plugins keep for a tenant: values by key, plugin by plugin.

use stepmill_core::ids::WorkflowId;

use crate::database::Statement;
use crate::error::StoreError;
use crate::store::TenantStore;

/// The most bytes of a key. PostgreSQL's index takes 2,704 bytes with the tenant's and the
/// plugin's id; SQLite would take any length.
pub const KV_KEY_BYTES: usize = 2_048;

/// What a value costs besides its key and itself, so that many small ones count as what they are.
pub const KV_ROW_BYTES: u64 = 100;

impl TenantStore {
    /// The value of a key.
    ///
    /// # Errors
    /// The database's. A key that cannot be stored has no value.
    pub async fn kv_get(
        &self,
        plugin: &WorkflowId,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if check(key).is_err() {
            return Ok(None);
        }
        let sql = "select value from kv where tenant_id = ? and plugin_id = ? and key = ?";
        let rows = self.database.read("get a value", self.of(sql, plugin, key)).await?;
        rows.first().map(|row| row.bytes(0)).transpose()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`StoreError::Unstorable`] for a key with the character U+0000, which PostgreSQL does not
    /// take, or over [`KV_KEY_BYTES`].
    pub async fn kv_set(
        &self,
        plugin: &WorkflowId,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        check(key)?;
        let sql = "insert into kv (tenant_id, plugin_id, key, value) values (?, ?, ?, ?)
            on conflict (tenant_id, plugin_id, key) do update set value = excluded.value";
        self.write("set a value", vec![self.of(sql, plugin, key).bytes(value)]).await?;
        Ok(())
    }

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// The database's.
    pub async fn kv_delete(&self, plugin: &WorkflowId, key: &str) -> Result<(), StoreError> {
        if check(key).is_err() {
            return Ok(());
        }
        let sql = "delete from kv where tenant_id = ? and plugin_id = ? and key = ?";
        self.write("delete a value", vec![self.of(sql, plugin, key)]).await?;
        Ok(())
    }

    /// What the tenant's plugins keep: keys, values, and [`KV_ROW_BYTES`] for each.
    ///
    /// # Errors
    /// The database's.
    pub async fn kv_bytes(&self) -> Result<u64, StoreError> {
        let sql = "select coalesce(sum(octet_length(key) + octet_length(value)), 0), count(*)
            from kv where tenant_id = ?";
        let statement = Statement::new(sql).text(self.tenant.as_str());
        let rows = self.database.read("count what is kept", statement).await?;
        let number = |column| {
            let number = rows.first().map(|it| it.number(column)).transpose()?;
            Ok::<_, StoreError>(u64::try_from(number.unwrap_or(0)).unwrap_or(0))
        };
        Ok(number(0)? + number(1)? * KV_ROW_BYTES)
    }

    fn of<'a>(&'a self, sql: &'static str, plugin: &'a WorkflowId, key: &'a str) -> Statement<'a> {
        Statement::new(sql).text(self.tenant.as_str()).text(plugin.as_str()).text(key)
    }
}

fn check(key: &str) -> Result<(), StoreError> {
    if KV_KEY_BYTES < key.len() {
        return Err(StoreError::Unstorable {
            what: "a key longer than the database's index takes",
        });
    }
    if key.contains('\0') {
        return Err(StoreError::Unstorable { what: "a key with the character U+0000" });
    }
    Ok(())
}
