//! Tokens at the door of a running host, and tenants that do not meet.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, KEY, Reply, Token, command, example};

#[tokio::test]
async fn without_a_token_little_answers() {
    let house = House::serve().guarded().demo_models().open().await;
    let bare = reqwest::Client::new();
    let get = async |path: &str| Reply::of(bare.get(format!("{}{path}", house.address()))).await;
    for path in ["/", "/health", "/info"] {
        assert_eq!(get(path).await.status, 200, "{path}");
    }
    for path in ["/workflows", "/plugins", "/nope", "/workflows/echo/runs?session_id=s"] {
        let reply = get(path).await;
        assert_eq!(reply.refusal(), (401, "Authorization header missing".into()), "{path}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    let options = bare.request(Method::OPTIONS, format!("{}/workflows", house.address()));
    assert_eq!(Reply::of(options).await.status, 405);
    let expired = Token::of("acme", "ada").claim("exp", get_current_timestamp() - 60);
    assert_eq!(
        house.get_as(&expired, "/workflows").await.refusal(),
        (401, "Token has expired".into())
    );
    house.get_as(&Token::of("acme", "ada"), "/workflows").await.good();
}

#[tokio::test]
async fn another_users_and_another_tenants_runs_look_absent() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    let ada = Token::of("acme", "ada");
    let run =
        house.run_as(&ada, "echo", &[("message", "secret"), ("session_id", "s")]).await.good();
    let id = run["run_id"].as_str().unwrap();
    let one = format!("/workflows/echo/runs/{id}?session_id=s");
    let list = "/workflows/echo/runs?session_id=s";
    house.get_as(&ada, &one).await.good();

    let bob = Token::of("acme", "bob");
    assert_eq!(house.get_as(&bob, &one).await.refusal(), (404, "Run not found".into()));
    assert_eq!(house.get_as(&bob, list).await.refusal(), (404, "Session not found".into()));
    let into = house.run_as(&bob, "echo", &[("message", "x"), ("session_id", "s")]).await;
    assert_eq!(into.refusal(), (404, "Session not found".into()));
    // A client cannot choose a run's id, and so cannot overwrite one.
    let mine = house.run_as(&bob, "echo", &[("message", "x"), ("run_id", id)]).await.good();
    assert_ne!(mine["run_id"], run["run_id"]);
    // The tenant's admin sees both; another tenant, under the same names, sees its own.
    house.get(&one).await.good();
    let eve = Token::admin("evil");
    let pushed = reqwest::Client::new()
        .put(format!("{}/plugins/echo", house.address()))
        .bearer_auth(eve.sign())
        .body(example("echo"));
    assert_eq!(Reply::of(pushed).await.status, 201);
    assert_eq!(house.get_as(&eve, &one).await.refusal(), (404, "Run not found".into()));
    assert_eq!(house.get_as(&eve, list).await.refusal(), (404, "Session not found".into()));
    let hers = house.run_as(&eve, "echo", &[("message", "hers"), ("session_id", "s")]).await.good();
    let seen = house.get_as(&eve, list).await.good();
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["run_id"], hers["run_id"]);
}

/// A key pair: the public half as PEM, and the private half as PEM.
pub(crate) async fn key_pair(args: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let openssl = async |args: &[&str]| {
        let output = tokio::process::Command::new("openssl").args(args).output().await;
        let output = output.expect("openssl is there: `tests/run` installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let private = openssl(&[&["genpkey"], args].concat()).await;
    std::fs::write(&path, &private).unwrap();
    let public = openssl(&["pkey", "-pubout", "-in", path.to_str().unwrap()]).await;
    (public, private)
}

#[tokio::test]
async fn every_algorithm_verifies_and_none_stands_in_for_another() {
    let claims = json!({
        "sub": "ada", "tenant": "acme", "exp": get_current_timestamp() + 600,
        "scopes": ["workflows:read"]
    });
    let (public, private) =
        key_pair(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]).await;
    let rsa = (Algorithm::RS256, public, EncodingKey::from_rsa_pem(private.as_bytes()).unwrap());
    let (public, private) =
        key_pair(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]).await;
    let ec = (Algorithm::ES256, public, EncodingKey::from_ec_pem(private.as_bytes()).unwrap());
    let (public, private) = key_pair(&["-algorithm", "ED25519"]).await;
    let ed = (Algorithm::EdDSA, public, EncodingKey::from_ed_pem(private.as_bytes()).unwrap());

    for (algorithm, public, private) in [rsa, ec, ed] {
        let settings =
            format!("[auth.jwt]\nalgorithm = \"{algorithm:?}\"\nkey_env = \"PUBLIC_KEY\"");
        let house = House::serve()
            .settings(&settings)
            .var("PUBLIC_KEY", public.clone())
            .demo_models()
            .open()
            .await;
        let get = async |token: String| {
            Reply::of(house.ask(Method::GET, "/workflows").bearer_auth(token)).await
        };
        let token = encode(&Header::new(algorithm), &claims, &private).unwrap();
        get(token).await.good();
        // The public key as a shared secret: the oldest trick.
        let confused =
            encode(&Header::default(), &claims, &EncodingKey::from_secret(public.as_bytes()))
                .unwrap();
        assert_eq!(
            get(confused).await.refusal(),
            (401, "Invalid token: The specified alg value is not allowed".into()),
            "{algorithm:?}"
        );
    }
}

/// An issuer on this machine: answers each request with the keys it has by now.
fn issuer(keys: Arc<Mutex<Value>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = keys.lock().unwrap().to_string();
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close");
            let _ = write!(stream, "{head}\r\n\r\n{body}");
        }
    });
    url
}

#[tokio::test]
async fn keys_that_an_issuer_publishes_verify_and_may_change() {
    let claims = json!({
        "sub": "ada", "exp": get_current_timestamp() + 600, "scopes": ["workflows:read"]
    });
    let mut keys = Vec::new();
    for name in ["first", "second"] {
        let (_, private) = key_pair(&["-algorithm", "ED25519"]).await;
        let private = EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        let mut public = Jwk::from_encoding_key(&private, Algorithm::EdDSA).unwrap();
        public.common.key_id = Some(name.into());
        let header = Header { kid: Some(name.into()), ..Header::new(Algorithm::EdDSA) };
        keys.push((json!({ "keys": [public] }), encode(&header, &claims, &private).unwrap()));
    }
    let published = Arc::new(Mutex::new(keys[0].0.clone()));
    let settings = format!(
        "[auth.jwt]\nalgorithm = \"EdDSA\"\njwks_url = \"{}\"\njwks = {{ gap_ms = 0 }}",
        issuer(published.clone())
    );
    let house = House::serve().settings(&settings).demo_models().open().await;
    let get = async |token: &str| {
        Reply::of(house.ask(Method::GET, "/workflows").bearer_auth(token)).await
    };
    get(&keys[0].1).await.good();
    let unknown = get(&keys[1].1).await.refusal();
    assert_eq!(unknown, (401, "Invalid token: Signature verification failed".into()));
    *published.lock().unwrap() = keys[1].0.clone();
    get(&keys[1].1).await.good();
    assert_eq!(get(&keys[0].1).await.status, 401);
}

#[tokio::test]
async fn each_issuer_vouches_for_its_own_tokens_and_tenants() {
    let other = "another-secret-of-the-tests-with-32-bytes-or-more";
    let house = House::serve()
        .settings(
            "[auth.issuers.ours]\nissuer = \"https://ours\"\nalgorithm = \"HS256\"\nkey_env = \"OURS\"\n\
             [auth.issuers.acme]\nissuer = \"https://acme\"\nalgorithm = \"HS256\"\nkey_env = \"ACME\"\n\
             tenants = [\"acme\"]",
        )
        .var("OURS", KEY)
        .var("ACME", other)
        .demo_models()
        .open()
        .await;
    assert!(house.said.contains("auth       JWT of 2 issuers, HS256"), "{}", house.said);
    let get = async |secret: &str, issuer: &str, tenant: &str| {
        let token = Token::of(tenant, "ada").claim("iss", issuer).sign_with(secret);
        Reply::of(house.ask(Method::GET, "/workflows").bearer_auth(token)).await.status
    };
    assert_eq!(get(KEY, "https://ours", "anywhere").await, 200);
    assert_eq!(get(other, "https://acme", "acme").await, 200);
    assert_eq!(get(other, "https://acme", "anywhere").await, 401);
    assert_eq!(get(other, "https://ours", "acme").await, 401);
    assert_eq!(get(KEY, "https://acme", "acme").await, 401);
    assert_eq!(get(KEY, "https://nobody", "acme").await, 401);
    // By the word of an issuer that is bound to a tenant nobody is the operator of the host.
    let publish = async |secret: &str, issuer: &str| {
        let token = Token::operator("acme").claim("iss", issuer).sign_with(secret);
        let request = house.ask(Method::DELETE, "/plugins/x?shared=true").bearer_auth(token);
        Reply::of(request).await.status
    };
    assert_eq!(publish(other, "https://acme").await, 403);
    assert_eq!(publish(KEY, "https://ours").await, 404);
}

#[tokio::test]
async fn a_cookie_carries_a_token_for_the_hosts_own_pages() {
    let house = House::serve()
        .guarded()
        .settings("token_source = \"header-or-cookie\"")
        .demo_models()
        .open()
        .await;
    house.push_example("echo").await;
    let cookie = format!("theme=dark; access_token={}", Token::of("acme", "ada").sign());
    let bare = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", house.address());
    let list = bare.get(url("/workflows")).header("cookie", &cookie);
    Reply::of(list).await.good();
    let run = || {
        let request = bare.post(url("/workflows/echo/runs")).header("cookie", &cookie);
        request.form(&[("message", "x"), ("stream", "false")])
    };
    Reply::of(run().header("origin", house.address())).await.good();
    let elsewhere = Reply::of(run().header("origin", "https://evil.example")).await;
    assert_eq!(elsewhere.status, 403, "{}", elsewhere.text);
    let none = Reply::of(bare.get(url("/workflows"))).await;
    let text = "JWT token missing from both Authorization header and 'access_token' cookie";
    assert_eq!(none.refusal(), (401, text.into()));
}

#[tokio::test]
async fn whoever_has_the_hosts_key_is_the_operator() {
    let house = House::serve()
        .settings("[auth.key]\nkey_env = \"HOST_KEY\"")
        .var("HOST_KEY", "sk-os-1234")
        .demo_models()
        .open()
        .await;
    assert!(house.said.contains("auth       security key"), "{}", house.said);
    let ask = |method, path: &str| house.ask(method, path);
    let none = Reply::of(ask(Method::GET, "/workflows")).await;
    assert_eq!(none.refusal(), (401, "Authorization header required".into()));
    assert_eq!(none.headers["www-authenticate"], "Bearer");
    let wrong = Reply::of(ask(Method::GET, "/workflows").bearer_auth("nope")).await;
    assert_eq!(wrong.refusal(), (401, "Invalid authentication token".into()));
    let put = ask(Method::PUT, "/plugins/echo").bearer_auth("sk-os-1234").body(example("echo"));
    assert_eq!(Reply::of(put).await.status, 201);
    let fields = [("message", "x"), ("stream", "false"), ("user_id", "u9")];
    let run = ask(Method::POST, "/workflows/echo/runs").bearer_auth("sk-os-1234").form(&fields);
    assert_eq!(Reply::of(run).await.good()["user_id"], "u9");
    let info = house.get("/info").await.good();
    assert_eq!(info["auth_mode"], "security_key");
    // A key is for the whole host, so it may be reached from anywhere.
    let page = ask(Method::GET, "/workflows").bearer_auth("sk-os-1234").header("host", "a.example");
    Reply::of(page).await.good();
    assert!(!house.log().contains("sk-os-1234"));
}

#[tokio::test]
async fn a_host_without_authentication_stays_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, said) = command(&["serve", "--listen", "0.0.0.0:0", "--data-dir", data], &[]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("without authentication only loopback addresses are served"), "{said}");

    let house = House::demo().open().await;
    let rebound = house.ask(Method::GET, "/workflows").header("host", "rebound.example");
    assert_eq!(Reply::of(rebound).await.status, 403);
    let page =
        house.run_request("echo", &[("message", "x")]).header("origin", "https://page.example");
    assert_eq!(Reply::of(page).await.status, 403);
}
