//! Holds our answer against the one that is expected: every key, its order, every value.

use serde_json::{Map, Value};

use super::ids::{Ids, is_uuid};
use super::text::{self, Pairs};

/// What was compared.
#[derive(Default)]
pub(super) struct Comparison {
    /// Where the two are not the same, and how; empty if they are.
    pub(super) faults: Vec<String>,
    /// Ids of which one stands for the other.
    pub(super) pairs: Pairs,
}

/// Compares, with the ids known so far.
pub(super) fn compare(expected: &Value, ours: &Value, ids: &Ids) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.value("", "", expected, ours, ids);
    comparison
}

impl Comparison {
    fn value(&mut self, path: &str, key: &str, expected: &Value, ours: &Value, ids: &Ids) {
        if is_masked(key, expected, ours) {
            return;
        }
        match (expected, ours) {
            (Value::Object(expected), Value::Object(ours)) => {
                self.object(path, expected, ours, ids);
            }
            (Value::Array(expected), Value::Array(ours)) => {
                if expected.len() != ours.len() {
                    let (most, names) =
                        (expected.len().max(ours.len()), [names(expected), names(ours)]);
                    self.fault(
                        path,
                        &format!("{} of {most}{}", expected.len(), names[0]),
                        &format!("{}{}", ours.len(), names[1]),
                    );
                }
                for (place, (expected, ours)) in expected.iter().zip(ours).enumerate() {
                    self.value(&format!("{path}/{place}"), "", expected, ours, ids);
                }
            }
            (Value::String(expected), Value::String(ours)) => {
                match text::same(expected, ours, ids) {
                    Some(pairs) => self.pairs.extend(pairs),
                    None => self.fault(path, &format!("{expected:?}"), &format!("{ours:?}")),
                }
            }
            _ if expected == ours => {}
            _ => self.fault(path, &expected.to_string(), &ours.to_string()),
        }
    }

    fn object(
        &mut self,
        path: &str,
        expected: &Map<String, Value>,
        ours: &Map<String, Value>,
        ids: &Ids,
    ) {
        let mut is_same = true;
        for (key, value) in expected {
            let path = format!("{path}/{key}");
            match ours.get(key) {
                Some(ours) => self.value(&path, key, value, ours, ids),
                None => {
                    is_same = false;
                    self.fault(&path, &value.to_string(), "(absent)");
                }
            }
        }
        for (key, value) in ours.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            is_same = false;
            self.fault(&format!("{path}/{key}"), "(absent)", &value.to_string());
        }
        if is_same && !expected.keys().eq(ours.keys()) {
            let order = |it: &Map<String, Value>| format!("{:?}", it.keys().collect::<Vec<_>>());
            self.fault(path, &order(expected), &order(ours));
        }
    }

    fn fault(&mut self, path: &str, expected: &str, ours: &str) {
        let cut = |text: &str| match text.char_indices().nth(300) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.to_owned(),
        };
        self.faults.push(format!(
            "{path}\n    expected {}\n    ours     {}",
            cut(expected),
            cut(ours)
        ));
    }
}

/// The names of events, or the ids of whatever else is listed: what a list of another length is
/// read by.
fn names(items: &[Value]) -> String {
    let name = |it: &Value| {
        let found =
            ["event", "id", "session_id", "run_id"].into_iter().find_map(|key| it[key].as_str());
        found.map(str::to_owned)
    };
    let names: Vec<_> = items.iter().filter_map(name).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(" ")) }
}

/// Whether the two need not be the same: what a clock or a provider says, and what a listed
/// difference leaves open. Their form has to be the same all the same.
fn is_masked(key: &str, expected: &Value, ours: &Value) -> bool {
    match expected.as_str() {
        Some("<any>") => return true,
        Some("<text>") => return ours.is_string(),
        Some("<number>") => return ours.is_number(),
        Some("<uuid>") => return ours.as_str().is_some_and(is_uuid),
        _ => {}
    }
    match key {
        "created_at" | "updated_at" | "instantiated_at" => match (expected, ours) {
            (Value::String(expected), Value::String(ours)) => shape(expected) == shape(ours),
            _ => expected.is_u64() && ours.is_u64(),
        },
        "duration" | "time_to_first_token" | "search_time_ms" => {
            expected.is_number() && ours.is_number()
        }
        "response_id" => expected.is_string() && ours.is_string(),
        "id" => [expected, ours].iter().all(|it| it.as_str().is_some_and(is_completion)),
        _ => false,
    }
}

/// The id a provider gives to an answer in OpenAI's chat protocol.
fn is_completion(text: &str) -> bool {
    text.starts_with("chatcmpl-")
}

/// A time without its digits.
fn shape(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(expected: &Value, ours: &Value) -> Vec<String> {
        let faults = compare(expected, ours, &Ids::default()).faults;
        faults.iter().map(|it| it.lines().next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn keys_their_order_and_values_count() {
        let expected = json!({ "a": 1, "b": [1, { "c": null }] });
        assert!(faults(&expected, &expected).is_empty());
        assert_eq!(faults(&expected, &json!({ "b": [1, { "c": null }], "a": 1 })), [""]);
        assert_eq!(faults(&expected, &json!({ "a": 1, "b": [1, { "c": 0 }] })), ["/b/1/c"]);
        assert_eq!(faults(&expected, &json!({ "a": 1, "b": [2] })), ["/b", "/b/0"]);
        assert_eq!(faults(&expected, &json!({ "a": 1.0, "b": [1, {}] })), ["/a", "/b/1/c"]);
    }

    #[test]
    fn clocks_differ_and_their_form_does_not() {
        let expected =
            json!({ "created_at": 5, "duration": 0.5, "updated_at": "2026-11-23T04:08:03Z" });
        let ours = json!({ "created_at": 7, "duration": 1, "updated_at": "2027-01-01T00:00:00Z" });
        assert!(faults(&expected, &ours).is_empty());
        let ours = json!({ "created_at": "7", "duration": null, "updated_at": "2027-01-01" });
        assert_eq!(faults(&expected, &ours), ["/created_at", "/duration", "/updated_at"]);
    }
}
