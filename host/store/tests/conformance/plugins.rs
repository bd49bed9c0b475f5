//! Plugins, their code, and who keeps it from being swept away.

use stepmill_core::capability::Capability;
use stepmill_core::event::RunEvent;
use stepmill_core::ids::TenantId;
use stepmill_core::run::RunPin;
use stepmill_store::{PluginRow, SessionEntry, StoreError, TenantStore, Touch};
use tokio::task::JoinSet;

use crate::house::{House, at, digest, entry, note, plugin, plugin_pin, run, tenant, workflow};

async fn open(acme: &TenantStore, pin: &RunPin) -> Result<(), StoreError> {
    acme.run_open(pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use).await
}

async fn finish(acme: &TenantStore, number: u128) {
    acme.journal_append(run(number), &[entry(1, RunEvent::RunCompleted)]).await.unwrap();
}

pub(crate) async fn a_plugin_reads_back_with_its_code(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let mut second = plugin("b_2", digest(2));
    second.description.input_schema = Some(serde_json::Map::new());
    second.description.capabilities = vec![Capability::parse("http:*.example.com").unwrap()];
    second.uploaded_by = None;
    let rows = [plugin("b-2", digest(1)), second];
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for row in rows.iter().rev() {
        acme.plugin_put(row, &bytes, &note()).await.unwrap();
    }

    assert_eq!(acme.plugin_list().await.unwrap(), rows);
    assert_eq!(acme.plugin_fetch(&workflow("b_2")).await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(acme.plugin_fetch(&workflow("c")).await.unwrap(), None);
    assert_eq!(acme.component_fetch(digest(2)).await.unwrap(), Some(bytes));
    assert_eq!(acme.component_fetch(digest(3)).await.unwrap(), None);
}

pub(crate) async fn a_replaced_plugin_keeps_its_birthday(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();
    let mut second = plugin("p", digest(2));
    (second.uploaded_at, second.created_at, second.uploaded_by) = (at(20), at(20), None);
    acme.plugin_put(&second, b"two", &note()).await.unwrap();

    let expected = PluginRow { created_at: at(10), ..second };
    assert_eq!(acme.plugin_list().await.unwrap(), [expected]);
    assert_eq!(acme.component_fetch(digest(1)).await.unwrap().unwrap(), b"one");
    assert_eq!(acme.component_fetch(digest(2)).await.unwrap().unwrap(), b"two");
}

pub(crate) async fn a_deleted_plugin_is_gone_once(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();

    assert!(acme.plugin_delete(&workflow("p"), &note()).await.unwrap());
    assert!(!acme.plugin_delete(&workflow("p"), &note()).await.unwrap());
    assert_eq!(acme.plugin_list().await.unwrap(), []);
    assert_eq!(acme.plugin_fetch(&workflow("p")).await.unwrap(), None);
    assert!(acme.component_fetch(digest(1)).await.unwrap().is_some());
}

pub(crate) async fn another_tenants_plugins_are_not_there(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    acme.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();

    assert_eq!(other.plugin_list().await.unwrap(), []);
    assert_eq!(other.plugin_fetch(&workflow("p")).await.unwrap(), None);
    assert_eq!(other.component_fetch(digest(1)).await.unwrap(), None);
    assert!(!other.plugin_delete(&workflow("p"), &note()).await.unwrap());

    other.plugin_put(&plugin("p", digest(2)), b"two", &note()).await.unwrap();
    assert_eq!(acme.plugin_list().await.unwrap(), [plugin("p", digest(1))]);
    assert_eq!(other.plugin_list().await.unwrap(), [plugin("p", digest(2))]);
}

pub(crate) async fn shared_plugins_stand_apart(house: House) {
    let store = house.open().await;
    let (acme, shared) = (tenant(&store, "acme"), store.shared());
    shared.plugin_put(&plugin("p", digest(1)), b"shared", &note()).await.unwrap();
    acme.plugin_put(&plugin("p", digest(2)), b"own", &note()).await.unwrap();

    assert_eq!(shared.plugin_list().await.unwrap(), [plugin("p", digest(1))]);
    assert_eq!(acme.plugin_list().await.unwrap(), [plugin("p", digest(2))]);
    assert_eq!(shared.component_fetch(digest(1)).await.unwrap().unwrap(), b"shared");
    assert_eq!(shared.component_fetch(digest(2)).await.unwrap(), None);
    assert_eq!(acme.component_fetch(digest(1)).await.unwrap(), None);
    assert!(acme.plugin_delete(&workflow("p"), &note()).await.unwrap());
    assert!(shared.plugin_fetch(&workflow("p")).await.unwrap().is_some());
    assert!(shared.plugin_delete(&workflow("p"), &note()).await.unwrap());
    assert_eq!(shared.plugin_fetch(&workflow("p")).await.unwrap(), None);
}

pub(crate) async fn the_host_lists_the_plugins_of_all_tenants(house: House) {
    let store = house.open().await;
    store.shared().plugin_put(&plugin("p", digest(1)), b"shared", &note()).await.unwrap();
    for name in ["b", "a"] {
        tenant(&store, name).plugin_put(&plugin("p", digest(1)), b"own", &note()).await.unwrap();
    }
    let all = store.plugin_all().await.unwrap();
    let row = |name| (TenantId::new(name).unwrap(), plugin("p", digest(1)));
    assert_eq!(all, [row("a"), row("b")]);
}

pub(crate) async fn code_is_kept_while_somebody_needs_it(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();
    open(&acme, &plugin_pin(1, digest(1))).await.unwrap();
    acme.plugin_put(&plugin("p", digest(2)), b"two", &note()).await.unwrap();
    acme.plugin_put(&plugin("p", digest(3)), b"three", &note()).await.unwrap();

    // One is pinned by the run, three by the plugin; two is nobody's.
    assert_eq!(store.component_sweep().await.unwrap(), 1);
    assert!(acme.component_fetch(digest(1)).await.unwrap().is_some());
    assert_eq!(acme.component_fetch(digest(2)).await.unwrap(), None);
    assert!(acme.component_fetch(digest(3)).await.unwrap().is_some());

    finish(&acme, 1).await;
    assert!(acme.plugin_delete(&workflow("p"), &note()).await.unwrap());
    assert_eq!(store.component_sweep().await.unwrap(), 2);
    assert_eq!(store.component_sweep().await.unwrap(), 0);
    assert_eq!(acme.component_fetch(digest(1)).await.unwrap(), None);
    // The finished run still says which code it was.
    let kept = acme.run_fetch(run(1)).await.unwrap().unwrap();
    assert_eq!(kept.pin, plugin_pin(1, digest(1)));
}

pub(crate) async fn code_of_one_tenant_is_not_pinned_by_another(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    for it in [&acme, &other] {
        it.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();
    }
    open(&acme, &plugin_pin(1, digest(1))).await.unwrap();
    acme.plugin_delete(&workflow("p"), &note()).await.unwrap();
    other.plugin_delete(&workflow("p"), &note()).await.unwrap();

    assert_eq!(store.component_sweep().await.unwrap(), 1);
    assert!(acme.component_fetch(digest(1)).await.unwrap().is_some());
    assert_eq!(other.component_fetch(digest(1)).await.unwrap(), None);
}

pub(crate) async fn shared_code_is_pinned_by_runs_of_any_tenant(house: House) {
    let store = house.open().await;
    let (acme, shared) = (tenant(&store, "acme"), store.shared());
    shared.plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();
    open(&acme, &plugin_pin(1, digest(1))).await.unwrap();
    shared.plugin_delete(&workflow("p"), &note()).await.unwrap();

    assert_eq!(store.component_sweep().await.unwrap(), 0);
    finish(&acme, 1).await;
    assert_eq!(store.component_sweep().await.unwrap(), 1);
}

pub(crate) async fn a_run_cannot_pin_code_that_is_not_there(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    tenant(&store, "other").plugin_put(&plugin("p", digest(1)), b"one", &note()).await.unwrap();

    let refused = open(&acme, &plugin_pin(1, digest(1))).await;
    assert!(matches!(refused, Err(StoreError::ComponentMissing)), "{refused:?}");
    assert_eq!(acme.run_fetch(run(1)).await.unwrap(), None);
}

pub(crate) async fn sweeps_and_runs_do_not_cross(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let mut tasks = JoinSet::new();
    for number in 1..=20_u8 {
        let (store, acme) = (store.clone(), acme.clone());
        tasks.spawn(async move {
            acme.plugin_put(&plugin("p", digest(number)), b"code", &note()).await.unwrap();
            // Another task may have replaced the plugin and swept by now.
            match open(&acme, &plugin_pin(number.into(), digest(number))).await {
                Ok(()) | Err(StoreError::ComponentMissing) => {}
                Err(other) => panic!("{other:?}"),
            }
            store.component_sweep().await.unwrap();
        });
    }
    tasks.join_all().await;

    for (_, unfinished) in store.run_unfinished().await.unwrap() {
        let byte = unfinished.uuid().as_bytes()[15];
        assert!(acme.component_fetch(digest(byte)).await.unwrap().is_some(), "{byte}");
    }
    let row = acme.plugin_fetch(&workflow("p")).await.unwrap().unwrap();
    assert!(acme.component_fetch(row.digest).await.unwrap().is_some());
}
