//! What stands between tenants in a PostgreSQL database, looked at before anybody is let in.

use std::collections::BTreeSet;

use stepmill_core::database::Value;

use super::proof::TenantKey;
use super::session::{Session, Trouble};
use crate::opening::OpenFault;
use crate::settings::{Caps, DatabaseSettings};

/// As many ways out as anybody reads at once.
const MOST_TOLD: usize = 20;

/// How a database keeps tenants apart.
pub(super) enum Walls {
    /// By row-level security; the key proves to it which tenant a statement is for.
    Rows { key: TenantKey, common: BTreeSet<String> },
    /// Not at all: the operator says that everybody may see and do the same.
    None { common: BTreeSet<String> },
}

impl Walls {
    pub(super) fn of(settings: &DatabaseSettings) -> Result<Self, OpenFault> {
        let common = settings.common.clone();
        match (&settings.tenant_key, settings.shared) {
            (Some(key), false) => Ok(Self::Rows { key: TenantKey::of(key.clone())?, common }),
            (None, true) => Ok(Self::None { common }),
            _ => Err(OpenFault::setting(
                "tenant_key and shared",
                "are one or the other: a key keeps tenants apart, `shared = true` says that \
                 nothing has to",
            )),
        }
    }

    /// Looks for every way around the walls, in a new session.
    pub(super) async fn check(&self, session: &mut Session, caps: &Caps) -> Result<(), OpenFault> {
        let found = session.read(include_str!("walls.sql")).await.map_err(fault)?;
        let ways: Vec<_> = found.iter().filter_map(|it| self.way(it)).collect();
        if !ways.is_empty() {
            let more = ways.len().saturating_sub(MOST_TOLD);
            let more = (0 < more).then(|| format!("- and {more} more"));
            return Err(OpenFault::Unsafe(ways.into_iter().take(MOST_TOLD).chain(more).collect()));
        }
        match self {
            Self::None { .. } => Ok(()),
            Self::Rows { key, .. } => match key.try_out(session, caps).await.map_err(fault)? {
                true => Ok(()),
                false => Err(OpenFault::OtherKey),
            },
        }
    }

    /// A line of the complaint, unless the operator knows of it.
    fn way(&self, row: &[Value]) -> Option<String> {
        let (Self::Rows { common, .. } | Self::None { common }) = self;
        let [name, Value::Text(between_tenants), Value::Text(text)] = row else {
            return Some("- its catalog says what this host does not understand".to_owned());
        };
        if between_tenants == "true" && matches!(self, Self::None { .. }) {
            return None;
        }
        match name {
            Value::Text(name) if common.contains(name) => None,
            Value::Text(name) => Some(format!("- {name} {text}")),
            _ => Some(format!("- {text}")),
        }
    }
}

/// Why a session does not come about.
pub(super) fn fault(trouble: Trouble) -> OpenFault {
    use super::line::Broken;
    match trouble {
        Trouble::Refused(refusal) => OpenFault::Refused(refusal.code),
        Trouble::Broken(Broken::Io(fault)) => OpenFault::Unreachable(fault),
        Trouble::Broken(Broken::TooLarge) | Trouble::Guest(_) => {
            OpenFault::Unreachable(std::io::Error::other("its answer is too large"))
        }
    }
}
