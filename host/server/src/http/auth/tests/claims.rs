//! What verified claims say, and which of them are refused.

use stepmill_core::principal::Standing;
use stepmill_core::scope::Right;

use super::*;

#[tokio::test]
async fn claims_scopes_and_tenant_come_from_the_token() {
    let who = ask(&sign(&claims())).await.unwrap();
    assert_eq!(who.tenant.as_str(), "acme");
    assert_eq!(who.user.as_ref().unwrap().as_str(), "ada");
    assert_eq!(who.trusted.claims["tier"], "enterprise");
    assert!(who.trusted.scopes.contains("workflows:run"));
    assert_eq!(who.standing, Standing::Member);
    assert!(who.session.is_none() && who.dependencies.is_none() && who.session_state.is_none());
}

#[tokio::test]
async fn a_token_without_a_tenant_belongs_to_the_default_one() {
    let who = ask(&sign(&without("tenant"))).await.unwrap();
    assert_eq!(who.tenant.as_str(), "default");
}

#[tokio::test]
async fn one_scope_may_be_a_text_and_the_admin_scope_makes_an_admin() {
    let who = ask(&sign(&with(json!({ "scopes": "agent_os:admin" })))).await.unwrap();
    assert_eq!(who.standing, Standing::Admin);
    let who = ask(&sign(&with(json!({ "scopes": "a agent_os:admin" })))).await.unwrap();
    assert_eq!(who.standing, Standing::Member);
    for odd in
        [json!(["agent_os:admin", 7]), json!(7), json!({ "agent_os:admin": true }), json!(null)]
    {
        let who = ask(&sign(&with(json!({ "scopes": odd })))).await.unwrap();
        assert!(who.trusted.scopes.is_empty(), "{odd}");
        assert_eq!(who.standing, Standing::Member, "{odd}");
    }
}

#[tokio::test]
async fn the_operators_scope_makes_an_operator_and_has_a_name_to_be_set() {
    let standing = async |settings: &IssuerSettings, scopes: Value| {
        let token = sign(&with(json!({ "scopes": scopes })));
        shown(&verifier(settings), &token).await.unwrap().standing
    };
    let default = settings();
    assert_eq!(standing(&default, json!("stepmill:operator")).await, Standing::Operator);
    let both = json!(["agent_os:admin", "stepmill:operator"]);
    assert_eq!(standing(&default, both).await, Standing::Operator);
    for other in ["operator", "stepmill:*:operator", "stepmill:operator ", "Stepmill:operator"] {
        assert_eq!(standing(&default, json!([other])).await, Standing::Member, "{other}");
    }
    let renamed = IssuerSettings { operator_scope: Some("root".into()), ..settings() };
    assert_eq!(standing(&renamed, json!(["root"])).await, Standing::Operator);
    assert_eq!(standing(&renamed, json!(["stepmill:operator"])).await, Standing::Member);
}

#[tokio::test]
async fn roles_give_their_scopes_and_leave_the_tokens_own_as_they_are() {
    let ask_with = async |claims| ask(&sign(&with(claims))).await.unwrap();
    let run = Right::new("workflows:run");
    let runner = ask_with(json!({ "scopes": ["x"], "roles": ["runner", "unheard-of"] })).await;
    assert!(runner.holds(run) && runner.holds(Right::new("sessions:write")));
    assert!(!runner.holds(Right::new("plugins:write")));
    assert_eq!(runner.standing, Standing::Member);
    // What a guest is told is what the token says.
    assert_eq!(runner.trusted.scopes, ["x".to_owned()].into());
    assert_eq!(runner.trusted.claims["roles"], json!(["runner", "unheard-of"]));

    let one = ask_with(json!({ "scopes": [], "roles": "runner" })).await;
    assert!(one.holds(run));
    for odd in [json!(["runner", 7]), json!({ "runner": true }), json!("runner author"), json!(7)] {
        let who = ask_with(json!({ "scopes": [], "roles": odd })).await;
        assert!(who.held.is_empty(), "{odd}");
    }
    let operator = ask_with(json!({ "roles": ["operator"] })).await;
    assert_eq!(operator.standing, Standing::Admin);
    // A role is no scope, and a scope is no role.
    let who = ask_with(json!({ "scopes": ["operator"], "roles": ["stepmill:operator"] })).await;
    assert_eq!(who.standing, Standing::Member);
}

#[tokio::test]
async fn the_roles_claim_has_a_name_to_be_set() {
    let settings = IssuerSettings { roles_claim: "groups".into(), ..settings() };
    let token = sign(&with(json!({ "groups": "operator", "roles": "author" })));
    let who = shown(&verifier(&settings), &token).await.unwrap();
    assert_eq!(who.standing, Standing::Admin);
    assert!(!who.held.contains("plugins:write"));
}

#[tokio::test]
async fn a_token_may_decide_the_session_and_what_the_run_begins_with() {
    let settings = IssuerSettings {
        session_claim: "conversation".into(),
        dependencies_claims: ["tier", "email", "missing"].map(String::from).into(),
        session_state_claims: vec!["plan".into()],
        ..settings()
    };
    let verifier = verifier(&settings);
    let all = json!({ "conversation": "s-1", "email": null, "plan": { "name": "gold" } });
    let who = shown(&verifier, &sign(&with(all))).await.unwrap();
    assert_eq!(who.session.unwrap().as_str(), "s-1");
    let dependencies = Value::Object(who.dependencies.unwrap());
    assert_eq!(dependencies, json!({ "tier": "enterprise", "email": null }));
    let state = Value::Object(who.session_state.unwrap());
    assert_eq!(state, json!({ "plan": { "name": "gold" } }));

    let none = shown(&verifier, &sign(&without("tier"))).await.unwrap();
    assert!(none.session.is_none() && none.dependencies.is_none() && none.session_state.is_none());
}

#[tokio::test]
async fn every_check_is_strict() {
    let missing = |it| format!("Invalid token: Token is missing the \"{it}\" claim");
    assert_eq!(refused(&with(json!({ "exp": now() - 6 }))).await, "Token has expired");
    assert!(ask(&sign(&with(json!({ "exp": now() - 3 })))).await.is_ok());
    assert_eq!(refused(&without("exp")).await, missing("exp"));
    assert_eq!(
        refused(&with(json!({ "nbf": now() + 60 }))).await,
        "Invalid token: The token is not yet valid (nbf)"
    );
    let audience = "Invalid token audience - token not valid for this AgentOS instance";
    assert_eq!(refused(&with(json!({ "aud": "other" }))).await, audience);
    assert_eq!(refused(&with(json!({ "aud": [] }))).await, audience);
    assert!(ask(&sign(&with(json!({ "aud": ["other", "stepmill"] })))).await.is_ok());
    assert!(refused(&without("aud")).await.contains("missing the \"aud\" claim. Audience"));
    assert_eq!(refused(&with(json!({ "iss": "other" }))).await, "Invalid token: Invalid issuer");
    let listed = with(json!({ "iss": ["https://issuer.test", "other"] }));
    assert_eq!(refused(&listed).await, "Invalid token: Invalid issuer");
    assert_eq!(refused(&without("iss")).await, missing("iss"));
}

#[tokio::test]
async fn what_names_somebody_is_a_text_that_can() {
    let no_text = "Invalid token: Subject must be a string";
    for bad in [json!(5), json!(null), json!(true)] {
        assert_eq!(refused(&with(json!({ "sub": bad }))).await, no_text);
    }
    assert!(ask(&sign(&with(json!({ "sub": ["ada"] })))).await.is_err());
    for bad in ["__scheduler__", "sa:robot", "__oauth__:client", "", "a\nb"] {
        assert_eq!(refused(&with(json!({ "sub": bad }))).await, "Invalid token subject", "{bad:?}");
    }
    for bad in [json!(["a"]), json!(""), json!(1), json!("a\u{0}")] {
        let tenant = refused(&with(json!({ "tenant": bad }))).await;
        assert_eq!(tenant, "Invalid token tenant", "{bad}");
        let session = refused(&with(json!({ "session_id": bad }))).await;
        assert_eq!(session, "Invalid token session", "{bad}");
    }
    assert!(ask(&sign(&without("sub"))).await.unwrap().user.is_none());
}

#[tokio::test]
async fn times_are_numbers() {
    for bad in [json!("9999999999"), json!(-1), json!(null), json!(true), json!([now() + 60])] {
        assert!(ask(&sign(&with(json!({ "exp": bad })))).await.is_err(), "{bad}");
    }
    let late = now() as f64 + 60.5;
    assert!(ask(&sign(&with(json!({ "exp": late })))).await.is_ok());
    assert!(ask(&sign(&with(json!({ "exp": u64::MAX })))).await.is_ok());
    for bad in [json!("0"), json!(-1), json!(true)] {
        assert!(ask(&sign(&with(json!({ "nbf": bad })))).await.is_err(), "{bad}");
    }
}
