//! What can be said of a statement by its first word.
//!
//! This is the outer fence: it keeps out what only leaves things behind in a session (`prepare`,
//! `listen`, `set`), speaks of transactions, or reaches for files. What holds when a statement hides
//! such things behind a harmless word is the database's own: see `postgres` and `sqlite`.

/// The first word of a statement, in lower case, behind blanks, comments and brackets. None if
/// there is none.
pub(crate) fn first_word(text: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', '(']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_comment(comment)?;
        } else {
            break;
        }
    }
    let end = rest.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(rest.len());
    let is_whole = !rest[end..].starts_with(|it: char| it.is_alphanumeric() || it == '_');
    (0 < end && is_whole).then(|| rest[..end].to_ascii_lowercase())
}

/// A comment that PostgreSQL and SQLite end at different places is read by neither: one comment
/// within another is refused.
fn after_comment(comment: &str) -> Option<&str> {
    let (within, rest) = comment.split_once("*/")?;
    (!within.contains("/*") && !within.ends_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_stands_behind_blanks_comments_and_brackets() {
        for (text, word) in [
            ("select 1", Some("select")),
            (" \n\t((SELECT 1))", Some("select")),
            ("-- set\n/* a; b */ With x as (select 1) select", Some("with")),
            ("--select 1", None),
            ("/* /* */ select 1", None),
            ("/* select 1", None),
            ("select", Some("select")),
            ("select_1", None),
            ("selecté", None),
            ("sel/**/ect", Some("sel")),
            ("$1", None),
            ("", None),
            (";", None),
            ("; select 1", None),
            ("\u{a0}select 1", None),
        ] {
            assert_eq!(first_word(text).as_deref(), word, "{text}");
        }
    }
}
