//! The stored form of what a plugin says about itself.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::capability::{Capability, DatabaseRule, HttpRule, ModelPattern};
use stepmill_core::ids::{SecretName, WorkflowId};
use stepmill_core::plugin::{Description, WorkflowKind};

use super::{V1, check_depth, parse, text};
use crate::error::StoreError;

const WHAT: &str = "a plugin's description";

#[derive(Serialize, Deserialize)]
pub(super) struct DescriptionForm<'a> {
    v: V1,
    id: Cow<'a, str>,
    /// Absent: a factory.
    #[serde(default, skip_serializing_if = "KindForm::is_factory")]
    kind: KindForm,
    name: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    input_schema: Option<Cow<'a, Map<String, Value>>>,
    capabilities: Vec<CapabilityForm<'a>>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum KindForm {
    #[default]
    Factory,
    Prototype,
}

impl KindForm {
    fn is_factory(&self) -> bool {
        matches!(self, Self::Factory)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CapabilityForm<'a> {
    Clock,
    Randomness,
    Config,
    KeyValue,
    Model(Cow<'a, str>),
    Http(Cow<'a, str>),
    Database(Cow<'a, str>),
    Secret(Cow<'a, str>),
}

pub(crate) fn write(description: &Description) -> Result<String, StoreError> {
    check_depth(description.input_schema.as_ref())?;
    Ok(text(&form(description)))
}

pub(super) fn form(description: &Description) -> DescriptionForm<'_> {
    let capability = |it| match it {
        &Capability::Clock => CapabilityForm::Clock,
        Capability::Randomness => CapabilityForm::Randomness,
        Capability::Config => CapabilityForm::Config,
        Capability::KeyValue => CapabilityForm::KeyValue,
        Capability::Model(pattern) => CapabilityForm::Model(pattern.as_str().into()),
        Capability::Http(rule) => CapabilityForm::Http(rule.to_string().into()),
        Capability::Database(rule) => CapabilityForm::Database(rule.to_string().into()),
        Capability::Secret(name) => CapabilityForm::Secret(name.as_str().into()),
    };
    DescriptionForm {
        v: V1,
        id: description.id.as_str().into(),
        kind: match description.kind {
            WorkflowKind::Factory => KindForm::Factory,
            WorkflowKind::Prototype => KindForm::Prototype,
        },
        name: description.name.as_deref().map(Cow::from),
        description: description.description.as_deref().map(Cow::from),
        input_schema: description.input_schema.as_ref().map(Cow::Borrowed),
        capabilities: description.capabilities.iter().map(capability).collect(),
    }
}

pub(crate) fn read(text: &str) -> Result<Description, StoreError> {
    let form: DescriptionForm<'static> = parse(WHAT, text)?;
    let capabilities = form.capabilities.into_iter().map(capability).collect::<Result<_, _>>()?;
    Ok(Description {
        id: WorkflowId::new(form.id).map_err(|_| StoreError::unreadable(format!("{WHAT}'s id")))?,
        kind: match form.kind {
            KindForm::Factory => WorkflowKind::Factory,
            KindForm::Prototype => WorkflowKind::Prototype,
        },
        name: form.name.map(Cow::into_owned),
        description: form.description.map(Cow::into_owned),
        input_schema: form.input_schema.map(Cow::into_owned),
        capabilities,
    })
}

fn capability(form: CapabilityForm<'_>) -> Result<Capability, StoreError> {
    let unreadable = || StoreError::unreadable(format!("{WHAT}'s capabilities"));
    Ok(match form {
        CapabilityForm::Clock => Capability::Clock,
        CapabilityForm::Randomness => Capability::Randomness,
        CapabilityForm::Config => Capability::Config,
        CapabilityForm::KeyValue => Capability::KeyValue,
        CapabilityForm::Model(name) => {
            Capability::Model(ModelPattern::new(&name).ok_or_else(unreadable)?)
        }
        CapabilityForm::Http(rule) => {
            Capability::Http(HttpRule::new(&rule).map_err(|_| unreadable())?)
        }
        CapabilityForm::Database(rule) => {
            Capability::Database(DatabaseRule::new(&rule).ok_or_else(unreadable)?)
        }
        CapabilityForm::Secret(name) => {
            Capability::Secret(SecretName::new(name).map_err(|_| unreadable())?)
        }
    })
}
