//! What is known while a gate goes on, for a line on a screen. It informs: nothing here decides.

use std::time::Duration;

use squall_model::gate::{GateVerdict, MetricScale};

use super::super::limits::shown;
use super::super::looks;
use super::super::metric::series::series;
use super::super::signed_rank::Sample;
use super::Gate;
use super::pilot::{self, PILOT};

/// How far a gate is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Blocks that count.
    pub blocks: usize,
    /// Blocks that don't.
    pub invalid: u32,
    /// The blocks of the last look; zero before the first.
    pub looked_at: usize,
    /// After how many blocks it looks next; absent after the last look.
    pub next_look: Option<usize>,
    /// What a block that counts takes on average; absent before the first.
    pub mean_block: Option<Duration>,
    /// Every metric that has a value, in order.
    pub metrics: Vec<MetricProgress>,
}

/// How far a metric is.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricProgress {
    /// `refresh.p99`.
    pub name: String,
    /// How the arms are held against each other.
    pub scale: MetricScale,
    /// The estimate by all blocks so far: a ratio, or a difference. No verdict rests on it between looks.
    pub estimate: f64,
    /// Blocks that have a value.
    pub blocks: usize,
    /// Whether a pass waits for it; false for all before the first look.
    pub decides: bool,
    /// What the last look made of it; absent before the first, and where it is not tested.
    pub verdict: Option<GateVerdict>,
    /// Blocks it takes to see a regression of the tolerated size; absent before the first look.
    pub needed: Option<f64>,
    /// The time that takes from the gate's start.
    pub needed_time: Option<Duration>,
}

impl Gate {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        let blocks = self.readings.len();
        let next_look = looks::first_from(blocks + 1);
        Progress {
            blocks,
            invalid: self.invalid,
            looked_at: self.looked_at(),
            next_look: next_look.filter(|next| *next <= self.most_blocks()),
            mean_block: self.mean_block(),
            metrics: self.metrics_progress(),
        }
    }

    fn metrics_progress(&self) -> Vec<MetricProgress> {
        let ids = pilot::ids(&self.readings);
        let of = |id| {
            let changes = series(&self.readings, &id, PILOT).until(self.readings.len());
            let sample = Sample::new(&changes).ok()?;
            let at = self.tested.iter().position(|metric| metric.id == id);
            let tested = at.map(|at| &self.tested[at]);
            let needed = tested.map(|metric| metric.plan.needed);
            let finding = at.and_then(|at| Some(self.look.as_ref()?.own[at]));
            Some(MetricProgress {
                name: id.to_string(),
                scale: id.scale(),
                estimate: shown(id.scale(), sample.estimate()),
                blocks: changes.len(),
                decides: tested.is_some_and(pilot::Tested::decides),
                verdict: finding.map(|finding| finding.verdict.into()),
                needed,
                needed_time: needed.and_then(|needed| self.time_of(needed)),
            })
        };
        ids.into_iter().filter_map(of).collect()
    }

    /// What so many blocks take from the gate's start; nothing before the first block, or where it is more than any clock can tell.
    pub(super) fn time_of(&self, blocks: f64) -> Option<Duration> {
        Duration::try_from_secs_f64(self.mean_block()?.as_secs_f64() * blocks).ok()
    }
}
