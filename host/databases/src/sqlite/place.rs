//! Where a SQLite database is: one file, or a file for each tenant.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use stepmill_core::ids::TenantId;

use crate::opening::OpenFault;

/// In a URL, what stands for the tenant.
const TENANT: &str = "{tenant}";

/// The most bytes of a tenant's part of a file's name; file systems allow 255 for all of it.
const NAME_BYTES: usize = 180;

#[derive(Debug)]
pub(super) enum Place {
    /// Only read.
    Shared(PathBuf),
    /// The tenant's name stands between these.
    EachTenant { folder: PathBuf, before: String, after: String },
}

impl Place {
    pub(super) fn of(url: &str) -> Result<Self, OpenFault> {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        if path.is_empty() || path.contains(['?', ':']) {
            return Err(OpenFault::setting("url", "has to be sqlite: and a file, without more"));
        }
        let Some((before, after)) = path.split_once(TENANT) else {
            return Ok(Self::Shared(path.into()));
        };
        let (folder, before) = before.rsplit_once('/').unwrap_or((".", before));
        if after.contains('/') || after.contains(TENANT) {
            return Err(OpenFault::setting("url", "names {tenant} once, in the name of the file"));
        }
        Ok(Self::EachTenant {
            folder: if folder.is_empty() { "/".into() } else { folder.into() },
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    pub(super) fn file(&self, tenant: &TenantId) -> PathBuf {
        match self {
            Self::Shared(file) => file.clone(),
            Self::EachTenant { folder, before, after } => {
                folder.join(format!("{before}{}{after}", encoded(tenant.as_str())))
            }
        }
    }
}

/// A name for each tenant, also where the file system does not tell `A` from `a`. What is too long
/// is a digest, behind a character that stands at the beginning of no other.
fn encoded(tenant: &str) -> String {
    let mut name = String::with_capacity(tenant.len());
    for byte in tenant.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() <= NAME_BYTES {
        return name;
    }
    Sha256::digest(tenant).iter().fold("~".to_owned(), |it, byte| format!("{it}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str, tenant: &str) -> String {
        let tenant = TenantId::new(tenant).unwrap();
        Place::of(url).unwrap().file(&tenant).display().to_string()
    }

    #[test]
    fn a_tenant_has_a_file_that_no_other_has() {
        let url = "sqlite:data/{tenant}.sqlite";
        assert_eq!(file(url, "acme"), "data/acme.sqlite");
        assert_eq!(file(url, "Acme"), "data/%41cme.sqlite");
        assert_eq!(file(url, "../acme"), "data/%2e%2e%2facme.sqlite");
        assert_eq!(file(url, "%41cme"), "data/%2541cme.sqlite");
        assert_eq!(file(url, "é"), "data/%c3%a9.sqlite");
        assert_eq!(file(url, &"É".repeat(64)).len(), "data/~.sqlite".len() + 64);
        assert_eq!(file("sqlite:///data/orders-{tenant}", "acme"), "/data/orders-acme");
        assert_eq!(file("sqlite:{tenant}", "acme"), "./acme");
        assert_eq!(file("sqlite:data/prices.sqlite", "acme"), "data/prices.sqlite");
    }

    #[test]
    fn a_url_that_could_mean_something_else_is_refused() {
        for url in [
            "sqlite:",
            "sqlite:a?mode=memory",
            "sqlite::memory:",
            "sqlite:{tenant}/a",
            "sqlite:{tenant}{tenant}",
        ] {
            assert!(Place::of(url).is_err(), "{url}");
        }
    }
}
