//! The run record: `run.json`, the one document that says how a run ended.
//!
//! It is the only thing that passes between running and reporting. Names are a contract with what reads the file:
//! durations in microseconds since the run's start or as lengths, sizes in bytes, ratios 0..1. What was not measured is
//! `null` or absent, never zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::baseline::{HeldTo, Values};
use crate::histogram::{self, Distribution, Histogram};
use crate::scenario::Network;

/// Version of the document's shape.
pub const SCHEMA: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of Squall that wrote it.
    pub squall: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// What the scenario says of itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The scenario file as it was, secrets redacted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The command line that repeats the run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The root seed.
    pub seed: u64,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Length of the whole run.
    pub duration_us: u64,
    /// Version-control revision of the scenario's folder; `none` outside git, `-dirty` where changed.
    pub revision: String,
    /// Whether phases were scaled down by `--quick`.
    #[serde(default)]
    pub quick: bool,
    /// The network in which services and loads were.
    #[serde(default)]
    pub network: Network,
    /// Where it ran.
    pub machine: Machine,
    /// How it ended.
    pub verdict: Verdict,
    /// Why, the gravest first; empty for a plain pass.
    pub reasons: Vec<String>,
    /// The exit code of a command that ran only this.
    pub exit_code: u8,
    /// The phases, in order.
    pub phases: Vec<PhaseRecord>,
    /// The faults, in order of injection.
    pub faults: Vec<FaultRecord>,
    /// What was checked over all data.
    pub invariants: Vec<InvariantRecord>,
    /// What the scenario expected.
    pub expectations: Vec<ExpectationRecord>,
    /// Every number that an expectation could have named and that nothing spoiled, by scope; what baselines are made of.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub measured: Values,
    /// What the proxies between services saw.
    pub edges: Vec<EdgeRecord>,
    /// The load generator, measured like a service.
    pub generator: GeneratorRecord,
    /// Where this was merged from several runs: which, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Box<MergedFrom>>,
}

/// How runs were merged into one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The same timeline, run again and again: rates stay, counts add up.
    Repeats,
    /// Parts of one load, run at the same time: rates add up like counts.
    Shares,
}

impl How {
    /// The word used in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            How::Repeats => "repeats",
            How::Shares => "shares",
        }
    }
}

/// What a merged record was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergedFrom {
    /// How.
    pub how: How,
    /// How often the timeline was run: counts of the whole record are those of so many runs. 1 for shares.
    pub repeats: u32,
    /// The runs.
    pub runs: Vec<MergedRun>,
    /// In what they differed, in words.
    pub differ: Vec<String>,
}

/// A run that went into a merged record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergedRun {
    /// What reasons call it.
    pub name: String,
    /// As in the run's own record, like all below.
    pub squall: String,
    /// The command line that repeats it.
    pub command: String,
    /// Its seed.
    pub seed: u64,
    /// Its start.
    pub started_at: String,
    /// Its length.
    pub duration_us: u64,
    /// Its revision.
    pub revision: String,
    /// Its machine.
    pub machine: Machine,
    /// How it ended.
    pub verdict: Verdict,
    /// Its exit code.
    pub exit_code: u8,
}

/// How a run, a part of it or one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything asked for held, and everything needed to say so was seen.
    Pass,
    /// It can't be said: the data is missing, spoiled, or the fault was not proven.
    Invalid,
    /// Something asked for did not hold.
    Fail,
}

impl Verdict {
    /// The word used in files and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Invalid => "invalid",
            Verdict::Fail => "fail",
        }
    }
}

/// The machine a run ran on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Logical processors that the run could use.
    pub cores: u32,
    /// Physical memory in bytes.
    pub memory: u64,
    /// Operating system and kernel release.
    pub os: String,
    /// Processor model.
    pub cpu: String,
}

/// One phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// Its name.
    pub name: String,
    /// When it began, since the run's start.
    pub start_us: u64,
    /// When it ended; requests intended in it may have ended later.
    pub end_us: u64,
    /// Whether expectations on `run` include it.
    pub measure: bool,
    /// Whether recovery is measured against it.
    pub baseline: bool,
    /// False where an interruption cut it short.
    pub complete: bool,
    /// Why its numbers can't be trusted; empty where they can.
    pub invalid: Vec<String>,
    /// Per load.
    pub load: BTreeMap<String, LoadRecord>,
    /// Per service.
    pub services: BTreeMap<String, ServiceRecord>,
}

/// One load in one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// `open` or `closed`; a closed loop can't see queueing.
    pub mode: LoadMode,
    /// Requests per second asked for; absent in closed loop.
    pub target_rate: Option<f64>,
    /// Users of a closed loop.
    pub users: Option<u32>,
    /// Requests that the schedule asked for in this phase.
    pub intended: u64,
    /// Requests handed to the kernel.
    pub sent: u64,
    /// Sent requests that ended, failed ones included.
    pub completed: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Requests never sent because the queue was full or their time ran out in it.
    pub dropped: u64,
    /// Requests that the generator itself was too slow to issue.
    pub unsent_by_generator: u64,
    /// Completed over intended; absent where nothing was intended.
    pub achieved: Option<f64>,
    /// Why the requests sent miss the target rate by more than 0.1 %; absent where they do not, and without a target.
    #[serde(default)]
    pub target_missed: Option<String>,
    /// Completed requests per second of the phase.
    pub throughput: f64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// A few failures by kind, in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_examples: BTreeMap<String, Vec<String>>,
    /// Latency from the intended send time.
    pub response: Distribution,
    /// Latency from the actual send.
    pub service: Distribution,
    /// The generator's own lateness against its schedule.
    pub schedule_lag: Distribution,
    /// Why these numbers can't be trusted; empty where they can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<String>,
    /// What of them that spoils; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoils: Option<Spoils>,
}

/// What a doubt spoils, the less first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spoils {
    /// Latencies. What was asked for was sent, and it is known how each request ended.
    Times,
    /// Counts and ratios as well: what was sent is not what was asked for.
    Everything,
}

/// How a load decides when to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// On a schedule, whatever the service does.
    #[default]
    Open,
    /// When the previous answer came.
    Closed,
    /// Not in this phase.
    Off,
}

/// One service in one phase, all of its processes together.
///
/// What could not be read, such as the descriptors of another user's process, is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// CPU time used in the phase by the service and its children.
    pub cpu_us: Option<u64>,
    /// Largest resident set seen.
    pub rss_max: Option<u64>,
    /// Most threads seen at once.
    #[serde(default)]
    pub threads_max: Option<u64>,
    /// Most open descriptors seen at once.
    #[serde(default)]
    pub descriptors_max: Option<u64>,
    /// How often a thread gave up its processor to wait for something.
    #[serde(default)]
    pub voluntary_switches: Option<u64>,
    /// How often a thread was taken off its processor while it could have gone on.
    #[serde(default)]
    pub involuntary_switches: Option<u64>,
    /// Threads that ended between two looks: what they did since the look before is in neither the switches nor the
    /// run-queue delay.
    #[serde(default)]
    pub threads_ended: Option<u64>,
    /// The pauses that tell how long the service stood still, each once; absent where too little is visible to say.
    pub pauses: Option<Pauses>,
    /// Pauses of each kind that is visible for this process.
    #[serde(default)]
    pub pause_kinds: BTreeMap<String, Pauses>,
    /// Kinds of pause that can't be seen for this process.
    pub pauses_not_visible: Vec<String>,
    /// Why, for each of these.
    #[serde(default)]
    pub pauses_not_visible_why: BTreeMap<String, String>,
    /// Times it was started again in the phase.
    pub restarts: u32,
}

impl ServiceRecord {
    /// The record with the pauses of the kinds that were seen, by name; all of them count as pauses of the service.
    #[must_use]
    pub fn with_pauses(self, kinds: BTreeMap<String, (Histogram, u64)>) -> ServiceRecord {
        let mut lengths = histogram::empty();
        let mut total = 0;
        let mut pause_kinds = BTreeMap::new();
        for (kind, (of_kind, total_of_kind)) in kinds {
            lengths
                .add(&of_kind)
                .expect("all histograms have the same bounds");
            total += total_of_kind;
            pause_kinds.insert(kind, Pauses::of(&of_kind, total_of_kind));
        }
        let pauses = (!pause_kinds.is_empty()).then(|| Pauses::of(&lengths, total));
        ServiceRecord {
            pauses,
            pause_kinds,
            ..self
        }
    }
}

/// Pauses of one kind, or of all together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pauses {
    /// How many.
    pub count: u64,
    /// Sum of their lengths, microseconds.
    pub total: u64,
    /// Median of their lengths; absent where fewer than ten lie beyond.
    #[serde(default)]
    pub p50: Option<u64>,
    /// 99th percentile of their lengths; absent where fewer than ten lie beyond.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
    /// Their histogram.
    pub hdr: String,
    /// What is counted.
    #[serde(default)]
    pub each: Each,
}

/// What one entry of [`Pauses`] stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Each {
    /// One pause.
    #[default]
    Pause,
    /// The sum over one interval between two looks, and over all threads: it may exceed the interval's length.
    Interval,
}

impl Each {
    /// The word used in files and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Each::Pause => "pause",
            Each::Interval => "interval",
        }
    }
}

impl Pauses {
    /// Reads the numbers off a histogram of lengths in microseconds and their exact sum.
    pub fn of(lengths: &Histogram, total: u64) -> Pauses {
        Pauses {
            count: lengths.len(),
            total,
            p50: histogram::quantile(lengths, 0.50),
            p99: histogram::quantile(lengths, 0.99),
            max: (!lengths.is_empty()).then(|| lengths.max()),
            hdr: histogram::encode(lengths),
            each: Each::Pause,
        }
    }

    /// The same of sums over intervals.
    pub fn of_intervals(sums: &Histogram, total: u64) -> Pauses {
        Pauses {
            each: Each::Interval,
            ..Pauses::of(sums, total)
        }
    }
}

/// One fault, with all times that it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its kind, such as `clock`.
    pub kind: String,
    /// Its name: `as`, or the kind.
    pub name: String,
    /// What it does, in words.
    pub about: String,
    /// The service it hit, where it hits one.
    pub target: Option<String>,
    /// The edge it hit, as `caller->callee`, where it hits one.
    pub edge: Option<String>,
    /// The phase it began in.
    pub phase: String,
    /// When it was injected.
    pub injected_us: Option<u64>,
    /// When it was healed.
    pub healed_us: Option<u64>,
    /// Whether the target was shown to have felt it.
    pub proved: bool,
    /// The receipt, or why there is none.
    pub evidence: String,
    /// Whether it was shown to be over.
    pub undone: bool,
    /// The second receipt, or why there is none.
    pub undone_evidence: String,
    /// How the loads took it.
    #[serde(flatten)]
    pub felt: FaultFelt,
    /// What came of each time, where it was to come more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// How long it held its target, where its kind measures that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// How the loads took a fault, held to the phase that is the baseline. Of several loads, and of a fault that comes several times, the
/// first to feel it, the last to be well, and all that was waited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultFelt {
    /// From injection until the first load's numbers left the baseline's band; absent where none did.
    pub detect_us: Option<u64>,
    /// From healing until all were back in it, and stayed; absent where that was not seen.
    pub recover_us: Option<u64>,
    /// How long after healing that was looked for in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrecovered_us: Option<u64>,
    /// What all requests together waited longer than in the baseline, at the mean, until recovery.
    #[serde(default)]
    pub debt_us: Option<u64>,
    /// Why these numbers are not there; empty where they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unmeasured: String,
}

/// A fault that comes again and again: how often. Its other times are from the first to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// How often it was to come.
    pub planned: u64,
    /// How often it was injected.
    pub injected: u64,
    /// How often its target was shown to have felt it.
    pub proved: u64,
    /// How often it was shown to be over.
    pub undone: u64,
}

/// How long a fault held its target, as measured each time, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Times that were measured.
    pub count: u64,
    /// What was asked for.
    pub asked_us: Option<u64>,
    /// The shortest.
    pub shortest_us: f64,
    /// The median.
    pub median_us: f64,
    /// The longest.
    pub longest_us: f64,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |us: f64| us / 1e3;
        let (shortest, median, longest) = (ms(self.shortest_us), ms(self.median_us), ms(self.longest_us));
        if self.count == 1 {
            write!(f, "held for {median:.3} ms")?;
        } else {
            write!(
                f,
                "held for {shortest:.3} to {longest:.3} ms, {median:.3} ms at the median"
            )?;
        }
        match self.asked_us {
            Some(asked) => write!(f, ", {} ms asked for", ms(asked as f64)),
            None => Ok(()),
        }
    }
}

/// One invariant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvariantRecord {
    /// The service it belongs to; empty for one declared in the scenario.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The generic checker.
    pub kind: String,
    /// What it promises, in words.
    pub about: String,
    /// Items checked.
    pub checked: u64,
    /// Violations found.
    pub violations: u64,
    /// How it ended; never a pass without data.
    pub verdict: Verdict,
    /// A few violations, or what was seen, in words.
    pub examples: Vec<String>,
}

impl InvariantRecord {
    /// Its name in reasons and, for a service's own, in expectations: `ids.unique`. An invariant that the scenario adds has
    /// its bare name; it always counts, so no expectation names it.
    pub fn path(&self) -> String {
        if self.service.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.service, self.name)
        }
    }
}

/// One expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectationRecord {
    /// A phase, a fault's name, or `run`.
    pub scope: String,
    /// As written.
    pub text: String,
    /// What was measured, in the limit's unit (microseconds, ratio, count, bytes); absent where nothing was.
    pub value: Option<f64>,
    /// What was asked for, in the same unit; absent for a bare invariant.
    pub limit: Option<f64>,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it is invalid or failed, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The stored value that its limit was made of, where that was so and one was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Box<HeldTo>>,
    /// That its limit is made of a stored value, and none was stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_baseline: bool,
}

impl ExpectationRecord {
    /// The reason for the run's verdict that it is, where it did not hold.
    pub fn as_reason(&self) -> String {
        format!("expected {} in {}: {}", self.text, self.scope, self.reason)
    }
}

/// What a proxy saw on one edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// Bytes that crossed, both ways.
    pub bytes: u64,
    /// Connections opened.
    pub connections: u64,
    /// The most that were opened in a second.
    #[serde(default)]
    pub connections_per_s_max: f64,
    /// Requests that crossed, where it carries HTTP/1.1.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Requests per incoming request.
    pub requests_per_call: Option<f64>,
    /// Longest time without a byte.
    pub longest_silence_us: Option<u64>,
    /// Connects of the caller that were led here, where they are redirected.
    #[serde(default)]
    pub redirected: Option<u64>,
    /// Connects of the caller, to wherever, that could not be looked at or redirected.
    #[serde(default)]
    pub missed: Option<u64>,
}

/// The generator, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorRecord {
    /// CPU time of its threads.
    pub cpu_us: u64,
    /// Threads used.
    pub threads: u32,
    /// Where they ran, in words.
    pub placement: String,
    /// Lateness against the schedule, all open loops together.
    pub schedule_lag: Distribution,
    /// Pauses of the host as a sleeping thread saw them.
    pub host_pauses: Pauses,
    /// CPU time of the thread that watched the host.
    pub host_meter_cpu_us: u64,
    /// Whether the generator kept up.
    pub verdict: Option<Verdict>,
    /// How long the machine was suspended during the run. Such a run is invalid.
    #[serde(default)]
    pub suspended_us: u64,
    /// What was seen of the generator and its machine in each phase that ran, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, GeneratorPhase>,
}

/// The generator and its machine in one phase: what a doubt names as its cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorPhase {
    /// How long it was watched.
    pub watched_us: u64,
    /// Each generator thread, in their order.
    pub threads: Vec<GeneratorThread>,
    /// The share of its processors' time that other programs had, those of the run not counted; absent where it can't be
    /// read.
    pub strangers: Option<f64>,
    /// The share of its processors' time that the host of a virtual machine kept for itself.
    pub steal: Option<f64>,
    /// The share of the time in which some thread of the machine waited for a processor, as the kernel's pressure has it.
    pub pressure: Option<f64>,
    /// How long the control group's quota held this process up, microseconds.
    pub throttled_us: Option<u64>,
    /// By how much a thread that only sleeps woke late: P99 and longest, microseconds.
    pub oversleep_us_p99: Option<u64>,
    /// The longest of them.
    pub oversleep_us_max: Option<u64>,
    /// Per load: how much of its highest percentile is the generator's own lateness.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error: BTreeMap<String, LatencyError>,
}

/// A thread of the generator in one phase, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorThread {
    /// On a processor.
    pub cpu_us: u64,
    /// Ready to run, and waiting for a processor.
    pub wait_us: u64,
}

/// A percentile as it was measured, and as it would have been had nothing been late to send and to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyError {
    /// Which, 0..1: the highest of P99, P90 and P50 that has ten samples beyond it.
    pub quantile: f64,
    /// As measured, microseconds.
    pub measured_us: f64,
    /// Without the lateness, by estimate.
    pub without_us: f64,
}
