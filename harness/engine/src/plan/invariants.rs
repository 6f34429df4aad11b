//! Invariants: those that bundled services promise and those that the scenario adds. Where values stand is said as [`reading`] has it.

mod reading;

use std::time::Duration;

use squall_load::{Extraction, Place};
use squall_model::decode::{Decode, Key, Map, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::expression::Expression;
use squall_model::name::{Name, NameError};
use squall_model::node::Node;
use squall_model::record;
use squall_model::scenario::Scenario;
use squall_model::span::Spanned;
use squall_model::units::{Count, Ratio};

use self::reading::{OneOrMore, feed, feeds};
use super::metrics::Names;
use super::{Check, PlannedInvariant, PlannedLoad, PlannedService, Start, expectations};
use crate::catalogue::{Catalogue, CatalogueInvariant, ResponseValues};
use crate::invariant::{Arrow, ArrowError, Checker, Draws, INVARIANTS, InvariantKind, Limit, Shares, Source};

record! {
    /// Which values are checked.
    pub struct Values {
        /// Where they stand: `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, one or
        /// several.
        pub values: OneOrMore,
    }
}

record! {
    /// In which shares values come.
    pub struct SplitSpec {
        /// Where they stand, as in `unique`.
        pub values: OneOrMore,
        /// The part of all that each value is to be; together 100 %.
        pub shares: Spanned<Map<Value, Ratio>>,
        /// Where the key of a response stands, such as `header x-user-id`: then each key counts once.
        pub key: Option<Spanned<String>>,
    }
}

record! {
    /// Which values stay with their keys.
    pub struct StickySpec {
        /// Where the key of a response stands: `response POINTER`, `header NAME` or `regex PATTERN`.
        pub key: Spanned<String>,
        /// Where its value stands, as in `unique`.
        pub values: OneOrMore,
    }
}

record! {
    /// How many moments there may be in how long.
    pub struct BoundSpec {
        /// Where moments stand, as in `unique`: microseconds of one clock.
        pub values: OneOrMore,
        /// The most of them in any stretch.
        pub at_most: Count,
        /// The length of a stretch; 1s if left out.
        pub per: Option<Spanned<Duration>>,
    }
}

record! {
    /// How a service may change its states.
    pub struct TransitionsSpec {
        /// The service, a bundled one.
        pub of: Spanned<Name>,
        /// The changes that may be, each as `FROM -> TO`.
        pub allowed: NonEmpty<Spanned<String>>,
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

/// The schema of what an invariant of `kind` takes.
pub fn schema(kind: &InvariantKind) -> Schema {
    match kind.source {
        Source::Values(_) => Values::schema(),
        Source::Shares => SplitSpec::schema(),
        Source::Keyed => StickySpec::schema(),
        Source::Moments => BoundSpec::schema(),
        Source::Changes => TransitionsSpec::schema(),
        Source::Metrics => Expression::schema(),
    }
}

/// The invariants; adds their names to `names` and what they need read out of responses to `loads`.
pub(super) fn compile(
    scenario: &Scenario,
    catalogue: &Catalogue,
    services: &[PlannedService],
    loads: &mut [PlannedLoad],
    names: &mut Names,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedInvariant> {
    let mut planned = promised(services, catalogue, loads);
    names.invariants = planned.iter().map(PlannedInvariant::path).collect();
    for (name, invariant) in &scenario.invariants {
        let kind = &invariant.kind;
        let Some(known) = INVARIANTS.iter().find(|known| known.name == kind.value) else {
            let help = suggest(&kind.value, INVARIANTS.iter().map(|known| known.name));
            let error = Diagnostic::error(
                kind.span,
                format!("there is no invariant called `{}`", kind.value),
            );
            diagnostics.push(error.help_if(help));
            continue;
        };
        let params = &invariant.params;
        let check = match known.source {
            Source::Metrics => reached(params, names, diagnostics),
            Source::Changes => transitions(params, services, diagnostics),
            _ => values(known, params, loads, diagnostics),
        };
        planned.extend(check.map(|check| PlannedInvariant {
            service: String::new(),
            name: name.as_str().to_owned(),
            about: known.about.to_owned(),
            check,
        }));
    }
    planned
}

fn reached(params: &Node, names: &Names, diagnostics: &mut Diagnostics) -> Option<Check> {
    let expression: Spanned<Expression> = Spanned::decode(params, diagnostics)?;
    let condition = expectations::condition(&expression, names, diagnostics)?;
    if condition.limit.is_none() {
        let message = format!(
            "`{}` is judged on its own: it is nothing to be reached",
            expression.path
        );
        let error = Diagnostic::error(expression.span, message);
        diagnostics.push(error.help("compare a metric, such as `SERVICE.metrics.NAME >= 1`"));
        return None;
    }
    Some(Check::Reached { condition })
}

/// A check of values in responses.
fn values(
    kind: &'static InvariantKind,
    params: &Node,
    loads: &mut [PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Option<Check> {
    let (checker, feeds) = match kind.source {
        Source::Values(make) => {
            let written = Values::decode(params, diagnostics)?;
            let feeds = feeds(&written.values, None, loads, diagnostics)?;
            (Checker::Plain(make), feeds)
        }
        Source::Shares => {
            let written = SplitSpec::decode(params, diagnostics)?;
            let feeds = feeds(&written.values, written.key.as_ref(), loads, diagnostics)?;
            let draws = written.key.as_ref().map_or(Draws::Responses, |_| Draws::Keys);
            (
                Checker::Split(shares(&written.shares, diagnostics)?, draws),
                feeds,
            )
        }
        Source::Keyed => {
            let written = StickySpec::decode(params, diagnostics)?;
            let feeds = feeds(&written.values, Some(&written.key), loads, diagnostics)?;
            (Checker::Sticky, feeds)
        }
        Source::Moments => {
            let written = BoundSpec::decode(params, diagnostics)?;
            let feeds = feeds(&written.values, None, loads, diagnostics)?;
            (Checker::Bound(limit(&written, diagnostics)?), feeds)
        }
        Source::Changes | Source::Metrics => return None,
    };
    Some(Check::Values { kind, checker, feeds })
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
    let message = format!("the shares are {} together", Ratio::new(sum));
    diagnostics.push(
        Diagnostic::error(written.span, message)
            .help("give every value that may come its share, 100% together"),
    );
    None
}

fn limit(written: &BoundSpec, diagnostics: &mut Diagnostics) -> Option<Limit> {
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

fn transitions(params: &Node, services: &[PlannedService], diagnostics: &mut Diagnostics) -> Option<Check> {
    let written = TransitionsSpec::decode(params, diagnostics)?;
    let of = &written.of;
    let Some(service) = services
        .iter()
        .position(|service| service.name == of.value.as_str())
    else {
        let error = Diagnostic::error(of.span, format!("there is no service called `{}`", of.value));
        let names = services.iter().map(|service| service.name.as_str());
        diagnostics.push(error.help_if(suggest(of.value.as_str(), names)));
        return None;
    };
    if !matches!(services[service].start, Start::Bundled { .. }) {
        let message = format!("`{}` tells nobody of its states", of.value);
        diagnostics.push(
            Diagnostic::error(of.span, message).help("only bundled services do, on their admin endpoint"),
        );
        return None;
    }
    let mut allowed = Vec::new();
    for arrow in &written.allowed {
        match arrow.parse() {
            Ok(arrow) => allowed.push(arrow),
            Err(error) => {
                let error: ArrowError = error;
                diagnostics.push(Diagnostic::error(arrow.span, error.to_string()));
            }
        }
    }
    Some(Check::Transitions { service, allowed })
}

/// What the bundled services of the scenario promise, where a load looks at it.
fn promised(
    services: &[PlannedService],
    catalogue: &Catalogue,
    loads: &mut [PlannedLoad],
) -> Vec<PlannedInvariant> {
    let mut planned = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let Start::Bundled { service: bundled, .. } = &service.start else {
            continue;
        };
        let bundled = catalogue.service(bundled);
        for promise in bundled.iter().flat_map(|bundled| &bundled.invariants) {
            let check = promise_check(promise, (index, &service.name), loads);
            planned.extend(check.map(|check| PlannedInvariant {
                service: service.name.clone(),
                name: promise.name.clone(),
                about: promise.about.clone(),
                check,
            }));
        }
    }
    planned
}

/// The check of a promise: over the loads that call its service, and nothing if none does, since there is nothing to see; or over
/// what the service tells.
fn promise_check(
    promise: &CatalogueInvariant,
    (index, service): (usize, &str),
    loads: &mut [PlannedLoad],
) -> Option<Check> {
    let kind = INVARIANTS.iter().find(|known| known.name == promise.kind)?;
    let make = match kind.source {
        Source::Values(make) => make,
        Source::Changes => {
            let allowed: Result<Vec<Arrow>, ArrowError> =
                promise.allowed.iter().map(|arrow| arrow.parse()).collect();
            let allowed = allowed.ok()?;
            return Some(Check::Transitions {
                service: index,
                allowed,
            });
        }
        Source::Shares | Source::Keyed | Source::Moments | Source::Metrics => return None,
    };
    let mut feeds = Vec::new();
    for at in 0..loads.len() {
        let load = &loads[at];
        let path = load.asked.path.as_deref().and_then(|path| path.split('?').next());
        let values = promise
            .values
            .iter()
            .find(|values| Some(values.path.as_str()) == path);
        let extraction = values.filter(|_| load.to == service).and_then(extraction);
        feeds.extend(extraction.map(|extraction| feed(at, extraction, loads)));
    }
    (!feeds.is_empty()).then_some(Check::Values {
        kind,
        checker: Checker::Plain(make),
        feeds,
    })
}

fn extraction(values: &ResponseValues) -> Option<Extraction> {
    let pointer = values.pointer.parse().ok()?;
    Some(if values.each {
        Extraction::Each(pointer)
    } else {
        Extraction::One(Place::Json(pointer))
    })
}
