//! What plugins keep.

use stepmill_store::{KV_KEY_BYTES, KV_ROW_BYTES, StoreError};

use crate::house::{House, tenant, workflow};

pub(crate) async fn a_value_reads_back_until_it_is_deleted(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let p = workflow("p");

    assert_eq!(acme.kv_get(&p, "k").await.unwrap(), None);
    for value in [&b"\0\xff"[..], b"", &[7; 1_000_000]] {
        acme.kv_set(&p, "k", value).await.unwrap();
        assert_eq!(acme.kv_get(&p, "k").await.unwrap().unwrap(), value);
    }
    acme.kv_delete(&p, "k").await.unwrap();
    acme.kv_delete(&p, "k").await.unwrap();
    assert_eq!(acme.kv_get(&p, "k").await.unwrap(), None);
}

pub(crate) async fn values_stand_apart_by_tenant_and_plugin(house: House) {
    let store = house.open().await;
    let (acme, other) = (tenant(&store, "acme"), tenant(&store, "other"));
    acme.kv_set(&workflow("p"), "k", b"1").await.unwrap();
    acme.kv_set(&workflow("q"), "k", b"2").await.unwrap();

    assert_eq!(other.kv_get(&workflow("p"), "k").await.unwrap(), None);
    other.kv_set(&workflow("p"), "k", b"3").await.unwrap();
    other.kv_delete(&workflow("q"), "k").await.unwrap();
    other.kv_delete(&workflow("p"), "k").await.unwrap();
    assert_eq!(other.kv_bytes().await.unwrap(), 0);
    assert_eq!(acme.kv_bytes().await.unwrap(), 2 * (2 + KV_ROW_BYTES));
    assert_eq!(acme.kv_get(&workflow("p"), "k").await.unwrap().unwrap(), b"1");
    assert_eq!(acme.kv_get(&workflow("q"), "k").await.unwrap().unwrap(), b"2");
}

pub(crate) async fn a_key_that_one_database_could_not_keep_is_refused_by_both(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let p = workflow("p");
    // Of characters that PostgreSQL could not compress to make it fit.
    let longest: String = (0u32..)
        .map(|it| char::from(b'!' + (it.wrapping_mul(2_654_435_761) >> 24) as u8 % 90))
        .take(KV_KEY_BYTES)
        .collect();
    for key in ["", "ключ 🔑", &longest] {
        acme.kv_set(&p, key, b"v").await.unwrap();
        assert_eq!(acme.kv_get(&p, key).await.unwrap().unwrap(), b"v");
    }
    for key in ["a\0b", &format!("{longest}x")] {
        let refused = acme.kv_set(&p, key, b"v").await;
        assert!(matches!(refused, Err(StoreError::Unstorable { .. })), "{refused:?}");
        assert_eq!(acme.kv_get(&p, key).await.unwrap(), None);
        acme.kv_delete(&p, key).await.unwrap();
    }
}
