//! Patterns in which `*` stands for any text.

/// Whether a text fits a pattern. `*` stands for any text, also for none; everything else for
/// itself.
///
/// A pattern can be asked about another one: `matches(a, b)` is true only if all that fits `b` fits
/// `a`, because no other character of `a` stands for the `*` in `b`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        // The leftmost place leaves the most for the parts that follow.
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("*", "gpt"), ("gpt-*", "gpt-"), ("*-mini", "o3-mini"), ("a*b*c", "abbc")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("gpt", "gpt-5"), ("gpt-*", "gpt"), ("a*b*c", "acb"), ("ab*ba", "aba")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        /// What fits a pattern inside another fits the other too.
        #[test]
        fn a_pattern_inside_another_is_narrower(
            outer in "[ab*]{0,6}", inner in "[ab*]{0,6}", text in "[ab]{0,8}",
        ) {
            if matches(&outer, &inner) && matches(&inner, &text) {
                prop_assert!(matches(&outer, &text));
            }
        }
    }
}
