//! Data: where the values of a load's placeholders come from.

use serde_json::json;

use crate::decode::{Decode, Key, Map, NonEmpty, Schema, Text, expected};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::NameError;
use crate::node::Node;
use crate::span::Spanned;
use crate::{choice, record, untagged};

record! {
    /// Where the values of a placeholder come from.
    pub struct Feed {
        /// Counts up over all phases and threads.
        pub sequence: Option<Sequence>,
        /// A whole number between two bounds, both included: `[1, 10]`.
        pub uniform: Option<Spanned<Bounds>>,
        /// A rank from 1 to `n`, the k-th with weight `1 / k^s`.
        pub zipf: Option<Spanned<Zipf>>,
        /// One of a few texts.
        pub choice: Option<Spanned<Choices>>,
        /// Rows of a CSV file, the first line of which names the columns.
        pub csv: Option<Spanned<String>>,
        /// Lines of a file with a JSON value in each.
        pub jsonl: Option<Spanned<String>>,
        /// Which row or line a request gets; in order if left out.
        pub pick: Option<Pick>,
    }
    exactly_one ["sequence", "uniform", "zipf", "choice", "csv", "jsonl"];
    needs ["pick", "csv", "jsonl"];
}

record! {
    /// Whole numbers in order.
    pub struct Sequence {
        /// The first.
        pub from: u64 = 1,
    }
}

record! {
    /// Zipf's law.
    pub struct Zipf {
        /// How many ranks there are.
        pub n: u64,
        /// The exponent; 0 makes all ranks equal.
        pub s: f64,
    }
}

choice! {
    /// Which row or line a request gets.
    pub enum Pick {
        /// One after the other, from the first again in each phase.
        InOrder = "in-order",
        /// Any.
        Random = "random",
    }
}

untagged! {
    /// What to choose from.
    pub enum Choices {
        /// Texts, each as likely.
        Equal(NonEmpty<Text>) = sequence,
        /// Texts with their weights.
        Weighted(Map<ChoiceText, u32>) = mapping,
    }
}

/// A text to choose, as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceText(String);

impl AsRef<str> for ChoiceText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Key for ChoiceText {
    const PATTERN: &str = "^";

    fn parse(text: &str) -> Result<ChoiceText, NameError> {
        Ok(ChoiceText(text.to_owned()))
    }
}

/// The lowest and the highest of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest.
    pub min: i64,
    /// The highest.
    pub max: i64,
}

impl Decode for Bounds {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Bounds> {
        let Some([min, max]) = node.as_sequence() else {
            let error = match node.as_sequence() {
                Some(items) => {
                    Diagnostic::error(node.head, format!("expected two numbers, found {}", items.len()))
                }
                None => expected("two numbers", node),
            };
            diagnostics.push(error.help("write the lowest and the highest: [1, 10]"));
            return None;
        };
        let (min, max) = (i64::decode(min, diagnostics), i64::decode(max, diagnostics));
        Some(Bounds { min: min?, max: max? })
    }

    fn schema() -> Schema {
        json!({"type": "array", "items": i64::schema(), "minItems": 2, "maxItems": 2})
    }
}
