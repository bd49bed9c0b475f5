//! The whole API as one list, and what every request passes through.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use stepmill_core::time::Timestamp;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{Layer, Service};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use super::auth::{self, Auth, AuthFault};
use super::error::detail;
use super::{
    audit, cors, docs, health, keys, limits, openapi, os, plugins, policies, runs, secrets,
    sessions, usage, workflows,
};
use crate::app::App;
use crate::settings::{HttpSettings, Identity, Settings};

/// What handlers know.
#[derive(Clone)]
pub struct Door {
    pub(super) app: App,
    pub(super) auth: Arc<Auth>,
    pub(super) settings: Arc<HttpSettings>,
    pub(super) identity: Arc<Identity>,
    /// The largest component taken in.
    pub(super) component_bytes: usize,
    /// When the host started.
    pub(super) since: Timestamp,
}

impl Door {
    /// A door to an application.
    ///
    /// # Errors
    /// The keys of the settings cannot be used.
    pub fn new(app: App, settings: &Settings, since: Timestamp) -> Result<Self, AuthFault> {
        Ok(Self {
            app,
            auth: Arc::new(Auth::of(&settings.auth)?),
            settings: Arc::new(settings.http.clone()),
            identity: Arc::new(settings.identity.clone()),
            component_bytes: settings.sandbox.load.component_bytes,
            since,
        })
    }

    /// How long a client may take to send a body.
    pub(super) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.settings.body_timeout_ms)
    }
}

/// What a connection is served with.
pub(super) trait Routes:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<T> Routes for T where
    T: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// The whole API, as routes and as what they say of themselves.
pub(super) fn api() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .merge(os::routes())
        .merge(health::routes())
        .merge(workflows::routes())
        .merge(runs::routes())
        .merge(sessions::routes())
        .merge(plugins::routes())
        .merge(policies::routes())
        .merge(audit::routes())
        .merge(keys::routes())
        .merge(usage::routes())
        .merge(secrets::routes())
        .merge(limits::routes())
}

/// Everything the host answers to.
pub(super) fn router(door: Door) -> impl Routes {
    let (routes, api) = api().split_for_parts();
    let routes = match door.settings.docs {
        true => routes.merge(docs::routes(&door, openapi::document(api, &door))),
        false => routes,
    };
    let routes = routes
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        // Each handler that reads a body bounds it, with an answer a client understands.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(door.clone(), auth::guard))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .with_state(door.clone());
    // Outside of the routes: `/workflows/` is `/workflows` before a route is looked for.
    let routes = MapRequestLayer::new(trimmed).layer(routes);
    // The router says what a route allows also where a layer answered instead of it.
    let routes = MapResponseLayer::new(without_allow).layer(routes);
    // Outermost: refusals are for pages of other origins to read, too.
    from_fn_with_state(door, cors::cross_origin).layer(routes)
}

/// The path without slashes at its end.
fn trimmed(mut request: Request) -> Request {
    let path = request.uri().path();
    let short = path.trim_end_matches('/');
    if short.is_empty() || short.len() == path.len() {
        return request;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{short}?{query}"),
        None => short.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(target) = target.parse() {
        parts.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// What is allowed is said where something else was tried.
fn without_allow(mut response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().remove(header::ALLOW);
    }
    response
}

async fn unknown(_: Uri) -> Response {
    detail(StatusCode::NOT_FOUND, "Not Found")
}

async fn not_allowed(_: Method) -> Response {
    detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

/// The panic itself is in the log, written by the panic hook.
fn panicked() -> Response {
    detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error").into_response()
}
