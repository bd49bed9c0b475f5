//! Stored forms: how core types are written into rows. Numbered, with golden files.
//!
//! A form that changes gets the next number and keeps reading the old ones: rows outlive hosts.
//! Everything a client, a guest or a provider wrote lies in JSON, where every character has a
//! form that both databases keep, U+0000 included.

pub(crate) mod context;
pub(crate) mod description;
pub(crate) mod event;
pub(crate) mod extras;
pub(crate) mod graph;

#[cfg(test)]
mod tests;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use stepmill_core::json;

use crate::error::StoreError;

/// How deep a value of the outside may be nested: below the depth at which the JSON reader, which
/// also sees our own levels around it, gives up. The object itself is one level more.
const DEPTH: usize = 99;

/// The number of a first form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            _ => Err(D::Error::custom("another version")),
        }
    }
}

/// A form as text.
pub(crate) fn text(form: &impl Serialize) -> String {
    serde_json::to_string(form).expect("forms have text keys only, and writing to memory works")
}

/// A form read back. What is wrong is told without a word of the text.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|fault| {
        #[derive(Deserialize)]
        struct Head {
            v: u64,
        }
        StoreError::unreadable(match serde_json::from_str::<Head>(text) {
            Ok(head) if head.v != 1 => format!("{what} of version {}", head.v),
            _ => format!("{what} (line {} column {})", fault.line(), fault.column()),
        })
    })
}

/// How a JSON string begins whose text may be cut off. What comes after the string is not read.
pub(crate) fn beginning(text: &str) -> Option<String> {
    let first =
        |text: &str| serde_json::Deserializer::from_str(text).into_iter::<String>().next()?.ok();
    // Cut off within an escape, which has at most six characters, the string ends before it.
    let closed = |less: usize| first(&format!("{}\"", text.get(..text.len().checked_sub(less)?)?));
    first(text).or_else(|| (0..6).find_map(closed))
}

/// An object of the outside as text.
pub(crate) fn object(object: &Map<String, Value>) -> Result<String, StoreError> {
    check_depth(Some(object))?;
    Ok(text(object))
}

/// Refuses what could be written but not be read back.
fn check_depth(map: Option<&Map<String, Value>>) -> Result<(), StoreError> {
    if map.is_some_and(|it| it.values().any(|value| json::is_deeper(value, DEPTH))) {
        return Err(StoreError::Unstorable { what: "JSON nested deeper than 100 levels" });
    }
    Ok(())
}
