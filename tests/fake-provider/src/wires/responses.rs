//! `POST /responses` of OpenAI.

use serde_json::{Value, json};

use super::{Ending, Script, Telling, Wire, event};

pub(super) fn script(telling: &Telling) -> Script {
    let mut sequence = 0;
    let mut numbered = |mut value: Value| {
        value["sequence_number"] = json!(sequence);
        sequence += 1;
        event(&value)
    };
    let text = telling.text();
    let item = format!("msg_{}", telling.number);
    let part = |text: &str| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
    let message = |status: &str, content: Value| json!({ "id": item, "type": "message", "status": status, "role": "assistant", "content": content });
    let (status, ended) = match telling.ending {
        Ending::Natural | Ending::Tool => ("completed", "response.completed"),
        _ => ("incomplete", "response.incomplete"),
    };
    let is_tool = telling.ending == Ending::Tool;
    let call = |status: &str| json!({ "id": "fc_1", "type": "function_call", "status": status, "call_id": "call_1", "name": "rm", "arguments": "{}" });
    let output = match is_tool {
        true => call("completed"),
        false => message("completed", json!([part(&text)])),
    };
    let whole = response(telling, status, json!([output]));
    let started = response(telling, "in_progress", json!([]));
    let mut failed = response(telling, "failed", json!([]));
    failed["error"] = json!({ "code": "server_error", "message": "Provider text" });

    let mut before = vec![
        numbered(json!({ "type": "response.created", "response": started })),
        numbered(json!({ "type": "response.in_progress", "response": started })),
    ];
    let begun = [
        numbered(
            json!({ "type": "response.output_item.added", "output_index": 0, "item": message("in_progress", json!([])) }),
        ),
        numbered(
            json!({ "type": "response.content_part.added", "item_id": item, "output_index": 0, "content_index": 0, "part": part("") }),
        ),
    ];
    if !is_tool {
        before.extend(begun);
    }
    let unknown = numbered(json!({ "type": "response.brand_new.delta", "value": 1 }));
    let deltas = telling.deltas.iter().map(|it| {
        numbered(json!({ "type": "response.output_text.delta", "item_id": item, "output_index": 0, "content_index": 0, "delta": it, "logprobs": [] }))
    });
    let deltas = deltas.collect();
    let ended = numbered(json!({ "type": ended, "response": whole }));
    let of_tool = [
        numbered(
            json!({ "type": "response.output_item.added", "output_index": 0, "item": call("in_progress") }),
        ),
        numbered(
            json!({ "type": "response.output_item.done", "output_index": 0, "item": call("completed") }),
        ),
    ];
    let of_text = [
        numbered(
            json!({ "type": "response.output_text.done", "item_id": item, "output_index": 0, "content_index": 0, "text": text, "logprobs": [] }),
        ),
        numbered(
            json!({ "type": "response.content_part.done", "item_id": item, "output_index": 0, "content_index": 0, "part": part(&text) }),
        ),
        numbered(
            json!({ "type": "response.output_item.done", "output_index": 0, "item": message("completed", json!([part(&text)])) }),
        ),
    ];
    let mut after = if is_tool { of_tool.to_vec() } else { of_text.to_vec() };
    after.push(ended);
    Script {
        content_type: "text/event-stream",
        before,
        deltas,
        after,
        failed: numbered(json!({ "type": "response.failed", "response": failed })),
        busy: numbered(
            json!({ "type": "error", "code": "rate_limit_exceeded", "message": "Provider text", "param": null }),
        ),
        unknown,
        bad: "event: response.output_text.delta\ndata: {\"type\": \"response.out\n\n".to_owned(),
        whole,
        whole_failed: (200, failed),
        wire: Wire::Responses,
    }
}

fn response(telling: &Telling, status: &str, output: Value) -> Value {
    let incomplete = match (status, telling.ending) {
        ("incomplete", Ending::Limit) => json!({ "reason": "max_output_tokens" }),
        ("incomplete", _) => json!({ "reason": "content_filter" }),
        _ => Value::Null,
    };
    let usage = match status {
        "in_progress" => Value::Null,
        _ => json!({
            "input_tokens": telling.input,
            "input_tokens_details": { "cached_tokens": telling.cached },
            "output_tokens": telling.output,
            "output_tokens_details": { "reasoning_tokens": telling.reasoning },
            "total_tokens": telling.input + telling.output,
        }),
    };
    json!({
        "id": format!("resp_{}", telling.number),
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": null,
        "incomplete_details": incomplete,
        "model": telling.model,
        "output": output,
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        "metadata": {},
    })
}
