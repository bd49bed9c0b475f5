//! What operators said over the API.

use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::policy::PolicyScope;
use stepmill_store::PolicyRow;

use crate::house::{House, at, note, user};

fn row(scope: PolicyScope, document: &str, micros: i64) -> PolicyRow {
    let updated_by = Some(user("root"));
    PolicyRow { scope, document: document.to_owned(), updated_at: at(micros), updated_by }
}

fn plugin(tenant: Option<&str>, id: &str) -> PolicyScope {
    let tenant = tenant.map(|it| TenantId::new(it).unwrap());
    PolicyScope::Plugin(tenant, WorkflowId::new(id).unwrap())
}

pub(crate) async fn each_scope_keeps_what_was_said_last(house: House) {
    let store = house.open().await;
    let acme = PolicyScope::Tenant(TenantId::new("acme").unwrap());
    let shared = row(plugin(None, "p"), "{}", 1);
    let own = row(plugin(Some("acme"), "p"), r#"{"allow":["kv"]}"#, 2);
    let all = [row(PolicyScope::Host, "{}", 3), shared, row(acme.clone(), "{}", 4), own];
    for it in all.iter().rev() {
        store.policy_put(it, &note()).await.unwrap();
    }
    assert_eq!(store.policy_list().await.unwrap(), all);

    let mut again = row(acme.clone(), r#"{"allow":[]}"#, 5);
    again.updated_by = None;
    store.policy_put(&again, &note()).await.unwrap();
    assert_eq!(store.policy_list().await.unwrap()[2], again);
    assert!(store.policy_delete(&acme, &note()).await.unwrap());
    assert!(!store.policy_delete(&acme, &note()).await.unwrap());
    assert_eq!(store.policy_list().await.unwrap().len(), 3);
}
