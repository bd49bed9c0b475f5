//! The page's first workflow on a real, small model, served on this machine.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::house::{House, model_script};

/// Downloading the model's packages is done by `tests/run`; starting takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);

async fn real_model() -> (Child, String) {
    let mut command = Command::new(model_script());
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(url) = line.strip_prefix("LISTEN ") {
                return url.to_owned();
            }
        }
        panic!("the model did not start")
    };
    let url = timeout(PATIENCE, listening).await.expect("the model starts in time");
    (child, url)
}

#[tokio::test]
async fn the_content_pipeline_on_a_real_model() {
    let (_model, url) = real_model().await;
    let house = House::demo()
        .var("OPENAI_API_KEY", "none-needed")
        .var("OPENAI_BASE_URL", url + "/v1")
        .open()
        .await;
    assert!(house.said.contains("Models: real ones"), "{}", house.said);

    let fields = [("message", "Write one sentence about the sea."), ("user_id", "tenant_42")];
    let run = timeout(PATIENCE, house.run("content-pipeline", &fields)).await.unwrap().good();
    assert_eq!(run["status"], "COMPLETED");
    for step in run["step_results"].as_array().unwrap() {
        assert!(!step["content"].as_str().unwrap().trim().is_empty());
        assert!(!step["content"].as_str().unwrap().contains("demo model"));
        assert!(0 < step["metrics"]["input_tokens"].as_u64().unwrap());
        assert!(0 < step["metrics"]["output_tokens"].as_u64().unwrap());
        assert_eq!(step["metrics"]["details"]["model"][0]["provider"], "OpenAI Responses");
    }

    let events =
        timeout(PATIENCE, async { house.stream("content-pipeline", &fields).await.rest().await });
    let events = events.await.unwrap();
    assert!(events.iter().filter(|it| it.name == "RunContent").count() > 2);
    assert_eq!(events.last().unwrap().name, "WorkflowCompleted");
}
