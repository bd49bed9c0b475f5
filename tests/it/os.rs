//! What the host tells of itself: names, lists, and the shapes clients key on.

use serde_json::{Value, json};

use crate::house::{House, Token};

const NAMED: &str = "[os]\nid = \"golden-os\"\nname = \"Golden OS\"\nversion = \"1.0.0\"\n\
    description = \"Golden transcripts\"\navailable_models = [\"gpt-5.4\"]\n\
    [database]\nid = \"golden-db\"";

const PROTOTYPE: &str = r#"
    name = "Prototype"
    [[steps]]
    name = "first"
    agent = { name = "First", model = "gpt-4.1-mini", instructions = "Be first." }
    [[steps]]
    name = "second"
    agent = { name = "Second", model = "unheard-of", provider = "nobody", instructions = "" }
"#;

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

/// JSON with its keys in their order.
fn text(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

async fn declare(house: &mut House, name: &str, file: &str) {
    assert_eq!(house.stop().await, Some(0));
    std::fs::create_dir_all(house.data().join("workflows")).unwrap();
    std::fs::write(house.data().join("workflows").join(name), file).unwrap();
    house.start().await;
}

#[tokio::test]
async fn the_host_says_who_it_is() {
    let house = House::serve().settings(NAMED).demo_models().open().await;
    house.push_example("echo").await;

    assert_eq!(
        text(&house.get("/").await.good()),
        r#"{"name":"Golden OS","health":"/health","info":"/info","docs":"/docs"}"#
    );
    let info = house.get("/info").await.good();
    let mut expected = json!({
        "os_id": "golden-os", "name": "Golden OS", "os_version": "1.0.0",
        "agno_version": "3.1.10", "agent_count": 0, "team_count": 0, "workflow_count": 1,
        "mcp": { "enabled": false, "path": null, "oauth": null, "tool_run_endpoint": false },
        "auth_mode": "none", "user_isolation": false,
    });
    expected["stepmill_version"] = env!("CARGO_PKG_VERSION").into();
    assert_eq!(text(&info), text(&expected));
    for nothing in ["/agents", "/teams"] {
        assert_eq!(house.get(nothing).await.good(), json!([]));
    }
    assert_eq!(house.get("/models").await.refusal(), (404, "Not Found".into()));
}

#[tokio::test]
async fn the_configuration_is_as_recorded() {
    let house = House::serve().settings(NAMED).demo_models().open().await;
    house.push_example("echo").await;

    let config = house.get("/config").await.good();

    let dbs = |tables: Value| {
        let mut db =
            json!({ "db_id": "golden-db", "domain_config": { "display_name": "golden-db" } });
        if !tables.is_null() {
            db["tables"] = tables;
        }
        json!({ "dbs": [db] })
    };
    let expected = json!({
        "os_id": "golden-os", "description": "Golden transcripts",
        "available_models": ["gpt-5.4"], "databases": ["golden-db"],
        "session": dbs(json!(["agno_sessions"])), "metrics": dbs(json!(["agno_metrics"])),
        "memory": dbs(json!(["agno_memories"])), "learning": dbs(json!(["agno_learnings"])),
        "filesystem": { "namespaces": [] },
        "knowledge": { "dbs": [], "knowledge_instances": [] },
        "evals": dbs(json!(["agno_eval_runs"])), "traces": dbs(Value::Null),
        "queue": { "durable": false, "queue_per_session": false },
        "agents": [], "teams": [], "workflows": house.get("/workflows").await.good(),
        "interfaces": [], "company": null,
    });
    assert_eq!(text(&config), text(&expected));
    assert_eq!(config["workflows"][0]["db_id"], "golden-db");
}

#[tokio::test]
async fn anybody_may_ask_who_a_guarded_host_is_and_learns_nothing_of_tenants() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    let nobody = async |path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", house.address()));
        crate::house::Reply::of(request).await
    };

    let info = nobody("/info").await.good();
    assert_eq!((&info["auth_mode"], &info["user_isolation"]), (&json!("jwt"), &json!(true)));
    assert_eq!(info["workflow_count"], 0);
    assert_eq!(nobody("/").await.good()["name"], "Stepmill");
    assert_eq!(nobody("/config").await.status, 401);

    let other = Token::admin("other");
    assert_eq!(house.get_as(&other, "/config").await.good()["workflows"], json!([]));
    assert_eq!(ids(&house.get("/config").await.good()["workflows"]), ["echo"]);
}

#[tokio::test]
async fn workflows_are_listed_as_they_came() {
    let mut house = House::serve().demo_models().open().await;
    for id in ["pipeline", "echo", "article-pipeline"] {
        house.push_example(id).await;
    }
    declare(&mut house, "2-later.toml", &format!("id = \"a-later\"\n{PROTOTYPE}")).await;
    declare(&mut house, "1-first.toml", &format!("id = \"z-first\"\n{PROTOTYPE}")).await;

    let came = ["pipeline", "echo", "article-pipeline", "z-first", "a-later"];
    assert_eq!(ids(&house.get("/workflows").await.good()), came);
    // A new version keeps its place.
    assert_eq!(house.push("pipeline", crate::house::example("echo")).await.status, 200);
    assert_eq!(ids(&house.get("/workflows").await.good()), came);
}

#[tokio::test]
async fn details_are_as_recorded() {
    let mut house = House::serve().models_at("http://127.0.0.1:1").open().await;
    house.push_example("article-pipeline").await;
    declare(&mut house, "prototype.toml", PROTOTYPE).await;

    let factory = house.get("/workflows/article-pipeline").await.good();
    let prototype = house.get("/workflows/prototype?version=3").await.good();

    assert_eq!(
        text(&factory),
        text(&json!({
            "id": "article-pipeline", "db_id": "stepmill", "workflow_agent": false,
            "is_factory": true, "is_component": false, "sandboxed": false,
        }))
    );
    let agent = |name: &str, model: Value, says: Value| {
        let mut view = json!({
            "name": name, "filesystem": false, "is_factory": false, "model": model,
            "reasoning": { "reasoning": false },
        });
        if !says.is_null() {
            view["system_message"] = json!({ "instructions": says });
        }
        view["is_component"] = false.into();
        view["sandboxed"] = false.into();
        view
    };
    let known = json!({ "name": "OpenAIResponses", "model": "gpt-4.1-mini", "provider": "OpenAI" });
    let unknown = json!({ "model": "unheard-of", "provider": "nobody" });
    assert_eq!(
        text(&prototype),
        text(&json!({
            "id": "prototype", "name": "Prototype", "db_id": "stepmill",
            "steps": [
                { "name": "first", "type": "Step", "agent": agent("First", known, json!("Be first.")) },
                { "name": "second", "type": "Step", "agent": agent("Second", unknown, Value::Null) },
            ],
            "workflow_agent": false, "is_factory": false, "is_component": false,
            "sandboxed": false,
        }))
    );
    let reply = house.get("/workflows/prototype?version=abc").await;
    assert_eq!((reply.status, &reply.json()["detail"][0]["type"]), (422, &json!("int_parsing")));
}
