//! Invariants: those that bundled services promise and those that the scenario adds.
//!
//! `unique` and `monotonic` look at values in responses; which ones is said by
//!
//! ```text
//! values = LOAD ( "response" POINTER | "each" POINTER | "header" NAME | "regex" PATTERN )
//! ```
//!
//! where `response` takes the one value at the JSON pointer and `each` every element of the array there, `header` the header field
//! and `regex` what the pattern's first group takes of the body.

use squall_load::journey::Part;
use squall_load::pattern::PatternError;
use squall_load::{Extraction, Place, Pointer};
use squall_model::decode::{Decode, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::expression::Expression;
use squall_model::node::Node;
use squall_model::record;
use squall_model::scenario::Scenario;
use squall_model::span::{Span, Spanned};

use super::metrics::Names;
use super::{Check, PlannedInvariant, PlannedLoad, expectations};
use crate::catalogue::{Catalogue, CatalogueInvariant, ResponseValues};
use crate::invariant::{INVARIANTS, InvariantKind, Source};

record! {
    /// Which values are checked.
    pub struct Values {
        /// Where they stand: `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, one or
        /// several.
        pub values: OneOrMore,
    }
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMore(NonEmpty<Spanned<String>>);

impl Decode for OneOrMore {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<OneOrMore> {
        match node.as_sequence() {
            Some(_) => NonEmpty::decode(node, diagnostics).map(OneOrMore),
            None => Spanned::decode(node, diagnostics)
                .and_then(|one| NonEmpty::new(vec![one]))
                .map(OneOrMore),
        }
    }

    fn schema() -> Schema {
        serde_json::json!({"anyOf": [String::schema(), NonEmpty::<String>::schema()]})
    }
}

/// The schema of what an invariant of `kind` takes.
pub fn schema(kind: &InvariantKind) -> Schema {
    match kind.source {
        Source::Responses(_) => Values::schema(),
        Source::Services => Expression::schema(),
    }
}

/// The invariants; adds their names to `names` and what they need read out of responses to `loads`.
pub(super) fn compile(
    scenario: &Scenario,
    catalogue: &Catalogue,
    loads: &mut [PlannedLoad],
    names: &mut Names,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedInvariant> {
    let mut planned = promised(scenario, catalogue, loads, diagnostics);
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
        let check = match known.source {
            Source::Services => reached(&invariant.params, names, diagnostics),
            Source::Responses(_) => values(known, &invariant.params, loads, diagnostics),
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

fn values(
    kind: &'static InvariantKind,
    params: &Node,
    loads: &mut [PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Option<Check> {
    let written = Values::decode(params, diagnostics)?;
    let mut fed = Vec::new();
    for text in &written.values.0 {
        let Some((load, extraction)) = source(text, loads, diagnostics) else {
            continue;
        };
        if read(&mut loads[load], extraction, text.span, diagnostics) && !fed.contains(&load) {
            fed.push(load);
        }
    }
    Some(Check::Values { kind, loads: fed })
}

/// Reads `LOAD response POINTER` and its like.
fn source(
    text: &Spanned<String>,
    loads: &[PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Option<(usize, Extraction)> {
    let mut words = text.trim().splitn(3, |one: char| one.is_ascii_whitespace());
    let (Some(load), Some(how @ ("response" | "each" | "header" | "regex")), Some(place)) =
        (words.next(), words.next(), words.next().map(str::trim))
    else {
        let error = Diagnostic::error(
            text.span,
            format!("`{}` does not say where values stand", text.value),
        );
        diagnostics.push(error.help(
            "write `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, such as \
             `single response /id`",
        ));
        return None;
    };
    let Some(index) = loads.iter().position(|one| one.name == *load) else {
        let error = Diagnostic::error(text.span, format!("there is no load called `{load}`"));
        diagnostics.push(error.help_if(suggest(load, loads.iter().map(|one| one.name.as_str()))));
        return None;
    };
    if let Part::Journey(journey) = loads[index].asked.protocol.part() {
        let error = Diagnostic::error(
            text.span,
            format!("`{load}` is a journey, whose steps have the answers"),
        );
        let step = journey
            .steps
            .first()
            .map(|step| format!("name one of them, such as `{load}.{}`", step.name));
        diagnostics.push(error.help_if(step));
        return None;
    }
    let pointer = || place.parse::<Pointer>().map_err(|e| e.to_string());
    let extraction = match how {
        "response" => pointer().map(|pointer| Extraction::One(Place::Json(pointer))),
        "each" => pointer().map(Extraction::Each),
        "header" => Ok(Extraction::One(Place::Header(place.to_owned()))),
        _ => place
            .parse()
            .map(|pattern| Extraction::One(Place::Regex(pattern)))
            .map_err(|e: PatternError| e.to_string()),
    };
    extraction
        .map_err(|e| diagnostics.push(Diagnostic::error(text.span, e)))
        .ok()
        .map(|extraction| (index, extraction))
}

/// Has `load` read one more thing out of its responses.
fn read(load: &mut PlannedLoad, extraction: Extraction, span: Span, diagnostics: &mut Diagnostics) -> bool {
    if load.extract.first().is_some_and(|first| *first != extraction) {
        let message = format!("the responses to `{}` are already read in another way", load.name);
        let error = Diagnostic::error(span, message);
        diagnostics
            .push(error.help("this version reads one kind of value from a load; split it into two loads"));
        return false;
    }
    if load.extract.is_empty() {
        load.extract.push(extraction);
    }
    true
}

/// What the bundled services of the scenario promise, where a load looks at it.
fn promised(
    scenario: &Scenario,
    catalogue: &Catalogue,
    loads: &mut [PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedInvariant> {
    let mut planned = Vec::new();
    for (name, service) in &scenario.services {
        let bundled = service
            .bundled
            .as_ref()
            .and_then(|bundled| catalogue.service(bundled.as_str()));
        for promise in bundled.iter().flat_map(|bundled| &bundled.invariants) {
            let check = promise_check(promise, name.as_str(), name.span, loads, diagnostics);
            planned.extend(check.map(|check| PlannedInvariant {
                service: name.as_str().to_owned(),
                name: promise.name.clone(),
                about: promise.about.clone(),
                check,
            }));
        }
    }
    planned
}

/// The check of a promise over the loads that call its service; nothing if none does, since there is nothing to see.
fn promise_check(
    promise: &CatalogueInvariant,
    service: &str,
    span: Span,
    loads: &mut [PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Option<Check> {
    let kind = INVARIANTS.iter().find(|known| known.name == promise.kind)?;
    let mut fed = Vec::new();
    for (index, load) in loads
        .iter_mut()
        .enumerate()
        .filter(|(_, load)| load.to == service)
    {
        let Some(path) = load.asked.path.as_deref().and_then(|path| path.split('?').next()) else {
            continue;
        };
        let Some(values) = promise.values.iter().find(|values| values.path == path) else {
            continue;
        };
        if let Some(extraction) = extraction(values)
            && read(load, extraction, span, diagnostics)
        {
            fed.push(index);
        }
    }
    (!fed.is_empty()).then_some(Check::Values { kind, loads: fed })
}

fn extraction(values: &ResponseValues) -> Option<Extraction> {
    let pointer = values.pointer.parse().ok()?;
    Some(if values.each {
        Extraction::Each(pointer)
    } else {
        Extraction::One(Place::Json(pointer))
    })
}
