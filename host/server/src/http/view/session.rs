//! Sessions as listings and details show them.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use stepmill_core::graph::StepGraph;
use stepmill_core::ids::WorkflowId;
use stepmill_store::{ModelUsage, SessionOverview, SessionPage};
use utoipa::ToSchema;

use super::list::iso;
use crate::app::SessionDetail;

/// One line of the listing. Absent fields are left out.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionSchema)]
pub(crate) struct SessionLine<'a> {
    session_id: &'a str,
    session_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    session_state: Option<&'a Map<String, Value>>,
    created_at: String,
    updated_at: String,
    session_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<UsageView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_tokens: Option<u64>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = PaginatedResponse_SessionSchema_)]
pub(crate) struct SessionPageBody {
    #[schema(value_type = Vec<SessionLine<'static>>)]
    data: Vec<Box<RawValue>>,
    meta: Meta,
}

/// Which page it is.
#[derive(Serialize, ToSchema)]
#[schema(as = PaginationInfo)]
struct Meta {
    page: u64,
    limit: u32,
    total_pages: u64,
    total_count: u64,
    search_time_ms: f64,
}

/// A page of the listing.
pub(crate) fn page(lines: Vec<Box<RawValue>>, page: SessionPage, total: u64) -> SessionPageBody {
    let limit = u64::from(page.limit.max(1));
    SessionPageBody {
        data: lines,
        meta: Meta {
            page: page.offset / limit + 1,
            limit: page.limit,
            total_pages: total.div_ceil(limit),
            total_count: total,
            search_time_ms: 0.0,
        },
    }
}

/// One line of the listing as JSON text.
pub(crate) fn line(found: &SessionOverview) -> serde_json::Result<Box<RawValue>> {
    let session = &found.session;
    let metrics = found.opening.as_ref().map(|_| UsageView::of(&found.usage));
    to_raw_value(&SessionLine {
        session_id: session.id.as_str(),
        session_name: name(found),
        session_state: session.state.as_ref(),
        created_at: iso(session.created_at),
        updated_at: iso(session.updated_at),
        session_type: "workflow",
        user_id: session.user.as_ref().map(|it| it.as_str()),
        workflow_id: session.workflow.as_ref().map(|it| it.as_str()),
        total_tokens: metrics.as_ref().and_then(|it| it.total_tokens),
        metrics,
        metadata: session.metadata.clone().unwrap_or_default(),
    })
}

/// As it was named, or what it began with.
fn name(found: &SessionOverview) -> &str {
    found.session.name.as_deref().or(found.opening.as_deref()).unwrap_or_default()
}

/// What the runs of a session used; empty if they used no model.
#[derive(Serialize, ToSchema)]
struct UsageView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<UsageDetails<'a>>,
}

#[derive(Serialize, ToSchema)]
struct UsageDetails<'a> {
    model: Vec<UsageOf<'a>>,
}

#[derive(Serialize, ToSchema)]
struct UsageOf<'a> {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    id: &'a str,
    provider: &'a str,
}

impl<'a> UsageView<'a> {
    fn of(usage: &'a [ModelUsage]) -> Self {
        if usage.is_empty() {
            let none = None;
            return Self {
                input_tokens: none,
                output_tokens: none,
                total_tokens: none,
                details: None,
            };
        }
        let sum = |of: fn(&ModelUsage) -> u64| usage.iter().map(of).fold(0, u64::saturating_add);
        let (input, output) = (sum(|it| it.input_tokens), sum(|it| it.output_tokens));
        let model = |it: &'a ModelUsage| UsageOf {
            input_tokens: it.input_tokens,
            output_tokens: it.output_tokens,
            total_tokens: it.input_tokens.saturating_add(it.output_tokens),
            id: &it.model,
            provider: &it.api,
        };
        Self {
            input_tokens: Some(input),
            output_tokens: Some(output),
            total_tokens: Some(input.saturating_add(output)),
            details: Some(UsageDetails { model: usage.iter().map(model).collect() }),
        }
    }
}

/// Whether a field without a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// It is left out.
    Hidden,
    /// It is `null`: what Agno answers to a change.
    Shown,
}

/// One session, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkflowSessionDetailSchema)]
pub(crate) struct SessionBody<'a> {
    user_id: Option<&'a str>,
    workflow_id: Option<&'a str>,
    workflow_name: Option<&'a str>,
    session_id: &'a str,
    session_name: &'a str,
    session_data: SessionData<'a>,
    #[schema(value_type = Object, nullable, required = false)]
    session_state: Option<&'a Map<String, Value>>,
    workflow_data: WorkflowData<'a>,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
struct SessionData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    session_state: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_metrics: Option<UsageView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_name: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct WorkflowData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepLine<'a>>>,
}

#[derive(Serialize, ToSchema)]
struct StepLine<'a> {
    name: &'a str,
    #[schema(required)]
    description: Option<&'a str>,
    r#type: &'static str,
}

/// One session, whole, as JSON.
pub(crate) fn detail(found: &SessionDetail, nulls: Nulls) -> serde_json::Result<Value> {
    let SessionDetail { overview, graph } = found;
    let session = &overview.session;
    let body = SessionBody {
        user_id: session.user.as_ref().map(|it| it.as_str()),
        workflow_id: session.workflow.as_ref().map(|it| it.as_str()),
        workflow_name: None,
        session_id: session.id.as_str(),
        session_name: name(overview),
        session_data: SessionData {
            session_state: session.state.as_ref(),
            session_metrics: overview.opening.as_ref().map(|_| UsageView::of(&overview.usage)),
            session_name: session.name.as_deref(),
        },
        session_state: session.state.as_ref(),
        workflow_data: workflow(graph.as_ref().map(|(id, graph)| (id, graph.as_ref()))),
        metadata: session.metadata.clone().unwrap_or_default(),
        created_at: iso(session.created_at),
        updated_at: iso(session.updated_at),
    };
    let mut value = serde_json::to_value(body)?;
    if let (Nulls::Hidden, Some(fields)) = (nulls, value.as_object_mut()) {
        fields.retain(|_, it| !it.is_null());
    }
    Ok(value)
}

fn workflow<'a>(graph: Option<(&'a WorkflowId, &'a StepGraph)>) -> WorkflowData<'a> {
    let Some((id, graph)) = graph else {
        return WorkflowData { workflow_id: None, name: None, steps: None };
    };
    let step = |it: &'a stepmill_core::graph::Step| StepLine {
        name: &it.name,
        description: it.description.as_deref(),
        r#type: "Step",
    };
    WorkflowData {
        workflow_id: Some(id.as_str()),
        name: Some(graph.name()),
        steps: Some(graph.steps().iter().map(step).collect()),
    }
}
