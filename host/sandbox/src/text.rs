//! Bounding and cleaning of what guests write.

/// The longest beginning of `text` that has at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// One line for a log: cut, and without anything that moves a terminal's cursor.
pub(crate) fn log_line(text: &str, limit: usize) -> String {
    cut(text, limit).chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 3), "");
    }

    #[test]
    fn a_log_line_is_one_line() {
        assert_eq!(log_line("a\r\n\u{1b}[31mb", 100), "a   [31mb");
    }
}
