//! `journey:`: users who go through several requests in turn, each with its share of them.
//!
//! What is read here knows neither the load's name nor its place: `plan::loads` makes a load of each step.

use std::num::NonZeroU32;
use std::sync::Arc;

use squall_load::http1::RequestTemplate;
use squall_load::journey::{Journey, ROUTES_MAX, Route, STEPS_MAX, Step, WEIGHT_MAX};
use squall_load::{Pattern, Place, Pointer};
use squall_model::decode::{Decode, Map, NonEmpty};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::node::Node;
use squall_model::record;
use squall_model::scenario::Pause;
use squall_model::span::{Span, Spanned};

use super::{Asked, Http, http};
use crate::plan::checks::Check;
use crate::plan::data::Data;
use crate::plan::names::of_a_load;
use crate::plan::think::think;

/// The routes of a load's users.
pub type Routes = NonEmpty<WrittenRoute>;

record! {
    /// One way that users go, over and over.
    pub struct WrittenRoute {
        /// What it is called.
        pub name: Spanned<Name>,
        /// Its share of the users, beside the weights of the other routes.
        pub weight: Spanned<NonZeroU32> = Spanned::new(NonZeroU32::MIN, Span::default()),
        /// How long a user pauses after each answer; the load's own `think` if left out.
        pub think: Option<Pause>,
        /// What is asked, in order.
        pub steps: NonEmpty<WrittenStep>,
    }
}

record! {
    /// One request of a route.
    pub struct WrittenStep {
        /// What it is called: its numbers are those of `LOAD.STEP`.
        pub step: Spanned<Name>,
        /// The request.
        pub http: StepHttp,
        /// What to take from its answer, by the name under which later steps of the route use it.
        pub take: Map<Name, Take> = Map::new(),
        /// What an answer must be.
        pub check: Option<Spanned<Check>>,
    }
}

/// The request of a step, read where the names that it may use are known.
#[derive(Clone, Debug, PartialEq)]
pub struct StepHttp(Node);

impl Decode for StepHttp {
    fn decode(node: &Node, _: &mut Diagnostics) -> Option<StepHttp> {
        Some(StepHttp(node.clone()))
    }

    fn schema() -> squall_model::decode::Schema {
        Http::schema()
    }
}

record! {
    /// Where a value stands in an answer.
    pub struct Take {
        /// A text, number or boolean at this pointer of a JSON body.
        pub json: Option<Spanned<String>>,
        /// The first header field of this name.
        pub header: Option<Spanned<String>>,
        /// What the first group of this expression takes of the body.
        pub regex: Option<Spanned<String>>,
    }
    exactly_one ["json", "header", "regex"];
}

impl Take {
    fn place(&self, diagnostics: &mut Diagnostics) -> Option<Place> {
        let (read, span) = match (&self.json, &self.header, &self.regex) {
            (Some(json), ..) => {
                let pointer = json.parse::<Pointer>().map_err(|error| error.to_string());
                (pointer.map(Place::Json), json.span)
            }
            (_, Some(header), _) => (Ok(Place::Header(header.value.clone())), header.span),
            (.., Some(regex)) => {
                let pattern = regex.parse::<Pattern>().map_err(|error| error.to_string());
                (pattern.map(Place::Regex), regex.span)
            }
            _ => return None,
        };
        read.map_err(|problem| diagnostics.push(Diagnostic::error(span, problem)))
            .ok()
    }
}

/// Reads what the users of a load do.
pub(super) fn decode(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let found = diagnostics.error_count();
    let routes = Routes::decode(node, diagnostics)?;
    if routes.len() > ROUTES_MAX {
        let message = format!("a load has at most {ROUTES_MAX} routes");
        diagnostics.push(Diagnostic::error(node.head, message));
    }
    let mut journey = Journey {
        routes: Vec::new(),
        steps: Vec::new(),
        first: 0,
        feeds: data.feeds(),
    };
    let mut names = Vec::new();
    for route in &*routes {
        check_new(&route.name, "routes", &mut names, diagnostics);
    }
    names.clear();
    for route in &*routes {
        add(route, &mut journey, &mut names, data, diagnostics);
    }
    journey.feeds = data.feeds();
    let shown: Vec<&str> = journey.routes.iter().map(|route| route.name.as_str()).collect();
    let shown = format!("journeys {}", shown.join(", "));
    (diagnostics.error_count() == found).then(|| Asked {
        shown,
        path: None,
        holds: false,
        protocol: Arc::new(journey),
    })
}

/// Reports a name that one before has.
fn check_new(name: &Spanned<Name>, of: &str, names: &mut Vec<Spanned<Name>>, diagnostics: &mut Diagnostics) {
    if let Some(first) = names.iter().find(|known| known.value == name.value) {
        let error = Diagnostic::error(name.span, format!("two {of} are called `{}`", name.value));
        diagnostics.push(error.also(first.span, "first here"));
    }
    names.push(name.clone());
}

/// Reports a step's name that stands for something measured of its load.
fn check_free(name: &Spanned<Name>, diagnostics: &mut Diagnostics) {
    let measured = of_a_load();
    if measured.iter().any(|one| one == name.value.as_str()) {
        let message = format!(
            "`{}` is what is measured of a load, and no name for a step",
            name.value
        );
        diagnostics.push(Diagnostic::error(name.span, message));
    }
}

/// Adds a route and its steps.
fn add(
    written: &WrittenRoute,
    journey: &mut Journey,
    names: &mut Vec<Spanned<Name>>,
    data: &mut Data,
    diagnostics: &mut Diagnostics,
) {
    if written.steps.len() > STEPS_MAX {
        let message = format!("a route has at most {STEPS_MAX} steps");
        diagnostics.push(Diagnostic::error(written.name.span, message));
    }
    let weight = written.weight.get();
    if weight > WEIGHT_MAX {
        let message = format!("a weight is at most {WEIGHT_MAX}");
        diagnostics.push(Diagnostic::error(written.weight.span, message));
    }
    data.forget_taken();
    let first = journey.steps.len();
    for step in &*written.steps {
        check_new(&step.step, "steps", names, diagnostics);
        check_free(&step.step, diagnostics);
        journey.steps.extend(read_step(step, data, diagnostics));
    }
    data.forget_taken();
    journey.routes.push(Route {
        name: written.name.value.to_string(),
        weight,
        think: written.think.as_ref().map(|pause| think(pause, diagnostics)),
        steps: (first..journey.steps.len()).collect(),
    });
}

fn read_step(step: &WrittenStep, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Step> {
    let request = http::step(&step.http.0, data, diagnostics);
    let checks = step
        .check
        .as_ref()
        .map(|check| (check.value.compile(check.span, diagnostics), check.span));
    let mut takes = Vec::new();
    for (name, take) in &step.take {
        let place = take.place(diagnostics);
        let Some(number) = data.take(name.as_str()) else {
            let message = format!("`{}` is one of the load's data already", name.value);
            diagnostics.push(Diagnostic::error(name.span, message).help("take it under another name"));
            continue;
        };
        takes.extend(place.map(|place| (number, place)));
    }
    let mut request: RequestTemplate = request?;
    if let Some((checks, span)) = checks {
        if request.checks.is_empty() {
            request.checks = checks;
        } else {
            let error = Diagnostic::error(span, "the step's request has a `check` of its own");
            diagnostics.push(error.help("keep one of the two"));
        }
    }
    Some(Step {
        name: step.step.value.to_string(),
        request,
        takes,
    })
}
