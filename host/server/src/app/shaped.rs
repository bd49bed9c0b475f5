//! A valid value as pydantic keeps it: of an object its schema's fields, in the schema's order, and
//! with the defaults of those that are absent.

use serde_json::{Map, Value};

use super::lax::{referred, takes};

/// The most bytes of defaults in one value. Each item of a list gets its own, and a default may be
/// nearly as large as its schema: without a bound, a message becomes thousands of times its size.
pub(crate) const MAX_DEFAULT_BYTES: usize = 1024 * 1024;

/// Words that describe the same value as what stands beside them: what one does not name, another
/// may, so nothing is left out there.
const BESIDE: [&str; 10] = [
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
    "contains",
];

/// The value as the schema shapes it; `None` where its defaults take more than the room for them.
/// Nothing in it is checked.
pub(crate) fn shaped(
    root: &Value,
    schema: &Value,
    value: Value,
    room: &mut usize,
) -> Option<Value> {
    let beside = BESIDE.iter().filter(|it| schema.get(it).is_some()).count();
    match (value, schema.get("properties"), schema.get("items")) {
        (Value::Object(fields), Some(Value::Object(properties)), _) => {
            let is_alone = beside == 0;
            object(root, schema, properties, fields, is_alone, room).map(Value::Object)
        }
        (Value::Array(items), _, Some(schema)) if beside == 0 => {
            items.into_iter().map(|it| shaped(root, schema, it, room)).collect()
        }
        (value, _, None) if beside == 1 => match only(root, schema, &value) {
            Some(schema) => shaped(root, schema, value, room),
            None => Some(value),
        },
        (value, _, _) => Some(value),
    }
}

/// What the schema refers to, or its only choice that a value of this kind may be. Among several,
/// which one it is valid against is not known here.
fn only<'a>(root: &'a Value, schema: &'a Value, value: &Value) -> Option<&'a Value> {
    if schema.get("$ref").is_some() {
        return referred(root, schema);
    }
    let choices = schema.get("anyOf").or(schema.get("oneOf"))?.as_array()?;
    let mut fit = choices.iter().filter(|it| may_be(root, it, value));
    fit.next().filter(|_| fit.next().is_none())
}

/// Whether the schema says nothing against the value's kind.
fn may_be(root: &Value, schema: &Value, value: &Value) -> bool {
    match referred(root, schema) {
        Some(target) => may_be(root, target, value),
        None => takes(schema, value),
    }
}

fn object(
    root: &Value,
    schema: &Value,
    properties: &Map<String, Value>,
    mut given: Map<String, Value>,
    is_alone: bool,
    room: &mut usize,
) -> Option<Map<String, Value>> {
    let mut kept = Map::new();
    for (name, schema) in properties {
        match (given.get_mut(name).map(Value::take), schema.get("default")) {
            (Some(value), _) if is_alone => {
                kept.insert(name.clone(), shaped(root, schema, value, room)?);
            }
            (Some(value), _) => {
                kept.insert(name.clone(), value);
            }
            (None, Some(default)) => {
                *room = room.checked_sub(name.len() + default.to_string().len())?;
                kept.insert(name.clone(), default.clone());
            }
            (None, None) => {}
        }
    }
    // Other fields are kept where the schema says that there may be any.
    let is_closed = matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false)));
    if !is_closed || !is_alone {
        kept.extend(given.into_iter().filter(|(name, _)| !properties.contains_key(name)));
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(schema: &Value, given: Value) -> String {
        let mut room = MAX_DEFAULT_BYTES;
        shaped(schema, schema, given, &mut room).unwrap().to_string()
    }

    #[test]
    fn an_object_has_its_schemas_fields() {
        let schema = json!({
            "$defs": { "Part": { "type": "object", "properties": { "n": { "default": 1 } } } },
            "properties": {
                "topic": { "type": "string" },
                "count": { "default": 1 },
                "parts": { "type": "array", "items": { "$ref": "#/$defs/Part" } },
                "one": { "anyOf": [{ "$ref": "#/$defs/Part" }, { "type": "null" }], "default": null },
            },
        });
        let given = json!({ "x": 1, "parts": [{ "y": 2 }], "topic": "a" });
        let expected = r#"{"topic":"a","count":1,"parts":[{"n":1}],"one":null}"#;
        assert_eq!(shape(&schema, given), expected);
        assert_eq!(shape(&schema, json!({ "one": { "y": 2 } })), r#"{"count":1,"one":{"n":1}}"#);
        let open = json!({ "properties": { "a": {} }, "additionalProperties": true });
        assert_eq!(shape(&open, json!({ "x": 1, "a": 2 })), r#"{"a":2,"x":1}"#);
    }

    #[test]
    fn what_may_be_either_of_two_objects_keeps_its_fields() {
        let cat = json!({ "type": "object", "properties": { "lives": { "default": 9 } } });
        let dog = json!({ "type": "object", "properties": { "tricks": {} } });
        for choice in ["anyOf", "oneOf"] {
            let schema = json!({
                "$defs": { "Cat": cat, "Dog": dog },
                "properties": { "pet": { choice: [
                    { "$ref": "#/$defs/Cat" }, { "$ref": "#/$defs/Dog" }, { "type": "null" },
                ] } },
            });
            let dog = r#"{"pet":{"tricks":["sit"]}}"#;
            assert_eq!(shape(&schema, serde_json::from_str(dog).unwrap()), dog, "{choice}");
        }
        let any = json!({ "anyOf": [cat, { "description": "anything" }] });
        assert_eq!(shape(&any, json!({ "tricks": 1 })), r#"{"tricks":1}"#);
        let word = json!({ "anyOf": [{ "$ref": "#/$defs/Word" }, cat], "$defs": { "Word": { "type": "string" } } });
        assert_eq!(shape(&word, json!({ "tricks": 1 })), r#"{"lives":9}"#);
    }

    #[test]
    fn what_is_described_in_several_places_keeps_its_fields() {
        for beside in [
            json!({ "allOf": [{ "properties": { "b": {} } }] }),
            json!({ "anyOf": [{ "properties": { "b": {} } }] }),
            json!({ "oneOf": [{ "properties": { "b": {} } }] }),
            json!({ "if": {}, "then": { "properties": { "b": {} } } }),
            json!({ "patternProperties": { "^b": {} } }),
            json!({ "$ref": "#/$defs/b", "$defs": { "b": { "properties": { "b": {} } } } }),
        ] {
            let mut schema = beside.clone();
            schema["properties"] = json!({ "a": { "properties": {} }, "n": { "default": 1 } });
            let given = json!({ "b": 2, "a": { "c": 3 } });
            assert_eq!(shape(&schema, given), r#"{"a":{"c":3},"n":1,"b":2}"#, "{beside}");
        }
        let both =
            json!({ "$ref": "#/$defs/a", "allOf": [{}], "$defs": { "a": { "properties": {} } } });
        assert_eq!(shape(&both, json!({ "b": 2 })), r#"{"b":2}"#);
        let first = json!({ "prefixItems": [{}], "items": { "properties": {} } });
        assert_eq!(shape(&first, json!([{ "b": 2 }])), r#"[{"b":2}]"#);
    }

    #[test]
    fn defaults_have_little_room() {
        let large = "a".repeat(60 * 1024);
        let field = json!({ "properties": { "a": { "default": large } } });
        let schema = json!({ "type": "object", "properties": { "p": { "items": field } } });
        let given = |items: usize| json!({ "p": vec![json!({}); items] });
        let fits = |items| shaped(&schema, &schema, given(items), &mut { MAX_DEFAULT_BYTES });
        assert!(fits(17).is_some());
        assert_eq!(fits(18), None);
        assert_eq!(fits(100_000), None);
        // A name is repeated with its default.
        let named = json!({ "items": { "properties": { large: { "default": 1 } } } });
        assert_eq!(shaped(&named, &named, json!([{}, {}]), &mut { 100_000 }), None);
    }
}
