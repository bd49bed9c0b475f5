//! The noisy tenant: everything the hostile guest can do, on many connections at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bomb::compile_bomb;
use crate::case::Ask;
use crate::client::Client;
use crate::process::target;

/// How long a connection waits after each answer. Without it, a tenant that is refused at once
/// would measure how fast its client is, which here takes its time from the same cores.
const PAUSE: Duration = Duration::from_millis(20);

/// What the noisy tenant does, in turns: a kind, and what the guest is told.
const ORDERS: [(Kind, &str); 32] = [
    (Kind::Build, "loop"),
    (Kind::Build, "memory"),
    (Kind::Step, "loop"),
    (Kind::Build, "dive"),
    (Kind::Build, "recurse"),
    (Kind::Build, "text 20000000"),
    (Kind::Step, "memory"),
    (Kind::Build, "kv-many 1000000"),
    (Kind::Build, "log 9000"),
    (Kind::Step, "kv-set 60000"),
    (Kind::Build, "sleep 60000"),
    (Kind::Build, "nodes 9000"),
    (Kind::Build, "compute 3000000"),
    (Kind::Step, "log 9000"),
    (Kind::Build, "loop"),
    (Kind::Upload, "upload"),
    (Kind::Build, "print 9000"),
    (Kind::Step, "log-long 100000"),
    (Kind::Build, "graph deep 900"),
    (Kind::Build, "graph wide 9000"),
    (Kind::Build, "graph ring"),
    (Kind::Build, "graph state-deep 100000"),
    (Kind::Step, "state-deep 100000"),
    (Kind::Build, "panic at once"),
    (Kind::Step, "exit 1"),
    (Kind::Build, "random"),
    (Kind::Build, "fetch http://api.example.com/"),
    (Kind::Step, "fetch http://169.254.169.254/"),
    (Kind::Build, "secret key"),
    (Kind::Step, "query orders"),
    (Kind::Torn, "torn"),
    (Kind::Bomb, "bomb"),
];

/// Compiling takes all cores for a while, and one at a time: every fourth turn is enough for there
/// always to be one.
const UPLOADS: usize = 4;

/// Takes longer to compile than anybody may.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| compile_bomb(20));

/// Where an order is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To the factory, which draws a graph.
    Build,
    /// To the function step of a run, which is told as it happens.
    Step,
    /// To nobody: a component is uploaded that was never seen before.
    Upload,
    /// The same, and half of it is missing.
    Torn,
    /// The same, of a compile bomb.
    Bomb,
}

/// How often each status was answered.
pub(crate) type Answers = BTreeMap<u16, u64>;

/// How much noise there is.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    /// All busy at once.
    pub(crate) connections: usize,
    /// The first words of orders; none is all of them.
    pub(crate) words: Vec<String>,
}

/// Makes noise while it is asked to. Gives what came of it when nobody asks any more.
pub(crate) fn run(
    address: SocketAddr,
    token: &str,
    plan: &Noise,
    mut asked: watch::Receiver<bool>,
) -> anyhow::Result<Answers> {
    // Now, and not while somebody is measured.
    LazyLock::force(&BOMB);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut round = 0;
        while asked.wait_for(|is_asked| *is_asked).await.is_ok() {
            let mut noise = JoinSet::new();
            for it in 0..plan.connections {
                let words = plan.words.clone();
                noise.spawn(one(address, token.to_owned(), words, round + it, told.clone()));
            }
            round += 1;
            // Ends with the connections closed in the middle of whatever they did.
            let goes_on = asked.wait_for(|is_asked| !is_asked).await.is_ok();
            noise.shutdown().await;
            if !goes_on {
                break;
            }
        }
        drop(told);
        let mut answers = Answers::new();
        while let Some(status) = heard.recv().await {
            *answers.entry(status).or_default() += 1;
        }
        Ok(answers)
    })
}

/// One connection: another order each time. Told are statuses, and 0 for none.
async fn one(
    address: SocketAddr,
    token: String,
    words: Vec<String>,
    mut turn: usize,
    told: tokio::sync::mpsc::UnboundedSender<u16>,
) {
    loop {
        let Ok(client) = Client::connect(address).await else { return };
        let mut client = client.with_token(&token);
        loop {
            turn += 1;
            let answer = client.send(&order(&words, turn)).await;
            let status = answer.as_ref().map_or(0, |(status, _)| status.as_u16());
            let _ = told.send(status);
            sleep(PAUSE).await;
            if answer.is_err() {
                break;
            }
        }
    }
}

fn order(words: &[String], turn: usize) -> Ask {
    let is_asked = |(_, order): &&(Kind, &str)| {
        let word = order.split(' ').next().unwrap_or_default();
        words.is_empty() || words.iter().any(|it| it == word)
    };
    let orders: Vec<_> = ORDERS.iter().filter(is_asked).collect();
    let (kind, order) = match orders.get(turn % orders.len().max(1)) {
        Some((Kind::Upload | Kind::Bomb, _)) if !(turn / orders.len()).is_multiple_of(UPLOADS) => {
            (Kind::Build, "loop")
        }
        Some(it) => **it,
        None => (Kind::Build, "loop"),
    };
    let runs = "/workflows/hostile/runs".to_owned();
    let order = order.replace(' ', "+");
    let (method, path, body) = match kind {
        Kind::Build => {
            (Method::POST, runs, format!("message=x&session_id={order}&stream=false").into())
        }
        Kind::Step => (Method::POST, runs, format!("message={order}&stream=true").into()),
        Kind::Upload => upload(turn, component().unwrap_or_default()),
        Kind::Torn => {
            let whole = component().unwrap_or_default();
            upload(turn, whole[..whole.len() / 2].to_vec())
        }
        Kind::Bomb => upload(turn, BOMB.clone()),
    };
    Ask { method, path, body, word: "" }
}

/// A component with a section of content that nobody saw before, which means nothing.
fn upload(turn: usize, mut component: Vec<u8>) -> (Method, String, Bytes) {
    let word = format!("turn {turn:08}");
    // A custom section: its kind, its size, and a name of its size.
    component.extend([0, word.len() as u8 + 1, word.len() as u8]);
    component.extend(word.as_bytes());
    (Method::PUT, format!("/plugins/upload-{}", turn % 100), component.into())
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
