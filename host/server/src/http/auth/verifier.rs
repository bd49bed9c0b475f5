//! Tokens of one issuer: from their text to the principal they speak for.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation, decode_header};
use serde_json::Value;
use stepmill_core::ids::{SessionId, TenantId, UserId};
use stepmill_core::principal::{Principal, Rules, Standing, TrustedClaims};
use stepmill_core::role::Roles;
use stepmill_core::scope::ADMIN;

use super::keys::{Ask, Claims, Keys, validations};
use super::refusal::Refusal;
use super::{AuthFault, default_tenant};
use crate::settings::IssuerSettings;

/// What `typ` a token may say of itself. A signed text of another kind, such as a notice that
/// somebody logged out, is no token of access (RFC 8725, 3.11).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// What the tokens of one issuer have to be like.
pub(super) struct Verifier {
    issuer: Option<String>,
    tenants: Option<BTreeSet<TenantId>>,
    keys: Keys,
    validations: Vec<Validation>,
    names: Names,
    pub(super) admin_scope: String,
    operator_scope: Option<String>,
    rules: Rules,
    roles: Arc<Roles>,
}

/// Which claim says what.
struct Names {
    user: String,
    tenant: String,
    session: String,
    scopes: String,
    roles: String,
    dependencies: Vec<String>,
    session_state: Vec<String>,
}

impl Verifier {
    pub(super) fn of(
        settings: &IssuerSettings,
        rules: Rules,
        roles: Arc<Roles>,
    ) -> Result<Self, AuthFault> {
        Ok(Self {
            issuer: settings.issuer.clone(),
            tenants: settings.tenants.clone(),
            keys: Keys::of(settings)?,
            validations: validations(settings),
            names: Names {
                user: settings.user_claim.clone(),
                tenant: settings.tenant_claim.clone(),
                session: settings.session_claim.clone(),
                scopes: settings.scopes_claim.clone(),
                roles: settings.roles_claim.clone(),
                dependencies: settings.dependencies_claims.clone(),
                session_state: settings.session_state_claims.clone(),
            },
            admin_scope: settings.admin_scope.clone(),
            operator_scope: settings.operator_scope.clone(),
            rules,
            roles,
        })
    }

    /// What its tokens call it. None: it takes tokens of any name.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Who a token speaks for.
    pub(super) async fn principal(&self, token: &str) -> Result<Principal, Refusal> {
        let header = header(token)?;
        let fits = |it: &&Validation| it.algorithms.contains(&header.alg);
        let validation = self.validations.iter().find(fits).ok_or_else(algorithm)?;
        let ask = Ask { token, header: &header, validation };
        self.read(self.keys.verify(&ask).await?)
    }

    /// Reads verified claims. What names somebody is a text, or the token is refused.
    fn read(&self, claims: Claims) -> Result<Principal, Refusal> {
        let names = &self.names;
        // The library takes a list with the right name in it as well.
        if self.issuer.is_some() && claims.get("iss").and_then(Value::as_str) != self.issuer() {
            return Err(Refusal::issuer());
        }
        let no_text = || Refusal::Token("Subject must be a string".into());
        let user = match claims.get(&names.user) {
            None => None,
            Some(it) => Some(it.as_str().ok_or_else(no_text)?),
        };
        let user = user.map(|it| UserId::new(it).map_err(|_| Refusal::Subject)).transpose()?;
        if user.as_ref().is_some_and(UserId::is_reserved) {
            return Err(Refusal::Subject);
        }
        let tenant = text(&claims, &names.tenant, Refusal::Tenant)?;
        let tenant = tenant.map(|it| TenantId::new(it).map_err(|_| Refusal::Tenant)).transpose()?;
        let tenant = tenant.unwrap_or_else(default_tenant);
        if self.tenants.as_ref().is_some_and(|it| !it.contains(&tenant)) {
            return Err(Refusal::Tenant);
        }
        let session = text(&claims, &names.session, Refusal::Session)?;
        let session = session.map(|it| SessionId::new(it).map_err(|_| Refusal::Session));
        let session = session.transpose()?;
        let scopes = texts(claims.get(&names.scopes));
        let of_roles = self.roles.scopes(&texts(claims.get(&names.roles)));
        let standing = self.standing(&scopes, &of_roles);
        Ok(Principal {
            tenant,
            user,
            held: &scopes | &of_roles,
            standing,
            key: None,
            rules: self.rules,
            session,
            dependencies: picked(&claims, &names.dependencies),
            session_state: picked(&claims, &names.session_state),
            trusted: TrustedClaims { claims, scopes },
        })
    }

    /// The operator's scope outweighs the admin's. No role makes an operator.
    fn standing(&self, scopes: &BTreeSet<String>, of_roles: &BTreeSet<String>) -> Standing {
        if self.operator_scope.as_ref().is_some_and(|it| scopes.contains(it)) {
            Standing::Operator
        } else if scopes.contains(&self.admin_scope) || of_roles.contains(ADMIN) {
            Standing::Admin
        } else {
            Standing::Member
        }
    }
}

/// The part of a token that says how it is signed. Until a key has verified it, it is only what
/// somebody wrote; a token that brings its own key is refused, whatever the key says.
fn header(token: &str) -> Result<Header, Refusal> {
    let refuse = |text: &str| Refusal::Token(text.to_owned());
    if token.split('.').count() != 3 {
        return Err(refuse("Not enough segments"));
    }
    let header = decode_header(token).map_err(|fault| match fault.kind() {
        // An algorithm nobody knows does not even parse.
        ErrorKind::Json(_) => algorithm(),
        ErrorKind::Base64(_) => refuse("Invalid header padding"),
        _ => refuse("Malformed"),
    })?;
    let brings_key =
        [&header.jku, &header.x5u].iter().any(|it| it.is_some()) || header.jwk.is_some();
    if brings_key || header.x5c.is_some() {
        return Err(refuse("A token does not bring its own key"));
    }
    if header.crit.is_some() {
        return Err(refuse("Unsupported critical extension"));
    }
    let is_access = |it: &String| TYPES.iter().any(|known| it.eq_ignore_ascii_case(known));
    if !header.typ.as_ref().is_none_or(is_access) {
        return Err(refuse("Wrong type"));
    }
    Ok(header)
}

fn algorithm() -> Refusal {
    Refusal::Token("The specified alg value is not allowed".into())
}

/// A claim that is a text or not there.
fn text<'a>(claims: &'a Claims, name: &str, fault: Refusal) -> Result<Option<&'a str>, Refusal> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(it)) => Ok(Some(it)),
        Some(_) => Err(fault),
    }
}

/// Those of the named claims that the token has; `None` if it has none of them.
fn picked(claims: &Claims, names: &[String]) -> Option<Claims> {
    let found = names.iter().filter_map(|it| Some((it.clone(), claims.get(it)?.clone())));
    Some(found.collect::<Claims>()).filter(|it| !it.is_empty())
}

/// A list of texts, or one text as a list of one. A list of other things as well says nothing.
fn texts(claim: Option<&Value>) -> BTreeSet<String> {
    match claim {
        Some(Value::String(it)) => [it.clone()].into(),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|it| it.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().unwrap_or_default()
        }
        _ => BTreeSet::new(),
    }
}
