//! Forms in `multipart/form-data`, as they come in over HTTP.
//!
//! A form reads alike in whatever pieces it arrives, keeps its limits, and says exactly what an
//! honest client wrote.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use stepmill::http::fuzzing::form;
use stepmill::settings::HttpSettings;

/// As the host has them.
const FIELDS: usize = 1_000;
const NAME_BYTES: usize = 256;

/// What honest clients take care not to have in a value.
const BOUNDARY: &str = "X-bound-4f1c";

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let narrow = HttpSettings { form_bytes: 4_096, field_bytes: 64, ..HttpSettings::default() };
    let settings = if first & 1 == 0 { narrow } else { HttpSettings::default() };
    let piece = usize::from(first >> 3) + 1;
    match first >> 1 & 3 {
        0 | 1 => written(b"multipart/form-data; boundary=X", rest, &settings, piece),
        2 => {
            // The kind is the client's too.
            let end = rest.iter().position(|it| *it == b'\n').unwrap_or(rest.len());
            let (kind, body) = rest.split_at(end);
            written(kind, body.get(1..).unwrap_or_default(), &settings, piece);
        }
        _ => {
            // Bytes that end too soon are no fault.
            let _ = honest(&mut Unstructured::new(rest), &settings);
        }
    }
});

/// Whatever somebody wrote.
fn written(kind: &[u8], body: &[u8], settings: &HttpSettings, piece: usize) {
    let whole = form(settings, kind, vec![Bytes::copy_from_slice(body)]);
    let pieces = form(settings, kind, body.chunks(piece).map(Bytes::copy_from_slice).collect());
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole.fields, pieces.fields, "it depends on the pieces");
            assert_eq!(whole.uploads, pieces.uploads, "it depends on the pieces");
        }
        (whole, pieces) => assert_eq!(whole.as_ref().err(), pieces.as_ref().err()),
    }
    let Ok(sent) = whole else { return };
    assert!(body.len() <= settings.form_bytes);
    assert!(sent.fields.len() + sent.uploads.len() <= FIELDS);
    let names = sent.fields.iter().map(|(name, _)| name).chain(&sent.uploads);
    assert!(names.into_iter().all(|it| it.len() <= NAME_BYTES));
    // A byte that is no text becomes a character of three.
    assert!(sent.fields.iter().all(|(_, it)| it.len() <= 3 * settings.field_bytes));
}

/// What a client writes that knows how to.
fn honest(from: &mut Unstructured<'_>, settings: &HttpSettings) -> Result<()> {
    let (mut fields, mut uploads) = (BTreeMap::new(), BTreeSet::new());
    let (mut body, mut count, mut is_over) = (Vec::new(), 0, false);
    while !from.is_empty() {
        let name: String =
            from.arbitrary_iter::<u8>()?.take(3).map(letter).collect::<Result<_>>()?;
        let name = match from.ratio(1, 16)? {
            true => name.repeat(from.int_in_range(80..=90)?),
            false => name,
        };
        let (value, is_upload): (&[u8], bool) = from.arbitrary()?;
        if value.windows(BOUNDARY.len()).any(|it| it == BOUNDARY.as_bytes()) {
            continue;
        }
        let file = if is_upload { "; filename=\"f\"" } else { "" };
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
        count += 1;
        is_over |= NAME_BYTES < name.len() || (!is_upload && settings.field_bytes < value.len());
        if is_upload {
            uploads.insert(name);
        } else {
            fields.insert(name, String::from_utf8_lossy(value).into_owned());
        }
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    is_over |= FIELDS < count || settings.form_bytes < body.len();
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    match form(settings, kind.as_bytes(), vec![body.into()]) {
        Ok(sent) => {
            assert!(!is_over, "over a limit");
            assert_eq!(sent.fields, fields.into_iter().collect::<Vec<_>>());
            assert_eq!(sent.uploads, uploads.into_iter().collect::<Vec<_>>());
        }
        Err(status) => assert!(is_over && matches!(status, 400 | 413), "{status}"),
    }
    Ok(())
}

fn letter(byte: Result<u8>) -> Result<char> {
    Ok(char::from(b'a' + byte? % 26))
}
