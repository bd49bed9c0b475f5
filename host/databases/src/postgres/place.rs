//! Where a PostgreSQL database is, and how it is spoken to: read off its URL.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::SecretString;
use url::{Host, Url};

use crate::opening::OpenFault;

pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: SecretString,
    pub(super) database: String,
    /// None speaks in the clear.
    pub(super) tls: Option<Tls>,
}

pub(super) struct Tls {
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
}

impl Place {
    pub(super) fn of(url: &str) -> Result<Self, OpenFault> {
        let bad = |rule| OpenFault::setting("url", rule);
        let url = Url::parse(url).map_err(|_| bad("is no URL"))?;
        // The host of a scheme that the URL standard does not know is taken as it is written.
        let host = url.host_str().filter(|it| !it.is_empty());
        let host = host.ok_or_else(|| bad("has to name a host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let part = |text: &str| decoded(text).ok_or_else(|| bad("has percents that are no text"));
        let database = part(url.path().trim_start_matches('/'))?;
        if url.username().is_empty() || database.is_empty() {
            return Err(bad("has to name a role and a database"));
        }
        Ok(Self {
            tls: tls(&url, &host)?,
            port: url.port().unwrap_or(5432),
            user: part(url.username())?,
            password: part(url.password().unwrap_or_default())?.into(),
            database,
            host,
        })
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|it| !it.contains('\0'))
}

/// What goes to another machine is encrypted, and the other side proves its name; who wants less
/// says so.
fn tls(url: &Url, host: &str) -> Result<Option<Tls>, OpenFault> {
    let bad = |rule| OpenFault::setting("url", rule);
    let is_here = host == "localhost"
        || matches!(Host::parse(host), Ok(Host::Ipv4(it)) if it.is_loopback())
        || host == "::1";
    let (mut encrypted, mut roots) = (!is_here, None);
    for (key, value) in url.query_pairs() {
        match (key.as_ref(), value.as_ref()) {
            ("sslmode", "disable") => encrypted = false,
            ("sslmode", "require" | "verify-ca" | "verify-full") => encrypted = true,
            ("sslmode", _) => return Err(bad("knows sslmode=disable and sslmode=verify-full")),
            ("sslrootcert", file) => roots = Some(file.to_owned()),
            _ => return Err(bad("knows the parameters sslmode and sslrootcert")),
        }
    }
    if !encrypted {
        return Ok(None);
    }
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| bad("names a host that no certificate is for"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| bad("needs a protocol version that is not there"))?;
    let builder = match roots {
        Some(file) => builder.with_root_certificates(certificates(&file)?),
        None => builder
            .with_platform_verifier()
            .map_err(|_| bad("needs the certificates of this machine, which are not there"))?,
    };
    Ok(Some(Tls { name, config: Arc::new(builder.with_no_client_auth()) }))
}

fn certificates(file: &str) -> Result<RootCertStore, OpenFault> {
    let bad = || OpenFault::setting("url", "names an sslrootcert that is no file of certificates");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|_| bad())? {
        store.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if store.is_empty() { Err(bad()) } else { Ok(store) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_url_says_where_and_who() {
        let place = Place::of("postgres://app%40x:p%20w@127.0.0.1:6000/shop").unwrap();
        assert_eq!((place.host.as_str(), place.port), ("127.0.0.1", 6000));
        assert_eq!((place.user.as_str(), place.database.as_str()), ("app@x", "shop"));
        assert_eq!(place.password.expose_secret(), "p w");
        assert!(place.tls.is_none());
    }

    #[test]
    fn what_goes_to_another_machine_is_encrypted_unless_said_otherwise() {
        let encrypted = |url: &str| Place::of(url).unwrap().tls.is_some();
        assert!(encrypted("postgres://a@db.example.com/shop"));
        assert!(encrypted("postgres://a@localhost/shop?sslmode=verify-full"));
        assert!(!encrypted("postgres://a@db.example.com/shop?sslmode=disable"));
        assert!(!encrypted("postgresql://a@[::1]/shop"));
    }

    #[test]
    fn a_url_that_is_not_whole_is_refused() {
        for url in [
            "postgres:",
            "postgres:///shop",
            "postgres://db/shop",
            "postgres://a@db",
            "postgres://a@db/shop?sslmode=prefer",
            "postgres://a@db/shop?options=-c%20role=x",
            "postgres://a%ff@db/shop",
        ] {
            assert!(Place::of(url).is_err(), "{url}");
        }
    }
}
