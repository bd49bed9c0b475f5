//! Rows of session listings: which of ours is which recorded one, and in what order they stand.

use serde_json::Value;

use super::ids::Ids;

/// Puts rows of one second into the order of ours. Recorded times have seconds, and what order
/// rows of one second have was the recorded database's to say.
pub(super) fn settle(expected: &mut Value, ours: &Value, sort_by: Option<&str>, ids: &Ids) {
    let time = if sort_by == Some("updated_at") { "updated_at" } else { "created_at" };
    let (Some(Value::Array(rows)), Some(ours)) =
        (expected.pointer_mut("/body/data"), ours["body"]["data"].as_array())
    else {
        return;
    };
    let taken: Vec<_> = rows.iter().filter_map(|it| place(it, ours, ids)).collect();
    // The id of a run that was not compared is not known yet.
    let alike = |row: &Value| {
        let mut free = (0..ours.len()).filter(|it| !taken.contains(it));
        free.find(|it| {
            ["workflow_id", "session_name", "user_id"].iter().all(|key| row[key] == ours[*it][key])
        })
    };
    for rows in rows.chunk_by_mut(|one, next| one[time] == next[time]) {
        rows.sort_by_key(|row| place(row, ours, ids).or_else(|| alike(row)).unwrap_or(usize::MAX));
    }
}

fn place(row: &Value, ours: &[Value], ids: &Ids) -> Option<usize> {
    ours.iter().position(|it| is_same(row, it, ids))
}

/// The recorded rows in the places where ours has them; what stands in the others is open.
pub(super) fn common(recorded: &[Value], ours: &[Value], ids: &Ids) -> Vec<Value> {
    let find = |it: &Value| recorded.iter().find(|row| is_same(row, it, ids)).cloned();
    ours.iter().map(|it| find(it).unwrap_or("<any>".into())).collect()
}

fn is_same(recorded: &Value, ours: &Value, ids: &Ids) -> bool {
    let id = |it: &Value| it["session_id"].as_str().map(str::to_owned);
    id(recorded).is_some_and(|it| Some(ids.translate(&it)) == id(ours))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: &[(&str, u32)]) -> Value {
        let rows = rows.iter().map(|(id, at)| json!({ "session_id": id, "created_at": at }));
        rows.collect()
    }

    #[test]
    fn rows_of_one_second_stand_as_ours_do() {
        let mut expected = json!({ "body": { "data": rows(&[("a", 1), ("b", 1), ("c", 2)]) } });
        let ours = json!({ "body": { "data": rows(&[("c", 9), ("b", 8), ("a", 7)]) } });
        settle(&mut expected, &ours, None, &Ids::default());
        assert_eq!(expected["body"]["data"], rows(&[("b", 1), ("a", 1), ("c", 2)]));
    }

    #[test]
    fn rows_of_one_server_only_are_open() {
        let (recorded, ours) = (rows(&[("a", 1), ("b", 1)]), rows(&[("x", 9), ("b", 8)]));
        let common =
            common(recorded.as_array().unwrap(), ours.as_array().unwrap(), &Ids::default());
        assert_eq!(common, [json!("<any>"), json!({ "session_id": "b", "created_at": 1 })]);
    }
}
