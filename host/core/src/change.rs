//! What was changed in a JSON object, and how the same change is made in another.

use serde_json::{Map, Value};

use crate::json::lay_over;

/// The difference between an object as it was and as it is, name by name, also within objects
/// within it. Everything else, lists too, is one value: it stays or is replaced.
///
/// Whoever changes an object that others change at the same moment leaves this instead of the
/// whole, so that what they did not touch stays as the others left it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectChange {
    /// What is new or another, each value in its place.
    set: Map<String, Value>,
    /// What is gone, each name in its place with null as its value.
    removed: Map<String, Value>,
}

impl ObjectChange {
    /// What made of `before` what is there `after`.
    pub fn between(before: &Map<String, Value>, after: &Map<String, Value>) -> Self {
        let mut change = Self::default();
        for (name, is) in after {
            match (before.get(name), is) {
                (Some(Value::Object(was)), Value::Object(is)) => {
                    let within = Self::between(was, is);
                    put(&mut change.set, name, within.set);
                    put(&mut change.removed, name, within.removed);
                }
                (Some(was), is) if was == is => {}
                (_, is) => {
                    change.set.insert(name.clone(), is.clone());
                }
            }
        }
        for name in before.keys().filter(|it| !after.contains_key(*it)) {
            change.removed.insert(name.clone(), Value::Null);
        }
        change
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// Makes the same change here: what is gone is removed, what was set is laid over the rest.
    pub fn apply(&self, object: &mut Map<String, Value>) {
        take_out(object, &self.removed);
        lay_over(object, self.set.clone());
    }
}

/// A change that only lays this over what is there.
impl From<Map<String, Value>> for ObjectChange {
    fn from(set: Map<String, Value>) -> Self {
        Self { set, removed: Map::new() }
    }
}

fn put(object: &mut Map<String, Value>, name: &str, within: Map<String, Value>) {
    if !within.is_empty() {
        object.insert(name.to_owned(), Value::Object(within));
    }
}

/// What others have put in the place of an object stays: nothing of it was removed.
fn take_out(object: &mut Map<String, Value>, removed: &Map<String, Value>) {
    for (name, within) in removed {
        match (object.get_mut(name), within) {
            (Some(Value::Object(object)), Value::Object(within)) => take_out(object, within),
            (Some(_), Value::Null) => {
                object.shift_remove(name);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// What is held after a change elsewhere.
    fn check(before: Value, after: Value, held: Value, expected: Value) {
        let change = ObjectChange::between(&object(before), &object(after));
        let mut held = object(held);
        change.apply(&mut held);
        assert_eq!(Value::Object(held), expected);
    }

    #[test]
    fn what_was_not_touched_stays_as_others_left_it() {
        check(
            json!({ "mine": 1, "same": 1, "gone": 1 }),
            json!({ "mine": 2, "same": 1, "new": null }),
            json!({ "mine": 1, "same": 5, "gone": 1, "theirs": 1 }),
            json!({ "mine": 2, "same": 5, "theirs": 1, "new": null }),
        );
        check(
            json!({ "in": { "a": 1, "b": 1, "c": 1 } }),
            json!({ "in": { "a": 2, "b": 1 } }),
            json!({ "in": { "a": 1, "b": 5, "c": 1, "d": 1 } }),
            json!({ "in": { "a": 2, "b": 5, "d": 1 } }),
        );
        // Both make the same object.
        check(
            json!({}),
            json!({ "in": { "a": 1 } }),
            json!({ "in": { "b": 1 } }),
            json!({ "in": { "a": 1, "b": 1 } }),
        );
    }

    #[test]
    fn what_both_touched_is_as_the_later_left_it() {
        check(json!({ "n": 1 }), json!({ "n": 2 }), json!({ "n": 3 }), json!({ "n": 2 }));
        check(json!({ "n": 1 }), json!({}), json!({ "n": 3 }), json!({}));
        check(
            json!({ "n": [1] }),
            json!({ "n": [1, 2] }),
            json!({ "n": [3] }),
            json!({ "n": [1, 2] }),
        );
        // Set within what is gone, or has become another thing.
        let (before, after) = (json!({ "in": { "a": 1 } }), json!({ "in": { "a": 1, "b": 2 } }));
        check(before.clone(), after.clone(), json!({}), json!({ "in": { "b": 2 } }));
        check(before, after, json!({ "in": 5 }), json!({ "in": { "b": 2 } }));
    }

    #[test]
    fn what_is_removed_where_nothing_is_any_more_brings_nothing_back() {
        let (before, after) = (json!({ "in": { "a": 1 } }), json!({ "in": {} }));
        check(before.clone(), after.clone(), json!({}), json!({}));
        check(before, after, json!({ "in": 5 }), json!({ "in": 5 }));
    }

    #[test]
    fn the_order_of_names_stays() {
        let before = object(json!({ "a": 1, "b": 1, "c": 1, "d": 1 }));
        let after = object(json!({ "e": 1, "b": 1, "d": 2, "c": 1 }));
        let mut held = before.clone();
        ObjectChange::between(&before, &after).apply(&mut held);
        assert_eq!(held.keys().collect::<Vec<_>>(), ["b", "c", "d", "e"]);
    }

    /// Objects whose names meet often.
    fn any_object(names: &'static str) -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..3).prop_map(Value::from),
            Just(json!([1])),
            Just(json!({})),
        ];
        let value = leaf.prop_recursive(3, 12, 3, |below| {
            proptest::collection::btree_map("[a-d]", below, 0..4).prop_map(of)
        });
        proptest::collection::btree_map(names, value, 0..4).prop_map(|it| object(of(it)))
    }

    fn of(fields: std::collections::BTreeMap<String, Value>) -> Value {
        Value::Object(fields.into_iter().collect())
    }

    /// An object, changed under some names only.
    fn changed(
        start: &Map<String, Value>,
        under: [&str; 2],
        to: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut changed = start.clone();
        for name in under {
            match to.get(name) {
                Some(value) => drop(changed.insert(name.to_owned(), value.clone())),
                None => drop(changed.shift_remove(name)),
            }
        }
        changed
    }

    proptest! {
        #[test]
        fn ones_own_change_of_ones_own_start_is_ones_end(
            start in any_object("[a-d]"), end in any_object("[a-d]")
        ) {
            let change = ObjectChange::between(&start, &end);
            prop_assert_eq!(change.is_empty(), start == end);
            let mut held = start;
            change.apply(&mut held);
            prop_assert_eq!(held, end);
        }

        #[test]
        fn changes_of_different_names_come_in_any_order(
            start in any_object("[a-d]"), one in any_object("[a-d]"), other in any_object("[a-d]"),
            is_within: bool
        ) {
            let one = changed(&start, ["a", "b"], &one);
            let other = changed(&start, ["c", "d"], &other);
            let both = changed(&one, ["c", "d"], &other);
            let place = |it: Map<String, Value>| {
                if is_within { object(json!({ "in": it })) } else { it }
            };
            let [start, one, other, both] = [start, one, other, both].map(place);
            let one = ObjectChange::between(&start, &one);
            let other = ObjectChange::between(&start, &other);
            for order in [[&one, &other], [&other, &one]] {
                let mut held = start.clone();
                order.into_iter().for_each(|it| it.apply(&mut held));
                prop_assert_eq!(&held, &both);
            }
        }
    }
}
