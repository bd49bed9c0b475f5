//! `factory_input` as the recorded factories take it: as a model of their own, or as it comes.

use serde_json::{Value, json};
use stepmill_sdk::Input;
use stepmill_sdk::prelude::*;

/// What pydantic says of `PipelineConfig`.
const PIPELINE: &str = r#"{"properties":{"include_research":{"default":false,"title":"Include Research","type":"boolean"}},"title":"PipelineConfig","type":"object"}"#;

/// What pydantic says of `RichConfig`.
const RICH: &str = r#"{"description":"Richer schema, to see error shapes.","properties":{"tier":{"default":"free","description":"Plan","pattern":"^(free|pro)$","title":"Tier","type":"string"},"words":{"maximum":1000,"minimum":1,"title":"Words","type":"integer"},"tags":{"default":[],"items":{"type":"string"},"title":"Tags","type":"array"},"note":{"anyOf":[{"type":"string"},{"type":"null"}],"default":null,"title":"Note"}},"required":["words"],"title":"RichConfig","type":"object"}"#;

/// What pydantic says of `TopicInput`.
const TOPIC: &str = r#"{"properties":{"topic":{"title":"Topic","type":"string"},"count":{"default":1,"title":"Count","type":"integer"}},"required":["topic"],"title":"TopicInput","type":"object"}"#;

/// The message of `typed-input`, which is read where it is needed.
pub(crate) struct Topic;

impl Input for Topic {
    fn schema() -> Option<String> {
        Some(TOPIC.to_owned())
    }

    fn read(_: Option<&str>) -> Result<Self, FactoryError> {
        Ok(Self)
    }
}

/// What the client gave, if it gave something.
#[derive(Default)]
pub(crate) struct Given(Option<JsonObject>);

impl Input for Given {
    fn schema() -> Option<String> {
        match crate::id() {
            "pipeline" => Some(PIPELINE.to_owned()),
            "rich" => Some(RICH.to_owned()),
            _ => None,
        }
    }

    fn read(text: Option<&str>) -> Result<Self, FactoryError> {
        let object = text.map(serde_json::from_str).transpose();
        object.map(Self).map_err(|it| FactoryError::validation(it.to_string()))
    }
}

impl Given {
    /// The object, or Python's `None`.
    pub(crate) fn value(&self) -> Value {
        self.0.clone().map_or(Value::Null, Value::Object)
    }

    /// The name of its type in Python.
    pub(crate) fn python_type(&self) -> &'static str {
        if self.0.is_some() { "dict" } else { "NoneType" }
    }

    /// `PipelineConfig.include_research`.
    pub(crate) fn include_research(&self) -> bool {
        self.field("include_research", json!(false)) == json!(true)
    }

    /// `RichConfig.model_dump_json()`.
    pub(crate) fn rich(&self) -> String {
        let fields = [
            ("tier", json!("free")),
            ("words", Value::Null),
            ("tags", json!([])),
            ("note", Value::Null),
        ];
        let fields = fields
            .map(|(name, default)| format!("{}:{}", Value::from(name), self.field(name, default)));
        format!("{{{}}}", fields.join(","))
    }

    fn field(&self, name: &str, default: Value) -> Value {
        self.0.as_ref().and_then(|it| it.get(name)).cloned().unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_shown_in_the_order_of_its_fields() {
        let given = Given::read(Some(r#"{"note":"é","zzz":1,"words":5}"#)).unwrap_or_default();
        assert_eq!(given.rich(), r#"{"tier":"free","words":5,"tags":[],"note":"é"}"#);
    }
}
