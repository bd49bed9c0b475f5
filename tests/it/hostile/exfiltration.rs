//! A secret in every position that a plugin has for one: where it may stand, it goes out once; where
//! it may not, nothing goes out, or only what stands for it.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use stepmill_fake_provider::FakeProvider;

use crate::house::{Echo, House, Reply, Token, files, hostile_describing};

const VALUE: &str = "sk-Every/Thing+Else=\"is\\public\"";

/// What stands for it.
const MARK: &str = "stepmill-secret-";

/// What becomes of a request.
enum Sent {
    /// Nothing leaves, and the plugin hears this.
    Nothing(&'static str),
    /// It leaves, without the secret in any form.
    Without,
    /// It leaves with the secret: once, and what comes back is what stands for it.
    Whole,
}
use Sent::{Nothing, Whole, Without};

/// A place in the request, with a method, and the rest of the URL. The secret may go out by GET and
/// POST to `/right/`.
const REQUESTS: [(&str, &str, &str, Sent); 29] = [
    ("a header's value", "header GET", "/right/a", Whole),
    ("a cookie", "cookie GET", "/right/a", Whole),
    ("a body", "body POST", "/right/a", Whole),
    ("a URL's path", "url GET", "/right/", Nothing("Invalid")),
    ("a URL's query", "url GET", "/right/?key=", Nothing("Invalid")),
    ("a URL's fragment", "url GET", "/right/#", Nothing("Invalid")),
    ("a URL's user", "user GET", "/right/a", Nothing("Invalid")),
    ("a URL's host", "host GET", "/right/a", Nothing("Invalid")),
    ("a header's name", "name GET", "/right/a", Nothing("Invalid")),
    ("a method", "method GET", "/right/a", Nothing("Invalid")),
    ("a body that is no text", "binary POST", "/right/a", Nothing("Invalid")),
    ("a header to another path", "header GET", "/wrong/a", Nothing("NotGranted")),
    ("a cookie to another path", "cookie GET", "/wrong/a", Nothing("NotGranted")),
    ("a body to another path", "body POST", "/wrong/a", Nothing("NotGranted")),
    ("a header by another method", "header DELETE", "/right/a", Nothing("NotGranted")),
    ("a body by another method", "body PUT", "/right/a", Nothing("NotGranted")),
    ("a path that goes back", "header GET", "/right/../wrong/a", Nothing("NotGranted")),
    ("the same in other letters", "header GET", "/right/%2e%2e/wrong/a", Nothing("NotGranted")),
    ("a path in capitals", "header GET", "/RIGHT/a", Nothing("NotGranted")),
    ("a path that begins alike", "header GET", "/rights", Nothing("NotGranted")),
    ("two slashes", "header GET", "//right/a", Nothing("NotGranted")),
    ("two halves of it", "halves GET", "/wrong/a", Without),
    ("backwards", "backwards GET", "/wrong/a", Without),
    ("in capitals", "shouted GET", "/wrong/a", Without),
    ("as numbers in a path", "hex GET", "/wrong/", Without),
    ("escaped in a path", "escaped GET", "/wrong/", Without),
    ("escaped in a body", "escaped-body POST", "/wrong/a", Without),
    ("two halves where it may go", "halves GET", "/right/a", Without),
    ("behind a redirect", "follow GET", "/right/moved", Nothing("NotGranted")),
];

/// Where it is put besides requests: by `build`, by the function.
const ELSEWHERE: [(&str, &str, &str); 9] = [
    ("a graph, kv, the log and standard output", "leak", "x"),
    ("a refusal", "leak-permission", "x"),
    ("a complaint about the input", "leak-validation", "x"),
    ("an error", "leak-other", "x"),
    ("a step's content and a session's state", "good", "leak"),
    ("a step's error", "good", "leak-report"),
    ("what the next step reads of kv", "good", "kv-get key"),
    ("a database, in `build`", "leak-sql", "x"),
    ("a database, in a step", "good", "leak-sql"),
];

async fn house(provider: &FakeProvider, folder: &Path) -> House {
    let house = House::serve()
        .guarded()
        .models_at(&provider.url("ok"))
        .settings("[outbound]\nallow_http = true\nallow_private = true")
        .settings(&format!(
            "[databases.orders]\nurl = \"sqlite:{}/{{tenant}}.sqlite\"",
            folder.display()
        ))
        .settings(
            "[policy]\nallow = [\"kv\", \"model:*\", \"http:127.0.0.1\", \"secret:key\", \
             \"database:orders:write\"]",
        )
        .var("STEPMILL_LOG", "debug,hyper_util=trace,reqwest=trace")
        .open()
        .await;
    let pushed = house.push("sender", hostile_describing(b'e')).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text);
    let secret = json!({ "value": VALUE, "hosts": ["GET,POST 127.0.0.1/right/*"] });
    let put = house.ask_as(&Token::admin("acme"), Method::PUT, "/secrets/key").json(&secret);
    Reply::of(put).await.good();
    house
}

async fn run(house: &House, session: &str, message: &str) -> Reply {
    house.run("sender", &[("session_id", session), ("message", message)]).await
}

/// A text in the forms that somebody would look for.
fn disguises() -> [String; 4] {
    let json = serde_json::Value::from(VALUE).to_string();
    let hex = VALUE.bytes().map(|it| format!("{it:02x}")).collect();
    let back = VALUE.chars().rev().collect();
    ["sk-Every".to_owned(), json.trim_matches('"').to_owned(), hex, back]
}

fn assert_without(kind: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for disguise in disguises() {
        assert!(!text.contains(&disguise), "{kind}: {disguise} is in {text}");
    }
}

#[tokio::test]
async fn a_secret_goes_out_where_it_may_and_nowhere_else() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), FakeProvider::open().await.unwrap());
    let (house, echo) = (house(&provider, folder.path()).await, Echo::open().await);
    run(&house, "table", "sql-write create table kept (text text)").await.good();

    for (kind, place, path, sent) in REQUESTS {
        let reply = run(&house, "requests", &format!("send {place} {}", echo.url(path))).await;
        let (said, heard) = (reply.good()["content"].to_string(), echo.heard().join("\n"));
        assert_without(kind, reply.text.as_bytes());
        match sent {
            Nothing(word) => assert!(said.contains(word), "{kind}: {said}"),
            Without | Whole => assert!(said.contains("HTTP/1.1"), "{kind}: {said}"),
        }
        match sent {
            // The redirect itself was asked for where the secret may go.
            Nothing(_) if place.starts_with("follow") => {
                assert!(
                    heard.starts_with("GET /right/moved") && !heard.contains("/wrong"),
                    "{heard}"
                );
            }
            Nothing(_) => assert_eq!(heard, "", "{kind}"),
            Without => assert_without(kind, heard.as_bytes()),
            Whole => {
                assert_eq!(heard.matches("sk-Every").count(), 1, "{kind}: {heard}");
                assert!(said.contains(MARK), "{kind}: {said}");
            }
        }
    }

    let mut found = Vec::new();
    for (kind, order, message) in ELSEWHERE {
        let reply = run(&house, order, message).await;
        assert!([200, 400, 403, 500].contains(&reply.status), "{kind}: {}", reply.text);
        assert_without(kind, reply.text.as_bytes());
        found.push(reply.text.into_bytes());
    }
    assert!(echo.heard().is_empty());
    let asked = format!("{:?}", provider.requests());
    assert!(asked.contains(MARK), "a model is told what stands for it");
    for path in ["/secrets", "/sessions/good?type=workflow", "/sessions/leak/runs?type=workflow"] {
        found.push(house.get(path).await.good().to_string().into_bytes());
    }
    found.extend([asked.into_bytes(), house.log().into_bytes()]);
    files(&house.data(), &mut found);
    let kept = found.len();
    files(folder.path(), &mut found);
    assert!(found[kept..].iter().any(|it| it.windows(MARK.len()).any(|it| it == MARK.as_bytes())));
    found.iter().for_each(|it| assert_without("what is kept", it));
    println!(
        "hostile: {} places for a secret, and it was nowhere but where it may go",
        REQUESTS.len() + ELSEWHERE.len()
    );
}
