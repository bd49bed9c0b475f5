//! Compiled code on disk, by component and engine.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

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
    /// The most bytes of code in the folder.
    bytes: u64,
}

impl CodeCache {
    /// Makes the folder, for this user only, if it is not there.
    pub(crate) fn open(dir: &Path, engine: &Engine, bytes: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)?;
        // Also where the folder was there before.
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Self { dir: dir.into(), engine: fingerprint(engine), bytes })
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
            Ok(component) => {
                self.touch(&code);
                Some(component)
            }
            Err(error) => {
                debug!(%digest, "the kept code of {digest} is of another engine: {error}");
                self.remove(digest);
                None
            }
        }
    }

    /// Keeps the code of a component. A reader sees all of it or nothing. What was not used for
    /// longest makes room; what is in use stays mapped.
    pub(crate) fn keep(&self, digest: Digest, code: &[u8]) -> io::Result<()> {
        let (code_path, sum_path) = self.paths(digest);
        self.make_room(code.len() as u64)?;
        self.write(&code_path, code)?;
        self.write(&sum_path, &Sha256::digest(code))
    }

    /// Says that the code was used. That it cannot be said loses a little order only.
    fn touch(&self, code: &Path) {
        let touched = fs::File::open(code).and_then(|it| it.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            debug!("the time of kept code cannot be set: {error}");
        }
    }

    /// Removes the code that was not used for longest until so many bytes more fit.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_code = path.extension().is_some_and(|it| it == "cwasm");
            // Another upload may have removed it meanwhile.
            if let (true, Ok(about)) = (is_code, fs::metadata(&path)) {
                kept.push((about.modified()?, about.len(), path));
            }
        }
        kept.sort();
        let mut bytes: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, length, path) in kept {
            if bytes.saturating_add(more) <= self.bytes {
                break;
            }
            remove(&path.with_extension("sha256"));
            remove(&path);
            bytes -= length;
        }
        Ok(())
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
        remove(&sum);
        remove(&code);
    }

    fn paths(&self, digest: Digest) -> (PathBuf, PathBuf) {
        let name = format!("{digest}-{:016x}", self.engine);
        (self.dir.join(format!("{name}.cwasm")), self.dir.join(format!("{name}.sha256")))
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!("kept code cannot be removed: {error}");
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
        let cache = CodeCache::open(dir.path(), &engine, u64::MAX).unwrap();
        assert!(cache.find(&engine, digest()).is_none());
        cache.keep(digest(), &some_code(&engine)).unwrap();
        assert!(cache.find(&engine, digest()).is_some());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let code = some_code(&engine);
        let cache = CodeCache::open(dir.path(), &engine, 2 * code.len() as u64).unwrap();
        let [first, second, third] = [1, 2, 3].map(|it| Digest::from_bytes([it; 32]));
        cache.keep(first, &code).unwrap();
        cache.keep(second, &code).unwrap();
        // A clock that is coarse could make all three one age.
        let (path, _) = cache.paths(second);
        let long_ago = SystemTime::UNIX_EPOCH;
        fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        cache.keep(third, &code).unwrap();
        let is_kept = |it| cache.find(&engine, it).is_some();
        assert_eq!([first, second, third].map(is_kept), [true, false, true]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_truncated_file_is_removed_and_never_run() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine, u64::MAX).unwrap();
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
        let cache = CodeCache::open(dir.path(), &engine, u64::MAX).unwrap();
        cache.keep(digest(), b"not code").unwrap();
        assert!(cache.find(&engine, digest()).is_none());
        assert_eq!(only(dir.path(), "sha256"), None);
    }

    #[test]
    fn another_engine_has_other_files() {
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = CodeCache::open(dir.path(), &engine, u64::MAX).unwrap();
        cache.keep(digest(), &some_code(&engine)).unwrap();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        assert!(
            CodeCache::open(dir.path(), &other, u64::MAX).unwrap().find(&other, digest()).is_none()
        );
        assert!(cache.find(&engine, digest()).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_folder() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let path = dir.path().join("a/b");
        CodeCache::open(&path, &engine, u64::MAX).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
