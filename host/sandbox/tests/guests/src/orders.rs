//! The orders that `build` and `run` share.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sending;
use crate::stepmill::plugin::database::{self, Value};
use crate::stepmill::plugin::http::{self, HttpRequest};
use crate::stepmill::plugin::{config, kv, log, progress, secrets};

/// Does what the word says; what it found out, if it comes back. An unknown word does nothing.
pub(crate) fn follow(word: &str, argument: &str) -> Option<String> {
    match word {
        // Of those that never come back.
        "loop" => spin(),
        "memory" => hoard(),
        "recurse" => Some(deeper(0, &mut [0; 64]).to_string()),
        "dive" => Some(ackermann(4, 2).to_string()),
        "panic" => panic!("{argument}"),
        "exit" => std::process::exit(argument.parse().unwrap_or(0)),
        "divide" => Some((1 / black_box(number("0"))).to_string()),
        // Too much of something.
        "text" => Some("x".repeat(number(argument))),
        "log" => {
            (0..number(argument))
                .for_each(|it| log::write(log::Level::Info, &format!("line {it}")));
            None
        }
        "log-long" => {
            log::write(log::Level::Warn, &"y".repeat(number(argument)));
            None
        }
        "progress" => {
            let told = (0..number(argument)).map(|_| progress::tell(Some("half way"), None));
            Some(format!("{} told", told.filter(Result::is_ok).count()))
        }
        "progress-long" => {
            Some(format!("{:?}", progress::tell(Some(&"z".repeat(number(argument))), None)))
        }
        "progress-of" => Some(format!("{:?}", progress::tell(None, Some(argument)))),
        "print" => {
            (0..number(argument)).for_each(|it| println!("printed {it}"));
            Some("printed".to_owned())
        }
        "sleep" => {
            std::thread::sleep(Duration::from_millis(number(argument) as u64));
            Some("slept".to_owned())
        }
        "compute" => Some(compute(number(argument)).to_string()),
        // Another order, after so many rounds.
        "after" => {
            let (rounds, order) = argument.split_once(' ').unwrap_or((argument, ""));
            compute(number(rounds));
            let (word, argument) = order.split_once(' ').unwrap_or((order, ""));
            follow(word, argument)
        }
        // What it may do.
        "clock" => Some(clock()),
        "random" => Some(format!("{:x}", RandomState::new().hash_one(0))),
        "config" => Some(format!("{:?}", config::get(argument))),
        "kv-get" => Some(format!("{:?}", kv::get(argument))),
        "kv-set" => Some(format!("{:?}", kv::set("key", &vec![7; number(argument)]))),
        "kv-many" => {
            (0..number(argument)).for_each(|_| drop(kv::get("key")));
            None
        }
        "fetch" => Some(format!("{:?}", http::fetch(&get(argument)))),
        "query" => Some(format!("{:?}", database::query(argument, "select $1", &values()))),
        "execute" => Some(format!("{:?}", database::execute(argument, "insert", &values()))),
        "sql" => Some(titles(database::query("orders", argument, &[]))),
        "sql-write" => {
            let outcome = database::execute("orders", argument, &[]);
            Some(titles(outcome.map(|it| it.returned)))
        }
        "secret" => Some(format!("{:?}", secrets::get(argument))),
        "send" => Some(sending::send(argument)),
        "leak-sql" => Some(sending::leak_sql()),
        "world" => Some(world()),
        _ => None,
    }
}

/// The first column, which is text.
fn titles(rows: Result<database::Rows, database::DatabaseError>) -> String {
    match rows {
        Ok(rows) => {
            let first = |row: &Vec<Value>| match row.first() {
                Some(Value::Text(text)) => text.clone(),
                other => format!("{other:?}"),
            };
            rows.rows.iter().map(first).collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("{error:?}"),
    }
}

/// One of each kind.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Boolean(true),
        Value::Integer(-1),
        Value::Real(0.5),
        Value::Text("é".to_owned()),
        Value::Bytes(vec![0, 255]),
    ]
}

pub(crate) fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

pub(crate) fn spin() -> ! {
    let mut round = 0u64;
    loop {
        round = black_box(round + 1);
    }
}

fn compute(rounds: usize) -> u64 {
    (0..rounds).fold(0, |sum, it| black_box(sum ^ it as u64))
}

fn hoard() -> ! {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![1; 1 << 20]);
        black_box(&held);
    }
}

/// Uses up the language's own stack, which lies in linear memory.
#[inline(never)]
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64, above: &mut [u64; 64]) -> u64 {
    above[(depth % 64) as usize] = depth;
    let mut here = *above;
    let below = deeper(depth + 1, &mut here);
    below + above[3] + black_box(here)[7]
}

/// Uses up the engine's stack only: its frames have nothing in linear memory.
#[inline(never)]
fn ackermann(m: u64, n: u64) -> u64 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

/// The time, and whether it goes on while the guest computes.
pub(crate) fn clock() -> String {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map(|it| it.as_secs());
    let began = Instant::now();
    (0..1_000_000u64).for_each(|it| {
        black_box(it);
    });
    format!("{} stands still: {}", wall.unwrap_or(0), began.elapsed().is_zero())
}

pub(crate) fn get(url: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url: url.to_owned(), headers: vec![], body: None }
}

/// What there is to see outside.
fn world() -> String {
    let mut typed = Vec::new();
    format!(
        "env {} args {} stdin {:?} root {} file {} tcp {} name {}",
        std::env::vars().count(),
        std::env::args().count(),
        std::io::stdin().read_to_end(&mut typed).map_err(|it| it.kind()),
        std::fs::read_dir("/").is_ok(),
        std::fs::write("/tmp/x", b"x").is_ok(),
        std::net::TcpStream::connect("127.0.0.1:1").is_ok(),
        std::net::ToSocketAddrs::to_socket_addrs("localhost:1").is_ok(),
    )
}
