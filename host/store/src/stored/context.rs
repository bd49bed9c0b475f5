//! The stored form of a request context.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::ids::{SessionId, TenantId, UserId};
use stepmill_core::principal::TrustedClaims;

use super::{V1, check_depth, parse, text};
use crate::error::StoreError;

const WHAT: &str = "a request context";

#[derive(Serialize, Deserialize)]
pub(super) struct ContextForm<'a> {
    v: V1,
    tenant: Cow<'a, str>,
    user: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
    input: Option<Cow<'a, Map<String, Value>>>,
    request: RequestForm<'a>,
    trusted: TrustedForm<'a>,
}

#[derive(Serialize, Deserialize)]
struct RequestForm<'a> {
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    headers: Cow<'a, [(String, String)]>,
}

#[derive(Serialize, Deserialize)]
struct TrustedForm<'a> {
    claims: Cow<'a, Map<String, Value>>,
    scopes: Vec<Cow<'a, str>>,
}

pub(crate) fn write(context: &RequestContext) -> Result<String, StoreError> {
    check_depth(context.input.as_ref())?;
    check_depth(Some(&context.trusted.claims))?;
    Ok(text(&form(context)))
}

pub(super) fn form(context: &RequestContext) -> ContextForm<'_> {
    ContextForm {
        v: V1,
        tenant: context.tenant.as_str().into(),
        user: context.user.as_ref().map(|it| it.as_str().into()),
        session: context.session.as_ref().map(|it| it.as_str().into()),
        input: context.input.as_ref().map(Cow::Borrowed),
        request: RequestForm {
            method: context.request.method.as_str().into(),
            path: context.request.path.as_str().into(),
            headers: context.request.headers.as_slice().into(),
        },
        trusted: TrustedForm {
            claims: Cow::Borrowed(&context.trusted.claims),
            scopes: context.trusted.scopes.iter().map(|it| it.as_str().into()).collect(),
        },
    }
}

pub(crate) fn read(text: &str) -> Result<RequestContext, StoreError> {
    let form: ContextForm<'static> = parse(WHAT, text)?;
    let unreadable = |what: &str| StoreError::unreadable(format!("{WHAT}'s {what}"));
    let user = form.user.map(UserId::new).transpose();
    let session = form.session.map(SessionId::new).transpose();
    Ok(RequestContext {
        user: user.map_err(|_| unreadable("user"))?,
        session: session.map_err(|_| unreadable("session"))?,
        input: form.input.map(Cow::into_owned),
        request: RequestFacts {
            method: form.request.method.into_owned(),
            path: form.request.path.into_owned(),
            headers: form.request.headers.into_owned(),
        },
        tenant: TenantId::new(form.tenant).map_err(|_| unreadable("tenant"))?,
        trusted: TrustedClaims {
            claims: form.trusted.claims.into_owned(),
            scopes: form.trusted.scopes.into_iter().map(Cow::into_owned).collect(),
        },
    })
}
