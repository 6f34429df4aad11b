//! Invariants: the kinds that there are, those that bundled services promise and those that the scenario adds.
//!
//! A kind that takes more than values has a file here, for what is written, and its checker in [`crate::invariant`]. Where values stand
//! is said as [`reading`] has it.

mod bound;
mod reached;
mod reading;
mod split;
mod sticky;
mod transitions;

use std::sync::Arc;

use squall_load::{Extraction, Place};
use squall_model::decode::{Decode, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::node::Node;
use squall_model::record;
use squall_model::scenario::Scenario;

use self::reading::{OneOrMore, feed};
use super::names::Names;
use super::{Check, PlannedInvariant, PlannedLoad, PlannedService, Start};
use crate::catalogue::{Catalogue, CatalogueInvariant, Promise, ResponseValues};
use crate::invariant::{Agree, Make, Monotonic, Unique};

/// A kind of invariant that a scenario can name.
#[derive(Clone, Copy, Debug)]
pub struct InvariantKind {
    /// As written in a scenario.
    pub name: &'static str,
    /// One line for `squall list`.
    pub about: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// What an invariant takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Values in responses and nothing besides; so a bundled service can promise it.
    Values(Make),
    /// Something of its own.
    More {
        /// The schema of that.
        schema: fn() -> Schema,
        /// Reads and checks it.
        plan: fn(&Node, &mut Ground<'_>) -> Option<Planned>,
    },
}

/// Every kind of invariant, in the order in which they are listed.
pub static INVARIANTS: &[InvariantKind] = &[
    InvariantKind {
        name: "unique",
        about: "no value is ever seen twice, over all loads that feed it",
        takes: Takes::Values(|settings| Box::new(Unique::new(settings))),
    },
    InvariantKind {
        name: "monotonic",
        about: "a request sent after a response came back gets greater values than that response had",
        takes: Takes::Values(|settings| Box::new(Monotonic::new(settings))),
    },
    InvariantKind {
        name: "nondecreasing",
        about: "a request sent after a response came back gets values that are not less than that response had",
        takes: Takes::Values(|settings| Box::new(Monotonic::nondecreasing(settings))),
    },
    InvariantKind {
        name: "agree",
        about: "the values in one response are all the same",
        takes: Takes::Values(|settings| Box::new(Agree::new(settings))),
    },
    InvariantKind {
        name: "split",
        about: "values come in given shares, as when traffic is split by weights",
        takes: Takes::More {
            schema: split::schema,
            plan: split::plan,
        },
    },
    InvariantKind {
        name: "sticky",
        about: "a key always comes with the same value",
        takes: Takes::More {
            schema: sticky::schema,
            plan: sticky::plan,
        },
    },
    InvariantKind {
        name: "bound",
        about: "no stretch of a given length holds more than a given number of moments",
        takes: Takes::More {
            schema: bound::schema,
            plan: bound::plan,
        },
    },
    InvariantKind {
        name: "transitions",
        about: "what a service tells of changes its state only as it may",
        takes: Takes::More {
            schema: transitions::schema,
            plan: transitions::plan,
        },
    },
    InvariantKind {
        name: "reached",
        about: "the machinery under test engaged at least once, or the run proves nothing",
        takes: Takes::More {
            schema: reached::schema,
            plan: reached::plan,
        },
    },
];

impl InvariantKind {
    /// The schema of what it takes.
    pub fn schema(&self) -> Schema {
        match self.takes {
            Takes::Values(_) => Values::schema(),
            Takes::More { schema, .. } => schema(),
        }
    }

    fn plan(&self, params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
        let make = match self.takes {
            Takes::Values(make) => make,
            Takes::More { plan, .. } => return plan(params, ground),
        };
        let written = Values::decode(params, ground.diagnostics)?;
        Some(Planned::as_its_kind(Check::Values {
            kind: self.name,
            recipe: Arc::new(make),
            feeds: reading::values(&written.values, ground)?,
        }))
    }
}

/// What an invariant is planned on.
pub struct Ground<'a> {
    catalogue: &'a Catalogue,
    services: &'a [PlannedService],
    /// What is read out of their responses is added.
    loads: &'a mut [PlannedLoad],
    names: &'a Names,
    diagnostics: &'a mut Diagnostics,
}

/// An invariant as a scenario wrote it, checked.
pub struct Planned {
    check: Check,
    /// What it asks for with its figures, where its kind's line doesn't say all.
    about: Option<String>,
}

impl Planned {
    fn as_its_kind(check: Check) -> Planned {
        Planned { check, about: None }
    }
}

record! {
    /// Which values are checked.
    pub struct Values {
        /// Where they stand: `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, one or
        /// several.
        pub values: OneOrMore,
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
    let mut ground = Ground {
        catalogue,
        services,
        loads,
        names,
        diagnostics,
    };
    for (name, invariant) in &scenario.invariants {
        let kind = &invariant.kind;
        let Some(known) = INVARIANTS.iter().find(|known| known.name == kind.value) else {
            let help = suggest(&kind.value, INVARIANTS.iter().map(|known| known.name));
            let error = Diagnostic::error(
                kind.span,
                format!("there is no invariant called `{}`", kind.value),
            );
            ground.diagnostics.push(error.help_if(help));
            continue;
        };
        let one = known.plan(&invariant.params, &mut ground);
        planned.extend(one.map(|one| PlannedInvariant {
            service: String::new(),
            name: name.as_str().to_owned(),
            about: one.about.unwrap_or_else(|| known.about.to_owned()),
            check: one.check,
        }));
    }
    planned
}

/// What the bundled services of the scenario promise, where it can be seen.
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
    invariant: &CatalogueInvariant,
    (index, service): (usize, &str),
    loads: &mut [PlannedLoad],
) -> Option<Check> {
    let (kind, values) = match &invariant.promise {
        Promise::Values { kind, values } => (kind, values),
        Promise::Transitions(allowed) => {
            return Some(Check::Transitions {
                service: index,
                allowed: allowed.clone(),
            });
        }
    };
    let kind = INVARIANTS.iter().find(|known| known.name == kind)?;
    let Takes::Values(make) = kind.takes else {
        return None;
    };
    let mut feeds = Vec::new();
    for at in 0..loads.len() {
        let load = &loads[at];
        let path = load.asked.path.as_deref().and_then(|path| path.split('?').next());
        let found = values.iter().find(|values| Some(values.path.as_str()) == path);
        let extraction = found.filter(|_| load.to == service).and_then(extraction);
        feeds.extend(extraction.map(|extraction| feed(at, extraction, loads)));
    }
    (!feeds.is_empty()).then_some(Check::Values {
        kind: kind.name,
        recipe: Arc::new(make),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use squall_model::observation::ObservedBatch;

    use super::*;
    use crate::invariant::{Draws, Limit, Recipe, Settings, Shares, SplitRecipe, Verdict};

    #[test]
    fn each_kind_has_its_own_name_and_a_fresh_checker_never_passes() {
        let mut names: Vec<_> = INVARIANTS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), INVARIANTS.len());
        let plain = INVARIANTS.iter().filter_map(|kind| match kind.takes {
            Takes::Values(make) => Some((kind.name, Box::new(make) as Box<dyn Recipe>)),
            Takes::More { .. } => None,
        });
        let split = SplitRecipe {
            shares: Shares::from([("a".to_owned(), 1.0)]),
            draws: Draws::Responses,
        };
        let limit = Limit {
            at_most: 1,
            per: Duration::from_secs(1),
        };
        let more: [(&str, Box<dyn Recipe>); 3] = [
            ("sticky", Box::new(sticky::MAKE)),
            ("split", Box::new(split)),
            ("bound", Box::new(limit)),
        ];
        let recipes: Vec<_> = plain.chain(more).collect();
        // These judge no values; what they say of nothing is tested where they are.
        let mut covered = vec!["transitions", "reached"];
        covered.extend(recipes.iter().map(|(name, _)| *name));
        covered.sort_unstable();
        assert_eq!(covered, names, "a kind that is not looked at here");
        for (_, recipe) in recipes {
            let mut checker = recipe.make(Settings::default());
            assert!(checker.observe(&ObservedBatch::new(0)).is_empty());
            let outcome = checker.finish();
            assert_eq!(
                (outcome.checked, outcome.verdict),
                (0, Verdict::Unknown),
                "{recipe:?}"
            );
            assert!(!outcome.reason.is_empty(), "{recipe:?}");
        }
    }
}
