//! The vault: seals secrets for the database and opens them again.
//!
//! AES-256-GCM with a random nonce for each sealing. Owner, name and places are sealed along, so
//! that a row which somebody swaps, renames or gives another destination in the database does not
//! open any more.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use stepmill_core::capability::HttpRule;
use stepmill_core::ids::{SecretName, TenantId};
use tempfile::NamedTempFile;

/// A key of AES-256.
const KEY_BYTES: usize = 32;

/// So that what is sealed here is nothing that another part of the house would open.
const PURPOSE: &str = "stepmill secret 1";

/// A key that seals secrets, and what it is called in rows.
pub struct MasterKey {
    id: String,
    cipher: RandomizedNonceKey,
}

impl MasterKey {
    /// Reads 32 bytes, written in base64 or in hex. None if the text is something else.
    pub fn read(text: &SecretString) -> Option<Self> {
        let text = text.expose_secret().trim();
        let bytes = Zeroizing::new(from_hex(text).or_else(|| from_base64(text))?);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?;
        let mut digest = Sha256::new();
        digest.update(b"stepmill key id");
        digest.update(&*bytes);
        let id = digest.finalize().iter().take(8).map(|it| format!("{it:02x}")).collect();
        Some(Self { id, cipher })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = (0..KEY_BYTES).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok());
    pairs.collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let any = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |it: &Alphabet| GeneralPurpose::new(it, any).decode(text).ok();
    decode(&STANDARD).or_else(|| decode(&URL_SAFE)).filter(|it| it.len() == KEY_BYTES)
}

/// Where the key comes from that seals.
#[derive(Clone)]
pub enum KeySource {
    /// The operator gave it.
    Given(Arc<MasterKey>),
    /// This file, which is made when the first secret is sealed.
    File(PathBuf),
}

/// What a secret is, besides its value.
#[derive(Clone, Copy)]
pub(super) struct Label<'a> {
    /// Whose; none: the operator's.
    pub(super) owner: Option<&'a TenantId>,
    pub(super) name: &'a SecretName,
    pub(super) places: &'a [HttpRule],
}

impl Label<'_> {
    /// Each part with its length, so that no two labels are written alike.
    fn bytes(&self) -> Vec<u8> {
        let owner = self.owner.map_or("", TenantId::as_str);
        let places: Vec<_> = self.places.iter().map(ToString::to_string).collect();
        let heads = [PURPOSE, owner, self.name.as_str()];
        let parts = heads.into_iter().chain(places.iter().map(String::as_str));
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// A value that nobody can read, and which key can.
pub(super) struct Sealed {
    pub(super) key_id: String,
    pub(super) bytes: Vec<u8>,
}

/// Why a secret cannot be sealed or opened. No text holds anything of a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultFault {
    /// The file with the key.
    #[error("the key for secrets, {}, cannot be read or made", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold the 32 bytes of a key, in base64 or hex", .0.display())]
    NoKey(PathBuf),
    /// Sealed by a key that is not here.
    #[error("the secret was sealed by the key {0}, which is not here")]
    KeyMissing(String),
    /// What is stored is not what was sealed.
    #[error("the stored secret was altered, or moved from another place")]
    Altered,
    /// The cipher failed.
    #[error("the secret could not be sealed")]
    Cipher,
}

/// The keys.
pub(crate) struct Vault {
    source: KeySource,
    old: Vec<Arc<MasterKey>>,
    /// The key of the file, once it was read or made.
    filed: Mutex<Option<Arc<MasterKey>>>,
}

impl Vault {
    /// Takes the keys. Nothing is read yet: a host without secrets needs no key.
    pub(crate) fn new(source: KeySource, old: Vec<Arc<MasterKey>>) -> Self {
        Self { source, old, filed: Mutex::new(None) }
    }

    /// What the sealing key is called; empty as long as there is none.
    pub(super) fn key_id(&self) -> Result<String, VaultFault> {
        Ok(self.current()?.map(|it| it.id.clone()).unwrap_or_default())
    }

    /// Whether a key of this name is here.
    pub(super) fn has_key(&self, id: &str) -> bool {
        self.find(id).is_ok()
    }

    pub(super) fn seal(
        &self,
        label: Label<'_>,
        value: &SecretString,
    ) -> Result<Sealed, VaultFault> {
        let key = self.current_or_new()?;
        let mut bytes = value.expose_secret().as_bytes().to_vec();
        let aad = Aad::from(label.bytes());
        // In place: on the way out only the sealed text is left in the buffer.
        let nonce = key.cipher.seal_in_place_append_tag(aad, &mut bytes);
        let nonce = nonce.map_err(|_| VaultFault::Cipher)?;
        Ok(Sealed { key_id: key.id.clone(), bytes: [nonce.as_ref().as_slice(), &bytes].concat() })
    }

    pub(super) fn open(
        &self,
        label: Label<'_>,
        key_id: &str,
        sealed: &[u8],
    ) -> Result<SecretString, VaultFault> {
        let key = self.find(key_id)?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultFault::Altered)?;
        let mut text = Zeroizing::new(text.to_vec());
        let aad = Aad::from(label.bytes());
        let opened = key.cipher.open_in_place(Nonce::from(nonce), aad, &mut text);
        let opened = opened.map_err(|_| VaultFault::Altered)?;
        let value = std::str::from_utf8(opened).map_err(|_| VaultFault::Altered)?;
        Ok(value.into())
    }

    fn find(&self, id: &str) -> Result<Arc<MasterKey>, VaultFault> {
        let mut keys = self.current()?.into_iter().chain(self.old.iter().cloned());
        keys.find(|it| it.id == id).ok_or_else(|| VaultFault::KeyMissing(id.to_owned()))
    }

    fn current(&self) -> Result<Option<Arc<MasterKey>>, VaultFault> {
        let file = match &self.source {
            KeySource::Given(key) => return Ok(Some(key.clone())),
            KeySource::File(file) => file,
        };
        let mut filed = self.filed.lock().unwrap_or_else(PoisonError::into_inner);
        if filed.is_none() {
            *filed = read(file)?.map(Arc::new);
        }
        Ok(filed.clone())
    }

    fn current_or_new(&self) -> Result<Arc<MasterKey>, VaultFault> {
        if let KeySource::File(file) = &self.source
            && self.current()?.is_none()
        {
            make(file).map_err(|source| VaultFault::File { file: file.clone(), source })?;
            tracing::warn!("made a key for secrets, {}: without it they are lost", file.display());
        }
        self.current()?.ok_or(VaultFault::Cipher)
    }
}

/// The key in a file; none if there is no file.
fn read(file: &Path) -> Result<Option<MasterKey>, VaultFault> {
    match fs::read_to_string(file) {
        Ok(text) => {
            let key = MasterKey::read(&text.into());
            key.map(Some).ok_or_else(|| VaultFault::NoKey(file.to_owned()))
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(VaultFault::File { file: file.to_owned(), source }),
    }
}

/// Makes a file with a new key, for this user only: whole or not at all, and never over another.
fn make(file: &Path) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| io::Error::other("no random bytes"))?;
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(*bytes));
    let folder = file.parent().unwrap_or(Path::new("."));
    // A named temporary file is readable by this user only.
    let mut draft = NamedTempFile::new_in(folder)?;
    writeln!(draft, "{}", *text)?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<MasterKey> {
        MasterKey::read(&text.into())
    }

    fn given(byte: &str) -> Arc<MasterKey> {
        Arc::new(key(&byte.repeat(KEY_BYTES)).unwrap())
    }

    fn places(words: &[&str]) -> Vec<HttpRule> {
        words.iter().map(|it| HttpRule::new(it).unwrap()).collect()
    }

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    #[test]
    fn a_key_is_32_bytes_in_hex_or_base64() {
        let hex = "ff".repeat(32);
        let same = [hex.clone(), hex.to_uppercase(), format!("{}8=\n", "/".repeat(42))];
        for text in same.iter().chain([&format!("{}8", "_".repeat(42))]) {
            assert_eq!(key(text).unwrap().id, key(&hex).unwrap().id, "{text}");
        }
        for bad in ["", "hunter2", &"ff".repeat(31), &"fg".repeat(32), &"/".repeat(42)] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_sealed_opens_under_its_own_label_only() {
        let vault = Vault::new(KeySource::Given(given("01")), vec![]);
        let (acme, other) = (TenantId::new("acme").unwrap(), TenantId::new("acm").unwrap());
        let (a, places_a) = (name("a"), places(&["a.test", "b.test"]));
        let label = Label { owner: Some(&acme), name: &a, places: &places_a };
        let sealed = vault.seal(label, &"hunter2hunter2".into()).unwrap();
        let open = |label| vault.open(label, &sealed.key_id, &sealed.bytes);
        assert_eq!(open(label).unwrap().expose_secret(), "hunter2hunter2");
        assert!(!sealed.bytes.windows(7).any(|it| it == b"hunter2"));
        let again = vault.seal(label, &"hunter2hunter2".into()).unwrap();
        assert_ne!(again.bytes, sealed.bytes, "each sealing has its own nonce");

        let (ea, fewer, more) = (name("ea"), places(&["a.test"]), places(&["a.test", "evil.test"]));
        for wrong in [
            Label { owner: None, ..label },
            Label { owner: Some(&other), name: &ea, ..label },
            Label { name: &ea, ..label },
            Label { places: &fewer, ..label },
            Label { places: &more, ..label },
        ] {
            assert!(matches!(open(wrong), Err(VaultFault::Altered)));
        }
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            let opened = vault.open(label, &sealed.key_id, &bytes);
            assert!(matches!(opened, Err(VaultFault::Altered)), "{at}");
        }
        assert!(matches!(vault.open(label, &sealed.key_id, b"short"), Err(VaultFault::Altered)));
    }

    #[test]
    fn an_old_key_opens_and_the_new_one_seals() {
        let (a, none) = (name("a"), places(&["a.test"]));
        let label = Label { owner: None, name: &a, places: &none };
        let before = Vault::new(KeySource::Given(given("01")), vec![]);
        let sealed = before.seal(label, &"hunter2hunter2".into()).unwrap();
        let after = Vault::new(KeySource::Given(given("02")), vec![given("01")]);
        assert!(after.open(label, &sealed.key_id, &sealed.bytes).is_ok());
        assert_eq!(after.seal(label, &"x".into()).unwrap().key_id, given("02").id);
        let without = Vault::new(KeySource::Given(given("02")), vec![]);
        let lost = without.open(label, &sealed.key_id, &sealed.bytes);
        assert!(matches!(lost, Err(VaultFault::KeyMissing(id)) if id == given("01").id));
    }

    #[test]
    fn a_key_is_made_for_this_user_when_the_first_secret_is_sealed() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.key");
        let open = || Vault::new(KeySource::File(file.clone()), vec![]);
        let (a, none) = (name("a"), places(&["a.test"]));
        let label = Label { owner: None, name: &a, places: &none };
        assert_eq!(open().key_id().unwrap(), "");
        assert!(matches!(open().open(label, "k", b""), Err(VaultFault::KeyMissing(_))));
        assert!(!file.exists());
        let sealed = open().seal(label, &"hunter2hunter2".into()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(open().open(label, &sealed.key_id, &sealed.bytes).is_ok());
        fs::write(&file, "hunter2").unwrap();
        let fault = open().seal(label, &"x".into()).err().unwrap();
        assert!(matches!(fault, VaultFault::NoKey(_)));
        assert!(!fault.to_string().contains("hunter2"));
    }
}
