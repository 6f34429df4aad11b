//! The rules as tables.

use super::*;
use expect_test::expect;
use squall_model::histogram::empty;
use squall_model::record::GeneratorThread;

fn totals(lag_us: u64, response_us: u64, unsent: u64) -> Totals {
    let mut totals = Totals::default();
    totals.lag.record_n(lag_us, 1_000).unwrap();
    totals.response.record_n(response_us, 1_000).unwrap();
    totals.service.record_n(response_us, 1_000).unwrap();
    totals.intended = 1_000 + unsent;
    totals.unsent_by_generator = unsent;
    totals
}

fn judged(mode: LoadMode, totals: &Totals, oversleep: &Histogram, host: &GeneratorPhase) -> Vec<String> {
    texts(doubts(&Inputs {
        load: "a",
        mode,
        totals,
        wake_late: None,
        oversleep,
        host,
    }))
}

/// Of a thousand samples, `count` of the one value and the rest of the other.
fn mixed(usual_us: u64, count: u64, rare_us: u64) -> Histogram {
    let mut samples = empty();
    samples.record_n(usual_us, 1_000 - count).unwrap();
    samples.record_n(rare_us, count).unwrap();
    samples
}

#[test]
fn the_generator_is_held_to_its_schedule() {
    // (lag, response, unsent, doubts): the limit is the larger of 1 ms and a tenth of the response. A lag that is always
    // the same is what waking costs up to 100 us, and an error beyond.
    let table = [
        (100, 1_000, 0, 0),
        (1_200, 5_000, 0, 2),
        (1_200, 20_000, 0, 1),
        (300, 20_000, 0, 0),
        (2_500, 20_000, 0, 2),
        (100, 1_000, 40, 0),
        (100, 1_000, 60, 1),
        (100, 1_000, 900, 1),
    ];
    for (lag, response, unsent, expected) in table {
        let found = judged(
            LoadMode::Open,
            &totals(lag, response, unsent),
            &empty(),
            &GeneratorPhase::default(),
        );
        assert_eq!(
            found.len(),
            expected,
            "lag {lag}, response {response}, unsent {unsent}: {found:?}"
        );
    }
}

#[test]
fn a_lag_that_moves_no_percentile_spoils_none() {
    // One request in fifty takes long, and the few that were sent late are others: P99 stays where it is.
    let totals = Totals {
        intended: 1_000,
        completed: 1_000,
        response: mixed(2_000, 30, 30_000),
        service: mixed(2_000, 30, 30_000),
        lag: mixed(50, 15, 4_000),
        ..Totals::default()
    };
    let found = judged(LoadMode::Open, &totals, &empty(), &GeneratorPhase::default());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn answers_that_the_kernel_stamped_are_not_late_to_be_read() {
    let stamped = Totals {
        completed: 1_000,
        service: mixed(10_000, 20, 14_000),
        ..totals(0, 1, 0)
    };
    let read_late = mixed(60, 25, 4_060);
    let closed = |totals: &Totals| judged(LoadMode::Closed, totals, &read_late, &GeneratorPhase::default());
    assert!(closed(&stamped).is_empty());
    let unstamped = Totals {
        unstamped: 1_000,
        ..stamped
    };
    assert_eq!(closed(&unstamped).len(), 1);
}

#[test]
fn a_closed_loop_has_no_schedule_and_is_judged_by_how_late_its_answers_are_read() {
    let mut totals = Totals {
        service: mixed(10_000, 20, 14_000),
        completed: 1_000,
        unstamped: 1_000,
        ..totals(1_000_000, 1, 1_000)
    };
    let closed = |totals: &Totals, oversleep: &Histogram| {
        judged(LoadMode::Closed, totals, oversleep, &GeneratorPhase::default())
    };
    assert!(closed(&totals, &empty()).is_empty());
    assert!(closed(&totals, &mixed(60, 5, 200)).is_empty());
    // As many threads woke four milliseconds late as answers took four milliseconds longer.
    let found = closed(&totals, &mixed(60, 25, 4_060));
    assert!(
        found.len() == 1 && found[0].contains("P99 of the service time of a is 14.0 ms"),
        "{found:?}"
    );
    // What is a tenth of a millisecond is not worth a word, whatever share it is.
    totals.service = mixed(300, 20, 420);
    assert!(closed(&totals, &mixed(10, 25, 130)).is_empty());
}

#[test]
fn lateness_counts_twice_on_its_way_and_no_further() {
    let late = mixed(50, 15, 3_050);
    let mut totals = Totals {
        intended: 1_000,
        completed: 1_000,
        unstamped: 1_000,
        response: mixed(20_000, 30, 23_000),
        service: mixed(20_000, 15, 23_000),
        lag: late.clone(),
        ..Totals::default()
    };
    let open = |totals: &Totals, wake_late: Option<&Histogram>| {
        let host = GeneratorPhase::default();
        let inputs = Inputs {
            load: "a",
            mode: LoadMode::Open,
            totals,
            wake_late,
            oversleep: &empty(),
            host: &host,
        };
        latency_error(&inputs).unwrap()
    };
    // 1.5 % sent late and 1.5 % read late are the 3 % beyond 20 ms.
    let error = open(&totals, None);
    assert!((19_500.0..20_500.0).contains(&error.without_us), "{error:?}");
    // Had it been read in time, half of them would be the service's own.
    let prompt = mixed(50, 0, 50);
    let error = open(&totals, Some(&prompt));
    assert!((22_000.0..23_100.0).contains(&error.without_us), "{error:?}");
    totals.lag = prompt.clone();
    let error = open(&totals, Some(&prompt));
    assert_eq!((error.quantile, error.measured_us), (0.99, error.without_us));
}

#[test]
fn what_holds_the_services_up_counts_only_where_it_is_a_stranger() {
    let totals = Totals {
        intended: 1_000,
        response: mixed(20_000, 30, 26_000),
        service: mixed(20_000, 30, 26_000),
        lag: mixed(50, 0, 50),
        ..Totals::default()
    };
    let oversleep = mixed(60, 30, 6_060);
    let with = |strangers, steal| GeneratorPhase {
        watched_us: 1_000_000,
        strangers,
        steal,
        ..GeneratorPhase::default()
    };
    let table = [
        (None, None, 0),
        (Some(0.01), Some(0.01), 0),
        (Some(0.4), Some(0.0), 1),
        (None, Some(0.12), 1),
    ];
    for (strangers, steal, expected) in table {
        let found = judged(LoadMode::Open, &totals, &oversleep, &with(strangers, steal));
        assert_eq!(found.len(), expected, "{strangers:?} {steal:?}: {found:?}");
    }
}

#[test]
fn a_doubt_names_its_likely_cause_and_what_to_do() {
    let thread = |cpu_us, wait_us| GeneratorThread { cpu_us, wait_us };
    let host = |threads, strangers, steal| GeneratorPhase {
        watched_us: 1_000_000,
        threads,
        strangers: Some(strangers),
        steal: Some(steal),
        pressure: Some(0.5),
        throttled_us: Some(0),
        ..GeneratorPhase::default()
    };
    let throttled = GeneratorPhase {
        throttled_us: Some(300_000),
        ..host(vec![], 0.0, 0.0)
    };
    let hosts = [
        host(vec![thread(100_000, 10), thread(980_000, 200)], 0.0, 0.0),
        host(vec![thread(400_000, 410_000)], 0.47, 0.0),
        host(vec![thread(400_000, 410_000)], 0.01, 0.0),
        host(vec![thread(950_000, 60_000)], 0.1, 0.12),
        throttled,
        host(vec![], 0.0, 0.0),
        GeneratorPhase::default(),
    ];
    let lines: Vec<String> = hosts
        .iter()
        .map(|host| judged(LoadMode::Open, &totals(5_000, 50_000, 900), &empty(), host))
        .map(|texts| format!("{}\n", texts[0]))
        .collect();
    expect![[r"
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: the generator itself used 98.0 % of its core; lower the rate or give it more cores
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: other programs had 47.0 % of the processors' time: run-queue wait 41.0 % of the phase; stop what else runs on this machine
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: the run's own services had the processors: run-queue wait 41.0 % of the phase; lower the rate or give the generator processors of its own
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: the machine was stolen 12.0 % of the time by its host, and other programs had 10.0 % of the processors' time: run-queue wait 6.00 % of the phase, and the generator itself used 95.0 % of its core; use a machine whose processors are its own
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: the control group's quota held squall up 30.0 % of the phase; raise the quota or lower the rate
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; likely cause: some thread of this machine waited for a processor 50.0 % of the time; stop what else runs on this machine, or lower the rate
        the generator fell behind its schedule for a: P99 of the lag is 5.00 ms, over the limit of 5.00 ms; lower the rate or give it more cores
    "]]
    .assert_eq(&lines.concat());
}

#[test]
fn a_suspend_is_said_with_its_length() {
    assert_eq!(suspended(0), None);
    let text = suspended(12_000_000).unwrap();
    assert!(text.starts_with("the machine was suspended for 12.0 s"), "{text}");
}
