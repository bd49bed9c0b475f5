//! What was not granted is not there; what was granted is.

use std::sync::Arc;

use stepmill_core::capability::Capability;

use crate::room::{Desk, build, context, found_out, plugin, short, site_with};

#[tokio::test]
async fn without_a_grant_the_clock_stands_still() {
    let plugin = plugin(short()).await;
    let told = found_out(&plugin, &[], "clock").await;
    assert_eq!(told, "978307200 stands still: true");
    let told = found_out(&plugin, &[Capability::Clock], "clock").await;
    let (wall, rest) = told.split_once(' ').unwrap();
    assert_eq!(rest, "stands still: false");
    assert!(1_700_000_000 < wall.parse::<u64>().unwrap());
}

#[tokio::test]
async fn without_a_grant_random_numbers_repeat() {
    let plugin = plugin(short()).await;
    let draw = async |grants: &[Capability]| found_out(&plugin, grants, "random").await;
    assert_eq!(draw(&[]).await, draw(&[]).await);
    assert_ne!(draw(&[Capability::Randomness]).await, draw(&[Capability::Randomness]).await);
}

#[tokio::test]
async fn configuration_is_read_only_with_a_grant() {
    let plugin = plugin(short()).await;
    assert_eq!(found_out(&plugin, &[], "config region").await, "Err(ConfigError::NotGranted)");
    let granted = [Capability::Config];
    assert_eq!(found_out(&plugin, &granted, "config region").await, r#"Ok(Some("eu"))"#);
    assert_eq!(found_out(&plugin, &granted, "config else").await, "Ok(None)");
}

#[tokio::test]
async fn values_are_kept_only_with_a_grant() {
    let plugin = plugin(short()).await;
    assert_eq!(found_out(&plugin, &[], "kv-set 2").await, "Err(KvError::NotGranted)");
    let desk = Arc::new(Desk::default());
    let ask = async |order: &str| {
        let site = site_with(&[Capability::KeyValue], desk.clone());
        plugin.build(site, &context(order)).await.unwrap().description.unwrap()
    };
    assert_eq!(ask("kv-get key").await, "Ok(None)");
    assert_eq!(ask("kv-set 2").await, "Ok(())");
    assert_eq!(ask("kv-get key").await, "Ok(Some([7, 7]))");
    assert_eq!(ask("kv-set 65537").await, "Err(KvError::TooLarge(65536))");
}

#[tokio::test]
async fn only_granted_hosts_are_reached() {
    let plugin = plugin(short()).await;
    let granted = [Capability::parse("http:api.example.com").unwrap()];
    let answer = found_out(&plugin, &granted, "fetch https://api.example.com/a").await;
    assert!(answer.starts_with("Ok(HttpResponse { status: 200"), "{answer}");
    let answer = found_out(&plugin, &granted, "fetch https://evil.test/a").await;
    assert_eq!(answer, "Err(HttpError::NotGranted)");
    let answer = found_out(&plugin, &[], "fetch https://api.example.com/a").await;
    assert_eq!(answer, "Err(HttpError::NotGranted)");
}

#[tokio::test]
async fn only_granted_databases_are_asked() {
    let plugin = plugin(short()).await;
    let granted = [Capability::parse("database:orders").unwrap()];
    let answer = found_out(&plugin, &granted, "query orders").await;
    let row = "[Value::Null, Value::Boolean(true), Value::Integer(-1), Value::Real(0.5), \
               Value::Text(\"é\"), Value::Bytes([0, 255])]";
    assert_eq!(answer, format!("Ok(Rows {{ columns: [\"select $1\"], rows: [{row}] }})"));
    for (order, grants) in
        [("query other", &granted[..]), ("execute orders", &granted), ("query orders", &[])]
    {
        let answer = found_out(&plugin, grants, order).await;
        assert_eq!(answer, "Err(DatabaseError::NotGranted)", "{order}");
    }
    let granted = [Capability::parse("database:orders:write").unwrap()];
    let answer = found_out(&plugin, &granted, "execute orders").await;
    assert!(answer.starts_with("Ok(Outcome { changed: 1, returned: Rows"), "{answer}");
}

#[tokio::test]
async fn a_secret_is_a_placeholder_and_only_with_a_grant() {
    let plugin = plugin(short()).await;
    let granted = ["secret:key", "secret:none"].map(|it| Capability::parse(it).unwrap());
    let answer = found_out(&plugin, &granted, "secret key").await;
    assert!(answer.starts_with("Ok(\"stepmill-secret-"), "{answer}");
    assert_ne!(found_out(&plugin, &granted, "secret key").await, answer);
    for (order, expected) in [("secret none", "Unknown"), ("secret other", "NotGranted")] {
        let answer = found_out(&plugin, &granted, order).await;
        assert_eq!(answer, format!("Err(SecretError::{expected})"));
    }
}

#[tokio::test]
async fn there_is_nothing_else_outside() {
    let plugin = plugin(short()).await;
    let seen = build(&plugin, "world").await.unwrap().description.unwrap();
    assert_eq!(seen, "env 0 args 0 stdin Ok(0) root false file false tcp false name false");
}
