//! The five protocols: what a request asks, and what an answer looks like.

mod anthropic;
mod chat;
mod gemini;
mod ollama;
mod responses;

use serde_json::{Value, json};

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Responses,
    Chat,
    Anthropic,
    Gemini,
    Ollama,
}

/// What a request asks, whatever the protocol.
pub(crate) struct Ask {
    pub(crate) wire: Wire,
    pub(crate) model: String,
    pub(crate) instructions: String,
    pub(crate) message: String,
    pub(crate) streamed: bool,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Natural,
    Limit,
    Filtered,
    /// A call of a tool, and no text.
    Tool,
}

/// What is answered, whatever the protocol.
pub(crate) struct Telling {
    /// The number of the request.
    pub(crate) number: u64,
    pub(crate) model: String,
    pub(crate) deltas: Vec<String>,
    pub(crate) ending: Ending,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// An answer in a protocol's words. Frames are complete, with their line ends.
pub(crate) struct Script {
    pub(crate) content_type: &'static str,
    pub(crate) before: Vec<String>,
    pub(crate) deltas: Vec<String>,
    pub(crate) after: Vec<String>,
    /// A frame that reports a failure.
    pub(crate) failed: String,
    /// A frame that reports being overloaded.
    pub(crate) busy: String,
    /// A frame of a kind nobody knows.
    pub(crate) unknown: String,
    /// A frame that is no JSON.
    pub(crate) bad: String,
    /// The unary answer.
    pub(crate) whole: Value,
    /// A failure instead of a unary answer, with its status.
    pub(crate) whole_failed: (u16, Value),
    /// Whether errors look like Anthropic's or Google's.
    pub(crate) wire: Wire,
}

impl Ask {
    /// Reads the request; none if the path is no protocol's.
    pub(crate) fn read(path: &str, body: &Value) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        let asked = |wire, instructions: String, message: String| Self {
            wire,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            instructions,
            message,
            streamed: body["stream"].as_bool().unwrap_or(wire == Wire::Ollama),
        };
        if path.ends_with("/responses") {
            // Who sends no `instructions` sends a message of the developer instead.
            let said = ["system", "developer"].map(|role| of_role(&body["input"], role));
            let system = text(&body["instructions"]) + &said.concat();
            let message = match &body["input"] {
                Value::String(message) => message.clone(),
                items => last_of_role(items, "user"),
            };
            return Some(asked(Wire::Responses, system, message));
        }
        let messages = &body["messages"];
        let system = || of_role(messages, "system") + &of_role(messages, "developer");
        if path.ends_with("/chat/completions") {
            return Some(asked(Wire::Chat, system(), last_of_role(messages, "user")));
        }
        if path.ends_with("/api/chat") {
            return Some(asked(Wire::Ollama, system(), last_of_role(messages, "user")));
        }
        if path.ends_with("/v1/messages") {
            let system = text(&body["system"]);
            return Some(asked(Wire::Anthropic, system, last_of_role(messages, "user")));
        }
        let (model, verb) = path.rsplit_once("/models/")?.1.split_once(':')?;
        let system = text(&body["systemInstruction"]) + &text(&body["system_instruction"]);
        Some(Self {
            model: model.to_owned(),
            streamed: verb == "streamGenerateContent",
            ..asked(Wire::Gemini, system, last_of_role(&body["contents"], "user"))
        })
    }
}

/// The text of whatever a protocol puts text into.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(fields) => {
            let field = ["text", "content", "parts"].into_iter().find_map(|it| fields.get(it));
            field.map(text).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn of_role(messages: &Value, role: &str) -> String {
    let messages = messages.as_array().into_iter().flatten();
    messages.filter(|it| it["role"] == role).map(text).collect()
}

fn last_of_role(messages: &Value, role: &str) -> String {
    let mut messages = messages.as_array().into_iter().flatten().rev();
    messages.find(|it| it["role"] == role).map(text).unwrap_or_default()
}

impl Telling {
    pub(crate) fn of(ask: &Ask, number: u64, ending: Ending, details: bool) -> Self {
        let text =
            format!("[{}] instructions={} | input={}", ask.model, ask.instructions, ask.message);
        let deltas = if ending == Ending::Tool { vec![] } else { pieces(&text) };
        let words = |text: &str| text.split_whitespace().count() as u64;
        Self {
            number,
            model: ask.model.clone(),
            output: words(&text),
            deltas,
            ending,
            input: words(&ask.instructions) + words(&ask.message),
            cached: if details { 4 } else { 0 },
            reasoning: if details { 2 } else { 0 },
        }
    }

    pub(crate) fn text(&self) -> String {
        self.deltas.concat()
    }
}

/// At most four pieces of whole words.
fn pieces(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in text.split_inclusive(char::is_whitespace) {
        match words.last_mut() {
            // Blanks belong to the word before them.
            Some(last) if part.trim().is_empty() => last.push_str(part),
            _ => words.push(part.to_owned()),
        }
    }
    let size = words.len().div_ceil(4).max(1);
    words.chunks(size).map(|it| it.concat()).collect()
}

impl Wire {
    pub(crate) fn script(self, telling: &Telling) -> Script {
        match self {
            Self::Responses => responses::script(telling),
            Self::Chat => chat::script(telling),
            Self::Anthropic => anthropic::script(telling),
            Self::Gemini => gemini::script(telling),
            Self::Ollama => ollama::script(telling),
        }
    }
}

impl Script {
    /// The body of an error status. It repeats what no log may show.
    pub(crate) fn error(&self, status: u16) -> Value {
        let message = "Provider text: your prompt was secret and so was your key";
        let (code, kind) = match status {
            429 => ("rate_limit_exceeded", "rate_limit_error"),
            401 | 403 => ("invalid_api_key", "authentication_error"),
            400..500 => ("invalid_value", "invalid_request_error"),
            _ => ("server_error", "api_error"),
        };
        match self.wire {
            Wire::Anthropic => {
                json!({ "type": "error", "error": { "type": kind, "message": message } })
            }
            Wire::Gemini => {
                let word = match status {
                    429 => "RESOURCE_EXHAUSTED",
                    401 | 403 => "PERMISSION_DENIED",
                    400..500 => "INVALID_ARGUMENT",
                    _ => "INTERNAL",
                };
                json!({ "error": { "code": status, "status": word, "message": message } })
            }
            Wire::Ollama => json!({ "error": message }),
            Wire::Responses | Wire::Chat => {
                json!({ "error": { "type": kind, "code": code, "message": message } })
            }
        }
    }
}

/// A server-sent event without a name.
fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// A server-sent event with its name.
fn event(value: &Value) -> String {
    format!("event: {}\n{}", value["type"].as_str().unwrap_or_default(), data(value))
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_are_whole_words() {
        assert_eq!(pieces("a b  c\n d"), ["a ", "b  ", "c\n ", "d"]);
        assert_eq!(pieces("a b c d e"), ["a b ", "c d ", "e"]);
        assert_eq!(pieces("a"), ["a"]);
    }
}
