//! `factory_input`: from a client's text to a value the factory may see.

use serde_json::{Map, Value};
use stepmill_core::json;

use super::json_fault;
use super::schema::InputSchema;
use super::shaped::MAX_DEFAULT_BYTES;

/// The most bytes of `factory_input`. A form field may be larger; what a factory decides by is not.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// The most values a message may be made of that is read into a schema: about as many as there can
/// be in a `factory_input`. What checking it takes is so many times the schema's parts.
const MAX_VALUES: usize = 20_000;

/// The most bytes of a message that was read into its schema, as it is stored and sent: what a field
/// of a form holds by default, with room for its indentation and for defaults. These could make it
/// sixty times as long.
const MAX_WRITTEN_BYTES: usize = 4 * 1024 * 1024;

/// Why `factory_input` cannot be used. The texts are for the caller; none repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// No JSON.
    #[error("factory_input must be valid JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("factory_input must be a JSON object, got {0}")]
    NotAnObject(&'static str),
    /// Too long or too deep.
    #[error("the input must not be {0}")]
    TooLarge(String),
    /// Not valid against the factory's schema.
    #[error("factory_input validation failed: {0}")]
    Invalid(String),
    /// A message that is not valid against its workflow's schema.
    #[error("Input failed schema validation: {0}")]
    Message(String),
}

/// Reads and validates. An absent text is no input; with a schema it is `{}`.
pub(crate) fn read(
    text: Option<&str>,
    schema: Option<&InputSchema>,
) -> Result<Option<Map<String, Value>>, InputFault> {
    let input = text.map(parse).transpose()?;
    let Some(schema) = schema else { return Ok(input) };
    match schema.read(Value::Object(input.unwrap_or_default())) {
        Ok(Value::Object(input)) => Ok(Some(input)),
        Ok(_) => Ok(None),
        Err(faults) => Err(InputFault::Invalid(sentence(schema, &faults))),
    }
}

/// Reads the message of a workflow that has a schema for it. It is an object whatever the schema
/// says, as it is for Agno: a run is shown with it.
pub(crate) fn read_message(
    text: &str,
    schema: &InputSchema,
) -> Result<Map<String, Value>, InputFault> {
    let message = serde_json::from_str(text).map_err(|fault| {
        let place = place(text, &fault);
        InputFault::Message(format!("Failed to parse input. Is it a valid JSON string?: {place}"))
    })?;
    if json::is_deeper(&message, json::MAX_DEPTH) {
        return Err(InputFault::TooLarge(format!("nested deeper than {}", json::MAX_DEPTH)));
    }
    if json::is_larger(&message, MAX_VALUES) {
        return Err(InputFault::TooLarge(format!("made of more than {MAX_VALUES} values")));
    }
    let title = schema.title();
    let object = |value: Value| match value {
        Value::Object(fields) => Ok(fields),
        other => Err(InputFault::Message(format!(
            "Cannot validate <class '{}'> against input_schema. Expected dict or {title} instance.",
            python_type(&other)
        ))),
    };
    let message = object(message)?;
    let message = schema.read(Value::Object(message)).map_err(|faults| {
        let faults = sentence(schema, &faults);
        InputFault::Message(format!("Failed to parse dict into {title}: {faults}"))
    })?;
    let whole = schema.whole(message).ok_or_else(|| {
        InputFault::TooLarge(format!("given more than {MAX_DEFAULT_BYTES} bytes of defaults"))
    })?;
    object(whole)
}

/// The message as steps get it: indented, as pydantic writes an object for a model.
pub(crate) fn written(message: Map<String, Value>) -> Result<String, InputFault> {
    json::indented(&Value::Object(message), MAX_WRITTEN_BYTES).ok_or_else(|| {
        InputFault::TooLarge(format!(
            "longer than {MAX_WRITTEN_BYTES} bytes when it is written out"
        ))
    })
}

/// One line that counts, then one for each fault.
fn sentence(schema: &InputSchema, faults: &[String]) -> String {
    let errors = if faults.len() == 1 { "error" } else { "errors" };
    let head = format!("{} validation {errors} for {}", faults.len(), schema.title());
    std::iter::once(&head).chain(faults).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Result<Map<String, Value>, InputFault> {
    if MAX_INPUT_BYTES < text.len() {
        return Err(InputFault::TooLarge(format!("longer than {MAX_INPUT_BYTES} bytes")));
    }
    let value =
        serde_json::from_str(text).map_err(|fault| InputFault::NotJson(place(text, &fault)))?;
    if json::is_deeper(&value, json::MAX_DEPTH) {
        return Err(InputFault::TooLarge(format!("nested deeper than {}", json::MAX_DEPTH)));
    }
    match value {
        Value::Object(input) => Ok(input),
        other => Err(InputFault::NotAnObject(python_type(&other))),
    }
}

/// What is wrong with a text that is no JSON, and where.
fn place(text: &str, fault: &serde_json::Error) -> String {
    match json_fault::find(text) {
        Some(it) => {
            format!("{}: line {} column {} (char {})", it.message, it.line, it.column, it.character)
        }
        // JSON to Python, and none to us: a number without bounds, half a character.
        None => fault.to_string(),
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
            "title": "Config",
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
        assert_eq!(
            read(Some(""), None).unwrap_err().to_string(),
            "factory_input must be valid JSON: Expecting value: line 1 column 1 (char 0)"
        );
        assert_eq!(
            read(None, Some(&schema())).unwrap_err().to_string(),
            "factory_input validation failed: 1 validation error for Config\n\
             (root): \"words\" is a required property"
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
            "factory_input validation failed: 1 validation error for Config\n\
             /words: value is not of type \"integer\""
        );
    }

    #[test]
    fn a_message_is_json_of_its_schema() {
        let fault = |text| read_message(text, &schema()).unwrap_err().to_string();
        let read = read_message(r#"{"x": 1, "words": "3"}"#, &schema());
        assert_eq!(read.map(Value::Object), Ok(json!({ "words": 3 })));
        assert_eq!(
            fault("{}"),
            "Input failed schema validation: Failed to parse dict into Config: \
             1 validation error for Config\n(root): \"words\" is a required property"
        );
        assert_eq!(
            fault("[1]"),
            "Input failed schema validation: Cannot validate <class 'list'> against input_schema. \
             Expected dict or Config instance."
        );
        assert_eq!(
            fault("sea"),
            "Input failed schema validation: Failed to parse input. Is it a valid JSON string?: \
             Expecting value: line 1 column 1 (char 0)"
        );
    }

    #[test]
    fn a_message_is_an_object_whatever_its_schema_says() {
        for schema in [json!({}), json!({ "title": "Any", "type": "array" })] {
            let schema = InputSchema::compile(schema.as_object().unwrap()).unwrap();
            for (text, word) in [("[1]", "list"), ("1", "int"), ("null", "NoneType")] {
                assert_eq!(
                    read_message(text, &schema),
                    Err(InputFault::Message(format!(
                        "Cannot validate <class '{word}'> against input_schema. \
                         Expected dict or {} instance.",
                        schema.title()
                    )))
                );
            }
        }
    }

    #[test]
    fn a_message_does_not_outgrow_its_bounds() {
        let schema = json!({ "properties": { "p": { "items": {
            "properties": { "a": { "default": "a".repeat(60 * 1024) } },
        } } } });
        let schema = InputSchema::compile(schema.as_object().unwrap()).unwrap();
        let text = json!({ "p": vec![json!({}); 1_000] }).to_string();
        assert_eq!(
            read_message(&text, &schema).unwrap_err().to_string(),
            "the input must not be given more than 1048576 bytes of defaults"
        );
        let schema = json!({ "properties": { "p": { "items": {
            "properties": { "a": { "default": vec![1; 30_000] } },
        } } } });
        let schema = InputSchema::compile(schema.as_object().unwrap()).unwrap();
        let text = json!({ "p": vec![json!({}); 15] }).to_string();
        assert_eq!(
            written(read_message(&text, &schema).unwrap()).unwrap_err().to_string(),
            "the input must not be longer than 4194304 bytes when it is written out"
        );
        let text = json!({ "a": vec![1; MAX_VALUES] }).to_string();
        assert_eq!(
            read_message(&text, &schema).unwrap_err().to_string(),
            "the input must not be made of more than 20000 values"
        );
    }

    #[test]
    fn malformed_json_is_told_with_its_place() {
        assert_eq!(
            fault("{bad"),
            "factory_input must be valid JSON: Expecting property name enclosed in double quotes: \
             line 1 column 2 (char 1)"
        );
    }

    #[test]
    fn deep_input_is_refused_before_it_is_validated() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
        assert_eq!(fault(&deep), "the input must not be nested deeper than 64");
    }
}
