//! Uploads are compiled in processes of their own: what becomes of those, and of the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{join_all, join3};
use tokio::time::{sleep, timeout};

use crate::bomb::compile_bomb;
use crate::house::{House, Token, example, stepmill};

/// As many functions as one component may have of this kind: a minute of work, give or take.
const BOMB: usize = 20;

/// A process that compiles, by its folder in `/proc`.
struct Worker(PathBuf);

impl Worker {
    /// All of a host's: also those that have ended and were not asked how.
    fn all_of(host: u32) -> Vec<Self> {
        let processes = fs::read_dir("/proc").unwrap().map(|it| Self(it.unwrap().path()));
        processes.filter(|it| it.parent() == Some(host)).collect()
    }

    async fn of(house: &House) -> Self {
        // A process that is being made still has the name of the host.
        let made = until(|| {
            let workers = Self::all_of(house.process());
            workers.into_iter().find(|it| it.says("cmdline").contains("compile-worker"))
        });
        made.await
    }

    fn says(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_default()
    }

    /// A field of its `stat`, as `man 5 proc` numbers them from the third on.
    fn stat(&self, field: usize) -> Option<i64> {
        let text = self.says("stat");
        // The name before it may have blanks and brackets in it.
        let (_, fields) = text.rsplit_once(") ")?;
        fields.split(' ').nth(field - 3)?.parse().ok()
    }

    fn parent(&self) -> Option<u32> {
        self.stat(4).and_then(|it| it.try_into().ok())
    }

    fn id(&self) -> i64 {
        self.0.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    fn is_gone(&self) -> bool {
        !self.0.exists()
    }

    fn limit(&self, name: &str) -> String {
        let limits = self.says("limits");
        let line = limits.lines().find_map(|it| it.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

/// What is true sooner or later.
async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(it) = found() {
                return it;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), trying).await.expect("it comes true in time")
}

async fn no_worker_is_left(house: &House) {
    until(|| Worker::all_of(house.process()).is_empty().then_some(())).await;
}

fn resident_bytes(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

#[tokio::test]
async fn bombs_of_one_tenant_cost_one_worker_and_nobody_else() {
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings("[limits]\ncompile_timeout_ms = 6000")
        .open()
        .await;
    let (acme, eve) = (Token::admin("acme"), Token::admin("evil"));
    assert_eq!(house.push_as(&acme, "echo", example("echo")).await.status, 201);
    let before = resident_bytes(house.process());
    let bomb = compile_bomb(BOMB);

    let push = |id| house.push_as(&eve, id, bomb.clone());
    let mut bombs = std::pin::pin!(join3(push("one"), push("two"), push("three")));
    let others = async {
        let first = Worker::of(&house).await;
        let reply = house.push_as(&acme, "pipeline", example("pipeline")).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        for _ in 0..20 {
            house.run_as(&acme, "echo", &[("message", "x")]).await.good();
        }
        assert!(!first.is_gone(), "the first bomb is still being compiled");
        assert_eq!(Worker::all_of(house.process()).len(), 1);
        resident_bytes(house.process())
    };
    let during = tokio::select! {
        _ = &mut bombs => panic!("the bombs went off before the others were served"),
        during = others => during,
    };
    assert!(during < before + 64 * 1024 * 1024, "{before} bytes became {during}");

    let (one, two, three) = bombs.await;
    for reply in [one, two, three] {
        assert_eq!(reply.status, 422, "{}", reply.text);
        assert_eq!(reply.json()["error_id"], "compile_timed_out");
        assert_eq!(reply.refusal().1, "the component took too long to compile");
    }
    no_worker_is_left(&house).await;
    let known = house.log().matches("is refused as it was a moment ago").count();
    assert_eq!(known, 2, "the same bytes cost a worker once");
}

#[tokio::test]
async fn uploads_that_wait_are_not_held_and_do_not_wait_for_ever() {
    let settings =
        "[limits]\ncompile_timeout_ms = 8000\ncompile_queue_ms = 3000\n[http]\nuploads = 1";
    let house = House::serve().guarded().demo_models().settings(settings).open().await;
    let before = resident_bytes(house.process());
    let eve = Token::admin("evil");
    let mut bomb = std::pin::pin!(house.push_as(&eve, "bomb", compile_bomb(BOMB)));
    let others = async {
        Worker::of(&house).await;
        let tenants: Vec<_> = (0..8).map(|it| Token::admin(&format!("t{it}"))).collect();
        let push = |it| house.push_as(it, "large", vec![0; 30_000_000]);
        let mut waiting = std::pin::pin!(join_all(tenants.iter().map(push)));
        let mut most = 0;
        let replies = loop {
            tokio::select! {
                replies = &mut waiting => break replies,
                () = sleep(Duration::from_millis(50)) => {
                    most = most.max(resident_bytes(house.process()));
                }
            }
        };
        (replies, most)
    };
    let (replies, most) = tokio::select! {
        reply = &mut bomb => panic!("{}", reply.text),
        done = others => done,
    };
    assert!(most < before + 80 * 1024 * 1024, "{before} bytes became {most}");
    for reply in replies {
        assert_eq!(reply.refusal(), (503, "The host is busy".into()));
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert_eq!(bomb.await.status, 422);
}

#[tokio::test]
async fn a_bomb_that_wants_memory_is_told_how_much_there_is() {
    let settings = "[limits]\ncompile_memory_bytes = 400000000";
    let house = House::serve().demo_models().settings(settings).open().await;
    let reply = house.push("bomb", compile_bomb(2)).await;
    assert_eq!(reply.status, 422, "{}", reply.text);
    assert_eq!(reply.json()["error_id"], "too_large_to_compile");
    assert!(reply.refusal().1.contains("400000000 bytes"), "{}", reply.text);
    house.push_example("echo").await;
    no_worker_is_left(&house).await;
}

#[tokio::test]
async fn a_worker_has_nothing_of_the_hosts() {
    let house = House::serve().guarded().demo_models().open().await;
    let mut upload = std::pin::pin!(house.push("bomb", compile_bomb(BOMB)));
    let look = async {
        let worker = Worker::of(&house).await;
        // The last of its limits is set: it has begun.
        until(|| (worker.limit("Max address space") == "2147483648 2147483648").then_some(()))
            .await;
        worker
    };
    let worker = tokio::select! {
        reply = &mut upload => panic!("{}", reply.text),
        worker = look => worker,
    };

    assert_eq!(worker.says("environ"), "MIMALLOC_ARENA_RESERVE=32768\0");
    let folder = fs::read_link(worker.0.join("cwd")).unwrap();
    assert!(folder.to_str().unwrap().ends_with(" (deleted)"), "{folder:?}");
    let open = fs::read_dir(worker.0.join("fd")).unwrap();
    let mut open: Vec<_> = open
        .map(|it| (it.as_ref().unwrap().file_name(), fs::read_link(it.unwrap().path()).unwrap()))
        .collect();
    open.sort();
    let numbers: Vec<_> = open.iter().map(|it| it.0.to_str().unwrap()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{open:?}");
    assert!(open.iter().all(|it| it.1.to_str().unwrap().starts_with("pipe:")), "{open:?}");
    assert_eq!(worker.stat(5), Some(worker.id()), "its process group is its own");
    let host = Worker(format!("/proc/{}", house.process()).into());
    assert!(host.stat(19) < worker.stat(19), "it comes after the host");
    assert_eq!(worker.limit("Max cpu time"), "60 61");
    assert_eq!(worker.limit("Max open files"), "3 3");
    assert_eq!(worker.limit("Max file size"), "0 0");
    assert_eq!(worker.limit("Max core file size"), "0 0");
}

#[tokio::test]
async fn a_worker_that_somebody_kills_is_no_fault_of_the_upload() {
    let house = House::serve().demo_models().open().await;
    let kill = async {
        let worker = Worker::of(&house).await.id().to_string();
        let kill = tokio::process::Command::new("kill").args(["-KILL", &worker]).status();
        assert!(kill.await.unwrap().success());
    };
    let (reply, ()) = futures::future::join(house.push("bomb", compile_bomb(BOMB)), kill).await;
    assert_eq!(reply.refusal(), (503, "the component could not be compiled now".into()));
    assert_eq!(reply.json()["error_id"], "busy");
    assert!(reply.headers.contains_key("retry-after"));
    assert!(house.log().contains("the compile worker ended by itself"), "{}", house.log());
    house.push_example("echo").await;
    no_worker_is_left(&house).await;
}

#[tokio::test]
async fn a_worker_ends_with_its_upload_and_with_its_host() {
    let mut house = House::serve().demo_models().open().await;
    let bomb = compile_bomb(BOMB);
    let worker = tokio::select! {
        reply = house.push("bomb", bomb.clone()) => panic!("{}", reply.text),
        worker = Worker::of(&house) => worker,
    };
    // The client hung up.
    until(|| worker.is_gone().then_some(())).await;

    let worker = tokio::select! {
        reply = house.push("bomb", bomb) => panic!("{}", reply.text),
        worker = Worker::of(&house) => {
            house.kill().await;
            worker
        }
    };
    until(|| worker.is_gone().then_some(())).await;
}

#[tokio::test]
async fn an_upgrade_in_place_changes_nothing_before_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("stepmill");
    fs::copy(stepmill(), &binary).unwrap();
    let house = House::serve().demo_models().binary(binary.clone()).open().await;
    replace(&binary, b"#!/bin/false\n");
    house.push_example("echo").await;
    fs::remove_file(&binary).unwrap();
    house.push_example("pipeline").await;
}

/// As package managers do it: another file of the same name.
fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}
