//! `bound`: how many moments there may be in how long.

use std::sync::Arc;
use std::time::Duration;

use squall_model::decode::{Decode, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Spanned;
use squall_model::units::{Count, human};

use super::reading::{self, OneOrMore};
use super::{Ground, Planned};
use crate::invariant::Limit;
use crate::plan::Check;

record! {
    /// How many moments there may be in how long.
    pub struct Bound {
        /// Where moments stand, as in `unique`: microseconds of one clock.
        pub values: OneOrMore,
        /// The most of them in any stretch.
        pub at_most: Count,
        /// The length of a stretch; 1s if left out.
        pub per: Option<Spanned<Duration>>,
    }
}

pub(super) fn schema() -> Schema {
    Bound::schema()
}

pub(super) fn plan(params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
    let written = Bound::decode(params, ground.diagnostics)?;
    let feeds = reading::values(&written.values, ground);
    let limit = limit(&written, ground.diagnostics)?;
    let (at_most, per) = (limit.at_most, human::duration(limit.per));
    Some(Planned {
        about: Some(format!("no stretch of {per} holds more than {at_most} moments")),
        check: Check::Values {
            kind: "bound",
            recipe: Arc::new(limit),
            feeds: feeds?,
        },
    })
}

fn limit(written: &Bound, diagnostics: &mut Diagnostics) -> Option<Limit> {
    let per = written.per.as_ref();
    if let Some(zero) = per.filter(|per| per.as_micros() == 0) {
        let message = "no moment fits into a stretch of this length";
        diagnostics.push(Diagnostic::error(zero.span, message).help("write at least `1us`"));
        return None;
    }
    Some(Limit {
        at_most: written.at_most.0,
        per: per.map_or(Duration::from_secs(1), |per| per.value),
    })
}
