//! A granted name that leads to this machine: at once, beside a public address, or a moment later.

use std::net::TcpListener;

use crate::house::{House, World, hostile};

/// A public address that nobody has: what is sent there goes nowhere.
const PUBLIC: &str = "3ffe::1";

/// What the name leads to, question by question; and what the guest hears of each request.
const NAMES: [(&str, &[&str], &[&str]); 9] = [
    ("this machine", &["127.0.0.1"], &["NotGranted"]),
    ("this machine in IPv6", &["::1"], &["NotGranted"]),
    ("this machine in both at once", &["::ffff:127.0.0.1"], &["NotGranted"]),
    ("no machine at all", &["0.0.0.0"], &["NotGranted"]),
    ("a private network", &["10.0.0.1"], &["NotGranted"]),
    ("the metadata of a cloud", &["169.254.169.254"], &["NotGranted"]),
    ("this machine beside a public one", &["3ffe::1 127.0.0.1"], &["sent"]),
    ("a public machine, then this one", &[PUBLIC, "127.0.0.1"], &["sent", "NotGranted"]),
    (
        "this machine every other time",
        &[PUBLIC, "127.0.0.1", PUBLIC, "127.0.0.1 ::1"],
        &["sent", "NotGranted", "sent", "NotGranted"],
    ),
];

async fn house(world: &World, outbound: &str) -> House {
    let house = House::serve()
        .demo_models()
        .generous()
        .settings(&format!("[outbound]\nallow_http = true\ntimeout_ms = 500\n{outbound}"));
    let house = world.of(house).open().await;
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    house
}

async fn fetch(house: &House, port: u16) -> String {
    let order = format!("fetch http://api.example.com:{port}/");
    house.run("hostile", &[("message", &order)]).await.good()["content"].to_string()
}

#[tokio::test]
async fn a_name_that_turns_to_this_machine_reaches_nobody() {
    let world = World::open();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();

    // Where private addresses are allowed, the name leads here: the test would see it.
    let open = house(&world, "allow_private = true").await;
    world.set_answers(&["127.0.0.1"]);
    fetch(&open, port).await;
    assert!(listener.accept().is_ok(), "the name leads where the test says");

    let house = house(&world, "").await;
    for (kind, answers, heard) in NAMES {
        world.set_answers(answers);
        for expected in heard {
            let said = fetch(&house, port).await;
            let is_sent = said.contains("TimedOut") || said.contains("Failed");
            assert!(said.contains(expected) || (*expected == "sent" && is_sent), "{kind}: {said}");
        }
        // Who asked twice for one request could be told another address the second time.
        assert_eq!(world.questions(), heard.len() as i64, "{kind}");
        assert!(listener.accept().is_err(), "{kind}: somebody came");
    }
    println!("hostile: {} ways of a name to this machine, and nobody came", NAMES.len());
}
