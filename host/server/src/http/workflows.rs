//! `GET /workflows` and `GET /workflows/{id}`.

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::query::Query;
use super::view::{workflow_detail, workflow_summary};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/workflows", get(workflow_list))
        .route("/workflows/{id}", get(workflow_fetch))
}

/// Every workflow the caller's tenant sees.
async fn workflow_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let entries = door.app.workflow_list(&who);
    Ok(Json(entries.iter().map(workflow_summary).collect::<Result<_, _>>()?))
}

/// One workflow.
async fn workflow_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Json<Value>, ApiError> {
    if let Some(input) = Query::of(&parts).take("version")
        && input.parse::<i64>().is_err()
    {
        let fault = FieldFault::no_integer("query", "version", input);
        return Err(ApiError::Fields(vec![fault]));
    }
    let entry = door.app.workflow_fetch(&who, &id)?;
    let graph = door.app.workflow_graph(&entry).await?;
    Ok(Json(workflow_detail(&entry, graph.as_deref())?))
}
