//! Agents: one model with a standing order, described by a graph and run by the host.

use std::fmt;

/// A model as a graph names it; the host's configuration says what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// Such as `gpt-5.4`.
    pub id: String,
    /// A provider by the operator's name for it; `None` leaves the choice to the host.
    pub provider: Option<String>,
}

/// `gpt-5.4`, or `openai/gpt-5.4` where the graph names a provider.
impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            None => f.write_str(&self.id),
            Some(provider) => write!(f, "{provider}/{}", self.id),
        }
    }
}

/// Who does the work of an agent step.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Shown in events and results.
    pub name: String,
    /// What answers.
    pub model: ModelName,
    /// The system prompt.
    pub instructions: String,
    /// Between 0 and 2.
    pub temperature: Option<f32>,
    /// The most tokens of one answer.
    pub max_output_tokens: Option<u32>,
}

impl Agent {
    /// The name as an id: lower case, blanks as `-`.
    pub fn id(&self) -> String {
        self.name.trim().to_lowercase().replace(char::is_whitespace, "-")
    }
}

/// What one model call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Tokens of the answer that were spent on reasoning.
    pub reasoning_tokens: u64,
    /// Tokens of the prompt that the provider read from its cache.
    pub cache_read_tokens: u64,
    /// Tokens of the prompt that the provider wrote to its cache.
    pub cache_write_tokens: u64,
}

/// What a provider says of an answer as such: the same at its beginning and at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerMark {
    /// The provider's id of the answer, if it gives one.
    pub response_id: Option<String>,
    /// OpenAI's word for the configuration that answered.
    pub system_fingerprint: Option<String>,
}

/// What one model call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswer {
    /// The whole text.
    pub content: String,
    /// What it used.
    pub usage: Usage,
    /// What the provider says of it as such.
    pub mark: AnswerMark,
    /// Microseconds from the request to the first piece of the answer.
    pub first_token_micros: Option<u64>,
    /// Microseconds from the request to the end of the answer.
    pub duration_micros: u64,
}
