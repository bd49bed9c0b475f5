//! An object as indented text, no longer than a bound: of deep nesting most of it is indentation.

use std::io::{Error, ErrorKind, Result, Write};

use serde_json::{Map, Value};

struct Bounded {
    text: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.limit - self.text.len() < bytes.len() {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        self.text.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The text; `None` if it is longer than `limit` bytes. Then no more than those were written.
pub(crate) fn pretty(object: &Map<String, Value>, limit: usize) -> Option<String> {
    let mut bounded = Bounded { text: Vec::new(), limit };
    serde_json::to_writer_pretty(&mut bounded, object).ok()?;
    String::from_utf8(bounded.text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_indented_and_as_long_as_it_may_be() {
        let value = json!({ "a": [1, { "b": "ä" }] });
        let text = format!("{value:#}");
        let object = value.as_object().unwrap();
        assert_eq!(pretty(object, text.len()), Some(text.clone()));
        assert_eq!(pretty(object, text.len() - 1), None);
    }
}
