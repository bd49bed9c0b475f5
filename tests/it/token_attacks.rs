//! What people try with tokens, over real HTTP: each is answered with 401, and none comes in.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, get_current_timestamp};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::auth::key_pair;
use crate::house::{House, KEY, Reply, Token};

const OTHER: &str = "another-secret-of-the-tests-with-32-bytes-or-more";

/// Two issuers at one door. The first takes both kinds of algorithm, as somebody does who moves
/// from one to the other; the second speaks for one tenant.
const SETTINGS: &str = r#"
[auth.issuers.ours]
issuer = "https://ours"
algorithms = ["RS256", "HS256"]
key_env = "OURS_PUBLIC"
keys = [{ key_env = "OURS_SECRET" }]
audience = ["stepmill"]
operator = true

[auth.issuers.acme]
issuer = "https://acme"
algorithm = "HS256"
key_env = "ACME_SECRET"
tenants = ["acme"]
"#;

/// The right keys, and the public half that everybody knows.
struct Keys {
    public: String,
    rsa: EncodingKey,
    secret: EncodingKey,
    acme: EncodingKey,
    /// Of whoever tries.
    own: EncodingKey,
}

async fn keys() -> Keys {
    let rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let ((public, private), (_, own)) = (key_pair(&rsa).await, key_pair(&rsa).await);
    Keys {
        public,
        rsa: EncodingKey::from_rsa_pem(private.as_bytes()).unwrap(),
        secret: secret(KEY),
        acme: secret(OTHER),
        own: EncodingKey::from_rsa_pem(own.as_bytes()).unwrap(),
    }
}

async fn house(keys: &Keys) -> House {
    let house = House::serve().settings(SETTINGS).demo_models();
    let house = house.var("OURS_PUBLIC", keys.public.trim()).var("OURS_SECRET", KEY);
    house.var("ACME_SECRET", OTHER).open().await
}

fn secret(text: &str) -> EncodingKey {
    EncodingKey::from_secret(text.as_bytes())
}

/// Claims that would open everything.
fn claims() -> Value {
    json!({
        "iss": "https://ours", "aud": "stepmill", "sub": "ada", "tenant": "acme",
        "scopes": ["stepmill:operator"], "exp": get_current_timestamp() + 600,
    })
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims();
    claims[name] = value.into();
    claims.to_string()
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims.to_string()
}

/// The claims with one more at their end, whatever is there already.
fn again(name: &str, value: Value) -> String {
    let text = claims().to_string();
    format!("{},\"{name}\":{value}}}", text.strip_suffix('}').unwrap())
}

/// A token of texts as they are given, whatever is in them.
fn signed(algorithm: Algorithm, key: &EncodingKey, header: &str, claims: &str) -> String {
    let message = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn header(algorithm: &str) -> Value {
    json!({ "alg": algorithm, "typ": "JWT" })
}

fn header_with(algorithm: &str, name: &str, value: impl Into<Value>) -> String {
    let mut header = header(algorithm);
    header[name] = value.into();
    header.to_string()
}

/// Shows a token where only the operator of the host gets further: there is no such plugin.
async fn show(house: &House, token: &str) -> Reply {
    let request = house.ask(Method::DELETE, "/plugins/none?shared=true");
    Reply::of(request.bearer_auth(token)).await
}

/// None of these comes in, whatever is said of it; and the host goes on.
async fn all_refused(house: &House, attacks: &[(&str, String)]) {
    for (name, token) in attacks {
        let reply = show(house, token).await;
        assert_eq!(reply.status, 401, "{name}: {}", reply.text);
        assert_eq!(reply.headers["www-authenticate"], "Bearer", "{name}");
        let (_, said) = reply.refusal();
        assert!(!said.is_empty() && said.len() < 200, "{name}: {said}");
    }
    house.get("/health").await.good();
    assert!(!house.log().contains("panicked"), "{}", house.log());
}

fn hs(key: &EncodingKey, claims: &str) -> String {
    signed(Algorithm::HS256, key, &header("HS256").to_string(), claims)
}

#[tokio::test]
async fn good_tokens_do_come_in() {
    let keys = keys().await;
    let house = house(&keys).await;
    let rs =
        signed(Algorithm::RS256, &keys.rsa, &header("RS256").to_string(), &claims().to_string());
    for good in [rs, hs(&keys.secret, &claims().to_string())] {
        assert_eq!(show(&house, &good).await.refusal(), (404, "Plugin not found".into()));
    }
    let of_acme = hs(&keys.acme, &with("iss", "https://acme"));
    assert_eq!(show(&house, &of_acme).await.status, 403);
}

#[tokio::test]
async fn no_algorithm_is_talked_into_another() {
    let keys = keys().await;
    let house = house(&keys).await;
    let body = claims().to_string();
    let mut attacks = Vec::new();
    for name in ["none", "None", "NONE", "nOnE", "", " ", "hs256", "HS256 ", "ES256K", "HS256\0"] {
        let header = header(name).to_string();
        attacks.push(("no algorithm", format!("{}.", unsigned(&header, &body))));
        attacks
            .push(("no algorithm, signed", signed(Algorithm::HS256, &keys.secret, &header, &body)));
        attacks.push(("no algorithm, two parts", unsigned(&header, &body)));
    }
    for odd in [json!(null), json!(0), json!(true), json!(["HS256"]), json!({ "alg": "HS256" })] {
        let header = json!({ "alg": odd, "typ": "JWT" }).to_string();
        attacks.push((
            "an algorithm of another kind",
            signed(Algorithm::HS256, &keys.secret, &header, &body),
        ));
    }
    attacks.push(("no header", signed(Algorithm::HS256, &keys.secret, "{}", &body)));
    let twice = r#"{"alg":"HS256","typ":"JWT","alg":"none"}"#;
    attacks.push(("two algorithms", signed(Algorithm::HS256, &keys.secret, twice, &body)));
    // What everybody knows, as a shared secret.
    let der: String = keys.public.lines().filter(|it| !it.starts_with('-')).collect();
    let public = [keys.public.clone(), keys.public.trim().to_owned(), der.clone()];
    for text in
        public.iter().map(String::as_bytes).chain([&*STANDARD.decode(der.as_bytes()).unwrap()])
    {
        let key = EncodingKey::from_secret(text);
        for (name, algorithm) in
            [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            let token = signed(algorithm, &key, &header(name).to_string(), &body);
            attacks.push(("the public key as a secret", token));
        }
        let claimed = header("RS256").to_string();
        attacks.push(("the same, as RS256", signed(Algorithm::HS256, &key, &claimed, &body)));
    }
    // The right key, in a way nobody asked for.
    for (name, algorithm) in
        [("RS384", Algorithm::RS384), ("RS512", Algorithm::RS512), ("PS256", Algorithm::PS256)]
    {
        let token = signed(algorithm, &keys.rsa, &header(name).to_string(), &body);
        attacks.push(("an algorithm that is not accepted", token));
    }
    for name in ["ES256", "ES384", "EdDSA"] {
        let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
        let message = unsigned(&header(name).to_string(), &body);
        attacks.push(("a signature of zeros", format!("{message}.{zeros}")));
    }
    all_refused(&house, &attacks).await;
}

#[tokio::test]
async fn no_signature_stands_for_another_text() {
    let keys = keys().await;
    let house = house(&keys).await;
    let good = hs(&keys.secret, &claims().to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let poor = hs(&keys.secret, &with("scopes", json!([])));
    let poor_signature = poor.rsplit_once('.').unwrap().1;
    let attacks = [
        ("another's secret", hs(&secret(OTHER), &claims().to_string())),
        ("an empty secret", hs(&secret(""), &claims().to_string())),
        ("no signature", format!("{message}.")),
        ("a short signature", format!("{message}.{}", &signature[..20])),
        ("a long signature", format!("{good}AAAA")),
        ("the signature of other claims", format!("{message}.{poor_signature}")),
        ("padding", format!("{good}=")),
        ("a blank in it", format!("{message}. {signature}")),
        ("a dot more", format!("{good}.")),
        ("the parts turned round", format!("{body}.{head}.{signature}")),
        ("a signature in another alphabet", format!("{message}.{}", "+/".repeat(21) + "A")),
    ];
    all_refused(&house, &attacks).await;
}

#[tokio::test]
async fn a_header_brings_no_key_and_leads_nowhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let keys = keys().await;
    let house = house(&keys).await;
    let body = claims().to_string();
    let mut own = Jwk::from_encoding_key(&keys.own, Algorithm::RS256).unwrap();
    own.common.key_id = Some("mine".into());
    let mut attacks = Vec::new();
    for (key, whose) in [(&keys.own, "own key"), (&keys.rsa, "right key")] {
        let mut push = |name: &str, value: Value| {
            let header = header_with("RS256", name, value);
            attacks.push((whose, signed(Algorithm::RS256, key, &header, &body)));
        };
        push("jwk", json!(own));
        push("jku", json!(url));
        push("x5u", json!(url));
        push("x5c", json!(["AAAA"]));
        push("jku", json!("file:///etc/passwd"));
        push("jwk", json!({ "kty": "oct", "k": "AAAA" }));
        push("jwk", json!("nonsense"));
        for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("exp"), json!([7])] {
            push("crit", crit);
        }
        for kind in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "JOSE+JSON", "", "jwt "] {
            push("typ", json!(kind));
        }
    }
    let huge = "k".repeat(9_000);
    for name in [
        "../../../../../../dev/null",
        "/dev/null",
        "/etc/passwd",
        "C:\\windows\\win.ini",
        "' or '1'='1",
        "x' union select 'AAAA' --",
        "'; drop table runs; --",
        "$(id)",
        "|id",
        "http://127.0.0.1/",
        "a\0b",
        "\u{202e}",
        "",
        &huge,
    ] {
        // What such a name would make the key.
        for key in [secret(""), secret("AAAA"), secret("1"), keys.acme.clone()] {
            let header = header_with("HS256", "kid", name);
            attacks.push(("a name of a key", signed(Algorithm::HS256, &key, &header, &body)));
        }
    }
    for odd in [json!(7), json!(["a"]), json!({ "a": 1 })] {
        let header = header_with("HS256", "kid", odd);
        attacks.push((
            "a name of another kind",
            signed(Algorithm::HS256, &secret(""), &header, &body),
        ));
    }
    all_refused(&house, &attacks).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "somebody asked for the keys");
}

#[tokio::test]
async fn claims_are_there_once_and_are_what_they_should_be() {
    let keys = keys().await;
    let house = house(&keys).await;
    let now = get_current_timestamp();
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let mut attacks = vec![
        ("no end", without("exp")),
        ("no audience", without("aud")),
        ("no issuer", without("iss")),
        ("over", with("exp", now - 60)),
        ("over for long", with("exp", 1)),
        ("a negative end", with("exp", -1)),
        ("an end in words", with("exp", "9999999999")),
        ("an end that is nothing", with("exp", Value::Null)),
        ("an end in a list", with("exp", json!([now + 600]))),
        ("not yet", with("nbf", now + 600)),
        ("not yet, in words", with("nbf", "0")),
        ("for another audience", with("aud", "elsewhere")),
        ("for several others", with("aud", json!(["a", "b"]))),
        ("for nobody", with("aud", json!([]))),
        ("a user that is a number", with("sub", 7)),
        ("a user that is nothing", with("sub", Value::Null)),
        ("a user in a list", with("sub", json!(["ada"]))),
        ("a user without a name", with("sub", "")),
        ("a user with a line break", with("sub", "ada\nroot")),
        ("a user with U+0000", with("sub", "ada\0")),
        ("a user with a long name", with("sub", "x".repeat(257))),
        ("the host's own user", with("sub", "__scheduler__")),
        ("a tenant that is a number", with("tenant", 7)),
        ("a tenant in a list", with("tenant", json!(["acme"]))),
        ("a tenant without a name", with("tenant", "")),
        ("a tenant with U+0000", with("tenant", "acme\0")),
        ("a tenant with a long name", with("tenant", "x".repeat(129))),
        ("a session that is a number", with("session_id", 7)),
        ("deep claims", format!("{{\"sub\":\"ada\",\"x\":{deep}}}")),
        ("a number beyond all", again("x", json!(1)).replace("\"x\":1", "\"exp\":1e999")),
        ("claims in a list", format!("[{}]", claims())),
        ("a text as claims", json!("claims").to_string()),
        ("nothing as claims", "null".into()),
        ("no claims", String::new()),
        ("half of the claims", claims().to_string()[..30].to_owned()),
        ("something behind the claims", claims().to_string() + "{}"),
    ];
    for (name, value) in [
        ("exp", json!(now + 6_000)),
        ("iss", json!("https://acme")),
        ("iss", json!("https://ours")),
        ("aud", json!("stepmill")),
        ("sub", json!("root")),
        ("tenant", json!("other")),
        ("scopes", json!(["agent_os:admin"])),
        ("sub", json!("ada")),
    ] {
        attacks.push(("a claim twice", again(name, value)));
    }
    let attacks: Vec<_> =
        attacks.iter().map(|(name, claims)| (*name, hs(&keys.secret, claims))).collect();
    all_refused(&house, &attacks).await;
}

#[tokio::test]
async fn who_is_nobody_in_no_tenant_gets_no_further_for_it() {
    let keys = keys().await;
    let house = house(&keys).await;
    // An issuer that speaks for one tenant has to name it.
    let mut nowhere = claims();
    nowhere["iss"] = json!("https://acme");
    nowhere.as_object_mut().unwrap().remove("tenant");
    let elsewhere = json!({ "iss": "https://acme", "tenant": "other" });
    let mut other = claims();
    other.as_object_mut().unwrap().extend(elsewhere.as_object().unwrap().clone());
    let attacks = [
        ("no tenant", hs(&keys.acme, &nowhere.to_string())),
        ("another tenant", hs(&keys.acme, &other.to_string())),
    ];
    all_refused(&house, &attacks).await;
    // Whom a token does not name, it gives nothing that belongs to somebody.
    let mut nobody = claims();
    nobody.as_object_mut().unwrap().remove("sub");
    nobody["scopes"] = json!(["sessions:read", "workflows:run"]);
    let token = hs(&keys.secret, &nobody.to_string());
    let sessions = house.ask(Method::GET, "/sessions").bearer_auth(&token);
    assert_eq!(Reply::of(sessions).await.status, 403);
    let run = house.run_request("echo", &[("message", "x"), ("user_id", "ada")]);
    assert_eq!(Reply::of(run.bearer_auth(&token)).await.status, 403);
}

#[tokio::test]
async fn no_issuer_speaks_for_another() {
    let keys = keys().await;
    let house = house(&keys).await;
    let names = |name: Value| with("iss", name);
    let kid = header_with("HS256", "kid", "ours");
    let attacks = [
        ("acme as ours", hs(&keys.acme, &claims().to_string())),
        (
            "acme as ours, by a name of a key",
            signed(Algorithm::HS256, &keys.acme, &kid, &claims().to_string()),
        ),
        ("ours as acme", hs(&keys.secret, &names(json!("https://acme")))),
        ("both at once", hs(&keys.acme, &names(json!(["https://acme", "https://ours"])))),
        ("ours in a list", hs(&keys.acme, &names(json!(["https://ours"])))),
        ("acme in a list", hs(&keys.acme, &names(json!(["https://acme"])))),
        ("nobody", hs(&keys.acme, &without("iss"))),
        ("nothing", hs(&keys.acme, &names(Value::Null))),
        ("somebody unknown", hs(&keys.secret, &names(json!("https://unknown")))),
        ("a name in capitals", hs(&keys.secret, &names(json!("HTTPS://OURS")))),
        ("a name with a slash", hs(&keys.secret, &names(json!("https://ours/")))),
        ("a name with a blank", hs(&keys.secret, &names(json!(" https://ours")))),
        (
            "first acme, then ours",
            hs(&keys.acme, &format!("{{\"iss\":\"https://acme\",{}", &claims().to_string()[1..])),
        ),
        ("first ours, then acme", hs(&keys.acme, &again("iss", json!("https://acme")))),
    ];
    all_refused(&house, &attacks).await;
}

#[tokio::test]
async fn what_is_no_token_is_refused_like_one() {
    let keys = keys().await;
    let house = house(&keys).await;
    let good = hs(&keys.secret, &claims().to_string());
    let padded = with("x", "x".repeat(20_000));
    let mut attacks: Vec<(&str, String)> = [
        "x",
        "a.b",
        "a.b.c",
        "..",
        "...",
        "!.!.!",
        "e30.e30.e30",
        "e30.e30.",
        "null",
        "undefined",
        "a.b.c.d.e",
        "%00.%00.%00",
        "{\"payload\":\"e30\",\"signatures\":[]}",
        "smk_",
        "smk_x_y",
    ]
    .map(|it| ("garbage", it.to_owned()))
    .into();
    attacks.push(("a whole token too long", hs(&keys.secret, &padded)));
    attacks.push(("garbage of size", "x".repeat(60_000)));
    attacks.push(("dots", ".".repeat(10_000)));
    attacks.push(("a token twice", format!("{good} {good}")));
    attacks.push(("two tokens", format!("{good},{good}")));
    all_refused(&house, &attacks).await;

    let bare = |value: HeaderValue| {
        house.ask(Method::DELETE, "/plugins/none?shared=true").header("authorization", value)
    };
    for value in [
        HeaderValue::from_bytes(b"Bearer \xff\xfe.\xff.\xff").unwrap(),
        HeaderValue::from_static(""),
        HeaderValue::from_static("Bearer"),
        HeaderValue::from_static("Basic YWRhOmFkYQ=="),
        HeaderValue::from_str(&format!("Basic {good}")).unwrap(),
    ] {
        let reply = Reply::of(bare(value.clone())).await;
        assert_eq!(reply.status, 401, "{value:?}: {}", reply.text);
    }
    let both =
        Reply::of(bare(HeaderValue::from_str(&format!("Bearer {good}")).unwrap()).bearer_auth("x"));
    assert_eq!(both.await.status, 401);
    // What no header can be, HTTP refuses, or hangs up on.
    let endless = bare(HeaderValue::from_str(&"x".repeat(2_000_000)).unwrap()).send().await;
    assert!(endless.is_err() || endless.is_ok_and(|it| it.status().as_u16() == 431));
    house.get("/health").await.good();
    let token = Token::operator("acme").claim("iss", "https://ours").claim("aud", "stepmill");
    assert_eq!(show(&house, &token.sign()).await.status, 404);
}
