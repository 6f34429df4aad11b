//! The record of a gate: `gate.json`, what its blocks measured and what was made of it.
//!
//! A [`BlockRecord`] is all that passes from the engine, which runs a block, to whoever decides whether the blocks so far suffice; a
//! [`GateRecord`] is all that passes from deciding to showing. Names are a contract with what reads the file: durations in
//! microseconds, ratios as candidate over base, shares 0..1. What was not measured is `null` or absent, never zero.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::Machine;

/// Version of the document's shape.
pub const SCHEMA: u32 = 1;

/// One of the two that are held against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// What there was before.
    Base,
    /// What is to take its place; outside of a gate there is nothing else.
    #[default]
    Candidate,
}

impl Arm {
    /// Both, the base first.
    pub const BOTH: [Arm; 2] = [Arm::Base, Arm::Candidate];

    /// The word used in files, on screens and for `{arm}`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Arm::Base => "base",
            Arm::Candidate => "candidate",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Arm {
        match self {
            Arm::Base => Arm::Candidate,
            Arm::Candidate => Arm::Base,
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A thing that there is once for each arm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both<T> {
    /// The base's.
    pub base: T,
    /// The candidate's.
    pub candidate: T,
}

impl<T> Both<T> {
    /// One for each, the base's made first.
    pub fn from_fn(mut make: impl FnMut(Arm) -> T) -> Both<T> {
        Both {
            base: make(Arm::Base),
            candidate: make(Arm::Candidate),
        }
    }

    /// That of one arm.
    pub fn of(&self, arm: Arm) -> &T {
        match arm {
            Arm::Base => &self.base,
            Arm::Candidate => &self.candidate,
        }
    }

    /// That of one arm, to change it.
    pub fn of_mut(&mut self, arm: Arm) -> &mut T {
        match arm {
            Arm::Base => &mut self.base,
            Arm::Candidate => &mut self.candidate,
        }
    }
}

/// One round in which both arms were started, ran side by side under the same load, and ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Which it is, from 1.
    pub number: u32,
    /// What its order and its load were drawn from.
    pub seed: u64,
    /// When it began, since the gate's start; with the start of the arms.
    pub start_us: u64,
    /// How long it took, start and end of the arms included.
    pub duration_us: u64,
    /// Why it does not count; empty where it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<String>,
    /// Where its own record is, relative to the gate's folder, where it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// What each arm did. Stretches are paired: the n-th of one arm has the same load as the n-th of the other.
    pub arms: Both<ArmRecord>,
    /// What was seen of the machine meanwhile.
    #[serde(default)]
    pub host: HostRecord,
}

impl BlockRecord {
    /// Whether it counts.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }
}

/// One arm in one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmRecord {
    /// The stretches in which it had load, in the order of their pairs.
    pub stretches: Vec<StretchRecord>,
    /// Invariants that did not hold, with how often and one example each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<ViolationRecord>,
}

/// An invariant that did not hold in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationRecord {
    /// `service.invariant`, or the name of one that is the scenario's own; without the arm.
    pub invariant: String,
    /// How often.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// A time in which one arm had load and the other rested: a slice of a steady phase, or a whole phase in which a fault comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StretchRecord {
    /// The scenario's phase that it is of.
    pub phase: String,
    /// When it began, since the block's start.
    pub start_us: u64,
    /// When it ended; requests intended in it may have ended later.
    pub end_us: u64,
    /// Per load.
    pub load: BTreeMap<String, StretchLoad>,
    /// CPU time that the arm's own services used in it, all together; absent where that of one is not known.
    pub cpu_us: Option<u64>,
    /// The longest pause of any of them; absent where pauses were not visible.
    pub pause_max_us: Option<u64>,
    /// The faults that began in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<StretchFault>,
    /// Of micro-benchmarks, by their full names: what an iteration took, microseconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<String, f64>,
}

/// One load in one stretch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StretchLoad {
    /// True for a load that sends when the last answer came: only its throughput can tell how fast a service is.
    pub closed: bool,
    /// Requests that the schedule asked for.
    pub intended: u64,
    /// Requests that ended, failed ones included.
    pub completed: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Requests never sent.
    pub dropped: u64,
    /// Latencies from the intended send time, microseconds: a `HdrHistogram`, V2, base64.
    pub response: String,
}

/// A fault in one stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StretchFault {
    /// Its name.
    pub name: String,
    /// From healing until the arm was well again; absent where that was not seen.
    pub recover_us: Option<u64>,
    /// How long after healing that was looked for in vain; absent where it recovered or was not measured.
    pub unrecovered_us: Option<u64>,
    /// Whether it was shown that the fault took hold and was undone.
    pub proved: bool,
}

/// What was seen of the machine in a block. Absent is what can't be read here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRecord {
    /// The share of its processors' time that other programs had.
    pub strangers: Option<f64>,
    /// The share that the host of a virtual machine kept for itself.
    pub steal: Option<f64>,
    /// By how much a thread that only sleeps woke late, at P99, microseconds; the worst stretch.
    pub oversleep_us_p99: Option<u64>,
}

/// What is said of a metric, or of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// Worse by more than the margin.
    Regressed,
    /// Better by more than the margin.
    Improved,
    /// Not worse by as much as the tolerance.
    Pass,
    /// None of these can be said.
    Inconclusive,
    /// The base can't run this scenario: there is nothing to be held against.
    NoBase,
}

impl GateVerdict {
    /// The words used in files and on screens.
    pub const fn as_str(self) -> &'static str {
        match self {
            GateVerdict::Regressed => "regressed",
            GateVerdict::Improved => "improved",
            GateVerdict::Pass => "pass",
            GateVerdict::Inconclusive => "inconclusive",
            GateVerdict::NoBase => "no-base",
        }
    }
}

/// Why a gate ran no further block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateEnd {
    /// Every metric that decides was decided, or one had regressed.
    Decided,
    /// The planner saw that the blocks there was time for could not decide.
    Environment,
    /// The time was used up.
    Budget,
    /// The last look was taken.
    Blocks,
    /// Somebody ended it.
    Interrupted,
    /// Blocks went wrong again and again.
    Broken,
    /// It did not begin.
    NoBase,
}

/// A whole gate of one scenario, or of the micro-benchmarks of one program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateRecord {
    /// The version of Squall that wrote it.
    pub squall: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name, or that of the program of micro-benchmarks.
    pub scenario: String,
    /// What the scenario says of itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// How its micro-benchmarks were run; absent in a gate of a scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmarks: Option<BenchmarksRecord>,
    /// The command line that repeats it.
    pub command: String,
    /// The root seed.
    pub seed: u64,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Length of the whole gate, builds not counted.
    pub duration_us: u64,
    /// The time it was given, builds not counted.
    pub budget_us: u64,
    /// Where it ran.
    pub machine: Machine,
    /// The arms.
    pub arms: Both<ArmAbout>,
    /// Whether both arms are one binary: then there is no margin.
    pub same_binary: bool,
    /// Gates of the whole command, which share its chance of a false alarm.
    pub gates: u32,
    /// What comes of it.
    pub verdict: GateVerdict,
    /// Why, the gravest first.
    pub reasons: Vec<String>,
    /// What would help, where it could not decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// What a pass can't see, in words; empty where it is no pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub blind_spot: String,
    /// Why it ran no further block.
    pub end: GateEnd,
    /// Whether it ended before its last look: then its estimates lean towards what it stopped for.
    pub stopped_early: bool,
    /// The blocks of the last look; zero where there was none.
    pub looked_at: u32,
    /// Whether it may block: false under `--advise`.
    pub blocks_merge: bool,
    /// The exit code of a command that ran only this.
    pub exit_code: u8,
    /// What it looked at, those that decide first.
    pub metrics: Vec<MetricRecord>,
    /// Regressions that a commit accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedRecord>,
    /// What was seen of the machine over all blocks: the median of each.
    pub host: HostRecord,
    /// The blocks, in order, also those that do not count.
    pub blocks: Vec<BlockRecord>,
}

/// How micro-benchmarks were run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarksRecord {
    /// Slices of a block, of each arm: in each a program ran once, with all its benchmarks.
    pub slices: u32,
    /// What each benchmark was asked to warm up for in a slice.
    pub warm_up_us: u64,
    /// What each was asked to measure for.
    pub measure_us: u64,
    /// Benchmarks that only one of the arms has: nothing holds them against anything.
    pub unpaired: Both<Vec<String>>,
}

/// An arm, as it is told of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmAbout {
    /// What it is, in words: `main at 1a2b3c4d5e6f`, `working tree`, a command, an address.
    pub about: String,
    /// Its revision; `none` outside git, `-dirty` where changed.
    pub revision: String,
    /// How long its build took; absent where nothing was built.
    pub build_us: Option<u64>,
}

/// A metric of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// `refresh.p99`, `cpu`, `pause`, `cut.recovery`; of a micro-benchmark its full name.
    pub name: String,
    /// What it measures.
    pub kind: MetricKind,
    /// The load, `PHASE:LOAD`, fault or micro-benchmark that it is of; absent for those of the whole arm.
    pub of: Option<String>,
    /// How the arms are held against each other.
    pub scale: MetricScale,
    /// Whether it decides: a pass waits for it. A regression of any metric that has a finding blocks, also of one that doesn't decide.
    pub decides: bool,
    /// Why it does not decide; empty where it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_not: String,
    /// A change below which is of no interest: a share of the base, or a difference of shares.
    pub margin: f64,
    /// A change above which must not stay hidden, in the same terms.
    pub tolerance: f64,
    /// What was measured in each block that counts, by the blocks' order; absent where a block has none. Where percentiles are of slices,
    /// the median of each arm's.
    pub values: Vec<Option<Both<f64>>>,
    /// The change in each of them: candidate over base, or candidate minus base. More than 1, or than 0, is worse. Where percentiles are of
    /// slices, the median over pairs, which is not quite the ratio of the values.
    pub changes: Vec<Option<f64>>,
    /// Medians of the values.
    pub typical: Option<Both<f64>>,
    /// What the last look found; absent before the first, and where the metric is not tested.
    pub finding: Option<FindingRecord>,
    /// What the planner made of it after the first look.
    pub plan: Option<PlanRecord>,
}

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// CPU time of the arm's services per completed request, microseconds.
    Cpu,
    /// Median of a load's response times, microseconds.
    P50,
    /// The 99th percentile, microseconds.
    P99,
    /// The 99.9th percentile, microseconds.
    P999,
    /// Requests per second of a closed loop: less is worse.
    Throughput,
    /// Failed requests of those completed, a share.
    Errors,
    /// The longest pause of any service, microseconds.
    Pause,
    /// From healing a fault until the arm was well, microseconds.
    Recovery,
    /// What an iteration of a micro-benchmark took, microseconds.
    Time,
}

impl MetricKind {
    /// All, in the order in which they are shown.
    pub const ALL: [MetricKind; 9] = [
        MetricKind::Cpu,
        MetricKind::P50,
        MetricKind::P99,
        MetricKind::P999,
        MetricKind::Throughput,
        MetricKind::Errors,
        MetricKind::Pause,
        MetricKind::Recovery,
        MetricKind::Time,
    ];

    /// Those that a scenario has; what is left is of micro-benchmarks.
    pub fn of_scenarios() -> impl Iterator<Item = MetricKind> {
        let all = MetricKind::ALL.into_iter();
        all.filter(|kind| *kind != MetricKind::Time)
    }

    /// The word used in files, in `gate.metrics` and on screens.
    pub const fn as_str(self) -> &'static str {
        match self {
            MetricKind::Cpu => "cpu",
            MetricKind::P50 => "p50",
            MetricKind::P99 => "p99",
            MetricKind::P999 => "p999",
            MetricKind::Throughput => "throughput",
            MetricKind::Errors => "errors",
            MetricKind::Pause => "pause",
            MetricKind::Recovery => "recovery",
            MetricKind::Time => "time",
        }
    }
}

/// How arms are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricScale {
    /// Candidate over base: 1.1 is 10 % more. For throughput base over candidate, so that more is worse there too.
    Ratio,
    /// Candidate minus base.
    Difference,
}

/// What a look found of one metric. In the terms of its scale: ratios, or differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// What it comes to.
    pub verdict: GateVerdict,
    /// The estimate (Hodges-Lehmann).
    pub estimate: f64,
    /// The change lies above this; absent where there are too few blocks.
    pub lower: Option<f64>,
    /// The change lies below this; absent where there are too few blocks.
    pub upper: Option<f64>,
    /// The p-value of a regression beyond the margin, adjusted for all metrics.
    pub p_value: f64,
    /// What the p-value is held to.
    pub alpha: f64,
    /// Blocks that have a value.
    pub blocks: u32,
    /// Accepted by a commit: it does not block.
    #[serde(default)]
    pub accepted: bool,
}

/// What the planner made of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The standard deviation of a block's change: of its logarithm where it is a ratio.
    pub spread: f64,
    /// Blocks it takes to see a regression of the tolerated size, by the formula; absent where no number of blocks is enough.
    pub needed: Option<f64>,
    /// Microseconds that takes from the gate's start.
    pub needed_us: Option<u64>,
    /// The smallest regression that 95 of 100 gates would see at the last look there is time for, in the terms of the tolerance: by what
    /// that look may spend on one of all metrics.
    pub smallest: Option<f64>,
}

/// A regression that a commit accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AcceptedRecord {
    /// The metric as the commit names it.
    pub metric: String,
    /// By how much it may be worse: 0.08 for `+8%`.
    pub by: f64,
    /// Why.
    pub reason: String,
    /// The commit.
    pub commit: String,
    /// Whether anything regressed that it accepts.
    pub used: bool,
}
