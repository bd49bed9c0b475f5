//! Budgets: however many ask at once, nobody gets more than there is.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Reply, Token};

/// A workflow of one agent.
const ONE: &str = "name = \"One\"\n[[steps]]\nname = \"only\"\n\
    agent = { name = \"A\", model = \"gpt-5\", instructions = \"Be.\" }";

/// A workflow of two.
const TWO: &str = "name = \"Two\"\n[[steps]]\nname = \"first\"\n\
    agent = { name = \"A\", model = \"gpt-5\", instructions = \"Be.\", max_output_tokens = 100 }\n\
    [[steps]]\nname = \"second\"\n\
    agent = { name = \"B\", model = \"gpt-5\", instructions = \"Be.\", max_output_tokens = 100 }";

async fn used(house: &House, query: &str) -> Value {
    house.get(&format!("/usage{query}")).await.good()
}

/// Tokens of today, of all rows.
fn tokens(usage: &Value) -> u64 {
    let of = |row: &Value, key: &str| row[key].as_u64().unwrap();
    let rows = usage["usage"].as_array().unwrap();
    rows.iter().map(|it| of(it, "input_tokens") + of(it, "output_tokens")).sum()
}

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error_id"].as_str().unwrap_or_default().to_owned())
}

async fn say(house: &House, query: &str, models: Value) {
    let policy = json!({ "allow": ["model:*"], "models": models });
    let request = house.ask_as(&Token::operator("ops"), Method::PUT, &format!("/policy{query}"));
    Reply::of(request.json(&policy)).await.good();
}

#[tokio::test]
async fn sixty_four_runs_at_once_do_not_use_more_than_a_day_gives() {
    let provider = FakeProvider::open().await.unwrap();
    // A call may have 158 tokens (128 around the prompt), and uses a few of them.
    let house = House::serve()
        .guarded()
        .models_at(&provider.url("slow-20"))
        .settings("[policy.tenants.acme.models]\ntokens_per_day = 400\noutput_tokens = 20")
        .workflow("one", ONE)
        .open()
        .await;
    let runs = (0..64).map(|_| house.run("one", &[("message", "Hello")]));
    let replies = join_all(runs).await;
    let good = replies.iter().filter(|it| it.status == 200).count() as u64;
    assert!(0 < good);
    assert_eq!(provider.count(), good, "who is refused does not ask");
    for reply in replies.iter().filter(|it| it.status != 200) {
        let said = refused(reply);
        let is_known = ["budget_busy", "budget_exhausted"].contains(&said.1.as_str());
        assert!(is_known && [429, 500].contains(&said.0), "{said:?}");
        let seconds = reply.headers.get("retry-after").map(|it| it.to_str().unwrap());
        assert_eq!(said.0 == 429, seconds.is_some(), "{said:?}");
    }
    // One after the other they go on until nothing fits.
    let last = loop {
        let reply = house.run("one", &[("message", "Hello")]).await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!(refused(&last), (429, "budget_exhausted".into()));
    let seconds: u64 = last.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    assert_eq!(last.refusal().1, "the day's budget for models is used up");

    let usage = used(&house, "").await;
    assert!((200..=400).contains(&tokens(&usage)), "{usage}");
    assert_eq!(usage["budgets"][0]["tokens_left"], 400 - tokens(&usage));
    assert_eq!(usage["usage"][0]["calls"], provider.count());
    // Another tenant has its own.
    let other = Token::admin("other");
    assert_eq!(house.run_as(&other, "one", &[("message", "Hello")]).await.status, 200);
}

#[tokio::test]
async fn the_provider_is_asked_for_no_more_than_is_left() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve()
        .models_at(&provider.url("ok"))
        .settings("[policy.models]\noutput_tokens = 60\ntokens_per_run = 400")
        .workflow("one", ONE)
        .workflow("two", TWO)
        .open()
        .await;
    let asked = |at: usize| provider.requests()[at].body["max_output_tokens"].clone();
    house.run("two", &[("message", "Hello")]).await.good();
    assert_eq!((asked(0), asked(1)), (json!(60), json!(60)));

    // Less is left than an answer may have: 400 − 128 − 3 − 220.
    let long = "x".repeat(220);
    let answer = house.run("one", &[("message", &long)]).await.good();
    assert_eq!(asked(2), json!(49));
    assert_eq!(answer["status"], "COMPLETED");

    // It would never fit, so the run is not begun.
    let longer = "x".repeat(400);
    let refusal = house.run("one", &[("message", &longer), ("session_id", "s")]).await;
    assert_eq!(refused(&refusal), (403, "budget_too_small".into()));
    assert!(!refusal.headers.contains_key("retry-after"));
    assert_eq!(house.get("/sessions/s?type=workflow").await.status, 404);

    // The second step does not fit: the run fails, and what was used is counted.
    let message = "x".repeat(240);
    let failed = house.run("two", &[("message", &message), ("session_id", "t")]).await;
    assert_eq!(refused(&failed), (500, "budget_too_small".into()));
    assert_eq!(provider.count(), 4);
    let run = failed.json()["run_id"].as_str().unwrap().to_owned();
    let kept = house.get(&format!("/workflows/two/runs/{run}?session_id=t")).await.good();
    assert_eq!(kept["status"], "ERROR");
    assert_eq!(used(&house, "").await["usage"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_tenant_makes_so_many_calls_at_once_and_the_rest_wait_their_turn() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve()
        .guarded()
        .models_at(&provider.url("gate"))
        .settings("[policy.tenants.acme.models]\nconcurrent = 2")
        .workflow("one", ONE)
        .open()
        .await;
    let other = Token::admin("other");
    let runs = join_all((0..8).map(|_| house.run("one", &[("message", "Hello")])));
    let watching = async {
        provider.arrived(2).await;
        // The line stands before the provider, and only for this tenant.
        let other = house.run_as(&other, "one", &[("message", "Hello")]);
        let seen = async {
            provider.arrived(3).await;
            provider.release_answers(3);
            for answered in 3..=6 {
                provider.arrived(answered + 2).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert_eq!(provider.count(), answered + 2, "two at once, and no more");
                provider.release_answers(1);
            }
            provider.release_answers(10);
        };
        futures::future::join(other, seen).await.0
    };
    let (replies, other) = futures::future::join(runs, watching).await;
    assert!(replies.iter().all(|it| it.status == 200));
    assert_eq!(other.status, 200);
    assert_eq!(provider.count(), 9);
}

#[tokio::test]
async fn who_waits_for_too_long_is_told_so() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve()
        .models_at(&provider.url("gate"))
        .settings("[policy.models]\nconcurrent = 1\n[runs]\nbudget_wait_ms = 50")
        .workflow("one", ONE)
        .open()
        .await;
    let first = house.run("one", &[("message", "Hello")]);
    let second = async {
        provider.arrived(1).await;
        let second = house.run("one", &[("message", "Hello")]).await;
        provider.release_answers(1);
        second
    };
    let (first, second) = futures::future::join(first, second).await;
    assert_eq!(first.status, 200);
    assert_eq!(refused(&second), (500, "budget_busy".into()));
}

#[tokio::test]
async fn what_was_used_is_known_after_kill_9_and_a_lost_call_counts_whole() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve()
        .models_at(&provider.url("gate"))
        .settings("[policy.models]\ntokens_per_day = 100_000\noutput_tokens = 1_000")
        .workflow("two", TWO)
        .open()
        .await;
    let mut events = house.stream("two", &[("message", "Hello"), ("session_id", "s")]).await;
    provider.release_answers(1);
    events.until("StepCompleted").await;
    provider.arrived(2).await;
    let first = used(&house, "").await;
    assert_eq!(
        (&first["usage"][0]["calls"], &first["usage"][0]["estimated_calls"]),
        (&json!(1), &json!(0))
    );
    house.kill().await;
    house.start().await;
    // At once, before the call is made again: the first answer, and all the second can have had.
    let lost = used(&house, "").await;
    let left = lost["budgets"][0]["tokens_left"].as_u64().unwrap();
    assert!(left + tokens(&first) + 128 + 100 <= 100_000, "{lost}");
    provider.release_answers(10);
    provider.arrived(3).await;
    let run = loop {
        let usage = used(&house, "").await;
        if usage["usage"][0]["calls"] == 3 {
            break usage;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(run["usage"][0]["estimated_calls"], 1);
    assert_eq!(run["budgets"][0]["tokens_left"], 100_000 - tokens(&run));
    house.kill().await;
    house.start().await;
    assert_eq!(used(&house, "").await, run);
}

#[tokio::test]
async fn who_deletes_a_run_does_not_get_back_what_it_used() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate")).workflow("one", ONE).open().await;
    let mut events = house.stream("one", &[("message", "Hello"), ("session_id", "s")]).await;
    events.until("ModelRequestStarted").await;
    provider.arrived(1).await;
    let gone = Reply::of(house.ask(Method::DELETE, "/sessions/s?type=workflow")).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    provider.release_answers(1);
    events.rest().await;
    loop {
        let usage = used(&house, "").await;
        if let Some(row) = usage["usage"].get(0) {
            assert_eq!(row["calls"], 1);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_day_may_cost_so_much_and_a_model_without_a_price_is_not_asked() {
    let house = House::serve()
        .demo_models()
        .settings("[models.prices]\n\"gpt-*\" = { input = 1_000, output = \"10000.00\" }")
        .settings("[policy.models]\ncost_per_day = 1.5")
        .workflow("one", ONE)
        .workflow("other", &ONE.replace("gpt-5", "o3"))
        .open()
        .await;
    let unpriced = house.run("other", &[("message", "Hello")]).await;
    assert_eq!(refused(&unpriced), (403, "model_not_priced".into()));
    let last = loop {
        let reply = house.run("one", &[("message", "Hello")]).await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!(refused(&last), (429, "budget_exhausted".into()));
    let usage = used(&house, "").await;
    let row = &usage["usage"][0];
    let cost = |it: &Value| it.as_str().unwrap().parse::<f64>().unwrap();
    let tokens = |key: &str| row[key].as_u64().unwrap() as f64;
    let exact = tokens("input_tokens") * 0.001 + tokens("output_tokens") * 0.01;
    assert!((cost(&row["cost"]) - exact).abs() < 1e-9, "{usage}");
    assert!((1.0..=1.5).contains(&exact), "{usage}");
    let left = cost(&usage["budgets"][0]["cost_left"]);
    assert!((1.5 - exact - left).abs() < 1e-9, "{usage}");
}

#[tokio::test]
async fn a_model_that_is_taken_back_fails_the_next_step() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().guarded().models_at(&provider.url("gate")).open().await;
    assert_eq!(house.push("writer", crate::house::example("content-pipeline")).await.status, 201);
    let run = house.run("writer", &[("message", "Hello")]);
    let taking = async {
        provider.arrived(1).await;
        let root = Token::operator("ops");
        let put = house.ask_as(&root, Method::PUT, "/policy?tenant=acme");
        Reply::of(put.json(&json!({ "allow": ["kv"] }))).await.good();
        provider.release_answers(2);
    };
    let (run, ()) = futures::future::join(run, taking).await;
    assert_eq!(refused(&run), (500, "model_not_granted".into()));
    assert_eq!(provider.count(), 1);
}

#[tokio::test]
async fn usage_is_read_by_those_it_belongs_to() {
    let house = House::serve().guarded().demo_models().workflow("one", ONE).open().await;
    say(&house, "", json!({ "tokens_per_day": 1_000_000 })).await;
    say(&house, "?tenant=acme", json!({ "cost_per_day": "5" })).await;
    house.run("one", &[("message", "Hello")]).await;
    say(&house, "?tenant=acme", json!({ "tokens_per_run": 10_000, "concurrent": 3 })).await;
    house.run("one", &[("message", "Hello")]).await.good();

    let usage = used(&house, "").await;
    assert_eq!(usage["tenant"], "acme");
    let row = &usage["usage"][0];
    assert_eq!((&row["workflow_id"], &row["model"]), (&json!("one"), &json!("gpt-5")));
    assert_eq!(
        (&row["shared"], &row["calls"], &row["cost"]),
        (&json!(true), &json!(1), &json!("0"))
    );
    // An admin sees its tenant's budgets; the operator also those that tenants share.
    let scopes = |it: &Value| -> Vec<_> {
        it["budgets"].as_array().unwrap().iter().map(|it| it["scope"].clone()).collect()
    };
    assert_eq!(scopes(&usage), ["tenant"]);
    let root = Token::operator("ops");
    let seen = house.get_as(&root, "/usage?tenant=acme").await.good();
    assert_eq!(
        (scopes(&seen), &seen["usage"]),
        (vec![json!("host"), json!("tenant")], &usage["usage"])
    );
    assert_eq!(house.get_as(&root, "/usage").await.good()["usage"], json!([]));

    let denied = house.get("/usage?tenant=other").await;
    assert_eq!(denied.refusal(), (403, "Only the host's operator may do this".into()));
    let ada = Token::of("acme", "ada");
    assert_eq!(house.get_as(&ada, "/usage").await.status, 403);
    let reader = Token::of("acme", "ada").scope("usage:read");
    assert_eq!(house.get_as(&reader, "/usage").await.good(), usage);
    let day = usage["from"].as_str().unwrap();
    assert_eq!(
        used(&house, &format!("?from=2026-01-01&to={}", "2026-01-31")).await["usage"],
        json!([])
    );
    assert_eq!(used(&house, &format!("?from={day}")).await, usage);
    for bad in ["from=today", "to=2026-02-30", "from=2026-02-01&to=2026-01-01", "from=2020-01-01"] {
        assert_eq!(house.get(&format!("/usage?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn budgets_that_cannot_be_are_refused() {
    let house = House::serve().guarded().demo_models().open().await;
    for (models, place) in [
        (json!({ "tokens": 1 }), "unknown field `tokens`"),
        (json!([7]), "expected bounds by name"),
        (json!({ "concurrent": 0 }), "models.concurrent: must be between 1 and"),
        (json!({ "cost_per_day": "five" }), "models.cost_per_day: is a number such as"),
        (json!({ "cost_per_day": -1 }), "models.cost_per_day: is a number such as"),
    ] {
        let request = house.ask_as(&Token::operator("ops"), Method::PUT, "/policy?tenant=acme");
        let refused = Reply::of(request.json(&json!({ "models": models }))).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.refusal().1.contains(place), "{}", refused.text);
    }
    say(&house, "?tenant=acme", json!({ "cost_per_day": 2.50, "tokens_per_day": 7 })).await;
    let said = house.get_as(&Token::operator("ops"), "/policy?tenant=acme").await.good();
    let models = json!({ "cost_per_day": "2.5", "tokens_per_day": 7 });
    assert_eq!(said["policy"], json!({ "allow": ["model:*"], "models": models }));
}
