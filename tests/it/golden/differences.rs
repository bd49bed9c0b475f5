//! The deliberate differences: `tests/golden/differences.toml`.
//!
//! Each says for some recordings what our server answers instead; all the rest is compared as it
//! was recorded. One that is not needed any more is a fault, as is a difference without one.

use std::collections::BTreeSet;
use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::compare::compare;
use super::ids::Ids;
use super::path;
use super::rows;
use super::transcript::Transcript;
use crate::house::repository;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "difference")]
    differences: Vec<Difference>,
}

/// One reason, and what it changes in which recordings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    reason: String,
    /// `open/031`, or with stars: `open/*`. What is named by its number has to differ.
    transcripts: Vec<String>,
    #[serde(default)]
    drop: Vec<String>,
    #[serde(default)]
    set: Vec<Set>,
    /// Objects whose keys stand in another order.
    #[serde(default)]
    sort: Vec<String>,
    /// Listings of which each server holds rows that the other has not.
    #[serde(default)]
    common: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    at: String,
    /// The value, or else as JSON: TOML has no null.
    to: Option<Value>,
    json: Option<String>,
    /// The key that a new key stands before; without, it is the last.
    before: Option<String>,
}

/// One change of a recorded answer.
struct Change {
    reason: String,
    transcripts: Vec<String>,
    at: String,
    how: How,
    /// Which of `transcripts` needed it.
    needed: BTreeSet<String>,
}

enum How {
    /// Not there.
    Drop,
    /// Another value, or one more key.
    Set { to: Value, before: Option<String> },
    /// The same keys in another order.
    Sort,
    /// Only the rows that both servers have.
    Common,
}

/// All of them, and which were needed.
pub(super) struct Differences(Vec<Change>);

/// What became of one recording.
pub(super) struct Verdict {
    pub(super) is_listed: bool,
    pub(super) complaints: Vec<String>,
}

impl Verdict {
    fn of_bridge(transcript: &Transcript, ours: &Value) -> Self {
        let is_good = transcript.recorded["status"] == ours["status"];
        let complaints = if is_good { vec![] } else { vec![format!("the bridge got {ours}")] };
        Self { is_listed: false, complaints }
    }
}

/// Longer lists of faults help nobody.
const MOST_FAULTS: usize = 12;

impl Differences {
    pub(super) fn read() -> Self {
        let path = repository().join("tests/golden/differences.toml");
        let file: File = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let mut changes = Vec::new();
        for it in file.differences {
            let change = |at, how| Change {
                reason: it.reason.clone(),
                transcripts: it.transcripts.clone(),
                at,
                how,
                needed: BTreeSet::new(),
            };
            changes.extend(it.drop.into_iter().map(|at| change(at, How::Drop)));
            changes.extend(it.set.into_iter().map(|set| {
                let json = set.json.map(|it| serde_json::from_str(&it).unwrap());
                let to = set.to.or(json).unwrap();
                change(set.at, How::Set { to, before: set.before })
            }));
            changes.extend(it.sort.into_iter().map(|at| change(at, How::Sort)));
            changes.extend(it.common.into_iter().map(|at| change(at, How::Common)));
        }
        Self(changes)
    }

    /// Holds our answer against the recorded one and what is listed for it.
    pub(super) fn judge(
        &mut self,
        transcript: &Transcript,
        ours: &Value,
        ids: &mut Ids,
    ) -> Verdict {
        if transcript.is_bridge {
            return Verdict::of_bridge(transcript, ours);
        }
        let mut complaints = Vec::new();
        let mut applied = Vec::new();
        let mut expected = transcript.recorded.clone();
        for (place, change) in self.0.iter().enumerate() {
            let Some(pattern) = change.names(&transcript.key) else { continue };
            if change.apply(&mut expected, ours, ids) {
                applied.push((place, pattern));
            } else if !pattern.contains('*') {
                complaints
                    .push(format!("{} is not there, but listed: {}", change.at, change.reason));
            }
        }
        let settled = |answer: Value| settled(answer, &transcript.request, ours, ids);
        let comparison = compare(&settled(expected), ours, ids);
        let is_same = comparison.faults.is_empty();
        let more = comparison.faults.len().saturating_sub(MOST_FAULTS);
        complaints.extend(comparison.faults.into_iter().take(MOST_FAULTS));
        if 0 < more {
            complaints.push(format!("and {more} more"));
        }
        for (place, pattern) in &applied {
            let is_needed = !is_same || {
                let mut without = transcript.recorded.clone();
                for (other, _) in applied.iter().filter(|(other, _)| other != place) {
                    self.0[*other].apply(&mut without, ours, ids);
                }
                !compare(&settled(without), ours, ids).faults.is_empty()
            };
            let change = &mut self.0[*place];
            if is_needed {
                change.needed.insert(pattern.clone());
            } else if !pattern.contains('*') {
                complaints
                    .push(format!("{} does not differ any more: {}", change.at, change.reason));
            }
        }
        for (recorded, ours) in comparison.pairs {
            ids.learn(&recorded, &ours);
        }
        Verdict { is_listed: !applied.is_empty(), complaints }
    }

    /// What is listed for a folder, and was needed by none of its recordings.
    pub(super) fn unused(&self, folder: &str) -> Vec<String> {
        let mut unused = Vec::new();
        for change in &self.0 {
            let here = change.transcripts.iter().filter(|it| it.split('/').next() == Some(folder));
            for pattern in here.filter(|it| !change.needed.contains(*it)) {
                unused.push(format!("{pattern} needs no {}: {}", change.at, change.reason));
            }
        }
        unused
    }
}

impl Change {
    /// The pattern that names this recording.
    fn names(&self, key: &str) -> Option<String> {
        let found = self.transcripts.iter().find(|pattern| match pattern.contains('*') {
            true => is_like(key, pattern),
            false => key.strip_prefix(pattern.as_str()).is_some_and(|it| it.starts_with('-')),
        });
        found.cloned()
    }

    /// Changes the recorded answer, so that it is what is expected of ours; false if there is
    /// nothing to change.
    fn apply(&self, answer: &mut Value, ours: &Value, ids: &Ids) -> bool {
        let mut places = path::places(answer, &self.at);
        // From behind, so that the places before stay what they are.
        places.reverse();
        for place in &places {
            match (&self.how, path::at(answer, place)) {
                (How::Set { to, .. }, Some(value)) => *value = to.clone(),
                (How::Drop, _) => path::remove(answer, place),
                (How::Sort, Some(Value::Object(fields))) => sort(fields, path::get(ours, place)),
                (How::Common, Some(Value::Array(rows))) => {
                    let ours = path::get(ours, place).and_then(Value::as_array);
                    *rows = rows::common(rows, ours.map_or(&[], Vec::as_slice), ids);
                }
                _ => {}
            }
        }
        match &self.how {
            How::Set { to, before } if places.is_empty() => {
                self.insert(answer, to, before.as_deref())
            }
            _ => !places.is_empty(),
        }
    }

    /// Adds a key that was not recorded.
    fn insert(&self, answer: &mut Value, to: &Value, before: Option<&str>) -> bool {
        let (parent, key) = self.at.rsplit_once('/').unwrap();
        let parents = path::places(answer, parent);
        for place in &parents {
            let Some(Value::Object(fields)) = path::at(answer, place) else { return false };
            let at = before.and_then(|it| fields.keys().position(|key| key == it));
            fields.shift_insert(at.unwrap_or(fields.len()), key.to_owned(), to.clone());
        }
        !parents.is_empty()
    }
}

/// What is expected, in the order of ours where order says nothing: of headers, and of rows of
/// one second.
fn settled(mut expected: Value, request: &Value, ours: &Value, ids: &Ids) -> Value {
    if let Some(Value::Object(headers)) = expected.get_mut("headers") {
        sort(headers, ours.get("headers"));
    }
    rows::settle(&mut expected, ours, request["query"]["sort_by"].as_str(), ids);
    expected
}

/// Puts an object's keys into the order of another; those it does not have stay behind them.
fn sort(fields: &mut Map<String, Value>, like: Option<&Value>) {
    let keys = like.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let known: Vec<_> = keys.filter_map(|it| fields.shift_remove_entry(it)).collect();
    *fields = known.into_iter().chain(std::mem::take(fields)).collect();
}

/// Whether the text fits a pattern whose stars stand for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let (start, rest) = pattern.split_once('*').unwrap_or((pattern, ""));
    let Some(mut text) = text.strip_prefix(start) else { return false };
    if !pattern.contains('*') {
        return text.is_empty();
    }
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}

#[test]
fn stars_stand_for_anything() {
    assert!(is_like("open/031-run", "open/*"));
    assert!(is_like("open/031-run-stream", "open/*-stream"));
    assert!(!is_like("open/031-run", "open/*-stream"));
    assert!(!is_like("jwt/031-run", "open/*"));
}
