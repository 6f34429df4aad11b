//! `split`: in which shares values come.

use std::sync::Arc;

use squall_model::decode::{Decode, Key, Map, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::NameError;
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Spanned;
use squall_model::units::Ratio;

use super::reading::{self, OneOrMore};
use super::{Ground, Planned};
use crate::invariant::{Draws, Shares, SplitRecipe};
use crate::plan::Check;

record! {
    /// In which shares values come.
    pub struct Split {
        /// Where they stand, as in `unique`, one to a response.
        pub values: OneOrMore,
        /// The part of all that each value is to be; together 100 %.
        pub shares: Spanned<Map<Value, Ratio>>,
        /// Where the key of a response stands, such as `header x-user-id`: then each key counts once.
        pub key: Option<Spanned<String>>,
    }
}

/// A value that has a share, as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

impl AsRef<str> for Value {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Key for Value {
    const PATTERN: &str = "^";

    fn parse(text: &str) -> Result<Value, NameError> {
        Ok(Value(text.to_owned()))
    }
}

pub(super) fn schema() -> Schema {
    Split::schema()
}

pub(super) fn plan(params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
    let written = Split::decode(params, ground.diagnostics)?;
    let key: Vec<&Spanned<String>> = written.key.iter().collect();
    let feeds = reading::texts(&key, &written.values, ground);
    let shares = shares(&written.shares, ground.diagnostics)?;
    let shown: Vec<String> = written
        .shares
        .iter()
        .map(|(value, share)| format!("{} {share}", value.0))
        .collect();
    let draws = if key.is_empty() {
        Draws::Responses
    } else {
        Draws::Keys
    };
    Some(Planned {
        about: Some(format!("values come in these shares: {}", shown.join(", "))),
        check: Check::Values {
            kind: "split",
            recipe: Arc::new(SplitRecipe { shares, draws }),
            feeds: feeds?,
        },
    })
}

/// Shares that are a whole.
fn shares(written: &Spanned<Map<Value, Ratio>>, diagnostics: &mut Diagnostics) -> Option<Shares> {
    let shares: Shares = written
        .iter()
        .map(|(value, share)| (value.0.clone(), share.get()))
        .collect();
    let sum: f64 = shares.values().sum();
    // A billionth of a percent is the finest that is written.
    if (sum - 1.0).abs() < 1e-9 {
        return Some(shares);
    }
    let error = Diagnostic::error(
        written.span,
        format!("the shares are {} together", Ratio::new(sum)),
    );
    diagnostics.push(error.help("give every value that may come its share, 100% together"));
    None
}
