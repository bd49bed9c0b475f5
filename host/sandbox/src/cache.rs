//! Compiled code on disk, by component and engine.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use stepmill_core::ids::Digest;
use tempfile::NamedTempFile;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::fingerprint;

/// A folder with two files for each entry: the code, and the SHA-256 of the code.
#[derive(Clone)]
pub(crate) struct CodeCache {
    dir: Arc<Path>,
    /// What the engine was set up with; code of another setup has another name.
    engine: u64,
}

impl CodeCache {
    /// Makes the folder, for this user only, if it is not there.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        // Also where the folder was there before.
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Self { dir: dir.into(), engine: fingerprint(engine) })
    }

    /// The code of a component, if it is there and whole. What is not whole is removed.
    pub(crate) fn find(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let (code, sum) = self.paths(digest);
        let expected = fs::read(&sum).ok()?;
        let Ok(found) = sha256(&code) else {
            self.remove(digest);
            return None;
        };
        if expected != found {
            warn!(%digest, "the kept code of {digest} is damaged; it is compiled again");
            self.remove(digest);
            return None;
        }
        #[expect(unsafe_code, reason = "there is no safe way to run code that lies in a file")]
        // SAFETY: the file is what `keep` wrote, by the checksum read a moment ago. It lies in a
        // folder that only this user may write to, and `keep` replaces files but never writes
        // into one, so that the mapping stays as it is.
        let component = unsafe { Component::deserialize_file(engine, &code) };
        match component {
            Ok(component) => Some(component),
            Err(error) => {
                debug!(%digest, "the kept code of {digest} is of another engine: {error}");
                self.remove(digest);
                None
            }
        }
    }

    /// Keeps the code of a component. A reader sees all of it or nothing.
    pub(crate) fn keep(&self, digest: Digest, code: &[u8]) -> io::Result<()> {
        let (code_path, sum_path) = self.paths(digest);
        self.write(&code_path, code)?;
        self.write(&sum_path, &Sha256::digest(code))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A named temporary file is readable by this user only.
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }

    fn remove(&self, digest: Digest) {
        let (code, sum) = self.paths(digest);
        // The sum goes first: without it the code is never read.
        for path in [sum, code] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                warn!(%digest, "the kept code of {digest} cannot be removed: {error}");
            }
        }
    }

    fn paths(&self, digest: Digest) -> (PathBuf, PathBuf) {
        let name = format!("{digest}-{:016x}", self.engine);
        (self.dir.join(format!("{name}.cwasm")), self.dir.join(format!("{name}.sha256")))
    }
}

fn sha256(path: &Path) -> io::Result<Vec<u8>> {
    Ok(Sha256::digest(fs::read(path)?).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_code(engine: &Engine) -> Vec<u8> {
        let bytes = wat::parse_str("(component (core module (func)))").unwrap();
        Component::from_binary(engine, &bytes).unwrap().serialize().unwrap()
    }

    fn only(dir: &Path, extension: &str) -> Option<PathBuf> {
        let files = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
        files.into_iter().find(|it| it.extension().is_some_and(|it| it == extension))
    }

    fn digest() -> Digest {
        Digest::from_bytes([7; 32])
    }

    #[test]
    fn what_is_kept_is_found() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine).unwrap();
        assert!(cache.find(&engine, digest()).is_none());
        cache.keep(digest(), &some_code(&engine)).unwrap();
        assert!(cache.find(&engine, digest()).is_some());
    }

    #[test]
    fn a_truncated_file_is_removed_and_never_run() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine).unwrap();
        cache.keep(digest(), &some_code(&engine)).unwrap();
        let file = only(dir.path(), "cwasm").unwrap();
        let code = fs::read(&file).unwrap();
        fs::write(&file, &code[..code.len() / 2]).unwrap();
        assert!(cache.find(&engine, digest()).is_none());
        assert_eq!(only(dir.path(), "cwasm"), None);
    }

    #[test]
    fn a_foreign_file_with_a_right_sum_is_removed() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine).unwrap();
        cache.keep(digest(), b"not code").unwrap();
        assert!(cache.find(&engine, digest()).is_none());
        assert_eq!(only(dir.path(), "sha256"), None);
    }

    #[test]
    fn another_engine_has_other_files() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine).unwrap();
        cache.keep(digest(), &some_code(&engine)).unwrap();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(CodeCache::open(dir.path(), &other).unwrap().find(&other, digest()).is_none());
        assert!(cache.find(&engine, digest()).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_folder() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let path = dir.path().join("a/b");
        CodeCache::open(&path, &engine).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
