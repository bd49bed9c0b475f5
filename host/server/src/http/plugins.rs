//! `/plugins`: upload, list, look at and delete plugins of a running host.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use stepmill_core::ids::WorkflowId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::form::{body, forgotten, in_time};
use super::query::Query;
use super::view::{Fault, FieldFaults, PluginBody};
use crate::app::{AppError, Upload};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(plugin_list)).routes(routes!(
        plugin_fetch,
        plugin_put,
        plugin_delete
    ))
}

/// The bytes of a component.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the document's word for a body that is not text")]
struct Component(Vec<u8>);

/// Why a component was not taken in: it is no plugin, or the question is malformed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's word for two kinds of refusal with one status")]
#[serde(untagged)]
enum Refused {
    Component(Fault),
    Fields(FieldFaults),
}

/// Take in a component.
///
/// It is in effect from the next request on. Needs the scope `plugins:write`; with `shared`, to be
/// the host's operator.
#[utoipa::path(
    put, path = "/plugins/{id}", operation_id = "put_plugin", tag = "Plugins",
    params(
        ("id" = String, Path, description = "The plugin", pattern = "^[a-z0-9_-]{1,64}$"),
        ("shared" = Option<bool>, Query, nullable = false, description = "For all tenants"),
    ),
    request_body(
        content = Component, content_type = "application/wasm", description = "A WebAssembly component",
    ),
    responses(
        (status = 200, description = "There was a plugin of this id", body = PluginBody),
        (status = 201, description = "There was none", body = PluginBody),
        (status = 400, description = "The id cannot be one, or the body broke off", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "The id is the operator's", body = Fault),
        (status = 413, description = "The component is too large", body = Fault),
        (status = 422, description = "The component is no plugin, or a parameter is malformed", body = Refused),
    ),
)]
async fn plugin_put(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let shared = Query::of(request.uri()).boolean("shared")?;
    let id = WorkflowId::new(id).map_err(|fault| AppError::BadId { field: "plugin id", fault })?;
    let turn = match shared {
        true => door.app.plugin_publish(&who, id).await,
        false => door.app.plugin_put(&who, id).await,
    };
    let turn = match turn {
        Ok(turn) => turn,
        Err(fault) => {
            forgotten(&door, request.into_body()).await;
            return Err(fault.into());
        }
    };
    // Held once: what was read is let go as soon as it is in one piece.
    let component: Arc<[u8]> =
        in_time(&door, body(request.into_body(), door.component_bytes)).await?.as_ref().into();
    let (upload, plugin) = door.app.plugin_take_in(turn, component).await?;
    let (status, word) = match upload {
        Upload::Created => (StatusCode::CREATED, "new"),
        Upload::Replaced => (StatusCode::OK, "replaced"),
        Upload::Unchanged => (StatusCode::OK, "unchanged"),
    };
    let mut body = PluginBody::of(&plugin);
    body.upload = Some(word);
    Ok((status, Json(body)).into_response())
}

/// The plugins the caller's tenant can use.
///
/// Needs the scope `plugins:read`.
#[utoipa::path(
    get, path = "/plugins", operation_id = "get_plugins", tag = "Plugins",
    responses((status = 200, description = "By id", body = [PluginBody])),
)]
async fn plugin_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let plugins = door.app.plugin_list(&who)?;
    let views = plugins.iter().map(|it| serde_json::to_value(PluginBody::of(it)));
    Ok(Json(views.collect::<Result<_, _>>()?))
}

/// One plugin.
///
/// Needs the scope `plugins:read`.
#[utoipa::path(
    get, path = "/plugins/{id}", operation_id = "get_plugin", tag = "Plugins",
    params(("id" = String, Path, description = "The plugin", min_length = 1)),
    responses(
        (status = 200, description = "The plugin", body = PluginBody),
        (status = 404, description = "There is none", body = Fault),
    ),
)]
async fn plugin_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let id = WorkflowId::new(id).map_err(|_| AppError::UnknownPlugin)?;
    Ok(Json(serde_json::to_value(PluginBody::of(&door.app.plugin_fetch(&who, &id)?))?))
}

/// Take a plugin away.
///
/// Runs under way go on with it. Needs the scope `plugins:delete`; with `shared`, to be the host's
/// operator.
#[utoipa::path(
    delete, path = "/plugins/{id}", operation_id = "delete_plugin", tag = "Plugins",
    params(
        ("id" = String, Path, description = "The plugin", min_length = 1),
        ("shared" = Option<bool>, Query, nullable = false, description = "The one that all tenants have"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = Fault),
        (status = 409, description = "It is the operator's", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
async fn plugin_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<StatusCode, ApiError> {
    let shared = Query::of(&uri).boolean("shared")?;
    let id = WorkflowId::new(id).map_err(|_| AppError::UnknownPlugin)?;
    match shared {
        true => door.app.plugin_withdraw(&who, &id).await?,
        false => door.app.plugin_delete(&who, &id).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}
