//! Forms in `application/x-www-form-urlencoded`, as they come in over HTTP.
//!
//! A form reads alike in whatever pieces it arrives, keeps its limits, and says exactly what an
//! honest client wrote.

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use stepmill::http::fuzzing::{Sent, form};
use stepmill::settings::HttpSettings;

const KIND: &[u8] = b"application/x-www-form-urlencoded";

/// As the host has them.
const FIELDS: usize = 1_000;
const NAME_BYTES: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let narrow = HttpSettings { form_bytes: 4_096, field_bytes: 64, ..HttpSettings::default() };
    let settings = if first & 1 == 0 { narrow } else { HttpSettings::default() };
    if first & 2 == 0 {
        written(body, &settings, usize::from(first >> 2) + 1);
    } else {
        // Bytes that end too soon are no fault.
        let _ = honest(&mut Unstructured::new(body), &settings);
    }
});

/// Whatever somebody wrote.
fn written(body: &[u8], settings: &HttpSettings, piece: usize) {
    let whole = without_chance(form(settings, KIND, vec![Bytes::copy_from_slice(body)]));
    let pieces = body.chunks(piece).map(Bytes::copy_from_slice).collect();
    assert_eq!(whole, without_chance(form(settings, KIND, pieces)), "it depends on the pieces");
    let Ok(sent) = whole else { return };
    assert!(body.len() <= settings.form_bytes);
    assert!(sent.fields.len() <= FIELDS && sent.uploads.is_empty());
    for (name, value) in sent.fields {
        assert!(name.len() <= NAME_BYTES);
        // A byte that is no text becomes a character of three.
        assert!(value.len() <= 3 * settings.field_bytes);
    }
}

/// What a client writes that knows how to.
fn honest(from: &mut Unstructured<'_>, settings: &HttpSettings) -> Result<()> {
    let mut fields: Vec<(String, String)> = Vec::new();
    while !from.is_empty() {
        fields.push(from.arbitrary()?);
    }
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(&fields);
    let body = body.finish();
    let is_long = |it: &str| settings.field_bytes + 1 < it.len();
    let is_over = settings.form_bytes < body.len()
        || body.split('&').any(is_long)
        || fields.iter().any(|(name, _)| NAME_BYTES < name.len())
        || FIELDS < fields.len();
    match form(settings, KIND, vec![body.into()]) {
        Ok(sent) => {
            assert!(!is_over, "over a limit");
            let last: BTreeMap<_, _> = fields.into_iter().collect();
            assert_eq!(sent.fields, last.into_iter().collect::<Vec<_>>());
        }
        Err(status) => assert!(is_over && matches!(status, 400 | 413), "{status}"),
    }
    Ok(())
}

/// Media without an id get one by chance.
fn without_chance(sent: std::result::Result<Sent, u16>) -> std::result::Result<Sent, u16> {
    sent.map(|mut it| {
        if let Ok(extras) = &mut it.extras {
            extras.media = extras
                .media
                .iter()
                .cloned()
                .map(|mut it| {
                    it.id.clear();
                    it
                })
                .collect();
        }
        it
    })
}
