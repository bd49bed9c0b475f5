//! The database fails while the host runs: it says so, loses nothing, and goes on by itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use stepmill_fake_provider::FakeProvider;

use crate::house::{Fragile, House, Reply, is_postgres};

/// Deadlines that a test can wait for: a second for a connection, a statement, and a ping.
const SHORT: &str =
    "[database]\nacquire_timeout_ms = 1_000\nstatement_timeout_ms = 1_000\nping_timeout_ms = 1_000";

const STEP: Duration = Duration::from_millis(50);

async fn is_well(house: &House) {
    for _ in 0..400 {
        if house.get("/health").await.status == 200 {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("the host did not get well");
}

/// Not now, and when to ask again; gives the stable word for why.
#[track_caller]
fn postponed(reply: &Reply) -> Value {
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert_eq!(reply.headers["retry-after"], "1");
    reply.json()["error_id"].clone()
}

#[tokio::test]
async fn a_host_goes_on_when_its_database_is_back() {
    let provider = FakeProvider::open().await.unwrap();
    let mut database = Fragile::open();
    let house = House::serve().models_at(&provider.url("gate")).settings(SHORT);
    let house = house.database(database.url()).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let mut events = house.stream("content-pipeline", &fields).await;
    events.until("WorkflowStarted").await;
    provider.arrived(1).await;
    is_well(&house).await;

    database.away(&house).await;
    // The run's model answers while nothing can be noted.
    provider.release_answers(10);
    let health = house.get("/health").await;
    assert_eq!(postponed(&health), Value::Null);
    assert_eq!(health.json()["status"], "unavailable");
    let run = house.run("content-pipeline", &[("message", "sky")]).await;
    assert!(["database_unavailable", "in_doubt"].map(Value::from).contains(&postponed(&run)));
    let session = house.send(Method::POST, "/sessions?type=workflow", &json!({})).await;
    assert_eq!(postponed(&session), "database_unavailable");

    database.back().await;
    assert_eq!(events.until("WorkflowCompleted").await.data["session_id"], "s");
    is_well(&house).await;
    assert_eq!(house.run("content-pipeline", &fields).await.good()["status"], "COMPLETED");
}

/// Lets the database take a run only after the host has given up waiting for it.
enum Late {
    Server(Box<PgConnection>),
    File(Fragile),
}

impl Late {
    async fn hold(house: &House) -> Self {
        let Some(url) = house.database_url() else {
            let mut file = Fragile::open();
            file.away(house).await;
            // The writer waits for the lock from here on: whatever else is asked of it waits longer.
            assert_eq!(house.get("/health").await.status, 503);
            return Self::File(file);
        };
        let mut connection = PgConnection::connect(url).await.unwrap();
        let statements = "
            create function patience() returns trigger language plpgsql as
                $$ begin perform set_config('statement_timeout', '0', true); return new; end $$;
            create trigger patience before insert on sessions
                for each row execute function patience();
            create function waiting() returns trigger language plpgsql as
                $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
            create constraint trigger waiting after insert on runs deferrable initially deferred
                for each row execute function waiting();
            select pg_advisory_lock(1)";
        connection.execute(statements).await.unwrap();
        Self::Server(Box::new(connection))
    }

    async fn let_go(self) {
        match self {
            Self::Server(connection) => connection.close().await.unwrap(),
            Self::File(mut file) => file.back().await,
        }
    }
}

#[tokio::test]
async fn a_run_that_was_accepted_too_late_is_run_all_the_same() {
    // One wait for a lock is shorter than the host's patience, two are longer.
    let settings = "[database]\nacquire_timeout_ms = 100\nstatement_timeout_ms = 5_000\nping_timeout_ms = 1_000";
    let house = House::serve().demo_models().settings(settings).open().await;
    house.push_example("content-pipeline").await;
    let late = Late::hold(&house).await;

    let reply = house.run("content-pipeline", &[("message", "sea")]).await;
    assert_eq!(postponed(&reply), "in_doubt");
    late.let_go().await;

    let doubt = reply.json();
    let id = |field: &str| doubt[field].as_str().unwrap().to_owned();
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id={}",
        id("run_id"),
        id("session_id")
    );
    for _ in 0..400 {
        let run = house.get(&path).await;
        if run.status == 200 && run.json()["status"] == "COMPLETED" {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("nobody drives the run");
}

/// Told to PostgreSQL alone: a trigger speaks the server's own words there. SQLite's are told in
/// the store.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_still_read() {
    if !is_postgres() {
        return;
    }
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let mut events = house.stream("content-pipeline", &fields).await;
    let started = events.until("WorkflowStarted").await;
    let id = started.data["run_id"].as_str().unwrap();
    provider.arrived(1).await;
    let mut connection = PgConnection::connect(house.database_url().unwrap()).await.unwrap();

    for (code, word) in [("53100", "database_full"), ("25006", "database_read_only")] {
        let statements = format!(
            "create or replace function refuses() returns trigger language plpgsql as
                $$ begin raise exception 'no' using errcode = '{code}'; end $$;
            create or replace trigger refuses before insert on sessions
                for each row execute function refuses();
            create or replace trigger refuses before insert on events
                for each row execute function refuses()"
        );
        connection.execute(AssertSqlSafe(statements)).await.unwrap();
        let refused = house.run("content-pipeline", &[("message", "sky")]).await;
        assert_eq!((refused.status, refused.json()["error_id"].as_str()), (507, Some(word)));
        assert_eq!(refused.headers.get("retry-after"), None);
        let path = format!("/workflows/content-pipeline/runs/{id}?session_id=s");
        assert_eq!(house.get(&path).await.good()["status"], "RUNNING");
        is_well(&house).await;
    }
    provider.release_answers(10);
    provider.arrived(1).await;

    connection.execute("drop function refuses cascade").await.unwrap();
    events.until("WorkflowCompleted").await;
}

/// A server that ends takes all connections of the pool with it. None of them is found dead by a
/// caller that reads, or that begins to write.
#[tokio::test]
async fn connections_that_ended_with_the_server_cost_no_caller_its_answer() {
    if !is_postgres() {
        return;
    }
    let settings = "[database]\nconnections = 4";
    let house = House::serve().demo_models().settings(settings).open().await;
    house.push_example("echo").await;
    let mut connection = PgConnection::connect(house.database_url().unwrap()).await.unwrap();
    for round in 0..3 {
        // All four are open and have rested for a moment only.
        for reply in futures::future::join_all((0..32).map(|_| house.get("/sessions"))).await {
            reply.good();
        }
        let ended = connection
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                where application_name = 'stepmill' and datname = current_database()",
            )
            .await;
        assert!(4 <= ended.unwrap().rows_affected(), "in round {round}");

        house.get("/sessions").await.good();
        for _ in 0..6 {
            house.run("echo", &[("message", "sea"), ("session_id", "s")]).await.good();
        }
    }
}
