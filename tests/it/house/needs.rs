//! What tests need from outside, made by `tests/run`. What is missing fails its test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection};

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder cargo builds into.
pub(crate) fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

/// A component that `tests/run` built.
fn built(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path)
        .unwrap_or_else(|_| panic!("{} is not there: `tests/run` builds it", path.display()))
}

/// An example in Rust, as the host itself carries it.
pub(crate) fn example(id: &str) -> Vec<u8> {
    built(example_file(id))
}

/// Where it lies.
pub(crate) fn example_file(id: &str) -> PathBuf {
    let file = format!("{}.wasm", id.replace('-', "_"));
    target().join("plugins-build/wasm32-wasip2/plugin").join(file)
}

/// An example in another language.
pub(crate) fn component(id: &str) -> Vec<u8> {
    built(target().join("plugins").join(format!("{id}.wasm")))
}

/// The guest that does what the session id (`build`) or the message (function) tells it.
pub(crate) fn hostile() -> Vec<u8> {
    static HOSTILE: LazyLock<Vec<u8>> = LazyLock::new(|| guest("stepmill-hostile-guests"));
    HOSTILE.clone()
}

/// The same guest, whose `describe` behaves as the mode says (see the guest's `MODE`).
pub(crate) fn hostile_describing(mode: u8) -> Vec<u8> {
    let mut component = hostile();
    let mark = b"DESCRIBE-MODE:0";
    let at = component.windows(mark.len()).position(|it| it == mark).expect("the mark is in it");
    component[at + mark.len() - 1] = mode;
    component
}

/// The same guest, which asks to read and write the database `orders`, and for nothing else.
pub(crate) fn hostile_of_databases() -> Vec<u8> {
    hostile_describing(b'D')
}

/// A database of an operator's application on the PostgreSQL server that `tests/run` starts, set
/// up as the guide says: its URL for guests, its tenant key, and a way in for the operator.
pub(crate) struct Application {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) operator: PgConnection,
}

impl Application {
    /// With an order of each of two tenants.
    pub(crate) async fn open() -> Self {
        let url = postgres_database().await;
        let mut operator = PgConnection::connect(&url).await.unwrap();
        let role = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let key = "0123456789abcdef".repeat(4);
        let set_up = repository().join("host/databases/row-level-security.sql");
        let set_up = std::fs::read_to_string(set_up).unwrap();
        let set_up = set_up.replace(":'key'", &format!("'{key}'")).replace(":\"role\"", &role);
        for words in [
            format!("drop role if exists {role}; create role {role} login password 'guest'"),
            set_up,
            format!(
                "create table orders (
                    id bigint generated always as identity primary key,
                    title text not null, tenant text not null default stepmill.tenant()
                );
                alter table orders enable row level security;
                alter table orders force row level security;
                create policy tenant on orders using (tenant = (select stepmill.tenant()))
                    with check (tenant = (select stepmill.tenant()));
                insert into orders (title, tenant) values ('ink for acme', 'acme'), ('soap for bob', 'bob');
                grant select, insert, update, delete on orders to {role}"
            ),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(words)).execute(&mut operator).await.unwrap();
        }
        let (_, place) = url.split_once("://").unwrap();
        let place = place.split_once('@').map_or(place, |(_, place)| place);
        Self { url: format!("postgres://{role}:guest@{place}"), key, operator }
    }
}

/// The guest that sends requests through `wasi:http`.
pub(crate) fn fetcher() -> Vec<u8> {
    static FETCHER: LazyLock<Vec<u8>> = LazyLock::new(|| guest("stepmill-fetching-guest"));
    FETCHER.clone()
}

fn guest(package: &str) -> Vec<u8> {
    let guests = repository().join("host/sandbox/tests/guests");
    let target = target().join("hostile-guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip2"])
        .args(["--package", package])
        .current_dir(guests)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(status.unwrap().success(), "the guest {package} must build");
    built(target.join(format!("wasm32-wasip2/release/{}.wasm", package.replace('-', "_"))))
}

/// The same guest, asking to send a secret, `key`, to 127.0.0.1.
pub(crate) fn sender() -> Vec<u8> {
    hostile_describing(b's')
}

/// A plugin around the fields of a core module, which must define `$build`.
pub(crate) fn hostile_core(fields: &str) -> Vec<u8> {
    let path = repository().join("host/sandbox/tests/guests/wat/factory.wat");
    let text = std::fs::read_to_string(path).unwrap().replace("(; FIELDS ;)", fields);
    wat::parse_str(text).unwrap()
}

/// A variable of the tests' own.
#[expect(clippy::disallowed_methods, reason = "the tests' own needs are no settings of the host")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether houses open on PostgreSQL: `tests/run` runs the tests once on each database.
pub(crate) fn is_postgres() -> bool {
    match variable("STEPMILL_TEST_DATABASE").as_deref() {
        None | Some("sqlite") => false,
        Some("postgres") => true,
        Some(other) => panic!("STEPMILL_TEST_DATABASE is `{other}`: sqlite or postgres"),
    }
}

/// An empty database of its own on the PostgreSQL server that `tests/run` starts.
pub(crate) async fn postgres_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = variable("STEPMILL_TEST_POSTGRES_URL")
        .expect("STEPMILL_TEST_POSTGRES_URL is not set: `tests/run` starts a server and sets it");
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("house_{}_{number}", std::process::id());
    let statements = format!("drop database if exists {name} with (force)");
    connection.execute(sqlx::AssertSqlSafe(statements)).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
    let (start, query) =
        server.split_once('?').map_or((server.as_str(), None), |(a, b)| (a, Some(b)));
    let slash = start.rfind('/').unwrap();
    let query = query.map(|it| format!("?{it}")).unwrap_or_default();
    format!("{}/{name}{query}", &start[..slash])
}

/// The script that serves a real small model.
pub(crate) fn model_script() -> PathBuf {
    repository().join("tests/real-model/serve")
}
