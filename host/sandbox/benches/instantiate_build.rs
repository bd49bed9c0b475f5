//! What the sandbox costs: `Plugin::build` beside the engine alone, doing the same.
//!
//! Both make a fresh store and instance of the same guest, call `build` once, and drop it. The
//! engine alone has the same settings for its pool and its epochs, and nothing else: no limits on
//! what is used, no seat, no deadline, no conversion to the core's words. The aim is a ratio of
//! at most 1.5.

#[path = "../tests/support/guests.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod guests;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group};
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::ids::{SessionId, TenantId, UserId};
use stepmill_core::principal::TrustedClaims;
use stepmill_sandbox::{CallSite, Sandbox, SandboxSettings};

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let component = guests::hostile();
    let mut group = criterion.benchmark_group("instantiate_build");

    let (engine, pre, context) = bare::set_up(&component);
    group.bench_function("engine alone", |bencher| {
        bencher.to_async(&runtime).iter(|| bare::build(&engine, &pre, &context));
    });

    let sandbox =
        Sandbox::open(SandboxSettings::default(), guests::worker()).expect("the sandbox opens");
    let plugin = runtime.block_on(sandbox.load(component)).expect("the guest loads");
    let (site, context) = (site(), context_of_ada());
    group.bench_function("sandbox", |bencher| {
        bencher.to_async(&runtime).iter(async || {
            black_box(plugin.build(site.clone(), &context).await.expect("the guest is good"));
        });
    });
    group.finish();
}

criterion_group!(instantiate_build, benches);

fn main() {
    instantiate_build();
    Criterion::default().configure_from_args().final_summary();
    if let Some(ratio) = ratio() {
        println!("sandbox / engine alone: {ratio:.2} (the aim is at most 1.5)");
    }
}

/// One median beside the other, of the run that has just ended.
fn ratio() -> Option<f64> {
    let group =
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("criterion/instantiate_build");
    let median = |name: &str| {
        let text = std::fs::read(group.join(name).join("new/estimates.json")).ok()?;
        let estimates: serde_json::Value = serde_json::from_slice(&text).ok()?;
        estimates["median"]["point_estimate"].as_f64()
    };
    Some(median("sandbox")? / median("engine alone")?)
}

fn context_of_ada() -> RequestContext {
    let claims = serde_json::json!({ "sub": "ada", "tier": 3 });
    let input = serde_json::json!({ "topic": "tea" });
    RequestContext {
        user: Some(UserId::new("ada").expect("it is a user")),
        session: Some(SessionId::new("good").expect("it is a session")),
        input: input.as_object().cloned(),
        request: RequestFacts {
            method: "POST".to_owned(),
            path: "/workflows/hostile/runs".to_owned(),
            headers: vec![("x-kind".to_owned(), "test".to_owned())],
        },
        tenant: TenantId::new("acme").expect("it is a tenant"),
        trusted: TrustedClaims {
            claims: claims.as_object().cloned().unwrap_or_default(),
            scopes: BTreeSet::from(["workflows:run".to_owned()]),
        },
    }
}

/// The guest of this benchmark asks for nothing.
fn site() -> CallSite {
    CallSite::bare("acme/hostile")
}

/// The engine, its macro, and not a line more than the guest needs.
mod bare {
    use std::hint::black_box;

    use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
    use wasmtime::{
        Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, Store,
    };
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    use self::stepmill::plugin::{config, database, http, kv, log, progress, secrets, types};

    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "factory",
        imports: {
            "stepmill:plugin/kv": async,
            "stepmill:plugin/http": async,
            "stepmill:plugin/database": async,
            "stepmill:plugin/secrets": async,
        },
        exports: { default: async },
    });

    #[derive(Default)]
    pub(crate) struct State(Option<Box<(WasiCtx, ResourceTable)>>);

    impl WasiView for State {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            let wasi = self.0.get_or_insert_with(Default::default);
            WasiCtxView { ctx: &mut wasi.0, table: &mut wasi.1 }
        }
    }

    impl types::Host for State {}

    impl log::Host for State {
        fn write(&mut self, _level: log::Level, _message: String) {}
    }

    impl progress::Host for State {
        fn tell(
            &mut self,
            _content: Option<String>,
            _data: Option<String>,
        ) -> Result<(), progress::ProgressError> {
            Ok(())
        }
    }

    impl config::Host for State {
        fn get(&mut self, _key: String) -> Result<Option<String>, config::ConfigError> {
            Err(config::ConfigError::NotGranted)
        }
    }

    impl kv::Host for State {
        async fn get(&mut self, _key: String) -> Result<Option<Vec<u8>>, kv::KvError> {
            Err(kv::KvError::NotGranted)
        }

        async fn set(&mut self, _key: String, _value: Vec<u8>) -> Result<(), kv::KvError> {
            Err(kv::KvError::NotGranted)
        }

        async fn delete(&mut self, _key: String) -> Result<(), kv::KvError> {
            Err(kv::KvError::NotGranted)
        }
    }

    impl http::Host for State {
        async fn fetch(
            &mut self,
            _request: http::HttpRequest,
        ) -> Result<http::HttpResponse, http::HttpError> {
            Err(http::HttpError::NotGranted)
        }
    }

    impl database::Host for State {
        async fn query(
            &mut self,
            _database: String,
            _statement: String,
            _parameters: Vec<database::Value>,
        ) -> Result<database::Rows, database::DatabaseError> {
            Err(database::DatabaseError::NotGranted)
        }

        async fn execute(
            &mut self,
            _database: String,
            _statement: String,
            _parameters: Vec<database::Value>,
        ) -> Result<database::Outcome, database::DatabaseError> {
            Err(database::DatabaseError::NotGranted)
        }
    }

    impl secrets::Host for State {
        async fn get(&mut self, _name: String) -> Result<String, secrets::SecretError> {
            Err(secrets::SecretError::NotGranted)
        }
    }

    /// The same settings as the sandbox's, as far as they decide how fast an instance is made.
    pub(crate) fn set_up(component: &[u8]) -> (Engine, FactoryPre<State>, types::RequestContext) {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(64)
            .total_core_instances(64 * 200)
            .total_memories(256)
            .total_tables(1024)
            .total_stacks(128)
            .max_memories_per_module(4)
            .max_tables_per_module(16)
            .max_memory_size(64 * 1024 * 1024)
            .table_elements(100_000)
            .linear_memory_keep_resident(2 * 1024 * 1024)
            .table_keep_resident(64 * 1024);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .wasm_backtrace_max_frames(None)
            .native_unwind_info(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).expect("the engine can be made");
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("names are free");
        Factory::add_to_linker::<_, HasSelf<State>>(&mut linker, |it| it).expect("names are free");
        let component = Component::from_binary(&engine, component).expect("the guest compiles");
        let pre = linker.instantiate_pre(&component).expect("the guest links");
        (engine, FactoryPre::new(pre).expect("the guest fits"), context())
    }

    pub(crate) async fn build(
        engine: &Engine,
        pre: &FactoryPre<State>,
        context: &types::RequestContext,
    ) {
        let mut store = Store::new(engine, State::default());
        store.set_epoch_deadline(1_000_000);
        let guest = pre.instantiate_async(&mut store).await.expect("there is room");
        let factory = guest.stepmill_plugin_workflow_factory();
        let answer = factory.call_build(&mut store, context).await.expect("the guest is good");
        black_box(answer.expect("the guest is good"));
    }

    fn context() -> types::RequestContext {
        let header = types::Header { name: "x-kind".to_owned(), value: "test".to_owned() };
        let claim = |name: &str, value: &str| types::Claim {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        types::RequestContext {
            user_id: Some("ada".to_owned()),
            session_id: Some("good".to_owned()),
            input: Some(r#"{"topic":"tea"}"#.to_owned()),
            request: types::Request {
                method: "POST".to_owned(),
                path: "/workflows/hostile/runs".to_owned(),
                headers: vec![header],
            },
            trusted: types::TrustedContext {
                tenant: "acme".to_owned(),
                claims: vec![claim("sub", "\"ada\""), claim("tier", "3")],
                scopes: vec!["workflows:run".to_owned()],
            },
        }
    }
}
