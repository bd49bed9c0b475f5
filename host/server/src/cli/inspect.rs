//! `stepmill inspect`: what a plugin is, what it asks for, and what it would be granted.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stepmill_core::capability::{Capability, Grants};
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::plugin::{Description, WorkflowKind};
use stepmill_sandbox::Sandbox;

use super::push::{client, file_id};
use super::{Failure, InspectArgs, compile_worker};
use crate::settings::{Environment, Overrides, read};

pub(super) async fn run(args: InspectArgs, environment: &Environment) -> Result<(), Failure> {
    let plugin = match args.plugin.is_file() {
        true => in_file(&args, environment).await?,
        false => on_host(&args).await.map_err(Failure::Work)?,
    };
    // Nobody reading is no failure.
    let _ = std::io::stdout().write_all(text(&plugin).as_bytes());
    Ok(())
}

/// Loads a component as a host would, and asks the policies of a settings file.
async fn in_file(args: &InspectArgs, environment: &Environment) -> Result<Value, Failure> {
    let settings = read(args.config.as_deref(), Overrides::default(), environment);
    let mut settings = settings.map_err(Failure::usage)?;
    let id = file_id(args.id.as_deref(), &args.plugin)?;
    let tenant = args.tenant.clone().map(TenantId::new).transpose().map_err(Failure::usage)?;
    let bytes: Arc<[u8]> = component(&args.plugin).map_err(Failure::Usage)?.into();
    settings.sandbox.cache_dir = None;
    let sandbox =
        Sandbox::open(settings.sandbox, compile_worker::program()?).map_err(Failure::work)?;
    let size = bytes.len();
    let plugin = sandbox.load(bytes).await.map_err(Failure::work)?;
    let about = plugin.description();
    let allowed = settings.policies.allowed(tenant.as_ref(), &id);
    Ok(described(&id, about, &plugin.digest().to_string(), size, allowed))
}

fn component(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The same form as a host answers with.
fn described(
    id: &WorkflowId,
    about: &Description,
    digest: &str,
    size: usize,
    allowed: &[Capability],
) -> Value {
    let words = |it: &mut dyn Iterator<Item = &Capability>| -> Vec<String> {
        it.map(ToString::to_string).collect()
    };
    json!({
        "id": id.as_str(),
        "kind": match about.kind {
            WorkflowKind::Factory => "factory",
            WorkflowKind::Prototype => "prototype",
        },
        "name": about.name,
        "description": about.description,
        "digest": format!("sha256:{digest}"),
        "bytes": size,
        "capabilities": words(&mut about.capabilities.iter()),
        "granted": words(&mut Grants::of(&about.capabilities, allowed).iter()),
        "input_schema": about.input_schema,
    })
}

async fn on_host(args: &InspectArgs) -> anyhow::Result<Value> {
    let name = args.plugin.display().to_string();
    let id = WorkflowId::new(&name)
        .map_err(|_| anyhow!("`{name}` is neither a file nor an id of a plugin"))?;
    let (client, base) = client(&args.url)?;
    let mut call = client.get(format!("{base}/plugins/{id}"));
    if let Some(token) = &args.token {
        call = call.bearer_auth(token.expose_secret());
    }
    let answer = call
        .send()
        .await
        .with_context(|| format!("there is no file `{name}`, and {base} cannot be reached"))?;
    let status = answer.status();
    let text = answer.text().await.context("the host's answer broke off")?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() {
        let said = body["detail"].as_str().unwrap_or("no reason given");
        bail!("the host does not show `{id}` ({}): {said}", status.as_u16());
    }
    Ok(body)
}

/// A plugin in words. Of what it asks for, each line says what came of it.
fn text(plugin: &Value) -> String {
    let word = |key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
    let list = |key: &str| -> Vec<Capability> {
        let words = plugin[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.filter_map(|it| Capability::parse(it).ok()).collect()
    };
    let mut lines = vec![format!("{} ({} bytes)", word("id"), plugin["bytes"])];
    lines.push(format!("  digest       {}", word("digest")));
    for key in ["kind", "name", "description"] {
        // What a plugin says of itself may hold anything; a terminal obeys some of it.
        if let Some(said) = plugin[key].as_str() {
            lines.push(format!("  {key:<12} {}", printable(said)));
        }
    }
    let (asked, granted) = (list("capabilities"), list("granted"));
    lines.push(if asked.is_empty() { "asks for nothing".into() } else { "asks for".into() });
    for it in &asked {
        let got = Grants::of(std::slice::from_ref(it), &granted);
        let got: Vec<_> = got.iter().map(ToString::to_string).collect();
        let outcome = match got.as_slice() {
            [] => "not granted".to_owned(),
            [one] if *one == it.to_string() => "granted".to_owned(),
            some => format!("granted as {}", some.join(", ")),
        };
        lines.push(format!("  {it:<40} {outcome}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_came_of_it() {
        let plugin = json!({
            "id": "p", "bytes": 7, "digest": "sha256:00", "name": "P\u{1b}[2J",
            "capabilities": ["kv", "clock", "model:*"], "granted": ["kv", "model:gpt-*"],
        });
        let words: Vec<_> = text(&plugin)
            .lines()
            .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            [
                "p (7 bytes)",
                "digest sha256:00",
                "name P [2J",
                "asks for",
                "kv granted",
                "clock not granted",
                "model:* granted as model:gpt-*",
            ]
        );
    }
}
