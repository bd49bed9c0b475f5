//! `GET /workflows` and `GET /workflows/{id}`.

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use stepmill_core::agent::ModelName;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::query::Query;
use super::view::{Host, workflow_detail, workflow_summary};
use crate::app::Source;

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
    let database = &door.identity.database;
    let entries = door.app.workflow_list(&who);
    let summaries = entries.iter().map(|it| serde_json::to_value(workflow_summary(it, database)));
    Ok(Json(summaries.collect::<Result<_, _>>()?))
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
    let graph = match &entry.source {
        Source::Factory(_) => None,
        Source::Declared(declared) => Some(declared.graph.as_ref()),
    };
    let identity = |name: &ModelName| door.app.model_identity(name);
    let host = Host { database: &door.identity.database, identity: &identity };
    Ok(Json(workflow_detail(&host, &entry, graph)?))
}
