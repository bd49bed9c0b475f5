//! Recordings, as they lie in `tests/golden/transcripts`.

use std::fs;

use serde_json::Value;

use super::answer;
use crate::house::repository;

/// One recorded exchange.
pub(super) struct Transcript {
    /// Folder and name: `open/031-run-seed-stream-true`.
    pub(super) key: String,
    pub(super) request: Value,
    /// What the recorded server answered, as [`answer`] writes it.
    pub(super) recorded: Value,
    /// Whether it was not recorded, but stands where a recording is missing that later ones build
    /// on: only its status is known.
    pub(super) is_bridge: bool,
}

/// The folders there are.
pub(super) fn folders() -> Vec<String> {
    let path = repository().join("tests/golden/transcripts");
    let entries = fs::read_dir(path).unwrap().map(|it| it.unwrap().file_name());
    let mut folders: Vec<_> = entries.map(|it| it.into_string().unwrap()).collect();
    folders.sort();
    folders
}

impl Transcript {
    /// All of a folder, in the order of their numbers, which is the order they were recorded in.
    pub(super) fn all(folder: &str) -> Vec<Self> {
        let path = repository().join("tests/golden/transcripts").join(folder);
        let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort_by_key(|it| {
            let name = it.file_stem().unwrap().to_string_lossy().into_owned();
            let number: u32 = name.split('-').next().unwrap().parse().unwrap();
            (number, name)
        });
        let read = |path: std::path::PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            let recording: Value = serde_json::from_str(&text).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy();
            Self {
                key: format!("{folder}/{name}"),
                request: recording["request"].clone(),
                recorded: answer::recorded(&recording["response"]),
                is_bridge: recording["bridge"] == true,
            }
        };
        files.into_iter().map(read).collect()
    }
}
