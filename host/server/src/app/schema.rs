//! A factory's input schema, compiled within bounds: validating against it takes bounded time.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::lax;
use super::shaped::{MAX_DEFAULT_BYTES, shaped};

/// The most faults told at once.
const MAX_FAULTS: usize = 20;

/// The most subschemas met while checking one place of the input, references followed: five times
/// what the largest schema we have seen unfolds to, and with the bound on the input's size a tenth
/// of a second at worst. The validator has no bound of its own, and a schema of 30 definitions
/// that each refer twice to the next would keep it busy for minutes.
const MAX_SUBSCHEMAS: u64 = 1_000;

/// The memory one compiled regular expression may take.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Why a schema cannot be used. The texts are for the plugin's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// No valid JSON Schema, or one with references that leave the document.
    #[error("{place}: {message}")]
    Invalid {
        /// JSON pointer into the schema.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A reference that leads back to itself.
    #[error("{0}: a recursive schema is not supported")]
    Recursive(String),
    /// A name that makes a part of the schema a document of its own.
    #[error("{0}: only the outermost schema may have an id, and none an anchor")]
    Nested(String),
    /// A reference to something that is not there, or not in this document.
    #[error("{0}: refers to nothing in this schema")]
    Dangling(String),
    /// Too much work for one validation.
    #[error("the schema is too complex: it unfolds to more than {MAX_SUBSCHEMAS} subschemas")]
    TooComplex,
}

/// A schema that may be validated against on the request path.
pub(crate) struct InputSchema {
    root: Value,
    validator: Validator,
}

impl InputSchema {
    /// Checks and compiles. Nothing is fetched from anywhere.
    ///
    /// # Errors
    /// The schema is no schema, refers outside itself, recurses, or is too complex.
    pub(crate) fn compile(schema: &Map<String, Value>) -> Result<Self, SchemaFault> {
        let root = Value::Object(schema.clone());
        let mut budget = MAX_SUBSCHEMAS;
        unfold(&root, &root, "#", &mut Vec::new(), &mut budget)?;
        let patterns =
            PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(patterns);
        let validator = options.build(&root).map_err(|it| SchemaFault::Invalid {
            place: it.instance_path().to_string(),
            message: it.masked().to_string(),
        })?;
        Ok(Self { root, validator })
    }

    /// A valid input: as it is, or with its words read as what the schema asks for.
    ///
    /// # Errors
    /// What is wrong with the input as it was read.
    pub(crate) fn read(&self, input: Value) -> Result<Value, Vec<String>> {
        if self.validator.is_valid(&input) {
            // A valid 3.0 is read as the 3 that was asked for; nothing else is read anew.
            let read = lax::read(&self.root, &self.root, input.clone());
            return Ok(if lax::is_equal(&read, &input) { read } else { input });
        }
        let input = lax::read(&self.root, &self.root, input);
        let faults = self.validator.iter_errors(&input).take(MAX_FAULTS).map(|it| {
            let place = it.instance_path().to_string();
            let place = if place.is_empty() { "(root)" } else { &place };
            format!("{place}: {}", it.masked())
        });
        let faults: Vec<_> = faults.collect();
        if faults.is_empty() { Ok(input) } else { Err(faults) }
    }

    /// A valid input as it is kept: with all fields of the schema, and no others. `None` where the
    /// schema adds more than [`MAX_DEFAULT_BYTES`].
    pub(crate) fn whole(&self, valid: Value) -> Option<Value> {
        shaped(&self.root, &self.root, valid, &mut { MAX_DEFAULT_BYTES })
    }

    /// What the schema calls what it describes.
    pub(crate) fn title(&self) -> &str {
        self.root.get("title").and_then(Value::as_str).unwrap_or("the input")
    }
}

/// Walks the schema as a validator would, following references, and pays for each subschema.
fn unfold<'a>(
    root: &'a Value,
    at: &'a Value,
    place: &str,
    open: &mut Vec<&'a str>,
    budget: &mut u64,
) -> Result<(), SchemaFault> {
    *budget = budget.checked_sub(1).ok_or(SchemaFault::TooComplex)?;
    match at {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    // Names chosen by the author: whatever they are, schemas stand below them.
                    (
                        "properties" | "patternProperties" | "dependentSchemas" | "dependencies",
                        Value::Object(named),
                    ) => {
                        for (key, schema) in named {
                            unfold(root, schema, &format!("{place}/{name}/{key}"), open, budget)?;
                        }
                    }
                    // A second root would give references another meaning than they have here.
                    ("$id" | "id" | "$anchor", Value::String(_)) if place != "#" => {
                        return Err(SchemaFault::Nested(format!("{place}/{name}")));
                    }
                    // Values, not schemas: they are compared, never unfolded.
                    ("const" | "enum" | "default" | "examples", _) => {}
                    // Definitions cost where they are referred to.
                    ("$defs" | "definitions", _) => {}
                    ("$ref", Value::String(reference)) => {
                        follow(root, reference, place, open, budget)?
                    }
                    (
                        "$dynamicRef" | "$recursiveRef" | "$dynamicAnchor" | "$recursiveAnchor",
                        _,
                    ) => {
                        return Err(SchemaFault::Recursive(format!("{place}/{name}")));
                    }
                    _ => unfold(root, value, &format!("{place}/{name}"), open, budget)?,
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            unfold(root, item, &format!("{place}/{index}"), open, budget)
        }),
        _ => Ok(()),
    }
}

fn follow<'a>(
    root: &'a Value,
    reference: &'a str,
    place: &str,
    open: &mut Vec<&'a str>,
    budget: &mut u64,
) -> Result<(), SchemaFault> {
    if open.contains(&reference) {
        return Err(SchemaFault::Recursive(place.to_owned()));
    }
    // The validator decodes `%62`; a reference that needs decoding could mean another place there.
    let plain = reference.strip_prefix('#').filter(|it| !it.contains('%'));
    let target = plain.and_then(|it| root.pointer(it));
    let target = target.ok_or_else(|| SchemaFault::Dangling(place.to_owned()))?;
    open.push(reference);
    let done = unfold(root, target, reference, open, budget);
    open.pop();
    done
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compile(schema: Value) -> Result<(), String> {
        InputSchema::compile(schema.as_object().unwrap()).map(|_| ()).map_err(|it| it.to_string())
    }

    /// Thirty definitions; each refers twice to the next.
    fn doubling() -> Map<String, Value> {
        let mut definitions = Map::new();
        for it in 0..30 {
            let next = format!("#/$defs/d{}", it + 1);
            definitions
                .insert(format!("d{it}"), json!({ "anyOf": [{ "$ref": next }, { "$ref": next }] }));
        }
        definitions.insert("d30".into(), json!({ "type": "string" }));
        definitions
    }

    #[test]
    fn references_within_the_document_are_followed() {
        let schema = json!({
            "properties": { "a": { "$ref": "#/$defs/tier" } },
            "$defs": { "tier": { "enum": ["free", "pro"] } }
        });
        let schema = InputSchema::compile(schema.as_object().unwrap()).unwrap();
        assert!(schema.read(json!({ "a": "free" })).is_ok());
        assert!(schema.read(json!({ "a": "other" })).is_err());
    }

    #[test]
    fn a_whole_number_is_read_as_one_however_it_is_written() {
        let schema = json!({ "type": "object", "properties": {
            "words": { "type": "integer" },
            "either": { "anyOf": [{ "type": "integer" }, { "type": "string" }] },
        } });
        let schema = InputSchema::compile(schema.as_object().unwrap()).unwrap();
        let read = schema.read(json!({ "words": 3.0, "either": "4" })).unwrap();
        assert_eq!(read, json!({ "words": 3, "either": "4" }));
    }

    #[test]
    fn nothing_is_fetched() {
        for reference in ["http://example.com/a.json", "file:///etc/passwd", "other.json"] {
            assert_eq!(
                compile(json!({ "$ref": reference })),
                Err("#: refers to nothing in this schema".into())
            );
        }
    }

    #[test]
    fn a_recursive_schema_is_refused() {
        let schema = json!({ "properties": { "child": { "$ref": "#" } } });
        let place = "#/properties/child: a recursive schema is not supported";
        assert_eq!(compile(schema), Err(place.into()));
    }

    #[test]
    fn a_schema_that_doubles_itself_is_refused() {
        let definitions = doubling();
        let schema = json!({ "$ref": "#/$defs/d0", "$defs": definitions });
        assert_eq!(compile(schema), Err(SchemaFault::TooComplex.to_string()));
    }

    #[test]
    fn nothing_hides_behind_a_name() {
        let definitions = doubling();
        let mut encoded = definitions.clone();
        encoded.insert("d%30".into(), json!({}));
        let encoded = json!({ "$ref": "#/$defs/d%30", "$defs": encoded });
        assert_eq!(compile(encoded), Err("#: refers to nothing in this schema".into()));
        let old =
            json!({ "dependencies": { "enum": { "$ref": "#/$defs/d0" } }, "$defs": definitions });
        assert_eq!(compile(old), Err(SchemaFault::TooComplex.to_string()));
        for keyword in ["enum", "const", "default", "$defs", "examples"] {
            let schema = json!({ "properties": { keyword: { "$ref": "#/$defs/d0" } }, "$defs": definitions });
            assert_eq!(compile(schema), Err(SchemaFault::TooComplex.to_string()), "{keyword}");
        }
        let nested = json!({ "properties": { "a": { "$id": "other", "$ref": "#/$defs/d0", "$defs": definitions } } });
        assert!(compile(nested).unwrap_err().starts_with("#/properties/a/$id: only the outermost"));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(compile(json!({ "type": "nonsense" })).is_err());
        assert!(compile(json!({ "pattern": "(?=look)" })).is_err());
    }
}
