//! `/policies`: what plugins may do, said by the host's operator while the host runs.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use serde_json::Value;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::policy::PolicyScope;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::json_body::Sent;
use super::query::Query;
use super::view::{Fault, PolicyBody};
use crate::app::AppError;
use crate::settings::{PolicyForm, PolicyPatch};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(policy_list)).routes(routes!(
        policy_fetch,
        policy_put,
        policy_patch,
        policy_delete
    ))
}

/// The parameters that [`scope`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's word for what names a scope")]
struct Scope {
    /// Whose; absent: the host's
    #[param(max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    tenant: Option<String>,
    /// Of which plugin
    #[param(pattern = "^[a-z0-9_-]{0,64}$")]
    plugin: Option<String>,
}

/// Of what a request speaks: of a tenant, a plugin, both (a tenant's own plugin), or the host.
fn scope(uri: &Uri) -> Result<PolicyScope, ApiError> {
    let mut query = Query::of(uri);
    let bad = |field| move |fault| AppError::BadId { field, fault };
    let tenant = query.take("tenant").map(TenantId::new).transpose().map_err(bad("tenant"))?;
    let plugin = query.take("plugin").map(WorkflowId::new).transpose().map_err(bad("plugin"))?;
    Ok(match (tenant, plugin) {
        (None, None) => PolicyScope::Host,
        (Some(tenant), None) => PolicyScope::Tenant(tenant),
        (tenant, Some(plugin)) => PolicyScope::Plugin(tenant, plugin),
    })
}

/// Everything that is said.
///
/// In the settings file and over the API, from the widest scope to the narrowest. For the host's
/// operator.
#[utoipa::path(
    get, path = "/policies", operation_id = "get_policies", tag = "Policies",
    responses((status = 200, description = "By scope", body = [PolicyBody])),
)]
async fn policy_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let said = door.app.policy_list(&who).await?;
    let views = said.iter().map(|it| serde_json::to_value(PolicyBody::of(it)));
    Ok(Json(views.collect::<Result<_, _>>()?))
}

/// What is said of one scope.
///
/// Without `tenant` and `plugin`: of the host. For the host's operator.
#[utoipa::path(
    get, path = "/policy", operation_id = "get_policy", tag = "Policies",
    params(Scope),
    responses(
        (status = 200, description = "What is said", body = PolicyBody),
        (status = 400, description = "No tenant or plugin can have this id", body = Fault),
        (status = 404, description = "Nothing is said", body = Fault),
    ),
)]
async fn policy_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let found = door.app.policy_fetch(&who, &scope(&uri)?).await?;
    Ok(Json(serde_json::to_value(PolicyBody::of(&found))?))
}

/// Say something of one scope.
///
/// It takes the place of what was said of this scope, in the settings file too, and counts from
/// the next call of a plugin on. For the host's operator.
#[utoipa::path(
    put, path = "/policy", operation_id = "put_policy", tag = "Policies",
    params(Scope),
    request_body = PolicyForm,
    responses(
        (status = 200, description = "What is said now", body = PolicyBody),
        (status = 400, description = "No tenant or plugin can have this id, or the body broke off", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "There are too many", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "The policy cannot be"),
    ),
)]
async fn policy_put(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let scope = scope(request.uri())?;
    let body = Sent::read(&door, request).await?.required()?;
    let form = body.form().map_err(|fault| ApiError::unusable(format!("policy: {fault}")))?;
    let said = door.app.policy_put(&who, scope, form).await?;
    Ok(Json(serde_json::to_value(PolicyBody::of(&said))?))
}

/// Change what is said of one scope.
///
/// A merge patch (RFC 7396): what is absent stays as it is said, in the settings file too, `null`
/// takes it back, and lists are replaced. What comes of it takes the place of what was said, as
/// by `PUT`. For the host's operator.
#[utoipa::path(
    patch, path = "/policy", operation_id = "patch_policy", tag = "Policies",
    params(Scope),
    request_body(content = PolicyPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "What is said now", body = PolicyBody),
        (status = 400, description = "No tenant or plugin can have this id, or the body broke off", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "There are too many", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "The policy cannot be"),
    ),
)]
async fn policy_patch(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let scope = scope(request.uri())?;
    let patch = Sent::read(&door, request).await?.required()?.fields();
    let said = door.app.policy_patch(&who, scope, patch).await?;
    Ok(Json(serde_json::to_value(PolicyBody::of(&said))?))
}

/// Take back what was said of one scope over the API.
///
/// What the settings file says of it counts again. For the host's operator.
#[utoipa::path(
    delete, path = "/policy", operation_id = "delete_policy", tag = "Policies",
    params(Scope),
    responses(
        (status = 204, description = "It is taken back"),
        (status = 400, description = "No tenant or plugin can have this id", body = Fault),
        (status = 404, description = "Nothing was said over the API", body = Fault),
    ),
)]
async fn policy_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<StatusCode, ApiError> {
    door.app.policy_delete(&who, scope(&uri)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
