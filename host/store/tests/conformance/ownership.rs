//! Who holds a database, and what happens to a store that is left or closed.

use std::pin::pin;
use std::task::{Context, Waker};

use stepmill_core::event::RunEvent;
use stepmill_store::{SessionEntry, SqliteSync, Store, StoreError, StoreSettings, Touch};

use crate::house::{self, CONNECTIONS, House, run, step_started, tenant, workflow};

pub(crate) async fn a_second_host_is_refused_until_the_first_lets_go(house: House) {
    let first = house.open().await;
    let refused = house.try_open().await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::InUse)), "{refused:?}");
    // Being asked for it does no harm to the holder.
    first.ping().await.unwrap();

    first.close().await;
    let second = house.open().await;
    second.ping().await.unwrap();
    second.close().await;
}

pub(crate) async fn a_store_that_is_dropped_lets_go(house: House) {
    let first = house.open().await;
    let acme = tenant(&first, "acme");
    drop(first);
    // A handle that lives keeps the hold.
    acme.kv_set(&workflow("p"), "k", b"v").await.unwrap();
    let refused = house.try_open().await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::InUse)), "{refused:?}");
    drop(acme);

    let second = house.open().await;
    let kept = tenant(&second, "acme").kv_get(&workflow("p"), "k").await.unwrap();
    assert_eq!(kept.unwrap(), b"v");
    second.close().await;
}

pub(crate) async fn opening_again_finds_everything(house: House) {
    for life in 1..=3 {
        let store = house.open().await;
        let acme = tenant(&store, "acme");
        let pin = house::pin(life, "s", None);
        acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use)
            .await
            .unwrap();
        assert_eq!(store.run_unfinished().await.unwrap().len() as u128, life);
        store.close().await;
    }
}

pub(crate) async fn a_closed_store_says_so(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    store.close().await;
    store.close().await;

    for answer in [store.ping().await, acme.kv_set(&workflow("p"), "k", b"v").await] {
        assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
    }
}

pub(crate) async fn a_caller_who_goes_away_leaves_the_store_whole(house: House) {
    let store = house.open().await;
    let acme = tenant(&store, "acme");
    let pinned = house::pin(1, "s", None);
    acme.run_open(&pinned, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use).await.unwrap();
    let last = house::entry(2, RunEvent::RunCompleted);

    // Each caller is polled a few times and leaves wherever it is by then.
    for polls in 1..30 {
        let entries = [step_started(1), last.clone()];
        let mut append = pin!(acme.journal_append(run(1), &entries));
        for _ in 0..polls {
            if append.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // The last of them may still be at work: look until nothing moves between two looks.
    let (kept, finished) = loop {
        let before = store.run_unfinished().await.unwrap().is_empty();
        let kept = acme.journal_read(run(1), 0, 10).await.unwrap().len();
        if before == store.run_unfinished().await.unwrap().is_empty() {
            break (kept, before);
        }
    };
    // All or nothing, and the store goes on.
    assert!(matches!((kept, finished), (1, false) | (3, true)), "{kept} {finished}");
    acme.kv_set(&workflow("p"), "k", b"v").await.unwrap();
    acme.journal_append(run(1), &[step_started(3)]).await.unwrap();
    store.close().await;
}

pub(crate) async fn a_store_answers_a_ping(house: House) {
    let store = house.open().await;
    store.ping().await.unwrap();
    assert!(house.url.starts_with(store.kind()), "{}", store.kind());
}

#[test]
fn a_ping_of_a_locked_sqlite_database_ends_in_time() {
    house::on_sqlite(async |house: House| {
        use sqlx::{Connection, Executor};
        let settings = StoreSettings { ping_timeout_ms: 100, ..StoreSettings::default() };
        let store = Store::open(&house.url, settings).await.unwrap();
        let mut other = sqlx::SqliteConnection::connect(&house.url).await.unwrap();
        other.execute("begin exclusive").await.unwrap();

        let answer = store.ping().await;
        assert!(matches!(answer, Err(StoreError::TimedOut { .. })), "{answer:?}");
        // Who only reads is not in its way.
        assert_eq!(store.run_unfinished().await.unwrap(), []);

        other.execute("rollback").await.unwrap();
        while store.ping().await.is_err() {}
        tenant(&store, "acme").kv_set(&workflow("p"), "k", b"v").await.unwrap();
    });
}

#[test]
fn urls_that_name_no_database_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for url in ["", "mysql://h/d", "sqlite:", "sqlite::memory:", "sqlite:x?mode=memory", "house.db"]
    {
        let refused = runtime.block_on(Store::open(url, StoreSettings::default()));
        assert!(matches!(refused.map(|_| ()), Err(StoreError::Url(_))), "{url}");
    }
}

/// What happens when the network or the server fails: every connection of the store is gone.
async fn cut_off(house: &House) {
    let server = house.url.replace("/stepmill_", "/postgres?was=");
    let server = server.split('?').next().unwrap();
    let name = house.url.rsplit('/').next().unwrap().trim_end_matches('?');
    let sql = format!(
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = '{name}'"
    );
    house::execute(server, &sql).await;
}

#[test]
fn a_host_that_was_cut_off_from_postgres_goes_on() {
    house::on_postgres(async |house: House| {
        let store = house.open().await;
        store.ping().await.unwrap();
        cut_off(&house).await;

        // Each connection of the pool may be found dead once.
        let mut answers = Vec::new();
        while answers.len() <= CONNECTIONS as usize && !answers.iter().any(Result::is_ok) {
            answers.push(store.ping().await);
        }
        assert!(answers.last().unwrap().is_ok(), "{answers:?}");
        let refused = house.try_open().await.map(|_| ());
        assert!(matches!(refused, Err(StoreError::InUse)), "{refused:?}");
    });
}

#[test]
fn a_host_that_was_cut_off_and_lost_postgres_to_another_does_nothing_more() {
    house::on_postgres(async |house: House| {
        let first = house.open().await;
        first.ping().await.unwrap();
        cut_off(&house).await;
        let second = house.open().await;

        let acme = tenant(&first, "acme");
        let mut answers = Vec::new();
        for _ in 0..=CONNECTIONS {
            answers.push(acme.kv_set(&workflow("p"), "k", b"first").await);
        }
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert!(matches!(answers.last(), Some(Err(StoreError::Lost))), "{answers:?}");
        let kept = tenant(&second, "acme").kv_get(&workflow("p"), "k").await.unwrap();
        assert_eq!(kept, None);
        second.close().await;
    });
}

#[cfg(unix)]
#[test]
fn two_names_of_one_sqlite_file_are_one_database() {
    house::on_sqlite(async |house: House| {
        let first = house.open().await;
        let path = house.url.trim_start_matches("sqlite:").trim_end_matches("?mode=rwc");
        let link = path.replace("house.db", "link.db");
        std::os::unix::fs::symlink(path, &link).unwrap();

        let second = House { url: format!("sqlite:{link}") };
        let refused = second.try_open().await.map(|_| ());
        assert!(matches!(refused, Err(StoreError::InUse)), "{refused:?}");
        first.close().await;
    });
}

#[test]
fn sqlite_keeps_the_same_rows_however_it_syncs() {
    house::on_sqlite(async |house: House| {
        for (life, sqlite_sync) in
            (1..).zip([SqliteSync::Never, SqliteSync::Accepted, SqliteSync::Always])
        {
            let settings = StoreSettings { sqlite_sync, ..StoreSettings::default() };
            let store = Store::open(&house.url, settings).await.unwrap();
            let acme = tenant(&store, "acme");
            let pin = house::pin(life, "s", None);
            acme.run_open(&pin, &[RunEvent::RunStarted], SessionEntry::Owner, Touch::Use)
                .await
                .unwrap();
            for number in 1..=life {
                acme.journal_append(run(number), &[step_started(life as u64)]).await.unwrap();
            }
            store.close().await;
        }
        let store = house.open().await;
        let first = tenant(&store, "acme").journal_read(run(1), 0, 10).await.unwrap();
        assert_eq!(first.len(), 4);
    });
}
