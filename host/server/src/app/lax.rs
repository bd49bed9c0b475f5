//! Lax reading: words and numbers that stand for what a schema asks for, as pydantic takes them.
//! Clients of Agno send `"yes"` for a boolean and `"12"` for a number.

use serde_json::{Number, Value};

/// The value with everything in it read as the schema asks. What cannot be read so stays.
pub(crate) fn read(root: &Value, schema: &Value, value: Value) -> Value {
    let Some(fields) = schema.as_object() else { return value };
    if fields.get("$ref").is_some_and(Value::is_string) {
        return match referred(root, schema) {
            Some(target) => read(root, target, value),
            None => value,
        };
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = fields.get(choice) {
            return among(root, choices, value);
        }
    }
    let kinds = kinds(fields.get("type"));
    if kinds.iter().any(|it| is(it, &value)) {
        return inside(root, schema, value);
    }
    kinds.iter().find_map(|it| scalar(it, &value)).unwrap_or(value)
}

/// What a schema refers to, if it is in the same document.
pub(crate) fn referred<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// Whether a schema says nothing against a value of this kind.
pub(crate) fn takes(schema: &Value, value: &Value) -> bool {
    let kinds = kinds(schema.get("type"));
    kinds.is_empty() || kinds.iter().any(|it| is(it, value))
}

/// Whether two values are the same but for how a number is written: 3 and 3.0.
pub(crate) fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in = |(name, value)| other.get(name).is_some_and(|it| is_equal(value, it));
            one.len() == other.len() && one.iter().all(is_in)
        }
        (one, other) => one == other,
    }
}

/// The value as it is if one of the choices is of its kind; else as the first that can read it.
fn among(root: &Value, choices: &[Value], value: Value) -> Value {
    let fits = |it: &&Value| kinds(it.get("type")).iter().any(|kind| is(kind, &value));
    match choices.iter().find(fits) {
        Some(choice) => read(root, choice, value),
        None => {
            let read_as =
                |it: &Value| Some(read(root, it, value.clone())).filter(|it| *it != value);
            choices.iter().find_map(read_as).unwrap_or(value)
        }
    }
}

fn inside(root: &Value, schema: &Value, value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    let schema =
                        schema["properties"].get(&name).or(schema.get("additionalProperties"));
                    let value = match schema {
                        Some(schema) => read(root, schema, value),
                        None => value,
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => match schema.get("items") {
            Some(schema) => items.into_iter().map(|it| read(root, schema, it)).collect(),
            None => Value::Array(items),
        },
        value => value,
    }
}

fn kinds(r#type: Option<&Value>) -> Vec<&str> {
    match r#type {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn scalar(kind: &str, value: &Value) -> Option<Value> {
    match kind {
        "boolean" => boolean(value).map(Value::Bool),
        "integer" => integer(value).map(Value::from),
        "number" => number(value).map(Value::Number),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    /// Below this every whole number has its own floating point number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Bool(it) => Some((*it).into()),
        Value::Number(it) => {
            it.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < EXACT).map(|it| it as i64)
        }
        Value::String(text) => {
            let text = text.trim();
            let text = text
                .split_once('.')
                .filter(|(_, zeros)| !zeros.is_empty() && zeros.bytes().all(|it| it == b'0'))
                .map_or(text, |it| it.0);
            let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
            let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
            unsigned.split('_').all(digits).then(|| text.replace('_', "").parse().ok()).flatten()
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(it) => Some(u8::from(*it).into()),
        Value::String(text) => Number::from_f64(text.trim().parse().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn as_kind(kind: &str, value: Value) -> Value {
        let schema = json!({ "type": kind });
        read(&schema, &schema, value)
    }

    #[test]
    fn words_and_numbers_stand_for_what_is_asked() {
        for yes in [json!("yes"), json!("ON"), json!("1"), json!(1), json!(1.0)] {
            assert_eq!(as_kind("boolean", yes), json!(true));
        }
        for (given, whole) in [
            (json!("12"), 12),
            (json!(" 7 "), 7),
            (json!("+5"), 5),
            (json!("007"), 7),
            (json!("1_0"), 10),
            (json!("5.0"), 5),
            (json!(3.0), 3),
            (json!(true), 1),
            (json!("-2"), -2),
        ] {
            assert_eq!(as_kind("integer", given), json!(whole));
        }
        assert_eq!(as_kind("number", json!("1.5")), json!(1.5));
    }

    #[test]
    fn what_stands_for_nothing_stays() {
        for (kind, value) in [
            ("boolean", json!("maybe")),
            ("boolean", json!(2)),
            ("boolean", json!(" yes")),
            ("boolean", json!(null)),
            ("integer", json!("3.5")),
            ("integer", json!(3.5)),
            ("integer", json!("")),
            ("integer", json!("1__0")),
            ("integer", json!("99999999999999999999")),
            ("integer", json!(1e300)),
            ("string", json!(1)),
            ("number", json!("NaN")),
        ] {
            assert_eq!(as_kind(kind, value.clone()), value);
        }
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        assert!(is_equal(&json!({ "a": [3, "x"] }), &json!({ "a": [3.0, "x"] })));
        for other in [json!({ "a": [3] }), json!({ "a": ["3", "x"] }), json!({ "b": [3, "x"] })] {
            assert!(!is_equal(&json!({ "a": [3, "x"] }), &other), "{other}");
        }
    }

    #[test]
    fn every_place_is_read_by_its_own_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "on": { "$ref": "#/$defs/flag" },
                "counts": { "type": "array", "items": { "type": "integer" } },
                "maybe": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
                "either": { "anyOf": [{ "type": "string" }, { "type": "integer" }] }
            },
            "additionalProperties": { "type": "boolean" },
            "$defs": { "flag": { "type": "boolean" } }
        });
        let value =
            json!({ "on": "off", "counts": ["1", 2], "maybe": "3", "either": "4", "more": "t" });
        assert_eq!(
            read(&schema, &schema, value),
            json!({ "on": false, "counts": [1, 2], "maybe": 3, "either": "4", "more": true })
        );
    }
}
