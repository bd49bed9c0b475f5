//! API keys at the door: which request carries one, and as whom its holder acts.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};
use stepmill_core::principal::{Principal, Rules, Standing, TrustedClaims};
use stepmill_core::role::Roles;
use stepmill_core::scope::ADMIN;
use stepmill_store::FoundKey;

use super::refusal::Refusal;
use super::token::bearer;
use crate::app::{App, is_key};

/// The key a request shows, wherever tokens are looked for: no browser adds this header by itself.
pub(super) fn shown(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).filter(|it| is_key(it))
}

/// Who a key speaks for.
pub(super) async fn principal(
    app: &App,
    text: &str,
    rules: Rules,
    roles: &Roles,
) -> Result<Principal, Refusal> {
    let found = app.key_shown(text).await.map_err(Refusal::Failed)?;
    found.map(|it| holder(it, rules, roles)).ok_or(Refusal::ApiKey)
}

/// A key is as good as a token with its roles and scopes, but that it never makes an operator.
fn holder(found: FoundKey, rules: Rules, roles: &Roles) -> Principal {
    let FoundKey { tenant, key, .. } = found;
    let held = &key.scopes | &roles.scopes(&key.roles);
    let mut claims = Map::new();
    if let Some(user) = &key.user {
        claims.insert("sub".into(), Value::from(user.as_str()));
    }
    claims.insert("roles".into(), json!(key.roles));
    Principal {
        tenant,
        user: key.user,
        trusted: TrustedClaims { claims, scopes: key.scopes },
        standing: if held.contains(ADMIN) { Standing::Admin } else { Standing::Member },
        held,
        key: Some(key.id),
        rules,
        session: None,
        dependencies: None,
        session_state: None,
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::ids::{KeyId, TenantId, UserId};
    use stepmill_core::key::ApiKey;
    use stepmill_core::scope::Right;
    use stepmill_core::time::Timestamp;
    use stepmill_store::KeyDigest;
    use uuid::Uuid;

    use super::*;

    fn of(roles: &[&str], scopes: &[&str]) -> Principal {
        let texts = |texts: &[&str]| texts.iter().map(|it| it.to_string()).collect();
        let key = ApiKey {
            id: KeyId::from_uuid(Uuid::from_u128(1)),
            name: "ci".into(),
            roles: texts(roles),
            scopes: texts(scopes),
            user: Some(UserId::new("robot").unwrap()),
            created_by: None,
            created_at: Timestamp::from_micros(0),
            expires_at: None,
            last_used_at: None,
        };
        let tenant = TenantId::new("acme").unwrap();
        let found = FoundKey { tenant, key, digest: KeyDigest([0; 32]) };
        holder(found, Rules::default(), &Roles::default())
    }

    #[test]
    fn a_key_is_as_good_as_a_token_with_its_roles_and_scopes() {
        let who = of(&["reader"], &["workflows:echo:run"]);
        assert_eq!(who.tenant.as_str(), "acme");
        assert_eq!(who.user.as_ref().unwrap().as_str(), "robot");
        assert_eq!(who.standing, Standing::Member);
        assert!(who.holds(Right::new("sessions:read")));
        assert!(who.holds(Right::new("workflows:run").on("echo")));
        assert!(!who.holds(Right::new("workflows:run")));
        // A factory is told what stands in the key.
        assert_eq!(who.trusted.scopes, ["workflows:echo:run".to_owned()].into());
        assert_eq!(Value::from(who.trusted.claims), json!({ "sub": "robot", "roles": ["reader"] }));
    }

    #[test]
    fn a_key_may_be_an_admins_and_is_never_the_operators() {
        assert_eq!(of(&["operator"], &[]).standing, Standing::Admin);
        assert_eq!(of(&[], &["agent_os:admin"]).standing, Standing::Admin);
        // However it came into the store.
        assert_eq!(of(&[], &["stepmill:operator"]).standing, Standing::Member);
    }
}
