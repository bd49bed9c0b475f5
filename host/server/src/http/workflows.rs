//! `GET /workflows` and `GET /workflows/{workflow_id}`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use serde_json::Value;
use stepmill_core::agent::ModelName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::form::integer;
use super::query::Query;
use super::view::{
    Fault, FieldFaults, Host, WorkflowDetail, WorkflowSummary, workflow_detail, workflow_summary,
};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(workflow_list)).routes(routes!(workflow_fetch))
}

/// Every workflow the caller's tenant sees.
#[utoipa::path(
    get, path = "/workflows", operation_id = "get_workflows", tag = "Workflows",
    responses((status = 200, description = "In the order they came", body = [WorkflowSummary])),
)]
async fn workflow_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let database = &door.identity.database;
    let entries = door.app.workflow_list(&who);
    let summaries = entries.iter().map(|it| serde_json::to_value(workflow_summary(it, database)));
    Ok(Json(summaries.collect::<Result<_, _>>()?))
}

/// One workflow.
///
/// A factory is not called for it: it has steps only for a request.
#[utoipa::path(
    get, path = "/workflows/{workflow_id}", operation_id = "get_workflow", tag = "Workflows",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1),
        ("version" = Option<i64>, Query, nullable = false, description = "Checked, and not used"),
    ),
    responses(
        (status = 200, description = "The workflow", body = WorkflowDetail),
        (status = 404, description = "There is none", body = Fault),
        (status = 422, description = "`version` is no whole number", body = FieldFaults),
    ),
)]
async fn workflow_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Json<Value>, ApiError> {
    if let Some(input) = Query::of(&parts.uri).given("version")
        && integer(&input).is_none()
    {
        let fault = FieldFault::no_integer("query", "version", input);
        return Err(ApiError::Fields(vec![fault]));
    }
    let entry = door.app.workflow_fetch(&who, &id)?;
    let graph = door.app.workflow_graph(&entry).await?;
    let identity = |name: &ModelName| door.app.model_identity(name);
    let host = Host { database: &door.identity.database, identity: &identity };
    Ok(Json(workflow_detail(&host, &entry, graph.as_deref())?))
}
