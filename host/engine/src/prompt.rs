//! What an agent is asked: its instructions and its message, with what the run knows filled in as
//! Agno fills it in.

use serde_json::{Map, Value};
use stepmill_core::agent::Agent;
use stepmill_core::run::RunPin;

use crate::python::shown;

/// As large as the filled-in text may be. What would be larger, because a message names a long
/// value often, stays as it was written.
const FILLED_BYTES: usize = 4 * 1024 * 1024;

/// What a model is given of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The system prompt; empty sends none.
    pub instructions: String,
    /// The user's message.
    pub message: String,
}

impl Prompt {
    /// What the agent is asked with this input, while the session's state is this.
    pub fn of(pin: &RunPin, agent: &Agent, input: &str, state: &Map<String, Value>) -> Self {
        let values = Values { pin, state };
        let mut instructions = values.fill(agent.instructions.trim());
        if pin.extras.tells_state {
            let state = shown(&Value::Object(placed(pin, state)));
            if !instructions.is_empty() {
                instructions.push_str("\n\n\n");
            }
            instructions.push_str(&format!("<session_state>\n{state}\n</session_state>"));
        }
        let mut message = values.fill(input);
        if let Some(it) = pin.extras.dependencies.as_ref().filter(|_| pin.extras.tells_dependencies)
        {
            message.push_str(&format!("\n\n<additional context>\n{it:#}\n</additional context>"));
        }
        Self { instructions, message }
    }
}

/// The session's state and where an agent runs; what the state says of that itself does not count.
pub fn placed(pin: &RunPin, state: &Map<String, Value>) -> Map<String, Value> {
    let mut placed = state.clone();
    let place = [
        ("current_user_id", pin.user.as_ref().map(|it| it.as_str().to_owned())),
        ("current_session_id", Some(pin.session.as_str().to_owned())),
        ("current_run_id", Some(pin.id.to_string())),
    ];
    for (key, said) in place {
        if let Some(said) = said {
            placed.insert(key.to_owned(), said.into());
        }
    }
    placed
}

/// What texts may name: the state's fields first, then dependencies, metadata and the user.
struct Values<'a> {
    pin: &'a RunPin,
    state: &'a Map<String, Value>,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let text = |it: &str| Some(it.to_owned());
        let known = match name {
            "current_session_id" => text(self.pin.session.as_str()),
            "current_run_id" => Some(self.pin.id.to_string()),
            "current_user_id" => self.pin.user.as_ref().map(|it| it.as_str().to_owned()),
            _ => None,
        };
        let dependencies = self.pin.extras.dependencies.as_ref().and_then(Value::as_object);
        known
            .or_else(|| self.state.get(name).map(shown))
            .or_else(|| dependencies?.get(name).map(shown))
            .or_else(|| self.pin.extras.metadata.get(name).map(shown))
            .or_else(|| text(self.pin.user.as_ref().filter(|_| name == "user_id")?.as_str()))
    }

    /// `{name}`, `${name}` and `$name` become the value of that name, `$$` becomes `$`. What names
    /// nothing stays.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '$']) {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let (taken, value) = self.place(rest);
            match value {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&rest[..taken]),
            }
            rest = &rest[taken..];
            if FILLED_BYTES < filled.len() {
                return text.to_owned();
            }
        }
        filled.push_str(rest);
        filled
    }

    /// How much of a text that begins with `{` or `$` is one place, and what stands there instead.
    fn place(&self, text: &str) -> (usize, Option<String>) {
        let braced = |inner: &str| {
            let name = &inner[..inner.find('}')?];
            Some((name.len() + 1, self.get(name)?, is_identifier(name)))
        };
        if let Some(inner) = text.strip_prefix('{') {
            return match braced(inner) {
                Some((taken, value, true)) => (1 + taken, Some(value)),
                // A name that Python's templates cannot hold is marked, and left.
                Some((taken, _, false)) => (1 + taken, Some(format!("${}", &text[..1 + taken]))),
                None => (1, None),
            };
        }
        let after = &text[1..];
        if after.starts_with('$') {
            return (2, Some("$".to_owned()));
        }
        if let Some(inner) = after.strip_prefix('{') {
            // A known name in braces was given a `$` of its own, so that the one before it is `$$`.
            return match braced(inner) {
                Some((taken, ..)) => (2 + taken, None),
                None => (1, None),
            };
        }
        let end = after.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        let name = &after[..end.unwrap_or(after.len())];
        match self.get(name).filter(|_| is_identifier(name)) {
            Some(value) => (1 + name.len(), Some(value)),
            None => (1, None),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphabetic() || it == '_';
    name.starts_with(letter) && name.chars().all(|it| letter(it) || it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use stepmill_core::agent::ModelName;
    use stepmill_core::context::{RequestContext, RequestFacts};
    use stepmill_core::extras::Extras;
    use stepmill_core::graph::{GraphDraft, GraphLimits, NodeDraft};
    use stepmill_core::ids::{RunId, SessionId, TenantId, UserId, WorkflowId};
    use stepmill_core::principal::TrustedClaims;
    use stepmill_core::run::{Origin, Telling};
    use stepmill_core::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn pin(extras: Extras, state: Value) -> RunPin {
        let tenant = TenantId::new("ten").unwrap();
        let user = Some(UserId::new("u7").unwrap());
        let context = RequestContext {
            tenant,
            user: user.clone(),
            session: None,
            input: None,
            trusted: TrustedClaims::default(),
            request: RequestFacts { method: "POST".into(), path: "/".into(), headers: vec![] },
        };
        let draft = GraphDraft::new("W", vec![NodeDraft::Sequence(vec![])], 0);
        RunPin {
            id: RunId::from_uuid(Uuid::nil()),
            workflow: WorkflowId::new("w").unwrap(),
            session: SessionId::new("s-1").unwrap(),
            user,
            input: String::new(),
            extras: Arc::new(extras),
            session_state: state.as_object().unwrap().clone(),
            telling: Telling::Quiet,
            origin: Origin::Declared,
            context: Arc::new(context),
            graph: Arc::new(draft.check(&GraphLimits::default()).unwrap()),
            created_at: Timestamp::from_micros(0),
        }
    }

    fn asked(extras: Extras, state: Value, instructions: &str, input: &str) -> Prompt {
        let agent = Agent {
            name: "A".into(),
            model: ModelName { id: "m".into(), provider: None },
            instructions: instructions.into(),
            temperature: None,
            max_output_tokens: None,
        };
        let pin = pin(extras, state);
        Prompt::of(&pin, &agent, input, &pin.session_state)
    }

    #[test]
    fn names_in_texts_become_their_values() {
        let extras = || Extras {
            dependencies: Some(json!({ "d": { "k": 1 }, "s": "hidden" })),
            metadata: json!({ "m": "meta" }).as_object().unwrap().clone(),
            ..Extras::default()
        };
        for (text, expected) in [
            ("{s} {{s}} $s $$ ${s} {zz} $zz ${zz}", "1 {1} 1 $ ${s} {zz} $zz ${zz}"),
            ("{d} in {m} of {user_id}", "{'k': 1} in meta of u7"),
            ("{current_session_id}", "s-1"),
            ("cost $$5 or $5 {", "cost $5 or $5 {"),
            ("{a-b} ${a-b}", "${a-b} ${a-b}"),
            ("$${s} {é}", "$1 {é}"),
        ] {
            let asked = asked(extras(), json!({ "s": 1, "a-b": 2 }), text, text);
            assert_eq!((asked.instructions.as_str(), asked.message.as_str()), (expected, expected));
        }
    }

    #[test]
    fn agents_are_told_of_state_and_dependencies_where_that_is_asked_for() {
        let dependencies = Some(json!({ "d": [1], "e": {} }));
        let extras = Extras { dependencies, ..Extras::default() };
        let quiet = asked(extras.clone(), json!({ "n": null }), " Be first.\n", "hi");
        assert_eq!((quiet.instructions.as_str(), quiet.message.as_str()), ("Be first.", "hi"));
        let extras = Extras { tells_dependencies: true, tells_state: true, ..extras };
        let told = asked(extras, json!({ "n": null, "current_run_id": 1 }), "Be first.", "hi");
        assert_eq!(
            told.instructions,
            "Be first.\n\n\n<session_state>\n{'n': None, \
             'current_run_id': '00000000-0000-0000-0000-000000000000', 'current_user_id': 'u7', \
             'current_session_id': 's-1'}\n</session_state>"
        );
        assert_eq!(
            told.message,
            "hi\n\n<additional context>\n{\n  \"d\": [\n    1\n  ],\n  \"e\": {}\n}\n</additional context>"
        );
    }

    #[test]
    fn what_would_grow_without_bounds_stays_as_it_was_written() {
        let text = "{s}".repeat(1_000);
        let asked = asked(Extras::default(), json!({ "s": "x".repeat(10_000) }), "", &text);
        assert_eq!(asked.message, text);
    }
}
