//! Calls of the host that never return: each ends at its deadline, and its seat is free again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::told;
use crate::house::{House, Reply, fetcher, hostile_describing};

/// How long one call of a plugin may take.
const DEADLINE: Duration = Duration::from_millis(2_000);

/// What the rest of a run takes on a machine that is busy with other tests.
const AROUND: Duration = Duration::from_secs(15);

/// A server that takes connections and gives no answer, or one that never ends.
struct Silence {
    port: u16,
    left: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Silence {
    #[expect(clippy::disallowed_methods, reason = "the tasks end with the test")]
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::<AtomicUsize>::default();
        let count = left.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(async move {
                    keep(stream).await;
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, left, listening }
    }

    /// So many have hung up.
    async fn left(&self, times: usize) {
        while self.left.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Until the other side hangs up. Asked for `/drip`, it sends a byte now and then.
async fn keep(mut stream: TcpStream) {
    let mut head = [0; 1024];
    let read = stream.read(&mut head).await.unwrap_or(0);
    if !String::from_utf8_lossy(&head[..read]).contains(" /drip ") {
        while 0 < stream.read(&mut head).await.unwrap_or(0) {}
        return;
    }
    let mut piece: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    while stream.write_all(piece).await.is_ok() {
        piece = b"x";
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One call of a plugin and one run at once: what is not given back is missed at once.
async fn house(folder: &std::path::Path, outbound_ms: u64) -> House {
    let house = House::serve()
        .demo_models()
        .settings(&format!(
            "[limits]\ncpu_ms = 1000\ndeadline_ms = {}\nconcurrent_calls = 1\ntenant_calls = 1\n\
             [runs]\nconcurrent = 1\ntenant_concurrent = 1\n\
             [outbound]\nallow_http = true\nallow_private = true\ntimeout_ms = {outbound_ms}\n\
             concurrent = 1\n\
             [databases.orders]\nurl = \"sqlite:{}/{{tenant}}.sqlite\"\n\
             statement_timeout_ms = {outbound_ms}",
            DEADLINE.as_millis(),
            folder.display()
        ))
        .settings(
            "[policy]\nallow = [\"kv\", \"model:*\", \"http:127.0.0.1\", \"secret:key\", \
             \"database:orders:write\"]",
        )
        .open()
        .await;
    house.push_example("echo").await;
    for (id, component) in [("sender", hostile_describing(b'e')), ("fetcher", fetcher())] {
        let pushed = house.push(id, component).await;
        assert_eq!(pushed.status, 201, "{}", pushed.text);
    }
    house
}

/// A statement that counts for ever.
const ENDLESS: &str = "with recursive c(n) as (select 1 union all select n + 1 from c) \
                       select max(n) from c";

async fn timed(house: &House, workflow: &str, order: &str, message: &str) -> Reply {
    let began = Instant::now();
    let reply = house.run(workflow, &[("session_id", order), ("message", message)]).await;
    assert!(began.elapsed() < DEADLINE + AROUND, "{:?}: {}", began.elapsed(), reply.text);
    reply
}

#[tokio::test]
async fn a_host_call_that_never_returns_ends_with_its_call() {
    let (folder, silence) = (tempfile::tempdir().unwrap(), Silence::open().await);
    let house = house(folder.path(), 60_000).await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", silence.port);
    let mut asked = 0;
    let mut kinds = 0;
    for (kind, workflow, order, is_request) in [
        ("a server that is silent", "sender", format!("fetch {}", url("/silent")), true),
        ("an answer without end", "sender", format!("fetch {}", url("/drip")), true),
        ("the same in a language's own way", "fetcher", format!("GET {} none", url("/s")), true),
        ("an answer without end there", "fetcher", format!("GET {} none", url("/drip")), true),
        ("a statement without end", "sender", format!("sql {ENDLESS}"), false),
    ] {
        for (session, message, told_as) in [
            (order.as_str(), "x", "plugin_deadline_passed"),
            ("s", order.as_str(), "plugin_timed_out"),
        ] {
            let reply = timed(&house, workflow, session, message).await;
            assert_eq!(told(&reply), (500, told_as.to_owned()), "{kind}: {}", reply.text);
            // There is one seat of each kind.
            let good = house.run("echo", &[("message", "still here")]).await.good();
            assert_eq!(good["content"], "still here", "{kind}");
            // Nor does anybody wait for the answer any more.
            asked += usize::from(is_request);
            silence.left(asked).await;
            kinds += 1;
        }
    }
    println!("hostile: {kinds} calls of the host that never return ended with their plugin's call");
}

#[tokio::test]
async fn a_host_call_that_takes_too_long_is_told_to_the_guest() {
    let (folder, silence) = (tempfile::tempdir().unwrap(), Silence::open().await);
    let house = house(folder.path(), 200).await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", silence.port);
    for (kind, workflow, order, heard) in [
        ("a server that is silent", "sender", format!("fetch {}", url("/s")), "TimedOut"),
        ("an answer without end", "sender", format!("fetch {}", url("/drip")), "TimedOut"),
        (
            "the same in a language's own way",
            "fetcher",
            format!("GET {} none", url("/s")),
            "Timeout",
        ),
        ("a statement without end", "sender", format!("sql {ENDLESS}"), "TimedOut"),
    ] {
        let said = timed(&house, workflow, "s", &order).await.good()["content"].to_string();
        assert!(said.contains(heard), "{kind}: {said}");
    }
}
