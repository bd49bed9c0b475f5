//! What clients, guests and providers write comes back as it was, on both databases.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use stepmill_core::context::RequestContext;
use stepmill_core::event::RunEvent;
use stepmill_core::run::RunPin;
use stepmill_store::{SessionEntry, StoreError, TenantStore, Touch};

use crate::house::{House, digest, note, piece, pin, plugin, run, tenant};

/// Every kind of character there is trouble with, U+0000 first.
const TEXT: &str =
    "\0 \u{1} \u{7f} \\u0000 \" ' ? $1 ; -- \r\n \u{2028} \u{feff} ÄÖ🏳️‍🌈 \u{10ffff} \u{fffd}";

fn with_input(pin: RunPin, value: Value) -> RunPin {
    let input = Some(Map::from_iter([(TEXT.to_owned(), value)]));
    RunPin { context: Arc::new(RequestContext { input, ..(*pin.context).clone() }), ..pin }
}

async fn comes_back(acme: &TenantStore, pin: RunPin) {
    acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use).await.unwrap();
    assert_eq!(acme.run_fetch(pin.id).await.unwrap().unwrap().pin, pin);
}

pub(crate) async fn every_character_comes_back(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let pin = RunPin { input: TEXT.into(), ..pin(1, "s ? 'ü'", Some("a\"b' ? $1 ü")) };
    comes_back(&acme, with_input(pin, json!(TEXT))).await;

    acme.journal_append(run(1), &[piece(1, TEXT)]).await.unwrap();
    assert_eq!(acme.journal_read(run(1), 1, 10).await.unwrap(), [piece(1, TEXT)]);

    let mut row = plugin("p", digest(1));
    row.description.name = Some(TEXT.into());
    acme.plugin_put(&row, b"one", &note()).await.unwrap();
    assert_eq!(acme.plugin_list().await.unwrap(), [row]);
}

pub(crate) async fn large_texts_come_back(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let large = TEXT.repeat(40_000);
    let pin = RunPin { input: large.clone(), ..pin(1, "s", None) };
    comes_back(&acme, with_input(pin, json!(large))).await;

    let entries: Vec<_> = (1..=3).map(|it| piece(it, &large)).collect();
    acme.journal_append(run(1), &entries).await.unwrap();
    assert_eq!(acme.journal_read(run(1), 1, 10).await.unwrap(), entries);
}

pub(crate) async fn numbers_come_back_to_the_last_bit(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let value = json!([
        1, 1.0, 1e16, 1e22, -0.0, 0.1, 5e-324, 1.797_693_134_862_315_7e308, 0.1 + 0.2, u64::MAX,
        i64::MIN, { "b": 1, "a": 2, "": null }
    ]);
    let pin = with_input(pin(1, "s", None), value.clone());
    comes_back(&acme, pin).await;

    // Equality of numbers takes -0.0 for 0.0, and of objects any order: compare the text.
    let kept = acme.run_fetch(run(1)).await.unwrap().unwrap();
    let input = kept.pin.context.input.as_ref().unwrap();
    assert_eq!(input[TEXT].to_string(), value.to_string());
}

pub(crate) async fn a_value_nested_too_deep_is_refused(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let nested = |depth| (0..depth).fold(json!(1), |it, _| json!([it]));
    comes_back(&acme, with_input(pin(1, "s", None), nested(99))).await;

    let deeper = with_input(pin(2, "s", None), nested(100));
    let refused = acme.run_open(&deeper, &[], SessionEntry::Owner, Touch::Use).await;
    assert!(matches!(refused, Err(StoreError::Unstorable { .. })), "{refused:?}");
}
