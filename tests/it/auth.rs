//! Tokens at the door of a running host, and tenants that do not meet.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::json;

use crate::house::{House, Reply, Token, command};

#[tokio::test]
async fn without_a_token_only_health_answers() {
    let house = House::serve().guarded().demo_models().open().await;
    let bare = reqwest::Client::new();
    let get = async |path: &str| Reply::of(bare.get(format!("{}{path}", house.address()))).await;
    assert_eq!(get("/health").await.status, 200);
    for path in ["/workflows", "/plugins", "/nope", "/workflows/echo/runs?session_id=s"] {
        let reply = get(path).await;
        assert_eq!(reply.refusal(), (401, "Authorization header missing".into()), "{path}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
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
        .body(crate::house::example("echo"));
    assert_eq!(Reply::of(pushed).await.status, 201);
    assert_eq!(house.get_as(&eve, &one).await.refusal(), (404, "Run not found".into()));
    assert_eq!(house.get_as(&eve, list).await.refusal(), (404, "Session not found".into()));
    let hers = house.run_as(&eve, "echo", &[("message", "hers"), ("session_id", "s")]).await.good();
    let seen = house.get_as(&eve, list).await.good();
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["run_id"], hers["run_id"]);
}

/// A key pair: the public half as PEM, and the private half as PEM.
async fn key_pair(args: &[&str]) -> (String, String) {
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
    let claims = json!({ "sub": "ada", "tenant": "acme", "exp": get_current_timestamp() + 600 });
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
            Reply::of(house.ask(reqwest::Method::GET, "/workflows").bearer_auth(token)).await
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

#[tokio::test]
async fn a_host_without_authentication_stays_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, said) = command(&["serve", "--listen", "0.0.0.0:0", "--data-dir", data], &[]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("without authentication only loopback addresses are served"), "{said}");

    let house = House::demo().open().await;
    let rebound = house.ask(reqwest::Method::GET, "/workflows").header("host", "rebound.example");
    assert_eq!(Reply::of(rebound).await.status, 403);
    let page =
        house.run_request("echo", &[("message", "x")]).header("origin", "https://page.example");
    assert_eq!(Reply::of(page).await.status, 403);
}
