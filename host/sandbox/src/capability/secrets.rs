//! `secrets`: placeholders for what a guest may send and never see.

use std::sync::Arc;
use std::time::Instant;

use stepmill_core::capability::Grants;
use stepmill_core::ids::SecretName;
use wasmtime::component::HasData;

use super::outgoing::Outgoing;
use crate::call::CallState;
use crate::meter::Meter;
use crate::services::{Secrets, SecretsDown};
use crate::wit::newest::stepmill::plugin::secrets as wit;
use crate::wit::newest::stepmill::plugin::secrets::SecretError;

pub(crate) struct Secret;

impl HasData for Secret {
    type Data<'a> = SecretView<'a>;
}

pub(crate) struct SecretView<'a> {
    meter: &'a mut Meter,
    grants: &'a Grants,
    outgoing: &'a mut Outgoing,
    secrets: Option<&'a Arc<dyn Secrets>>,
}

impl SecretView<'_> {
    pub(crate) fn of(state: &mut CallState) -> SecretView<'_> {
        SecretView {
            meter: &mut state.meter,
            grants: &state.site.grants,
            outgoing: &mut state.outgoing,
            secrets: state.site.secrets.as_ref(),
        }
    }
}

impl wit::Host for SecretView<'_> {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, SecretError>> {
        self.meter.host_call()?;
        let Some(secrets) = self.secrets.cloned() else { return Ok(Err(SecretError::NotGranted)) };
        // What is no name was granted to nobody.
        let Some(name) = SecretName::new(name).ok().filter(|it| self.grants.secret(it)) else {
            return Ok(Err(SecretError::NotGranted));
        };
        let began = Instant::now();
        let wanted = name.clone();
        let find = async move { secrets.secret_find(&wanted).await };
        let found = self.meter.pace.at_home(find).await.unwrap_or(Err(SecretsDown));
        self.meter.note_wait(began.elapsed());
        Ok(match found {
            Ok(true) => Ok(self.outgoing.placeholder(&name)),
            Ok(false) => Err(SecretError::Unknown),
            Err(SecretsDown) => Err(SecretError::Unavailable),
        })
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::capability::Capability;
    use wit::Host;

    use super::super::http::HttpView;
    use super::super::testing::{Noting, state};
    use super::*;
    use crate::settings::CallLimits;
    use crate::wit::newest::stepmill::plugin::http::{Header, Host as _, HttpError, HttpRequest};

    fn granted() -> (CallState, std::sync::Arc<Noting>) {
        let words = ["secret:key", "secret:none", "secret:down", "http:*.example.com"];
        state(&words.map(|it| Capability::parse(it).unwrap()), CallLimits::default())
    }

    async fn get(state: &mut CallState, name: &str) -> Result<String, SecretError> {
        SecretView::of(state).get(name.to_owned()).await.unwrap()
    }

    fn request(header: (&str, &str)) -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            url: "https://a.example.com/".to_owned(),
            headers: vec![Header { name: header.0.to_owned(), value: header.1.to_owned() }],
            body: None,
        }
    }

    async fn send(state: &mut CallState, request: HttpRequest) -> Result<(), HttpError> {
        HttpView::of(state).fetch(request).await.unwrap().map(drop)
    }

    #[tokio::test]
    async fn a_granted_secret_is_a_placeholder_of_this_call() {
        let (mut state, _) = granted();
        let first = get(&mut state, "key").await.unwrap();
        assert_eq!(get(&mut state, "key").await.unwrap(), first);
        assert_eq!(first.len(), "stepmill-secret-".len() + 32);
        let (mut other, _) = granted();
        assert_ne!(get(&mut other, "key").await.unwrap(), first);
    }

    #[tokio::test]
    async fn what_is_not_granted_is_not_looked_for() {
        let (mut state, services) = granted();
        for name in ["other", "KEY", ""] {
            assert!(matches!(get(&mut state, name).await, Err(SecretError::NotGranted)), "{name}");
        }
        let (mut bare, _) = super::super::testing::state(&[], CallLimits::default());
        assert!(matches!(get(&mut bare, "key").await, Err(SecretError::NotGranted)));
        assert!(services.0.lock().unwrap().is_empty());
        assert!(matches!(get(&mut state, "none").await, Err(SecretError::Unknown)));
        assert!(matches!(get(&mut state, "down").await, Err(SecretError::Unavailable)));
    }

    #[tokio::test]
    async fn a_placeholder_stands_in_header_values_only() {
        let (mut state, services) = granted();
        let key = get(&mut state, "key").await.unwrap();
        services.0.lock().unwrap().clear();
        let in_url = format!("https://a.example.com/?key={key}");
        for bad in [
            HttpRequest { url: in_url, ..request(("a", "b")) },
            HttpRequest { method: key.clone(), ..request(("a", "b")) },
            request((&key, "b")),
            request((&key.to_ascii_uppercase(), "b")),
        ] {
            assert!(matches!(send(&mut state, bad).await, Err(HttpError::Invalid(_))));
        }
        assert!(services.0.lock().unwrap().is_empty());
        send(&mut state, request(("authorization", &format!("Bearer {key}")))).await.unwrap();
    }

    #[tokio::test]
    async fn a_placeholder_of_another_call_is_refused_in_words() {
        let (mut state, _) = granted();
        let (mut other, _) = granted();
        let key = get(&mut other, "key").await.unwrap();
        let refused = send(&mut state, request(("authorization", &key))).await;
        let Err(HttpError::Invalid(text)) = refused else { panic!("it is refused") };
        assert_eq!(text, "a header holds a placeholder of another call");
    }
}
