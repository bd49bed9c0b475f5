//! The noisy tenant: everything the hostile guest can do, on many connections at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::case::Ask;
use crate::client::Client;
use crate::process::target;

/// How long a connection waits after each answer. Without it, a tenant that is refused at once
/// would measure how fast its client is, which here takes its time from the same cores.
const PAUSE: Duration = Duration::from_millis(20);

/// What the guest is told to do when it is to draw its graph.
const BUILDS: [&str; 10] = [
    "loop",
    "memory",
    "dive",
    "recurse",
    "text 20000000",
    "kv-many 1000000",
    "log 9000",
    "sleep 60000",
    "nodes 9000",
    "compute 3000000",
];

/// What it is told to do in its function step, in runs that are told as they happen.
const STEPS: [&str; 4] = ["loop", "memory", "kv-set 60000", "log 9000"];

/// How often each status was answered.
pub(crate) type Noise = BTreeMap<u16, u64>;

/// Makes noise while it is asked to. Gives what came of it when nobody asks any more.
pub(crate) fn run(
    address: SocketAddr,
    token: &str,
    connections: usize,
    mut asked: watch::Receiver<bool>,
) -> anyhow::Result<Noise> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut round = 0;
        while asked.changed().await.is_ok() {
            if !*asked.borrow_and_update() {
                continue;
            }
            let mut noise = JoinSet::new();
            for it in 0..connections {
                noise.spawn(one(address, token.to_owned(), round + it, told.clone()));
            }
            round += 1;
            // Ends with the connections closed in the middle of whatever they did.
            let _ = asked.wait_for(|is_asked| !is_asked).await;
            noise.shutdown().await;
            asked.mark_changed();
        }
        drop(told);
        let mut noise = Noise::new();
        while let Some(status) = heard.recv().await {
            *noise.entry(status).or_default() += 1;
        }
        Ok(noise)
    })
}

/// One connection: another order each time. Told are statuses, and 0 for none.
async fn one(
    address: SocketAddr,
    token: String,
    mut turn: usize,
    told: tokio::sync::mpsc::UnboundedSender<u16>,
) {
    loop {
        let Ok(client) = Client::connect(address).await else { return };
        let mut client = client.with_token(&token);
        loop {
            turn += 1;
            let answer = client.send(&order(turn)).await;
            let status = answer.as_ref().map_or(0, |(status, _)| status.as_u16());
            let _ = told.send(status);
            sleep(PAUSE).await;
            if answer.is_err() {
                break;
            }
        }
    }
}

fn order(turn: usize) -> Ask {
    let runs = "/workflows/hostile/runs";
    match turn % 16 {
        // A component that was never seen before, and has to be compiled.
        15 if turn % 64 == 15 => Ask {
            method: Method::PUT,
            path: format!("/plugins/upload-{}", turn % 1_024),
            body: unseen(turn),
            word: "",
        },
        it @ 11..=15 => {
            let step = STEPS[it % STEPS.len()].replace(' ', "+");
            let body = format!("message={step}&stream=true");
            Ask { method: Method::POST, path: runs.to_owned(), body: body.into(), word: "" }
        }
        it => {
            let build = BUILDS[it % BUILDS.len()].replace(' ', "+");
            let body = format!("message=x&session_id={build}&stream=false");
            Ask { method: Method::POST, path: runs.to_owned(), body: body.into(), word: "" }
        }
    }
}

/// The same component with a section of another content, which means nothing.
fn unseen(turn: usize) -> Bytes {
    let mut component = component().unwrap_or_default();
    let word = format!("turn {turn:08}");
    // A custom section: its kind, its size, and a name of its size.
    component.extend([0, word.len() as u8 + 1, word.len() as u8]);
    component.extend(word.as_bytes());
    component.into()
}

fn component() -> anyhow::Result<Vec<u8>> {
    let file = file()?;
    std::fs::read(&file)
        .with_context(|| format!("{} is not there: `just neighbour` builds it", file.display()))
}

/// The hostile guest.
pub(crate) fn file() -> anyhow::Result<PathBuf> {
    Ok(target()?.join("hostile-guests/wasm32-wasip2/release/stepmill_hostile_guests.wasm"))
}
