//! A load: what is asked of a service, how often, and how a phase changes that.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::time::Duration;

use serde_json::json;

use super::data::Feed;
use crate::decode::{Decode, Kinded, Map, Schema, expected};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::Name;
use crate::node::Node;
use crate::span::Spanned;
use crate::units::{Quantity, Rate, Scale};
use crate::{record, untagged};

record! {
    /// Requests to a service.
    pub struct Load {
        /// The service that is asked.
        pub to: Spanned<Name>,
        /// Open loop: how many are sent, whatever becomes of them.
        pub rate: Option<Spanned<Rate>>,
        /// Closed loop: how many users, each waiting for its answer. It cannot see queueing.
        pub users: Option<Spanned<NonZeroU32>>,
        /// How long a user pauses after an answer.
        pub think: Option<Pause>,
        /// Open loop: how send times are spread; even if left out. Some need no `rate`.
        pub arrivals: Option<Arrivals>,
        /// The most connections, opened on demand.
        pub connections: Option<Spanned<NonZeroU32>>,
        /// How long a request may take; 30 s if left out.
        pub timeout: Option<Spanned<Duration>>,
        /// Values that differ from request to request, by the name of their placeholder.
        pub data: Map<Name, Feed> = Map::new(),
        ..
        /// The protocol and what is asked in it.
        pub protocol("http: { get: /path }")
    }
    at_least_one ["rate", "users", "arrivals"];
    at_most_one ["rate", "users"];
    at_most_one ["users", "arrivals"];
    needs ["think", "users"];
}

untagged! {
    /// How long a user pauses after an answer.
    pub enum Pause {
        /// Always as long.
        Fixed(Spanned<Duration>) = scalar,
        /// Drawn from the seed.
        Drawn(DrawnPause) = mapping,
    }
}

record! {
    /// What a pause is drawn from: uniform between two lengths, or exponential.
    pub struct DrawnPause {
        /// Uniform: the shortest.
        pub from: Option<Spanned<Duration>>,
        /// Uniform: the longest.
        pub to: Option<Spanned<Duration>>,
        /// Exponential: the mean; cut off at ten times that.
        pub exponential: Option<Spanned<Duration>>,
    }
    exactly_one ["from", "exponential"];
    needs ["from", "to"];
    needs ["to", "from"];
}

/// The process by which send times are spread.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals(pub Kinded);

impl Deref for Arrivals {
    type Target = Kinded;

    fn deref(&self) -> &Kinded {
        &self.0
    }
}

impl Decode for Arrivals {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Arrivals> {
        Kinded::decode(node, diagnostics).map(Arrivals)
    }

    fn schema() -> Schema {
        let mut schema = Kinded::schema();
        schema["title"] = json!("Arrivals");
        schema
    }
}

untagged! {
    /// How a phase changes a load.
    pub enum LoadOverride {
        /// So many times as much, or another rate: `5x`, `100/s`.
        Amount(Spanned<Amount>) = scalar,
        /// Several things at once.
        Change(LoadChange) = mapping,
    }
}

record! {
    /// What a phase changes of a load.
    pub struct LoadChange {
        /// Another rate, or so many times the load's own.
        pub rate: Option<Spanned<Amount>>,
        /// Another number of users.
        pub users: Option<Spanned<NonZeroU32>>,
        /// Another spread of send times.
        pub arrivals: Option<Arrivals>,
    }
    at_most_one ["rate", "users"];
}

/// A factor on what the load has, or a rate instead of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many times the load's own rate or users.
    Scale(Scale),
    /// A rate instead.
    Rate(Rate),
}

impl Decode for Amount {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Amount> {
        if node.as_str().is_some_and(|text| text.ends_with('x')) {
            return Scale::decode(node, diagnostics).map(Amount::Scale);
        }
        if node.as_str().is_some_and(|text| text.contains('/')) {
            return Rate::decode(node, diagnostics).map(Amount::Rate);
        }
        let number = node.as_scalar().filter(|scalar| scalar.as_float().is_some());
        diagnostics.push(match number {
            Some(number) => {
                let message = format!(
                    "{} has no unit: write {}x or {}/s",
                    number.shown(),
                    number.text,
                    number.text
                );
                Diagnostic::error(node.head, message)
            }
            None => expected("a factor such as 5x or a rate such as 100/s", node),
        });
        None
    }

    fn schema() -> Schema {
        json!({"anyOf": [
            {"type": "string", "pattern": Scale::FORM.pattern},
            {"type": "string", "pattern": Rate::FORM.pattern},
        ]})
    }
}
