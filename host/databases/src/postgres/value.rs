//! Values as PostgreSQL writes them in text, and what a command says it has done.

use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, RowDescriptionBody};
use stepmill_core::database::Value;

/// Types that the contract has; the server's numbers for them never change. All others are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Bytes,
    Integer,
    Real,
    Text,
}

impl Type {
    fn of(number: u32) -> Self {
        match number {
            16 => Self::Boolean,
            17 => Self::Bytes,
            20 | 21 | 23 | 26 => Self::Integer,
            700 | 701 => Self::Real,
            _ => Self::Text,
        }
    }
}

/// Names and types of an answer's columns.
pub(super) fn columns(body: &RowDescriptionBody) -> io::Result<(Vec<String>, Vec<Type>)> {
    let mut columns = (Vec::new(), Vec::new());
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        columns.0.push(field.name().to_owned());
        columns.1.push(Type::of(field.type_oid()));
    }
    Ok(columns)
}

/// One row; `None` if it has text that is none, which a statement can bring about by choosing
/// another encoding for its own session.
pub(super) fn row(body: &DataRowBody, types: &[Type]) -> io::Result<Option<Vec<Value>>> {
    let mut row = Vec::with_capacity(types.len());
    let mut ranges = body.ranges();
    let mut types = types.iter();
    while let Some(range) = ranges.next()? {
        let kind = types.next().copied().unwrap_or(Type::Text);
        let Some(range) = range else {
            row.push(Value::Null);
            continue;
        };
        let Ok(text) = str::from_utf8(&body.buffer()[range]) else { return Ok(None) };
        row.push(read(text, kind));
    }
    Ok(Some(row))
}

/// What does not look like its type, because a statement chose another form for it, stays text.
fn read(text: &str, kind: Type) -> Value {
    let value = match kind {
        Type::Boolean => match text {
            "t" => Some(Value::Boolean(true)),
            "f" => Some(Value::Boolean(false)),
            _ => None,
        },
        Type::Bytes => text.strip_prefix("\\x").and_then(bytes).map(Value::Bytes),
        Type::Integer => text.parse().ok().map(Value::Integer),
        Type::Real => text.parse().ok().map(Value::Real),
        Type::Text => None,
    };
    value.unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect()
}

/// A parameter as text; `None` is null.
pub(super) fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(it) => it.to_string(),
        Value::Integer(it) => it.to_string(),
        Value::Real(it) => it.to_string(),
        Value::Text(it) => it.clone(),
        Value::Bytes(it) => it.iter().fold("\\x".to_owned(), |it, byte| format!("{it}{byte:02x}")),
    })
}

/// How many rows a command has changed, from what it says at its end: `INSERT 0 5`, `UPDATE 3`.
pub(super) fn changed(tag: &str) -> u64 {
    match tag.split_once(' ') {
        Some(("INSERT" | "UPDATE" | "DELETE" | "MERGE", rest)) => {
            rest.rsplit(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_its_type_or_as_text() {
        assert_eq!(read("t", Type::Boolean), Value::Boolean(true));
        assert_eq!(read("-7", Type::Integer), Value::Integer(-7));
        assert_eq!(read("-Infinity", Type::Real), Value::Real(f64::NEG_INFINITY));
        assert_eq!(read("\\x00ff", Type::Bytes), Value::Bytes(vec![0, 255]));
        assert_eq!(read("\\000", Type::Bytes), Value::Text("\\000".into()));
        assert_eq!(read("1.50", Type::of(1700)), Value::Text("1.50".into()));
    }

    #[test]
    fn a_command_says_what_it_changed() {
        for (tag, rows) in [
            ("INSERT 0 5", 5),
            ("UPDATE 3", 3),
            ("DELETE 0", 0),
            ("MERGE 2", 2),
            ("SELECT 9", 0),
            ("CREATE TABLE", 0),
        ] {
            assert_eq!(changed(tag), rows, "{tag}");
        }
    }
}
