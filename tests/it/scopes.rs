//! What scopes let a caller do, and what users see of each other.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Reply, Token};

async fn house() -> House {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    house.push_example("pipeline").await;
    house
}

fn ada(scopes: &[&str]) -> Token {
    Token::of("acme", "ada").scopes(scopes)
}

fn lacking(scope: &str) -> (u16, String) {
    (403, format!("Insufficient permissions. Required scope(s): {scope}"))
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn running_asks_for_the_scope_of_all_workflows_or_of_one() {
    let house = house().await;
    let run = async |token: &Token, id| house.run_as(token, id, &[("message", "x")]).await;
    for scope in ["workflows:run", "workflows:*:run", "workflows:echo:run", "agent_os:admin"] {
        run(&ada(&[scope]), "echo").await.good();
    }
    // A single text is one scope; several in one text are none.
    run(&ada(&[]).claim("scopes", "workflows:run"), "echo").await.good();
    let spaced = ada(&[]).claim("scopes", "workflows:read workflows:run");
    for token in [
        ada(&[]),
        ada(&["workflows:read"]),
        ada(&["workflows:pipeline:run"]),
        ada(&["workflows:echo:run:now"]),
        ada(&["sessions:run"]),
        spaced,
        ada(&[]).without("scopes"),
    ] {
        assert_eq!(run(&token, "echo").await.refusal(), lacking("workflows:run"));
    }
    // Who may not run does not learn what there is.
    assert_eq!(run(&ada(&[]), "nobody").await.refusal(), lacking("workflows:run"));
    let unknown = run(&ada(&["workflows:run"]), "nobody").await;
    assert_eq!(unknown.refusal(), (404, "Workflow not found".into()));
}

#[tokio::test]
async fn reading_runs_asks_for_both_scopes() {
    let house = house().await;
    let both = ["workflows:read", "workflows:echo:run"];
    let fields = [("message", "x"), ("session_id", "s")];
    let run = house.run_as(&ada(&both), "echo", &fields).await.good();
    let one = format!("/workflows/echo/runs/{}?session_id=s", run["run_id"].as_str().unwrap());
    for path in [one.as_str(), "/workflows/echo/runs?session_id=s"] {
        house.get_as(&ada(&both), path).await.good();
        house.get_as(&ada(&["workflows:echo:read", "workflows:run"]), path).await.good();
        assert_eq!(
            house.get_as(&ada(&["workflows:read"]), path).await.refusal(),
            (403, "Access denied to run this workflow".into())
        );
        // Before anything else that the request says, or leaves out, is looked at.
        let bare = path.split('?').next().unwrap();
        assert_eq!(house.get_as(&ada(&["workflows:read"]), bare).await.status, 403);
        assert_eq!(house.get_as(&ada(&both), bare).await.status, 422);
        let runner = house.get_as(&ada(&["workflows:run"]), path).await;
        assert_eq!(runner.refusal(), lacking("workflows:read"));
    }
}

#[tokio::test]
async fn a_list_holds_what_the_caller_may_look_at() {
    let house = house().await;
    let list = async |scopes: &[&str]| house.get_as(&ada(scopes), "/workflows").await;
    let all = list(&["workflows:read"]).await.good();
    assert_eq!(ids(&all), ["echo", "pipeline"]);
    assert_eq!(list(&["workflows:*:read"]).await.good(), all);
    assert_eq!(ids(&list(&["workflows:echo:read"]).await.good()), ["echo"]);
    assert!(ids(&list(&["workflows:nobody:read"]).await.good()).is_empty());
    for scopes in [&[][..], &["workflows:run"], &["workflows:echo:run"], &["sessions:read"]] {
        assert_eq!(list(scopes).await.refusal(), lacking("workflows:read"), "{scopes:?}");
    }
    let only = ada(&["workflows:echo:read"]);
    house.get_as(&only, "/workflows/echo").await.good();
    for id in ["pipeline", "nobody"] {
        let other = house.get_as(&only, &format!("/workflows/{id}")).await;
        assert_eq!(other.refusal(), lacking("workflows:read"), "{id}");
    }
}

#[tokio::test]
async fn other_routes_have_scopes_of_their_own() {
    let house = house().await;
    let all = ["workflows:read", "workflows:run", "sessions:read"];
    assert_eq!(house.get_as(&ada(&all), "/config").await.refusal(), lacking("config:read"));
    for scope in ["config:read", "system:read"] {
        let config = house.get_as(&ada(&[scope, "workflows:echo:read"]), "/config").await.good();
        assert_eq!(ids(&config["workflows"]), ["echo"], "{scope}");
    }
    let plugin = async |method: Method, scope: &str| {
        let url = format!("{}/plugins/echo", house.address());
        let request = reqwest::Client::new().request(method, url);
        Reply::of(request.bearer_auth(ada(&[scope]).sign())).await
    };
    let refused = plugin(Method::DELETE, "workflows:run").await;
    assert_eq!(refused.refusal(), lacking("plugins:delete"));
    let other = plugin(Method::DELETE, "plugins:pipeline:delete").await;
    assert_eq!(other.refusal(), lacking("plugins:delete"));
    assert_eq!(plugin(Method::GET, "plugins:echo:read").await.status, 200);
    assert_eq!(plugin(Method::DELETE, "plugins:echo:delete").await.status, 204);
    // What no route answers asks for nothing, once it is clear who asks.
    assert_eq!(house.get_as(&ada(&[]), "/nope").await.refusal(), (404, "Not Found".into()));
}

#[tokio::test]
async fn a_role_stands_for_its_scopes_inside_its_tenant() {
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings("[auth.roles]\nsupport = [\"sessions:read\"]")
        .open()
        .await;
    house.push_example("echo").await;
    house.run_as(&Token::of("acme", "ada"), "echo", &[("message", "x")]).await.good();
    let with = |role: &str| ada(&[]).claim("roles", json!([role]));
    let ask = async |role: &str, method: Method, path: &str| {
        Reply::of(house.ask_as(&with(role), method, path)).await.status
    };
    // What each role is refused, of what it asks one after another.
    for (role, refused) in [
        ("nobody", "config workflows sessions plugins run write push admin"),
        ("support", "config workflows plugins run write push admin"),
        ("reader", "run write push admin"),
        ("runner", "push admin"),
        ("author", "admin"),
        ("operator", ""),
    ] {
        let mut found = Vec::new();
        for word in ["config", "workflows", "sessions", "plugins"] {
            if ask(role, Method::GET, &format!("/{word}")).await == 403 {
                found.push(word);
            }
        }
        if house.run_as(&with(role), "echo", &[("message", "x")]).await.status == 403 {
            found.push("run");
        }
        if ask(role, Method::POST, "/sessions").await == 403 {
            found.push("write");
        }
        // A body that is no plugin: whoever may upload hears that.
        if ask(role, Method::PUT, "/plugins/mine").await == 403 {
            found.push("push");
        }
        // An admin who asks for another user's sessions is told that there are none.
        let of_bob = house.get_as(&with(role), "/sessions?user_id=bob").await;
        if of_bob.status == 403 || of_bob.json()["meta"]["total_count"] != 0 {
            found.push("admin");
        }
        assert_eq!(found.join(" "), refused, "{role}");
    }
    // Of another tenant's plugins and runs nothing is there for its operator.
    let eve = Token::of("evil", "eve").scopes(&[]).claim("roles", "operator");
    assert_eq!(house.get_as(&eve, "/plugins").await.good(), json!([]));
    let shared = house.ask_as(&eve, Method::PUT, "/plugins/x?shared=true");
    assert_eq!(Reply::of(shared).await.status, 403);
}

#[tokio::test]
async fn a_caller_whose_runs_are_its_own_is_somebody() {
    let house = house().await;
    let nobody = Token::of("acme", "").without("sub");
    let run = house.run_as(&nobody, "echo", &[("message", "x"), ("user_id", "ada")]).await;
    let text = "Authenticated request is missing a user identity";
    assert_eq!(run.refusal(), (403, text.into()));
    let read = house.get_as(&nobody, "/workflows/echo/runs?session_id=s").await;
    assert_eq!(read.refusal(), (403, text.into()));
    house.get_as(&nobody, "/workflows").await.good();
    let admin = Token::admin("acme").without("sub");
    house.run_as(&admin, "echo", &[("message", "x")]).await.good();
}

#[tokio::test]
async fn without_isolation_members_read_each_others_runs_and_enter_no_foreign_session() {
    let house = House::serve()
        .guarded()
        .settings("[auth]\nuser_isolation = false")
        .demo_models()
        .open()
        .await;
    house.push_example("echo").await;
    let fields = [("message", "secret"), ("session_id", "s")];
    let run = house.run_as(&Token::of("acme", "ada"), "echo", &fields).await.good();
    let one = format!("/workflows/echo/runs/{}?session_id=s", run["run_id"].as_str().unwrap());

    let bob = Token::of("acme", "bob");
    assert_eq!(house.get_as(&bob, &one).await.good()["content"], "secret");
    house.get_as(&bob, "/workflows/echo/runs?session_id=s").await.good();
    let nobody = Token::of("acme", "").without("sub");
    house.get_as(&nobody, &one).await.good();
    for token in [&bob, &nobody] {
        let into = house.run_as(token, "echo", &[("message", "x"), ("session_id", "s")]).await;
        assert_eq!(into.refusal(), (404, "Session not found".into()));
    }
    // Tenants are apart all the same.
    let eve = house.get_as(&Token::of("evil", "ada"), &one).await;
    assert_eq!(eve.refusal(), (404, "Workflow not found".into()));
    let info = house.get("/info").await.good();
    assert_eq!((&info["auth_mode"], &info["user_isolation"]), (&"jwt".into(), &false.into()));
}

#[tokio::test]
async fn without_authorization_a_token_only_says_who_asks() {
    let house = House::serve()
        .guarded()
        .settings("[auth]\nauthorization = false")
        .demo_models()
        .open()
        .await;
    house.push_example("echo").await;
    let ada = ada(&[]);
    assert_eq!(ids(&house.get_as(&ada, "/workflows").await.good()), ["echo"]);
    let fields = [("message", "x"), ("session_id", "s")];
    house.run_as(&ada, "echo", &fields).await.good();
    let list = "/workflows/echo/runs?session_id=s";
    house.get_as(&ada, list).await.good();
    let bob = house.get_as(&Token::of("acme", "bob").scopes(&[]), list).await;
    assert_eq!(bob.refusal(), (404, "Session not found".into()));
    // Plugins are code.
    assert_eq!(house.get_as(&ada, "/plugins").await.refusal(), lacking("plugins:read"));
}
