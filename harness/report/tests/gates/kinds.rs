//! A gate of each kind, and one whose texts would do harm.

use std::sync::LazyLock;

use squall_model::gate::{
    AcceptedRecord, Arm, ArmAbout, Both, GateEnd, GateRecord, GateVerdict, HostRecord, MetricKind,
    ViolationRecord,
};
use squall_model::record::Machine;

use super::{Made, Plan, made};

const FEW: &str = "a block holds 4,120 requests, and P99.9 takes 10,000";

/// The usual metrics, whose P99 changed by so much.
fn metrics(p99: f64, spread: f64) -> Vec<Made> {
    vec![
        made(MetricKind::Cpu, "", 412.0, 1.004, 0.012),
        made(MetricKind::P50, "refresh", 893.0, 1.006, 0.010),
        made(MetricKind::P99, "refresh", 4_130.0, p99, spread),
        made(MetricKind::Throughput, "crawl", 12_340.0, 0.998, 0.014),
        made(MetricKind::Errors, "refresh", 0.000_4, 0.000_05, 0.000_4),
        made(MetricKind::P999, "refresh", 11_800.0, 1.21, 0.45).untested(FEW),
        made(MetricKind::Pause, "", 2_300.0, 0.93, 0.31)
            .informs("blocks differ too much: it would see +64 %"),
        made(MetricKind::Recovery, "cut", 431_000.0, 1.02, 0.16)
            .informs("blocks differ too much: it would see +38 %"),
    ]
}

fn plan(seed: u64, blocks: u32, looked_at: u32, metrics: Vec<Made>) -> Plan {
    Plan {
        seed,
        blocks,
        invalid: Vec::new(),
        loads: vec!["refresh".to_owned(), "crawl".to_owned()],
        metrics,
        looked_at,
    }
}

pub fn regressed() -> GateRecord {
    let plan = Plan {
        invalid: vec![
            (7, "the base did not answer within 10 s of its start"),
            (
                16,
                "the generator was late: 2.4 % of requests were sent more than 1 ms after their time",
            ),
        ],
        ..plan(7, 22, 20, metrics(1.081, 0.028))
    };
    GateRecord {
        verdict: GateVerdict::Regressed,
        reasons: vec![
            "P99 of refresh is 8.1 % worse (5.9 to 10.0 %), seen in 20 blocks and 3 min 33 s".to_owned(),
        ],
        stopped_early: true,
        exit_code: 1,
        ..plan.gate()
    }
}

pub fn improved() -> GateRecord {
    GateRecord {
        verdict: GateVerdict::Improved,
        reasons: vec!["P99 of refresh is 11 % better, and nothing that decides is worse".to_owned()],
        stopped_early: true,
        ..plan(8, 20, 20, metrics(0.89, 0.02)).gate()
    }
}

pub fn passed() -> GateRecord {
    GateRecord {
        reasons: vec!["cpu, refresh.p50, refresh.p99: not worse by as much as is not tolerated".to_owned()],
        blind_spot: "pass: cpu (below +0.8 %), refresh.p50 (below +1.6 %), refresh.p99 (below +2.4 %), crawl.throughput (below +0.4 %), refresh.errors (below +0.03 points); refresh.p999 a block holds 4,120 requests, and P99.9 takes 10,000; pause would see +64 %; cut.recovery would see +38 %"
            .to_owned(),
        stopped_early: true,
        ..plan(9, 28, 28, metrics(1.003, 0.018)).gate()
    }
}

pub fn environment() -> GateRecord {
    let mut gate = plan(10, 14, 14, metrics(1.03, 0.21)).gate();
    gate.host = HostRecord {
        strangers: Some(0.42),
        steal: Some(0.08),
        oversleep_us_p99: Some(7_400),
    };
    GateRecord {
        verdict: GateVerdict::Inconclusive,
        reasons: vec![
            "not decided: refresh.p99 +7.6 % (-8.6 % to +27 %) in 14 blocks in the time there is, on this machine as it is".to_owned(),
        ],
        advice: vec![
            "other programs had 42 % of the processors' time: end them, or gate where nothing else runs".to_owned(),
            "a thread that only slept woke 7.4 ms late at P99: a machine with more processors, or with less to do".to_owned(),
        ],
        end: GateEnd::Environment,
        exit_code: 3,
        ..gate
    }
}

pub fn interrupted() -> GateRecord {
    GateRecord {
        verdict: GateVerdict::Inconclusive,
        reasons: vec!["3 blocks count: 11 are missing to the first look, which takes 14".to_owned()],
        end: GateEnd::Interrupted,
        exit_code: 3,
        ..plan(11, 3, 0, metrics(1.02, 0.02)).gate()
    }
}

pub fn no_base() -> GateRecord {
    GateRecord {
        verdict: GateVerdict::NoBase,
        reasons: vec!["the base can't run this scenario: there is nothing to be held against".to_owned()],
        end: GateEnd::NoBase,
        blocks: Vec::new(),
        metrics: Vec::new(),
        host: HostRecord::default(),
        duration_us: 0,
        ..plan(12, 0, 0, Vec::new()).gate()
    }
}

pub fn accepted() -> GateRecord {
    let mut gate = plan(7, 20, 20, metrics(1.081, 0.028)).gate();
    for finding in gate
        .metrics
        .iter_mut()
        .filter_map(|metric| metric.finding.as_mut())
    {
        finding.accepted = finding.verdict == GateVerdict::Regressed;
    }
    GateRecord {
        reasons: vec![
            "refresh.p99 regressed: +8.0 % (+6.0 % to +9.9 %) in 20 blocks, which 9d0e7f1 accepts up to +12 %".to_owned(),
        ],
        accepted: vec![
            AcceptedRecord {
                metric: "p99".to_owned(),
                by: 0.12,
                reason: "checks signatures of what it reads now".to_owned(),
                commit: "9d0e7f1a2b3c4d5e6f70819203a4b5c6d7e8f901".to_owned(),
                used: true,
            },
            AcceptedRecord {
                metric: "cpu".to_owned(),
                by: 0.05,
                reason: "the same".to_owned(),
                commit: "9d0e7f1a2b3c4d5e6f70819203a4b5c6d7e8f901".to_owned(),
                used: false,
            },
        ],
        ..gate
    }
}

pub fn violated() -> GateRecord {
    let mut gate = plan(13, 14, 14, metrics(1.002, 0.018)).gate();
    for (block, arm, invariant, count, example) in [
        (
            2,
            Arm::Candidate,
            "feed.nondecreasing",
            3,
            "version 41 came after 42 (reader-2, key shop/limits)",
        ),
        (
            5,
            Arm::Candidate,
            "feed.nondecreasing",
            1,
            "version 12 came after 13 (reader-1, key shop/limits)",
        ),
        (5, Arm::Base, "center.agree", 2, "node-1 has 7, node-3 has 6"),
        (5, Arm::Candidate, "center.agree", 1, "node-2 has 9, node-3 has 8"),
    ] {
        gate.blocks[block]
            .arms
            .of_mut(arm)
            .violations
            .push(ViolationRecord {
                invariant: invariant.to_owned(),
                count,
                example: example.to_owned(),
            });
    }
    GateRecord {
        verdict: GateVerdict::Regressed,
        reasons: vec!["feed.nondecreasing did not hold in the candidate, and held in the base".to_owned()],
        exit_code: 1,
        ..gate
    }
}

/// What does not decide, as blocks differ too much for it, has regressed all the same.
pub fn beside() -> GateRecord {
    let mut metrics = metrics(1.004, 0.018);
    for made in metrics.iter_mut().filter(|made| made.kind == MetricKind::Pause) {
        made.change = 2.6;
    }
    GateRecord {
        verdict: GateVerdict::Regressed,
        reasons: vec![
            "pause regressed: +160 % (+113 % to +218 %) in 20 blocks, adjusted p 3.1e-5 of 6.7e-4".to_owned(),
        ],
        stopped_early: true,
        exit_code: 1,
        ..plan(16, 20, 20, metrics).gate()
    }
}

/// Names as long as they get in practice, and more metrics than decide.
pub fn many_loads() -> GateRecord {
    let loads = [
        "read-configuration-of-all-tenants",
        "write-configuration-with-history-and-signature",
        "long-poll",
        "list-services-by-label-selector",
        "subscribe",
        "health",
    ];
    let mut metrics = vec![made(MetricKind::Cpu, "", 412.0, 1.011, 0.012)];
    for (at, load) in loads.into_iter().enumerate() {
        let changes = [1.002, 1.14, 0.997, 1.004, 0.93, 1.03];
        metrics.push(made(
            MetricKind::P50,
            load,
            700.0 + 90.0 * at as f64,
            changes[at],
            0.012,
        ));
        let p99 = made(
            MetricKind::P99,
            load,
            3_000.0 + 700.0 * at as f64,
            changes[at],
            0.03,
        );
        metrics.push(if at == 5 {
            p99.informs("8 metrics decide already, each with a smaller spread")
        } else {
            p99
        });
        metrics.push(made(MetricKind::P999, load, 9_000.0, changes[at], 0.6).untested(FEW));
    }
    metrics.sort_by_key(|made| !made.why_not.is_empty());
    let plan = Plan {
        loads: loads.map(str::to_owned).to_vec(),
        ..plan(14, 20, 20, metrics)
    };
    GateRecord {
        verdict: GateVerdict::Regressed,
        reasons: vec![
            "P50 of write-configuration-with-history-and-signature is 14.0 % worse (13.1 to 14.9 %), seen in 20 blocks and 3 min 14 s".to_owned(),
            "P99 of write-configuration-with-history-and-signature is 14.5 % worse (12.3 to 16.8 %), seen in 20 blocks and 3 min 14 s".to_owned(),
        ],
        stopped_early: true,
        exit_code: 1,
        gates: 3,
        ..plan.gate()
    }
}

/// As many blocks as a gate ever has.
pub fn longest() -> GateRecord {
    let invalid = (1..=6)
        .map(|n| (n * 13, "the candidate's port was taken"))
        .collect();
    let plan = Plan {
        invalid,
        ..plan(15, 96, 90, metrics(1.031, 0.09))
    };
    let mut gate = plan.gate();
    gate.budget_us = 1_200_000_000;
    GateRecord {
        verdict: GateVerdict::Inconclusive,
        reasons: vec!["not decided: refresh.p99 +3.1 % (+0.3 % to +5.9 %) in 90 blocks by the last look".to_owned()],
        advice: vec!["refresh.p99 varies by 9.4 % from block to block, and 6.9 % would do: longer slices or more of them, a higher rate, or a quieter machine".to_owned()],
        end: GateEnd::Blocks,
        exit_code: 3,
        ..gate
    }
}

/// A gate with each of the texts that others control replaced by one that would do harm.
pub fn hostile(text: &str) -> GateRecord {
    let mut gate = regressed();
    let accepted = accepted().accepted;
    for metric in &mut gate.metrics {
        metric.name = format!("{}{text}", metric.name);
        metric.of = metric.of.as_ref().map(|of| format!("{of}{text}"));
        if !metric.why_not.is_empty() {
            text.clone_into(&mut metric.why_not);
        }
    }
    for block in &mut gate.blocks {
        for arm in Arm::BOTH {
            for stretch in &mut block.arms.of_mut(arm).stretches {
                text.clone_into(&mut stretch.phase);
                stretch.load = std::mem::take(&mut stretch.load)
                    .into_iter()
                    .map(|(name, load)| (format!("{name}{text}"), load))
                    .collect();
            }
        }
        if !block.is_valid() {
            block.invalid = vec![text.to_owned()];
            block.folder = Some(text.to_owned());
        }
    }
    gate.blocks[1].arms.candidate.violations = vec![ViolationRecord {
        invariant: text.to_owned(),
        count: 2,
        example: text.to_owned(),
    }];
    let hostile = || ArmAbout {
        about: text.to_owned(),
        revision: text.to_owned(),
        build_us: None,
    };
    GateRecord {
        scenario: format!("s{text}"),
        about: text.to_owned(),
        command: text.to_owned(),
        squall: text.to_owned(),
        started_at: text.to_owned(),
        machine: Machine {
            os: text.to_owned(),
            cpu: text.to_owned(),
            ..gate.machine.clone()
        },
        arms: Both::from_fn(|_| hostile()),
        reasons: vec![text.to_owned(), text.to_owned()],
        advice: vec![text.to_owned()],
        blind_spot: text.to_owned(),
        accepted: accepted
            .into_iter()
            .map(|one| AcceptedRecord {
                metric: text.to_owned(),
                reason: text.to_owned(),
                commit: text.to_owned(),
                ..one
            })
            .collect(),
        ..gate
    }
}

/// All kinds, by name.
pub fn all() -> &'static [(&'static str, GateRecord)] {
    static ALL: LazyLock<Vec<(&'static str, GateRecord)>> = LazyLock::new(|| {
        vec![
            ("regressed", regressed()),
            ("improved", improved()),
            ("pass", passed()),
            ("environment", environment()),
            ("interrupted", interrupted()),
            ("no-base", no_base()),
            ("accepted", accepted()),
            ("violated", violated()),
            ("beside", beside()),
            ("many-loads", many_loads()),
            ("longest", longest()),
        ]
    });
    &ALL
}
