//! Values as Python's `str` shows them: so Agno puts them into prompts.

use serde_json::{Number, Value};

/// The text of a value.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => written(other),
    }
}

/// The same, of a value inside another.
fn written(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => numeral(number),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, it)| format!("{}: {}", quoted(name), written(it)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn numeral(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => float(value),
        _ => number.to_string(),
    }
}

/// The shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::with_capacity(text.len() + 2);
    written.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            it if it == quote => written.extend(['\\', it]),
            it if is_printable(it) => written.push(it),
            it => match u32::from(it) {
                code @ ..=0xff => written.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => written.push_str(&format!("\\u{code:04x}")),
                code => written.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    written.push(quote);
    written
}

/// Neither a control, nor a blank that is not the blank, nor one of what has no shape.
fn is_printable(letter: char) -> bool {
    letter == ' '
        || !(letter.is_control()
            || letter.is_whitespace()
            || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_python_shows_them() {
        let value = json!({
            "s": 1, "t": "x", "b": true, "n": null, "l": [1.5, "a'b", 1e16, 0.00001, 2.0],
            "q": "\"'\\\n\u{1}é🌍\u{200b}\u{a0}",
        });
        assert_eq!(
            shown(&value),
            "{'s': 1, 't': 'x', 'b': True, 'n': None, 'l': [1.5, \"a'b\", 1e+16, 1e-05, 2.0], \
             'q': '\"\\'\\\\\\n\\x01é🌍\\u200b\\xa0'}"
        );
        assert_eq!(shown(&json!("it's")), "it's");
    }
}
