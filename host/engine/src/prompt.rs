//! What an agent is asked: its instructions and its message, with what the run knows filled in as
//! Agno fills it in.

use std::borrow::Cow;

use serde_json::{Map, Value};
use stepmill_core::agent::Agent;
use stepmill_core::json::indented;
use stepmill_core::run::{PastRun, RunPin};

use crate::python::shown;

/// Room for all that is filled into what one model call asks: more than models read.
pub(crate) const FILLED_BYTES: usize = 4 * 1024 * 1024;

/// What a model is given of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// The system prompt; empty sends none.
    pub instructions: Cow<'a, str>,
    /// The user's message.
    pub message: Cow<'a, str>,
    /// What the message was made of: the input, with the earlier runs before it.
    pub input: Cow<'a, str>,
}

impl<'a> Prompt<'a> {
    /// What the agent is asked with this input, after these earlier runs, while the session's state
    /// is this.
    ///
    /// What is filled in takes as many bytes of the room. From the first that does not fit, texts
    /// stay as they were written: a short one can name a long value many times.
    pub fn of(
        pin: &RunPin,
        agent: &'a Agent,
        history: &[PastRun],
        input: &'a str,
        state: &Map<String, Value>,
        room: &mut usize,
    ) -> Self {
        let values = Values { pin, state };
        let mut instructions = values.fill(agent.instructions.trim(), room);
        if pin.extras.tells_state && *room != 0 {
            let state = shown(&Value::Object(placed(pin, state)));
            if takes(room, state.len()) {
                let gap = if instructions.is_empty() { "" } else { "\n\n\n" };
                let told = format!("{gap}<session_state>\n{state}\n</session_state>");
                instructions.to_mut().push_str(&told);
            }
        }
        let input = after_history(history, input, room);
        let mut message = match &input {
            Cow::Borrowed(input) => values.fill(input, room),
            Cow::Owned(input) => values.fill(input, room).into_owned().into(),
        };
        if let Some(it) = pin.extras.dependencies.as_ref().filter(|_| pin.extras.tells_dependencies)
        {
            match indented(it, *room) {
                Some(told) => {
                    *room -= told.len();
                    let told = format!("\n\n<additional context>\n{told}\n</additional context>");
                    message.to_mut().push_str(&told);
                }
                None => *room = 0,
            }
        }
        Self { instructions, message, input }
    }
}

/// The input with the earlier runs before it, in Agno's words, if they fit.
fn after_history<'a>(history: &[PastRun], input: &'a str, room: &mut usize) -> Cow<'a, str> {
    let bytes: usize = history.iter().map(|it| it.input.len() + it.content.len()).sum();
    // Held twice: as it is, and with what is filled into it.
    if history.is_empty() || *room == 0 || !takes(room, 2 * bytes) {
        return input.into();
    }
    let mut told = String::from("<workflow_history_context>\n");
    for (number, run) in (1..).zip(history) {
        told.push_str(&format!("[Workflow Run-{number}]\n"));
        for (what, text) in [("User input", &run.input), ("Workflow output", &run.content)] {
            if !text.is_empty() {
                told.extend([what, ": ", text, "\n"]);
            }
        }
        told.push('\n');
    }
    told.extend(["</workflow_history_context>\n", input]);
    told.into()
}

/// Whether so many bytes fit. If not, nothing fits any more.
fn takes(room: &mut usize, bytes: usize) -> bool {
    let left = room.checked_sub(bytes);
    *room = left.unwrap_or_default();
    left.is_some()
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

/// What a name stands for.
enum Known<'a> {
    Text(Cow<'a, str>),
    Value(&'a Value),
}

/// What a place in a text becomes.
enum Becomes<'a> {
    /// What is written there.
    Itself,
    /// A `$`.
    Dollar,
    /// What is written there, behind a `$`.
    Marked,
    /// A value.
    Known(Known<'a>),
}

impl<'a> Values<'a> {
    fn find(&self, name: &str) -> Option<Known<'a>> {
        let Self { pin, state } = *self;
        let user = || Some(Known::Text(pin.user.as_ref()?.as_str().into()));
        let known = match name {
            "current_session_id" => Some(Known::Text(pin.session.as_str().into())),
            "current_run_id" => Some(Known::Text(pin.id.to_string().into())),
            "current_user_id" => user(),
            _ => None,
        };
        let dependencies = pin.extras.dependencies.as_ref().and_then(Value::as_object);
        known
            .or_else(|| state.get(name).map(Known::Value))
            .or_else(|| dependencies?.get(name).map(Known::Value))
            .or_else(|| pin.extras.metadata.get(name).map(Known::Value))
            .or_else(|| if name == "user_id" { user() } else { None })
    }

    /// `{name}`, `${name}` and `$name` become the value of that name, `$$` becomes `$`. What names
    /// nothing stays.
    fn fill<'t>(&self, text: &'t str, room: &mut usize) -> Cow<'t, str> {
        if *room == 0 || !text.contains(['{', '$']) {
            return text.into();
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '$']) {
            filled.push_str(&rest[..at]);
            let (place, becomes) = self.place(&rest[at..]);
            rest = &rest[at + place.len()..];
            match becomes {
                Becomes::Itself => filled.push_str(place),
                Becomes::Dollar => filled.push('$'),
                Becomes::Marked => filled.extend(["$", place]),
                Becomes::Known(known) => {
                    let value = match known {
                        Known::Text(text) => text,
                        Known::Value(value) => shown(value).into(),
                    };
                    if !takes(room, value.len()) {
                        return text.into();
                    }
                    filled.push_str(&value);
                }
            }
        }
        filled.push_str(rest);
        filled.into()
    }

    /// How much of a text that begins with `{` or `$` is one place, and what that becomes. Reads no
    /// further than to the next brace or the end of a name, so that a text is read about once.
    fn place<'t>(&self, text: &'t str) -> (&'t str, Becomes<'a>) {
        let braced = |inner: &'t str| {
            let name =
                &inner[..inner.find(['{', '}']).filter(|it| inner[*it..].starts_with('}'))?];
            Some((name, self.find(name)?))
        };
        if let Some(inner) = text.strip_prefix('{') {
            return match braced(inner) {
                Some((name, known)) => {
                    let is_name = is_identifier(name);
                    // A name that Python's templates cannot hold is marked, and left.
                    let becomes = if is_name { Becomes::Known(known) } else { Becomes::Marked };
                    (&text[..name.len() + 2], becomes)
                }
                None => (&text[..1], Becomes::Itself),
            };
        }
        let after = &text[1..];
        if after.starts_with('$') {
            return (&text[..2], Becomes::Dollar);
        }
        if let Some(inner) = after.strip_prefix('{') {
            // A known name in braces was given a `$` of its own, so that the one before it is `$$`.
            let taken = braced(inner).map_or(1, |(name, _)| name.len() + 3);
            return (&text[..taken], Becomes::Itself);
        }
        let end = after.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
        let name = &after[..end.unwrap_or(after.len())];
        match self.find(name).filter(|_| is_identifier(name)) {
            Some(known) => (&text[..name.len() + 1], Becomes::Known(known)),
            None => (&text[..1], Becomes::Itself),
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
            history: Arc::from([]),
            telling: Telling::Quiet,
            origin: Origin::Declared,
            context: Arc::new(context),
            graph: Arc::new(draft.check(&GraphLimits::default()).unwrap()),
            created_at: Timestamp::from_micros(0),
        }
    }

    fn asked(
        extras: Extras,
        state: Value,
        instructions: &str,
        input: &str,
        mut room: usize,
    ) -> (String, String, usize) {
        let agent = Agent {
            name: "A".into(),
            model: ModelName { id: "m".into(), provider: None },
            instructions: instructions.into(),
            temperature: None,
            max_output_tokens: None,
        };
        let pin = pin(extras, state);
        let Prompt { instructions, message, .. } =
            Prompt::of(&pin, &agent, &[], input, &pin.session_state, &mut room);
        (instructions.into_owned(), message.into_owned(), room)
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
            let (instructions, message, _) =
                asked(extras(), json!({ "s": 1, "a-b": 2 }), text, text, FILLED_BYTES);
            assert_eq!((instructions.as_str(), message.as_str()), (expected, expected));
        }
    }

    #[test]
    fn agents_are_told_of_state_and_dependencies_where_that_is_asked_for() {
        let dependencies = Some(json!({ "d": [1], "e": {} }));
        let extras = Extras { dependencies, ..Extras::default() };
        let (instructions, message, room) =
            asked(extras.clone(), json!({ "n": null }), " Be first.\n", "hi", 1);
        assert_eq!((instructions.as_str(), message.as_str(), room), ("Be first.", "hi", 1));
        let extras = Extras { tells_dependencies: true, tells_state: true, ..extras };
        let (instructions, message, _) = asked(
            extras,
            json!({ "n": null, "current_run_id": 1 }),
            "Be first.",
            "hi",
            FILLED_BYTES,
        );
        assert_eq!(
            instructions,
            "Be first.\n\n\n<session_state>\n{'n': None, \
             'current_run_id': '00000000-0000-0000-0000-000000000000', 'current_user_id': 'u7', \
             'current_session_id': 's-1'}\n</session_state>"
        );
        assert_eq!(
            message,
            "hi\n\n<additional context>\n{\n  \"d\": [\n    1\n  ],\n  \"e\": {}\n}\n</additional context>"
        );
    }

    #[test]
    fn earlier_runs_stand_before_the_input() {
        let run = |input: &str, content: &str| PastRun {
            input: input.to_owned(),
            content: content.to_owned(),
        };
        let history = [run("h0 {s}", "one"), run("h1", "")];
        let block = "<workflow_history_context>\n[Workflow Run-1]\nUser input: h0 {s}\n\
            Workflow output: one\n\n[Workflow Run-2]\nUser input: h1\n\n\
            </workflow_history_context>\n";
        let agent = Agent {
            name: "A".into(),
            model: ModelName { id: "m".into(), provider: None },
            instructions: String::new(),
            temperature: None,
            max_output_tokens: None,
        };
        let pin = pin(Extras::default(), json!({ "s": 1 }));
        let asked = |mut room: usize| {
            let it = Prompt::of(&pin, &agent, &history, "h2", &pin.session_state, &mut room);
            (it.input.into_owned(), it.message.into_owned(), room)
        };
        let told = format!("{block}h2");
        let filled = told.replace("{s}", "1");
        assert_eq!(asked(100), (told, filled, 100 - 2 * "h0 {s}oneh1".len() - 1));
        assert_eq!(asked(10), ("h2".to_owned(), "h2".to_owned(), 0));
    }

    #[test]
    fn from_the_first_that_does_not_fit_texts_stay_as_they_were_written() {
        let state = || json!({ "s": "x".repeat(10_000), "t": 1 });
        let text = "{s}".repeat(1_000);
        let (instructions, message, room) =
            asked(Extras::default(), state(), &text, "{t}", 100_000);
        assert_eq!((instructions, message.as_str(), room), (text, "{t}", 0));
        let extras = Extras { tells_state: true, ..Extras::default() };
        let (instructions, message, _) = asked(extras, state(), "Be first.", "{t}", 5_000);
        assert_eq!((instructions.as_str(), message.as_str()), ("Be first.", "{t}"));
        let deep = (0..60).fold(json!(vec![1; 10_000]), |it, _| json!([it]));
        let dependencies = Some(deep);
        let extras = Extras { tells_dependencies: true, dependencies, ..Extras::default() };
        let (_, message, room) = asked(extras, json!({}), "", "hi", 1_000_000);
        assert_eq!((message.as_str(), room), ("hi", 0));
    }

    #[test]
    fn a_long_text_is_read_about_once_whatever_it_is_made_of() {
        let state = || json!({ "s": "x".repeat(1_000_000), "a-b": "y".repeat(1_000_000) });
        let names = |piece: &str| piece.repeat(1_000_000 / piece.len());
        for piece in ["{", "{ {", "$", "${s}", "{a-b}", "$1", "$s$", "{s", "}"] {
            let text = names(piece) + "}";
            asked(Extras::default(), state(), &text, &text, FILLED_BYTES);
        }
    }
}
