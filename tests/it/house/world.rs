//! What a host knows of the world: what time it is, and where names lead. Both change while it runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::needs::repository;
use super::process::Builder;

/// As `world.c` reads it.
const BYTES: usize = 4096;
const QUESTIONS_AT: usize = 8;
const ANSWERS_AT: usize = 16;

/// The world of the hosts that are opened in it.
pub(crate) struct World {
    folder: TempDir,
    file: File,
}

impl World {
    /// One in which it is as late as it is.
    pub(crate) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let library = folder.path().join("world.so");
        let source = repository().join("tests/it/house/world.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        let built = compiler.arg(&library).arg(source).args(["-ldl"]).status();
        assert!(built.expect("there is a C compiler").success());
        let path = folder.path().join("world");
        std::fs::write(&path, [0; BYTES]).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        Self { folder, file }
    }

    /// A house in it.
    pub(crate) fn of(&self, house: Builder) -> Builder {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let text = |name: &str| path(name).to_str().unwrap().to_owned();
        house.var("LD_PRELOAD", text("world.so")).var("WORLD", text("world"))
    }

    /// Sets the clock so many seconds ahead of the true time.
    pub(crate) fn set_clock(&self, ahead_seconds: i64) {
        self.file.write_all_at(&ahead_seconds.to_ne_bytes(), 0).unwrap();
    }

    /// Where names under `example.com` lead: one answer for each question, and the last one for all
    /// that follow.
    pub(crate) fn set_answers(&self, answers: &[&str]) {
        let mut bytes = answers.join("\n").into_bytes();
        bytes.resize(BYTES - ANSWERS_AT, 0);
        self.file.write_all_at(&bytes, ANSWERS_AT as u64).unwrap();
        self.file.write_all_at(&[0; 8], QUESTIONS_AT as u64).unwrap();
    }

    /// How often somebody asked since.
    pub(crate) fn questions(&self) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, QUESTIONS_AT as u64).unwrap();
        i64::from_ne_bytes(bytes)
    }
}
