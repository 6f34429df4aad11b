//! A made-up run with the shape of a real one: an id-generator under 2,000 requests/s for 60 s whose clock is stepped
//! back four times. Everything follows from the seed, so that tests of the report are exact.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use squall_model::event::{Event, EventKind, PlannedFault, PlannedPhase, RunHeader, Transition};
use squall_model::histogram::{Distribution, Histogram, empty};
use squall_model::hlog::{self, Kind};
use squall_model::record::{
    ExpectationRecord, GeneratorPhase, GeneratorRecord, GeneratorThread, InvariantRecord, LatencyError,
    LoadMode, LoadRecord, Machine, Pauses, ServiceRecord, Verdict,
};
use squall_model::replay;
use squall_model::series::{ByKind, LoadRow, RowLatency, SeriesRow, ServiceRow};

/// What lies in a run's folder, as text.
pub(crate) struct Folder {
    pub(crate) events_ndjson: String,
    pub(crate) series_ndjson: String,
    pub(crate) hlogs: BTreeMap<String, String>,
    pub(crate) run_json: String,
}

impl Folder {
    pub(crate) fn hlogs(&self) -> BTreeMap<String, &str> {
        self.hlogs
            .iter()
            .map(|(load, text)| (load.clone(), text.as_str()))
            .collect()
    }

    pub(crate) fn recording(&self) -> squall_report::Recording {
        let run = Some(self.run_json.as_str());
        squall_report::recording(&self.events_ndjson, &self.series_ndjson, &self.hlogs(), run).unwrap()
    }
}

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// Services start before the load does.
const BEGIN: u64 = 240 * MS;
const RATE: f64 = 2_000.0;
const LOAD: &str = "next_id";
const SERVICE: &str = "ids";

/// Name, seconds, step back in milliseconds.
const PHASES: [(&str, u64, Option<u64>); 6] = [
    ("warm-up", 4, None),
    ("steady", 16, None),
    ("back-5ms", 10, Some(5)),
    ("back-20ms", 10, Some(20)),
    ("back-50ms", 10, Some(50)),
    ("back-500ms", 10, Some(500)),
];

/// A phase with its fault, in time.
struct Phase {
    name: &'static str,
    start_us: u64,
    end_us: u64,
    /// When the clock steps back, and by how much.
    step: Option<(u64, u64)>,
}

fn phases() -> Vec<Phase> {
    let mut start_us = BEGIN;
    let mut phases = Vec::new();
    for (name, seconds, step) in PHASES {
        let end_us = start_us + seconds * SECOND;
        phases.push(Phase {
            name,
            start_us,
            end_us,
            step: step.map(|ms| (start_us + 2 * SECOND, ms * MS)),
        });
        start_us = end_us;
    }
    phases
}

/// Splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, mean 0, deviation 1 (Irwin-Hall of 12).
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// One request.
struct Request {
    end_us: u64,
    response_us: u64,
    service_us: u64,
    failed: bool,
}

/// The requests of a phase: a lognormal body, a rare slow one, a stall after each step of the clock.
fn requests(phase: &Phase, random: &mut Random) -> Vec<Request> {
    let count = ((phase.end_us - phase.start_us) as f64 / 1e6 * RATE) as u64;
    let mut requests = Vec::new();
    for at in 0..count {
        let intended_us = phase.start_us + (at as f64 * 1e6 / RATE) as u64;
        let mut service = 310.0 * (0.32 * random.normal()).exp();
        if random.unit() < 0.004 {
            service += 900.0 + 2_600.0 * random.unit();
        }
        if phase.name == "warm-up" {
            service *= 1.6;
        }
        let mut queue = 8.0 * random.unit();
        let mut failed = false;
        if let Some((step_us, by_us)) = phase.step {
            // The service waits out what it may wait out; above 50 ms it takes the backup sequencer instead.
            let stall = if by_us > 50 * MS { 3 * MS } else { by_us };
            if (step_us..step_us + stall).contains(&intended_us) {
                let rest = (step_us + stall - intended_us) as f64;
                queue += rest * 0.7;
                service += rest * 0.3;
            }
            if by_us > 50 * MS && intended_us > step_us {
                service *= 1.18;
                failed = intended_us < step_us + 4 * MS;
            }
        }
        let response = queue + service;
        requests.push(Request {
            end_us: intended_us + response as u64,
            response_us: response as u64,
            service_us: service as u64,
            failed,
        });
    }
    requests
}

fn record<'r>(requests: impl Iterator<Item = &'r Request>, of: fn(&Request) -> u64) -> Histogram {
    let mut histogram = empty();
    requests.for_each(|request| histogram.saturating_record(of(request).max(1)));
    histogram
}

fn load_record(phase: &Phase, requests: &[Request]) -> LoadRecord {
    let n = requests.len() as u64;
    let failed = requests.iter().filter(|request| request.failed).count() as u64;
    let mut errors = BTreeMap::new();
    let mut error_examples = BTreeMap::new();
    if failed > 0 {
        errors.insert("status 503".to_owned(), failed);
        let example = "GET /id: 503 Service Unavailable: clock moved back 500 ms, more than the 50 ms that may be waited";
        error_examples.insert("status 503".to_owned(), vec![example.to_owned()]);
    }
    LoadRecord {
        mode: LoadMode::Open,
        target_rate: Some(RATE),
        users: None,
        intended: n,
        sent: n,
        completed: n,
        failed,
        dropped: 0,
        unsent_by_generator: 0,
        achieved: Some(1.0),
        target_missed: None,
        throughput: n as f64 / ((phase.end_us - phase.start_us) as f64 / 1e6),
        errors,
        error_examples,
        response: Distribution::of(&record(requests.iter(), |r| r.response_us)),
        service: Distribution::of(&record(requests.iter(), |r| r.service_us)),
        schedule_lag: Distribution::of(&record(requests.iter(), |r| 2 + r.service_us % 23)),
        invalid: Vec::new(),
        spoils: None,
    }
}

fn service_record(phase: &Phase, rows: &[ServiceRow]) -> ServiceRecord {
    let inside = || {
        rows.iter()
            .filter(|row| (phase.start_us..phase.end_us).contains(&row.start_us))
    };
    let mut lengths = empty();
    inside()
        .filter_map(|row| row.pause_max)
        .for_each(|us| lengths.saturating_record(us));
    let total = inside().filter_map(|row| row.pause_total).sum();
    let pauses = BTreeMap::from([
        ("hiccup".to_owned(), Pauses::of(&lengths, total)),
        ("run_queue".to_owned(), Pauses::of_intervals(&lengths, total / 2)),
    ]);
    ServiceRecord {
        cpu_us: Some(inside().filter_map(|row| row.cpu_us).sum()),
        rss_max: inside().filter_map(|row| row.rss).max(),
        pauses: None,
        pause_kinds: pauses,
        pauses_not_visible: vec!["gc".to_owned()],
        pauses_not_visible_why: BTreeMap::from([("gc".to_owned(), "it printed no line of it".to_owned())]),
        threads_max: Some(9),
        descriptors_max: Some(41),
        voluntary_switches: Some(52_000),
        involuntary_switches: Some(1_200),
        threads_ended: Some(0),
        restarts: 0,
    }
}

fn service_rows(phases: &[Phase], random: &mut Random) -> Vec<ServiceRow> {
    let end = phases.last().map_or(0, |phase| phase.end_us);
    let rows = (BEGIN / (100 * MS)..end / (100 * MS)).map(|at| {
        let (start_us, end_us) = (at * 100 * MS, (at + 1) * 100 * MS);
        let stalled = phases
            .iter()
            .filter_map(|phase| phase.step)
            .find(|(us, _)| (start_us..end_us).contains(us));
        let calm = (60.0 + 240.0 * random.unit() * random.unit()) as u64;
        let pause = stalled.map_or(calm, |(_, by_us)| by_us.min(50 * MS) + calm);
        ServiceRow {
            start_us,
            end_us,
            service: SERVICE.into(),
            cpu_us: Some(31 * MS + random.next() % (6 * MS)),
            rss: Some(14 * 1024 * 1024 + at * 900),
            pause_max: Some(pause),
            pause_total: Some(pause * 3),
            threads: Some(9),
            descriptors: Some(41),
            voluntary_switches: Some(1_300),
            involuntary_switches: Some(30),
            run_queue: Some(calm * 5),
            ..ServiceRow::default()
        }
    });
    rows.collect()
}

fn load_row(start_us: u64, requests: &[&Request]) -> LoadRow {
    let n = requests.len() as u64;
    let failed = requests.iter().filter(|request| request.failed).count() as u64;
    let latency = |of: fn(&Request) -> u64| RowLatency::of(&record(requests.iter().copied(), of));
    LoadRow {
        start_us,
        end_us: start_us + 100 * MS,
        load: LOAD.into(),
        intended: n,
        sent: n,
        completed: n,
        failed,
        dropped: 0,
        errors: if failed > 0 {
            ByKind::from_iter([("status 503".into(), failed)])
        } else {
            ByKind::default()
        },
        response: latency(|r| r.response_us),
        service: latency(|r| r.service_us),
    }
}

/// Requests by the interval in which they ended.
fn by_end(requests: &[Request], interval_us: u64) -> BTreeMap<u64, Vec<&Request>> {
    let mut by_end: BTreeMap<u64, Vec<&Request>> = BTreeMap::new();
    for request in requests {
        by_end
            .entry(request.end_us / interval_us * interval_us)
            .or_default()
            .push(request);
    }
    by_end
}

fn header(phases: &[Phase]) -> RunHeader {
    let faults = phases.iter().filter_map(|phase| {
        let (_, by_us) = phase.step?;
        Some(PlannedFault {
            kind: "clock".to_owned(),
            name: phase.name.to_owned(),
            about: format!("the clock of {SERVICE} steps back {} ms", by_us / MS),
            target: Some(SERVICE.to_owned()),
            edge: None,
            phase: phase.name.to_owned(),
            ..PlannedFault::default()
        })
    });
    let planned = phases.iter().map(|phase| PlannedPhase {
        name: phase.name.to_owned(),
        length_us: phase.end_us - phase.start_us,
        measure: phase.name != "warm-up",
        baseline: phase.name == "steady",
        target_rate: BTreeMap::from([(LOAD.to_owned(), Some(RATE))]),
    });
    RunHeader {
        squall: "0.1.0".to_owned(),
        scenario: "id-generator-clock-rollback".to_owned(),
        about: "Ids stay unique and quick while the generator's clock steps back by 5, 20, 50 and 500 ms."
            .to_owned(),
        source: include_str!("scenario.yaml").to_owned(),
        command: "squall run scenarios/id-generator-clock-rollback.yaml --seed 7".to_owned(),
        seed: 7,
        started_at: "2026-01-15T09:30:12.480Z".to_owned(),
        revision: "4f1c2ab".to_owned(),
        quick: false,
        network: squall_model::scenario::Network::Shared,
        machine: Machine {
            cores: 8,
            memory: 32 * 1024 * 1024 * 1024,
            os: "Linux 6.8.0".to_owned(),
            cpu: "AMD EPYC 7763 64-Core Processor".to_owned(),
        },
        loads: vec![LOAD.to_owned()],
        services: vec![SERVICE.to_owned()],
        phases: planned.collect(),
        faults: faults.collect(),
        merged: None,
    }
}

fn fault_events(phase: &Phase) -> Vec<Event> {
    let Some((step_us, by_us)) = phase.step else {
        return Vec::new();
    };
    let fault = || phase.name.to_owned();
    let ms = by_us / MS;
    let at = |at_us, kind| Event { at_us, kind };
    let answer = match ms {
        0..10 => "spun",
        10..51 => "slept",
        _ => "took the backup sequencer",
    };
    let service = |kind: &str, text: String| EventKind::ServiceEvent {
        service: SERVICE.to_owned(),
        kind: kind.to_owned(),
        text,
        transition: None,
    };
    let sequencer = |from: &str, to: &str| EventKind::ServiceEvent {
        service: SERVICE.to_owned(),
        kind: "state".to_owned(),
        text: format!("the clock is {ms} ms back"),
        transition: Some(Transition {
            of: "sequencer".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        }),
    };
    vec![
        at(step_us, EventKind::FaultInjected { fault: fault() }),
        at(
            step_us + 380,
            EventKind::FaultProved {
                fault: fault(),
                evidence: format!(
                    "ids read its clock {ms} ms back and wrote epoch {} into the shared page",
                    ms + 1
                ),
            },
        ),
        at(
            step_us + 610,
            service("rollback", format!("clock went back {ms} ms; {answer}")),
        ),
        at(step_us + 620, sequencer("main", "backup")),
        at(phase.end_us - 400 * MS, EventKind::FaultHealed { fault: fault() }),
        at(
            phase.end_us - 400 * MS + 420,
            EventKind::FaultUndone {
                fault: fault(),
                evidence: "ids read its clock with offset 0".to_owned(),
                held_us: None,
            },
        ),
        at(phase.end_us - 300 * MS, sequencer("backup", "main")),
    ]
}

fn expectation(scope: &str, text: &str, value: f64, limit: f64, verdict: Verdict) -> ExpectationRecord {
    ExpectationRecord {
        scope: scope.to_owned(),
        text: text.to_owned(),
        value: Some(value),
        limit: Some(limit),
        verdict,
        reason: String::new(),
        baseline: None,
        lacks_baseline: false,
    }
}

fn generator_phase() -> GeneratorPhase {
    let thread = |cpu_us, wait_us| GeneratorThread { cpu_us, wait_us };
    let error = LatencyError {
        quantile: 0.99,
        measured_us: 2_900.0,
        without_us: 2_850.0,
    };
    GeneratorPhase {
        watched_us: 20_000 * MS,
        threads: vec![thread(5_000 * MS, 40 * MS), thread(4_000 * MS, 20 * MS)],
        strangers: Some(0.03),
        steal: Some(0.0),
        pressure: None,
        throttled_us: None,
        oversleep_us_p99: Some(140),
        oversleep_us_max: Some(2_100),
        error: BTreeMap::from([("next_id".to_owned(), error)]),
    }
}

fn end_events(at_us: u64, requests: &[Request]) -> Vec<Event> {
    let at = |kind| Event { at_us, kind };
    let n = requests.len() as u64;
    let host = record(requests.iter().step_by(400), |r| r.service_us / 4);
    let generator = GeneratorRecord {
        cpu_us: n * 13,
        threads: 2,
        placement: "cores 6-7, apart from the services on 0-5".to_owned(),
        schedule_lag: Distribution::of(&record(requests.iter(), |r| 2 + r.service_us % 23)),
        host_pauses: Pauses::of(&host, 31 * MS),
        host_meter_cpu_us: 118 * MS,
        verdict: Some(Verdict::Pass),
        suspended_us: 0,
        phases: BTreeMap::from([("steady".to_owned(), generator_phase())]),
    };
    let invariants = vec![
        InvariantRecord {
            service: SERVICE.to_owned(),
            name: "unique".to_owned(),
            kind: "unique".to_owned(),
            about: "no id is ever issued twice".to_owned(),
            checked: n,
            violations: 0,
            verdict: Verdict::Pass,
            examples: vec![],
        },
        InvariantRecord {
            service: SERVICE.to_owned(),
            name: "defended".to_owned(),
            kind: "reached".to_owned(),
            about: "each defence against a rollback was used".to_owned(),
            checked: 4,
            violations: 0,
            verdict: Verdict::Pass,
            examples: vec!["spin 1, sleep 2, backup 1".to_owned()],
        },
    ];
    let expectations = vec![
        expectation("steady", "next_id.p99 < 5ms", 683.0, 5_000.0, Verdict::Pass),
        expectation("steady", "next_id.errors == 0%", 0.0, 0.0, Verdict::Pass),
        expectation(
            "back-50ms",
            "next_id.max < 80ms",
            50_239.0,
            80_000.0,
            Verdict::Pass,
        ),
        ExpectationRecord {
            scope: "run".to_owned(),
            text: "ids.unique".to_owned(),
            value: None,
            limit: None,
            verdict: Verdict::Pass,
            reason: String::new(),
            baseline: None,
            lacks_baseline: false,
        },
        expectation("run", "next_id.achieved > 99%", 1.0, 0.99, Verdict::Pass),
    ];
    vec![
        at(EventKind::ServiceStopped {
            service: SERVICE.to_owned(),
            status: "exit 0".to_owned(),
        }),
        at(EventKind::Invariants { results: invariants }),
        at(EventKind::Generator {
            result: Box::new(generator),
        }),
        at(EventKind::Expectations {
            results: expectations,
        }),
        at(EventKind::RunEnded {
            verdict: Verdict::Pass,
            reasons: vec![],
            exit_code: 0,
        }),
    ]
}

fn lines<T: serde::Serialize>(values: &[T]) -> String {
    let mut text = String::new();
    for value in values {
        writeln!(text, "{}", serde_json::to_string(value).unwrap()).unwrap();
    }
    text
}

/// The run, from a seed.
pub(crate) fn folder(seed: u64) -> Folder {
    let mut random = Random(seed);
    let phases = phases();
    let service_rows = service_rows(&phases, &mut random);
    let at = |at_us, kind| Event { at_us, kind };
    let mut events = vec![
        at(0, EventKind::RunStarted(Box::new(header(&phases)))),
        at(
            2 * MS,
            EventKind::ServiceStarted {
                service: SERVICE.to_owned(),
                pid: 4_711,
            },
        ),
        at(
            31 * MS,
            EventKind::ServiceReady {
                service: SERVICE.to_owned(),
                address: Some("127.0.0.1:40123".to_owned()),
            },
        ),
    ];
    let mut all = Vec::new();
    for phase in &phases {
        let requests = requests(phase, &mut random);
        events.push(at(
            phase.start_us,
            EventKind::PhaseStarted {
                phase: phase.name.to_owned(),
            },
        ));
        events.extend(fault_events(phase));
        events.push(at(
            phase.end_us,
            EventKind::PhaseEnded {
                phase: phase.name.to_owned(),
                complete: true,
            },
        ));
        let result = EventKind::PhaseResult {
            phase: phase.name.to_owned(),
            load: BTreeMap::from([(LOAD.to_owned(), load_record(phase, &requests))]),
            services: BTreeMap::from([(SERVICE.to_owned(), service_record(phase, &service_rows))]),
            invalid: vec![],
        };
        events.push(at(phase.end_us + 5 * MS, result));
        all.extend(requests);
    }
    let end_us = phases.last().map_or(0, |phase| phase.end_us) + 60 * MS;
    events.extend(end_events(end_us, &all));
    let mut log = hlog::header(1_768_469_412_480, "2026-01-15T09:30:12.480Z");
    for (start_us, ended) in by_end(&all, SECOND) {
        for (kind, of) in [
            (Kind::Response, (|r| r.response_us) as fn(&Request) -> u64),
            (Kind::Service, |r| r.service_us),
        ] {
            log += &hlog::line(
                kind,
                start_us,
                start_us + SECOND,
                &record(ended.iter().copied(), of),
            );
        }
    }
    let rows = by_end(&all, 100 * MS)
        .into_iter()
        .map(|(start_us, ended)| SeriesRow::Load(load_row(start_us, &ended)));
    let rows: Vec<SeriesRow> = rows
        .chain(service_rows.into_iter().map(SeriesRow::Service))
        .collect();
    Folder {
        events_ndjson: lines(&events),
        series_ndjson: lines(&rows),
        hlogs: BTreeMap::from([(LOAD.to_owned(), log)]),
        run_json: serde_json::to_string(&replay::record(&events).unwrap()).unwrap(),
    }
}
