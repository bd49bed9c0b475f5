//! A provider that stalls, floods, cuts and lies: each run ends in time, says what became of it, and
//! is charged no more than was held for it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Reply};

/// Whatever a provider does, its call is over by then.
const CALL_MS: u64 = 1_500;

/// What the rest of a run takes on a machine that is busy with other tests.
const AROUND: Duration = Duration::from_secs(15);

/// The most that a call may use: what is around a prompt, the prompt, and the answer.
const HELD: u64 = 128 + 8 + 60;

/// How the provider behaves, and how a run ends that nobody listens to, so that asks for a whole
/// answer. One with a listener asks for pieces; how each fault ends that is said in the models' room.
const FAULTS: [(&str, &str, &str); 31] = [
    ("stalls before a word", "silent", "model_timed_out"),
    ("stalls in the middle", "stall", "model_timed_out"),
    ("drips", "drip-1000", ""),
    ("is alive and says nothing", "drip-comments", "model_timed_out"),
    ("says for ever that it will answer", "flood-hints", "model_timed_out"),
    ("floods with headers", "flood-headers", "model_failed"),
    ("floods with bytes", "oversized", "answer_too_large"),
    ("floods with pieces", "flood-deltas", "answer_too_large"),
    ("floods with signs of life", "flood-comments", "answer_too_large"),
    ("floods with an error", "oversized-error", "model_failed"),
    ("cuts before a word", "reset", "model_failed"),
    ("cuts in the middle", "cut", "model_failed"),
    ("ends early", "early-end", "model_failed"),
    ("promises more than it sends", "length-long", "model_failed"),
    ("promises less than it sends", "length-short", "model_failed"),
    ("says what is no JSON", "bad-frame", "model_failed"),
    ("says what is no text", "no-utf8", ""),
    ("says nothing", "empty-200", "model_failed"),
    ("says that an error is good", "error-200", "model_failed"),
    ("fails in the middle", "failed", "model_failed"),
    ("calls a tool that nobody offered", "tool-call", "model_failed"),
    ("ends for an unknown reason", "finish-unknown", "model_failed"),
    ("says it is a page", "type-html", ""),
    ("counts nothing", "usage-none", ""),
    ("counts below zero", "usage-negative", ""),
    ("counts in words", "usage-words", ""),
    ("counts beyond all numbers", "usage-absurd", "model_failed"),
    ("sends somewhere else", "redirect", "model_failed"),
    ("is overloaded", "529", "model_busy"),
    ("asks to wait for a day", "429-after-86400", "model_busy"),
    ("is behind a broken gateway", "html-502", "model_failed"),
];

/// One provider for each fault, and a workflow of the same name that asks it.
async fn house(provider: &FakeProvider) -> House {
    let mut models = "[models]\ndefault_provider = \"silent\"\n".to_owned();
    for (_, scenario, _) in FAULTS {
        // The protocol whose counts have to be added up.
        let (wire, version) = match scenario {
            "usage-absurd" => ("anthropic", ""),
            _ => ("openai-responses", "/v1"),
        };
        models += &format!(
            "[models.providers.\"{scenario}\"]\nwire = \"{wire}\"\n\
             base_url = \"{}{version}\"\nkey_env = \"TEST_KEY\"\nlimits = {{ retries = 0, \
             total_timeout_ms = {CALL_MS}, idle_timeout_ms = 1000, body_bytes = 65536 }}\n",
            provider.url(scenario)
        );
    }
    let house = House::serve()
        .settings(&models)
        .settings("[policy.models]\ntokens_per_day = 1_000_000\noutput_tokens = 60\nconcurrent = 1")
        .settings("[runs]\ntenant_concurrent = 1")
        .var("TEST_KEY", "sk-test");
    let house = FAULTS.iter().fold(house, |house, (_, scenario, _)| {
        house.workflow(
            scenario,
            &format!(
                "name = \"One\"\n[[steps]]\nname = \"only\"\nagent = {{ name = \"A\", \
                 model = \"m\", provider = \"{scenario}\", instructions = \"terse\" }}"
            ),
        )
    });
    house.open().await
}

/// Tokens spent so far.
async fn spent(house: &House) -> u64 {
    let usage = house.get("/usage").await.good();
    1_000_000 - usage["budgets"][0]["tokens_left"].as_u64().unwrap()
}

fn ended(reply: &Reply) -> String {
    let body = reply.json();
    match reply.status {
        200 => {
            assert_eq!(body["status"], "COMPLETED", "{}", reply.text);
            String::new()
        }
        _ => body["error_id"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn each_fault_ends_its_run_in_time_and_within_what_was_held() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house(&provider).await;
    let mut before = 0;
    for (kind, scenario, expected) in FAULTS {
        let began = Instant::now();
        let reply = house.run(scenario, &[("message", "Hi"), ("session_id", scenario)]).await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(CALL_MS) + AROUND, "a provider that {kind}: {took:?}");
        assert_eq!(ended(&reply), expected, "a provider that {kind}: {}", reply.text);
        assert!(!reply.text.contains("Provider text"), "{kind}: {}", reply.text);
        let now = spent(&house).await;
        assert!(now - before <= HELD, "a provider that {kind}: {} tokens", now - before);
        before = now;

        // Nothing is held any more: the one call and the one run there may be are free.
        let began = Instant::now();
        let events = house.stream(scenario, &[("message", "Hi"), ("session_id", scenario)]).await;
        let events = events.rest().await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(CALL_MS) + AROUND, "a provider that {kind}: {took:?}");
        let last = &events.last().unwrap();
        assert!(["WorkflowCompleted", "WorkflowError"].contains(&last.name.as_str()), "{kind}");
        let told = Value::from(events.iter().map(|it| it.data.clone()).collect::<Vec<_>>());
        assert!(!told.to_string().contains("Provider text"), "{kind}: {told}");
        let now = spent(&house).await;
        assert!(now - before <= HELD, "a provider that {kind}: {} tokens", now - before);
        before = now;
    }
    assert!(!house.log().contains("Provider text"), "{}", house.log());
}

/// What a provider says it used cannot be undone, and is believed up to a bound: the day is over for
/// who asked it, the numbers stay numbers, and the next day is another one.
#[tokio::test]
async fn a_count_that_is_absurd_closes_the_day_of_who_asked_and_breaks_nothing() {
    let provider = FakeProvider::open().await.unwrap();
    let one = "name = \"One\"\n[[steps]]\nname = \"only\"\n\
        agent = { name = \"A\", model = \"gpt-5\", instructions = \"Be.\" }";
    let mut house = House::serve()
        .models_at(&provider.url("usage-absurd"))
        .settings("[models.prices]\n\"gpt-*\" = { input = 1_000, output = \"10000.00\" }")
        .settings("[policy.models]\ntokens_per_day = 100_000\ncost_per_day = 1_000_000")
        .workflow("one", one)
        .open()
        .await;
    house.run("one", &[("message", "Hello"), ("session_id", "s")]).await.good();
    let usage = house.get("/usage").await.good();
    assert_eq!(usage["budgets"][0]["tokens_left"], 0, "{usage}");
    for _ in 0..2 {
        let refused = house.run("one", &[("message", "Hello")]).await;
        assert_eq!(
            (refused.status, &refused.json()["error_id"]),
            (429, &json!("budget_exhausted"))
        );
        let now = house.get("/usage").await.good();
        assert_eq!(
            (&now["usage"], &now["budgets"][0]["tokens_left"]),
            (&usage["usage"], &json!(0))
        );
        assert_eq!(now["budgets"][0]["cost_left"], "0");
        house.get("/sessions/s?type=workflow").await.good();
        house.kill().await;
        house.start().await;
    }
    assert_eq!(provider.count(), 1);
}
