//! What is untrue in an answer that is otherwise good.

use serde_json::{Value, json};

use crate::scenario::Lie;
use crate::wires::Script;

/// The names that end so hold counts of tokens, in whichever protocol.
const COUNTS: [&str; 3] = ["_tokens", "TokenCount", "eval_count"];

/// Where protocols say why an answer ended.
const REASONS: [&str; 4] = ["finish_reason", "finishReason", "stop_reason", "done_reason"];

/// The script with the lie in it.
pub(crate) fn told(script: Script, lie: Lie) -> Script {
    let change = |value: &mut Value| change(value, lie);
    let frames = |frames: Vec<String>| frames.iter().map(|it| framed(it, change)).collect();
    let mut whole = script.whole;
    change(&mut whole);
    Script {
        before: frames(script.before),
        deltas: frames(script.deltas),
        after: frames(script.after),
        whole,
        ..script
    }
}

/// A frame whose JSON is changed.
fn framed(frame: &str, change: impl Fn(&mut Value)) -> String {
    let (Some(from), Some(to)) = (frame.find('{'), frame.rfind('}')) else {
        return frame.to_owned();
    };
    let Ok(mut value) = serde_json::from_str(&frame[from..=to]) else { return frame.to_owned() };
    change(&mut value);
    format!("{}{value}{}", &frame[..from], &frame[to + 1..])
}

fn change(value: &mut Value, lie: Lie) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|it| change(it, lie)),
        Value::Object(fields) => {
            let is_count = |name: &str| COUNTS.iter().any(|it| name.ends_with(it));
            if lie == Lie::NoUsage {
                fields.retain(|name, _| !is_count(name));
            }
            for (name, value) in fields {
                match lie {
                    Lie::NegativeUsage if is_count(name) => *value = json!(-5),
                    Lie::AbsurdUsage if is_count(name) => *value = json!(u64::MAX),
                    Lie::WordyUsage if is_count(name) => *value = json!("many"),
                    Lie::Finish if REASONS.contains(&name.as_str()) && value.is_string() => {
                        *value = json!("boredom");
                    }
                    // The protocol without such a field has a status.
                    Lie::Finish if name == "status" && value == "completed" => {
                        *value = json!("bored");
                    }
                    _ => change(value, lie),
                }
            }
        }
        _ => {}
    }
}
