//! Doors for the fuzzers in `tests/fuzz`: what guests and uploads meet first, without a guest.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use arbitrary::Unstructured;
use stepmill_core::call::FunctionAnswer;
use stepmill_core::graph::GraphDraft;
use stepmill_core::plugin::Description;

use crate::call::{CallSite, CallState};
use crate::capability::database::DatabaseView;
use crate::capability::http::HttpView;
use crate::capability::kv::KeyValueView;
use crate::capability::log::LogView;
use crate::capability::secrets::SecretView;
use crate::describe;
use crate::failure::CallFailure;
use crate::load::LoadFailure;
use crate::settings::{CallLimits, LoadLimits};
use crate::text::{cut, log_line};
use crate::wit::newest::stepmill::plugin as wit;
use crate::wit::{Refusal, lifted};
use wit::database::Host as _;
use wit::http::Host as _;
use wit::kv::Host as _;
use wit::log::Host as _;
use wit::secrets::Host as _;

/// Reads a component as an upload is read before it is compiled.
///
/// # Errors
/// As for uploads.
pub fn scan(component: &[u8], limits: &LoadLimits) -> Result<(), LoadFailure> {
    crate::scan::scan(component, limits)
}

/// What the host makes of a drawn answer of `describe`.
///
/// # Errors
/// The bytes are used up.
pub fn describe(
    from: &mut Unstructured<'_>,
    limits: &LoadLimits,
) -> arbitrary::Result<Result<Description, LoadFailure>> {
    Ok(describe::check(lifted::describe(from)?, limits))
}

/// What the host makes of a drawn answer of `build`: a draft, or the refusal as it is told.
///
/// # Errors
/// The bytes are used up.
pub fn build(
    from: &mut Unstructured<'_>,
    limits: &CallLimits,
) -> arbitrary::Result<Result<GraphDraft, String>> {
    Ok(lifted::build(from)?.map_err(|refusal| match refusal {
        Refusal::Permission(text) | Refusal::Validation(text) | Refusal::Other(text) => {
            cut(&text, limits.refusal_bytes).to_owned()
        }
    }))
}

/// What the host makes of a drawn answer of `run`.
///
/// # Errors
/// The bytes are used up.
pub fn run(from: &mut Unstructured<'_>) -> arbitrary::Result<Result<FunctionAnswer, CallFailure>> {
    lifted::run(from)
}

/// A guest's line as it is written into the log.
pub fn line(text: &str, limits: &CallLimits) -> String {
    log_line(text, limits.log_line_bytes)
}

/// The host as one call of a guest meets it. What gets through arrives at the site's services.
pub struct Host(CallState);

impl Host {
    /// A fresh call.
    pub fn new(site: CallSite, limits: &CallLimits) -> Self {
        Self(CallState::new(site, limits))
    }

    /// `http.fetch`: whether there was an answer.
    pub fn fetch(
        &mut self,
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Option<Vec<u8>>,
    ) -> bool {
        let headers = headers.into_iter().map(|(name, value)| wit::types::Header { name, value });
        let request = wit::http::HttpRequest { method, url, headers: headers.collect(), body };
        at_once(HttpView::of(&mut self.0).fetch(request)).is_ok_and(|it| it.is_ok())
    }

    /// `secrets.get`: the placeholder, if there is one.
    pub fn secret(&mut self, name: String) -> Option<String> {
        at_once(SecretView::of(&mut self.0).get(name)).ok()?.ok()
    }

    /// A drawn call of `kv`, `log`, `database` or `secrets`.
    ///
    /// # Errors
    /// The bytes are used up.
    pub fn call(&mut self, from: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let state = &mut self.0;
        match from.int_in_range(0..=6)? {
            0 => {
                let key = lifted::text(from)?;
                let _ = at_once(KeyValueView::of(state).get(key));
            }
            1 => {
                let (key, value) = (lifted::text(from)?, lifted::text(from)?);
                let _ = at_once(KeyValueView::of(state).set(key, value.into_bytes()));
            }
            2 => {
                let key = lifted::text(from)?;
                let _ = at_once(KeyValueView::of(state).delete(key));
            }
            3 => {
                let text = lifted::text(from)?;
                let _ = LogView::of(state).write(wit::log::Level::Info, text);
            }
            4 => {
                let (database, text) = (lifted::text(from)?, lifted::text(from)?);
                let parameters = lifted::list(from, lifted::value)?;
                let _ = at_once(DatabaseView::of(state).query(database, text, parameters));
            }
            5 => {
                let (database, text) = (lifted::text(from)?, lifted::text(from)?);
                let parameters = lifted::list(from, lifted::value)?;
                let _ = at_once(DatabaseView::of(state).execute(database, text, parameters));
            }
            _ => {
                self.secret(lifted::text(from)?);
            }
        }
        Ok(())
    }
}

/// The fuzzers' services answer without waiting.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a service waits for something"),
    }
}
