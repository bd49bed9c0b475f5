//! The wall clock jumps by hours while the host runs, forwards and backwards: what is said in wall
//! time counts by it, and nothing else notices.

use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Reply, Token, World, example};

const HOUR: i64 = 3_600;

/// Far enough to be over every deadline, pause and gap of the host.
const JUMPS: [i64; 4] = [5 * HOUR, -5 * HOUR, 30 * HOUR, -30 * HOUR];

/// A house that lets everybody in, so that no token's end is in the way.
async fn open_house(world: &World, provider: &FakeProvider, settings: &str) -> House {
    let house = House::serve().models_at(&provider.url("gate")).settings(settings);
    let house = world.of(house).open().await;
    house.push_example("echo").await;
    house.push_example("content-pipeline").await;
    house
}

#[tokio::test]
async fn a_token_and_a_key_end_by_the_clock_and_open_again_when_it_goes_back() {
    let world = World::open();
    let house = world.of(House::serve().guarded().demo_models()).open().await;
    assert_eq!(house.push("echo", example("echo")).await.status, 201);
    let body = json!({ "name": "CI", "roles": ["runner"], "expires_in_days": 1 });
    let made = house.send(Method::POST, "/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let by_key = async || {
        let request = client.get(format!("{}/workflows", house.address())).bearer_auth(&key);
        Reply::of(request).await.status
    };
    let early = Token::of("acme", "ada").claim("nbf", jsonwebtoken::get_current_timestamp() - 60);
    let late = Token::of("acme", "ada").claim("exp", jsonwebtoken::get_current_timestamp() + 8_000);
    let by = async |token: &Token| house.get_as(token, "/workflows").await.status;
    for (ahead, expected) in [
        (0, (200, 200, 200)),
        (2 * HOUR, (200, 401, 200)),
        (25 * HOUR, (401, 401, 401)),
        // A clock that is back is right again, and what was refused meanwhile opens.
        (0, (200, 200, 200)),
        // Before the token begins.
        (-2 * HOUR, (200, 401, 200)),
        (-48 * HOUR, (200, 401, 200)),
        (0, (200, 200, 200)),
    ] {
        world.set_clock(ahead);
        assert_eq!((by_key().await, by(&early).await, by(&late).await), expected, "{ahead}");
    }
}

#[tokio::test]
async fn a_run_goes_on_whatever_time_it_is() {
    let (world, provider) = (World::open(), FakeProvider::open().await.unwrap());
    let house = open_house(&world, &provider, "").await;
    for (at, ahead) in JUMPS.into_iter().enumerate() {
        world.set_clock(0);
        let session = format!("s{at}");
        let fields = [("message", "Write"), ("session_id", session.as_str())];
        let mut events = house.stream("content-pipeline", &fields).await;
        events.until("ModelRequestStarted").await;
        world.set_clock(ahead);
        provider.release_answers(2);
        let ended = events.until("WorkflowCompleted").await;
        assert!(0.0 <= ended.data["metrics"]["duration"].as_f64().unwrap_or_default());
        let path = format!("/sessions/{session}/runs?type=workflow");
        let runs = house.get(&path).await.good();
        assert_eq!(runs[0]["status"], "COMPLETED", "{ahead}");
        assert!(!runs.to_string().contains(":-"), "{ahead}: a time below zero in {runs}");
        // What a model took is told by a clock that only goes forward.
        assert!(model_seconds(&runs).iter().all(|it| (0.0..600.0).contains(it)), "{ahead}: {runs}");
    }
}

/// Every `duration` of a model's answer.
fn model_seconds(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(model_seconds).collect(),
        Value::Object(fields) => {
            let own = fields.get("time_to_first_token").and(fields.get("duration"));
            let own = own.and_then(Value::as_f64);
            own.into_iter().chain(fields.values().flat_map(model_seconds)).collect()
        }
        _ => vec![],
    }
}

#[tokio::test]
async fn a_run_is_taken_up_once_by_a_host_that_starts_at_another_time() {
    let (world, provider) = (World::open(), FakeProvider::open().await.unwrap());
    let mut house = open_house(&world, &provider, "").await;
    let mut asked = 0;
    for (at, ahead) in JUMPS.into_iter().enumerate() {
        world.set_clock(0);
        let session = format!("s{at}");
        let fields = [("message", "Write"), ("session_id", session.as_str())];
        let mut events = house.stream("content-pipeline", &fields).await;
        events.until("ModelRequestStarted").await;
        asked += 1;
        provider.arrived(asked).await;
        house.kill().await;
        world.set_clock(ahead);
        house.start().await;
        // The call that nobody heard the answer of, and the second step's.
        asked += 1;
        provider.arrived(asked).await;
        provider.release_answers(2);
        asked += 1;
        provider.arrived(asked).await;
        let path = format!("/sessions/{session}/runs?type=workflow");
        let run = loop {
            let run = house.get(&path).await.good()[0].clone();
            if run["status"] != "RUNNING" {
                break run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        assert_eq!(run["status"], "COMPLETED", "{ahead}");
        assert_eq!(provider.count(), asked, "{ahead}: a step is asked for once");
    }
    // All are there, on every page, whenever they say they were made.
    let pages = async |page: usize| {
        house.get(&format!("/sessions?type=workflow&limit=3&page={page}")).await.good()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((pages(1).await, pages(2).await), (3, 1));
}

#[tokio::test]
async fn a_rate_neither_forgets_nor_locks_out() {
    let world = World::open();
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings("[policy.tenants.acme.limits]\nrequests_per_minute = 3");
    let house = world.of(house).open().await;
    let ada = || Token::of("acme", "ada").claim("exp", i64::MAX / 2_000_000_000);
    let ask = async || house.get_as(&ada(), "/workflows").await;
    while ask().await.status == 200 {}
    for ahead in JUMPS {
        world.set_clock(ahead);
        let refused = ask().await;
        // Its own 20 seconds are over at the soonest; what the clock says is not asked.
        assert_eq!(refused.status, 429, "{ahead}: {}", refused.text);
        let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&seconds), "{ahead}: {seconds}");
    }
}

#[tokio::test]
async fn what_a_day_has_spent_is_spent_when_the_clock_comes_back() {
    let (world, provider) = (World::open(), FakeProvider::open().await.unwrap());
    let settings = "[policy.models]\ntokens_per_day = 100_000\noutput_tokens = 1_000";
    let mut house = open_house(&world, &provider, settings).await;
    provider.release_answers(100);
    let left = async |house: &House| house.get("/usage").await.good()["budgets"][0].clone();
    house.run("content-pipeline", &[("message", "Write")]).await.good();
    let today = left(&house).await;
    for ahead in [30 * HOUR, -30 * HOUR] {
        world.set_clock(ahead);
        house.run("content-pipeline", &[("message", "Write")]).await.good();
        world.set_clock(0);
        assert_eq!(left(&house).await, today, "{ahead}");
        // The same after a start in the wrong time.
        house.kill().await;
        world.set_clock(ahead);
        house.start().await;
        world.set_clock(0);
        assert_eq!(left(&house).await, today, "{ahead}");
    }
}

#[tokio::test]
async fn the_audit_log_keeps_its_lines() {
    let world = World::open();
    let mut house = world.of(House::serve().demo_models()).open().await;
    house.push_example("echo").await;
    let before = house.get("/audit").await.good();
    for ahead in JUMPS {
        house.kill().await;
        world.set_clock(ahead);
        house.start().await;
        assert_eq!(house.get("/audit").await.good(), before, "{ahead}");
    }
}
