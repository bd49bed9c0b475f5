//! `stepmill demo`: the example plugins, ready to be tried.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use stepmill_core::capability::Capability;
use stepmill_core::ids::WorkflowId;
use stepmill_core::policy::{Policy, PolicyScope};

use super::serve::serve;
use super::{DemoArgs, Failure};
use crate::app::{App, Declared};
use crate::settings::{Environment, Overrides, demo_models, read};

/// The examples, built with the binary.
const PLUGINS: [(&str, &[u8]); 7] = [
    ("content-pipeline", include_bytes!(concat!(env!("OUT_DIR"), "/content-pipeline.wasm"))),
    ("article-pipeline", include_bytes!(concat!(env!("OUT_DIR"), "/article-pipeline.wasm"))),
    ("async-pipeline", include_bytes!(concat!(env!("OUT_DIR"), "/async-pipeline.wasm"))),
    ("pipeline", include_bytes!(concat!(env!("OUT_DIR"), "/pipeline.wasm"))),
    ("guarded-pipeline", include_bytes!(concat!(env!("OUT_DIR"), "/guarded-pipeline.wasm"))),
    ("echo", include_bytes!(concat!(env!("OUT_DIR"), "/echo.wasm"))),
    ("memory", include_bytes!(concat!(env!("OUT_DIR"), "/memory.wasm"))),
];

/// A workflow without code.
const PROTOTYPE: &str = include_str!("prototype.toml");

/// What `async-pipeline` fetches before it builds.
const ASYNC_STEPS: &str = r#"[
    {"name": "outline", "instructions": "Outline it."},
    {"name": "write", "instructions": "Write it."}
]"#;

pub(super) async fn run(args: DemoArgs, environment: &Environment) -> Result<(), Failure> {
    let DemoArgs { listen, data_dir, database_url } = args;
    let overrides = Overrides { listen: Some(listen), data_dir: Some(data_dir), database_url };
    let mut settings = read(None, overrides, environment).map_err(Failure::usage)?;
    settings.models = demo_models(environment);
    let is_real = settings.models.default_provider.as_deref() != Some("demo");
    let prototype = Declared::built_in("prototype", PROTOTYPE)
        .ok_or_else(|| Failure::work(anyhow!("the built-in prototype is no workflow")))?;
    settings.declared = vec![Arc::new(prototype)];
    let config = BTreeMap::from([("steps".to_owned(), ASYNC_STEPS.to_owned())]);
    let plugin = id("async-pipeline")?;
    let mut allow = settings.policies.allowed(None, &plugin).to_vec();
    allow.push(Capability::parse("http:*.example.com").map_err(Failure::work)?);
    let policy = Policy { allow: Some(allow), config: Arc::new(config), ..Policy::default() };
    settings.policies.put(PolicyScope::Plugin(None, plugin), policy);
    let prepare = |app| async move { Box::pin(share(&app)).await };
    Box::pin(serve(settings, prepare, |address| invite(address, is_real))).await
}

fn id(text: &str) -> Result<WorkflowId, Failure> {
    WorkflowId::new(text).map_err(Failure::work)
}

async fn share(app: &App) -> Result<(), Failure> {
    for (name, component) in PLUGINS {
        let shared = app.plugin_share(id(name)?, component.into()).await;
        shared
            .with_context(|| format!("the example {name} could not be loaded"))
            .map_err(Failure::Work)?;
    }
    Ok(())
}

fn invite(address: SocketAddr, is_real: bool) {
    let models = match is_real {
        true => "Models: real ones, through OPENAI_API_KEY.",
        false => "Models: a built-in demo model, because OPENAI_API_KEY is not set.",
    };
    let port = address.port();
    let text = format!(
        "\n{models}\nWorkflows of the demo: content-pipeline, article-pipeline, async-pipeline, pipeline,\n\
         guarded-pipeline, echo, memory, prototype. Try one:\n\n\
         curl -X POST http://localhost:{port}/workflows/content-pipeline/runs \\\n    \
         -F 'message=Write a blog post about sustainable energy' \\\n    \
         -F 'user_id=tenant_42' \\\n    \
         -F 'stream=false'\n\nReady. Ctrl-C stops."
    );
    // Nobody reading is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{text}");
}
