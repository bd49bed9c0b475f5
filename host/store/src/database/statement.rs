//! One SQL statement with its arguments, written once for both databases.

use std::borrow::Cow;
use std::fmt::Write;

use super::Row;
use crate::error::StoreError;

/// A value that goes into a statement.
pub(crate) enum Arg<'a> {
    Text(Option<Cow<'a, str>>),
    Number(Option<i64>),
    Bytes(Cow<'a, [u8]>),
    /// JSON text, kept to the letter.
    Json(Option<Cow<'a, str>>),
    /// JSON text that comes of what is there, in the transaction that writes it.
    Revised(Revision<'a>),
}

/// A JSON text and what becomes of it.
pub(crate) struct Revision<'a> {
    /// Gives the text. Whoever else would change its row waits for the end of the transaction.
    pub(super) found: Box<Statement<'a>>,
    revise: Box<Revise>,
}

type Revise = dyn Fn(Option<&str>) -> Result<String, StoreError> + Send + Sync;

impl Revision<'_> {
    pub(super) fn of(&self, found: &[Row]) -> Result<String, StoreError> {
        let text = found.first().map(|it| it.maybe_text(0)).transpose()?.flatten();
        (self.revise)(text)
    }
}

/// A statement whose places are written `?`, in the order of its arguments.
pub(crate) struct Statement<'a> {
    pub(super) sql: Cow<'static, str>,
    pub(super) args: Vec<Arg<'a>>,
}

impl<'a> Statement<'a> {
    /// `sql` is written by this crate: a literal, or literals joined. Values go into arguments.
    pub(crate) fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), args: Vec::new() }
    }

    pub(crate) fn text(mut self, value: impl Into<Cow<'a, str>>) -> Self {
        self.args.push(Arg::Text(Some(value.into())));
        self
    }

    pub(crate) fn maybe_text(mut self, value: Option<impl Into<Cow<'a, str>>>) -> Self {
        self.args.push(Arg::Text(value.map(Into::into)));
        self
    }

    pub(crate) fn number(self, value: i64) -> Self {
        self.maybe_number(Some(value))
    }

    pub(crate) fn maybe_number(mut self, value: Option<i64>) -> Self {
        self.args.push(Arg::Number(value));
        self
    }

    pub(crate) fn bytes(mut self, value: impl Into<Cow<'a, [u8]>>) -> Self {
        self.args.push(Arg::Bytes(value.into()));
        self
    }

    pub(crate) fn json(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.maybe_json(Some(value))
    }

    pub(crate) fn maybe_json(mut self, value: Option<impl Into<Cow<'a, str>>>) -> Self {
        self.args.push(Arg::Json(value.map(Into::into)));
        self
    }

    /// JSON text that is made of the one text which `found` gives. A transaction that is tried
    /// again asks again.
    pub(crate) fn revised(
        mut self,
        found: Self,
        revise: impl Fn(Option<&str>) -> Result<String, StoreError> + Send + Sync + 'static,
    ) -> Self {
        let revision = Revision { found: Box::new(found), revise: Box::new(revise) };
        self.args.push(Arg::Revised(revision));
        self
    }

    /// How much its arguments hold. What is not known before it is written does not count.
    pub(super) fn bytes_held(&self) -> usize {
        let held = |arg: &Arg<'_>| match arg {
            Arg::Text(text) | Arg::Json(text) => text.as_ref().map_or(0, |it| it.len()),
            Arg::Bytes(bytes) => bytes.len(),
            Arg::Number(_) | Arg::Revised(_) => 0,
        };
        self.args.iter().map(held).sum()
    }

    /// Whether it needs a transaction of its own.
    pub(super) fn revises(&self) -> bool {
        self.args.iter().any(|it| matches!(it, Arg::Revised(_)))
    }

    /// Statements that touch no row of each other as one, which PostgreSQL runs all or not at all.
    /// Where one of them makes its text of what it finds they stay as they are.
    pub(super) fn together(mut statements: Vec<Self>) -> Vec<Self> {
        if statements.iter().any(Self::revises) {
            return statements;
        }
        let Some(mut last) = statements.pop() else { return statements };
        let mut sql = String::new();
        let mut args = Vec::new();
        for (at, statement) in statements.into_iter().enumerate() {
            let word = if at == 0 { "with" } else { "," };
            write!(sql, "{word} part_{at} as ({}) ", statement.sql)
                .expect("writing to a String cannot fail");
            args.extend(statement.args);
        }
        if !sql.is_empty() {
            sql.push_str(&last.sql);
            args.append(&mut last.args);
            last = Self { sql: sql.into(), args };
        }
        vec![last]
    }

    /// Adds to the text, before the arguments of what is added. As in [`Self::new`] it is written by
    /// this crate.
    pub(crate) fn and(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.sql.to_mut().push_str(&sql.into());
        self
    }

    /// The same statement, with its arguments for itself: one that can go to another thread.
    pub(super) fn into_owned(self) -> Statement<'static> {
        let owned = |arg| match arg {
            Arg::Text(text) => Arg::Text(text.map(|it| it.into_owned().into())),
            Arg::Number(number) => Arg::Number(number),
            Arg::Bytes(bytes) => Arg::Bytes(bytes.into_owned().into()),
            Arg::Json(text) => Arg::Json(text.map(|it| it.into_owned().into())),
            Arg::Revised(it) => {
                Arg::Revised(Revision { found: Box::new(it.found.into_owned()), revise: it.revise })
            }
        };
        Statement { sql: self.sql, args: self.args.into_iter().map(owned).collect() }
    }

    /// The text with `$1`, `$2`, … as PostgreSQL wants it. Our statements hold no other `?`.
    pub(super) fn numbered(&self) -> String {
        let mut pieces = self.sql.split('?');
        let mut sql = pieces.next().unwrap_or_default().to_owned();
        for (at, piece) in pieces.enumerate() {
            write!(sql, "${}{piece}", at + 1).expect("writing to a String cannot fail");
        }
        sql
    }
}

/// `(?, ?), (?, ?)`: places for so many rows of so many columns.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_together_are_one_with_their_arguments_in_order() {
        let of = |sql: &'static str, number| Statement::new(sql).number(number);
        let one = Statement::together(vec![of("a ?", 1), of("b ?", 2), of("c ?", 3)]);
        let [one] = one.as_slice() else { panic!("one statement") };
        assert_eq!(one.numbered(), "with part_0 as (a $1) , part_1 as (b $2) c $3");
        let numbers = one.args.iter().map(|it| if let Arg::Number(it) = it { *it } else { None });
        assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3].map(Some));
        assert_eq!(Statement::together(vec![of("a ?", 1)])[0].numbered(), "a $1");
        assert!(Statement::together(vec![]).is_empty());
    }

    #[test]
    fn places_are_numbered_from_left_to_right() {
        let statement = Statement::new(format!("insert into t values {}", places(2, 2)));
        assert_eq!(statement.numbered(), "insert into t values ($1, $2), ($3, $4)");
    }
}
