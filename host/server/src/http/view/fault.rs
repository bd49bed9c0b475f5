//! Why a request was not answered, as clients read it.

use serde::Serialize;
use utoipa::ToSchema;

/// One sentence for people, and a stable word for programs where there is one.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fault {
    /// What went wrong.
    pub detail: String,
    /// What went wrong, in a word that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<&'static str>,
}

/// Everything that is missing or malformed in a request.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldFaults {
    /// One fault for each field.
    pub detail: Vec<FieldFaultView>,
}

/// One field that is missing or malformed.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldFaultView {
    /// Which rule is broken: `missing`, `bool_parsing`, …
    pub r#type: &'static str,
    /// Where: `body` or `query`, and the field.
    pub loc: [&'static str; 2],
    /// The rule, for people.
    pub msg: &'static str,
    /// What was given.
    #[schema(required)]
    pub input: Option<String>,
}

/// A run that failed, or that the host leaves to its next start; or why there is none.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunFault {
    /// What went wrong.
    #[schema(required)]
    pub detail: Option<String>,
    /// What went wrong, in a word that does not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<&'static str>,
    /// The run, if there is one: it can be read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<uuid::Uuid>,
    /// The run's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Where the run stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}
