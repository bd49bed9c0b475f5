//! Two texts that mean the same.

use super::ids::{Ids, split};

/// Pairs of ids, recorded and ours.
pub(super) type Pairs = Vec<(String, String)>;

/// The pairs of ids without which the texts would not be the same; none if they are not.
///
/// What each server makes up itself is not compared: ids (only that each stands for one of
/// ours), times in claims, and what pydantic says behind its first line.
pub(super) fn same(recorded: &str, ours: &str, ids: &Ids) -> Option<Pairs> {
    let (recorded, ours) = (claims(first_line(recorded)), claims(first_line(ours)));
    let (recorded, ours) = (split(&recorded), split(&ours));
    if recorded.len() != ours.len() {
        return None;
    }
    let mut pairs = Pairs::new();
    for (place, (recorded, ours)) in recorded.iter().zip(&ours).enumerate() {
        match place % 2 {
            0 if recorded == ours => {}
            1 if ids.agree(recorded, ours) => {
                pairs.push(((*recorded).to_owned(), (*ours).to_owned()));
            }
            _ => return None,
        }
    }
    Some(pairs)
}

/// Pydantic's text: how many errors there are in what. Behind it stand its own words.
fn first_line(text: &str) -> &str {
    const BEGINNINGS: [&str; 3] = [
        "Failed to parse dict into ",
        "factory_input validation failed: ",
        "Input failed schema validation: Failed to parse dict into ",
    ];
    match BEGINNINGS.iter().any(|it| text.starts_with(it)) {
        true => text.lines().next().unwrap_or_default(),
        false => text,
    }
}

/// `"exp": 1795410497` in a text that shows claims: tokens are signed anew for each replay.
fn claims(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["\"exp\": ", "\"iat\": ", "\"nbf\": "] {
        let mut from = 0;
        while let Some(at) = text[from..].find(name) {
            let start = from + at + name.len();
            let end = text[start..].find([',', '}']).map_or(text.len(), |it| start + it);
            text.replace_range(start..end, "0");
            from = start;
        }
    }
    text
}

#[test]
fn what_each_server_makes_up_is_not_compared() {
    let ids = Ids::default();
    let a = "0ce72fff-7031-4213-99f6-b6c0ca740790";
    let b = "75376f12-8c4f-4c2a-8982-ff1608daef1e";
    let pairs = same(&format!("run {a}"), &format!("run {b}"), &ids);
    assert_eq!(pairs, Some(vec![(a.to_owned(), b.to_owned())]));
    assert_eq!(same(r#"{"exp": 5, "a": 1}"#, r#"{"exp": 7, "a": 1}"#, &ids), Some(vec![]));
    assert_eq!(same(r#"{"exp": 5, "a": 1}"#, r#"{"exp": 7, "a": 2}"#, &ids), None);
    let (recorded, ours) =
        ("factory_input validation failed: 1\nx", "factory_input validation failed: 1\ny");
    assert_eq!(same(recorded, ours, &ids), Some(vec![]));
    assert_eq!(same("a\nx", "a\ny", &ids), None);
}
