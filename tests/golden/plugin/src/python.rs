//! Writes JSON as Python's `json.dumps(…, sort_keys=True)` does, and texts as its `repr`.

use serde_json::{Number, Value};

/// The text: blanks behind `,` and `:`, sorted keys, nothing but ASCII.
pub(crate) fn dumps(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => number(it),
        Value::String(it) => text(it),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(dumps).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            // Python sorts by code points, and so do the bytes of UTF-8.
            fields.sort_by_key(|(name, _)| *name);
            let fields = fields.iter().map(|(name, it)| format!("{}: {}", text(name), dumps(it)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text in the quotes it needs, with what would end it, or its line, written out.
pub(crate) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            it if it == quote => written.extend(['\\', it]),
            it => written.push(it),
        }
    }
    written.push(quote);
    written
}

fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(it) if number.is_f64() => float(it),
        _ => number.to_string(),
    }
}

/// Python's `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn text(text: &str) -> String {
    let mut written = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            ' '..='~' => written.push(letter),
            _ => {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                written.extend(units.iter().map(|it| format!("\\u{it:04x}")));
            }
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_quoted_as_python_quotes_it() {
        for (text, expected) in
            [("a", "'a'"), ("it's", "\"it's\""), ("'\"\n", r#"'\'"\n'"#), ("é", "'é'")]
        {
            assert_eq!(repr(text), expected);
        }
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({ "b": [1, 2.0, null, true], "a": { "é": "\"\\\n\u{7f}\u{1f30d}" } });
        let expected =
            r#"{"a": {"\u00e9": "\"\\\n\u007f\ud83c\udf0d"}, "b": [1, 2.0, null, true]}"#;
        assert_eq!(dumps(&value), expected);
        for (value, expected) in [
            (1e5, "100000.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e22, "1.5e+22"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
        ] {
            assert_eq!(float(value), expected);
        }
    }
}
