//! `POST /api/chat` of Ollama: one JSON document a line.

use serde_json::{Value, json};

use super::{Ending, Script, Telling, Wire};

pub(super) fn script(telling: &Telling) -> Script {
    let reason = match telling.ending {
        Ending::Natural | Ending::Tool => "stop",
        Ending::Limit => "length",
        Ending::Filtered => "content_filter",
    };
    let chunk = |text: &str, done: bool| {
        let mut chunk = json!({
            "model": telling.model,
            "created_at": "2026-01-01T00:00:00Z",
            "message": { "role": "assistant", "content": text },
            "done": done,
        });
        if done && telling.ending == Ending::Tool {
            chunk["message"]["tool_calls"] =
                json!([{ "function": { "name": "rm", "arguments": {} } }]);
        }
        if done {
            chunk["done_reason"] = json!(reason);
            chunk["prompt_eval_count"] = json!(telling.input);
            chunk["eval_count"] = json!(telling.output);
        }
        chunk
    };
    let line = |value: &Value| format!("{value}\n");
    let error = json!({ "error": "Provider text" });
    Script {
        content_type: "application/x-ndjson",
        before: Vec::new(),
        deltas: telling.deltas.iter().map(|it| line(&chunk(it, false))).collect(),
        after: vec![line(&chunk("", true))],
        failed: line(&error),
        busy: line(&error),
        unknown: line(&json!({ "brand_new": 1 })),
        bad: "{\"message\": {\n".to_owned(),
        whole: chunk(&telling.text(), true),
        whole_failed: (500, error),
        wire: Wire::Ollama,
    }
}
