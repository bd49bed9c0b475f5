//! What operators said over the API, scope by scope. What a document means is not known here.

use stepmill_core::audit::AuditNote;
use stepmill_core::ids::{TenantId, UserId, WorkflowId};
use stepmill_core::policy::PolicyScope;
use stepmill_core::time::Timestamp;

use crate::audit;
use crate::database::{Promise, Row, Statement};
use crate::error::StoreError;
use crate::store::Store;

/// What was said of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// Of what.
    pub scope: PolicyScope,
    /// A JSON object, as the operator wrote it.
    pub document: String,
    /// When it was said.
    pub updated_at: Timestamp,
    /// Who said it.
    pub updated_by: Option<UserId>,
}

impl Store {
    /// Everything that was said: of the host, then by tenant and plugin.
    ///
    /// # Errors
    /// The database's; [`StoreError::Unreadable`].
    pub async fn policy_list(&self) -> Result<Vec<PolicyRow>, StoreError> {
        let statement = Statement::new(
            "select tenant_id, plugin_id, document, updated_at, updated_by from policies
            order by tenant_id, plugin_id",
        );
        self.database.read("list policies", statement).await?.iter().map(policy_row).collect()
    }

    /// Says something of a scope, in the place of what was said before. The host's audit log gets
    /// the line.
    ///
    /// # Errors
    /// The database's.
    pub async fn policy_put(&self, row: &PolicyRow, note: &AuditNote) -> Result<(), StoreError> {
        let (tenant, plugin) = key(&row.scope);
        let statement = Statement::new(
            "insert into policies (tenant_id, plugin_id, document, updated_at, updated_by)
            values (?, ?, ?, ?, ?)
            on conflict (tenant_id, plugin_id) do update set document = excluded.document,
                updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )
        .text(tenant)
        .text(plugin)
        .json(row.document.clone())
        .number(row.updated_at.micros())
        .maybe_text(row.updated_by.as_ref().map(UserId::as_str));
        let statements = vec![statement, audit::noted(audit::HOST, note, 1)];
        self.database.write("keep a policy", audit::HOST, Promise::Given, statements).await?;
        Ok(())
    }

    /// Takes back what was said of a scope. Gives whether something was; if so, the host's audit
    /// log gets the line.
    ///
    /// # Errors
    /// The database's.
    pub async fn policy_delete(
        &self,
        scope: &PolicyScope,
        note: &AuditNote,
    ) -> Result<bool, StoreError> {
        let (tenant, plugin) = key(scope);
        let noted =
            audit::noted_of(audit::HOST, note, "policies where tenant_id = ? and plugin_id = ?");
        let delete = Statement::new("delete from policies where tenant_id = ? and plugin_id = ?");
        let statements = [noted, delete].map(|it| it.text(tenant).text(plugin));
        let (doing, share) = ("delete a policy", audit::HOST);
        let gone = self.database.write(doing, share, Promise::Given, statements.into()).await?;
        Ok(0 < gone)
    }
}

/// No tenant's and no plugin's id is empty.
fn key(scope: &PolicyScope) -> (&str, &str) {
    match scope {
        PolicyScope::Host => ("", ""),
        PolicyScope::Tenant(tenant) => (tenant.as_str(), ""),
        PolicyScope::Plugin(tenant, plugin) => {
            (tenant.as_ref().map_or("", TenantId::as_str), plugin.as_str())
        }
    }
}

fn policy_row(row: &Row) -> Result<PolicyRow, StoreError> {
    let unreadable = |what: &str| StoreError::unreadable(format!("a policy's {what}"));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let tenant = some(row.text(0)?).map(TenantId::new).transpose();
    let plugin = some(row.text(1)?).map(WorkflowId::new).transpose();
    let tenant = tenant.map_err(|_| unreadable("tenant"))?;
    let plugin = plugin.map_err(|_| unreadable("plugin"))?;
    let updated_by = row.maybe_text(4)?.map(UserId::new).transpose();
    Ok(PolicyRow {
        scope: match (tenant, plugin) {
            (None, None) => PolicyScope::Host,
            (Some(tenant), None) => PolicyScope::Tenant(tenant),
            (tenant, Some(plugin)) => PolicyScope::Plugin(tenant, plugin),
        },
        document: row.text(2)?.to_owned(),
        updated_at: Timestamp::from_micros(row.number(3)?),
        updated_by: updated_by.map_err(|_| unreadable("author"))?,
    })
}
