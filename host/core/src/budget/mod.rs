//! Budgets: how much models may be asked for, and the book that is kept of it.
//!
//! What a call may use at most is reserved before it is made, and what it used is committed after
//! it. So no sum of calls is ever larger than a bound, however many are under way at once.

mod cost;
mod ledger;

pub use cost::{Cost, Price, Prices};
pub use ledger::{Ask, Charge, Ledger, Refusal, Reservation};

use crate::call::ModelRequest;
use crate::extras::Media;
use crate::policy::PolicyScope;

/// The most tokens of an answer that nobody bounds otherwise, where a budget has to know. Every
/// model the vendors serve allows as much.
pub const DEFAULT_OUTPUT_TOKENS: u32 = 8_192;

/// An answer is not asked for where less than this is left for it: it would be cut within its
/// first sentence, and OpenAI takes no smaller number.
pub const MIN_OUTPUT_TOKENS: u32 = 16;

/// Tokens of a prompt that stand around its texts: the words of a model's own template.
const TEMPLATE_TOKENS: u64 = 128;

/// The fewest tokens one piece of media counts as: a large picture has few bytes where it shows
/// little, and costs the same.
const MEDIA_TOKENS: u64 = 16 * 1024;

/// What media counts as whose bytes are elsewhere: the host does not fetch them.
const FAR_MEDIA_TOKENS: u64 = 128 * 1024;

/// What is said of one scope. What is not said is no bound of this scope; unlike what plugins may
/// do, a narrower scope takes nothing back from a wider one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// The most tokens of one answer.
    pub output_tokens: Option<u32>,
    /// The most tokens of one run, of prompts and answers together.
    pub tokens_per_run: Option<u64>,
    /// The most tokens of a day.
    pub tokens_per_day: Option<u64>,
    /// The most that a day may cost.
    pub cost_per_day: Option<Cost>,
    /// The most calls under way at once.
    pub concurrent: Option<u32>,
}

/// Every scope that covers a run, with its budget.
pub type Bounds = Vec<(PolicyScope, Budget)>;

/// The most tokens that a request's prompt can be: a token has at least one byte.
pub fn most_input_tokens(request: &ModelRequest) -> u64 {
    let texts = request.instructions.len().saturating_add(request.message.len()) as u64;
    let media = request.media.iter().map(media_tokens);
    media.fold(texts.saturating_add(TEMPLATE_TOKENS), u64::saturating_add)
}

fn media_tokens(media: &Media) -> u64 {
    match &media.content {
        Some(bytes) => (bytes.len() as u64).max(MEDIA_TOKENS),
        None => FAR_MEDIA_TOKENS,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::agent::ModelName;
    use crate::extras::MediaKind;

    fn media(content: Option<Vec<u8>>) -> Media {
        Media {
            id: "m".into(),
            kind: MediaKind::Image,
            content,
            url: None,
            mime_type: None,
            format: None,
            filename: None,
        }
    }

    #[test]
    fn a_prompt_has_no_more_tokens_than_bytes() {
        let mut request = ModelRequest {
            model: ModelName { id: "m".into(), provider: None },
            instructions: "Bé".into(),
            message: "four".into(),
            temperature: None,
            max_output_tokens: None,
            media: Arc::default(),
        };
        assert_eq!(most_input_tokens(&request), 3 + 4 + TEMPLATE_TOKENS);
        request.media = [media(Some(vec![0])), media(Some(vec![0; 20_000])), media(None)].into();
        let of_media = MEDIA_TOKENS + 20_000 + FAR_MEDIA_TOKENS;
        assert_eq!(most_input_tokens(&request), 3 + 4 + TEMPLATE_TOKENS + of_media);
    }
}
