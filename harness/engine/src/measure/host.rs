//! What the machine did to the generator, phase by phase: who had its processors, and whether it slept.
//!
//! Everything comes from small files of the kernel, read twice a second and where a phase ends. What a file does not hold
//! stays absent. Nothing here judges; [`super::validity`] does.

mod accounts;
mod suspend;

use std::collections::BTreeMap;

use squall_load::Samples;
use squall_model::histogram::{self, Histogram};
use squall_model::record::{GeneratorPhase, GeneratorThread};

use super::resources::{Depth, Watch};
use crate::process::Identity;
use accounts::{Processors, Throttling};
pub use suspend::Suspension;

/// How often the accounts are read within a phase, microseconds.
const LOOK_US: u64 = 500_000;

/// The beginning of the name of a generator thread.
const GENERATOR_THREAD: &str = "squall-load-";

/// All accounts at one moment.
#[derive(Clone, Debug, Default)]
struct Look {
    at_us: u64,
    processors: Option<Processors>,
    /// CPU time of this process and all below it, microseconds.
    own_us: Option<u64>,
    /// Time in which some thread of the machine waited for a processor, microseconds.
    pressure_us: Option<u64>,
    throttled_us: Option<u64>,
    /// By thread id, which rises in the order in which the threads were started.
    threads: BTreeMap<u32, GeneratorThread>,
}

/// What was seen in one phase.
#[derive(Clone, Debug)]
pub struct Seen {
    watched_us: u64,
    threads: BTreeMap<u32, GeneratorThread>,
    /// Time of all processors that this process may use: theirs altogether, that of the run itself, that of anyone, and what
    /// the host kept.
    capacity_us: u64,
    own_us: u64,
    busy_us: u64,
    steal_us: u64,
    pressure_us: Option<u64>,
    throttled_us: Option<u64>,
    oversleep: Histogram,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            watched_us: 0,
            threads: BTreeMap::new(),
            capacity_us: 0,
            own_us: 0,
            busy_us: 0,
            steal_us: 0,
            pressure_us: None,
            throttled_us: None,
            oversleep: histogram::growing(),
        }
    }
}

impl Seen {
    /// By how much a thread that only sleeps woke late.
    pub fn oversleep(&self) -> &Histogram {
        &self.oversleep
    }

    /// As the run record has it; `error` is left to who judges.
    pub fn record(&self) -> GeneratorPhase {
        let share = |part_us: u64, whole_us: u64| (whole_us > 0).then(|| part_us as f64 / whole_us as f64);
        let some = !self.oversleep.is_empty();
        GeneratorPhase {
            watched_us: self.watched_us,
            threads: self.threads.values().copied().collect(),
            strangers: share(self.busy_us.saturating_sub(self.own_us), self.capacity_us),
            steal: share(self.steal_us, self.capacity_us),
            pressure: self.pressure_us.and_then(|us| share(us, self.watched_us)),
            throttled_us: self.throttled_us,
            oversleep_us_p99: some.then(|| self.oversleep.value_at_quantile(0.99)),
            oversleep_us_max: some.then(|| self.oversleep.max()),
            error: BTreeMap::new(),
        }
    }

    /// Takes in what passed between two looks.
    fn add(&mut self, from: &Look, to: &Look) {
        let add = |total: &mut Option<u64>, from: Option<u64>, to: Option<u64>| {
            if let (Some(from), Some(to)) = (from, to) {
                *total.get_or_insert(0) += to.saturating_sub(from);
            }
        };
        self.watched_us += to.at_us.saturating_sub(from.at_us);
        add(&mut self.pressure_us, from.pressure_us, to.pressure_us);
        add(&mut self.throttled_us, from.throttled_us, to.throttled_us);
        for (id, now) in &to.threads {
            let before = from.threads.get(id).copied().unwrap_or_default();
            let total = self.threads.entry(*id).or_default();
            total.cpu_us += now.cpu_us.saturating_sub(before.cpu_us);
            total.wait_us += now.wait_us.saturating_sub(before.wait_us);
        }
        if let (Some(before), Some(now)) = (from.processors, to.processors)
            && let (Some(own_before), Some(own_now)) = (from.own_us, to.own_us)
        {
            self.capacity_us += now.total_us.saturating_sub(before.total_us);
            self.busy_us += now.busy_us.saturating_sub(before.busy_us);
            self.steal_us += now.steal_us.saturating_sub(before.steal_us);
            // A process that went away takes its account along unless somebody waits for it.
            self.own_us += own_now.saturating_sub(own_before);
        }
    }
}

/// Watches the generator's host.
#[derive(Debug)]
pub struct Host {
    processors: Vec<usize>,
    throttling: Option<Throttling>,
    last: Look,
    phases: Vec<Seen>,
    suspension: Suspension,
}

impl Host {
    /// Begins to watch at `at_us`, before any of the `phases`.
    pub fn start(at_us: u64, phases: usize) -> Host {
        let mut host = Host {
            processors: squall_load::affinity::inherited_cpus().unwrap_or_default(),
            throttling: Throttling::find(),
            last: Look::default(),
            phases: vec![Seen::default(); phases],
            suspension: Suspension::start(),
        };
        host.last = host.read(at_us);
        host
    }

    /// Looks, where it is time to; what passed since the last look belongs to `phase`, or lies between phases.
    pub fn look(&mut self, at_us: u64, phase: Option<usize>) {
        if at_us.saturating_sub(self.last.at_us) >= LOOK_US {
            self.look_now(at_us, phase);
        }
    }

    /// Looks at once, as is needed where `phase` begins or ends.
    pub fn look_now(&mut self, at_us: u64, phase: Option<usize>) {
        let now = self.read(at_us);
        if let Some(seen) = phase.and_then(|phase| self.phases.get_mut(phase)) {
            seen.add(&self.last, &now);
        }
        self.last = now;
    }

    /// Takes in how late a sleeping thread woke in `phase`.
    pub fn oversleep(&mut self, phase: Option<usize>, samples: &Samples) {
        if let Some(seen) = phase.and_then(|phase| self.phases.get_mut(phase)) {
            samples.add_to(&mut seen.oversleep);
        }
    }

    /// What was seen in a phase.
    pub fn phase(&self, phase: usize) -> &Seen {
        &self.phases[phase]
    }

    /// How long the machine was suspended since the start, microseconds.
    pub fn suspended_us(&self) -> u64 {
        self.suspension.so_far_us()
    }

    fn read(&self, at_us: u64) -> Look {
        Look {
            at_us,
            processors: accounts::processors(&self.processors),
            own_us: own_us(),
            pressure_us: accounts::pressure_us(),
            throttled_us: self.throttling.as_ref().and_then(Throttling::read_us),
            threads: accounts::threads(GENERATOR_THREAD),
        }
    }
}

/// CPU time of squall and of all that it has started, microseconds.
fn own_us() -> Option<u64> {
    let look = Watch::new().look(Identity::own().ok()?, Depth::Full)?;
    Some(look.usage.cpu_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_us: u64, own_us: u64, busy_us: u64, steal_us: u64) -> Look {
        Look {
            at_us,
            processors: Some(Processors {
                total_us: 2 * at_us,
                busy_us,
                steal_us,
            }),
            own_us: Some(own_us),
            ..Look::default()
        }
    }

    #[test]
    fn strangers_have_what_neither_the_run_nor_the_host_had() {
        let mut seen = Seen::default();
        seen.add(
            &look(0, 100_000, 400_000, 0),
            &look(1_000_000, 600_000, 1_300_000, 100_000),
        );
        let record = seen.record();
        // Of two processors for a second: 0.9 s busy, 0.5 s of them the run's own, 0.1 s stolen.
        assert!((record.strangers.unwrap() - 0.2).abs() < 1e-9, "{record:?}");
        assert!((record.steal.unwrap() - 0.05).abs() < 1e-9, "{record:?}");
        assert_eq!(record.watched_us, 1_000_000);
    }

    #[test]
    fn what_can_not_be_read_is_absent_rather_than_nothing() {
        let mut seen = Seen::default();
        seen.add(
            &Look::default(),
            &Look {
                at_us: 5,
                ..Look::default()
            },
        );
        let record = seen.record();
        assert_eq!(
            (
                record.strangers,
                record.steal,
                record.pressure,
                record.throttled_us
            ),
            (None, None, None, None)
        );
        assert_eq!((record.watched_us, record.oversleep_us_max), (5, None));
    }

    #[test]
    fn a_thread_that_came_in_between_counts_from_its_begin() {
        let thread = |cpu_us, wait_us| GeneratorThread { cpu_us, wait_us };
        let with = |threads: &[(u32, GeneratorThread)]| Look {
            threads: threads.iter().copied().collect(),
            ..Look::default()
        };
        let mut seen = Seen::default();
        seen.add(
            &with(&[(7, thread(10, 1))]),
            &with(&[(7, thread(30, 2)), (8, thread(5, 4))]),
        );
        assert_eq!(seen.record().threads, [thread(20, 1), thread(5, 4)]);
    }

    #[test]
    fn each_phase_has_the_time_that_passed_in_it() {
        let mut host = Host::start(0, 2);
        host.look_now(300_000, None);
        // Not due yet.
        host.look(400_000, Some(0));
        host.look(800_000, Some(0));
        host.look_now(1_000_000, Some(0));
        host.look_now(1_100_000, Some(1));
        assert_eq!(host.phase(0).record().watched_us, 700_000);
        assert_eq!(host.phase(1).record().watched_us, 100_000);
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let mut host = Host::start(0, 1);
        let before = own_us().unwrap();
        // Until the account, which counts in hundredths of a second, has moved.
        let mut sum = 1_u64;
        while own_us().unwrap() < before + 50_000 {
            sum = (0..100_000_u64).fold(sum, |sum, one| std::hint::black_box(sum.wrapping_mul(31) + one));
        }
        host.look_now(1, Some(0));
        assert!(
            host.phase(0).own_us >= 50_000 && host.phase(0).busy_us > 0,
            "{:?}",
            host.phase(0)
        );
    }
}
