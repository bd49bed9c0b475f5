//! What a plugin says about itself, checked.

use serde_json::{Map, Value};
use stepmill_core::capability::{Capability, DatabaseRule, HttpRule, ModelPattern};
use stepmill_core::ids::{SecretName, WorkflowId};
use stepmill_core::plugin::{Description, WorkflowKind};

use crate::load::LoadFailure;
use crate::settings::LoadLimits;

/// The answer of `describe`, in any version of the contract. Nothing is known about it yet.
pub(crate) struct Claimed {
    pub(crate) id: String,
    pub(crate) kind: WorkflowKind,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) input_schema: Option<String>,
    pub(crate) capabilities: Vec<Asked>,
}

/// A capability as asked for.
pub(crate) enum Asked {
    Clock,
    Randomness,
    Config,
    KeyValue,
    Model(String),
    Http(String),
    Database(String),
    Secret(String),
}

/// Checks lengths and forms. Whether the schema is a good schema is not known here.
pub(crate) fn check(claimed: Claimed, limits: &LoadLimits) -> Result<Description, LoadFailure> {
    let Claimed { id, kind, name, description, input_schema, capabilities } = claimed;
    let id = WorkflowId::new(id).map_err(|it| bad("id", it))?;
    short("name", name.as_deref(), limits.name_bytes)?;
    short("description", description.as_deref(), limits.description_bytes)?;
    short("input-schema", input_schema.as_deref(), limits.schema_bytes)?;
    let input_schema = input_schema.as_deref().map(object).transpose()?;
    if limits.capabilities < capabilities.len() {
        return Err(bad(
            "capabilities",
            format_args!("must not be more than {}", limits.capabilities),
        ));
    }
    let capabilities = capabilities.into_iter().map(capability).collect::<Result<_, _>>()?;
    Ok(Description { id, kind, name, description, input_schema, capabilities })
}

fn short(place: &str, text: Option<&str>, limit: usize) -> Result<(), LoadFailure> {
    match text {
        Some(text) if limit < text.len() => {
            Err(bad(place, format_args!("must not be longer than {limit} bytes")))
        }
        _ => Ok(()),
    }
}

fn object(schema: &str) -> Result<Map<String, Value>, LoadFailure> {
    serde_json::from_str(schema).map_err(|_| bad("input-schema", "must be a JSON object"))
}

fn capability(asked: Asked) -> Result<Capability, LoadFailure> {
    Ok(match asked {
        Asked::Clock => Capability::Clock,
        Asked::Randomness => Capability::Randomness,
        Asked::Config => Capability::Config,
        Asked::KeyValue => Capability::KeyValue,
        Asked::Model(name) => Capability::Model(
            ModelPattern::new(&name)
                .ok_or_else(|| bad("capability model", "must name models, `*` for any text"))?,
        ),
        Asked::Http(rule) => {
            Capability::Http(HttpRule::new(&rule).map_err(|it| bad("capability http:", it))?)
        }
        Asked::Database(rule) => {
            Capability::Database(DatabaseRule::new(&rule).ok_or_else(|| {
                bad("capability database", "must be a name, or a name and `:write`")
            })?)
        }
        Asked::Secret(name) => Capability::Secret(
            SecretName::new(name).map_err(|it| bad("capability secret: the name", it))?,
        ),
    })
}

fn bad(place: &str, rule: impl ToString) -> LoadFailure {
    LoadFailure::BadDescription { place: place.to_owned(), rule: rule.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed() -> Claimed {
        Claimed {
            id: "seed".to_owned(),
            kind: WorkflowKind::Factory,
            name: None,
            description: None,
            input_schema: None,
            capabilities: vec![],
        }
    }

    fn fault(claimed: Claimed) -> String {
        check(claimed, &LoadLimits::default()).expect_err("the description is bad").to_string()
    }

    #[test]
    fn a_good_description_is_taken_over() {
        let claimed = Claimed {
            input_schema: Some(r#"{"type":"object"}"#.to_owned()),
            capabilities: vec![
                Asked::Clock,
                Asked::Http("API.example.com".to_owned()),
                Asked::Database("orders:write".to_owned()),
            ],
            ..claimed()
        };
        let description = check(claimed, &LoadLimits::default()).unwrap();
        assert_eq!(description.id.as_str(), "seed");
        assert_eq!(description.input_schema.unwrap()["type"], "object");
        let http = Capability::parse("http:api.example.com").unwrap();
        let database = Capability::parse("database:orders:write").unwrap();
        assert_eq!(description.capabilities, [Capability::Clock, http, database]);
    }

    #[test]
    fn every_part_has_its_rule() {
        let text = |it: usize| Some("x".repeat(it));
        let cases = [
            (
                Claimed { id: "a/b".to_owned(), ..claimed() },
                "the plugin's description: id must not contain '/'",
            ),
            (
                Claimed { name: text(257), ..claimed() },
                "the plugin's description: name must not be longer than 256 bytes",
            ),
            (
                Claimed { description: text(4_097), ..claimed() },
                "the plugin's description: description must not be longer than 4096 bytes",
            ),
            (
                Claimed { input_schema: text(65_537), ..claimed() },
                "the plugin's description: input-schema must not be longer than 65536 bytes",
            ),
            (
                Claimed { input_schema: Some("[]".to_owned()), ..claimed() },
                "the plugin's description: input-schema must be a JSON object",
            ),
            (
                Claimed { capabilities: (0..65).map(|_| Asked::Clock).collect(), ..claimed() },
                "the plugin's description: capabilities must not be more than 64",
            ),
            (
                Claimed { capabilities: vec![Asked::Http("https://a".to_owned())], ..claimed() },
                "the plugin's description: capability http: `https://a` is no place for requests: \
                 a DNS name or address is one, optionally with `*.` before it, methods such as \
                 `GET,HEAD` and a blank in front, and a path such as `/v1/*` behind",
            ),
            (
                Claimed { capabilities: vec![Asked::Database("a b".to_owned())], ..claimed() },
                "the plugin's description: capability database must be a name, or a name and `:write`",
            ),
            (
                Claimed { capabilities: vec![Asked::Secret("A".to_owned())], ..claimed() },
                "the plugin's description: capability secret: the name must not contain 'A'",
            ),
        ];
        for (claimed, expected) in cases {
            assert_eq!(fault(claimed), expected);
        }
    }

    #[test]
    fn a_schema_that_is_nested_without_end_is_refused_and_not_read() {
        let schema = format!("{{\"a\":{}", "[".repeat(60_000));
        assert!(fault(Claimed { input_schema: Some(schema), ..claimed() }).contains("JSON object"));
    }
}
