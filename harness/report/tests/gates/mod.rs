//! Made-up gates of every kind, from a seed: the same ones every time.
//!
//! The findings follow from the drawn blocks by a plain formula, not by the statistics of the gate: what is tested here is how a record is
//! told, whatever came to it. The kinds are in `kinds.rs`.

mod kinds;

use squall_model::gate::{
    Arm, ArmAbout, ArmRecord, BlockRecord, Both, FindingRecord, GateEnd, GateRecord, GateVerdict, HostRecord,
    MetricKind, MetricRecord, MetricScale, PlanRecord, SCHEMA, StretchFault, StretchLoad, StretchRecord,
};
use squall_model::histogram::{encode, growing, record};
use squall_model::record::Machine;
use squall_model::seed::{Seed, unit};

pub use kinds::*;

/// How long a block takes, and the starts of its arms before its first slice.
const BLOCK_US: u64 = 9_700_000;
const STARTED_US: u64 = 1_400_000;
/// Requests of a load in a slice.
const REQUESTS: usize = 100;

/// A metric to be made up.
#[derive(Clone, Debug)]
struct Made {
    kind: MetricKind,
    of: Option<String>,
    /// The base's typical value.
    base: f64,
    /// Candidate over base, or candidate less base.
    change: f64,
    /// How much blocks differ: the standard deviation of a change.
    spread: f64,
    /// Why it does not decide; empty where it does.
    why_not: &'static str,
    /// Whether it is looked at all the same.
    is_tested: bool,
}

/// A metric that decides.
fn made(kind: MetricKind, of: &str, base: f64, change: f64, spread: f64) -> Made {
    Made {
        kind,
        of: (!of.is_empty()).then(|| of.to_owned()),
        base,
        change,
        spread,
        why_not: "",
        is_tested: true,
    }
}

impl Made {
    /// The metric as one that is tested and does not decide.
    fn informs(self, why_not: &'static str) -> Made {
        Made { why_not, ..self }
    }

    /// The metric as one that is not even tested.
    fn untested(self, why_not: &'static str) -> Made {
        let is_tested = false;
        Made {
            why_not,
            is_tested,
            ..self
        }
    }

    fn scale(&self) -> MetricScale {
        if self.kind == MetricKind::Errors {
            MetricScale::Difference
        } else {
            MetricScale::Ratio
        }
    }

    fn name(&self) -> String {
        match &self.of {
            Some(of) => format!("{of}.{}", self.kind.as_str()),
            None => self.kind.as_str().to_owned(),
        }
    }
}

/// A gate to be made up.
#[derive(Clone, Debug)]
struct Plan {
    seed: u64,
    blocks: u32,
    /// Blocks that do not count, by number, with the reason.
    invalid: Vec<(u32, &'static str)>,
    loads: Vec<String>,
    metrics: Vec<Made>,
    looked_at: u32,
}

/// Draws from a normal distribution.
fn normal(seed: Seed) -> f64 {
    let mut rng = seed.rng();
    let radius = (-2.0 * (1.0 - unit(&mut rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(&mut rng)).cos()
}

impl Plan {
    /// The record; verdict and words are for the caller to set.
    fn gate(&self) -> GateRecord {
        let seed = Seed::new(self.seed);
        let blocks: Vec<BlockRecord> = (1..=self.blocks).map(|number| self.block(seed, number)).collect();
        let valid: Vec<u64> = blocks
            .iter()
            .filter(|block| block.is_valid())
            .map(|block| u64::from(block.number))
            .collect();
        let metrics = self
            .metrics
            .iter()
            .map(|made| self.metric(seed, made, &valid))
            .collect();
        GateRecord {
            squall: "0.1.0".to_owned(),
            schema: SCHEMA,
            scenario: "config-center".to_owned(),
            about: "Configuration that services read while a node is cut off.".to_owned(),
            benchmarks: None,
            command: format!(
                "squall gate scenarios/config-center.yaml --base main --seed {}",
                self.seed
            ),
            seed: self.seed,
            started_at: "2026-01-15T09:30:12.480Z".to_owned(),
            duration_us: u64::from(self.blocks) * BLOCK_US + 1_100_000,
            budget_us: 600_000_000,
            machine: Machine {
                cores: 2,
                memory: 8_318_000_000,
                os: "Linux 6.8.0".to_owned(),
                cpu: "AMD EPYC 7763 64-Core Processor".to_owned(),
            },
            arms: Both {
                base: ArmAbout {
                    about: "main at 1a2b3c4d5e6f".to_owned(),
                    revision: "1a2b3c4d5e6f".to_owned(),
                    build_us: Some(74_000_000),
                },
                candidate: ArmAbout {
                    about: "working tree".to_owned(),
                    revision: "9d0e7f1a2b3c-dirty".to_owned(),
                    build_us: Some(12_300_000),
                },
            },
            same_binary: false,
            gates: 1,
            verdict: GateVerdict::Pass,
            reasons: Vec::new(),
            advice: Vec::new(),
            blind_spot: String::new(),
            end: GateEnd::Decided,
            stopped_early: false,
            looked_at: self.looked_at,
            blocks_merge: true,
            exit_code: 0,
            metrics,
            accepted: Vec::new(),
            host: HostRecord {
                strangers: Some(0.031),
                steal: Some(0.004),
                oversleep_us_p99: Some(180),
            },
            blocks,
        }
    }

    fn block(&self, seed: Seed, number: u32) -> BlockRecord {
        let seed = seed.child("block").nth(u64::from(number));
        let reasons = self.invalid.iter().filter(|(block, _)| *block == number);
        let noise = |name: &str| normal(seed.child(name)).abs();
        BlockRecord {
            number,
            seed: seed.value(),
            start_us: u64::from(number - 1) * BLOCK_US,
            duration_us: BLOCK_US - (noise("length") * 100_000.0) as u64,
            invalid: reasons.map(|(_, reason)| (*reason).to_owned()).collect(),
            folder: None,
            arms: Both::from_fn(|arm| self.arm(seed, arm)),
            host: HostRecord {
                strangers: Some(0.02 + 0.02 * noise("strangers")),
                steal: Some(0.003 * noise("steal")),
                oversleep_us_p99: Some((140.0 + 80.0 * noise("oversleep")) as u64),
            },
        }
    }

    fn arm(&self, seed: Seed, arm: Arm) -> ArmRecord {
        let seed = seed.child(arm.as_str());
        let stretches = (0..4_u64).map(|slice| {
            let start_us = STARTED_US + slice * 2_000_000 + if arm == Arm::Base { 0 } else { 1_000_000 };
            let is_fault = slice == 3;
            StretchRecord {
                phase: if is_fault { "cut" } else { "steady" }.to_owned(),
                start_us,
                end_us: start_us + 900_000,
                load: self
                    .loads
                    .iter()
                    .map(|load| (load.clone(), self.load(seed.nth(slice), load, arm)))
                    .collect(),
                cpu_us: Some(410_000),
                pause_max_us: Some(2_300),
                faults: if is_fault {
                    vec![StretchFault {
                        name: "cut".to_owned(),
                        recover_us: Some(430_000),
                        unrecovered_us: None,
                        proved: true,
                    }]
                } else {
                    Vec::new()
                },
                times: std::collections::BTreeMap::new(),
            }
        });
        ArmRecord {
            stretches: stretches.collect(),
            violations: Vec::new(),
        }
    }

    /// Latencies as a candidate makes them whose P99 changed as the metrics of this load say.
    fn load(&self, seed: Seed, load: &str, arm: Arm) -> StretchLoad {
        let of_load = |kind: MetricKind| {
            let mut metrics = self.metrics.iter();
            metrics.find(|made| made.kind == kind && made.of.as_deref() == Some(load))
        };
        let tail = of_load(MetricKind::P99).map_or(1.0, |made| made.change);
        let seed = seed.child(load);
        let mut histogram = growing();
        for n in 0..REQUESTS as u64 {
            let z = normal(seed.nth(n));
            let slower = if arm == Arm::Candidate && z > 1.0 {
                tail
            } else {
                1.0
            };
            record(&mut histogram, (900.0 * (0.45 * z).exp() * slower) as u64, 1);
        }
        StretchLoad {
            closed: of_load(MetricKind::Throughput).is_some(),
            intended: REQUESTS as u64,
            completed: REQUESTS as u64,
            failed: 0,
            dropped: 0,
            response: encode(&histogram),
        }
    }

    fn metric(&self, seed: Seed, made: &Made, valid: &[u64]) -> MetricRecord {
        let seed = seed.child(&made.name());
        let scale = made.scale();
        let (margin, tolerance) = match (scale, made.kind) {
            (MetricScale::Difference, _) => (0.001, 0.002),
            (_, MetricKind::P999) => (0.02, 0.10),
            _ => (0.02, 0.05),
        };
        let mut values = Vec::new();
        let mut changes = Vec::new();
        for number in valid {
            let (own, drift) = (
                normal(seed.nth(*number)),
                normal(seed.child("drift").nth(*number)),
            );
            let change = match scale {
                MetricScale::Ratio => made.change * (made.spread * own).exp(),
                MetricScale::Difference => made.change + made.spread * own,
            };
            let base = made.base * (1.0 + 0.03 * drift);
            let candidate = match (scale, made.kind) {
                (MetricScale::Difference, _) => base + change,
                // Less of it is worse.
                (_, MetricKind::Throughput) => base / change,
                _ => base * change,
            };
            values.push(Some(Both { base, candidate }));
            changes.push(Some(change));
        }
        let typical = middle(values.iter().flatten().map(|both| both.base))
            .zip(middle(values.iter().flatten().map(|both| both.candidate)));
        let decides = made.why_not.is_empty();
        let looked = changes.iter().flatten().copied().take(self.looked_at as usize);
        let finding = if made.is_tested && self.looked_at > 0 {
            middle(looked)
        } else {
            None
        };
        let seen_in = f64::from(self.looked_at.max(1));
        MetricRecord {
            name: made.name(),
            kind: made.kind,
            of: made.of.clone(),
            scale,
            decides,
            why_not: made.why_not.to_owned(),
            margin,
            tolerance,
            values,
            changes,
            typical: typical.map(|(base, candidate)| Both { base, candidate }),
            finding: finding
                .map(|estimate| found(estimate, made.spread, scale, (margin, tolerance), self.looked_at)),
            plan: (made.is_tested && self.looked_at > 0).then(|| {
                let needed = 16.6 * (made.spread / (tolerance - margin)).powi(2);
                PlanRecord {
                    spread: made.spread,
                    needed: Some(needed),
                    needed_us: Some((needed * BLOCK_US as f64) as u64),
                    smallest: Some(margin + made.spread * (16.6 / seen_in.max(56.0)).sqrt()),
                }
            }),
        }
    }
}

/// Halfway through the values.
fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What a look finds: an interval of so many standard errors, and the verdict that follows from it.
fn found(
    estimate: f64,
    spread: f64,
    scale: MetricScale,
    (margin, tolerance): (f64, f64),
    blocks: u32,
) -> FindingRecord {
    let half = 2.9 * spread / f64::from(blocks).sqrt();
    let (lower, upper, none) = match scale {
        MetricScale::Ratio => (estimate * (-half).exp(), estimate * half.exp(), 1.0),
        MetricScale::Difference => (estimate - half, estimate + half, 0.0),
    };
    let verdict = if lower > none + margin {
        GateVerdict::Regressed
    } else if upper < none - margin {
        GateVerdict::Improved
    } else if upper < none + tolerance {
        GateVerdict::Pass
    } else {
        GateVerdict::Inconclusive
    };
    FindingRecord {
        verdict,
        estimate,
        lower: Some(lower),
        upper: Some(upper),
        p_value: if verdict == GateVerdict::Regressed {
            0.000_031
        } else {
            0.412
        },
        alpha: 0.000_667,
        blocks,
        accepted: false,
    }
}
