//! What a route asks of a caller: a scope, and where users are kept apart to be one. A route
//! that is not named here is for admins only.
//!
//! Agno asks for none where its own table has a hole; a forgotten line must not open a door.

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;
use stepmill_core::principal::Principal;
use stepmill_core::scope::Right;

use super::refusal::Refusal;

/// What a route asks for.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// This scope; for a workflow's routes the same of that one workflow is enough.
    Scope(&'static str),
    /// This scope for anything at all: the answer leaves out the rest.
    Some(&'static str),
    /// Nothing here: what answers asks by itself.
    Nothing,
    /// The admin scope.
    Admin,
}

/// The table. Paths are those of the routes, so what has a name in braces is a parameter.
fn need(method: &str, path: &[&str]) -> Need {
    match (method, path) {
        ("GET", ["config" | "models"]) => Need::Scope("config:read"),
        ("GET", ["agents", ..]) => Need::Some("agents:read"),
        ("GET", ["teams", ..]) => Need::Some("teams:read"),
        ("GET", ["workflows"]) => Need::Some("workflows:read"),
        // Each message over a WebSocket is checked when it comes.
        ("GET", ["workflows", "ws"]) => Need::Nothing,
        ("GET", ["workflows", ..]) => Need::Scope("workflows:read"),
        (
            "POST",
            ["workflows", _, "runs"]
            | ["workflows", _, "runs", _, "continue" | "cancel" | "resume"],
        ) => Need::Scope("workflows:run"),
        ("GET", ["sessions", ..]) => Need::Scope("sessions:read"),
        ("POST", ["sessions"] | ["sessions", _, "rename"]) | ("PATCH", ["sessions", ..]) => {
            Need::Scope("sessions:write")
        }
        ("DELETE", ["sessions", ..]) => Need::Scope("sessions:delete"),
        ("GET", ["metrics", ..]) => Need::Scope("metrics:read"),
        ("POST", ["metrics", "refresh"]) => Need::Scope("metrics:write"),
        ("GET", ["traces", ..]) | ("POST", ["traces", "search"]) => Need::Scope("traces:read"),
        // These ask by themselves, also where nothing here is looked at: `app`. What a tenant
        // may use, everybody in it may know.
        (
            _,
            [
                "plugins" | "keys" | "policies" | "policy" | "audit" | "usage" | "secrets"
                | "limits",
                ..,
            ],
        ) => Need::Nothing,
        _ => Need::Admin,
    }
}

/// Whether a route answers with things that belong to users.
fn is_personal(path: &[&str]) -> bool {
    !matches!(
        path,
        ["config" | "models"]
            | [
                "agents"
                    | "teams"
                    | "plugins"
                    | "keys"
                    | "policies"
                    | "policy"
                    | "audit"
                    | "usage"
                    | "secrets"
                    | "limits",
                ..
            ]
            | ["workflows"]
    ) && !matches!(path, ["workflows", it] if *it != "ws")
}

/// Whether the caller may use the route a request was led to. What no route answers ends in 404,
/// for those who might use what the table knows of it.
pub(super) fn check(request: &Parts, who: &Principal, admin: &str) -> Result<(), Refusal> {
    let method = match &request.method {
        &Method::HEAD => "GET",
        method => method.as_str(),
    };
    let path = request.uri.path();
    match request.extensions.get::<MatchedPath>() {
        Some(route) => check_route(method, route.as_str(), path, who, admin),
        None => check_missing(method, path, who),
    }
}

/// Of what no route answers, the table still asks for the scope it names.
fn check_missing(method: &str, path: &str, who: &Principal) -> Result<(), Refusal> {
    let route: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match need(method, &route) {
        Need::Scope(scope) if !who.may(Right::new(scope)) => Err(Refusal::Scope(scope.to_owned())),
        _ => Ok(()),
    }
}

fn check_route(
    method: &str,
    route: &str,
    path: &str,
    who: &Principal,
    admin: &str,
) -> Result<(), Refusal> {
    let route: Vec<_> = route.trim_start_matches('/').split('/').collect();
    let (scope, is_enough) = match need(method, &route) {
        Need::Nothing => ("", true),
        Need::Admin => (admin, who.is_admin() || !who.rules.authorization),
        Need::Some(scope) => (scope, who.may_somewhere(Right::new(scope))),
        Need::Scope(scope) => {
            let right = Right::new(scope);
            // As the client wrote it: an id with an escape in it is no workflow's.
            let id = path.split('/').nth(2).filter(|_| route[0] == "workflows");
            (scope, who.may(id.map_or(right, |id| right.on(id))))
        }
    };
    if !is_enough {
        return Err(Refusal::Scope(scope.to_owned()));
    }
    let is_anonymous = !who.is_admin() && who.user.is_none();
    if is_anonymous && who.rules.user_isolation && is_personal(&route) {
        return Err(Refusal::Nobody);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use stepmill_core::ids::{TenantId, UserId};
    use stepmill_core::principal::{Rules, Standing, TrustedClaims};

    use super::*;

    fn holder(scopes: &[&str]) -> Principal {
        Principal {
            tenant: TenantId::new("acme").unwrap(),
            user: Some(UserId::new("ada").unwrap()),
            trusted: TrustedClaims::default(),
            held: scopes.iter().map(|it| it.to_string()).collect(),
            standing: Standing::Member,
            key: None,
            rules: Rules::default(),
            session: None,
            dependencies: None,
            session_state: None,
        }
    }

    /// The scope a member without any lacks.
    fn lacks(method: &str, route: &str) -> Option<String> {
        match check_route(method, route, route, &holder(&[]), "agent_os:admin") {
            Err(Refusal::Scope(scope)) => Some(scope),
            Err(other) => panic!("{other}"),
            Ok(()) => None,
        }
    }

    #[test]
    fn every_route_asks_for_its_scope() {
        for (method, route, scope) in [
            ("GET", "/config", "config:read"),
            ("GET", "/models", "config:read"),
            ("GET", "/agents", "agents:read"),
            ("GET", "/teams", "teams:read"),
            ("GET", "/workflows", "workflows:read"),
            ("GET", "/workflows/{id}", "workflows:read"),
            ("GET", "/workflows/{id}/runs", "workflows:read"),
            ("GET", "/workflows/{id}/runs/{run}", "workflows:read"),
            ("POST", "/workflows/{id}/runs", "workflows:run"),
            ("POST", "/workflows/{id}/runs/{run}/continue", "workflows:run"),
            ("POST", "/workflows/{id}/runs/{run}/cancel", "workflows:run"),
            ("POST", "/workflows/{id}/runs/{run}/resume", "workflows:run"),
            ("GET", "/sessions", "sessions:read"),
            ("GET", "/sessions/{session}", "sessions:read"),
            ("GET", "/sessions/{session}/runs/{run}", "sessions:read"),
            ("POST", "/sessions", "sessions:write"),
            ("POST", "/sessions/{session}/rename", "sessions:write"),
            ("PATCH", "/sessions/{session}", "sessions:write"),
            ("DELETE", "/sessions", "sessions:delete"),
            ("DELETE", "/sessions/{session}", "sessions:delete"),
            ("DELETE", "/workflows/{id}", "agent_os:admin"),
            ("POST", "/workflows/{id}/forgotten", "agent_os:admin"),
            ("GET", "/forgotten", "agent_os:admin"),
        ] {
            assert_eq!(lacks(method, route).as_deref(), Some(scope), "{method} {route}");
        }
        assert_eq!(lacks("PUT", "/plugins/{id}"), None);
        assert_eq!(lacks("POST", "/keys"), None);
        assert_eq!(lacks("GET", "/workflows/ws"), None);
    }

    #[test]
    fn no_route_of_the_api_is_forgotten() {
        let (_, api) = crate::http::door::api().split_for_parts();
        let document = serde_json::to_value(&api.paths.paths).unwrap();
        let paths = document.as_object().unwrap();
        assert!(paths.contains_key("/workflows/{workflow_id}/runs"), "{paths:?}");
        for (path, item) in paths.iter().filter(|(path, _)| !super::super::is_public(path)) {
            for method in ["get", "put", "post", "patch", "delete"] {
                let route: Vec<_> = path.trim_start_matches('/').split('/').collect();
                let is_there = item.get(method).is_some();
                let need = need(&method.to_uppercase(), &route);
                assert!(!is_there || need != Need::Admin, "{method} {path} needs a line");
            }
        }
    }

    #[test]
    fn a_scope_of_one_workflow_opens_that_workflow_and_the_list() {
        let who = holder(&["workflows:echo:read", "workflows:echo:run"]);
        let may = |method, route, path| check_route(method, route, path, &who, "admin").is_ok();
        assert!(may("GET", "/workflows", "/workflows"));
        assert!(may("GET", "/workflows/{id}", "/workflows/echo"));
        assert!(may("POST", "/workflows/{id}/runs", "/workflows/echo/runs"));
        assert!(!may("GET", "/workflows/{id}", "/workflows/other"));
        assert!(!may("GET", "/workflows/{id}", "/workflows/%65cho"));
        assert!(!may("POST", "/workflows/{id}/runs", "/workflows/other/runs"));
        // To run is not to read.
        let runner = holder(&["workflows:echo:run"]);
        assert!(check_route("GET", "/workflows", "/workflows", &runner, "admin").is_err());
        // A session has no scope of its own.
        let one = holder(&["sessions:s:read"]);
        assert!(check_route("GET", "/sessions/{id}", "/sessions/s", &one, "admin").is_err());
    }

    #[test]
    fn where_users_are_kept_apart_a_caller_is_one() {
        let nobody = Principal { user: None, ..holder(&["workflows:read", "sessions:read"]) };
        let check = |who: &Principal, route| check_route("GET", route, route, who, "admin");
        for route in ["/workflows/{id}/runs", "/workflows/{id}/runs/{run}", "/sessions"] {
            assert!(matches!(check(&nobody, route), Err(Refusal::Nobody)), "{route}");
        }
        for route in ["/workflows", "/workflows/{id}", "/plugins"] {
            assert!(check(&nobody, route).is_ok(), "{route}");
        }
        let admin = Principal { standing: Standing::Admin, ..nobody.clone() };
        assert!(check(&admin, "/sessions").is_ok());
        let mut together = nobody;
        together.rules.user_isolation = false;
        assert!(check(&together, "/sessions").is_ok());
    }

    #[test]
    fn without_authorization_nothing_is_asked() {
        let mut who = holder(&[]);
        who.rules.authorization = false;
        for route in ["/workflows", "/workflows/{id}", "/forgotten"] {
            assert!(check_route("GET", route, route, &who, "admin").is_ok());
        }
    }
}
