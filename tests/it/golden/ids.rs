//! Which of our ids stands for which recorded one.

use std::collections::HashMap;

/// Ids that both servers made: the recorded ones and ours, one for one.
#[derive(Default)]
pub(super) struct Ids {
    ours: HashMap<String, String>,
    recorded: HashMap<String, String>,
}

/// The length of a UUID as text.
const LENGTH: usize = 36;

impl Ids {
    /// Whether the two may stand for each other.
    pub(super) fn agree(&self, recorded: &str, ours: &str) -> bool {
        match (self.ours.get(recorded), self.recorded.get(ours)) {
            (None, None) => true,
            (Some(known), _) => known == ours,
            (None, Some(_)) => false,
        }
    }

    /// From now on they do, unless one of them stands for another already.
    pub(super) fn learn(&mut self, recorded: &str, ours: &str) {
        if self.agree(recorded, ours) {
            self.ours.insert(recorded.to_owned(), ours.to_owned());
            self.recorded.insert(ours.to_owned(), recorded.to_owned());
        }
    }

    /// The text with our ids in place of the recorded ones.
    pub(super) fn translate(&self, text: &str) -> String {
        let pieces = split(text).into_iter();
        pieces.map(|it| self.ours.get(it).map_or(it, String::as_str)).collect()
    }
}

/// The text in pieces, alternately without any UUID and one UUID.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at + LENGTH <= text.len() {
        if text.is_char_boundary(at)
            && text.get(at..at + LENGTH).is_some_and(is_uuid)
            // Not the middle of a longer word.
            && !text[..at].ends_with(|it: char| it.is_ascii_alphanumeric())
        {
            pieces.extend([&text[from..at], &text[at..at + LENGTH]]);
            at += LENGTH;
            from = at;
        } else {
            at += 1;
        }
    }
    pieces.push(&text[from..]);
    pieces
}

/// Whether the text is a UUID and nothing else.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().enumerate().all(|(place, it)| match place {
            8 | 13 | 18 | 23 => it == b'-',
            _ => it.is_ascii_digit() || (b'a'..=b'f').contains(&it),
        })
}

#[test]
fn ids_are_found_in_texts() {
    let id = "0ce72fff-7031-4213-99f6-b6c0ca740790";
    assert_eq!(split(&format!("run {id} of é")), ["run ", id, " of é"]);
    assert_eq!(split(id), ["", id, ""]);
    assert_eq!(split("none"), ["none"]);
}
