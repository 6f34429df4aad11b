//! The gate itself: takes in block after block, and says whether to run another one, and what comes of it.
//!
//! [`Gate::take`] is told of a block and of the time that has passed; it never looks at a clock, and never decides but at a look
//! (`looks.rs`). `pilot.rs` chooses after the first look which metrics a pass waits for; `record.rs` writes down what is known,
//! also when somebody ended it; `words.rs` says it.
//!
//! A violated invariant needs no statistics: where the candidate violates one that the base kept, the gate is over.

mod pilot;
mod progress;
mod record;
mod settings;
mod words;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use squall_model::exit::Exit;
use squall_model::gate::{Arm, BlockRecord, GateEnd, GateVerdict};

use super::looks::{self, Levels, MOST_BLOCKS, Tests};
use super::metric::series::series;
use super::metric::{self, Readings};
use super::planner;
use super::signed_rank::Nulls;
use super::verdict::{self, Finding, Verdict};
use pilot::{PILOT, Tested};
use settings::Checked;

pub use pilot::MOST_DECIDING;
pub use progress::{MetricProgress, Progress};
pub use record::About;
pub use settings::{LimitOverride, Settings, SettingsError};

/// So many blocks in a row that don't count end the gate.
pub const BROKEN_IN_A_ROW: u32 = 5;

/// From so many blocks on, it ends where more than half don't count.
pub const BROKEN_OF: u32 = 10;

/// Blocks that count before their mean time is believed: the first one starts cold.
const TIMED_FROM: usize = 3;

/// What to do after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run another block.
    Block,
    /// Run none, for this reason.
    Stop(GateEnd),
}

/// A gate of one scenario, in progress.
#[derive(Debug)]
pub struct Gate {
    checked: Checked,
    /// All that were told of, those that don't count too.
    blocks: Vec<BlockRecord>,
    /// Of each block that counts.
    readings: Vec<Readings>,
    invalid: u32,
    invalid_in_a_row: u32,
    elapsed: Duration,
    /// Empty before the first look.
    tested: Vec<Tested>,
    look: Option<Look>,
    nulls: Nulls,
    /// What a look may spend; another rule only to show that the study would notice.
    levels: fn(usize, NonZeroU32) -> Option<Levels>,
}

/// The last look. Findings are in the order of the metrics that are tested.
#[derive(Clone, Debug)]
struct Look {
    blocks: usize,
    levels: Levels,
    /// By each metric's own limits: what is shown.
    own: Vec<Finding>,
    /// By the limits that accept what a commit accepts: what blocks, and what a pass waits for.
    accepting: Vec<Finding>,
}

impl Gate {
    /// Checks the settings; no block has run.
    pub fn new(settings: Settings) -> Result<Gate, SettingsError> {
        Ok(Gate {
            checked: Checked::new(settings)?,
            blocks: Vec::new(),
            readings: Vec::new(),
            invalid: 0,
            invalid_in_a_row: 0,
            elapsed: Duration::ZERO,
            tested: Vec::new(),
            look: None,
            nulls: Nulls::default(),
            levels: looks::levels,
        })
    }

    /// Takes in a block; `elapsed` is the time since the gate's start, builds not counted.
    pub fn take(&mut self, block: BlockRecord, elapsed: Duration) -> Next {
        let readings = block.is_valid().then(|| metric::read(&block));
        self.blocks.push(block);
        if self.violated().is_empty() {
            self.take_readings(readings, elapsed)
        } else {
            self.count(readings, elapsed);
            Next::Stop(GateEnd::Decided)
        }
    }

    /// The same of what was read from a block already, nothing for one that does not count: for studies with made-up blocks.
    pub fn take_readings(&mut self, readings: Option<Readings>, elapsed: Duration) -> Next {
        let counts = readings.is_some();
        self.count(readings, elapsed);
        if self.is_broken() {
            return Next::Stop(GateEnd::Broken);
        }
        let blocks = self.readings.len();
        if counts && let Some(levels) = (self.levels)(blocks, self.checked.settings().gates) {
            self.look(levels);
            if self.is_settled() {
                return Next::Stop(GateEnd::Decided);
            }
            if !self.tested.iter().any(Tested::decides) && !self.looks_worse() {
                return Next::Stop(GateEnd::Environment);
            }
        }
        if blocks >= self.most_blocks() {
            Next::Stop(GateEnd::Blocks)
        } else if self.is_in_time() {
            Next::Block
        } else {
            Next::Stop(GateEnd::Budget)
        }
    }

    /// What comes of it by what is known so far.
    pub fn verdict(&self) -> GateVerdict {
        if !self.violated().is_empty() {
            return GateVerdict::Regressed;
        }
        let Some(look) = &self.look else {
            return GateVerdict::Inconclusive;
        };
        if look.regressed() {
            return GateVerdict::Regressed;
        }
        let deciding: Vec<Finding> = self
            .tested
            .iter()
            .zip(&look.accepting)
            .filter(|(metric, _)| metric.decides())
            .map(|(_, finding)| *finding)
            .collect();
        verdict::overall(&deciding).into()
    }

    /// The blocks of the last look; zero before the first.
    pub fn looked_at(&self) -> usize {
        self.look.as_ref().map_or(0, |look| look.blocks)
    }

    /// The names of invariants that the candidate violated and the base, in all blocks so far, did not. A block that doesn't count
    /// because it was disturbed still shows a violation.
    fn violated(&self) -> BTreeSet<&str> {
        let of = |arm| -> BTreeSet<&str> {
            let arms = self.blocks.iter().map(|block| block.arms.of(arm));
            let violations = arms.flat_map(|arm| &arm.violations);
            violations.map(|violation| violation.invariant.as_str()).collect()
        };
        &of(Arm::Candidate) - &of(Arm::Base)
    }

    fn count(&mut self, readings: Option<Readings>, elapsed: Duration) {
        self.elapsed = elapsed;
        if let Some(readings) = readings {
            self.readings.push(readings);
            self.invalid_in_a_row = 0;
        } else {
            self.invalid += 1;
            self.invalid_in_a_row += 1;
        }
    }

    fn is_broken(&self) -> bool {
        let all = self.invalid + self.readings.len() as u32;
        self.invalid_in_a_row >= BROKEN_IN_A_ROW || (all >= BROKEN_OF && self.invalid * 2 > all)
    }

    /// Tests what the pilot chose to test, at the first look after choosing it.
    fn look(&mut self, levels: Levels) {
        let blocks = self.readings.len();
        if self.tested.is_empty() {
            self.tested = pilot::choose(&self.readings, &self.checked, self.affordable());
        }
        let mut own = Vec::with_capacity(self.tested.len());
        let mut accepting = Vec::with_capacity(self.tested.len());
        for metric in &self.tested {
            let changes = series(&self.readings, &metric.id, PILOT).until(blocks);
            let of = |limits| {
                verdict::Metric::new(&changes, limits)
                    .expect("the pilot took only metrics with values, which are finite, and looks end before a test has too many")
            };
            own.push(of(metric.limits));
            accepting.push(of(metric.accepting));
        }
        let judged = verdict::judge(&accepting, levels, &mut self.nulls);
        self.look = Some(Look {
            blocks,
            levels,
            own: if own == accepting {
                judged.clone()
            } else {
                verdict::judge(&own, levels, &mut self.nulls)
            },
            accepting: judged,
        });
    }

    /// A metric that is tested, by its name.
    fn tested(&self, name: &str) -> Option<&Tested> {
        self.tested.iter().find(|metric| metric.id.to_string() == name)
    }

    /// The smallest regression of it that 95 of 100 gates would see at a look like the last one; nothing where none.
    fn seen_from(&self, metric: &Tested) -> Option<f64> {
        let tests = Tests {
            gates: self.checked.settings().gates,
            metrics: self.tested.len(),
        };
        planner::smallest(metric.noise, metric.accepting, self.looked_at(), tests)
    }

    /// Whether no further block is of use. What looks worse and is not shown yet may be with more of them, so a pass waits for that; what
    /// all looks together may spend stays the same.
    fn is_settled(&self) -> bool {
        match self.verdict() {
            GateVerdict::Regressed => true,
            GateVerdict::Pass | GateVerdict::Improved => !self.looks_worse(),
            _ => false,
        }
    }

    /// Whether anything does.
    fn looks_worse(&self) -> bool {
        let found = self.look.iter().flat_map(|look| &look.accepting);
        found.into_iter().any(Finding::looks_worse)
    }

    /// What the last look found of a metric by the limits that accept what a commit accepts, by its name.
    fn accepting(&self, name: &str) -> Option<&Finding> {
        let at = self
            .tested
            .iter()
            .position(|metric| metric.id.to_string() == name)?;
        self.look.as_ref()?.accepting.get(at)
    }

    /// The most blocks that are of use: those of the last look that is allowed, or as many as are allowed where there is none.
    fn most_blocks(&self) -> usize {
        let most = self.checked.settings().most_blocks;
        let most = most.map_or(MOST_BLOCKS, |most| most.get() as usize);
        looks::last_until(most).unwrap_or(most)
    }

    /// What a block that counts takes on average, with the time of those that don't; nothing before the first.
    fn mean_block(&self) -> Option<Duration> {
        let blocks = self.readings.len() as u32;
        (blocks > 0).then(|| self.elapsed / blocks)
    }

    /// How many blocks that count there is time for in all.
    fn affordable(&self) -> usize {
        let blocks = self.readings.len();
        let left = self.checked.settings().budget.saturating_sub(self.elapsed);
        let more = match self.mean_block() {
            Some(mean) if !mean.is_zero() => (left.as_secs_f64() / mean.as_secs_f64()) as usize,
            _ => MOST_BLOCKS,
        };
        (blocks + more).min(self.most_blocks())
    }

    /// Whether the next look can be reached.
    fn is_in_time(&self) -> bool {
        let blocks = self.readings.len();
        if self.elapsed >= self.checked.settings().budget {
            return false;
        }
        let next = looks::first_from(blocks + 1).unwrap_or(MOST_BLOCKS);
        blocks < TIMED_FROM || self.affordable() >= next.min(self.most_blocks())
    }
}

impl Look {
    /// Whether any metric regressed by more than is accepted.
    fn regressed(&self) -> bool {
        let mut found = self.accepting.iter();
        found.any(|finding| finding.verdict == Verdict::Regressed)
    }
}

/// What a gate's end means for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether it may block: false under `--advise`.
    pub blocks_merge: bool,
    /// Whether it blocks where nothing could be said.
    pub fail_on_inconclusive: bool,
}

/// The exit code of a command that ran one gate; of several, [`Exit::gravest`].
pub fn exit(verdict: GateVerdict, violates_invariant: bool, policy: Policy) -> Exit {
    match verdict {
        _ if !policy.blocks_merge => Exit::Pass,
        GateVerdict::Regressed if violates_invariant => Exit::InvariantViolated,
        GateVerdict::Regressed => Exit::Regression,
        GateVerdict::Inconclusive if policy.fail_on_inconclusive => Exit::Invalid,
        GateVerdict::Pass | GateVerdict::Improved | GateVerdict::Inconclusive | GateVerdict::NoBase => {
            Exit::Pass
        }
    }
}

impl From<Verdict> for GateVerdict {
    fn from(verdict: Verdict) -> GateVerdict {
        match verdict {
            Verdict::Regressed => GateVerdict::Regressed,
            Verdict::Improved => GateVerdict::Improved,
            Verdict::Pass => GateVerdict::Pass,
            Verdict::Inconclusive => GateVerdict::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests;
