//! What there is to read of a run: families of metrics, whatever the format that they are read in.
//!
//! Every run has the same families, and one without data has no samples: what was not measured is absent. A new family is
//! a line here and nothing elsewhere but its line in `docs/run-record.md`.

use squall_engine::observer::{MeasuredLatency, MeasuredLoad, RECENT};

use super::View;

/// Labels of one sample.
pub type Labels = Vec<(&'static str, String)>;

/// Samples of one family.
pub type Samples<T> = Vec<(Labels, T)>;

/// Metrics of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name, without what formats add for unit and kind.
    pub name: &'static str,
    /// What it is, in words.
    pub help: &'static str,
    /// Its unit.
    pub unit: Option<Unit>,
    /// Its kind, and its samples.
    pub data: Data,
}

/// A unit of the base system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Seconds,
    /// Sizes.
    Bytes,
}

/// Samples by kind.
#[derive(Clone, Debug)]
pub enum Data {
    /// Facts, as labels.
    Info(Vec<Labels>),
    /// What only grows while a run goes on.
    Counter(Samples<Number>),
    /// What goes up and down.
    Gauge(Samples<Number>),
    /// Latencies, in seconds.
    Histogram(Samples<MeasuredLatency>),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count.
    Whole(u64),
    /// Anything else.
    Real(f64),
}

/// All families of a run.
pub fn families(view: &View) -> Vec<Family> {
    let mut all = of_run(view);
    all.extend(counts(view));
    all.extend(loads_now(view));
    all.extend(latencies(view));
    all.extend(services(view));
    all.extend(faults(view));
    all
}

fn family(name: &'static str, help: &'static str, data: Data) -> Family {
    Family {
        name,
        help,
        unit: None,
        data,
    }
}

impl Family {
    fn in_unit(self, unit: Unit) -> Family {
        Family {
            unit: Some(unit),
            ..self
        }
    }
}

fn of_run(view: &View) -> Vec<Family> {
    let (header, measured) = (&view.header, &view.measured);
    if header.scenario.is_empty() {
        return Vec::new();
    }
    let run = vec![
        ("scenario", header.scenario.clone()),
        ("seed", header.seed.to_string()),
        ("revision", header.revision.clone()),
        ("started_at", header.started_at.clone()),
        ("squall", header.squall.clone()),
    ];
    let phase = measured.phase.iter().map(|(phase, index)| {
        vec![
            ("phase", phase.clone()),
            ("number", (index + 1).to_string()),
            ("of", measured.phases.to_string()),
        ]
    });
    let elapsed = vec![(Labels::new(), seconds(measured.at_us))];
    let help = "Time since the run's start, as of the last sum";
    vec![
        family("squall_run", "The run that goes on", Data::Info(vec![run])),
        family("squall_run_elapsed", help, Data::Gauge(elapsed)).in_unit(Unit::Seconds),
        family("squall_phase", "The phase that runs", Data::Info(phase.collect())),
    ]
}

fn counts(view: &View) -> Vec<Family> {
    let loads = &view.measured.loads;
    let each = |of: fn(&MeasuredLoad) -> u64| {
        let samples = loads.iter().map(|load| (of_load(load), Number::Whole(of(load))));
        Data::Counter(samples.collect())
    };
    let outcomes = loads.iter().flat_map(|load| {
        let passed = load.completed.saturating_sub(load.failed);
        [("ok", passed), ("failed", load.failed)]
            .map(|(outcome, count)| (with(of_load(load), "outcome", outcome), Number::Whole(count)))
    });
    let errors = loads.iter().flat_map(|load| {
        let of_kind =
            |(kind, count): (&String, &u64)| (with(of_load(load), "kind", kind), Number::Whole(*count));
        load.errors.iter().map(of_kind).collect::<Vec<_>>()
    });
    let unsent = "Requests never sent because the generator was too slow";
    vec![
        family(
            "squall_requests",
            "Requests that ended, by how",
            Data::Counter(outcomes.collect()),
        ),
        family(
            "squall_request_errors",
            "Requests that failed, by kind of error",
            Data::Counter(errors.collect()),
        ),
        family(
            "squall_requests_intended",
            "Requests that the schedule asked for",
            each(|load| load.intended),
        ),
        family(
            "squall_requests_sent",
            "Requests handed to a connection",
            each(|load| load.sent),
        ),
        family(
            "squall_requests_dropped",
            "Requests never sent for want of a connection",
            each(|load| load.dropped),
        ),
        family(
            "squall_requests_unsent_by_generator",
            unsent,
            each(|load| load.unsent_by_generator),
        ),
    ]
}

fn loads_now(view: &View) -> Vec<Family> {
    let loads = &view.measured.loads;
    let each = |of: fn(&MeasuredLoad) -> Option<Number>| {
        Data::Gauge(
            loads
                .iter()
                .filter_map(|load| Some((of_load(load), of(load)?)))
                .collect(),
        )
    };
    let rate = "Requests per second that the running phase asks for, in open loop";
    vec![
        family(
            "squall_requests_in_flight",
            "Requests sent that have not ended",
            each(|load| Some(Number::Whole(load.in_flight))),
        ),
        family(
            "squall_target_rate",
            rate,
            each(|load| load.target_rate.map(Number::Real)),
        ),
        family(
            "squall_users",
            "Users of a closed loop in the running phase",
            each(|load| load.users.map(Number::Whole)),
        ),
    ]
}

fn latencies(view: &View) -> Vec<Family> {
    let loads = &view.measured.loads;
    let all = |of: fn(&MeasuredLoad) -> &MeasuredLatency| {
        Data::Histogram(
            loads
                .iter()
                .map(|load| (of_load(load), of(load).clone()))
                .collect(),
        )
    };
    let recent = |of: fn(&MeasuredLoad) -> &MeasuredLatency| {
        let of_load = |load: &MeasuredLoad| {
            let quantiles = RECENT.iter().zip(of(load).recent);
            let known = quantiles.filter_map(|(quantile, us)| {
                Some((
                    with(of_load(load), "quantile", &quantile.to_string()),
                    seconds(us?),
                ))
            });
            known.collect::<Vec<_>>()
        };
        Data::Gauge(loads.iter().flat_map(of_load).collect())
    };
    let families = [
        family(
            "squall_response_time",
            "Latency from the intended send time",
            all(|load| &load.response),
        ),
        family(
            "squall_response_time_recent",
            "Quantiles of the response time over the last second or two",
            recent(|load| &load.response),
        ),
        family(
            "squall_service_time",
            "Latency from the actual send",
            all(|load| &load.service),
        ),
        family(
            "squall_service_time_recent",
            "Quantiles of the service time over the last second or two",
            recent(|load| &load.service),
        ),
    ];
    families.map(|family| family.in_unit(Unit::Seconds)).into()
}

fn services(view: &View) -> Vec<Family> {
    let services = || view.measured.services.iter();
    let labels = |name: &str| vec![("service", name.to_owned())];
    let cpu = services().filter_map(|one| Some((labels(&one.name), seconds(one.cpu_us?))));
    let rss = services().filter_map(|one| Some((labels(&one.name), Number::Whole(one.rss?))));
    vec![
        family(
            "squall_service_cpu",
            "CPU time of a service's processes",
            Data::Counter(cpu.collect()),
        )
        .in_unit(Unit::Seconds),
        family(
            "squall_service_resident_memory",
            "Resident set of a service's processes",
            Data::Gauge(rss.collect()),
        )
        .in_unit(Unit::Bytes),
    ]
}

fn faults(view: &View) -> Vec<Family> {
    let each = |of: fn(&squall_engine::observer::MeasuredFault) -> bool| {
        let samples = view.measured.faults.iter().map(|one| {
            let labels = vec![("fault", one.name.clone()), ("kind", one.kind.clone())];
            (labels, Number::Whole(u64::from(of(one))))
        });
        Data::Gauge(samples.collect())
    };
    let proved = "Whether a fault has been proven to have met its target";
    vec![
        family(
            "squall_fault_holds",
            "Whether a fault holds now",
            each(|one| one.holds),
        ),
        family("squall_fault_proved", proved, each(|one| one.proved)),
    ]
}

fn of_load(load: &MeasuredLoad) -> Labels {
    vec![("load", load.name.clone())]
}

fn with(mut labels: Labels, name: &'static str, value: &str) -> Labels {
    labels.push((name, value.to_owned()));
    labels
}

fn seconds(us: u64) -> Number {
    Number::Real(us as f64 / 1e6)
}
