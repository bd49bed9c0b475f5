//! Sessions: the conversations that runs belong to.

mod common;
mod many;
mod one;
mod runs;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::door::Door;

pub(super) use many::SortOrder;
pub(super) use runs::RunState;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(many::session_list, many::session_create, many::session_delete_many))
        .routes(routes!(one::session_fetch, one::session_change, one::session_delete))
        .routes(routes!(one::session_rename))
        .routes(routes!(runs::session_runs))
        .routes(routes!(runs::session_run_previews))
        .routes(routes!(runs::session_run))
}
