//! The API as a document: what the routes say of themselves, and what is true of all of them.

use bytes::Bytes;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Header, Info, Object, OpenApi, PathItem, Ref, RefOr, Response,
    ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::auth::is_public;
use super::door::Door;
use super::sessions::{RunState, SortOrder};
use super::view::Fault;

/// What routes are sorted by, and what each heap holds.
const TAGS: [(&str, &str); 12] = [
    ("Core", "What the host is."),
    ("Health", "Whether it is up."),
    ("Workflows", "What there is to run, and runs."),
    ("Sessions", "Conversations that runs belong to, and their state."),
    ("Agents", "Agents of their own."),
    ("Teams", "Teams of their own."),
    ("Audit", "Who changed what may be done, and who was not let do something."),
    ("Policies", "What plugins may do: the host's, a tenant's, a plugin's."),
    ("Usage", "What models were asked for, and what budgets leave."),
    ("Secrets", "What plugins may send and never see."),
    ("Plugins", "Factories of the caller's tenant: upload, list, look at, delete."),
    ("Keys", "What programs of a tenant show instead of a token."),
];

/// The name of the security scheme.
const BEARER: &str = "HTTPBearer";

/// The document as JSON, from what the routes say of themselves.
pub(super) fn document(mut api: OpenApi, door: &Door) -> Bytes {
    let identity = &door.identity;
    api.info = Info::new(&identity.name, &identity.version);
    api.info.description.clone_from(&identity.description);
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    api.tags = Some(TAGS.map(tag).into());
    let components = api.components.get_or_insert_with(Components::default);
    components.schemas.insert(Fault::name().into(), Fault::schema());
    // What only parameters name, nobody else brings along.
    components.schemas.insert(RunState::name().into(), RunState::schema());
    components.schemas.insert(SortOrder::name().into(), SortOrder::schema());
    let is_open = door.auth.is_open();
    if !is_open {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    }
    for (path, item) in &mut api.paths.paths {
        let guarded = !is_open && !is_public(path);
        for (is_write, operation) in operations(item) {
            forbid_null(operation);
            if guarded {
                let none: [&str; 0] = [];
                operation.security = Some(vec![SecurityRequirement::new(BEARER, none)]);
                add(operation, "401", "No token, or one that is not good");
            }
            if is_open || guarded {
                add(operation, "403", "The caller may not do this");
            }
            if is_open || guarded {
                add(operation, "429", "The tenant asks too often, or has too much under way");
            }
            add(operation, "500", "The host failed; its log says why");
            add(operation, "503", "The host is busy or stops, or its database is not available");
            add_retry_after(operation, "429");
            add_retry_after(operation, "503");
            if is_write {
                add(operation, "507", "The database takes no writes: it is full, or read-only");
            }
        }
    }
    api.to_json().expect("a document has no keys but texts").into()
}

/// What may be done at a path, and whether it writes.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let writes = [put, post, delete, patch].into_iter().flatten().map(|it| (true, it));
    get.iter_mut().map(|it| (false, it)).chain(writes)
}

/// A body that may be absent is generated as one that may be `null`, which no body may.
fn forbid_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(choices))) = &content.schema
            && let [body @ RefOr::Ref(_), _] = choices.items.as_slice()
        {
            content.schema = Some(body.clone());
        }
    }
}

/// Adds an answer that a route did not name because every route gives it.
fn add(operation: &mut Operation, status: &str, text: &str) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| fault(text).into());
}

/// Most that is not available now is so a moment later.
fn add_retry_after(operation: &mut Operation, status: &str) {
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut(status) {
        let mut header = Header::new(Object::with_type(Type::Integer));
        header.description = Some("Seconds after which to ask again".into());
        answer.headers.insert("Retry-After".into(), header.into());
    }
}

fn fault(text: &str) -> Response {
    let schema = Ref::from_schema_name(Fault::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(text).content("application/json", content).build()
}
