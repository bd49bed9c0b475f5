//! Rows of a database as the content of a step: JSON that the next step reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use stepmill_core::capability::Access;
use stepmill_core::database::{Answer, Value};

/// `{"columns": […], "rows": [[…], …]}`, and of a statement that writes how many rows it changed.
/// Its size is bounded by the caps of the database.
pub(super) fn content(answer: &Answer, access: Access) -> String {
    let rows: Vec<Vec<Json>> =
        answer.rows.iter().map(|row| row.iter().map(value).collect()).collect();
    let mut content = json!({ "columns": answer.columns, "rows": rows });
    if access == Access::Write {
        content["changed"] = answer.changed.into();
    }
    content.to_string()
}

fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(it) => (*it).into(),
        Value::Integer(it) => (*it).into(),
        // JSON has no infinity, and no number that is none.
        Value::Real(it) if !it.is_finite() => it.to_string().into(),
        Value::Real(it) => (*it).into(),
        Value::Text(it) => it.as_str().into(),
        Value::Bytes(it) => STANDARD.encode(it).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_lists_in_the_order_of_the_columns() {
        let row = vec![
            Value::Null,
            Value::Boolean(true),
            Value::Integer(i64::MAX),
            Value::Real(0.5),
            Value::Real(f64::NEG_INFINITY),
            Value::Text("\"é\"".into()),
            Value::Bytes(vec![0, 255]),
        ];
        let columns = ["a", "b", "a", "d", "e", "f", "g"].map(String::from).to_vec();
        let answer = Answer { columns, rows: vec![row], changed: 2 };
        let rows = r#"{"columns":["a","b","a","d","e","f","g"],"rows":[[null,true,9223372036854775807,0.5,"-inf","\"é\"","AP8="]]"#;
        assert_eq!(content(&answer, Access::Read), format!("{rows}}}"));
        assert_eq!(content(&answer, Access::Write), format!("{rows},\"changed\":2}}"));
    }
}
