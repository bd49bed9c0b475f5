//! A model provider that speaks five wires and misbehaves on request. For tests and benches only.
//!
//! Asked in whichever protocol, it answers with what it was told:
//! `[<model id>] instructions=<instructions> | input=<last user message>`, in up to four pieces of
//! whole words when streamed, with token counts that are counts of words. The first part of the
//! path says how it behaves, or else the model's name: see [`Scenario`].

mod connection;
mod floods;
mod lies;
mod record;
mod scenario;
mod serve;
mod wires;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use record::Recorded;
pub use scenario::{Flood, Lie, Scenario};

use record::Record;

/// A provider that listens until it is dropped.
pub struct FakeProvider {
    address: SocketAddr,
    record: Arc<Record>,
    /// Dropping it ends the listener, and with it every connection.
    _listener: JoinSet<()>,
}

impl FakeProvider {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn open() -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on this address.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let record = Arc::new(Record::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&record)));
        Ok(Self { address, record, _listener: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address under which it behaves like this: `url("ok")`, `url("429-once")`.
    ///
    /// OpenAI's protocols are under `…/v1`; the others put their version into the path themselves.
    pub fn url(&self, scenario: &str) -> String {
        format!("http://{}/s/{scenario}", self.address)
    }

    /// How many requests have come.
    pub fn count(&self) -> u64 {
        self.record.counts().arrived
    }

    /// How many connections have been made.
    pub fn connections(&self) -> u64 {
        self.record.counts().connections
    }

    /// The latest requests, oldest first; at most a thousand.
    pub fn requests(&self) -> Vec<Recorded> {
        self.record.requests()
    }

    /// Waits until so many requests have come since the start.
    pub async fn arrived(&self, requests: u64) {
        self.record.until(|it| requests <= it.arrived).await;
    }

    /// Waits until so many answers were given up by who asked, while they were held or silent.
    pub async fn abandoned(&self, answers: u64) {
        self.record.until(|it| answers <= it.abandoned).await;
    }

    /// Lets so many answers go that `gate` holds, now or later.
    pub fn release_answers(&self, answers: usize) {
        self.record.answers.add_permits(answers);
    }

    /// Lets so many pieces go that `gate-deltas` holds, now or later.
    pub fn release_deltas(&self, deltas: usize) {
        self.record.deltas.add_permits(deltas);
    }
}

async fn accept(listener: TcpListener, record: Arc<Record>) {
    let mut connections = JoinSet::new();
    loop {
        // Finished connections are let go, so that a long bench does not pile them up.
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        record.connected();
        connections.spawn(serve::connection(stream, Arc::clone(&record)));
    }
}
