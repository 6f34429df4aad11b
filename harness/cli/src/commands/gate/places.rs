//! Where both arms are on this machine: two revisions, both built; or one folder in which commands, addresses or settings differ.

use std::fs;
use std::path::{Path, PathBuf};

use squall_engine::plan::Plan;
use squall_engine::record::revision;
use squall_model::gate::{AcceptedRecord, ArmAbout, Both, MetricKind};
use squall_report::gate::metric::MetricId;

use super::rounds::Course;
use crate::arms::{Arm, Arms, ArmsError, Built, Request};
use crate::output;
use crate::scenarios::{self, Read, find};

/// Both places.
pub struct Places {
    /// Of each arm.
    pub both: Both<Place>,
    /// Regressions of this scenario that commits accept.
    pub accepted: Vec<AcceptedRecord>,
    /// Keeps the base from being cleared away.
    _arms: Option<Arms>,
}

/// Where an arm is.
#[derive(Clone, Debug)]
pub struct Place {
    /// What paths of the scenario are relative to; its own folder if nothing.
    pub folder: Option<PathBuf>,
    /// The program that serves bundled services, where it is not squall itself.
    pub server: Option<PathBuf>,
    /// What it is called.
    pub about: ArmAbout,
}

impl Places {
    /// Finds and builds them.
    pub fn of(course: &Course<'_>, written: &Read, plan: &Plan, folder: &Path) -> Result<Places, ArmsError> {
        let arguments = course.arguments;
        let file = find(&written.name);
        let scenario_folder = scenarios::folder_of(&file);
        let Some(base) = &arguments.base else {
            let differs = |changes: &[&[String]], address: &Option<String>| {
                let all = changes.iter().copied().flatten().chain(address);
                all.map(String::as_str).collect::<Vec<_>>().join(", ")
            };
            let base = differs(&[&arguments.base_cmd, &arguments.base_set], &arguments.base_at);
            let candidate = differs(
                &[&arguments.candidate_cmd, &arguments.candidate_set],
                &arguments.candidate_at,
            );
            if base == candidate && !arguments.quiet {
                output::note("nothing differs between the arms: this gate holds the same against itself");
            }
            let place = |about: String| Place {
                folder: None,
                server: None,
                about: ArmAbout {
                    about: if about.is_empty() {
                        "as the scenario has it".to_owned()
                    } else {
                        about
                    },
                    revision: revision(scenario_folder),
                    build_us: None,
                },
            };
            return Ok(Places {
                both: Both {
                    base: place(base),
                    candidate: place(candidate),
                },
                accepted: Vec::new(),
                _arms: None,
            });
        };
        let request = Request {
            scenario_folder,
            base,
            build: plan.gate.build.clone().map(|command| vec![command]),
            logs: folder,
            of_benchmarks: false,
            within: None,
            stop: &course.stop,
            environment: Vec::new(),
        };
        let (arms, about) = revisions(course, &request)?;
        let server = plan.gate.server.as_ref().or(arms.server.as_ref());
        let whole = fs::canonicalize(scenario_folder).unwrap_or_else(|_| scenario_folder.to_owned());
        let place = |arm: &Arm, about: ArmAbout| Place {
            folder: Some(arm.path_of(&whole)),
            server: server.as_ref().map(|server| arm.root.join(server)),
            about,
        };
        let both = Both {
            base: place(&arms.base, about.base),
            candidate: place(&arms.candidate, about.candidate),
        };
        Ok(Places {
            both,
            accepted: of_scenario(&arms.accepted, &plan.name),
            _arms: Some(arms),
        })
    }
}

/// Finds and builds both arms, telling what is done, and what each is called.
pub fn revisions(course: &Course<'_>, request: &Request<'_>) -> Result<(Arms, Both<ArmAbout>), ArmsError> {
    let mut tell = |text: &str| {
        if !course.arguments.quiet {
            output::note_paragraph(text);
        }
    };
    let arms = Arms::prepare(request, &mut tell)?;
    if arms.same {
        tell("nothing has changed since the base: this gate holds the same against itself");
    }
    let about = Both {
        base: about_of(&arms.base, request.base),
        candidate: about_of(&arms.candidate, "working tree"),
    };
    Ok((arms, about))
}

fn about_of(arm: &Arm, what: &str) -> ArmAbout {
    let about = format!("{what} at {}", arm.shown());
    ArmAbout {
        about,
        revision: arm.shown(),
        build_us: match arm.built {
            Built::Now(length) => Some(length.as_micros() as u64),
            Built::Cached | Built::Nothing => None,
        },
    }
}

/// What is accepted of this scenario, by the names that its metrics have.
fn of_scenario(accepted: &[AcceptedRecord], scenario: &str) -> Vec<AcceptedRecord> {
    let of_it = |one: &AcceptedRecord| match one.metric.split_once('/') {
        None => Some(one.clone()),
        Some((of, metric)) if of == scenario => Some(AcceptedRecord {
            metric: metric.to_owned(),
            ..one.clone()
        }),
        Some(_) => None,
    };
    let of_benchmarks = |metric: &str| MetricId::parse(metric).is_some_and(|id| id.kind == MetricKind::Time);
    let all = accepted.iter().filter_map(of_it);
    all.filter(|one| !of_benchmarks(&one.metric)).collect()
}
