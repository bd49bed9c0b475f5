//! `/plugins`: upload, list, look at and delete plugins of a running host.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};
use stepmill_core::capability::Capability;
use stepmill_core::ids::WorkflowId;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::form::{body, in_time};
use super::view::iso;
use crate::app::{AppError, PluginView, Upload};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/plugins", get(plugin_list))
        .route("/plugins/{id}", get(plugin_fetch).put(plugin_put).delete(plugin_delete))
}

/// Take in a component. 201 if there was no plugin of this id, 200 if there was.
async fn plugin_put(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = WorkflowId::new(id).map_err(|fault| AppError::BadId { field: "plugin id", fault })?;
    let component = in_time(&door, body(request.into_body(), door.component_bytes)).await?;
    let (upload, plugin) = door.app.plugin_put(&who, id, component.as_ref().into()).await?;
    let (status, word) = match upload {
        Upload::Created => (StatusCode::CREATED, "new"),
        Upload::Replaced => (StatusCode::OK, "replaced"),
        Upload::Unchanged => (StatusCode::OK, "unchanged"),
    };
    let mut body = view(&plugin);
    body["upload"] = word.into();
    Ok((status, Json(body)).into_response())
}

/// The plugins the caller's tenant can use.
async fn plugin_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    Ok(Json(door.app.plugin_list(&who)?.iter().map(view).collect()))
}

/// One plugin.
async fn plugin_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = WorkflowId::new(id).map_err(|_| AppError::UnknownPlugin)?;
    Ok(Json(view(&door.app.plugin_fetch(&who, &id)?)))
}

/// Take a plugin away. Runs under way go on with it.
async fn plugin_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = WorkflowId::new(id).map_err(|_| AppError::UnknownPlugin)?;
    door.app.plugin_delete(&who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(plugin: &PluginView) -> Value {
    let row = &plugin.row;
    let about = &row.description;
    let mut view = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            view.insert(name.into(), value);
        }
    };
    put("id", Some(row.id.as_str().into()));
    put("name", about.name.clone().map(Value::from));
    put("description", about.description.clone().map(Value::from));
    put("digest", Some(format!("sha256:{}", row.digest).into()));
    put("bytes", Some(row.bytes.into()));
    put("shared", Some(plugin.shared.into()));
    put("capabilities", Some(about.capabilities.iter().map(word).collect()));
    put("granted", Some(plugin.grants.iter().map(word).collect()));
    put("input_schema", about.input_schema.clone().map(Value::Object));
    put("created_at", Some(iso(row.created_at).into()));
    put("uploaded_at", Some(iso(row.uploaded_at).into()));
    put("uploaded_by", row.uploaded_by.as_ref().map(|it| it.as_str().into()));
    Value::Object(view)
}

/// A capability as the settings file writes it.
fn word(capability: &Capability) -> Value {
    match capability {
        Capability::Clock => "clock".into(),
        Capability::Randomness => "randomness".into(),
        Capability::Config => "config".into(),
        Capability::KeyValue => "kv".into(),
        Capability::Http(host) => format!("http:{}", host.as_str()).into(),
    }
}
