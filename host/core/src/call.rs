//! Calls: what the host asks of a model or of a plugin's function.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::agent::{Agent, ModelName};
use crate::event::StepOutput;
use crate::extras::{Extras, Media};
use crate::graph::FunctionCall;
use crate::ids::{RunId, SessionId, UserId};
use crate::run::PastRun;

/// One question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// Which model.
    pub model: ModelName,
    /// The system prompt; empty sends none.
    pub instructions: String,
    /// The user's message.
    pub message: String,
    /// Between 0 and 2.
    pub temperature: Option<f32>,
    /// The most tokens of the answer.
    pub max_output_tokens: Option<u32>,
    /// What comes with the message.
    pub media: Arc<[Media]>,
}

impl ModelRequest {
    /// What an agent asks with these instructions when it is given a message, and media with it.
    pub fn of(agent: &Agent, instructions: String, message: String, media: Arc<[Media]>) -> Self {
        Self {
            model: agent.model.clone(),
            instructions,
            message,
            temperature: agent.temperature,
            max_output_tokens: agent.max_output_tokens,
            media,
        }
    }
}

/// What one earlier step produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepContent {
    /// The step's name.
    pub step: String,
    /// What it produced.
    pub content: String,
}

/// What a function step gets.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionInput {
    /// Which function, and what `build` left for it.
    pub function: FunctionCall,
    /// The step's name.
    pub step: String,
    /// The message the run was started with.
    pub message: String,
    /// What the step before produced.
    pub previous: Option<String>,
    /// What finished steps produced, in order; one for each name.
    pub outputs: Vec<StepContent>,
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Who it belongs to.
    pub user: Option<UserId>,
    /// The session's state, with what earlier steps changed.
    pub session_state: Map<String, Value>,
    /// What the client sent along.
    pub extras: Arc<Extras>,
    /// The earlier runs that the step is told of, latest last.
    pub history: Vec<PastRun>,
}

/// What a function step gave.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionAnswer {
    /// What the next step gets.
    pub output: StepOutput,
    /// The session's state from here on; `None` leaves it as it is.
    pub session_state: Option<Map<String, Value>>,
}
