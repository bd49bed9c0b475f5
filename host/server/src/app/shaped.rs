//! A valid value as pydantic keeps it: of an object its schema's fields, in the schema's order, and
//! with the defaults of those that are absent.

use serde_json::{Map, Value};

/// The value as the schema shapes it. Nothing in it is checked.
pub(crate) fn shaped(root: &Value, schema: &Value, value: Value) -> Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|it| root.pointer(it));
        return match target {
            Some(schema) => shaped(root, schema, value),
            None => value,
        };
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(Value::Array(choices)) = schema.get(choice) {
            let describes =
                |it: &&Value| it.get("properties").is_some() || it.get("$ref").is_some();
            return match choices.iter().find(describes).filter(|_| value.is_object()) {
                Some(choice) => shaped(root, choice, value),
                None => value,
            };
        }
    }
    match (value, schema.get("properties"), schema.get("items")) {
        (Value::Object(fields), Some(Value::Object(properties)), _) => {
            Value::Object(object(root, schema, properties, fields))
        }
        (Value::Array(items), _, Some(schema)) => {
            items.into_iter().map(|it| shaped(root, schema, it)).collect()
        }
        (value, _, _) => value,
    }
}

fn object(
    root: &Value,
    schema: &Value,
    properties: &Map<String, Value>,
    mut given: Map<String, Value>,
) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, schema) in properties {
        let value = match given.shift_remove(name) {
            Some(value) => Some(shaped(root, schema, value)),
            None => schema.get("default").cloned(),
        };
        if let Some(value) = value {
            kept.insert(name.clone(), value);
        }
    }
    // Other fields are kept where the schema says that there may be any.
    if !matches!(schema.get("additionalProperties"), None | Some(Value::Bool(false))) {
        kept.extend(given);
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        assert_eq!(shaped(&schema, &schema, given).to_string(), expected);
        let open = json!({ "properties": { "a": {} }, "additionalProperties": true });
        let given = json!({ "x": 1, "a": 2 });
        assert_eq!(shaped(&open, &open, given).to_string(), r#"{"a":2,"x":1}"#);
    }
}
