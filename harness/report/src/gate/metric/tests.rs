//! From made-up blocks to changes, by hand.

use std::collections::BTreeMap;

use squall_model::gate::{StretchFault, StretchLoad};
use squall_model::histogram;

use super::series::{Series, series};
use super::*;

/// A slice of one second of the open load `refresh`: every request takes `us`, but for the slowest 2 %, which take four times as long.
pub(in super::super) fn slice(requests: u64, us: u64) -> StretchRecord {
    let mut latencies = histogram::empty();
    histogram::record(&mut latencies, us, requests - requests / 50);
    histogram::record(&mut latencies, us * 4, requests / 50);
    let load = StretchLoad {
        intended: requests,
        completed: requests,
        response: histogram::encode(&latencies),
        ..StretchLoad::default()
    };
    StretchRecord {
        phase: "steady".to_owned(),
        end_us: 1_000_000,
        load: BTreeMap::from([("refresh".to_owned(), load)]),
        cpu_us: Some(requests * 50),
        pause_max_us: Some(200),
        ..StretchRecord::default()
    }
}

/// A block of so many pairs of slices.
pub(in super::super) fn block(base: &[StretchRecord], candidate: &[StretchRecord]) -> BlockRecord {
    let mut block = BlockRecord::default();
    block.arms.base.stretches = base.to_vec();
    block.arms.candidate.stretches = candidate.to_vec();
    block
}

fn load_of(stretch: &mut StretchRecord) -> &mut StretchLoad {
    stretch.load.get_mut("refresh").unwrap()
}

fn faulted(recover_us: Option<u64>, unrecovered_us: Option<u64>) -> StretchRecord {
    StretchRecord {
        phase: "outage".to_owned(),
        faults: vec![StretchFault {
            name: "cut".to_owned(),
            recover_us,
            unrecovered_us,
            proved: true,
        }],
        ..slice(1_000, 900)
    }
}

fn of(block: &BlockRecord, name: &str) -> Series {
    series(&[read(block)], &MetricId::parse(name).unwrap(), 14)
}

/// The one change as a ratio.
fn ratio(block: &BlockRecord, name: &str) -> f64 {
    let series = of(block, name);
    series.changes[0]
        .unwrap_or_else(|| panic!("{name}: {}", series.why_not))
        .exp()
}

fn recovery(base: StretchRecord, candidate: StretchRecord) -> Series {
    of(&block(&[base], &[candidate]), "cut.recovery")
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 2e-3 * b
}

#[test]
fn names_are_read_as_they_are_written() {
    for name in [
        "cpu",
        "refresh.p99",
        "outage:refresh.errors",
        "cut.recovery",
        "a.b.p50",
    ] {
        assert_eq!(MetricId::parse(name).unwrap().to_string(), name);
    }
    assert_eq!(MetricId::parse("refresh.p98"), None);
    let p99 = MetricId::new(MetricKind::P99, "refresh");
    assert!(p99.is_called("p99") && p99.is_called("refresh.p99") && !p99.is_called("read.p99"));
}

#[test]
fn a_block_without_faults_has_these_metrics_in_this_order() {
    let names: Vec<String> = read(&block(&[slice(1_000, 900)], &[slice(1_000, 900)]))
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names,
        [
            "cpu",
            "refresh.p50",
            "refresh.p99",
            "refresh.p999",
            "refresh.errors",
            "pause"
        ]
    );
}

#[test]
fn percentiles_of_slices_are_paired_and_their_median_counts() {
    // The machine was slow in the second pair, for both; the third pair of the candidate alone was.
    let base = [slice(2_000, 1_000), slice(2_000, 3_000), slice(2_000, 1_000)];
    let candidate = [slice(2_000, 1_100), slice(2_000, 3_300), slice(2_000, 9_000)];
    let block = block(&base, &candidate);
    assert!(near(ratio(&block, "refresh.p50"), 1.1));
    assert!(near(ratio(&block, "refresh.p99"), 1.1));
    let values = of(&block, "refresh.p99").values[0].clone().unwrap();
    assert!(
        near(values.base, 4_000.0) && near(values.candidate, 13_200.0),
        "{values:?}"
    );
}

#[test]
fn where_slices_hold_too_few_a_percentile_is_of_the_block_and_where_that_does_it_is_none() {
    let base = [slice(600, 1_000), slice(600, 1_000)];
    let candidate = [slice(600, 1_000), slice(600, 9_000)];
    // Merged, 12 of the candidate's 1,200 are above 9 ms, and its P99 is 9 ms against 4 ms; paired, it would have been 3 times as long.
    assert!(near(ratio(&block(&base, &candidate), "refresh.p99"), 2.25));
    let few = block(&[slice(600, 1_000)], &[slice(600, 1_000)]);
    let series = of(&few, "refresh.p99");
    assert_eq!(series.changes, [None]);
    assert!(
        series
            .why_not
            .contains("needs 1000 requests in a block, which holds 600"),
        "{}",
        series.why_not
    );
    assert!(
        of(&few, "refresh.p50").changes[0].is_some(),
        "20 are enough for it"
    );
}

#[test]
fn slices_never_tell_the_p999() {
    let base = vec![slice(10_000, 1_000); 3];
    let mut candidate = base.clone();
    candidate[2] = slice(10_000, 3_000);
    assert!(near(ratio(&block(&base, &candidate), "refresh.p999"), 3.0));
}

#[test]
fn the_source_of_a_percentile_is_that_of_the_pilot() {
    let full = read(&block(&vec![slice(1_000, 900); 3], &vec![slice(1_000, 900); 3]));
    let emptier = read(&block(
        &[slice(1_000, 900), slice(1_000, 900), slice(999, 900)],
        &[slice(1_000, 990), slice(1_000, 990), slice(999, 9_000)],
    ));
    let p99 = MetricId::parse("refresh.p99").unwrap();
    let after = series(&[full.clone(), emptier.clone()], &p99, 1);
    assert!(
        near(after.changes[1].unwrap().exp(), 1.1),
        "the emptier pair is left out"
    );
    let before = series(&[full.clone(), emptier], &p99, 2);
    assert!(
        near(before.changes[1].unwrap().exp(), 2.5),
        "the pilot's emptiest slice sends all to the block"
    );
    let empty = read(&block(&vec![slice(400, 900); 3], &vec![slice(400, 900); 3]));
    assert_eq!(series(&[full, empty], &p99, 1).changes[1], None);
}

#[test]
fn a_closed_loop_is_told_by_its_throughput() {
    let mut base = slice(3_000, 900);
    let mut candidate = slice(2_000, 900);
    load_of(&mut base).closed = true;
    load_of(&mut candidate).closed = true;
    let block = block(&[base], &[candidate]);
    assert!(near(ratio(&block, "refresh.throughput"), 1.5), "less is worse");
    assert!(!read(&block).contains_key(&MetricId::parse("refresh.p99").unwrap()));
}

#[test]
fn a_closed_loop_that_serves_nothing_is_as_slow_as_can_be_told() {
    let mut base = slice(3_000, 900);
    let mut candidate = slice(3_000, 900);
    load_of(&mut base).closed = true;
    load_of(&mut candidate).closed = true;
    load_of(&mut candidate).failed = 3_000;
    assert!(near(
        ratio(&block(&[base], &[candidate]), "refresh.throughput"),
        3_000.0
    ));
}

#[test]
fn errors_are_a_difference_and_what_was_never_sent_is_one() {
    let mut candidate = slice(1_000, 900);
    load_of(&mut candidate).failed = 3;
    load_of(&mut candidate).completed = 999;
    load_of(&mut candidate).dropped = 1;
    let found = of(&block(&[slice(1_000, 900)], &[candidate]), "refresh.errors");
    assert!((found.changes[0].unwrap() - 0.004).abs() < 1e-12, "{found:?}");
    let none = of(
        &block(&[slice(1_000, 900)], &[slice(1_000, 900)]),
        "refresh.errors",
    );
    assert_eq!(none.changes, [Some(0.0)]);
}

#[test]
fn cpu_time_is_for_each_request() {
    let mut candidate = slice(500, 900);
    candidate.cpu_us = Some(1_000 * 50);
    assert!(near(
        ratio(&block(&[slice(1_000, 900)], &[candidate.clone()]), "cpu"),
        2.0
    ));
    candidate.cpu_us = None;
    let unknown = of(&block(&[slice(1_000, 900)], &[candidate]), "cpu");
    assert_eq!(unknown.why_not, "the CPU time of a service is not known");
}

#[test]
fn short_pauses_are_all_the_same_and_the_longest_counts() {
    let paused = |us| StretchRecord {
        pause_max_us: Some(us),
        ..slice(1_000, 900)
    };
    let of = |base: &[u64], candidate: &[u64]| {
        let slices = |us: &[u64]| us.iter().map(|us| paused(*us)).collect::<Vec<_>>();
        ratio(&block(&slices(base), &slices(candidate)), "pause")
    };
    assert!(near(of(&[50, 60], &[100, 10]), 1.0));
    assert!(near(of(&[50, 60], &[50_000, 10]), 50.0));
    assert!(near(of(&[2_000, 10], &[10, 3_000]), 1.5));
}

#[test]
fn short_recoveries_are_all_the_same() {
    let of = |base, candidate| recovery(faulted(Some(base), None), faulted(Some(candidate), None));
    assert_eq!(of(0, 100_000).changes, [Some(0.0)]);
    assert!(near(of(100_000, 300_000).changes[0].unwrap().exp(), 3.0));
}

#[test]
fn an_arm_that_never_recovered_is_worse_by_as_much_as_can_be() {
    let well = || faulted(Some(400_000), None);
    let never = || faulted(None, Some(2_000_000));
    let worse = recovery(well(), never());
    assert_eq!(worse.changes, [Some(NEVER.ln())]);
    assert!(near(worse.values[0].clone().unwrap().candidate, 2_000_000.0));
    assert_eq!(recovery(never(), well()).changes, [Some(-NEVER.ln())]);
    assert_eq!(
        recovery(never(), never()).changes,
        [None],
        "that tells of neither"
    );
    let sooner = faulted(None, Some(300_000));
    assert_eq!(
        recovery(well(), sooner).changes,
        [None],
        "it was not looked at for as long"
    );
}

#[test]
fn a_verdict_does_not_depend_on_how_large_never_is() {
    use super::super::looks::Levels;
    use super::super::signed_rank::Nulls;
    use super::super::verdict::{Metric, judge};
    let levels = Levels {
        alpha: 0.001,
        beta: 0.01,
    };
    for (never, well) in [(3, 25), (12, 16), (20, 8)] {
        let of = |largest: f64| {
            let values = (0..never)
                .map(|_| largest)
                .chain((0..well).map(|at| (f64::from(at) - 12.0) / 100.0));
            let changes: Vec<f64> = values.collect();
            let metric = Metric::new(&changes, Limits::RECOVERY).unwrap();
            let finding = judge(&[metric], levels, &mut Nulls::default())[0];
            (finding.verdict, finding.p_value.to_bits())
        };
        assert_eq!(of(NEVER.ln()), of(1e6_f64.ln()), "{never} of {}", never + well);
    }
}

#[test]
fn a_fault_that_was_not_shown_has_no_recovery() {
    let mut unproved = faulted(Some(400_000), None);
    unproved.faults[0].proved = false;
    let series = recovery(faulted(Some(400_000), None), unproved);
    assert_eq!(
        series.why_not,
        "the fault was not shown to take hold and be undone"
    );
}

#[test]
fn a_phase_with_a_fault_has_errors_of_its_own_and_feeds_nothing_else() {
    let mut broken = faulted(Some(400_000), None);
    load_of(&mut broken).failed = 500;
    broken.cpu_us = Some(1_000_000_000);
    let block = block(
        &[slice(1_000, 900), faulted(Some(400_000), None)],
        &[slice(1_000, 900), broken],
    );
    let found = of(&block, "outage:refresh.errors");
    assert!((found.changes[0].unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(of(&block, "refresh.errors").changes, [Some(0.0)]);
    assert!(near(ratio(&block, "cpu"), 1.0));
}

#[test]
fn to_swap_the_arms_turns_every_change_round() {
    let mut odd = faulted(None, Some(2_000_000));
    load_of(&mut odd).failed = 7;
    let base = [
        slice(2_000, 1_000),
        slice(2_000, 3_000),
        faulted(Some(400_000), None),
    ];
    let candidate = [slice(2_000, 1_300), slice(2_000, 2_000), odd];
    let there = read(&block(&base, &candidate));
    let back = read(&block(&candidate, &base));
    assert!(there.len() > 6);
    for id in there.keys() {
        let change = |readings: &Readings| series(std::slice::from_ref(readings), id, 1).changes[0];
        match (change(&there), change(&back)) {
            (Some(there), Some(back)) => assert!((there + back).abs() < 1e-12, "{id}: {there} and {back}"),
            (there, back) => assert_eq!(there, back, "{id}"),
        }
    }
}

#[test]
fn what_can_not_be_read_is_said() {
    let mut torn = slice(1_000, 900);
    load_of(&mut torn).response.truncate(20);
    let series = of(&block(&[slice(1_000, 900)], &[torn]), "refresh.p99");
    assert_eq!(series.changes, [None]);
    assert!(series.why_not.contains("histogram"), "{}", series.why_not);
}

#[test]
fn both_arms_are_there_for_every_stretch_that_counts() {
    let one_sided = block(&[slice(1_000, 900), slice(1_000, 50_000)], &[slice(1_000, 900)]);
    assert!(
        near(ratio(&one_sided, "refresh.p50"), 1.0),
        "the n-th of one with the n-th of the other"
    );
}

/// Two slices of micro-benchmarks: one is in all of them, others are not.
#[test]
fn benchmarks_feed_their_time_and_nothing_else() {
    let slice = |times: &[(&str, f64)]| StretchRecord {
        times: times.iter().map(|(name, us)| ((*name).to_owned(), *us)).collect(),
        ..StretchRecord::default()
    };
    let mut block = BlockRecord::default();
    block.arms.base.stretches = vec![
        slice(&[("sum/8", 2.0), ("a.p99", 5.0), ("gone", 1.0)]),
        slice(&[("sum/8", 4.0), ("b", 1.0)]),
    ];
    block.arms.candidate.stretches = vec![
        slice(&[("sum/8", 3.0), ("a.p99", 5.0), ("b", 1.0)]),
        slice(&[("sum/8", 8.0), ("new", 1.0)]),
    ];
    let readings = read(&block);
    let names: Vec<String> = readings.keys().map(MetricId::to_string).collect();
    assert_eq!(
        names,
        ["a.p99", "b", "sum/8"],
        "no CPU time, no pauses, and nothing that one arm alone has"
    );
    let Reading::Paired(sum) = &readings[&MetricId::new(MetricKind::Time, "sum/8")] else {
        panic!("{readings:?}")
    };
    assert_eq!(
        sum.values,
        Both {
            base: 3.0,
            candidate: 5.5
        }
    );
    // Half as much more and twice as much, by the middle of their logarithms.
    assert!((sum.change - 3f64.ln() / 2.0).abs() < 1e-12, "{sum:?}");
    let half = &readings[&MetricId::new(MetricKind::Time, "a.p99")];
    assert!(
        matches!(half, Reading::Paired(paired) if paired.change == 0.0),
        "{half:?}"
    );
    let none = &readings[&MetricId::new(MetricKind::Time, "b")];
    assert!(matches!(none, Reading::Absent(_)), "{none:?}");
}

#[test]
fn a_benchmark_is_called_by_its_name_whatever_that_is() {
    let id = |name: &str| MetricId::new(MetricKind::Time, name);
    for name in ["sum/8", "a.p99", "sort 10k", "x.time"] {
        let named = MetricId::of_benchmarks(&format!("{name}.time"));
        assert_eq!(named, id(name));
        assert_eq!(named.to_string(), name);
        assert!(named.is_called(name) && named.is_called("time") && named.is_called(&format!("{name}.time")));
        assert!(!named.is_called("p99") && !named.is_called("other"));
    }
    assert_eq!(
        MetricId::of_benchmarks("time"),
        MetricId::of_arm(MetricKind::Time)
    );
    assert!(!MetricId::new(MetricKind::P99, "a").is_called("a"));
}
