//! Two tenants on one host: one tries every route with every handle of the other.
//!
//! The list of routes is the host's own (`/openapi.json`), so a new route is in here by itself, and one
//! with a handle that this suite does not know fails it. `just tenants` ends with a line that says how
//! much was asked.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Reply, Token, example};

/// Stands in everything of acme's that has words in it.
const CANARY: &str = "canary-of-acme";

/// What acme's session may be found by: the one word of it that strangers know.
const NAME: &str = "name-of-acme";

/// What names something: acme's own, and one that names nothing.
struct Handles(BTreeMap<&'static str, (String, String)>);

/// Acme has one of everything.
async fn furnish(house: &House) -> Handles {
    house.push_example("memory").await;
    assert_eq!(house.push("plan", example("echo")).await.status, 201);
    let ada = Token::of("acme", "ada");
    let state = json!({ "word": CANARY }).to_string();
    let message = format!("{NAME} {CANARY}");
    let fields = [
        ("message", message.as_str()),
        ("session_id", "session-of-acme"),
        ("session_state", &state),
        ("metadata", &state),
    ];
    let run = house.run_as(&ada, "memory", &fields).await.good();
    let policy = json!({ "allow": ["config", "kv", "model:*"], "config": { "word": CANARY } });
    let root = Token::operator("ops");
    let put = house.ask_as(&root, Method::PUT, "/policy?tenant=acme&plugin=memory").json(&policy);
    assert_eq!(Reply::of(put).await.status, 200);
    let key =
        house.ask(Method::POST, "/keys").json(&json!({ "name": CANARY, "roles": ["reader"] }));
    let key = Reply::of(key).await;
    assert_eq!(key.status, 201, "{}", key.text);
    let key = key.json();
    let secret = json!({ "value": CANARY, "hosts": ["api.example.com"] });
    let kept = house.send(Method::PUT, "/secrets/crm-key", &secret).await;
    assert!(kept.status < 300, "{}", kept.text);
    let none = || "01234567-89ab-7cde-8f01-23456789abcd".to_owned();
    let named = |name: &str| (name.to_owned(), format!("no-{name}"));
    Handles(BTreeMap::from([
        ("workflow_id", named("memory")),
        ("plugins/id", named("plan")),
        ("component_id", named("memory")),
        ("plugin", named("memory")),
        ("keys/id", (key["id"].as_str().unwrap().to_owned(), "0".repeat(32))),
        ("secrets/name", named("crm-key")),
        ("session_id", named("session-of-acme")),
        ("session_name", named(NAME)),
        ("run_id", (run["run_id"].as_str().unwrap().to_owned(), none())),
        ("user_id", named("ada")),
        ("tenant", named("acme")),
    ]))
}

/// Parameters that name nothing of anybody's.
const PLAIN: [&str; 18] = [
    "from",
    "to",
    "action",
    "before",
    "host",
    "version",
    "status",
    "factory_input",
    "type",
    "limit",
    "page",
    "sort_by",
    "sort_order",
    "db_id",
    "table",
    "created_after",
    "created_before",
    "shared",
];

impl Handles {
    /// One text for each name, acme's own where `theirs` says so.
    fn pick(&self, name: &str, theirs: bool) -> &str {
        let (own, none) = self.0.get(name).unwrap_or_else(|| {
            panic!("`{name}` is a handle this suite does not know: furnish acme with one")
        });
        if theirs { own } else { none }
    }

    /// An answer without the names that were asked for.
    fn blank(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, (own, none))| {
            text.replace(none, &format!("<{name}>")).replace(own, &format!("<{name}>"))
        })
    }
}

/// One route, with the handles it takes.
struct Route {
    method: Method,
    path: String,
    in_path: Vec<String>,
    in_query: Vec<String>,
    has_body: bool,
}

async fn routes(house: &House) -> Vec<Route> {
    let document = house.get("/openapi.json").await.good();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse() else { continue };
            // Some names mean another thing on another route.
            let route = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            let told = |name: &str| match name {
                "id" | "name" => format!("{route}/{name}"),
                name => name.to_owned(),
            };
            let named = |place: &str| -> Vec<String> {
                let all = operation["parameters"].as_array().into_iter().flatten();
                let here = all.filter(|it| it["in"] == place);
                let names = here.map(|it| it["name"].as_str().unwrap());
                names.filter(|it| !PLAIN.contains(it)).map(told).collect()
            };
            routes.push(Route {
                method,
                path: path.clone(),
                in_path: named("path"),
                in_query: named("query"),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    routes
}

impl Route {
    /// The request with some of its handles acme's: bit by bit of `choice`, path before query.
    fn request(
        &self,
        house: &House,
        who: &Token,
        handles: &Handles,
        choice: usize,
    ) -> reqwest::RequestBuilder {
        let theirs = |at: usize| choice >> at & 1 == 1;
        let mut path = self.path.clone();
        for (at, name) in self.in_path.iter().enumerate() {
            let place = name.rsplit('/').next().unwrap_or_default();
            path = path.replace(&format!("{{{place}}}"), handles.pick(name, theirs(at)));
        }
        let query =
            self.in_query.iter().enumerate().map(|(at, name)| {
                (name.as_str(), handles.pick(name, theirs(self.in_path.len() + at)))
            });
        let request =
            house.ask_as(who, self.method.clone(), &path).query(&query.collect::<Vec<_>>());
        let in_body = theirs(self.in_path.len() + self.in_query.len());
        if self.has_body { self.body(request, handles, in_body) } else { request }
    }

    fn body(
        &self,
        request: reqwest::RequestBuilder,
        handles: &Handles,
        theirs: bool,
    ) -> reqwest::RequestBuilder {
        let (session, user) = (handles.pick("session_id", theirs), handles.pick("user_id", theirs));
        match (self.method.as_str(), self.path.as_str()) {
            ("POST", "/workflows/{workflow_id}/runs") => request.form(&[
                ("message", "x"),
                ("session_id", session),
                ("user_id", user),
                ("stream", "false"),
            ]),
            ("PUT", "/plugins/{id}") => request.body(example("echo")),
            ("POST", "/keys") => {
                request.json(&json!({ "name": "k", "roles": ["reader"], "user_id": user }))
            }
            ("PUT", "/secrets/{name}") => {
                request.json(&json!({ "value": "12345678", "hosts": ["api.example.com"] }))
            }
            ("PUT" | "PATCH", "/policy") => request.json(&json!({ "allow": [] })),
            ("POST", "/sessions") => {
                request.json(&json!({ "session_id": session, "user_id": user }))
            }
            ("DELETE", "/sessions") => {
                request.json(&json!({ "session_ids": [session], "session_types": ["workflow"] }))
            }
            ("PATCH" | "POST", path) if path.starts_with("/sessions/") => {
                request.json(&json!({ "session_name": "mine" }))
            }
            (method, path) => panic!("{method} {path} takes a body this suite does not know"),
        }
    }

    fn choices(&self) -> usize {
        let handles = self.in_path.len() + self.in_query.len() + usize::from(self.has_body);
        1 << handles
    }
}

/// Everything acme can see of its own.
async fn snapshot(house: &House) -> Vec<Value> {
    let (admin, root) = (Token::admin("acme"), Token::operator("ops"));
    let mut seen = Vec::new();
    for path in [
        "/workflows",
        "/plugins",
        "/plugins/memory",
        "/sessions",
        "/keys",
        "/secrets",
        "/sessions/session-of-acme",
        "/sessions/session-of-acme/runs",
        "/workflows/memory/runs?session_id=session-of-acme",
    ] {
        seen.push(house.get_as(&admin, path).await.good());
    }
    seen.push(house.get_as(&root, "/policies").await.good());
    seen
}

#[tokio::test]
async fn what_is_anothers_answers_as_what_is_not_there() {
    let house = House::serve().guarded().demo_models().open().await;
    let handles = furnish(&house).await;
    let before = snapshot(&house).await;
    let routes = routes(&house).await;
    let everything = [
        "config:read",
        "workflows:read",
        "workflows:run",
        "sessions:read",
        "sessions:write",
        "sessions:delete",
        "plugins:read",
        "plugins:write",
        "plugins:delete",
    ];
    let strangers = [
        Token::admin("evil"),
        Token::of("evil", "eve").scopes(&everything),
        // The same name in another tenant is somebody else.
        Token::of("evil", "ada").scopes(&everything),
        Token::of("evil", "eve").scopes(&[]),
    ];
    let mut asked = 0;
    for who in &strangers {
        for route in &routes {
            let name = format!("{} {}", route.method, route.path);
            let absent = Reply::of(route.request(&house, who, &handles, 0)).await;
            for choice in 0..route.choices() {
                let reply = Reply::of(route.request(&house, who, &handles, choice)).await;
                asked += 1;
                assert!(reply.status < 500, "{name} {choice:b}: {}", reply.text);
                let text = handles.blank(&reply.text);
                // The stranger's own words come back to it, as the name of a session it asked for.
                assert!(!text.contains(CANARY), "{name} {choice:b} shows {}", reply.text);
                if (200..300).contains(&absent.status) {
                    // The stranger may do this with names of its own; what it made before is
                    // taken, and what it took away is gone.
                    let own = matches!(reply.status, 200..300 | 404 | 409);
                    assert!(own, "{name} {choice:b}: {}", reply.text);
                    continue;
                }
                assert_eq!(
                    (reply.status, text),
                    (absent.status, handles.blank(&absent.text)),
                    "{name} {choice:b}"
                );
            }
        }
    }
    assert_eq!(snapshot(&house).await, before);
    println!(
        "tenants: {} routes, {asked} requests by {} strangers; nothing was told apart from what is not there",
        routes.len(),
        strangers.len()
    );
}
