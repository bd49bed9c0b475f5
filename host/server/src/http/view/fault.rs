//! Why a request was not answered, as clients read it.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// One sentence for people, and a stable word for programs where there is one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fault {
    /// What went wrong.
    pub detail: String,
    /// What went wrong, in a word that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<&'static str>,
}

/// Everything that is missing or malformed in a request.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldFaults {
    /// One fault for each field.
    pub detail: Vec<FieldFault>,
}

/// One field that is missing or malformed, in FastAPI's words.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldFault {
    /// Which rule is broken: `missing`, `bool_parsing`, …
    r#type: &'static str,
    /// Where: `body` or `query`, the field, and places in it.
    #[schema(value_type = Vec<Value>)]
    loc: Value,
    /// The rule, for people.
    msg: String,
    /// What was given.
    #[schema(required)]
    input: Value,
    /// Numbers and words of the rule.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object, required = false)]
    ctx: Value,
}

impl FieldFault {
    /// A fault at a place, which is a list.
    pub(crate) fn new(kind: &'static str, loc: Value, msg: impl Into<String>) -> Self {
        Self { r#type: kind, loc, msg: msg.into(), input: Value::Null, ctx: Value::Null }
    }

    /// What the client gave.
    pub(crate) fn given(mut self, input: impl Into<Value>) -> Self {
        self.input = input.into();
        self
    }

    /// The rule's numbers and words.
    pub(crate) fn because(mut self, ctx: Value) -> Self {
        self.ctx = ctx;
        self
    }

    /// A required field that is not there.
    pub(crate) fn missing(part: &str, field: &str) -> Self {
        Self::new("missing", json!([part, field]), "Field required")
    }

    /// A field that has to be a text and is none.
    pub(crate) fn no_text(part: &str, field: &str) -> Self {
        Self::new("string_type", json!([part, field]), "Input should be a valid string")
    }

    /// A field that has to be a whole number and is none.
    pub(crate) fn no_integer(part: &str, field: &str, input: String) -> Self {
        let text = "Input should be a valid integer, unable to parse string as an integer";
        Self::new("int_parsing", json!([part, field]), text).given(input)
    }

    /// A field that has to be a whole number and is no text.
    pub(crate) fn no_integer_type(part: &str, field: &str) -> Self {
        Self::new("int_type", json!([part, field]), "Input should be a valid integer")
    }

    /// A field that has to be yes or no and is no text.
    pub(crate) fn no_boolean_type(part: &str, field: &str) -> Self {
        Self::new("bool_type", json!([part, field]), "Input should be a valid boolean")
    }

    /// A field that has to be yes or no and is neither.
    pub(crate) fn no_boolean(part: &str, field: &str, input: String) -> Self {
        let text = "Input should be a valid boolean, unable to interpret input";
        Self::new("bool_parsing", json!([part, field]), text).given(input)
    }

    /// A number that is too small.
    pub(crate) fn too_small(field: &str, least: i64, input: String) -> Self {
        let text = format!("Input should be greater than or equal to {least}");
        let fault = Self::new("greater_than_equal", json!(["query", field]), text);
        fault.given(input).because(json!({ "ge": least }))
    }

    /// A word that is none of these, which are written as a sentence.
    pub(crate) fn no_choice(loc: Value, expected: &str, input: impl Into<Value>) -> Self {
        let fault = Self::new("enum", loc, format!("Input should be {expected}"));
        fault.given(input).because(json!({ "expected": expected }))
    }
}

/// A run that failed, or that the host leaves to its next start; or why there is none.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunFault {
    /// What went wrong.
    #[schema(required)]
    pub detail: Option<String>,
    /// What went wrong, in a word that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<&'static str>,
    /// The run, if there is one: it can be read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<uuid::Uuid>,
    /// The run's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Where the run stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}
