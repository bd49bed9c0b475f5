//! The fake provider as a program: `stepmill-fake-provider [ADDRESS]`.

use std::net::SocketAddr;

use anyhow::Context;
use stepmill_fake_provider::FakeProvider;

/// Where it listens if nothing is said.
const ADDRESS: &str = "127.0.0.1:18000";

// One thread: a bench shares few cores with it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    let address: SocketAddr = address.parse().context("the address is not an address")?;
    let provider = FakeProvider::listen(address).await.context("cannot listen")?;
    println!("the fake provider listens; OpenAI's base URL is {}/v1", provider.url("ok"));
    tokio::signal::ctrl_c().await.context("cannot wait for a signal")
}
