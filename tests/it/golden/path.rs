//! Places in a JSON value: `/events/[event=RunContent][!data.content]/data`.
//!
//! Between the slashes stands a key or the place in a list, `*` for all of them, `**` for any
//! depth, or conditions for the items of a list: `[a.b=text]`, `[a.b]` (is there), `[!a.b]`.
//! Behind a question mark they are conditions for what the path has reached: `/?[status=401]/body`.

use serde_json::Value;

/// One concrete place, from the root: keys and places in lists.
pub(super) type Place = Vec<String>;

/// All places that a pattern means, in order.
pub(super) fn places(root: &Value, pattern: &str) -> Vec<Place> {
    let segments: Vec<_> = pattern.split('/').skip(1).collect();
    let mut found = Vec::new();
    walk(root, &segments, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, segments: &[&str], place: &mut Place, found: &mut Vec<Place>) {
    let Some((segment, rest)) = segments.split_first() else {
        if !found.contains(place) {
            found.push(place.clone());
        }
        return;
    };
    if let Some(condition) = segment.strip_prefix('?') {
        if holds(value, condition) {
            walk(value, rest, place, found);
        }
        return;
    }
    if *segment == "**" {
        walk(value, rest, place, found);
    }
    for (key, child) in children(value) {
        let (matches, rest) = match *segment {
            "**" => (true, segments),
            "*" => (true, rest),
            segment if segment.starts_with('[') => {
                (value.is_array() && holds(child, segment), rest)
            }
            segment => (segment == key, rest),
        };
        if matches {
            place.push(key);
            walk(child, rest, place, found);
            place.pop();
        }
    }
}

fn children(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, it)| (key.clone(), it)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, it)| (at.to_string(), it)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether an item fulfils `[condition][condition]`.
fn holds(item: &Value, conditions: &str) -> bool {
    conditions.split_terminator(']').all(|condition| {
        let condition = condition.strip_prefix('[').unwrap();
        let at = |path: &str| path.split('.').try_fold(item, |it, key| it.get(key));
        match (condition.strip_prefix('!'), condition.split_once('=')) {
            (Some(path), _) => at(path).is_none(),
            (None, Some((path, text))) => at(path).is_some_and(|it| match it {
                Value::String(it) => it == text,
                it => serde_json::from_str(text).is_ok_and(|text: Value| *it == text),
            }),
            (None, None) => at(condition).is_some(),
        }
    })
}

/// What stands in a place.
pub(super) fn get<'a>(root: &'a Value, place: &[String]) -> Option<&'a Value> {
    place.iter().try_fold(root, |value, key| match value {
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// What stands in a place, to be changed.
pub(super) fn at<'a>(root: &'a mut Value, place: &[String]) -> Option<&'a mut Value> {
    place.iter().try_fold(root, |value, key| match value {
        Value::Object(fields) => fields.get_mut(key),
        Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Takes away what stands there.
pub(super) fn remove(root: &mut Value, place: &[String]) {
    let (key, parent) = place.split_last().unwrap();
    match at(root, parent) {
        Some(Value::Object(fields)) => {
            fields.shift_remove(key);
        }
        Some(Value::Array(items)) => {
            items.remove(key.parse().unwrap());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(pattern: &str) -> Vec<String> {
        let root = json!({
            "events": [
                { "event": "A", "data": { "n": 1 } },
                { "event": "B", "data": {} },
                { "event": "A", "data": {} },
            ],
            "body": { "x": { "events": [1] } },
        });
        places(&root, pattern).into_iter().map(|it| it.join("/")).collect()
    }

    #[test]
    fn patterns_find_their_places() {
        assert_eq!(found("/events/1/event"), ["events/1/event"]);
        assert_eq!(found("/events/[event=A]"), ["events/0", "events/2"]);
        assert_eq!(found("/events/[event=A][!data.n]"), ["events/2"]);
        assert_eq!(found("/events/[data.n=1]/data"), ["events/0/data"]);
        assert_eq!(found("/events/[data.n]/event"), ["events/0/event"]);
        assert_eq!(found("/body/*/events"), ["body/x/events"]);
        assert_eq!(found("/**/n"), ["events/0/data/n"]);
        assert_eq!(found("/**/events"), ["events", "body/x/events"]);
        assert_eq!(found("/events/*/?[event=B]/data"), ["events/1/data"]);
        assert_eq!(found("/nothing"), Vec::<String>::new());
    }
}
