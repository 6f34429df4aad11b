//! What is said of a gate: why, what would help, and what a pass can't see. Words only, from what was decided elsewhere.

use std::collections::BTreeMap;

use squall_model::gate::{
    Arm, FindingRecord, GateEnd, GateVerdict, MetricRecord, MetricScale, ViolationRecord,
};

use super::super::looks::{self, MOST_BLOCKS};
use super::super::planner;
use super::Gate;
use super::pilot::PILOT;

/// From these on, what was seen of the machine is worth a word: shares of its processors' time, and microseconds.
const STRANGERS: f64 = 0.05;
const STEAL: f64 = 0.02;
const OVERSLEEP_US: u64 = 1_000;

/// What there is to speak of.
pub(super) struct Words<'a> {
    pub(super) gate: &'a Gate,
    pub(super) metrics: &'a [MetricRecord],
    pub(super) verdict: GateVerdict,
    pub(super) end: GateEnd,
}

impl Words<'_> {
    /// The gravest first.
    pub(super) fn reasons(&self) -> Vec<String> {
        let mut reasons = self.violations();
        let found = |wanted, is_accepted| {
            let findings = self
                .metrics
                .iter()
                .filter_map(|metric| Some((metric, metric.finding?)));
            findings.filter(move |(_, finding)| finding.verdict == wanted && finding.accepted == is_accepted)
        };
        reasons.extend(
            found(GateVerdict::Regressed, false).map(|(metric, finding)| regressed(metric, &finding)),
        );
        reasons.extend(found(GateVerdict::Regressed, true).map(|(metric, finding)| {
            format!("{}, {}", regressed(metric, &finding), self.acceptance(metric))
        }));
        match self.verdict {
            GateVerdict::NoBase => {
                let what = if self.is_of_benchmarks() {
                    "the base has no such benchmarks that run"
                } else {
                    "the base can't run this scenario"
                };
                reasons.push(format!("{what}: there is nothing to be held against"));
            }
            GateVerdict::Inconclusive => reasons.push(self.undecided()),
            GateVerdict::Pass | GateVerdict::Improved => reasons.push(format!(
                "{}: not worse by as much as is not tolerated",
                self.deciding().join(", ")
            )),
            GateVerdict::Regressed => {}
        }
        reasons
            .extend(found(GateVerdict::Improved, false).map(|(metric, finding)| {
                format!("{} improved: {}", metric.name, interval(metric, &finding))
            }));
        reasons.extend(self.common_violations());
        reasons
    }

    /// With numbers, where it could not decide; and names that name nothing, always.
    pub(super) fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if self.verdict == GateVerdict::Inconclusive {
            advice.extend(self.nearest());
            advice.extend(self.too_few_requests());
            advice.extend(self.quieter());
        }
        advice.extend(self.names_of_nothing());
        advice
    }

    /// What each metric may be worse by and have passed unseen.
    pub(super) fn blind_spot(&self) -> String {
        if !matches!(self.verdict, GateVerdict::Pass | GateVerdict::Improved) {
            return String::new();
        }
        let (deciding, informing): (Vec<&MetricRecord>, Vec<&MetricRecord>) =
            self.metrics.iter().partition(|metric| metric.decides);
        let passed = deciding.iter().map(|metric| {
            let upper = metric.finding.and_then(|finding| finding.upper);
            let upper = upper.map_or("unknown".to_owned(), |upper| {
                change(metric.scale, share(metric.scale, upper).max(0.0))
            });
            format!("{} (below {upper})", metric.name)
        });
        let passed = passed.collect::<Vec<_>>().join(", ");
        let unseen = informing
            .iter()
            .map(|metric| format!("; {} {}{}", metric.name, self.unseen(metric), self.worse(metric)));
        format!(
            "{}: {passed}{}",
            self.verdict.as_str(),
            unseen.collect::<String>()
        )
    }

    /// Why a pass says nothing of a metric. What it would have seen is by the blocks that have run, not by those there was time for.
    fn unseen(&self, metric: &MetricRecord) -> String {
        let tested = self.gate.tested(&metric.name);
        match tested.map(|tested| self.gate.seen_from(tested)) {
            None => metric.why_not.clone(),
            Some(None) => "not decidable here, would see nothing".to_owned(),
            Some(Some(seen)) => format!("not decidable here, would see {}", change(metric.scale, seen)),
        }
    }

    /// That it looks worse, where it does and that could not be shown.
    fn worse(&self, metric: &MetricRecord) -> String {
        let found = self.gate.accepting(&metric.name);
        found
            .filter(|found| found.looks_worse())
            .map_or(String::new(), |found| {
                let by = change(metric.scale, share(metric.scale, found.estimate));
                format!(", and looks worse ({by}), which is not shown")
            })
    }

    fn is_of_benchmarks(&self) -> bool {
        self.gate.checked.settings().of_benchmarks
    }

    fn deciding(&self) -> Vec<&str> {
        let deciding = self.metrics.iter().filter(|metric| metric.decides);
        deciding.map(|metric| metric.name.as_str()).collect()
    }

    /// The candidate's alone.
    fn violations(&self) -> Vec<String> {
        let violated = self.gate.violated();
        let of = |(invariant, seen): (&str, Seen)| {
            violated.contains(invariant).then(|| {
                format!(
                    "the candidate violated {invariant} {}; the base kept it. For example: {}",
                    seen.times(),
                    seen.example
                )
            })
        };
        seen(self.gate, Arm::Candidate)
            .into_iter()
            .filter_map(of)
            .collect()
    }

    /// Those of the base inform: what it did itself is no regression.
    fn common_violations(&self) -> Vec<String> {
        let candidate = seen(self.gate, Arm::Candidate);
        let of = |(invariant, base): (&str, Seen)| {
            let of_candidate = candidate.get(invariant);
            format!(
                "the base violated {invariant} {}, the candidate {}",
                base.times(),
                of_candidate.map_or("never".to_owned(), Seen::times)
            )
        };
        seen(self.gate, Arm::Base).into_iter().map(of).collect()
    }

    fn acceptance(&self, metric: &MetricRecord) -> String {
        let tested = self
            .gate
            .tested
            .iter()
            .find(|tested| tested.id.to_string() == metric.name);
        let accepted = tested.and_then(|tested| self.gate.checked.accepted(&tested.id));
        accepted.map_or_else(String::new, |accepted| {
            format!(
                "which {} accepts up to {}: {}",
                accepted.commit,
                change(metric.scale, accepted.by),
                accepted.reason
            )
        })
    }

    fn undecided(&self) -> String {
        let blocks = self.gate.readings.len();
        if self.end == GateEnd::Broken {
            return self.broken();
        }
        if self.gate.look.is_none() {
            let missing = PILOT.saturating_sub(blocks);
            return format!(
                "{blocks} blocks count: {missing} are missing to the first look, which takes {PILOT}"
            );
        }
        let open: Vec<String> = self
            .metrics
            .iter()
            .filter(|metric| metric.decides)
            .filter_map(|metric| Some((metric, metric.finding?)))
            .filter(|(_, finding)| finding.verdict == GateVerdict::Inconclusive || finding.accepted)
            .map(|(metric, finding)| format!("{} {}", metric.name, interval(metric, &finding)))
            .collect();
        let open = if open.is_empty() {
            "no metric can be decided".to_owned()
        } else {
            format!("not decided: {}", open.join(", "))
        };
        let why = match self.end {
            GateEnd::Environment => "in the time there is, on this machine as it is",
            GateEnd::Budget => "before the time was used up",
            GateEnd::Interrupted => "before somebody ended it",
            _ => "by the last look",
        };
        format!("{open} {why}")
    }

    fn broken(&self) -> String {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for why in self.gate.blocks.iter().flat_map(|block| &block.invalid) {
            *times.entry(why).or_default() += 1;
        }
        let most = times.into_iter().max_by_key(|(_, times)| *times);
        let all = self.gate.invalid as usize + self.gate.readings.len();
        if self.gate.invalid == 0 {
            return format!("a block could not be brought to its end, after {all} that count");
        }
        let why = most.map_or(String::new(), |(why, times)| format!("; {times} of them: {why}"));
        format!("{} of {all} blocks don't count{why}", self.gate.invalid)
    }

    /// What the metric that is nearest to be decided needs.
    fn nearest(&self) -> Option<String> {
        let undecided = self.gate.tested.iter().filter(|tested| {
            let finding = self
                .metrics
                .iter()
                .find(|metric| metric.name == tested.id.to_string());
            let verdict = finding
                .and_then(|metric| metric.finding)
                .map(|finding| finding.verdict);
            verdict == Some(GateVerdict::Inconclusive) || !tested.decides()
        });
        let nearest = undecided.min_by(|a, b| a.plan.needed.total_cmp(&b.plan.needed))?;
        let needed = nearest.plan.needed;
        if needed <= MOST_BLOCKS as f64 {
            let more = (needed.ceil() as usize).max(self.gate.looked_at() + 1);
            return self.more_time(looks::first_from(more)?, &nearest.id.to_string(), needed);
        }
        let limits = nearest.limits;
        let help = if self.is_of_benchmarks() {
            "a larger --budget, which makes slices longer, fewer benchmarks (--filter), or a quieter machine"
        } else {
            "longer slices or more of them, a higher rate, or a quieter machine"
        };
        Some(format!(
            "{} varies by {} from block to block, and {} would do: {help}",
            nearest.id,
            spread(limits.scale(), nearest.noise.spread),
            spread(
                limits.scale(),
                planner::bearable(limits, MOST_BLOCKS) * nearest.noise.share.sqrt()
            )
        ))
    }

    /// Where it was the time, or a limit on blocks, that ended it.
    fn more_time(&self, look: usize, name: &str, needed: f64) -> Option<String> {
        let takes = format!("{name} takes {}", needed.ceil());
        match self.end {
            GateEnd::Blocks => Some(format!("{look} blocks: {takes}")),
            GateEnd::Environment | GateEnd::Budget => {
                let minutes = (self.gate.time_of(look as f64)?.as_secs_f64() / 60.0).ceil();
                Some(format!(
                    "a budget of {minutes} minutes: by then {look} blocks have run, and {takes}"
                ))
            }
            _ => None,
        }
    }

    fn too_few_requests(&self) -> Vec<String> {
        let untested = self.metrics.iter().filter(|metric| metric.plan.is_none());
        let few = untested.filter(|metric| metric.why_not.contains("requests"));
        few.map(|metric| format!("{}: {}", metric.name, metric.why_not))
            .collect()
    }

    fn quieter(&self) -> Vec<String> {
        let host = self.gate.host();
        let mut advice = Vec::new();
        if let Some(share) = host.strangers.filter(|share| *share >= STRANGERS) {
            advice.push(format!(
                "other programs had {:.0} % of the processors' time: end them, or gate where nothing else runs",
                share * 100.0
            ));
        }
        if let Some(share) = host.steal.filter(|share| *share >= STEAL) {
            advice.push(format!(
                "the host of this virtual machine kept {:.0} % of its time: a machine that is not shared",
                share * 100.0
            ));
        }
        if let Some(us) = host.oversleep_us_p99.filter(|us| *us >= OVERSLEEP_US) {
            advice.push(format!(
                "a thread that only slept woke {:.1} ms late at P99: a machine with more processors, or with less to do",
                us as f64 / 1_000.0
            ));
        }
        advice
    }

    fn names_of_nothing(&self) -> Vec<String> {
        let settings = self.gate.checked.settings();
        let ids: Vec<_> = super::pilot::ids(&self.gate.readings);
        if ids.is_empty() {
            return Vec::new();
        }
        let accepted = settings.accepted.iter().map(|accepted| &accepted.metric);
        let changed = settings.overrides.iter().map(|changed| &changed.metric);
        let mut names: Vec<&String> = settings.metrics.iter().chain(changed).chain(accepted).collect();
        names.sort();
        names.dedup();
        names.retain(|name| !ids.iter().any(|id| id.is_called(name)));
        let say = |name: &&String| format!("`{name}` names no metric of this gate");
        names.iter().map(say).collect()
    }
}

/// How often an invariant did not hold.
struct Seen {
    count: u64,
    blocks: u64,
    example: String,
}

impl Seen {
    fn times(&self) -> String {
        let (times, blocks) = (plural(self.count, "time"), plural(self.blocks, "block"));
        format!("{times} in {blocks}")
    }
}

fn plural(count: u64, of: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {of}{s}")
}

fn seen(gate: &Gate, arm: Arm) -> BTreeMap<&str, Seen> {
    let mut all: BTreeMap<&str, Seen> = BTreeMap::new();
    let violations = gate
        .blocks
        .iter()
        .flat_map(|block| &block.arms.of(arm).violations);
    for ViolationRecord {
        invariant,
        count,
        example,
    } in violations
    {
        let seen = all.entry(invariant).or_insert_with(|| Seen {
            count: 0,
            blocks: 0,
            example: example.clone(),
        });
        seen.count += count;
        seen.blocks += 1;
    }
    all
}

fn regressed(metric: &MetricRecord, finding: &FindingRecord) -> String {
    format!(
        "{} regressed: {}, adjusted p {:.1e} of {:.1e}",
        metric.name,
        interval(metric, finding),
        finding.p_value,
        finding.alpha
    )
}

/// `+8.1 % (+5.2 % to +11 %) in 28 blocks`.
fn interval(metric: &MetricRecord, finding: &FindingRecord) -> String {
    let of = |shown: f64| change(metric.scale, share(metric.scale, shown));
    let ends = match (finding.lower, finding.upper) {
        (Some(lower), Some(upper)) => format!(" ({} to {})", of(lower), of(upper)),
        _ => String::new(),
    };
    format!(
        "{}{ends} in {}",
        of(finding.estimate),
        plural(u64::from(finding.blocks), "block")
    )
}

/// From what is shown to the terms of a margin: 1.1 is 0.1.
fn share(scale: MetricScale, shown: f64) -> f64 {
    match scale {
        MetricScale::Ratio => shown - 1.0,
        MetricScale::Difference => shown,
    }
}

/// A change in the terms of a margin: `+8.1 %`, `+90 %`, `31 times`, `+0.20 points`.
pub(super) fn change(scale: MetricScale, share: f64) -> String {
    let percent = share * 100.0;
    match scale {
        MetricScale::Difference => format!("{percent:+.2} points"),
        MetricScale::Ratio if percent >= 900.0 => format!("{:.0} times", share + 1.0),
        MetricScale::Ratio if percent.abs() >= 10.0 => format!("{percent:+.0} %"),
        MetricScale::Ratio => format!("{percent:+.1} %"),
    }
}

/// A standard deviation on the axis of the test.
fn spread(scale: MetricScale, spread: f64) -> String {
    let percent = match scale {
        MetricScale::Ratio => spread.exp_m1() * 100.0,
        MetricScale::Difference => spread * 100.0,
    };
    match scale {
        MetricScale::Ratio => format!("{percent:.1} %"),
        MetricScale::Difference => format!("{percent:.2} points"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_in_their_own_terms() {
        let ratio = |share| change(MetricScale::Ratio, share);
        assert_eq!(
            [0.081, -0.004, 0.9, 30.0].map(ratio),
            ["+8.1 %", "-0.4 %", "+90 %", "31 times"]
        );
        assert_eq!(change(MetricScale::Difference, 0.002), "+0.20 points");
    }
}
