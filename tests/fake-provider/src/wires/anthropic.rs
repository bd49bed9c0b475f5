//! `POST /v1/messages` of Anthropic.

use serde_json::{Value, json};

use super::{Ending, Script, Telling, Wire, event};

pub(super) fn script(telling: &Telling) -> Script {
    let stop = match telling.ending {
        Ending::Natural => "end_turn",
        Ending::Limit => "max_tokens",
        Ending::Filtered => "refusal",
        Ending::Tool => "tool_use",
    };
    let is_tool = telling.ending == Ending::Tool;
    let tool = json!({ "type": "tool_use", "id": "toolu_1", "name": "rm", "input": {} });
    // Cached tokens are not among the input tokens of this protocol.
    let usage = |output: u64| {
        json!({
            "input_tokens": telling.input - telling.cached.min(telling.input),
            "cache_read_input_tokens": telling.cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": output,
        })
    };
    let message = |content: Value, stop: Value, usage: Value| {
        json!({
            "id": format!("msg_{}", telling.number),
            "type": "message",
            "role": "assistant",
            "model": telling.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": null,
            "usage": usage,
        })
    };
    let text = json!({ "type": "text", "text": telling.text() });
    let content = if is_tool { tool.clone() } else { text };
    let begun = if is_tool { tool } else { json!({ "type": "text", "text": "" }) };
    let deltas = telling.deltas.iter().map(|it| {
        event(&json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": it } }))
    });
    let error = |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "Provider text" } });
    Script {
        content_type: "text/event-stream",
        before: vec![
            event(
                &json!({ "type": "message_start", "message": message(json!([]), Value::Null, usage(1)) }),
            ),
            event(&json!({ "type": "ping" })),
            event(&json!({ "type": "content_block_start", "index": 0, "content_block": begun })),
        ],
        deltas: deltas.collect(),
        after: vec![
            event(&json!({ "type": "content_block_stop", "index": 0 })),
            event(
                &json!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null }, "usage": { "output_tokens": telling.output } }),
            ),
            event(&json!({ "type": "message_stop" })),
        ],
        failed: event(&error("api_error")),
        busy: event(&error("overloaded_error")),
        unknown: event(&json!({ "type": "brand_new", "value": 1 })),
        bad: "event: content_block_delta\ndata: {\"type\": \"content_bl\n\n".to_owned(),
        whole: message(json!([content]), json!(stop), usage(telling.output)),
        whole_failed: (500, error("api_error")),
        wire: Wire::Anthropic,
    }
}
