//! `squall baseline list`: what is stored, of which machine, and what of it is of this one.

use std::path::Path;

use serde::Serialize;

use crate::arguments::BaselineListArguments;
use crate::baseline_files::{self, this_machine};
use crate::output;

/// A line of the list.
#[derive(Serialize)]
struct Listed {
    scenario: String,
    machine: String,
    this_machine: bool,
    file: String,
    #[serde(flatten)]
    holds: Holds,
}

/// What the file holds.
#[derive(Serialize)]
#[serde(untagged)]
enum Holds {
    Entries {
        entries: usize,
        runs: usize,
        saved_at: String,
        measured_at: String,
        revision: String,
    },
    Nothing {
        unreadable: String,
    },
}

/// Prints the list.
pub fn run(arguments: &BaselineListArguments) -> anyhow::Result<()> {
    let listed = listed(&arguments.dir)?;
    if arguments.json {
        output::line(&serde_json::to_string_pretty(&listed)?);
        return Ok(());
    }
    if listed.is_empty() {
        output::line(&format!(
            "no baseline is stored in {}; `squall baseline save SCENARIO` stores the scenario's newest run",
            arguments.dir.display()
        ));
        return Ok(());
    }
    let widest = |of: fn(&Listed) -> usize| listed.iter().map(of).max().unwrap_or_default();
    let (scenario, machine) = (widest(|one| one.scenario.len()), widest(|one| one.machine.len()));
    for one in &listed {
        let mark = if one.this_machine { '*' } else { ' ' };
        let holds = match &one.holds {
            Holds::Entries {
                entries,
                saved_at,
                revision,
                ..
            } => format!(
                "{entries:>3} {} newest {saved_at}, revision {}",
                if *entries == 1 { "entry,  " } else { "entries," },
                output::harmless(revision)
            ),
            Holds::Nothing { unreadable } => output::harmless(unreadable),
        };
        output::line(&format!(
            "{mark} {:scenario$}  {:machine$}  {holds}",
            one.scenario, one.machine
        ));
    }
    if listed.iter().any(|one| one.this_machine) {
        output::line("* of this machine: what expectations here are held to");
    } else {
        output::line(&format!("none is of this machine, {}", this_machine()));
    }
    Ok(())
}

/// Everything that is stored, by scenario; what can't be read says so.
fn listed(folder: &Path) -> anyhow::Result<Vec<Listed>> {
    let here = this_machine();
    let mut listed = Vec::new();
    for machine in baseline_files::machines(folder)? {
        for scenario in baseline_files::scenarios_of(folder, &machine)? {
            let holds = match baseline_files::read(folder, &machine, &scenario) {
                Ok(Some(baseline)) => baseline.newest().map(|newest| Holds::Entries {
                    entries: baseline.entries.len(),
                    runs: newest.runs.len(),
                    saved_at: newest.saved_at.clone(),
                    measured_at: newest.measured_at.clone(),
                    revision: newest.revision.clone(),
                }),
                // It went while it was looked at.
                Ok(None) => None,
                Err(error) => Some(Holds::Nothing {
                    unreadable: format!("{error:#}"),
                }),
            };
            listed.extend(holds.map(|holds| {
                Listed {
                    file: baseline_files::file(folder, &machine, &scenario)
                        .display()
                        .to_string(),
                    this_machine: machine == here,
                    machine: machine.clone(),
                    scenario,
                    holds,
                }
            }));
        }
    }
    listed.sort_by(|a, b| {
        (&a.scenario, !a.this_machine, &a.machine).cmp(&(&b.scenario, !b.this_machine, &b.machine))
    });
    Ok(listed)
}
