//! A real server, a database and a role for each story.

mod attacks;
mod statements;
mod walls;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use stepmill_core::capability::Access;
use stepmill_core::database::{Answer, DatabaseFailure, Statement, Value};
use stepmill_core::ids::{DatabaseName, TenantId};

use super::place::Place;
use super::session::{Session, Trouble};
use super::{OpenFault, PostgresDatabase};
use crate::settings::DatabaseSettings;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What the operator's application has: an order of each of two tenants, and a price list.
const APPLICATION: &str = "
    create table orders (
        id bigint primary key, title text not null, tenant text not null default stepmill.tenant()
    );
    alter table orders enable row level security;
    alter table orders force row level security;
    create policy tenant on orders using (tenant = (select stepmill.tenant()))
        with check (tenant = (select stepmill.tenant()));
    insert into orders values (1, 'ink for acme', 'acme'), (2, 'soap for bob', 'bob');
    grant select, insert, update, delete on orders to ROLE;
";

/// A database that is set up as the guide says.
pub(super) struct House {
    server: String,
    /// Of the database, and of the role that guests use.
    pub(super) name: String,
}

pub(super) fn on_postgres(story: impl AsyncFnOnce(&House)) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    #[expect(
        clippy::disallowed_methods,
        reason = "where the test server is, only the caller knows"
    )]
    let server = std::env::var("STEPMILL_TEST_POSTGRES_URL").expect(
        "STEPMILL_TEST_POSTGRES_URL is not set: it names a PostgreSQL server whose user is a \
         superuser; tests/run starts one and sets it",
    );
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let house = House { server, name: format!("guests_{}_{count}", std::process::id()) };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(house.build());
    let told = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story(&house))));
    runtime.block_on(house.pull_down());
    if let Err(panic) = told {
        resume_unwind(panic);
    }
}

impl House {
    async fn build(&self) {
        let name = &self.name;
        let role = format!("create role {name} login password 'p w'");
        let database = format!("create database {name} template template0 encoding 'UTF8'");
        on(&self.server, &[&role, &database]).await;
        let set_up = include_str!("../../../row-level-security.sql")
            .replace(":'key'", &format!("'{KEY}'"))
            .replace(":\"role\"", name);
        self.operator(&set_up).await;
        self.operator(APPLICATION).await;
    }

    async fn pull_down(&self) {
        let name = &self.name;
        let database = format!("drop database {name} with (force)");
        on(&self.server, &[&database, &format!("drop role {name}")]).await;
    }

    fn url(&self, user: Option<&str>) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        if let Some(user) = user {
            url.set_username(user).unwrap();
            url.set_password(Some("p w")).unwrap();
        }
        url.to_string()
    }

    /// What the operator does in the database. `ROLE` is the role that guests use.
    pub(super) async fn operator(&self, sql: &str) {
        on(&self.url(None), &[&sql.replace("ROLE", &self.name)]).await;
    }

    /// One session at a time, so that a statement finds what the one before it left.
    pub(super) fn settings(&self) -> DatabaseSettings {
        let mut settings = DatabaseSettings::new("".into());
        settings.tenant_key = Some(KEY.into());
        settings.connections = 1;
        // A busy machine may be slow; a healthy one never waits this long.
        settings.acquire_timeout_ms = 60_000;
        settings.statement_timeout_ms = 60_000;
        settings
    }

    pub(super) async fn open(&self) -> PostgresDatabase {
        self.try_open(&self.settings()).await.unwrap()
    }

    pub(super) async fn try_open(
        &self,
        settings: &DatabaseSettings,
    ) -> Result<PostgresDatabase, OpenFault> {
        let name = DatabaseName::new("orders").unwrap();
        PostgresDatabase::open(&name, &self.url(Some(&self.name)), settings).await
    }
}

async fn on(url: &str, words: &[&str]) {
    let caps = DatabaseSettings::new("".into()).caps();
    let mut session = Session::open(&Place::of(url).unwrap(), &caps).await.unwrap();
    for word in words {
        session.say(&[word]).await.unwrap_or_else(|fault: Trouble| panic!("{word}: {fault:?}"));
    }
}

impl PostgresDatabase {
    pub(super) async fn read(&self, tenant: &str, text: &str) -> Result<Answer, DatabaseFailure> {
        self.say(tenant, Access::Read, text, &[]).await
    }

    pub(super) async fn write(&self, tenant: &str, text: &str) -> Result<Answer, DatabaseFailure> {
        self.say(tenant, Access::Write, text, &[]).await
    }

    pub(super) async fn say(
        &self,
        tenant: &str,
        access: Access,
        text: &str,
        parameters: &[Value],
    ) -> Result<Answer, DatabaseFailure> {
        let database = DatabaseName::new("orders").unwrap();
        let (text, parameters) = (text.to_owned(), parameters.to_vec());
        let statement = Statement { database, access, text, parameters };
        self.ask(&TenantId::new(tenant).unwrap(), statement).await
    }

    /// The titles a tenant sees.
    pub(super) async fn titles(&self, tenant: &str) -> Vec<String> {
        let answer = self.read(tenant, "select title from orders order by id").await.unwrap();
        answer.rows.iter().map(|it| text(&it[0])).collect()
    }
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
