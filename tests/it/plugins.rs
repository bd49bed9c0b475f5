//! Plugins come and go while the host runs.

use reqwest::Method;
use serde_json::json;

use crate::house::{House, Reply, Token, command, example};

#[tokio::test]
async fn a_plugin_is_in_effect_with_the_next_request_and_after_a_restart() {
    let mut house = House::serve().demo_models().open().await;
    assert_eq!(house.run("mine", &[("message", "x")]).await.status, 404);

    assert_eq!(house.push("mine", example("echo")).await.status, 201);
    assert_eq!(house.run("mine", &[("message", "x")]).await.good()["workflow_name"], "Echo");
    assert_eq!(house.push("mine", example("echo")).await.status, 200);
    assert_eq!(house.push("mine", example("pipeline")).await.status, 200);
    assert_eq!(house.run("mine", &[("message", "x")]).await.good()["workflow_name"], "Pipeline");

    house.kill().await;
    house.start().await;
    assert_eq!(house.run("mine", &[("message", "x")]).await.good()["workflow_name"], "Pipeline");
    let plugin = house.get("/plugins/mine").await.good();
    assert!(plugin["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(plugin["bytes"], example("pipeline").len());
    assert_eq!(house.get("/plugins").await.good().as_array().unwrap().len(), 1);

    let gone = Reply::of(house.ask(Method::DELETE, "/plugins/mine")).await;
    assert_eq!(gone.status, 204);
    assert_eq!(house.run("mine", &[("message", "x")]).await.status, 404);
    assert_eq!(Reply::of(house.ask(Method::DELETE, "/plugins/mine")).await.status, 404);
    house.kill().await;
    house.start().await;
    assert_eq!(house.get("/plugins").await.good(), json!([]));
}

#[tokio::test]
async fn uploads_go_on_while_runs_do() {
    let house = House::serve().demo_models().open().await;
    house.push_example("echo").await;
    let uploads = async {
        for it in 0..6 {
            let component = if it % 2 == 0 { example("pipeline") } else { example("echo") };
            assert_eq!(house.push("echo", component).await.status, 200);
        }
    };
    let runs = async {
        for _ in 0..60 {
            let name = house.run("echo", &[("message", "x")]).await.good()["workflow_name"].clone();
            assert!(name == "Echo" || name == "Pipeline", "{name}");
        }
    };
    futures::future::join(uploads, runs).await;
}

/// What `async-pipeline` asks for.
const ALLOWED: &str = r#"[policy]
    allow = ["config", "kv", "model:*", "http:*.example.com"]"#;

#[tokio::test]
async fn what_the_operator_configures_reaches_its_plugin() {
    let steps = r#"[{"name":"plan","instructions":"Plan it."},{"name":"do","instructions":"Do it."},{"name":"check","instructions":"Check it."}]"#;
    let settings = format!(
        "{ALLOWED}\n[policy.plugins.\"default/async-pipeline\"]\nconfig = {{ steps = '{steps}' }}"
    );
    let house = House::serve().demo_models().settings(&settings).open().await;
    house.push_example("async-pipeline").await;
    let run = house.run("async-pipeline", &[("message", "x")]).await.good();
    let names: Vec<_> =
        run["step_results"].as_array().unwrap().iter().map(|it| it["step_name"].clone()).collect();
    assert_eq!(names, ["plan", "do", "check"]);
    assert_eq!(run["step_executor_runs"][0]["messages"][0]["content"], "Plan it.");
}

#[tokio::test]
async fn a_rule_for_one_tenants_plugin_is_not_for_anothers_of_the_same_name() {
    let steps = r#"[{"name":"secret","instructions":"Of acme only."}]"#;
    let settings = format!(
        "{ALLOWED}\n[policy.plugins.\"acme/async-pipeline\"]\nconfig = {{ steps = '{steps}' }}"
    );
    let house = House::serve().guarded().demo_models().settings(&settings).open().await;
    house.push_example("async-pipeline").await;
    let eve = Token::admin("evil");
    let url = format!("{}/plugins/async-pipeline", house.address());
    let hers =
        reqwest::Client::new().put(url).bearer_auth(eve.sign()).body(example("async-pipeline"));
    assert_eq!(Reply::of(hers).await.status, 201);

    let mine = house.run("async-pipeline", &[("message", "x")]).await.good();
    assert_eq!(mine["step_results"][0]["step_name"], "secret");
    let hers = house.run_as(&eve, "async-pipeline", &[("message", "x")]).await.good();
    assert_eq!(hers["step_results"][0]["step_name"], "outline");
}

#[tokio::test]
async fn the_operators_ids_are_not_for_tenants() {
    let house = House::demo().open().await;
    for id in ["echo", "prototype"] {
        assert_eq!(house.push(id, example("pipeline")).await.json()["error_id"], "id_taken");
    }
    assert_eq!(Reply::of(house.ask(Method::DELETE, "/plugins/echo")).await.status, 409);
    assert_eq!(house.push("Not an id", example("echo")).await.status, 400);
}

#[tokio::test]
async fn plugins_need_scopes_and_stay_in_their_tenant() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    let ada = Token::of("acme", "ada");
    let reply = house.get_as(&ada, "/plugins").await;
    assert_eq!(
        reply.refusal(),
        (403, "Insufficient permissions. Required scope(s): plugins:read".into())
    );
    let reader = ada.clone().scope("plugins:read");
    assert_eq!(house.get_as(&reader, "/plugins").await.good().as_array().unwrap().len(), 1);

    // Of another tenant's plugins nothing is there, not even for that tenant's admin.
    let eve = Token::admin("evil");
    assert_eq!(house.get_as(&eve, "/plugins").await.good(), json!([]));
    assert_eq!(
        house.get_as(&eve, "/plugins/echo").await.refusal(),
        (404, "Plugin not found".into())
    );
    assert_eq!(house.get_as(&eve, "/workflows").await.good(), json!([]));
    let run = house.run_as(&eve, "echo", &[("message", "x")]).await;
    assert_eq!(run.refusal(), (404, "Workflow not found".into()));
    house.run_as(&ada, "echo", &[("message", "x")]).await.good();
}

#[tokio::test]
async fn shared_plugins_are_published_by_the_operator() {
    let mut house = House::serve().guarded().demo_models().open().await;
    let shared = async |house: &House, token: &Token, method: Method, query: &str| {
        let request = house.ask_as(token, method.clone(), &format!("/plugins/common{query}"));
        let component = if method == Method::PUT { example("echo") } else { vec![] };
        Reply::of(request.body(component)).await
    };
    let (acme, root) = (Token::admin("acme"), Token::operator("ops"));
    let everything = Token::of("acme", "ada").scopes(&["plugins:write", "plugins:delete"]);
    let denied = (403, "Only the host's operator may do this".to_owned());
    for token in [&acme, &everything] {
        for method in [Method::PUT, Method::DELETE] {
            let refused = shared(&house, token, method, "?shared=true").await;
            assert_eq!(refused.refusal(), denied);
        }
    }
    let odd = shared(&house, &root, Method::PUT, "?shared=perhaps").await;
    assert_eq!((odd.status, &odd.json()["detail"][0]["type"]), (422, &json!("bool_parsing")));
    // A tenant that had the id before goes on with its own.
    assert_eq!(house.push("common", example("pipeline")).await.status, 201);

    let put = shared(&house, &root, Method::PUT, "?shared=true").await;
    assert_eq!((put.status, &put.json()["shared"]), (201, &json!(true)), "{}", put.text);
    assert_eq!(put.json()["uploaded_by"], "root");
    assert_eq!(shared(&house, &root, Method::PUT, "?shared=true").await.status, 200);
    let name = async |house: &House, tenant: &str| {
        let run = house.run_as(&Token::of(tenant, "ada"), "common", &[("message", "x")]).await;
        run.good()["workflow_name"].clone()
    };
    assert_eq!(name(&house, "acme").await, "Pipeline");
    assert_eq!(house.push("common", example("pipeline")).await.status, 200);
    assert_eq!(name(&house, "elsewhere").await, "Echo");
    let taken = shared(&house, &Token::admin("elsewhere"), Method::PUT, "").await;
    assert_eq!(taken.status, 409);

    house.kill().await;
    house.start().await;
    assert_eq!(name(&house, "elsewhere").await, "Echo");
    // Without `shared` the operator is the admin of its tenant, which has no such plugin.
    assert_eq!(shared(&house, &root, Method::DELETE, "").await.status, 409);
    assert_eq!(shared(&house, &root, Method::DELETE, "?shared=true").await.status, 204);
    assert_eq!(shared(&house, &root, Method::DELETE, "?shared=true").await.status, 404);
    let gone = house.run_as(&Token::of("elsewhere", "ada"), "common", &[("message", "x")]).await;
    assert_eq!(gone.status, 404);
    assert_eq!(name(&house, "acme").await, "Pipeline");
}

#[tokio::test]
async fn whoever_a_host_without_users_serves_is_the_operator() {
    let house = House::serve().demo_models().open().await;
    let put = house.ask(Method::PUT, "/plugins/common?shared=true").body(example("echo"));
    assert_eq!(Reply::of(put).await.json()["shared"], true);
}

#[tokio::test]
async fn push_says_what_became_of_the_upload() {
    let house = House::serve().guarded().demo_models().open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my_echo.wasm");
    std::fs::write(&file, example("echo")).unwrap();
    let file = file.to_str().unwrap();
    let token = Token::of("acme", "author").scope("plugins:write").sign();

    let (code, said) =
        command(&["push", file, "--url", house.address()], &[("STEPMILL_TOKEN", &token)]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("`my-echo` is new and in effect: sha256:"), "{said}");
    std::fs::write(file, example("pipeline")).unwrap();
    let (_, said) =
        command(&["push", file, "--url", house.address()], &[("STEPMILL_TOKEN", &token)]).await;
    assert!(said.starts_with("`my-echo` is replaced and in effect: sha256:"), "{said}");
    house.run("my-echo", &[("message", "x")]).await.good();

    let args = ["push", file, "--shared", "--id", "ours", "--url", house.address()];
    let (code, said) = command(&args, &[("STEPMILL_TOKEN", &token)]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("(403): Only the host's operator may do this"), "{said}");
    let operator = Token::operator("acme").sign();
    let (code, said) = command(&args, &[("STEPMILL_TOKEN", &operator)]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(house.get("/plugins/ours").await.good()["shared"], true);

    let (code, said) = command(&["push", file, "--url", house.address()], &[]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("refused `my-echo` (401): Authorization header missing"), "{said}");
    let garbage = folder.path().join("garbage.wasm");
    std::fs::write(&garbage, "garbage").unwrap();
    let args = ["push", garbage.to_str().unwrap(), "--url", house.address()];
    let (code, said) = command(&args, &[("STEPMILL_TOKEN", &token)]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("not a WebAssembly component"), "{said}");
    let (code, said) = command(&["push", "no-such-file.wasm"], &[]).await;
    assert_eq!(code, Some(2), "{said}");
}
