//! `factory_input`: from a client's text to a value the factory may see.

use serde_json::{Map, Value};

use super::schema::InputSchema;

/// The most bytes of `factory_input`. A form field may be larger; what a factory decides by is not.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Deeper documents are refused before they are validated, because validation recurses.
const MAX_INPUT_DEPTH: usize = 64;

/// Why `factory_input` cannot be used. The texts are for the caller; none repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// No JSON.
    #[error("factory_input must be valid JSON: {message}: line {line} column {column}")]
    NotJson {
        /// What the parser expected or met.
        message: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("factory_input must be a JSON object, got {0}")]
    NotAnObject(&'static str),
    /// Too long or too deep.
    #[error("factory_input must not be {0}")]
    TooLarge(String),
    /// Not valid against the factory's schema. One line for each fault.
    #[error("factory_input validation failed: {}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Reads and validates. An absent or empty text is no input; with a schema it is `{}`.
pub(crate) fn read(
    text: Option<&str>,
    schema: Option<&InputSchema>,
) -> Result<Option<Map<String, Value>>, InputFault> {
    let input = text.filter(|it| !it.is_empty()).map(parse).transpose()?;
    let Some(schema) = schema else { return Ok(input) };
    let input = Value::Object(input.unwrap_or_default());
    schema.validate(&input)?;
    match input {
        Value::Object(input) => Ok(Some(input)),
        _ => Ok(None),
    }
}

fn parse(text: &str) -> Result<Map<String, Value>, InputFault> {
    if MAX_INPUT_BYTES < text.len() {
        return Err(InputFault::TooLarge(format!("longer than {MAX_INPUT_BYTES} bytes")));
    }
    let value = serde_json::from_str(text).map_err(|it| {
        let message = it.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        InputFault::NotJson { message, line: it.line(), column: it.column() }
    })?;
    if !is_shallow(&value, MAX_INPUT_DEPTH) {
        return Err(InputFault::TooLarge(format!("nested deeper than {MAX_INPUT_DEPTH}")));
    }
    match value {
        Value::Object(input) => Ok(input),
        other => Err(InputFault::NotAnObject(python_type(&other))),
    }
}

fn is_shallow(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => 0 < depth && items.iter().all(|it| is_shallow(it, depth - 1)),
        Value::Object(fields) => 0 < depth && fields.values().all(|it| is_shallow(it, depth - 1)),
        _ => true,
    }
}

/// Clients of Agno know these words.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(it) if it.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> InputSchema {
        let schema = json!({
            "type": "object",
            "properties": { "words": { "type": "integer", "minimum": 1 } },
            "required": ["words"]
        });
        InputSchema::compile(schema.as_object().unwrap()).unwrap()
    }

    fn fault(text: &str) -> String {
        read(Some(text), Some(&schema())).unwrap_err().to_string()
    }

    #[test]
    fn absent_input_is_none_without_a_schema_and_an_empty_object_with_one() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some(""), None), Ok(None));
        assert_eq!(
            read(None, Some(&schema())).unwrap_err().to_string(),
            "factory_input validation failed: (root): \"words\" is a required property"
        );
    }

    #[test]
    fn the_type_is_named_in_the_words_clients_know() {
        for (text, word) in [
            ("[1]", "list"),
            ("\"a\"", "str"),
            ("1", "int"),
            ("1.5", "float"),
            ("true", "bool"),
            ("null", "NoneType"),
        ] {
            assert_eq!(fault(text), format!("factory_input must be a JSON object, got {word}"));
        }
    }

    #[test]
    fn a_fault_names_its_place_and_never_the_value() {
        assert_eq!(
            fault(r#"{"words": "hunter2"}"#),
            "factory_input validation failed: /words: value is not of type \"integer\""
        );
    }

    #[test]
    fn malformed_json_is_told_with_its_place() {
        assert_eq!(
            fault("{bad"),
            "factory_input must be valid JSON: key must be a string: line 1 column 2"
        );
    }

    #[test]
    fn deep_input_is_refused_before_it_is_validated() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
        assert_eq!(fault(&deep), "factory_input must not be nested deeper than 64");
    }
}
