//! What the compiler does not check: the floors of the house, and that every file says what it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::house::repository;

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | ".git" | "node_modules") {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&repository().join(folder), ".rs", &mut found);
    found.into_iter().map(|it| (it.clone(), fs::read_to_string(it).unwrap())).collect()
}

#[test]
fn every_source_file_says_what_it_is() {
    for folder in ["host", "plugins", "sdk", "tests"] {
        for (path, text) in sources(folder) {
            let says = text.starts_with("//! ") || text.starts_with("#![doc = include_str!(");
            assert!(says, "{} begins without a `//!` sentence", path.display());
        }
    }
}

/// Which of our crates, and which outside ones of weight, each floor may name.
#[test]
fn the_floors_of_the_house_hold() {
    let floors = [
        ("core", vec!["proptest", "serde_json", "thiserror", "uuid"]),
        ("engine", vec!["proptest", "serde_json", "stepmill-core", "uuid"]),
    ];
    for (floor, allowed) in floors {
        for name in dependencies(floor) {
            assert!(allowed.contains(&name.as_str()), "host/{floor} may not use {name}");
        }
    }
    let ours = [
        "stepmill-databases",
        "stepmill-engine",
        "stepmill-models",
        "stepmill-sandbox",
        "stepmill-store",
    ];
    for floor in ["databases", "models", "sandbox", "store"] {
        for name in dependencies(floor) {
            assert!(!ours.contains(&name.as_str()), "host/{floor} and {name} are siblings");
        }
    }
    for (weight, owners) in [
        ("wasmtime", ["sandbox"].as_slice()),
        ("sqlx", &["store"]),
        // The host's own rows, and the operator's databases: neither room knows the other's.
        ("rusqlite", &["databases", "store"]),
        ("postgres-protocol", &["databases"]),
        ("rig-core", &["models"]),
        ("axum", &["server"]),
    ] {
        for floor in ["core", "databases", "engine", "models", "sandbox", "store", "server"] {
            let names = dependencies(floor);
            assert!(
                owners.contains(&floor) || !names.iter().any(|it| it == weight),
                "host/{floor} may not use {weight}"
            );
        }
    }
}

fn dependencies(floor: &str) -> Vec<String> {
    let text =
        fs::read_to_string(repository().join("host").join(floor).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let sections = ["dependencies", "dev-dependencies"]
        .into_iter()
        .filter_map(|it| manifest.get(it)?.as_table());
    sections.flat_map(|it| it.keys().cloned()).collect()
}

#[test]
fn only_the_door_knows_http_and_only_the_settings_read_the_environment() {
    for (path, text) in sources("host/server/src/app") {
        for word in ["axum", "StatusCode", "jsonwebtoken"] {
            assert!(!text.contains(word), "{} knows {word}", path.display());
        }
    }
    for (path, text) in sources("host/server/src/http") {
        assert!(!text.contains("sqlx"), "{} knows the database", path.display());
    }
    for (path, text) in sources("host") {
        if path.components().any(|it| it.as_os_str() == "tests") || path.ends_with("build.rs") {
            continue;
        }
        let reads = text.contains("env::var(")
            || text.contains("env::vars_os(")
            || text.contains("env::var_os(");
        let allowed = path.ends_with("settings/environment.rs");
        assert!(!reads || allowed, "{} reads the environment", path.display());
    }
}

/// What is routed says in the document what it is; only the document itself is not in it.
#[test]
fn every_route_is_in_the_document() {
    for (path, text) in sources("host/server/src/http") {
        for word in [".route(", ".route_service(", ".nest(", ".nest_service(", "Router::new()"] {
            let found = text.replace(&format!("OpenApi{word}"), "").contains(word);
            assert!(!found || path.ends_with("docs.rs"), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn the_contract_is_the_same_wherever_it_is_kept() {
    let contract = fs::read_to_string(repository().join("wit/v1/factory.wit")).unwrap();
    let copy = fs::read_to_string(repository().join("sdk/rust/wit/factory.wit")).unwrap();
    assert_eq!(contract, copy, "sdk/rust/wit is a copy of wit/v1");
}
