//! `/secrets`: what plugins may send and never see. A value goes in and never comes out.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use stepmill_core::ids::SecretName;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::json_body::Sent;
use super::query::Query;
use super::view::{Fault, FieldFaults, SecretBody};
use crate::app::{AppError, SecretDraft};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(secret_list)).routes(routes!(secret_put, secret_delete))
}

/// A secret as somebody sends it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretForm {
    /// Visible ASCII, with blanks only inside.
    #[schema(value_type = String, pattern = "^[!-~][ -~]{6,4094}[!-~]$", format = Password)]
    value: SecretString,
    /// Where it may go: `api.example.com`, `*.example.com`, `POST api.example.com/v1/*`.
    #[schema(value_type = Vec<Place>, min_items = 1, max_items = 16)]
    hosts: Vec<String>,
}

/// A place: a host, if need be with methods in front and a path behind.
#[derive(ToSchema)]
#[schema(value_type = String, format = "place")]
#[expect(dead_code, reason = "the document's word for what stands in a list")]
struct Place(String);

/// Why a secret was not taken in: it cannot be one, or the question is malformed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's word for two kinds of refusal with one status")]
#[serde(untagged)]
enum Refused {
    Secret(Fault),
    Fields(FieldFaults),
}

/// The names of secrets.
///
/// With dates and the places they may go to, never with values. Needs the scope `secrets:read`;
/// with `shared`, to be the host's operator.
#[utoipa::path(
    get, path = "/secrets", operation_id = "get_secrets", tag = "Secrets",
    params(("shared" = Option<bool>, Query, nullable = false, description = "Those for shared plugins")),
    responses(
        (status = 200, description = "By name", body = [SecretBody]),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
async fn secret_list(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<Json<Vec<Value>>, ApiError> {
    let shared = Query::of(&uri).boolean("shared")?;
    let secrets = door.app.secret_list(&who, shared).await?;
    let views = secrets.iter().map(|it| serde_json::to_value(SecretBody::of(it)));
    Ok(Json(views.collect::<Result<_, _>>()?))
}

/// Keep a secret.
///
/// It takes the place of one of the same name, and counts from the next call of a plugin on. Needs
/// the scope `secrets:write`; with `shared`, to be the host's operator.
#[utoipa::path(
    put, path = "/secrets/{name}", operation_id = "put_secret", tag = "Secrets",
    params(
        ("name" = String, Path, description = "What plugins call it", pattern = "^[a-z0-9_-]{1,64}$"),
        ("shared" = Option<bool>, Query, nullable = false, description = "For shared plugins"),
    ),
    request_body = SecretForm,
    responses(
        (status = 200, description = "It is kept", body = SecretBody),
        (status = 400, description = "The name cannot be one, or the body broke off", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "There are too many", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "The secret cannot be, or a parameter is malformed", body = Refused),
        (status = 503, description = "The host has no key for secrets, or stops", body = Fault),
    ),
)]
async fn secret_put(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let shared = Query::of(request.uri()).boolean("shared")?;
    let name = name_of(name)?;
    let draft = draft(Sent::read(&door, request).await?)?;
    let kept = door.app.secret_put(&who, shared, name, draft).await?;
    Ok(Json(serde_json::to_value(SecretBody::of(&kept))?))
}

/// Forget a secret.
///
/// Needs the scope `secrets:delete`; with `shared`, to be the host's operator.
#[utoipa::path(
    delete, path = "/secrets/{name}", operation_id = "delete_secret", tag = "Secrets",
    params(
        ("name" = String, Path, description = "What plugins call it", min_length = 1),
        ("shared" = Option<bool>, Query, nullable = false, description = "One for shared plugins"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
        (status = 503, description = "The host stops", body = Fault),
    ),
)]
async fn secret_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<StatusCode, ApiError> {
    let shared = Query::of(&uri).boolean("shared")?;
    // What cannot be a name names nothing.
    let name = SecretName::new(name).map_err(|_| AppError::UnknownSecret)?;
    door.app.secret_delete(&who, shared, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name_of(text: String) -> Result<SecretName, AppError> {
    SecretName::new(text).map_err(|fault| AppError::BadId { field: "secret name", fault })
}

/// Whatever is wrong with the body, nothing of it is repeated: it may hold the value.
fn draft(sent: Sent) -> Result<SecretDraft, ApiError> {
    let form = match sent {
        Sent::Object(body) => body.form::<SecretForm>().ok(),
        Sent::Nothing | Sent::Other(_) => None,
    };
    let text = "secret: must be an object with `value`, a text, and `hosts`, a list of texts";
    let form = form.ok_or_else(|| ApiError::unusable(text))?;
    Ok(SecretDraft { value: form.value, hosts: form.hosts })
}
