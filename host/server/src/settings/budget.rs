//! Budgets and prices as operators write them: `[policy.models]`, bodies of the API, and
//! `[models.prices]`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use stepmill_core::budget::{Budget, Cost, Price, Prices};
use stepmill_core::capability::ModelPattern;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::fault::{SettingsFault, value};
use super::policy::{PolicyFault, fault};

/// What money has to look like.
const MONEY: &str = "is a number such as 12.5, with at most six digits behind the point";

/// The most money a number stands for, as of a text.
const MOST: f64 = 1e9;

/// Money, as a text (`"12.50"`) or as a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Money {
    /// A decimal.
    Text(String),
    /// Rounded to six digits behind the point.
    Number(f64),
}

impl Money {
    fn cost(&self) -> Option<Cost> {
        match self {
            Self::Text(text) => Cost::parse(text),
            Self::Number(number) if (0.0..=MOST).contains(number) => {
                Some(Cost::from_micros((number * 1e6).round() as u64))
            }
            Self::Number(_) => None,
        }
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(1000000000|[0-9]{1,9})(\\.[0-9]{1,6})?$"));
        let number = ObjectBuilder::new().schema_type(Type::Number);
        let number = number.minimum(Some(0)).maximum(Some(MOST));
        OneOfBuilder::new().item(text).item(number).into()
    }
}

impl ToSchema for Money {}

impl From<&str> for Money {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Cost> for Money {
    fn from(cost: Cost) -> Self {
        Self::Text(cost.to_string())
    }
}

/// How much models may be asked for. What is absent is no bound.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetForm {
    /// The most tokens of one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub output_tokens: Option<u32>,
    /// The most tokens of one run, of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_run: Option<u64>,
    /// The most tokens of a day (UTC), of prompts and answers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// The most that a day (UTC) may cost, in the currency of the price table. A model without a
    /// price is not asked then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_per_day: Option<Money>,
    /// The most model calls at once. More wait for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub concurrent: Option<u32>,
}

impl BudgetForm {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what is said.
    ///
    /// # Errors
    /// The first thing that cannot be, with its key.
    pub(super) fn budget(&self) -> Result<Budget, PolicyFault> {
        // As many as every JSON reader takes.
        let (few, many) = (i32::MAX.unsigned_abs().into(), i64::MAX.unsigned_abs());
        for (key, number, least, most) in [
            ("output_tokens", self.output_tokens.map(u64::from), 1, few),
            ("tokens_per_run", self.tokens_per_run, 0, many),
            ("tokens_per_day", self.tokens_per_day, 0, many),
            ("concurrent", self.concurrent.map(u64::from), 1, few),
        ] {
            if number.is_some_and(|it| !(least..=most).contains(&it)) {
                let rule = format!("must be between {least} and {most}");
                return Err(fault(format!("models.{key}"), rule));
            }
        }
        let cost = |it: &Money| it.cost().ok_or_else(|| fault("models.cost_per_day", MONEY));
        Ok(Budget {
            output_tokens: self.output_tokens,
            tokens_per_run: self.tokens_per_run,
            tokens_per_day: self.tokens_per_day,
            cost_per_day: self.cost_per_day.as_ref().map(cost).transpose()?,
            concurrent: self.concurrent,
        })
    }

    /// What would be written to say the same.
    pub fn of(budget: &Budget) -> Self {
        Self {
            output_tokens: budget.output_tokens,
            tokens_per_run: budget.tokens_per_run,
            tokens_per_day: budget.tokens_per_day,
            cost_per_day: budget.cost_per_day.map(Money::from),
            concurrent: budget.concurrent,
        }
    }
}

/// A form is written with its keys; a list of values, which serde would take too, is none.
pub(super) fn with_keys<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Keys<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bounds by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(keys))
        }
    }

    from.deserialize_map(Keys(PhantomData))
}

/// What a million tokens of some models cost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    input: Money,
    output: Money,
    /// Of prompts that the provider read from its cache; as `input`, if absent.
    cached_input: Option<Money>,
}

/// `[models.prices]`
pub(super) fn prices(file: BTreeMap<String, PriceFile>) -> Result<Prices, SettingsFault> {
    let price = |(pattern, it): (String, PriceFile)| {
        let place = format!("models.prices.{pattern}");
        let pattern = ModelPattern::new(&pattern)
            .ok_or_else(|| value(&place, "is no model's name, in which `*` stands for any text"))?;
        let cost =
            |key: &str, it: &Money| it.cost().ok_or_else(|| value(format!("{place}.{key}"), MONEY));
        let input = cost("input", &it.input)?;
        let cached_input = it.cached_input.map(|it| cost("cached_input", &it)).transpose()?;
        let cached_input = cached_input.unwrap_or(input);
        Ok((pattern, Price { input, cached_input, output: cost("output", &it.output)? }))
    };
    Ok(Prices::new(file.into_iter().map(price).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use stepmill_core::agent::ModelName;

    use super::*;

    #[test]
    fn money_is_a_text_or_a_number() {
        let read = |text: &str| {
            let form: BudgetForm = toml::from_str(text).unwrap();
            form.budget().map(|it| it.cost_per_day.unwrap().to_string())
        };
        for (text, money) in [("\"12.50\"", "12.5"), ("0.1", "0.1"), ("5", "5"), ("1e3", "1000")] {
            assert_eq!(read(&format!("cost_per_day = {text}")).unwrap(), money);
        }
        for bad in ["-1", "nan", "inf", "1e300", "\"0.0000001\"", "\"\"", "\"1e3\""] {
            assert!(read(&format!("cost_per_day = {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn prices_are_for_a_million_tokens_by_pattern() {
        let read = |text: &str| prices(toml::from_str(text).unwrap()).map_err(|it| it.to_string());
        let table = read(
            "\"gpt-*\" = { input = 1.25, output = \"10\" }\n\
             \"gpt-5-mini\" = { input = 0.25, output = 2, cached_input = 0.025 }",
        );
        let table = table.unwrap();
        let of = |id: &str| table.of(&ModelName { id: id.into(), provider: None });
        let shown = |it: Price| [it.input, it.cached_input, it.output].map(|it| it.to_string());
        assert_eq!(of("gpt-5").map(shown).unwrap(), ["1.25", "1.25", "10"]);
        assert_eq!(of("gpt-5-mini").map(shown).unwrap(), ["0.25", "0.025", "2"]);
        assert_eq!(of("o3"), None);
        let said = read("\"gpt-*\" = { input = -1, output = 1 }").unwrap_err();
        assert!(said.starts_with("models.prices.gpt-*.input: is a number such as"), "{said}");
    }
}
