//! Secrets, sealed by somebody else.

use stepmill_core::capability::HttpRule;
use stepmill_core::ids::SecretName;
use stepmill_store::SecretRow;

use crate::house::{House, at, note, tenant, user};

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

fn row(text: &str, key_id: &str, sealed: &[u8]) -> SecretRow {
    let places = ["api.example.com", "POST *.example.com/v1/*"];
    SecretRow {
        name: name(text),
        places: places.map(|it| HttpRule::new(it).unwrap()).into(),
        key_id: key_id.to_owned(),
        sealed: sealed.to_owned(),
        created_at: at(1),
        updated_at: at(1),
        updated_by: Some(user("ada")),
    }
}

pub(crate) async fn a_secret_reads_back_as_it_was_sealed(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme").secrets();
    assert_eq!(acme.secret_fetch(&name("b")).await.unwrap(), None);
    let (a, b) = (row("a", "k1", b"\0\xff"), row("b", "k1", &[7; 5_000]));
    acme.secret_put(&b, &note()).await.unwrap();
    acme.secret_put(&a, &note()).await.unwrap();
    assert_eq!(acme.secret_list().await.unwrap(), [a, b.clone()]);
    assert_eq!(acme.secret_fetch(&name("b")).await.unwrap(), Some(b));

    let mut again = row("b", "k2", b"x");
    again.places.truncate(1);
    again.created_at = at(5);
    again.updated_at = at(5);
    again.updated_by = None;
    acme.secret_put(&again, &note()).await.unwrap();
    let kept = SecretRow { created_at: at(1), ..again };
    assert_eq!(acme.secret_fetch(&name("b")).await.unwrap(), Some(kept));
    assert!(acme.secret_delete(&name("b"), &note()).await.unwrap());
    assert!(!acme.secret_delete(&name("b"), &note()).await.unwrap());
    assert_eq!(acme.secret_list().await.unwrap().len(), 1);
}

pub(crate) async fn secrets_stand_apart_by_owner(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme").secrets();
    let other = tenant(&store, "other").secrets();
    let shared = store.shared().secrets();
    acme.secret_put(&row("a", "k", b"acme"), &note()).await.unwrap();
    shared.secret_put(&row("a", "k", b"shared"), &note()).await.unwrap();

    assert!(other.secret_list().await.unwrap().is_empty());
    assert!(!other.secret_delete(&name("a"), &note()).await.unwrap());
    assert_eq!(shared.secret_fetch(&name("a")).await.unwrap().unwrap().sealed, b"shared");
    assert!(shared.secret_delete(&name("a"), &note()).await.unwrap());
    assert_eq!(acme.secret_fetch(&name("a")).await.unwrap().unwrap().sealed, b"acme");
}

pub(crate) async fn secrets_of_other_keys_are_found_in_all_tenants(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    acme.secrets().secret_put(&row("old", "k1", b"1"), &note()).await.unwrap();
    acme.secrets().secret_put(&row("new", "k2", b"2"), &note()).await.unwrap();
    store.shared().secrets().secret_put(&row("old", "k1", b"3"), &note()).await.unwrap();
    let found = store.secret_sealed_otherwise("k2").await.unwrap();
    let owner = Some(acme.tenant().clone());
    assert_eq!(found, [(None, row("old", "k1", b"3")), (owner, row("old", "k1", b"1"))]);
}
