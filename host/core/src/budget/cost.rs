//! Money, as whole numbers: what tokens cost, and by which price.

use std::fmt;

use crate::agent::{ModelName, Usage};
use crate::capability::ModelPattern;

/// Digits behind the point.
const DIGITS: usize = 6;

/// One of the currency.
const UNIT: u64 = 1_000_000;

/// The most that is read: a thousand million. The sum of many still fits into a database.
const MOST_UNITS: u64 = 1_000_000_000;

/// Prices are for so many tokens.
const TOKENS: u128 = 1_000_000;

/// Money in the currency of the price table, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// From millionths.
    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// As millionths.
    pub fn micros(self) -> u64 {
        self.0
    }

    /// Reads a decimal such as `12.50`; none if it is something else, has more than six digits
    /// behind the point, or is larger than a thousand million.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) || DIGITS < part.len() {
            return None;
        }
        let units = whole.parse().ok().filter(|it| *it <= MOST_UNITS)?;
        let micros: u64 = format!("{part:0<DIGITS$}").parse().ok()?;
        Some(Self(u64::checked_mul(units, UNIT)?.checked_add(micros)?))
    }

    /// What is left of it; nothing where the other is more.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:0DIGITS$}", self.0 / UNIT, self.0 % UNIT);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What a million tokens of one model cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// Of prompts.
    pub input: Cost,
    /// Of what the provider read of prompts from its cache.
    pub cached_input: Cost,
    /// Of answers.
    pub output: Cost,
}

impl Price {
    /// What a call cost, rounded up.
    pub fn of(&self, usage: &Usage) -> Cost {
        let cached = usage.cache_read_tokens.min(usage.input_tokens);
        let parts = [
            (usage.input_tokens - cached, self.input),
            (cached, self.cached_input),
            (usage.output_tokens, self.output),
        ];
        rounded_up(parts.into_iter().map(|(tokens, price)| times(tokens, price)).sum())
    }

    /// The most that so many tokens can cost, whatever the cache does.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Cost {
        rounded_up(times(input_tokens, self.dearest_input()) + times(output_tokens, self.output))
    }

    /// How many tokens of an answer can be paid for beside a prompt; none if the prompt alone is
    /// too dear.
    pub fn affordable(&self, room: Cost, input_tokens: u64) -> Option<u64> {
        let room = u128::from(room.0) * TOKENS;
        let left = room.checked_sub(times(input_tokens, self.dearest_input()))?;
        let tokens = left.checked_div(u128::from(self.output.0)).unwrap_or(u128::MAX);
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    fn dearest_input(&self) -> Cost {
        self.input.max(self.cached_input)
    }
}

fn times(tokens: u64, price: Cost) -> u128 {
    u128::from(tokens) * u128::from(price.0)
}

fn rounded_up(millionths: u128) -> Cost {
    Cost(u64::try_from(millionths.div_ceil(TOKENS)).unwrap_or(u64::MAX))
}

/// Prices by pattern. Of those that cover a model the longest counts; of two as long, the first in
/// the alphabet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices(Vec<(ModelPattern, Price)>);

impl Prices {
    /// A table.
    pub fn new(mut prices: Vec<(ModelPattern, Price)>) -> Self {
        prices.sort_by(|(a, _), (b, _)| {
            let longest = b.as_str().len().cmp(&a.as_str().len());
            longest.then_with(|| a.cmp(b))
        });
        Self(prices)
    }

    /// What a model costs, by its name in the graph; none if nothing is said of it.
    pub fn of(&self, model: &ModelName) -> Option<Price> {
        self.0.iter().find(|(pattern, _)| pattern.covers(model)).map(|(_, price)| *price)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_read_as_it_is_shown() {
        for text in ["0", "12", "12.5", "0.000001", "1000000000"] {
            assert_eq!(Cost::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Cost::parse("007.50").unwrap().micros(), 7_500_000);
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.0000001", "1000000001", "1,5", "٣"]
        {
            assert_eq!(Cost::parse(bad), None, "{bad:?}");
        }
    }

    fn price(input: &str, cached: &str, output: &str) -> Price {
        let [input, cached_input, output] =
            [input, cached, output].map(|it| Cost::parse(it).unwrap());
        Price { input, cached_input, output }
    }

    #[test]
    fn a_call_costs_its_parts_rounded_up() {
        let usage = Usage {
            input_tokens: 1_000,
            output_tokens: 100,
            cache_read_tokens: 400,
            ..Usage::default()
        };
        // 600 × 1.25 + 400 × 0.125 + 100 × 10 millionths.
        assert_eq!(price("1.25", "0.125", "10").of(&usage).micros(), 1_800);
        let one = Usage { input_tokens: 1, ..Usage::default() };
        assert_eq!(price("0.1", "0", "0").of(&one).micros(), 1);
    }

    #[test]
    fn the_longest_pattern_counts() {
        let row = |pattern: &str, input: &str| {
            (ModelPattern::new(pattern).unwrap(), price(input, "0", "0"))
        };
        let prices = Prices::new(vec![row("*", "1"), row("gpt-*", "2"), row("gpt-5*", "3")]);
        let of = |provider: Option<&str>, id: &str| {
            let name = ModelName { id: id.into(), provider: provider.map(Into::into) };
            prices.of(&name).unwrap().input.to_string()
        };
        assert_eq!(of(None, "gpt-5.4"), "3");
        assert_eq!(of(None, "gpt-4"), "2");
        assert_eq!(of(Some("there"), "gpt-5.4"), "1");
        assert_eq!(Prices::default().of(&ModelName { id: "m".into(), provider: None }), None);
    }

    proptest! {
        /// What can be paid for costs no more than there is, and one more token would.
        #[test]
        fn what_is_affordable_is_paid_for(
            room in 0u64..1 << 40, input in 0u64..1 << 20,
            prices in (0u64..1 << 30, 0u64..1 << 30, 1u64..1 << 30), share in 0u64..=100,
        ) {
            let (a, b, c) = prices;
            let price = Price { input: Cost(a), cached_input: Cost(b), output: Cost(c) };
            let Some(output) = price.affordable(Cost(room), input) else {
                prop_assert!(Cost(room) < price.most(input, 0));
                return Ok(());
            };
            prop_assert!(price.most(input, output) <= Cost(room));
            prop_assert!(Cost(room) < price.most(input, output + 1));
            let used = Usage {
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: input * share / 100,
                ..Usage::default()
            };
            prop_assert!(price.of(&used) <= price.most(input, output));
        }
    }
}
