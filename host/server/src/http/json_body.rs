//! JSON bodies, read field by field, with the faults FastAPI has for them.

use axum::extract::Request;
use axum::http::header;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use stepmill_core::json::{MAX_DEPTH, is_deeper};

use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::form::{body, in_time};
use crate::app::json_fault;

/// The most texts of one list: each is work of its own, and has a fault of its own.
pub(super) const MAX_ITEMS: usize = 1_000;

/// The fields of an object, and what is wrong with those that were taken.
pub(super) struct JsonBody {
    fields: Map<String, Value>,
    faults: Vec<FieldFault>,
}

/// What a body holds.
pub(super) enum Sent {
    /// Nothing.
    Nothing,
    /// An object.
    Object(JsonBody),
    /// Something else.
    Other(Value),
}

impl Sent {
    /// Reads a body.
    ///
    /// # Errors
    /// It is too large or too slow, or no JSON.
    pub(super) async fn read(door: &Door, request: Request) -> Result<Self, ApiError> {
        let (parts, stream) = request.into_parts();
        let bytes = in_time(door, body(stream, door.settings.field_bytes)).await?;
        if bytes.is_empty() {
            return Ok(Self::Nothing);
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let text = String::from_utf8_lossy(&bytes);
        // A body that does not say what it is is a text, as FastAPI takes it.
        if !kind.is_some_and(|it| it.to_ascii_lowercase().contains("json")) {
            return Ok(Self::Other(text.into()));
        }
        match serde_json::from_str(&text) {
            Ok(value) if is_deeper(&value, MAX_DEPTH) => Err(fault(FieldFault::new(
                "too_deep",
                json!(["body"]),
                "Input is nested too deeply",
            ))),
            Ok(Value::Object(fields)) => Ok(Self::Object(JsonBody { fields, faults: Vec::new() })),
            Ok(other) => Ok(Self::Other(other)),
            Err(_) => Err(fault(malformed(&text))),
        }
    }

    /// The object, which has to be there.
    ///
    /// # Errors
    /// The body is nothing, or something else.
    pub(super) fn required(self) -> Result<JsonBody, ApiError> {
        match self {
            Self::Nothing => {
                Err(fault(FieldFault::new("missing", json!(["body"]), "Field required")))
            }
            sent => sent.object(),
        }
    }

    /// The object; nothing is an object without fields.
    ///
    /// # Errors
    /// The body is something else.
    pub(super) fn object(self) -> Result<JsonBody, ApiError> {
        match self {
            Self::Nothing => Ok(JsonBody { fields: Map::new(), faults: Vec::new() }),
            Self::Object(body) => Ok(body),
            Self::Other(input) => {
                let text = "Input should be a valid dictionary or object to extract fields from";
                let fault_ = FieldFault::new("model_attributes_type", json!(["body"]), text);
                Err(fault(fault_.given(input)))
            }
        }
    }
}

fn fault(fault: FieldFault) -> ApiError {
    ApiError::Fields(vec![fault])
}

fn malformed(text: &str) -> FieldFault {
    let found = json_fault::find(text);
    let (place, error) = found.map_or((0, "Expecting value"), |it| (it.character, it.message));
    FieldFault::new("json_invalid", json!(["body", place]), "JSON decode error")
        .given(json!({}))
        .because(json!({ "error": error }))
}

impl JsonBody {
    /// The whole object as a form that says by itself what it takes.
    ///
    /// # Errors
    /// A field is unknown or has another type.
    pub(super) fn form<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.fields))
    }

    /// The whole object as it came.
    pub(super) fn fields(self) -> Map<String, Value> {
        self.fields
    }

    /// A text; `null` is none.
    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.faults.push(FieldFault::no_text("body", field).given(other));
                None
            }
        }
    }

    /// A text that has to be there.
    pub(super) fn required_text(&mut self, field: &'static str) -> Option<String> {
        match self.fields.remove(field) {
            Some(Value::String(text)) => return Some(text),
            None => self.faults.push(FieldFault::missing("body", field)),
            Some(other) => {
                self.faults.push(FieldFault::no_text("body", field).given(other));
            }
        }
        None
    }

    /// An object; `null` is none.
    pub(super) fn object(&mut self, field: &'static str) -> Option<Map<String, Value>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(object),
            Some(other) => {
                self.refuse("dict_type", field, "Input should be a valid dictionary", other);
                None
            }
        }
    }

    /// A list of texts that has to be there and to hold something, [`MAX_ITEMS`] at most.
    pub(super) fn texts(&mut self, field: &'static str) -> Vec<String> {
        match self.fields.remove(field) {
            Some(Value::Array(items)) if items.is_empty() => {
                let text = "List should have at least 1 item after validation, not 0";
                let fault = FieldFault::new("too_short", json!(["body", field]), text);
                let ctx = json!({ "field_type": "List", "min_length": 1, "actual_length": 0 });
                self.faults.push(fault.given(json!([])).because(ctx));
                Vec::new()
            }
            Some(Value::Array(items)) if MAX_ITEMS < items.len() => {
                self.too_long(field, MAX_ITEMS, items.len());
                Vec::new()
            }
            Some(Value::Array(items)) => {
                items.into_iter().enumerate().filter_map(|it| self.item(field, it)).collect()
            }
            None => {
                self.faults.push(FieldFault::missing("body", field));
                Vec::new()
            }
            Some(other) => {
                self.refuse("list_type", field, "Input should be a valid list", other);
                Vec::new()
            }
        }
    }

    /// A list of texts, so many at most; `null` is none.
    pub(super) fn some_texts(&mut self, field: &'static str, most: usize) -> Vec<String> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) if items.len() <= most => {
                items.into_iter().enumerate().filter_map(|it| self.item(field, it)).collect()
            }
            Some(Value::Array(items)) => {
                self.too_long(field, most, items.len());
                Vec::new()
            }
            Some(other) => {
                self.refuse("list_type", field, "Input should be a valid list", other);
                Vec::new()
            }
        }
    }

    /// A whole number between two others; `null` is none.
    pub(super) fn integer(&mut self, field: &'static str, least: i64, most: i64) -> Option<i64> {
        let input = self.fields.remove(field).filter(|it| !it.is_null())?;
        // `7.0` is a whole number, too.
        let whole = |it: f64| (it.fract() == 0.0).then_some(it as i64);
        let number = input.as_i64().or_else(|| input.as_f64().and_then(whole));
        if let Some(number) = number.filter(|it| (least..=most).contains(it)) {
            return Some(number);
        }
        let (kind, text) = match number {
            None => ("int_type", "Input should be a valid integer".to_owned()),
            Some(it) if it < least => {
                ("greater_than_equal", format!("Input should be greater than or equal to {least}"))
            }
            Some(_) => ("less_than_equal", format!("Input should be less than or equal to {most}")),
        };
        self.refuse(kind, field, &text, input);
        None
    }

    fn too_long(&mut self, field: &str, most: usize, length: usize) {
        let text = format!("List should have at most {most} items after validation, not {length}");
        let fault = FieldFault::new("too_long", json!(["body", field]), text);
        let ctx = json!({ "field_type": "List", "max_length": most, "actual_length": length });
        self.faults.push(fault.because(ctx));
    }

    fn item(&mut self, field: &'static str, (place, item): (usize, Value)) -> Option<String> {
        match item {
            Value::String(text) => Some(text),
            other => {
                let place = json!(["body", field, place]);
                let text = "Input should be a valid string";
                self.faults.push(FieldFault::new("string_type", place, text).given(other));
                None
            }
        }
    }

    fn refuse(&mut self, kind: &'static str, field: &str, text: &str, input: Value) {
        self.faults.push(FieldFault::new(kind, json!(["body", field]), text).given(input));
    }

    /// For faults that the fields' types do not show.
    pub(super) fn faults(&mut self) -> &mut Vec<FieldFault> {
        &mut self.faults
    }

    /// Whether everything that was taken is good.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn done(self) -> Result<(), ApiError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::Fields(self.faults)) }
    }
}
