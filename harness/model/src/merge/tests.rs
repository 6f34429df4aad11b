//! Runs made up from values, so that what must come out of a merge can be counted by hand.

use proptest::prelude::*;

use super::*;
use crate::event::{EventKind, PlannedFault, PlannedPhase, RunHeader};
use crate::histogram::{Distribution, Histogram, encode};
use crate::hlog::Kind;
use crate::record::{
    EdgeRecord, ExpectationRecord, FaultRecord, InvariantRecord, LoadMode, LoadRecord, Machine, Pauses,
    PhaseRecord, ServiceRecord,
};
use crate::replay;
use crate::series::{LoadRow, Row, RowLatency, ServiceRow};

const SECOND: u64 = 1_000_000;

fn histogram(values: &[u64]) -> Histogram {
    let mut all = crate::histogram::empty();
    for value in values {
        all.saturating_record(*value);
    }
    all
}

/// Everything of a run that a merge takes in.
#[derive(Clone)]
struct Run {
    name: &'static str,
    started_ms: u64,
    record: RunRecord,
    events: Vec<Event>,
    series: Vec<SeriesRow>,
    intervals: BTreeMap<String, Vec<Interval>>,
}

impl Run {
    /// One phase of one second in which `values` were measured, with a fault, an invariant and an expectation.
    fn of(name: &'static str, started_ms: u64, values: &[u64]) -> Run {
        let samples = histogram(values);
        let count = values.len() as u64;
        let load = LoadRecord {
            target_rate: Some(100.0),
            intended: count + 1,
            sent: count,
            completed: count,
            failed: 1,
            achieved: Some(count as f64 / (count + 1) as f64),
            throughput: count as f64,
            errors: BTreeMap::from([("reset".to_owned(), 1)]),
            error_examples: BTreeMap::from([("reset".to_owned(), vec![format!("reset in {name}")])]),
            response: Distribution::of(&samples),
            service: Distribution::of(&samples),
            schedule_lag: Distribution::of(&samples),
            ..LoadRecord::default()
        };
        let service = ServiceRecord {
            cpu_us: Some(500),
            rss_max: Some(started_ms),
            ..ServiceRecord::default()
        };
        let service = service.with_pauses(BTreeMap::from([("hiccup".to_owned(), (samples.clone(), count))]));
        let phase = PhaseRecord {
            name: "steady".to_owned(),
            start_us: SECOND,
            end_us: 2 * SECOND,
            measure: true,
            complete: true,
            load: BTreeMap::from([("read".to_owned(), load)]),
            services: BTreeMap::from([("ids".to_owned(), service)]),
            ..PhaseRecord::default()
        };
        let fault = FaultRecord {
            kind: "clock".to_owned(),
            name: "back".to_owned(),
            injected_us: Some(SECOND + 10),
            healed_us: Some(SECOND + 20),
            proved: true,
            evidence: "it read 5 ms less".to_owned(),
            undone: true,
            undone_evidence: "it reads as much as others".to_owned(),
            ..FaultRecord::default()
        };
        let mut record = empty_record();
        record.started_at = format!("start {started_ms}");
        record.phases = vec![phase];
        record.faults = vec![fault];
        record.invariants = vec![
            invariant("unique", Verdict::Pass),
            invariant("reached", Verdict::Pass),
        ];
        record.expectations = vec![expectation("read.p99 < 20ms", 10_000.0, Verdict::Pass)];
        record.generator = GeneratorRecord {
            threads: 1,
            cpu_us: 7,
            host_pauses: Pauses::of(&samples, count),
            schedule_lag: Distribution::of(&samples),
            verdict: Some(Verdict::Pass),
            ..GeneratorRecord::default()
        };
        let row = LoadRow {
            start_us: SECOND,
            end_us: SECOND + 100_000,
            load: "read".into(),
            completed: count,
            response: RowLatency::of(&samples),
            ..LoadRow::default()
        };
        let service_row = ServiceRow {
            start_us: SECOND,
            end_us: SECOND + 100_000,
            service: "ids".into(),
            cpu_us: Some(500),
            ..ServiceRow::default()
        };
        let interval = Interval {
            start_us: SECOND,
            end_us: 2 * SECOND,
            kind: Kind::Response,
            hdr: encode(&samples),
        };
        Run {
            name,
            started_ms,
            events: vec![header(), warning()],
            series: vec![SeriesRow::Load(row), SeriesRow::Service(service_row)],
            intervals: BTreeMap::from([("read".to_owned(), vec![interval])]),
            record,
        }
    }

    fn load(&mut self) -> &mut LoadRecord {
        self.record.phases[0].load.get_mut("read").unwrap()
    }

    fn part(&self) -> Part<'_> {
        Part {
            name: self.name.to_owned(),
            started_ms: self.started_ms,
            record: &self.record,
            events: &self.events,
            series: self.series.iter().map(Row::from).collect(),
            intervals: &self.intervals,
        }
    }
}

fn empty_record() -> RunRecord {
    let header = RunHeader {
        scenario: "s".to_owned(),
        source: "squall: 1\nname: s\n".to_owned(),
        command: "squall run s --seed 7".to_owned(),
        seed: 7,
        revision: "abc".to_owned(),
        ..RunHeader::default()
    };
    let started = Event {
        at_us: 0,
        kind: EventKind::RunStarted(Box::new(header)),
    };
    let end = EventKind::RunEnded {
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        exit_code: 0,
    };
    replay::record(&[
        started,
        Event {
            at_us: 3 * SECOND,
            kind: end,
        },
    ])
    .unwrap()
}

fn header() -> Event {
    let phase = PlannedPhase {
        name: "steady".to_owned(),
        length_us: SECOND,
        measure: true,
        target_rate: BTreeMap::from([("read".to_owned(), Some(100.0))]),
        ..PlannedPhase::default()
    };
    let fault = PlannedFault {
        kind: "clock".to_owned(),
        name: "back".to_owned(),
        ..PlannedFault::default()
    };
    let header = RunHeader {
        scenario: "s".to_owned(),
        source: "squall: 1\nname: s\n".to_owned(),
        phases: vec![phase],
        faults: vec![fault],
        ..RunHeader::default()
    };
    Event {
        at_us: 0,
        kind: EventKind::RunStarted(Box::new(header)),
    }
}

fn warning() -> Event {
    Event {
        at_us: 5,
        kind: EventKind::Warning {
            text: "mind".to_owned(),
        },
    }
}

fn invariant(kind: &str, verdict: Verdict) -> InvariantRecord {
    InvariantRecord {
        service: "ids".to_owned(),
        name: kind.to_owned(),
        kind: kind.to_owned(),
        about: String::new(),
        checked: 10,
        violations: u64::from(verdict == Verdict::Fail),
        verdict,
        examples: Vec::new(),
    }
}

fn expectation(text: &str, value: f64, verdict: Verdict) -> ExpectationRecord {
    ExpectationRecord {
        scope: "steady".to_owned(),
        text: text.to_owned(),
        value: Some(value),
        limit: Some(20_000.0),
        verdict,
        reason: if verdict == Verdict::Pass {
            String::new()
        } else {
            format!("was {value}")
        },
        baseline: None,
        lacks_baseline: false,
    }
}

fn merged(runs: &[Run], how: How) -> Merged {
    let parts: Vec<Part<'_>> = runs.iter().map(Run::part).collect();
    merge(&parts, how, "9.9.9").unwrap()
}

fn refused(runs: &[Run], how: How) -> String {
    let parts: Vec<Part<'_>> = runs.iter().map(Run::part).collect();
    merge(&parts, how, "9.9.9").unwrap_err().to_string()
}

fn two() -> [Run; 2] {
    [
        Run::of("a", 1_000, &[100, 200, 300]),
        Run::of("b", 1_500, &[400, 50_000]),
    ]
}

proptest! {
    // Each takes a dozen histograms through their text form.
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn merging_the_parts_gives_the_whole(
        values in proptest::collection::vec(1..5_000_000_000_u64, 0..3_000),
        cuts in proptest::collection::vec(0.0..1.0_f64, 1..5),
        shares in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|at| (at * values.len() as f64) as usize).collect();
        cuts.extend([0, values.len()]);
        cuts.sort_unstable();
        let names = ["a", "b", "c", "d", "e", "f"];
        let pieces = cuts.windows(2).map(|cut| &values[cut[0]..cut[1]]);
        let runs: Vec<Run> = names.iter().zip(pieces).zip(0..).map(|((name, piece), at)| Run::of(name, at, piece)).collect();
        let how = if shares { How::Shares } else { How::Repeats };
        let merged = merged(&runs, how);
        let whole = Distribution::of(&histogram(&values));
        let phase = &merged.record.phases[0];
        let load = &phase.load["read"];
        // The numbers of the whole and its histogram, bucket by bucket.
        prop_assert_eq!(&load.response, &whole);
        prop_assert_eq!(&load.service, &whole);
        prop_assert_eq!(&load.schedule_lag, &whole);
        prop_assert_eq!(&merged.record.generator.schedule_lag, &whole);
        prop_assert_eq!(&phase.services["ids"].pause_kinds["hiccup"], &Pauses::of(&histogram(&values), values.len() as u64));
        prop_assert_eq!(load.completed, values.len() as u64);
        let interval = &merged.intervals["read"];
        prop_assert_eq!(interval.len(), 1);
        prop_assert_eq!(interval[0].histogram().unwrap(), histogram(&values));
    }
}

#[test]
fn repeats_keep_the_rate_and_shares_add_it_up() {
    let (repeats, shares) = (
        merged(&two(), How::Repeats).record,
        merged(&two(), How::Shares).record,
    );
    let load = |record: &RunRecord| record.phases[0].load["read"].clone();
    let rates = |record| (load(record).target_rate, load(record).throughput);
    assert_eq!(rates(&repeats), (Some(100.0), 2.5));
    assert_eq!(rates(&shares), (Some(200.0), 5.0));
    for record in [&repeats, &shares] {
        let load = load(record);
        assert_eq!((load.intended, load.completed, load.failed), (7, 5, 2));
        assert_eq!(load.achieved, Some(5.0 / 7.0));
        assert_eq!(load.errors["reset"], 2);
        assert_eq!(load.error_examples["reset"], ["reset in a", "reset in b"]);
        let service = &record.phases[0].services["ids"];
        assert_eq!((service.cpu_us, service.rss_max), (Some(1_000), Some(1_500)));
        assert_eq!((record.duration_us, record.generator.cpu_us), (3 * SECOND, 14));
        assert_eq!(
            (record.started_at.as_str(), record.squall.as_str()),
            ("start 1000", "9.9.9")
        );
    }
    assert_eq!((repeats.generator.threads, shares.generator.threads), (1, 2));
    let from = repeats.merged.unwrap();
    assert_eq!(
        (from.repeats, from.runs.len(), shares.merged.unwrap().repeats),
        (2, 2, 1)
    );
}

#[test]
fn counts_of_an_edge_add_up_where_each_run_has_them() {
    let mut runs = two();
    let edge = |callee: &str, redirected: Option<u64>| EdgeRecord {
        caller: "feed".to_owned(),
        callee: callee.to_owned(),
        bytes: 10,
        redirected,
        missed: redirected.map(|_| 1),
        ..EdgeRecord::default()
    };
    runs[0].record.edges = vec![edge("ids", Some(3)), edge("other", None)];
    runs[1].record.edges = vec![edge("ids", Some(4)), edge("other", None)];
    let merged = merged(&runs, How::Repeats).record.edges;
    let counts = merged
        .iter()
        .map(|edge| (edge.bytes, edge.redirected, edge.missed));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [(20, Some(7), Some(2)), (20, None, None)]
    );
}

#[test]
fn a_merged_run_replays_to_its_own_record() {
    for how in [How::Repeats, How::Shares] {
        let merged = merged(&two(), how);
        assert_eq!(replay::record(&merged.events).unwrap(), merged.record);
        let texts = merged.events.iter().filter_map(|event| match &event.kind {
            EventKind::Warning { text } => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), ["in a: mind", "in b: mind"]);
    }
}

#[test]
fn merging_again_is_merging_all_at_once() {
    let [a, b] = two();
    let c = Run::of("c", 2_000, &[7; 40]);
    let together = merged(&[a.clone(), b.clone(), c.clone()], How::Repeats).record;
    let first = merged(&[a, b], How::Repeats);
    let first = Run {
        name: "ab",
        started_ms: 1_000,
        record: first.record,
        events: first.events,
        series: first.series,
        intervals: first.intervals,
    };
    let again = merged(&[first.clone(), c], How::Repeats).record;
    assert_eq!(
        again.phases[0].load["read"].response,
        together.phases[0].load["read"].response
    );
    let faster = again.phases[0].load["read"].throughput / together.phases[0].load["read"].throughput;
    assert!((faster - 1.0).abs() < 1e-9, "{faster}");
    assert_eq!(again.merged.unwrap().runs, together.merged.unwrap().runs);
    let other = Run::of("d", 1_000, &[1]);
    assert!(refused(&[first, other], How::Shares).contains("ab repeats its timeline"));
}

#[test]
fn rows_add_up_and_lose_the_percentiles_that_cannot() {
    let runs = [Run::of("a", 1_000, &[100; 40]), Run::of("b", 1_500, &[900; 40])];
    let SeriesRow::Load(alone) = runs[0].series[0].clone() else {
        unreachable!("made so")
    };
    assert_eq!(alone.response.p50, Some(100));
    let merged = merged(&runs, How::Repeats);
    let [SeriesRow::Load(row), SeriesRow::Service(service)] = &merged.series[..] else {
        panic!("{:?}", merged.series)
    };
    assert_eq!((row.completed, service.cpu_us), (80, Some(1_000)));
    assert_eq!(
        row.response,
        RowLatency {
            max: Some(900),
            ..RowLatency::default()
        }
    );
}

/// Makes a run one that does not belong to another.
type Change = fn(&mut Run);

#[test]
fn what_cannot_be_merged_is_refused_with_both_names() {
    let change = |change: Change| {
        let [a, mut b] = two();
        change(&mut b);
        [a, b]
    };
    let table: [(Change, How, &str); 9] = [
        (
            |b| b.record.scenario = "t".to_owned(),
            How::Repeats,
            "a and b differ in scenario: `s` and `t`",
        ),
        (
            |b| b.record.source = "squall: 1\nname: t\n".to_owned(),
            How::Repeats,
            "a and b differ in the text of their scenario: line 2 `name: s` and line 2 `name: t`; compare them",
        ),
        (
            |b| b.record.quick = true,
            How::Shares,
            "made without --quick and made with --quick",
        ),
        (
            |b| b.load().target_rate = Some(50.0),
            How::Repeats,
            "a and b differ in load read of phase steady: 100 requests per second and 50 requests per second; parts of one",
        ),
        (
            |b| b.load().mode = LoadMode::Closed,
            How::Shares,
            "open loop and closed loop",
        ),
        (
            |b| b.record.command += " --set services.ids.with.node=3",
            How::Repeats,
            "what was set: nothing and --set services.ids.with.node=3",
        ),
        (
            |b| b.record.phases[0].name = "cut".to_owned(),
            How::Repeats,
            "their phases: `steady` and `cut`",
        ),
        (
            |b| b.record.faults.clear(),
            How::Repeats,
            "their faults: `back` and ``",
        ),
        (
            |b| b.started_ms = 4_000,
            How::Shares,
            "a had ended before b began",
        ),
    ];
    for (at, (how_it_differs, how, words)) in table.into_iter().enumerate() {
        let text = refused(&change(how_it_differs), how);
        assert!(text.contains(words), "{at}: no `{words}` in: {text}");
    }
    let [a, b] = two();
    assert!(refused(std::slice::from_ref(&a), How::Repeats).contains("it takes two"));
    assert!(refused(&[a.clone(), b, a], How::Repeats).contains("a and a are the same run"));
    let no_header = change(|b| b.name = "b").map(|run| Run {
        events: Vec::new(),
        ..run
    });
    assert!(refused(&no_header, How::Repeats).contains("how a began"));
}

#[test]
fn histograms_that_do_not_fit_are_named() {
    let [a, mut b] = two();
    b.load().response.hdr = "no".to_owned();
    let text = refused(&[a.clone(), b.clone()], How::Repeats);
    assert!(
        text.contains("the response time of load read in phase steady of b"),
        "{text}"
    );
    let coarse = Histogram::new_with_bounds(1, 1_000, 2).unwrap();
    b.load().response.hdr = encode(&coarse);
    assert!(refused(&[a, b], How::Repeats).contains("keeps 2 digits"));
}

#[test]
fn what_differs_without_harm_is_said() {
    let [a, mut b] = two();
    b.record.seed = 8;
    b.record.revision = "def".to_owned();
    b.record.machine = Machine {
        cores: 4,
        ..Machine::default()
    };
    let merged = merged(&[a, b], How::Repeats).record;
    let differ = merged.merged.unwrap().differ;
    assert_eq!(differ.len(), 3, "{differ:?}");
    assert_eq!(differ[0], "seed: 7 in a; 8 in b");
    assert_eq!(merged.revision, "abc+def");
}

#[test]
fn the_gravest_verdict_counts_and_says_whose_it_is() {
    let [mut a, mut b] = two();
    let end = |run: &mut Run, verdict, exit: Exit, reason: &str| {
        run.record.verdict = verdict;
        run.record.exit_code = exit.code();
        run.record.reasons = vec![reason.to_owned()];
    };
    end(&mut a, Verdict::Invalid, Exit::Invalid, "too few");
    end(&mut b, Verdict::Fail, Exit::ExpectationNotMet, "too slow");
    a.record.expectations = vec![expectation("read.p99 < 20ms", 19_000.0, Verdict::Invalid)];
    b.record.expectations = vec![expectation("read.p99 < 20ms", 21_000.0, Verdict::Fail)];
    b.record.faults[0].proved = false;
    b.record.faults[0].evidence = "nobody read it".to_owned();
    b.record.phases[0].invalid = vec!["lag".to_owned()];
    b.record.phases[0].complete = false;
    let record = merged(&[a, b], How::Repeats).record;
    assert_eq!((record.verdict, record.exit_code), (Verdict::Fail, 99));
    assert_eq!(record.reasons, ["in b: too slow", "in a: too few"]);
    let expected = &record.expectations[0];
    assert_eq!(
        (expected.verdict, expected.value),
        (Verdict::Fail, Some(21_000.0))
    );
    assert_eq!(expected.reason, "in a: was 19000; in b: was 21000");
    assert!(!record.faults[0].proved && !record.phases[0].complete);
    assert_eq!(
        record.faults[0].evidence,
        "in a: it read 5 ms less; in b: nobody read it"
    );
    assert_eq!(record.phases[0].invalid, ["in b: lag"]);
}

#[test]
fn of_runs_that_passed_the_one_that_came_closest_to_the_limit_is_shown() {
    for (text, values, worst) in [
        ("read.p99 < 20ms", [3.0, 9.0], 9.0),
        ("read.achieved > 99%", [3.0, 9.0], 3.0),
        ("read.errors == 0%", [20_001.0, 19_998.0], 19_998.0),
    ] {
        let runs = two().into_iter().zip(values).map(|(mut run, value)| {
            run.record.expectations = vec![expectation(text, value, Verdict::Pass)];
            run
        });
        let runs: Vec<Run> = runs.collect();
        let record = merged(&runs, How::Repeats).record;
        assert_eq!(record.expectations[0].value, Some(worst), "{text}");
        assert_eq!(record.expectations[0].reason, "");
    }
}

#[test]
fn shares_that_each_held_do_not_prove_that_all_together_do() {
    let repeats = merged(&two(), How::Repeats).record;
    assert_eq!(
        (repeats.verdict, repeats.invariants[0].verdict),
        (Verdict::Pass, Verdict::Pass)
    );
    assert_eq!(repeats.invariants[0].checked, 20);
    let shares = merged(&two(), How::Shares).record;
    assert_eq!((shares.verdict, shares.exit_code), (Verdict::Invalid, 96));
    assert_eq!(shares.invariants[0].verdict, Verdict::Invalid);
    assert_eq!(
        shares.invariants[1].verdict,
        Verdict::Pass,
        "that something happened needs no comparison"
    );
    assert!(
        shares.reasons[0].contains("ids.unique") && shares.reasons[0].contains("not compared"),
        "{:?}",
        shares.reasons
    );
}

#[test]
fn a_receipt_takes_as_long_as_in_the_slowest_run() {
    let runs = two().map(|mut run| {
        let slow = if run.name == "b" { 900 } else { 4 };
        for (at_us, kind) in [
            (
                SECOND + 10,
                EventKind::FaultInjected {
                    fault: "back".to_owned(),
                },
            ),
            (
                SECOND + 10 + slow,
                EventKind::FaultProved {
                    fault: "back".to_owned(),
                    evidence: String::new(),
                },
            ),
        ] {
            run.events.push(Event { at_us, kind });
        }
        run
    });
    let merged = merged(&runs, How::Repeats);
    let proved = merged
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::FaultProved { .. }));
    assert_eq!(
        proved.map(|event| event.at_us).collect::<Vec<_>>(),
        [SECOND + 910]
    );
    assert_eq!(replay::record(&merged.events).unwrap(), merged.record);
}
