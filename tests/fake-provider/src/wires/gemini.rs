//! `generateContent` of Google.

use serde_json::{Value, json};

use super::{Ending, Script, Telling, Wire, data};

pub(super) fn script(telling: &Telling) -> Script {
    let finish = match telling.ending {
        Ending::Natural => "STOP",
        Ending::Limit => "MAX_TOKENS",
        Ending::Filtered => "SAFETY",
        Ending::Tool => "STOP",
    };
    let is_tool = telling.ending == Ending::Tool;
    let chunk = |text: &str, finish: Value| {
        let part = match is_tool {
            true => json!({ "functionCall": { "name": "rm", "args": {} } }),
            false => json!({ "text": text }),
        };
        let mut candidate = json!({ "content": { "parts": [part], "role": "model" }, "index": 0 });
        if !finish.is_null() {
            candidate["finishReason"] = finish;
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": telling.input,
                // Thoughts are not among the candidates' tokens of this protocol.
                "candidatesTokenCount": telling.output - telling.reasoning.min(telling.output),
                "thoughtsTokenCount": telling.reasoning,
                "cachedContentTokenCount": telling.cached,
                "totalTokenCount": telling.input + telling.output,
            },
            "modelVersion": telling.model,
            "responseId": format!("gem_{}", telling.number),
        })
    };
    let last = telling.deltas.len().saturating_sub(1);
    let deltas = telling.deltas.iter().enumerate().map(|(place, text)| {
        let finish = if place == last { json!(finish) } else { Value::Null };
        data(&chunk(text, finish))
    });
    let error = |status: u16, word: &str| json!({ "error": { "code": status, "status": word, "message": "Provider text" } });
    // A call of a tool comes whole, in one chunk.
    let after = if is_tool { vec![data(&chunk("", json!(finish)))] } else { Vec::new() };
    Script {
        content_type: "text/event-stream",
        before: Vec::new(),
        deltas: deltas.collect(),
        after,
        failed: data(&error(500, "INTERNAL")),
        busy: data(&error(503, "UNAVAILABLE")),
        unknown: data(&json!({ "brandNew": 1 })),
        bad: "data: {\"candidates\": [\n\n".to_owned(),
        whole: chunk(&telling.text(), json!(finish)),
        whole_failed: (500, error(500, "INTERNAL")),
        wire: Wire::Gemini,
    }
}
