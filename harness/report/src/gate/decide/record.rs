//! What is known at the end, as the record has it. It decides nothing that was not decided at a look.

use std::time::Duration;

use squall_model::gate::{
    ArmAbout, BenchmarksRecord, Both, FindingRecord, GateEnd, GateRecord, GateVerdict, HostRecord,
    MetricRecord, PlanRecord, SCHEMA,
};
use squall_model::record::Machine;

use super::super::metric::series::{Series, series};
use super::super::metric::{MetricId, median};
use super::super::verdict::Verdict;
use super::pilot::{self, PILOT, Tested};
use super::words::Words;
use super::{Gate, Policy, exit};

/// What a gate can't know of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// The version of Squall.
    pub squall: String,
    /// The scenario's name.
    pub scenario: String,
    /// What the scenario says of itself.
    pub about: String,
    /// How micro-benchmarks were run; absent where it is of a scenario.
    pub benchmarks: Option<BenchmarksRecord>,
    /// The command line that repeats the gate.
    pub command: String,
    /// The root seed.
    pub seed: u64,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// Length of the whole gate, builds not counted.
    pub duration: Duration,
    /// Where it ran.
    pub machine: Machine,
    /// The arms.
    pub arms: Both<ArmAbout>,
    /// What its end means.
    pub policy: Policy,
}

impl Gate {
    /// Writes down what is known: at the end, when somebody ends it, or for whoever finds it killed.
    pub fn conclude(&self, end: GateEnd, about: About) -> GateRecord {
        let verdict = match (end, self.verdict()) {
            (GateEnd::NoBase, _) => GateVerdict::NoBase,
            // It went on because something looked worse, and never came to know.
            (GateEnd::Interrupted | GateEnd::Broken, GateVerdict::Pass | GateVerdict::Improved) => {
                GateVerdict::Inconclusive
            }
            (_, verdict) => verdict,
        };
        let metrics = self.metrics();
        let words = Words {
            gate: self,
            metrics: &metrics,
            verdict,
            end,
        };
        let (reasons, advice, blind_spot) = (words.reasons(), words.advice(), words.blind_spot());
        let settings = self.checked.settings();
        let looked_at = self.looked_at();
        GateRecord {
            squall: about.squall,
            schema: SCHEMA,
            scenario: about.scenario,
            about: about.about,
            benchmarks: about.benchmarks,
            command: about.command,
            seed: about.seed,
            started_at: about.started_at,
            duration_us: micros(about.duration),
            budget_us: micros(settings.budget),
            machine: about.machine,
            arms: about.arms,
            same_binary: settings.same_binary,
            gates: settings.gates.get(),
            verdict,
            reasons,
            advice,
            blind_spot,
            end,
            stopped_early: end == GateEnd::Decided && looked_at > 0 && looked_at < self.most_blocks(),
            looked_at: looked_at as u32,
            blocks_merge: about.policy.blocks_merge,
            exit_code: exit(verdict, !self.violated().is_empty(), about.policy).code(),
            accepted: self.accepted(),
            host: self.host(),
            metrics,
            blocks: self.blocks.clone(),
        }
    }

    /// Those that decide first, then the others, each in the order of the kinds.
    fn metrics(&self) -> Vec<MetricRecord> {
        let records = pilot::ids(&self.readings).into_iter().map(|id| self.metric(&id));
        let (deciding, informing): (Vec<_>, Vec<_>) = records.partition(|metric| metric.decides);
        deciding.into_iter().chain(informing).collect()
    }

    fn metric(&self, id: &MetricId) -> MetricRecord {
        let series = series(&self.readings, id, PILOT);
        let at = self.tested.iter().position(|metric| metric.id == *id);
        let tested = at.map(|at| &self.tested[at]);
        let limits = self.checked.limits(id);
        MetricRecord {
            name: id.to_string(),
            kind: id.kind,
            of: id.of.clone(),
            scale: id.scale(),
            decides: tested.is_some_and(Tested::decides),
            why_not: match tested {
                Some(tested) => tested.why_not.clone().unwrap_or_default(),
                None => pilot::why_untested(id, &series, &self.checked),
            },
            margin: limits.margin(),
            tolerance: limits.tolerance(),
            typical: typical(&series),
            finding: at.and_then(|at| self.finding(at, &series)),
            plan: tested.map(|tested| self.plan(tested)),
            changes: series
                .changes
                .iter()
                .map(|change| pilot::as_shown(id, *change))
                .collect(),
            values: series.values,
        }
    }

    /// Of the metric tested at this place.
    fn finding(&self, at: usize, series: &Series) -> Option<FindingRecord> {
        let look = self.look.as_ref()?;
        let (own, accepting) = (look.own[at], look.accepting[at]);
        let is_regressed = own.verdict == Verdict::Regressed;
        Some(FindingRecord {
            verdict: own.verdict.into(),
            estimate: own.estimate,
            lower: own.lower,
            upper: own.upper,
            p_value: own.p_value,
            alpha: look.levels.alpha,
            blocks: series.until(look.blocks).len() as u32,
            accepted: is_regressed && accepting.verdict != Verdict::Regressed,
        })
    }

    fn plan(&self, tested: &Tested) -> PlanRecord {
        PlanRecord {
            spread: tested.noise.spread,
            needed: Some(tested.plan.needed),
            needed_us: self.time_of(tested.plan.needed).map(micros),
            smallest: tested.plan.smallest,
        }
    }

    /// As they were given, with whether anything regressed that they accept.
    fn accepted(&self) -> Vec<squall_model::gate::AcceptedRecord> {
        let mut accepted = self.checked.settings().accepted.clone();
        for accepted in &mut accepted {
            let regressed = self.tested.iter().enumerate().filter(|(at, metric)| {
                let finding = self.look.as_ref().map(|look| look.own[*at]);
                metric.id.is_called(&accepted.metric)
                    && finding.is_some_and(|finding| finding.verdict == Verdict::Regressed)
            });
            accepted.used = regressed.count() > 0;
        }
        accepted
    }

    /// The median over all blocks of what was seen of the machine.
    pub(super) fn host(&self) -> HostRecord {
        let of = |number: fn(&HostRecord) -> Option<f64>| {
            median(
                self.blocks
                    .iter()
                    .filter_map(|block| number(&block.host))
                    .collect(),
            )
        };
        let oversleep = of(|host| host.oversleep_us_p99.map(|us| us as f64));
        HostRecord {
            strangers: of(|host| host.strangers),
            steal: of(|host| host.steal),
            oversleep_us_p99: oversleep.map(|us| us.round() as u64),
        }
    }
}

fn typical(series: &Series) -> Option<Both<f64>> {
    let of = |number: fn(&Both<f64>) -> f64| median(series.values.iter().flatten().map(number).collect());
    Some(Both {
        base: of(|values| values.base)?,
        candidate: of(|values| values.candidate)?,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
