//! The audit log: who changed what may be done here, and who was not let do something.

use crate::ids::{KeyId, UserId};
use crate::time::Timestamp;

/// What somebody did, or was not let do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is its word")]
pub enum Action {
    PluginUpload,
    PluginDelete,
    PolicyPut,
    PolicyDelete,
    KeyCreate,
    KeyDelete,
    SecretPut,
    SecretDelete,
    SessionDelete,
    /// A request that ended in 401 or 403. The target is the method and the route, not what was
    /// asked for: a log of guesses would be as long as there are guesses.
    AccessDenied,
}

/// Each with the word it is stored and shown as. Words stay, whatever the code calls them.
const WORDS: [(Action, &str); 10] = [
    (Action::PluginUpload, "plugin.upload"),
    (Action::PluginDelete, "plugin.delete"),
    (Action::PolicyPut, "policy.put"),
    (Action::PolicyDelete, "policy.delete"),
    (Action::KeyCreate, "key.create"),
    (Action::KeyDelete, "key.delete"),
    (Action::SecretPut, "secret.put"),
    (Action::SecretDelete, "secret.delete"),
    (Action::SessionDelete, "session.delete"),
    (Action::AccessDenied, "access.denied"),
];

impl Action {
    /// The word it is stored and shown as.
    pub fn word(self) -> &'static str {
        let found = WORDS.iter().find(|(it, _)| *it == self);
        found.map_or("", |(_, word)| word)
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, it)| *it == word).map(|(it, _)| *it)
    }
}

/// Who did it. Neither a user nor a key: the host itself, or somebody it does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The subject of a token, or the user of a key.
    pub user: Option<UserId>,
    /// The API key that was shown.
    pub key: Option<KeyId>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// When; of several, the last.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To what: an id, or a route.
    pub target: String,
    /// What else is worth knowing, such as a digest. Nothing that a plugin or a caller wrote.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_one_word() {
        for (action, word) in WORDS {
            assert_eq!((action.word(), Action::parse(word)), (word, Some(action)));
        }
        assert_eq!(Action::parse("plugin"), None);
    }
}
