//! What plugins may do: asked, allowed, granted, and taken back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Reply, Token, command, example, example_file, hostile};

/// The operator says something of a scope.
async fn say(house: &House, query: &str, policy: Value) -> Reply {
    let request = house.ask_as(&Token::operator("ops"), Method::PUT, &format!("/policy{query}"));
    Reply::of(request.json(&policy)).await
}

async fn take_back(house: &House, query: &str) -> u16 {
    let path = format!("/policy{query}");
    Reply::of(house.ask_as(&Token::operator("ops"), Method::DELETE, &path)).await.status
}

#[tokio::test]
async fn a_plugin_that_asks_for_too_much_is_refused_in_words_for_its_author() {
    let house = House::serve().guarded().demo_models().open().await;
    let refused = house.push("fetcher", example("async-pipeline")).await;
    assert_eq!(refused.json()["error_id"], "capability_not_granted", "{}", refused.text);
    assert_eq!(
        refused.refusal(),
        (
            403,
            "The plugin asks for `http:*.example.com`, which is not granted here. It would be \
             granted: `config`, `kv`, `model:*`. Ask for less, or have the host's operator allow it."
                .into()
        )
    );
    assert_eq!(house.get("/plugins/fetcher").await.status, 404);
    assert_eq!(house.get("/workflows/fetcher").await.status, 404);

    let allow = json!({ "allow": ["config", "kv", "model:*", "http:*.example.com"] });
    assert_eq!(say(&house, "?tenant=elsewhere", allow.clone()).await.status, 200);
    assert_eq!(house.push("fetcher", example("async-pipeline")).await.status, 403);
    assert_eq!(say(&house, "?tenant=acme&plugin=fetcher", allow).await.status, 200);
    let taken = house.push("fetcher", example("async-pipeline")).await;
    assert_eq!(taken.status, 201, "{}", taken.text);
    assert_eq!(taken.json()["granted"], json!(["config", "kv", "model:*", "http:*.example.com"]));
    assert_eq!(house.push("other", example("async-pipeline")).await.status, 403);
}

#[tokio::test]
async fn what_is_taken_back_is_not_there_at_the_next_call() {
    let mut house = House::serve().guarded().demo_models().open().await;
    let all = json!({ "allow": ["clock", "randomness", "config", "kv", "model:*", "http:api.example.com"] });
    assert_eq!(say(&house, "?tenant=acme", all).await.status, 200);
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    let ask = async |house: &House, order: &str| {
        let run = house.run("hostile", &[("message", order)]).await.good();
        run["content"].as_str().unwrap().to_owned()
    };
    assert!(ask(&house, "clock").await.contains("stands still: false"));
    assert_ne!(ask(&house, "random").await, ask(&house, "random").await);

    assert_eq!(say(&house, "?tenant=acme", json!({ "allow": ["model:*"] })).await.status, 200);
    assert_eq!(house.get("/plugins/hostile").await.good()["granted"], json!(["model:*"]));
    house.kill().await;
    house.start().await;
    // Without the grant the clock stands still and chance repeats itself.
    assert!(ask(&house, "clock").await.contains("stands still: true"));
    assert_eq!(ask(&house, "random").await, ask(&house, "random").await);
    assert!(ask(&house, "fetch https://api.example.com/").await.contains("NotGranted"));

    assert_eq!(take_back(&house, "?tenant=acme").await, 204);
    assert_eq!(take_back(&house, "?tenant=acme").await, 404);
    assert_eq!(
        house.get("/plugins/hostile").await.good()["granted"],
        json!(["config", "kv", "model:*"])
    );
}

#[tokio::test]
async fn a_model_that_is_not_granted_is_not_asked() {
    let house = House::serve().guarded().demo_models().open().await;
    assert_eq!(house.push("writer", example("content-pipeline")).await.status, 201);
    house.run("writer", &[("message", "x")]).await.good();
    assert_eq!(say(&house, "", json!({ "allow": ["model:small-*"] })).await.status, 200);
    let refused = house.run("writer", &[("message", "x"), ("session_id", "s")]).await;
    assert_eq!(refused.json()["error_id"], "model_not_granted", "{}", refused.text);
    let text = "the step `draft` asks a model that is not granted".to_owned();
    assert_eq!(refused.refusal(), (403, text));
    // Nothing of the run was kept.
    assert_eq!(house.get("/sessions/s?type=workflow").await.status, 404);
}

#[tokio::test]
async fn policies_are_the_host_operators() {
    let house = House::serve().guarded().demo_models().open().await;
    for token in [Token::admin("acme"), Token::of("acme", "ada")] {
        for (method, path) in [
            (Method::GET, "/policies"),
            (Method::GET, "/policy"),
            (Method::DELETE, "/policy?tenant=acme"),
        ] {
            let refused = Reply::of(house.ask_as(&token, method, path)).await;
            assert_eq!(refused.refusal(), (403, "Only the host's operator may do this".into()));
        }
        for method in [Method::PUT, Method::PATCH] {
            let said = house.ask_as(&token, method, "/policy").json(&json!({ "allow": [] }));
            assert_eq!(Reply::of(said).await.status, 403);
        }
    }
    let root = Token::operator("ops");
    let said = house.get_as(&root, "/policy").await.good();
    assert_eq!(
        said,
        json!({ "source": "file", "policy": { "allow": ["config", "kv", "model:*"] } })
    );
    assert_eq!(house.get_as(&root, "/policy?tenant=acme").await.status, 404);

    for (query, policy, place) in [
        ("", json!({ "allow": ["everything"] }), "allow: each is one of"),
        ("", json!({ "allow": ["http:a:1"] }), "allow: `a:1` is no place"),
        ("", json!({ "may": [] }), "unknown field `may`"),
        ("?tenant=acme", json!({ "config": { "a": "b" } }), "config: is only said of a plugin"),
    ] {
        let refused = say(&house, query, policy).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.refusal().1.contains(place), "{}", refused.text);
    }
    let said = say(&house, "?plugin=p", json!({ "config": { "a": "b" } })).await.good();
    assert_eq!((&said["source"], &said["updated_by"]), (&json!("api"), &json!("root")));
    let all = house.get_as(&root, "/policies").await.good();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let file = "[policy.tenants.acme]\nallow = [\"kv\"]\nlimits = { runs = 7, plugins = 3 }";
    let mut house = House::serve().guarded().demo_models().settings(file).open().await;
    let root = Token::operator("ops");
    let patch = async |house: &House, query: &str, patch: Value| {
        let request = house.ask_as(&root, Method::PATCH, &format!("/policy{query}"));
        let request = request.header("content-type", "application/merge-patch+json");
        Reply::of(request.body(patch.to_string())).await
    };

    // What the file says of the scope is where it begins.
    let change =
        json!({ "limits": { "plugins": null, "calls": 2 }, "models": { "concurrent": 4 } });
    let said = patch(&house, "?tenant=acme", change).await.good();
    let expected = json!({
        "allow": ["kv"], "models": { "concurrent": 4 }, "limits": { "calls": 2, "runs": 7 }
    });
    assert_eq!((&said["policy"], &said["source"]), (&expected, &json!("api")));
    house.kill().await;
    house.start().await;
    let said = house.get_as(&root, "/policy?tenant=acme").await.good();
    assert_eq!(said["policy"], expected);

    // Changes at the same moment do not undo each other.
    let config = |it: u32| json!({ "config": { format!("k{it}"): "v" } });
    let all = (0..20).map(|it| patch(&house, "?tenant=acme&plugin=p", config(it)));
    for reply in futures::future::join_all(all).await {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let said = house.get_as(&root, "/policy?tenant=acme&plugin=p").await.good();
    assert_eq!(said["policy"]["config"].as_object().unwrap().len(), 20);

    // The same checks as of a whole policy, and nothing is changed by what is refused.
    for (change, place) in [
        (json!({ "allow": ["everything"] }), "allow: each is one of"),
        (json!({ "may": [] }), "unknown field `may`"),
        (json!({ "limits": { "runs": "many" } }), "invalid type"),
        (json!({ "config": { "a": "b" } }), "config: is only said of a plugin"),
    ] {
        let refused = patch(&house, "?tenant=acme", change).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.refusal().1.contains(place), "{}", refused.text);
    }
    assert_eq!(house.get_as(&root, "/policy?tenant=acme").await.good()["policy"], expected);
    let audit = house.get_as(&root, "/audit?host=true").await.good();
    let puts = audit.as_array().unwrap().iter().filter(|it| it["action"] == "policy.put");
    assert_eq!(puts.count(), 21);
}

#[tokio::test]
async fn inspect_shows_what_is_asked_and_what_is_granted() {
    let house = House::demo().open().await;
    let (code, said) = command(&["inspect", "async-pipeline", "--url", house.address()], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("http:*.example.com"), "{said}");
    assert!(!said.contains("not granted"), "{said}");

    let file = example_file("async-pipeline");
    let (code, said) = command(&["inspect", file.to_str().unwrap()], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let line = said.lines().find(|it| it.contains("http:*.example.com")).unwrap();
    assert!(line.ends_with("not granted"), "{said}");
    let (code, said) = command(&["inspect", "nothing", "--url", house.address()], &[]).await;
    assert_eq!(code, Some(1), "{said}");
}
