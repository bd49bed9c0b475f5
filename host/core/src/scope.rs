//! Scopes: what a token says its holder may do, and whether that covers what is asked.

use std::collections::BTreeSet;

/// The scope of a tenant's admin, unless an issuer calls it otherwise.
pub const ADMIN: &str = "agent_os:admin";

/// The scope of the host's operator, unless an issuer calls it otherwise.
pub const OPERATOR: &str = "stepmill:operator";

/// What the host itself asks scopes for.
const RESOURCES: [&str; 11] = [
    "agents",
    "config",
    "metrics",
    "plugins",
    "secrets",
    "sessions",
    "system",
    "teams",
    "traces",
    "usage",
    "workflows",
];

/// Whether the host itself reads this scope. Any other one means something to factories only.
pub fn is_of_the_host(scope: &str) -> bool {
    scope == ADMIN
        || scope.split_once(':').is_some_and(|(resource, _)| RESOURCES.contains(&resource))
}

/// What a caller has to be allowed to do, such as `workflows:run`, for all or for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right<'a> {
    /// `workflows`
    pub resource: &'a str,
    /// The one it is about; `None` for the resource as a whole.
    pub id: Option<&'a str>,
    /// `run`
    pub action: &'a str,
}

impl Right<'static> {
    /// The right to do something with a resource as a whole, written `resource:action`. A word
    /// without a colon is an action on nothing, which only an admin may do.
    pub const fn new(text: &'static str) -> Self {
        let mut at = 0;
        while at < text.len() && text.as_bytes()[at] != b':' {
            at += 1;
        }
        let (resource, rest) = text.split_at(at);
        let action = if rest.is_empty() { rest } else { rest.split_at(1).1 };
        Self { resource, id: None, action }
    }
}

impl<'a> Right<'a> {
    /// The same, about one thing.
    pub fn on(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Whether one of these scopes gives the right. `resource:action` and `resource:*:action`
    /// give it for the whole resource, `resource:<id>:action` for one thing. Anything else,
    /// four and more parts included, gives nothing.
    pub fn is_given_by(&self, scopes: &BTreeSet<String>) -> bool {
        self.covered(scopes).any(|of| of == Of::All || (of != Of::Nothing && of == self.of()))
    }

    /// Whether one of these scopes gives the right for at least one thing, whichever that is.
    pub fn is_given_somewhere_by(&self, scopes: &BTreeSet<String>) -> bool {
        self.covered(scopes).any(|of| of != Of::Nothing)
    }

    fn of(&self) -> Of<'a> {
        match self.id {
            None | Some("" | "*") => Of::Nothing,
            Some(id) => Of::One(id),
        }
    }

    /// What the scopes give of this resource and action.
    fn covered<'b>(&self, scopes: &'b BTreeSet<String>) -> impl Iterator<Item = Of<'b>> {
        scopes.iter().map(move |scope| {
            let mut parts = scope.split(':');
            let (resource, id, action) =
                match (parts.next(), parts.next(), parts.next(), parts.next()) {
                    (Some(resource), Some(action), None, None) => (resource, None, action),
                    (Some(resource), Some(id), Some(action), None) => (resource, Some(id), action),
                    _ => return Of::Nothing,
                };
            // Several scopes in one text, as OAuth writes them, are not several scopes.
            if scope.contains(char::is_whitespace) {
                return Of::Nothing;
            }
            if current(resource) != current(self.resource) || action != self.action {
                return Of::Nothing;
            }
            match id {
                None | Some("*") => Of::All,
                Some("") => Of::Nothing,
                Some(id) => Of::One(id),
            }
        })
    }
}

/// How much of a resource a scope is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of<'a> {
    Nothing,
    One(&'a str),
    All,
}

/// Tokens from before Agno renamed `system` still say so.
fn current(resource: &str) -> &str {
    if resource == "system" { "config" } else { resource }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|it| it.to_string()).collect()
    }

    const RUN: Right<'static> = Right::new("workflows:run");

    #[test]
    fn a_right_is_read_from_its_text() {
        assert_eq!(RUN, Right { resource: "workflows", id: None, action: "run" });
        assert_eq!(Right::new("word"), Right { resource: "word", id: None, action: "" });
    }

    #[test]
    fn a_scope_covers_all_of_a_resource_or_one() {
        for all in ["workflows:run", "workflows:*:run"] {
            assert!(RUN.is_given_by(&scopes(&[all])), "{all}");
            assert!(RUN.on("echo").is_given_by(&scopes(&[all])), "{all}");
        }
        let one = scopes(&["workflows:echo:run"]);
        assert!(RUN.on("echo").is_given_by(&one));
        assert!(!RUN.on("other").is_given_by(&one));
        assert!(!RUN.is_given_by(&one));
        assert!(RUN.is_given_somewhere_by(&one));
        assert!(!Right::new("workflows:read").is_given_somewhere_by(&one));
    }

    #[test]
    fn what_is_no_scope_gives_nothing() {
        for text in [
            "workflows:read",
            "sessions:run",
            "workflows",
            "workflows:",
            ":run",
            "",
            "*",
            "*:run",
            "workflows:*",
            "workflows::run",
            "workflows:echo:run:now",
            "workflows:*:*:run",
            "workflows:read workflows:run",
            "workflows:run ",
            "Workflows:run",
            "workflows:RUN",
        ] {
            let held = scopes(&[text]);
            assert!(!RUN.is_given_by(&held), "{text:?}");
            assert!(!RUN.on("echo").is_given_by(&held), "{text:?}");
            assert!(!RUN.is_given_somewhere_by(&held), "{text:?}");
        }
    }

    #[test]
    fn the_hosts_own_scopes_are_told_from_those_of_factories() {
        for scope in ["agent_os:admin", "workflows:run", "workflows:echo:run", "system:read"] {
            assert!(is_of_the_host(scope), "{scope}");
        }
        for scope in ["stepmill:operator", "billing:read", "workflows", "premium", "", ":run"] {
            assert!(!is_of_the_host(scope), "{scope}");
        }
    }

    #[test]
    fn an_id_that_looks_like_grammar_is_only_an_id() {
        let one = scopes(&["workflows:echo:run"]);
        for id in ["*", "", "echo:run", "ECHO"] {
            assert!(!RUN.on(id).is_given_by(&one), "{id:?}");
        }
        assert!(!RUN.on("echo").is_given_by(&scopes(&["workflows:ech*:run"])));
    }

    #[test]
    fn the_old_name_of_config_still_counts() {
        let read = Right::new("config:read");
        assert!(read.is_given_by(&scopes(&["system:read"])));
        assert!(read.is_given_by(&scopes(&["config:read"])));
        assert!(!read.is_given_by(&scopes(&["system:write"])));
    }
}
