//! `stepmill push`: upload a plugin to a running host.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use secrecy::ExposeSecret;
use serde_json::Value;
use stepmill_core::ids::WorkflowId;

use super::{Failure, PushArgs};

/// Longer than a host takes to compile the largest component it accepts.
const TIMEOUT: Duration = Duration::from_secs(300);

pub(super) async fn run(args: PushArgs) -> Result<(), Failure> {
    let id = file_id(args.id.as_deref(), &args.file)?;
    let component = std::fs::read(&args.file);
    let component = component
        .with_context(|| format!("cannot read {}", args.file.display()))
        .map_err(Failure::Usage)?;
    upload(&args, &id, component).await.map_err(Failure::Work)
}

/// What a component is uploaded under: what was chosen, or the file's name.
pub(super) fn file_id(chosen: Option<&str>, file: &Path) -> Result<WorkflowId, Failure> {
    let id = chosen.map_or_else(
        || file.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-").to_lowercase(),
        str::to_owned,
    );
    WorkflowId::new(&id).map_err(|_| {
        let rule =
            "an id has lower case letters, digits, `-` and `_`, 64 at most; choose one with --id";
        Failure::usage(anyhow!("`{id}` cannot be an id: {rule}"))
    })
}

/// A client, and a host's address without a slash at its end.
pub(super) fn client(url: &str) -> anyhow::Result<(reqwest::Client, &str)> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") && !base.starts_with("https://") {
        bail!("`{base}` is no address of a host: it begins with http:// or https://");
    }
    Ok((reqwest::Client::builder().timeout(TIMEOUT).build()?, base))
}

async fn upload(args: &PushArgs, id: &WorkflowId, component: Vec<u8>) -> anyhow::Result<()> {
    let (client, base) = client(&args.url)?;
    let query = if args.shared { "?shared=true" } else { "" };
    let place = format!("{base}/plugins/{id}{query}");
    let mut call = client.put(place).header("content-type", "application/wasm");
    if let Some(token) = &args.token {
        call = call.bearer_auth(token.expose_secret());
    }
    let answer = call
        .body(component)
        .send()
        .await
        .with_context(|| format!("cannot reach {base}: is a host running there?"))?;
    let status = answer.status();
    let text = answer.text().await.context("the host's answer broke off")?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() {
        let hint =
            if body["error_id"] == "id_taken" { "; choose another one with --id" } else { "" };
        let said = body["detail"].as_str().unwrap_or(&text);
        bail!("the host refused `{id}` ({}): {said}{hint}", status.as_u16());
    }
    let digest = body["digest"].as_str().unwrap_or_default();
    let word = body["upload"].as_str().unwrap_or("taken in");
    let mut out = std::io::stdout();
    writeln!(out, "`{id}` is {word} and in effect: {digest}")?;
    let token =
        if args.token.is_some() { " -H \"Authorization: Bearer $STEPMILL_TOKEN\"" } else { "" };
    writeln!(
        out,
        "Run it: curl {base}/workflows/{id}/runs{token} -F 'message=hello' -F 'stream=false'"
    )?;
    Ok(())
}
