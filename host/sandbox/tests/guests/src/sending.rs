//! A secret, put wherever a guest can put it.

use crate::orders::get;
use crate::stepmill::plugin::database::{self, Value};
use crate::stepmill::plugin::http::{self, HttpRequest, HttpResponse};
use crate::stepmill::plugin::types::{Capability, Header};
use crate::stepmill::plugin::{kv, log, secrets};

/// What a guest asks for that sends secrets.
pub(crate) fn capabilities() -> Vec<Capability> {
    vec![
        Capability::Kv,
        Capability::Http("127.0.0.1".to_owned()),
        Capability::Model("*".to_owned()),
        Capability::Secret("key".to_owned()),
    ]
}

/// The same with a database.
pub(crate) fn capabilities_of_databases() -> Vec<Capability> {
    let database = Capability::Database("orders:write".to_owned());
    capabilities().into_iter().chain([database]).collect()
}

/// Puts all that it knows of its secret wherever it can, and gives it.
pub(crate) fn leak() -> String {
    let key = secrets::get("key").expect("there is a secret");
    for level in [
        log::Level::Trace,
        log::Level::Debug,
        log::Level::Info,
        log::Level::Warn,
        log::Level::Error,
    ] {
        log::write(level, &key);
    }
    println!("{key}");
    eprintln!("{key}");
    kv::set("key", key.as_bytes()).expect("it is kept");
    kv::set(&key, b"key").expect("it is kept");
    key
}

/// The secret as a parameter and as a part of a statement; what the database says of it.
pub(crate) fn leak_sql() -> String {
    let key = leak();
    let parameter = [Value::Text(key.clone())];
    let given = database::query("orders", "select $1", &parameter);
    let written = database::query("orders", &format!("select '{key}'"), &[]);
    let kept = database::execute("orders", "insert into kept values ($1)", &parameter);
    format!("{given:?} {written:?} {kept:?}")
}

/// Sends its secret: a place in the request, a method, a URL. What comes back is leaked.
pub(crate) fn send(argument: &str) -> String {
    let mut words = argument.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (place, method, url) = (word(), word().to_owned(), word().to_owned());
    let key = leak();
    let mut request = HttpRequest { method, ..get(&url) };
    let header = |name: &str, value: String| Header { name: name.to_owned(), value };
    let bearer = || header("authorization", format!("Bearer {key}"));
    match place {
        "header" => request.headers.push(bearer()),
        "cookie" => request.headers.push(header("cookie", format!("key={key}"))),
        "body" => request.body = Some(format!("{{\"key\":\"{key}\"}}").into_bytes()),
        "binary" => request.body = Some([key.as_bytes(), b"\xff"].concat()),
        "name" => request.headers.push(header(&key, String::new())),
        "url" => request.url.push_str(&key),
        "user" => request.url = url.replace("://", &format!("://{key}@")),
        "host" => request.url = url.replace("://", &format!("://{key}.")),
        "method" => request.method = key,
        // What no longer looks like it.
        "halves" => {
            let (first, second) = key.split_at(8);
            request.headers.push(header("x-first", first.to_owned()));
            request.headers.push(header("x-second", second.to_owned()));
        }
        "backwards" => request.headers.push(header("x-key", key.chars().rev().collect())),
        "shouted" => request.headers.push(header("x-key", key.to_uppercase())),
        "hex" => request.url.push_str(&escaped(&key, "")),
        "escaped" => request.url.push_str(&escaped(&key, "%")),
        "escaped-body" => request.body = Some(escaped(&key, "%").into_bytes()),
        // To wherever the first answer says.
        "follow" => {
            request.headers.push(bearer());
            if let Ok(answer) = http::fetch(&request) {
                request.url = location(&answer);
            }
        }
        _ => (),
    }
    match http::fetch(&request) {
        Ok(answer) => {
            let headers = answer.headers.iter().map(|it| format!("{}: {}\n", it.name, it.value));
            let said = headers.collect::<String>() + &String::from_utf8_lossy(&answer.body);
            log::write(log::Level::Info, &said);
            said
        }
        Err(error) => format!("{error:?}"),
    }
}

fn escaped(text: &str, mark: &str) -> String {
    text.bytes().map(|it| format!("{mark}{it:02x}")).collect()
}

fn location(answer: &HttpResponse) -> String {
    let found = answer.headers.iter().find(|it| it.name == "location");
    found.map(|it| it.value.clone()).unwrap_or_default()
}
