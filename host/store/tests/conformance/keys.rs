//! API keys.

use std::collections::BTreeSet;

use stepmill_core::ids::{KeyId, TenantId};
use stepmill_core::key::ApiKey;
use stepmill_store::{FoundKey, KeyDigest, StoreError};
use tokio::task::JoinSet;

use crate::house::{House, at, note, tenant, user};

/// More than any of the stories needs.
const ROOM: u32 = 100;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| it.to_string()).collect()
}

fn id(number: u128) -> KeyId {
    KeyId::from_uuid(uuid::Uuid::from_u128(number))
}

/// Key `number`, made `number` microseconds after the epoch.
fn key(number: u128) -> ApiKey {
    ApiKey {
        id: id(number),
        name: "ключ 🔑".into(),
        roles: names(&["reader", "support"]),
        scopes: names(&["workflows:echo:run"]),
        user: Some(user("robot")),
        created_by: Some(user("ada")),
        created_at: at(number as i64),
        expires_at: Some(at(1_000)),
        last_used_at: None,
    }
}

fn digest(byte: u8) -> KeyDigest {
    KeyDigest([byte; 32])
}

pub(crate) async fn a_key_reads_back_as_it_was_made(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let bare = ApiKey {
        roles: names(&[]),
        scopes: names(&[]),
        user: None,
        created_by: None,
        expires_at: None,
        ..key(2)
    };
    acme.key_create(&bare, &digest(2), ROOM, &note()).await.unwrap();
    acme.key_create(&key(1), &digest(1), ROOM, &note()).await.unwrap();

    assert_eq!(acme.key_list().await.unwrap(), [key(1), bare]);
    let found = store.key_find(id(1)).await.unwrap();
    let tenant = TenantId::new("acme").unwrap();
    assert_eq!(found, Some(FoundKey { tenant, key: key(1), digest: digest(1) }));
    assert_eq!(store.key_find(id(3)).await.unwrap(), None);
    assert_eq!(format!("{:?}", digest(1)), "KeyDigest");
}

pub(crate) async fn a_deleted_key_is_gone_once(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.key_create(&key(1), &digest(1), ROOM, &note()).await.unwrap();

    assert!(acme.key_delete(id(1), &note()).await.unwrap());
    assert!(!acme.key_delete(id(1), &note()).await.unwrap());
    assert_eq!(acme.key_list().await.unwrap(), []);
    assert_eq!(store.key_find(id(1)).await.unwrap(), None);
}

pub(crate) async fn another_tenants_keys_are_not_there(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    acme.key_create(&key(1), &digest(1), ROOM, &note()).await.unwrap();

    assert_eq!(other.key_list().await.unwrap(), []);
    assert!(!other.key_delete(id(1), &note()).await.unwrap());
    // Nor does one with the same id take its place.
    assert!(other.key_create(&key(1), &digest(2), ROOM, &note()).await.is_err());
    assert_eq!(acme.key_list().await.unwrap(), [key(1)]);
}

pub(crate) async fn a_tenant_has_so_many_keys_and_no_more(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    other.key_create(&key(100), &digest(1), 3, &note()).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 1..=8 {
        let acme = acme.clone();
        tasks.spawn(async move { acme.key_create(&key(number), &digest(1), 3, &note()).await });
    }
    let made = tasks.join_all().await;

    assert_eq!(made.iter().filter(|it| it.is_ok()).count(), 3);
    assert!(made.iter().all(|it| matches!(it, Ok(()) | Err(StoreError::KeysFull))), "{made:?}");
    let kept = acme.key_list().await.unwrap();
    assert_eq!(kept.len(), 3);
    assert!(acme.key_delete(kept[0].id, &note()).await.unwrap());
    acme.key_create(&key(9), &digest(1), 3, &note()).await.unwrap();
}

pub(crate) async fn the_use_of_a_key_is_noted_now_and_then(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.key_create(&key(1), &digest(1), ROOM, &note()).await.unwrap();
    let used = async || acme.key_list().await.unwrap()[0].last_used_at;

    store.key_used(id(1), at(20), at(10)).await.unwrap();
    assert_eq!(used().await, Some(at(20)));
    store.key_used(id(1), at(30), at(20)).await.unwrap();
    assert_eq!(used().await, Some(at(20)));
    store.key_used(id(1), at(40), at(21)).await.unwrap();
    assert_eq!(used().await, Some(at(40)));
    store.key_used(id(2), at(40), at(21)).await.unwrap();
}

pub(crate) async fn a_name_that_one_database_could_not_keep_is_refused_by_both(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let odd = ApiKey { name: "a\0b".into(), ..key(1) };
    let refused = acme.key_create(&odd, &digest(1), ROOM, &note()).await;
    assert!(matches!(refused, Err(StoreError::Unstorable { .. })), "{refused:?}");
}
