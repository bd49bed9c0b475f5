//! `/keys`: make, list and take away the API keys of a tenant.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stepmill_core::ids::KeyId;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::json_body::{JsonBody, Sent};
use super::view::{Fault, FieldFaults, KeyBody, NewKeyBody};
use crate::app::{AppError, NewKey};

/// The longest name, in characters: a line of a list.
const NAME_CHARACTERS: usize = 128;

/// The most roles of a key, and scopes beside. Whoever needs more gives a role a name.
const MAX_ROLES: usize = 16;
const MAX_SCOPES: usize = 64;

/// The longest name of a role, and scope. That of one workflow has 90.
const WORD_CHARACTERS: usize = 128;

/// The longest time a key may have, in days: ten years. After that, or before, it can be for ever.
const MAX_DAYS: i64 = 3_650;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(key_list, key_create)).routes(routes!(key_delete))
}

/// What a key is made of. It has a role, a scope, or several of both.
#[derive(ToSchema)]
#[schema(as = CreateKeyRequest)]
#[expect(dead_code, reason = "the document's word for what `key_create` takes")]
struct CreateBody {
    /// For people.
    #[schema(min_length = 1, max_length = 128, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    name: String,
    /// Roles of the host: `reader`, `runner`, `author`, `operator`, and those of its settings.
    #[schema(value_type = Vec<RoleName>, nullable, required = false, max_items = 16)]
    roles: Option<Vec<String>>,
    /// Scopes beside those of the roles.
    #[schema(value_type = Vec<Scope>, nullable, required = false, max_items = 64)]
    scopes: Option<Vec<String>>,
    /// Who the key's holder is; nobody in particular if absent.
    #[schema(value_type = String, nullable, required = false, min_length = 1, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    user_id: Option<String>,
    /// How long it opens; for ever if absent.
    #[schema(value_type = i64, nullable, required = false, minimum = 1, maximum = 3_650)]
    expires_in_days: Option<i64>,
}

/// A role this host knows.
#[derive(ToSchema)]
#[schema(value_type = String, format = "role")]
#[expect(dead_code, reason = "the document's word for what stands in a list")]
struct RoleName(String);

/// A scope.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[!-~]{1,128}$")]
#[expect(dead_code, reason = "the document's word for what stands in a list")]
struct Scope(String);

/// Make a key for programs of the caller's tenant.
///
/// It is told here and never again, and can do no more than whoever makes it. For admins of the
/// tenant only.
#[utoipa::path(
    post, path = "/keys", operation_id = "create_key", tag = "Keys",
    request_body(content = CreateBody, content_type = "application/json"),
    responses(
        (status = 201, description = "The key, with its secret", body = NewKeyBody),
        (status = 400, description = "It would have no role and no scope, or one that there is not, or a user that cannot be one", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "The tenant has as many keys as it may have", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "Fields are missing or malformed", body = FieldFaults),
    ),
)]
async fn key_create(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let mut body = Sent::read(&door, request).await?.required()?;
    let ask = NewKey {
        name: name(&mut body),
        roles: words(&mut body, "roles", MAX_ROLES),
        scopes: words(&mut body, "scopes", MAX_SCOPES),
        user: body.text("user_id"),
        days: body
            .integer("expires_in_days", 1, MAX_DAYS)
            .and_then(|days| u32::try_from(days).ok()),
    };
    body.done()?;
    if ask.roles.is_empty() && ask.scopes.is_empty() {
        return Err(ApiError::bad_request("A key has a role or a scope"));
    }
    let (text, key) = door.app.key_create(&who, ask).await?;
    let body = NewKeyBody { key: text.expose_secret(), about: KeyBody::of(&key) };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, headers, Json(serde_json::to_value(body)?)).into_response())
}

fn name(body: &mut JsonBody) -> String {
    let Some(name) = body.required_text("name") else { return String::new() };
    let is_short = (1..=NAME_CHARACTERS).contains(&name.chars().count());
    if !is_short || name.chars().any(char::is_control) {
        let text = "Input should be 1 to 128 characters, without control characters";
        let fault = FieldFault::new("string_pattern_mismatch", json!(["body", "name"]), text);
        body.faults().push(fault.given(name.as_str()));
    }
    name
}

/// A list of roles or scopes. What is not written as one is told with its place.
fn words(body: &mut JsonBody, field: &'static str, most: usize) -> BTreeSet<String> {
    let words = body.some_texts(field, most);
    for (place, word) in words.iter().enumerate() {
        let is_visible = word.bytes().all(|it| it.is_ascii_graphic());
        if word.is_empty() || WORD_CHARACTERS < word.len() || !is_visible {
            let place = json!(["body", field, place]);
            let text = "Input should be 1 to 128 visible ASCII characters";
            let fault = FieldFault::new("string_pattern_mismatch", place, text);
            body.faults().push(fault.given(word.as_str()));
        }
    }
    words.into_iter().collect()
}

/// The keys of the caller's tenant, without their secrets.
///
/// For admins of the tenant only.
#[utoipa::path(
    get, path = "/keys", operation_id = "get_keys", tag = "Keys",
    responses((status = 200, description = "Oldest first; also those whose time is over", body = [KeyBody])),
)]
async fn key_list(
    State(door): State<Door>,
    Caller(who): Caller,
) -> Result<Json<Vec<Value>>, ApiError> {
    let keys = door.app.key_list(&who).await?;
    let views = keys.iter().map(|it| serde_json::to_value(KeyBody::of(it)));
    Ok(Json(views.collect::<Result<_, _>>()?))
}

/// Take a key away.
///
/// From the next request on it opens nothing. For admins of the tenant only.
#[utoipa::path(
    delete, path = "/keys/{id}", operation_id = "delete_key", tag = "Keys",
    params(("id" = String, Path, description = "The key, by its id", min_length = 1)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = Fault),
    ),
)]
async fn key_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = KeyId::parse(&id).map_err(|_| AppError::UnknownKey)?;
    door.app.key_delete(&who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
