//! What a host left on its disk.

use std::path::Path;

/// Everything in a folder, as bytes.
pub(crate) fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(std::fs::read(path).unwrap()),
        }
    }
}
