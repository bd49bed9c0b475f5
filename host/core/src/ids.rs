//! Ids: each thing that can be named has a type of its own.

use std::fmt;

use uuid::Uuid;

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdFault {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// More than the kind's `MAX_BYTES`.
    #[error("must not be longer than {0} bytes")]
    TooLong(usize),
    /// A character the kind does not allow.
    #[error("must not contain {0:?}")]
    Character(char),
    /// Not a UUID.
    #[error("must be a UUID")]
    NotUuid,
}

fn check_text(text: &str, max: usize, allowed: fn(char) -> bool) -> Result<(), IdFault> {
    if text.is_empty() {
        return Err(IdFault::Empty);
    }
    if max < text.len() {
        return Err(IdFault::TooLong(max));
    }
    match text.chars().find(|&it| !allowed(it)) {
        Some(it) => Err(IdFault::Character(it)),
        None => Ok(()),
    }
}

/// Addressable in a URL path without escaping.
fn is_slug(it: char) -> bool {
    it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-' || it == '_'
}

/// What identity providers and clients put into their ids: anything one can see.
fn is_visible(it: char) -> bool {
    !it.is_control()
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident, $max:literal, $allowed:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most bytes such an id has.
            pub const MAX_BYTES: usize = $max;

            /// Checks the text once; the type is the proof.
            ///
            /// # Errors
            /// Empty, too long, or a character that this kind of id does not allow.
            pub fn new(text: impl Into<String>) -> Result<Self, IdFault> {
                let text = text.into();
                check_text(&text, Self::MAX_BYTES, $allowed)?;
                Ok(Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    )*};
}

text_ids! {
    /// One customer's walled garden. Every stored row belongs to exactly one.
    TenantId, 128, is_visible;
    /// What a workflow is called in the API. A factory's plugin has the id of its workflow.
    WorkflowId, 64, is_slug;
    /// What a session is made for: a workflow by its id, or whatever a client says it is for.
    ComponentId, 256, is_visible;
    /// A conversation that runs belong to. Chosen by the client or made by the host.
    SessionId, 256, is_visible;
    /// What a secret is called, by plugins and by those who keep it.
    SecretName, 64, is_slug;
    /// A person or program inside a tenant: the subject of a token.
    UserId, 256, is_visible;
    /// A database of the operator's applications, by the name the operator gave it.
    DatabaseName, 64, is_slug;
}

/// One journey of one input through one graph.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

impl RunId {
    /// Wraps a UUID that the caller made; this crate has no randomness.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads the printed form.
    ///
    /// # Errors
    /// The text is not a UUID.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        Uuid::try_parse(text).map(Self).map_err(|_| IdFault::NotUuid)
    }

    /// The UUID itself.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// An id of something inside this run. The same words give the same id, so a replayed
    /// run names its parts as the first one did.
    pub fn part(self, words: &str) -> Uuid {
        Uuid::new_v5(&self.0, words.as_bytes())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({})", self.0)
    }
}

/// One API key. It is a part of the key's text, and no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Uuid);

impl KeyId {
    /// Wraps a UUID that the caller made; this crate has no randomness.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads the printed form, and no other one of the same id.
    ///
    /// # Errors
    /// The text is not 32 lower case hex digits.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| IdFault::NotUuid)?;
        if id.to_string() == text { Ok(id) } else { Err(IdFault::NotUuid) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl UserId {
    /// Whether it is one of the names that belong to the host itself.
    pub fn is_reserved(&self) -> bool {
        self.0 == "__scheduler__" || self.0.starts_with("sa:") || self.0.starts_with("__oauth__:")
    }
}

/// SHA-256 of a component's bytes: which code exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a SHA-256.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 lower case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_id_fits_in_a_url() {
        assert!(WorkflowId::new("content-pipeline_2").is_ok());
        assert_eq!(WorkflowId::new("a/b"), Err(IdFault::Character('/')));
        assert_eq!(WorkflowId::new("Ä"), Err(IdFault::Character('Ä')));
        assert_eq!(WorkflowId::new(""), Err(IdFault::Empty));
        assert_eq!(WorkflowId::new("x".repeat(65)), Err(IdFault::TooLong(64)));
    }

    #[test]
    fn a_user_id_is_what_identity_providers_make_of_it() {
        assert!(UserId::new("auth0|62f|Zoë <z@example.com>").is_ok());
        assert_eq!(UserId::new("a\nb"), Err(IdFault::Character('\n')));
    }

    #[test]
    fn a_key_id_has_one_form() {
        let id = KeyId::from_uuid(Uuid::from_u128(0xab));
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(KeyId::parse(&id.to_string()), Ok(id));
        for other in [
            "000000000000000000000000000000AB",
            "00000000-0000-0000-0000-0000000000ab",
            "{00000000-0000-0000-0000-0000000000ab}",
            "ab",
            "",
        ] {
            assert_eq!(KeyId::parse(other), Err(IdFault::NotUuid), "{other}");
        }
    }

    #[test]
    fn some_names_are_the_hosts_own() {
        for name in ["__scheduler__", "sa:robot", "__oauth__:client"] {
            assert!(UserId::new(name).unwrap().is_reserved(), "{name}");
        }
        for name in ["ada", "sam", "scheduler"] {
            assert!(!UserId::new(name).unwrap().is_reserved(), "{name}");
        }
    }

    #[test]
    fn a_digest_reads_what_it_prints() {
        let digest = Digest::from_bytes(std::array::from_fn(|it| it as u8 * 7));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("00"), None);
        assert_eq!(Digest::parse(&"G".repeat(64)), None);
    }

    #[test]
    fn parts_of_a_run_keep_their_ids() {
        let run = RunId::from_uuid(Uuid::from_u128(7));
        assert_eq!(run.part("step/0"), run.part("step/0"));
        assert_ne!(run.part("step/0"), run.part("step/1"));
    }
}
