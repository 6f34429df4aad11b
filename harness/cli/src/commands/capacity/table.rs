//! What `squall capacity` prints: a row for each probe, a sentence at the end, or all of it as JSON. Pure.

use std::path::PathBuf;

use serde_json::json;
use squall_model::exit::Exit;
use squall_model::record::LoadRecord;
use squall_model::units::{Rate, human};

use super::probe::Shown;
use super::search::{Found, Purpose, Verdict};
use crate::arguments::CapacityArguments;
use crate::output::{harmless, wrapped};

/// A probe that was run.
pub struct Probed {
    /// Requests per second.
    pub rate: f64,
    /// What it was for.
    pub purpose: Purpose,
    /// The load in the phase that is judged.
    pub load: LoadRecord,
    /// What it showed.
    pub shown: Shown,
    /// The run's folder.
    pub folder: PathBuf,
}

/// The names of the columns.
pub fn head() -> String {
    format!(
        "{:>3}  {:<8}{:>10}{:>10}{:>10}{:>10}{:>9}  verdict",
        "", "to", "rate", "achieved", "P50", "P99", "errors"
    )
}

/// A probe, and below it why it does not hold.
pub fn row(probed: &Probed, number: usize, width: usize) -> String {
    let load = &probed.load;
    let absent = || "–".to_owned();
    let errors = (load.completed > 0).then(|| load.failed as f64 / load.completed as f64);
    let time = |us: Option<u64>| us.map_or_else(absent, |us| human::microseconds(us as f64));
    let row = format!(
        "{number:>3}  {:<8}{:>10}{:>10}{:>10}{:>10}{:>9}  {}",
        purpose(probed.purpose),
        Rate::per_second(probed.rate).to_string(),
        load.achieved.map_or_else(absent, human::ratio),
        time(load.response.p50),
        time(load.response.p99),
        errors.map_or_else(absent, human::ratio),
        verdict(probed.shown.verdict)
    );
    if probed.shown.reason.is_empty() {
        return row;
    }
    let indent = "\n     ";
    let reason = wrapped(
        &harmless(&probed.shown.reason),
        width.saturating_sub(indent.len()).max(20),
    );
    format!("{row}{indent}{}", reason.join(indent))
}

/// What was found, with both ends.
pub fn sentence(load: &str, found: &Found, probes: &[Probed]) -> String {
    let rate = |rate: f64| Rate::per_second(rate).to_string();
    // The last is the one that stands: a failure is seen twice before it counts.
    let why = |at: f64, verdict: Verdict| {
        let told = probes
            .iter()
            .rev()
            .find(|one| same(one.rate, at) && one.shown.verdict == verdict);
        told.map(|one| harmless(&one.shown.reason)).unwrap_or_default()
    };
    let fault = |at: f64| why(at, Verdict::Fails);
    let held = |at: f64| {
        let times = probes
            .iter()
            .filter(|one| same(one.rate, at) && one.shown.verdict == Verdict::Holds)
            .count();
        format!("held in {times} run{}", if times == 1 { "" } else { "s" })
    };
    let at_least = |holds: &Option<f64>| match holds {
        Some(holds) => format!("capacity is at least {}, which {}", rate(*holds), held(*holds)),
        None => "no rate was seen to hold".to_owned(),
    };
    match found {
        Found::Capacity {
            holds,
            fails: Some(fails),
        } => format!(
            "capacity of {load}: {} holds ({}), {} does not: {}",
            rate(*holds),
            held(*holds),
            rate(*fails),
            fault(*fails)
        ),
        Found::Capacity { holds, fails: None } => format!(
            "capacity of {load}: at least {} ({}), the highest rate that was asked for",
            rate(*holds),
            held(*holds)
        ),
        Found::NothingHolds { lowest } => {
            format!(
                "no capacity of {load}: even {} does not hold: {}",
                rate(*lowest),
                fault(*lowest)
            )
        }
        Found::Invalid { at, holds, .. } => {
            let generator = probes
                .iter()
                .any(|one| same(one.rate, *at) && one.shown.generator);
            let limit = if generator {
                format!(
                    "the generator, or the machine under it, was the limit at {}",
                    rate(*at)
                )
            } else {
                format!("{} can't be judged", rate(*at))
            };
            format!(
                "invalid: {limit}: {}; {}",
                why(*at, Verdict::Invalid),
                at_least(holds)
            )
        }
        Found::Unsettled { holds, fails } => {
            let fails = fails.map_or_else(String::new, |fails| {
                format!("; {} fails: {}", rate(fails), fault(fails))
            });
            format!(
                "invalid: {} probes contradict each other, so the machine or the service is not steady; {}{fails}",
                probes.len(),
                at_least(holds)
            )
        }
    }
}

/// Everything as one object.
pub fn json(
    arguments: &CapacityArguments,
    objectives: &[String],
    found: &Found,
    probes: &[Probed],
    exit: Exit,
) -> serde_json::Result<String> {
    let (kind, holds, fails) = match *found {
        Found::Capacity { holds, fails } => ("found", Some(holds), fails),
        Found::NothingHolds { lowest } => ("none", None, Some(lowest)),
        Found::Invalid { holds, .. } => ("invalid", holds, None),
        Found::Unsettled { holds, fails } => ("invalid", holds, fails),
    };
    let probe = |one: &Probed| {
        json!({
            "rate": one.rate,
            "to": purpose(one.purpose),
            "verdict": verdict(one.shown.verdict),
            "reason": one.shown.reason,
            "achieved": one.load.achieved,
            "p50": one.load.response.p50,
            "p99": one.load.response.p99,
            "completed": one.load.completed,
            "failed": one.load.failed,
            "folder": one.folder,
        })
    };
    serde_json::to_string_pretty(&json!({
        "scenario": arguments.scenario,
        "load": arguments.load,
        "objectives": objectives,
        "result": kind,
        "holds": holds,
        "fails": fails,
        "text": sentence(&arguments.load, found, probes),
        "exit_code": exit.code(),
        "probes": probes.iter().map(probe).collect::<Vec<_>>(),
    }))
}

#[expect(
    clippy::float_cmp,
    reason = "both are the very number that the search asked for"
)]
fn same(a: f64, b: f64) -> bool {
    a == b
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Climb => "climb",
        Purpose::CloseIn => "close in",
        Purpose::Confirm => "confirm",
        Purpose::Doubt => "doubt",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Fails => "fails",
        Verdict::Invalid => "invalid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(rate: f64, verdict: Verdict, reason: &str) -> Probed {
        let mut load = LoadRecord {
            completed: 1_000,
            achieved: Some(0.998),
            ..LoadRecord::default()
        };
        load.response.p50 = Some(1_234);
        load.response.p99 = Some(12_345);
        Probed {
            rate,
            purpose: Purpose::CloseIn,
            load,
            shown: Shown {
                verdict,
                reason: reason.to_owned(),
                generator: verdict == Verdict::Invalid,
            },
            folder: PathBuf::new(),
        }
    }

    #[test]
    fn a_row_fits_eighty_columns_and_its_reason_is_whole() {
        let reason = "the generator fell behind its schedule for paced: P99 of the lag is 3.09 ms, over the limit of 1.00 ms";
        let shown = head() + "\n" + &row(&probed(123_400.0, Verdict::Invalid, reason), 12, 80);
        // A mark at the begin of each line, so that its indentation counts.
        let marked: Vec<String> = shown.lines().map(|line| format!("|{line}")).collect();
        expect_test::expect![[r"
            |     to            rate  achieved       P50       P99   errors  verdict
            | 12  close in  123.4k/s    99.8 %   1.23 ms   12.3 ms      0 %  invalid
            |     the generator fell behind its schedule for paced: P99 of the lag is 3.09
            |     ms, over the limit of 1.00 ms"]]
        .assert_eq(&marked.join("\n"));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn every_end_is_a_sentence_with_both_ends_that_there_are() {
        let probes = [
            probed(1_000.0, Verdict::Holds, ""),
            probed(1_000.0, Verdict::Holds, ""),
            probed(
                1_050.0,
                Verdict::Fails,
                "read.p99 < 5ms: was 12.3 ms, limit 5.00 ms",
            ),
            probed(4_000.0, Verdict::Invalid, "the generator fell behind"),
        ];
        let found = [
            Found::Capacity {
                holds: 1_000.0,
                fails: Some(1_050.0),
            },
            Found::Capacity {
                holds: 1_000.0,
                fails: None,
            },
            Found::NothingHolds { lowest: 1_050.0 },
            Found::Invalid {
                at: 4_000.0,
                holds: Some(1_000.0),
                times: 2,
            },
            Found::Invalid {
                at: 4_000.0,
                holds: None,
                times: 0,
            },
            Found::Unsettled {
                holds: Some(1_000.0),
                fails: Some(1_050.0),
            },
        ];
        let said: Vec<String> = found
            .iter()
            .map(|found| sentence("read", found, &probes))
            .collect();
        expect_test::expect![[r"
            capacity of read: 1k/s holds (held in 2 runs), 1.05k/s does not: read.p99 < 5ms: was 12.3 ms, limit 5.00 ms
            capacity of read: at least 1k/s (held in 2 runs), the highest rate that was asked for
            no capacity of read: even 1.05k/s does not hold: read.p99 < 5ms: was 12.3 ms, limit 5.00 ms
            invalid: the generator, or the machine under it, was the limit at 4k/s: the generator fell behind; capacity is at least 1k/s, which held in 2 runs
            invalid: the generator, or the machine under it, was the limit at 4k/s: the generator fell behind; no rate was seen to hold
            invalid: 4 probes contradict each other, so the machine or the service is not steady; capacity is at least 1k/s, which held in 2 runs; 1.05k/s fails: read.p99 < 5ms: was 12.3 ms, limit 5.00 ms"]].assert_eq(&said.join("\n"));
    }
}
