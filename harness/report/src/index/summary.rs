//! What an index needs to know of a run: a small part of its `run.json`.
//!
//! Everything else in the file, such as the histograms, is passed over unread: that is what makes a thousand runs quick.

use std::collections::BTreeMap;

use serde::Deserialize;
use squall_model::command;
use squall_model::record::{LoadMode, Machine, RunRecord, SCHEMA, Spoils, Verdict};

use crate::recording::ReportError;

/// A run in short.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Summary {
    schema: u32,
    pub(super) scenario: String,
    #[serde(default)]
    pub(super) about: String,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    command: String,
    pub(super) seed: u64,
    pub(super) started_at: String,
    pub(super) duration_us: u64,
    pub(super) revision: String,
    #[serde(default)]
    pub(super) quick: bool,
    pub(super) machine: Machine,
    pub(super) verdict: Verdict,
    pub(super) reasons: Vec<String>,
    pub(super) phases: Vec<Phase>,
    #[serde(default)]
    pub(super) merged: Option<Merged>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) start_us: u64,
    pub(super) end_us: u64,
    pub(super) measure: bool,
    pub(super) baseline: bool,
    pub(super) complete: bool,
    pub(super) load: BTreeMap<String, Load>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Load {
    pub(super) mode: LoadMode,
    pub(super) completed: u64,
    pub(super) throughput: f64,
    pub(super) response: Response,
    #[serde(default)]
    pub(super) invalid: Vec<String>,
    #[serde(default)]
    pub(super) spoils: Option<Spoils>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Response {
    pub(super) count: u64,
    pub(super) p99: Option<u64>,
}

/// That a record was merged, and from how many runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Merged {
    pub(super) runs: Vec<serde::de::IgnoredAny>,
}

impl Summary {
    /// Reads the text of a `run.json`.
    ///
    /// # Errors
    ///
    /// That it is no whole run record of this version.
    pub fn read(run_json: &[u8]) -> Result<Summary, ReportError> {
        let summary: Summary = serde_json::from_slice(run_json).map_err(ReportError::Record)?;
        match summary.schema {
            SCHEMA => Ok(summary),
            found => Err(ReportError::Schema { found }),
        }
    }

    /// The scenario's name.
    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// What was given with `--set` and changes what the scenario's text says, as it stands in the command line.
    pub(super) fn overrides(&self) -> &str {
        command::overrides(&self.command)
    }

    /// Whether it was a step of a search for capacity, at a rate that the scenario doesn't name.
    pub(super) fn is_probe(&self) -> bool {
        command::is_probe(&self.command)
    }
}

impl From<&RunRecord> for Summary {
    fn from(record: &RunRecord) -> Summary {
        let load = |load: &squall_model::record::LoadRecord| Load {
            mode: load.mode,
            completed: load.completed,
            throughput: load.throughput,
            response: Response {
                count: load.response.count,
                p99: load.response.p99,
            },
            invalid: load.invalid.clone(),
            spoils: load.spoils,
        };
        let phases = record.phases.iter().map(|phase| Phase {
            name: phase.name.clone(),
            start_us: phase.start_us,
            end_us: phase.end_us,
            measure: phase.measure,
            baseline: phase.baseline,
            complete: phase.complete,
            load: phase
                .load
                .iter()
                .map(|(name, one)| (name.clone(), load(one)))
                .collect(),
        });
        Summary {
            schema: record.schema,
            scenario: record.scenario.clone(),
            about: record.about.clone(),
            source: record.source.clone(),
            command: record.command.clone(),
            seed: record.seed,
            started_at: record.started_at.clone(),
            duration_us: record.duration_us,
            revision: record.revision.clone(),
            quick: record.quick,
            machine: record.machine.clone(),
            verdict: record.verdict,
            reasons: record.reasons.clone(),
            phases: phases.collect(),
            merged: record.merged.as_ref().map(|merged| Merged {
                runs: vec![serde::de::IgnoredAny; merged.runs.len()],
            }),
        }
    }
}
