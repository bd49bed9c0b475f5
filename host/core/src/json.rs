//! JSON of the outside: objects whose nesting is bounded, because whoever reads them recurses.

use std::io::{Error, ErrorKind, Result as Written, Write};

use serde_json::{Map, Value};

/// The deepest nesting of a document that is taken in. Half of what the JSON reader follows, so
/// that what is kept inside other documents can be read back.
pub const MAX_DEPTH: usize = 64;

/// The text is no object that is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a JSON object, nested at most {MAX_DEPTH} deep")]
pub struct NoObject;

/// Reads an object.
///
/// # Errors
/// No JSON, no object, or nested too deeply.
pub fn object(text: &str) -> Result<Map<String, Value>, NoObject> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) if is_deeper(&value, MAX_DEPTH) => Err(NoObject),
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(NoObject),
    }
}

/// Whether lists and objects stand in one another more often than `depth` times.
pub fn is_deeper(value: &Value, depth: usize) -> bool {
    let below = |it: &Value| depth.checked_sub(1).is_none_or(|below| is_deeper(it, below));
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(below),
        Value::Object(fields) => depth == 0 || fields.values().any(below),
        _ => false,
    }
}

/// Whether it is made of more than `most` values: those in lists and objects, and what holds them.
pub fn is_larger(value: &Value, most: usize) -> bool {
    fn count(value: &Value, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|it| count(it, left)),
            Value::Object(fields) => fields.values().try_for_each(|it| count(it, left)),
            _ => Some(()),
        }
    }
    count(value, &mut { most }).is_none()
}

/// The value as indented text; `None` if that is longer than `most` bytes, and no more of it was
/// written then. Of what is nested deeply most is indentation: sixty times the rest, at
/// [`MAX_DEPTH`].
pub fn indented(value: &Value, most: usize) -> Option<String> {
    struct Bounded(Vec<u8>, usize);

    impl Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> Written<usize> {
            if self.1 - self.0.len() < bytes.len() {
                return Err(Error::from(ErrorKind::FileTooLarge));
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> Written<()> {
            Ok(())
        }
    }

    let mut text = Bounded(Vec::new(), most);
    serde_json::to_writer_pretty(&mut text, value).ok()?;
    String::from_utf8(text.0).ok()
}

/// Lays one object over another: objects in the same place are laid over each other, everything
/// else is replaced.
pub fn lay_over(below: &mut Map<String, Value>, above: Map<String, Value>) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

/// Changes an object as a merge patch says (RFC 7396): null removes, an object is merged into what
/// is in its place, everything else is replaced.
pub fn merge_patch(object: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match (object.get_mut(&name), value) {
            (_, Value::Null) => drop(object.shift_remove(&name)),
            (Some(Value::Object(object)), Value::Object(patch)) => merge_patch(object, patch),
            (_, Value::Object(patch)) => {
                let mut made = Map::new();
                merge_patch(&mut made, patch);
                object.insert(name, Value::Object(made));
            }
            (_, value) => {
                object.insert(name, value);
            }
        }
    }
}

/// How many bytes the object has as JSON text.
pub fn bytes(object: &Map<String, Value>) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> Written<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Written<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, object) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_as_deep_as_is_allowed() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(object(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(object(&deep(MAX_DEPTH + 1)), Err(NoObject));
        assert_eq!(object(&deep(100_000)), Err(NoObject));
        for text in ["", "[]", "1", "null", "{", "{\"a\":NaN}"] {
            assert_eq!(object(text), Err(NoObject), "{text}");
        }
    }

    #[test]
    fn bytes_are_those_of_the_text() {
        let state = object(r#"{"a":[1,"ä"]}"#).unwrap();
        assert_eq!(bytes(&state), serde_json::to_string(&state).unwrap().len());
    }

    #[test]
    fn what_is_laid_over_wins_and_the_rest_stays() {
        let mut below = object(r#"{"a":{"x":1,"y":1},"b":1,"c":[1]}"#).unwrap();
        lay_over(&mut below, object(r#"{"a":{"y":2,"z":null},"b":{},"c":[2]}"#).unwrap());
        assert_eq!(
            Value::Object(below),
            json!({ "a": { "x": 1, "y": 2, "z": null }, "b": {}, "c": [2] })
        );
    }

    /// The examples of RFC 7396, as far as both are objects.
    #[test]
    fn values_are_counted_with_what_holds_them() {
        let value = json!({ "a": [1, { "b": null }], "c": {} });
        assert!(!is_larger(&value, 6));
        assert!(is_larger(&value, 5));
    }

    #[test]
    fn a_text_is_indented_and_as_long_as_it_may_be() {
        let value = json!({ "a": [1, { "b": "ä" }] });
        let text = format!("{value:#}");
        assert_eq!(indented(&value, text.len()), Some(text.clone()));
        assert_eq!(indented(&value, text.len() - 1), None);
    }

    #[test]
    fn a_merge_patch_removes_merges_and_replaces() {
        for (before, patch, after) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let mut object_ = object(before).unwrap();
            merge_patch(&mut object_, object(patch).unwrap());
            assert_eq!(object_, object(after).unwrap(), "{before} and {patch}");
        }
    }

    #[test]
    fn depth_counts_lists_and_objects() {
        assert!(!is_deeper(&json!(1), 0));
        assert!(is_deeper(&json!([]), 0));
        assert!(!is_deeper(&json!([{}]), 2));
        assert!(is_deeper(&json!([{ "a": [] }]), 2));
    }
}
