//! `POST /chat/completions` of OpenAI.

use serde_json::{Value, json};

use super::{Ending, Script, Telling, Wire, data};

pub(super) fn script(telling: &Telling) -> Script {
    let id = format!("chatcmpl-{}", telling.number);
    let finish = match telling.ending {
        Ending::Natural => "stop",
        Ending::Limit => "length",
        Ending::Filtered => "content_filter",
        Ending::Tool => "tool_calls",
    };
    let call = json!([{ "index": 0, "id": "call_1", "type": "function", "function": { "name": "rm", "arguments": "{}" } }]);
    let usage = json!({
        "prompt_tokens": telling.input,
        "completion_tokens": telling.output,
        "total_tokens": telling.input + telling.output,
        "prompt_tokens_details": { "cached_tokens": telling.cached },
        "completion_tokens_details": { "reasoning_tokens": telling.reasoning },
    });
    let chunk = |choices: Value, usage: Value| {
        data(
            &json!({ "id": id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": telling.model, "system_fingerprint": "fp_fake", "choices": choices, "usage": usage }),
        )
    };
    let choice = |delta: Value, finish: Value| {
        let choice =
            json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        chunk(json!([choice]), Value::Null)
    };
    let mut message = json!({ "role": "assistant", "content": telling.text(), "refusal": null });
    let mut before = vec![choice(json!({ "role": "assistant", "content": "" }), Value::Null)];
    if telling.ending == Ending::Tool {
        message["content"] = Value::Null;
        message["tool_calls"] = call.clone();
        before.push(choice(json!({ "tool_calls": call }), Value::Null));
    }
    let whole = json!({
        "id": id,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": telling.model,
        "system_fingerprint": "fp_fake",
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
        "usage": usage,
    });
    let deltas = telling.deltas.iter().map(|it| choice(json!({ "content": it }), Value::Null));
    let error =
        |code: &str| json!({ "error": { "message": "Provider text", "type": code, "code": code } });
    Script {
        content_type: "text/event-stream",
        before,
        deltas: deltas.collect(),
        after: vec![
            choice(json!({}), json!(finish)),
            chunk(json!([]), usage),
            "data: [DONE]\n\n".to_owned(),
        ],
        failed: data(&error("server_error")),
        busy: data(&error("rate_limit_exceeded")),
        unknown: data(&json!({ "id": id, "object": "brand.new", "choices": [] })),
        bad: "data: {\"choices\": [\n\n".to_owned(),
        whole,
        whole_failed: (500, error("server_error")),
        wire: Wire::Chat,
    }
}
