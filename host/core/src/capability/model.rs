//! Which models may be asked.

use crate::agent::ModelName;
use crate::glob;

/// The most bytes of a pattern: as long as a name in a graph may be by default.
const MAX_BYTES: usize = 256;

/// Models by name; `*` stands for any text.
///
/// A graph that names no provider is compared by the model's id, `gpt-5.4`; one that does by both,
/// `openai/gpt-5.4`. So a pattern without a provider gives no model of a provider that the graph
/// chose by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelPattern(String);

impl ModelPattern {
    /// Checks the form; none if the text is empty, longer than 256 bytes, or not to be seen.
    pub fn new(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= MAX_BYTES && !text.chars().any(is_hidden);
        good.then(|| Self(text.to_owned()))
    }

    /// Every model.
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether the pattern covers a model.
    pub fn covers(&self, model: &ModelName) -> bool {
        match &model.provider {
            None => glob::matches(&self.0, &model.id),
            Some(_) => glob::matches(&self.0, &model.to_string()),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What both cover, where one of them covers all of the other.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        if glob::matches(&other.0, &self.0) {
            return Some(self.clone());
        }
        glob::matches(&self.0, &other.0).then(|| other.clone())
    }
}

fn is_hidden(it: char) -> bool {
    it.is_control() || it.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ModelPattern {
        ModelPattern::new(text).unwrap()
    }

    fn model(provider: Option<&str>, id: &str) -> ModelName {
        ModelName { id: id.into(), provider: provider.map(Into::into) }
    }

    #[test]
    fn a_provider_chosen_by_the_graph_is_part_of_the_name() {
        assert!(pattern("gpt-*").covers(&model(None, "gpt-5.4")));
        assert!(!pattern("gpt-*").covers(&model(Some("dear"), "gpt-5.4")));
        assert!(pattern("dear/*").covers(&model(Some("dear"), "gpt-5.4")));
        assert!(ModelPattern::any().covers(&model(Some("dear"), "gpt-5.4")));
    }

    #[test]
    fn two_patterns_meet_in_the_narrower_one() {
        let meet = |a: &str, b: &str| pattern(a).meet(&pattern(b)).map(|it| it.0);
        assert_eq!(meet("*", "gpt-*").as_deref(), Some("gpt-*"));
        assert_eq!(meet("gpt-5*", "gpt-*").as_deref(), Some("gpt-5*"));
        assert_eq!(meet("gpt-*", "*-mini"), None);
        assert_eq!(meet("o3", "gpt-*"), None);
    }

    #[test]
    fn a_pattern_is_one_word() {
        for bad in ["", "a b", "a\n", &"x".repeat(257)] {
            assert!(ModelPattern::new(bad).is_none(), "{bad:?}");
        }
    }
}
