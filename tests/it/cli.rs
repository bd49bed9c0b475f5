//! The binary as a person meets it.

use crate::house::{House, command};

#[tokio::test]
async fn help_says_what_there_is() {
    let (code, said) = command(&["--help"], &[]).await;
    assert_eq!(code, Some(0));
    for word in ["serve", "demo", "push", "Exit codes"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    let (_, said) = command(&["serve", "--help"], &[]).await;
    for word in ["--listen", "--data-dir", "--database-url", "--config", "STEPMILL_LISTEN"] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[tokio::test]
async fn wrong_use_is_told_apart_from_failed_work() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, said) = command(&["serve", "--config", "no-such-file.toml"], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no-such-file.toml"));

    let house = House::demo().open().await;
    let taken = house.address().strip_prefix("http://").unwrap();
    let (code, said) = command(&["demo", "--listen", taken, "--data-dir", data], &[]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot listen on {taken}")), "{said}");

    std::fs::create_dir_all(folder.path().join("workflows")).unwrap();
    std::fs::write(folder.path().join("workflows/bad.toml"), "name = 5").unwrap();
    let (code, said) =
        command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data], &[]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("bad.toml"), "{said}");
}

#[tokio::test]
async fn two_hosts_do_not_share_a_database() {
    let house = House::demo().open().await;
    let data = house.data();
    let mut args = vec!["demo", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    if let Some(url) = house.database_url() {
        args.extend(["--database-url", url]);
    }
    let (code, said) = command(&args, &[]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("another host holds the database"), "{said}");
}

#[tokio::test]
async fn the_environment_says_what_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let vars = [("STEPMILL_LISTEN", "0.0.0.0:0"), ("STEPMILL_DATA_DIR", data)];
    let (code, said) = command(&["serve"], &vars).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("loopback"), "{said}");
}
