//! `factory_input`: what a client may say to a factory.

use std::ops::Deref;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{FactoryError, JsonObject};

/// What a factory takes as its input: [`AnyInput`], or any type that derives
/// [`Deserialize`](serde::Deserialize) and [`JsonSchema`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a factory's input",
    note = "derive `Deserialize` and `JsonSchema` for it, or take `AnyInput`"
)]
pub trait Input: Sized {
    /// The JSON Schema the host checks the input against before the factory runs.
    fn schema() -> Option<String>;

    /// Reads what the client sent.
    ///
    /// # Errors
    /// [`FactoryError::Validation`]: the text does not fit this type. As the host has checked
    /// the schema before, that is a rule which the schema cannot tell.
    fn read(text: Option<&str>) -> Result<Self, FactoryError>;
}

impl<T: DeserializeOwned + JsonSchema> Input for T {
    fn schema() -> Option<String> {
        Some(schemars::schema_for!(T).as_value().to_string())
    }

    fn read(text: Option<&str>) -> Result<Self, FactoryError> {
        serde_json::from_str(text.unwrap_or("{}")).map_err(invalid)
    }
}

/// No schema: what the client sent, if it sent something.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnyInput(pub Option<JsonObject>);

impl Deref for AnyInput {
    type Target = Option<JsonObject>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Input for AnyInput {
    fn schema() -> Option<String> {
        None
    }

    fn read(text: Option<&str>) -> Result<Self, FactoryError> {
        text.map(serde_json::from_str).transpose().map(Self).map_err(invalid)
    }
}

fn invalid(error: serde_json::Error) -> FactoryError {
    FactoryError::Validation(format!("factory_input: {error}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// How to write.
    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Config {
        include_research: bool,
        /// At most this many.
        words: Option<u16>,
    }

    #[test]
    fn a_type_is_its_schema() {
        let schema: Value = serde_json::from_str(&Config::schema().unwrap()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["title"], "Config");
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["description"], "How to write.");
        let include_research = json!({ "type": "boolean", "default": false });
        assert_eq!(schema["properties"]["include_research"], include_research);
        assert_eq!(schema["properties"]["words"]["description"], "At most this many.");
        assert_eq!(AnyInput::schema(), None);
    }

    #[test]
    fn nothing_is_an_empty_object_for_a_typed_input() {
        assert_eq!(Config::read(None), Ok(Config::default()));
        assert_eq!(AnyInput::read(None), Ok(AnyInput(None)));
    }

    #[test]
    fn what_does_not_fit_is_the_callers_doing() {
        for text in [r#"{"words":-1}"#, "7", "{"] {
            assert!(matches!(Config::read(Some(text)), Err(FactoryError::Validation(_))), "{text}");
        }
        assert!(matches!(AnyInput::read(Some("[]")), Err(FactoryError::Validation(_))));
    }

    #[test]
    fn any_input_is_read_by_name() {
        let input = AnyInput::read(Some(r#"{"tier":"enterprise"}"#)).unwrap();
        assert_eq!(input.as_ref().and_then(|it| it.get("tier")), Some(&json!("enterprise")));
    }
}
