//! What the recorded server answered, played against the set-ups of `just golden`.
//!
//! `tests/golden/README.md` says how recordings, masks and differences work.

mod answer;
mod compare;
mod differences;
mod ids;
mod path;
mod play;
mod rows;
mod setup;
mod text;
mod tokens;
mod transcript;

use std::fmt::Write;

use differences::Differences;
use ids::Ids;
use setup::Setup;
use tokens::Clock;
use transcript::Transcript;

/// Plays the recordings of a folder, in order, against a fresh server of their set-up.
async fn replay(folder: &str) {
    let transcripts = Transcript::all(folder);
    let name = folder.split('-').next().unwrap();
    let setup = Setup::start(name).await;
    let mut differences = Differences::read();
    let mut ids = Ids::default();
    let mut clock = Clock::default();
    let (mut replayed, mut listed) = (0, 0);
    let mut report = String::new();
    for transcript in transcripts {
        clock.hear(&transcript.request);
        let ours = play::play(&setup, &transcript.request, &ids, &clock).await;
        clock.meet(&transcript.recorded, &ours);
        let verdict = differences.judge(&transcript, &ours, &mut ids);
        replayed += 1;
        listed += usize::from(verdict.is_listed);
        for line in verdict.complaints {
            writeln!(report, "{}: {line}", transcript.key).unwrap();
        }
    }
    for line in differences.unused(folder) {
        writeln!(report, "{line}").unwrap();
    }
    println!("{folder}: {replayed} replayed, {listed} with listed differences");
    assert!(report.is_empty(), "{folder}:\n{report}");
}

/// A test for each folder of recordings.
macro_rules! folders {
    ($($name:ident: $folder:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                replay($folder).await;
            }
        )*

        #[test]
        fn every_folder_is_played() {
            let folders = transcript::folders();
            assert_eq!(folders, [$($folder),*]);
        }
    };
}

folders! {
    iso: "iso",
    jwt: "jwt",
    jwt_more: "jwt-more",
    key: "key",
    key_more: "key-more",
    mw: "mw",
    open: "open",
    open_context: "open-context",
    open_more: "open-more",
    open_steps: "open-steps",
    pg: "pg",
    pg_more: "pg-more",
}
