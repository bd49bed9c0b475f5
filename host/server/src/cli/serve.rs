//! `stepmill serve`: open, listen, serve, drain.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, anyhow};
use stepmill_store::StoreError;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{Failure, ServeArgs, compile_worker};
use crate::app::{App, OpenError, Unfinished, now};
use crate::http::{self, Door};
use crate::settings::{Environment, Settings, read};

/// How long open connections may take to close after all runs have ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(args: ServeArgs, environment: &Environment) -> Result<(), Failure> {
    let (config, overrides) = args.overrides();
    let settings = read(config.as_deref(), overrides, environment).map_err(Failure::usage)?;
    Box::pin(serve(settings, |_| async { Ok(()) }, |_| {})).await
}

/// Serves until asked to stop. `prepare` may add to the application before the first request;
/// `invite` is told where the host listens.
pub(super) async fn serve<F>(
    settings: Settings,
    prepare: impl FnOnce(App) -> F,
    invite: impl FnOnce(SocketAddr),
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    if settings.auth.mode.is_none() && !settings.listen.ip().is_loopback() {
        let text = "without authentication only loopback addresses are served; set [auth.jwt], [auth.issuers] or [auth.key], or listen on 127.0.0.1";
        return Err(Failure::usage(anyhow!("{text}")));
    }
    let since = now();
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener
        .with_context(|| {
            format!("cannot listen on {}; --listen takes another address", settings.listen)
        })
        .map_err(Failure::Work)?;
    let app = App::open(&settings, compile_worker::program()?).await.map_err(open_failure)?;
    let drain = Duration::from_millis(settings.http.drain_timeout_ms);
    let door = Door::new(app.clone(), &settings, since).map_err(Failure::usage)?;
    let address = listener.local_addr().map_err(Failure::work)?;
    prepare(app.clone()).await?;
    app.keep_house();
    let unfinished = app.unfinished().await.map_err(Failure::work)?;
    let mut signals = Signals::open().map_err(Failure::work)?;
    banner(&app, &settings, address);
    invite(address);

    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = pin!(http::serve(listener, door, async { drop(stopped.await) }));
    let mut recovery = pin!(recover(&app, unfinished));
    let mut recovered = false;
    loop {
        tokio::select! {
            () = &mut server => return Err(Failure::work(anyhow!("the server ended by itself"))),
            () = &mut recovery, if !recovered => recovered = true,
            () = signals.next() => break,
        }
    }
    tracing::info!(
        "stopping: no new requests; runs under way have {} s to finish",
        drain.as_secs()
    );
    drop(stop);
    // Connections are served while runs end: their answers end with them.
    let stopping = async {
        let (ended, runs_ended) = oneshot::channel::<()>();
        let runs = async {
            if !app.drain(drain).await {
                tracing::info!("some runs wait for the next start");
            }
            drop(ended);
        };
        let overdue = async {
            drop(runs_ended.await);
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        let connections = async {
            tokio::select! {
                () = server => {}
                () = overdue => tracing::warn!("some connections did not close in time"),
            }
        };
        tokio::join!(runs, connections);
        app.close().await;
    };
    tokio::select! {
        () = stopping => {}
        () = signals.next() => tracing::warn!("asked again: stopping at once"),
    }
    Ok(())
}

fn open_failure(fault: OpenError) -> Failure {
    match fault {
        OpenError::Declared(_) | OpenError::Models(_) | OpenError::Store(StoreError::Url(_)) => {
            Failure::usage(fault)
        }
        fault => Failure::work(fault),
    }
}

async fn recover(app: &App, unfinished: Unfinished) {
    match app.recover(unfinished).await {
        0 => {}
        runs => tracing::info!("{runs} unfinished runs are taken up again"),
    }
}

/// Ctrl-C and SIGTERM, heard from before the first request on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn open() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What an operator wants to see first. The first line is for programs too.
fn banner(app: &App, settings: &Settings, address: SocketAddr) {
    let lines = [
        format!("Stepmill {} listens on http://{address}", env!("CARGO_PKG_VERSION")),
        format!("  database   {}", app.database()),
        format!("  data       {}", settings.data_dir.display()),
        format!("  auth       {}", settings.auth.mode.describe()),
        format!("  workflows  {}", app.counts()),
        format!("  models     {}", app.providers()),
    ];
    // Nobody reading is no reason not to serve.
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
}
