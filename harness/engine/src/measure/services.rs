//! Gathers what is seen of services over time: resources and pauses, per phase and per 100 ms.
//!
//! What can't be seen of a service is told with the reason, never as zero.

use std::collections::{BTreeMap, BTreeSet};

use squall_model::histogram::{self, Histogram};
use squall_model::record::{Each, Pauses, ServiceRecord};
use squall_model::series::ServiceRow;

use super::collector::ROW_US;
use super::pause::{KINDS, Kind, Pause, collector, hiccup, run_queue, stopped};
use super::resources::{Look, Usage};

/// How long after its end a row waits for pauses that are still to be told.
const SETTLE_US: u64 = 600_000;

/// The name under which the host's own pauses stand in the series.
const HOST: &str = "host";

/// The most by which an account falls between two looks without being another one: a tick of 10 ms for each of ten children.
const LOST_IN_TICKS_US: u64 = 100_000;

/// How much of a service can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A bundled one: its processes, and what it tells on its admin endpoint.
    Bundled,
    /// The user's program: its processes, and what it prints.
    Program,
    /// Something that was running already: nothing but its answers.
    Elsewhere,
}

/// Gathers.
#[derive(Debug)]
pub struct Services {
    names: Vec<String>,
    views: Vec<View>,
    rows: BTreeMap<(u64, usize), ServiceRow>,
    row_us: u64,
    /// All rows that begin before this have come out.
    rows_from_us: u64,
    /// Per phase, per service.
    phases: Vec<Vec<Seen>>,
}

/// What is known of how one service can be seen.
#[derive(Clone, Debug)]
struct View {
    sight: Sight,
    /// Kinds of pause that it has shown to tell of.
    tells: BTreeSet<&'static str>,
    /// Kinds that a program of its sort could tell of.
    lacks: BTreeSet<&'static str>,
    /// Why its output can't be read.
    unreadable: Option<String>,
    /// What the last look saw.
    last: Option<Usage>,
}

/// One service in one phase.
#[derive(Clone, Debug, Default)]
struct Seen {
    cpu_us: Option<u64>,
    rss_max: Option<u64>,
    threads_max: Option<u64>,
    descriptors_max: Option<u64>,
    voluntary: Option<u64>,
    involuntary: Option<u64>,
    threads_ended: Option<u64>,
    restarts: u32,
    /// Looks that fell into it.
    looks: u64,
    pauses: BTreeMap<&'static str, Lengths>,
}

/// The lengths of what was counted, and their exact sum.
#[derive(Clone, Debug)]
struct Lengths {
    histogram: Histogram,
    total_us: u64,
}

impl Default for Lengths {
    fn default() -> Lengths {
        // One that grows: there is one per phase, service and kind.
        let mut histogram = Histogram::new(histogram::SIGNIFICANT_DIGITS).expect("a constant that fits");
        histogram.auto(true);
        Lengths {
            histogram,
            total_us: 0,
        }
    }
}

impl Lengths {
    fn add(&mut self, length_us: u64) {
        // Not `saturating_record`, which clamps to what the histogram spans by now instead of making it grow.
        self.histogram
            .record(length_us.min(histogram::HIGHEST_US))
            .expect("it grows up to the highest");
        self.total_us = self.total_us.saturating_add(length_us);
    }

    fn merge(&mut self, other: &Lengths) {
        self.histogram
            .add(&other.histogram)
            .expect("it grows as far as it must");
        self.total_us = self.total_us.saturating_add(other.total_us);
    }

    fn record(&self, each: Each) -> Pauses {
        let mut all = histogram::empty();
        all.add(&self.histogram).expect("no length is above the highest");
        match each {
            Each::Pause => Pauses::of(&all, self.total_us),
            Each::Interval => Pauses::of_intervals(&all, self.total_us),
        }
    }
}

/// Adds what may be absent.
fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

impl Services {
    /// Gathers for services by name; `sights` says how much of each can be seen.
    pub fn new(names: Vec<String>, sights: Vec<Sight>, phases: usize) -> Services {
        let view = |sight| View {
            sight,
            tells: BTreeSet::new(),
            lacks: BTreeSet::new(),
            unreadable: None,
            last: None,
        };
        Services {
            phases: vec![vec![Seen::default(); names.len()]; phases],
            views: sights.into_iter().map(view).collect(),
            rows: BTreeMap::new(),
            row_us: ROW_US,
            rows_from_us: 0,
            names,
        }
    }

    /// Takes in that a service has shown to tell of a kind of pause.
    pub fn tells(&mut self, service: usize, kind: &'static Kind) {
        self.views[service].tells.insert(kind.name);
    }

    /// Takes in that a service could tell of a kind of pause.
    pub fn lacks(&mut self, service: usize, kind: &'static Kind) {
        self.views[service].lacks.insert(kind.name);
    }

    /// Takes in that a service's output can't be read.
    pub fn unreadable(&mut self, service: usize, why: String) {
        self.views[service].unreadable = Some(why);
    }

    /// Takes in that a service is ready again; `phase` is the one in which it was.
    pub fn restarted(&mut self, service: usize, phase: Option<usize>) {
        if let Some(phase) = phase {
            self.phases[phase][service].restarts += 1;
        }
    }

    /// Writes rows of this length.
    #[must_use]
    pub fn with_rows_of(mut self, row_us: u64) -> Services {
        self.row_us = row_us;
        self
    }

    /// Takes in a look at a service, taken at `at_us` in `phase` (or between phases).
    pub fn look(&mut self, service: usize, phase: Option<usize>, at_us: u64, look: &Look) {
        let (usage, spent) = (look.usage, look.spent.unwrap_or_default());
        let before = self.views[service].last.replace(usage);
        let cpu_us = before.and_then(|before| spent_us(before.cpu_us, usage.cpu_us));
        self.views[service].tells.insert(stopped::KIND.name);
        if spent.run_queue_us.is_some() {
            self.views[service].tells.insert(run_queue::KIND.name);
        }
        if let Some(seen) = phase.map(|phase| &mut self.phases[phase][service]) {
            seen.looks += 1;
            seen.rss_max = seen.rss_max.max(Some(usage.rss));
            seen.threads_max = seen.threads_max.max(Some(usage.threads));
            seen.descriptors_max = seen.descriptors_max.max(usage.descriptors);
            add(&mut seen.cpu_us, cpu_us);
            add(&mut seen.voluntary, spent.voluntary);
            add(&mut seen.involuntary, spent.involuntary);
            add(&mut seen.threads_ended, look.spent.map(|spent| spent.ended));
            if let Some(delay_us) = spent.run_queue_us {
                seen.pauses.entry(run_queue::KIND.name).or_default().add(delay_us);
            }
        }
        let row = self.row(service, at_us);
        row.rss = Some(usage.rss);
        row.threads = Some(usage.threads);
        row.descriptors = usage.descriptors;
        add(&mut row.cpu_us, cpu_us);
        add(&mut row.voluntary_switches, spent.voluntary);
        add(&mut row.involuntary_switches, spent.involuntary);
        add(&mut row.run_queue, spent.run_queue_us);
    }

    /// What was seen of a service last.
    pub fn last(&self, service: usize) -> Option<Usage> {
        self.views[service].last
    }

    /// Takes in a pause; `phase` is the one in which it ended.
    pub fn pause(&mut self, service: usize, phase: Option<usize>, kind: &'static Kind, pause: Pause) {
        self.tells(service, kind);
        if let Some(phase) = phase {
            let seen = &mut self.phases[phase][service];
            seen.pauses.entry(kind.name).or_default().add(pause.length_us);
        }
        let counts = self.views[service].counting().contains(&kind.name);
        let row = self.row(service, pause.at_us);
        let of_kind = row.pause_kinds.entry(kind.name.into()).or_default();
        of_kind.max = of_kind.max.max(pause.length_us);
        of_kind.total = of_kind.total.saturating_add(pause.length_us);
        if counts {
            add_pause(row, pause.length_us);
        }
    }

    fn row(&mut self, service: usize, at_us: u64) -> &mut ServiceRow {
        let start_us = at_us.saturating_sub(1) / self.row_us * self.row_us;
        // What is told too late for its own row stands in the first that is still open, so that each comes out once.
        let start_us = start_us.max(self.rows_from_us);
        let visible = self
            .views
            .get(service)
            .is_none_or(|view| !view.counting().is_empty());
        let none = visible.then_some(0);
        self.rows
            .entry((start_us, service))
            .or_insert_with(|| ServiceRow {
                start_us,
                end_us: start_us + self.row_us,
                service: self.names.get(service).map_or(HOST, String::as_str).into(),
                pause_max: none,
                pause_total: none,
                ..ServiceRow::default()
            })
    }

    /// Says that the host is being watched at `at_us`, so that a stretch without a pause is known to have had none.
    pub fn watch_host(&mut self, at_us: u64) {
        self.row(self.names.len(), at_us);
    }

    /// Takes in a pause of the host, which belongs to no service.
    pub fn host_pause(&mut self, pause: Pause) {
        let host = self.names.len();
        add_pause(self.row(host, pause.at_us), pause.length_us);
    }

    /// Takes out the rows that are over by `now_us`; all of them where it is `None`.
    pub fn take(&mut self, now_us: Option<u64>) -> Vec<ServiceRow> {
        let Some(now_us) = now_us else {
            return std::mem::take(&mut self.rows).into_values().collect();
        };
        let first_open = now_us.saturating_sub(SETTLE_US) / self.row_us * self.row_us;
        self.rows_from_us = self.rows_from_us.max(first_open);
        let still_open = self.rows.split_off(&(self.rows_from_us, 0));
        std::mem::replace(&mut self.rows, still_open)
            .into_values()
            .collect()
    }

    /// The services in a phase, as the run record has them.
    pub fn phase(&self, phase: usize) -> BTreeMap<String, ServiceRecord> {
        let all = self.phases[phase].iter().zip(&self.views).zip(&self.names);
        all.map(|((seen, view), name)| (name.clone(), seen.record(view)))
            .collect()
    }
}

fn add_pause(row: &mut ServiceRow, length_us: u64) {
    row.pause_max = row.pause_max.max(Some(length_us));
    add(&mut row.pause_total, Some(length_us));
}

impl View {
    /// The kinds that together tell how long the service stood still, each pause once; none where too little is visible.
    ///
    /// A meter inside a service sees every stop of the whole process, whatever its cause, so nothing is added to it. Of a
    /// program that tells of its collector, the other single pauses are added. Of one that tells nothing, a stop signal is seen,
    /// but to say that it had no other pause would be a guess.
    fn counting(&self) -> &'static [&'static str] {
        const METER: [&str; 1] = [hiccup::KIND.name];
        const SINGLE: [&str; 3] = [collector::GC.name, collector::SAFEPOINT.name, stopped::KIND.name];
        if self.tells.contains(hiccup::KIND.name) {
            &METER
        } else if self.tells.contains(collector::GC.name) {
            &SINGLE
        } else {
            &[]
        }
    }

    /// Why pauses of a kind can't be seen at all; nothing where they can, or where there is no such kind for it.
    fn hides(&self, kind: &Kind) -> Option<String> {
        if self.tells.contains(kind.name) {
            return None;
        }
        let is = |of: &Kind| kind == of;
        let why = match self.sight {
            Sight::Elsewhere if is(&collector::SAFEPOINT) => return None,
            Sight::Elsewhere => "it was running already, so neither its processes nor its output are known",
            Sight::Bundled if is(&hiccup::KIND) => "it told nothing on its admin endpoint",
            // They are native programs: no collector stops them, and whatever did would show in their meter.
            Sight::Bundled if is(&collector::GC) || is(&collector::SAFEPOINT) => return None,
            Sight::Program if is(&hiccup::KIND) => "only bundled services have the meter",
            Sight::Program if is(&collector::SAFEPOINT) => {
                let lacks = self.lacks.contains(kind.name);
                return lacks.then(|| "it printed no line of -Xlog:safepoint".to_owned());
            }
            Sight::Program if is(&collector::GC) => match &self.unreadable {
                Some(why) => why,
                None => "it printed no line of GODEBUG=gctrace=1 or of -Xlog:gc",
            },
            Sight::Bundled | Sight::Program if is(&run_queue::KIND) => {
                "the kernel tells no delay of its threads"
            }
            Sight::Bundled | Sight::Program => "its processes were not seen",
        };
        Some(why.to_owned())
    }
}

impl Seen {
    fn record(&self, view: &View) -> ServiceRecord {
        let mut record = ServiceRecord {
            cpu_us: self.cpu_us,
            rss_max: self.rss_max,
            threads_max: self.threads_max,
            descriptors_max: self.descriptors_max,
            voluntary_switches: self.voluntary,
            involuntary_switches: self.involuntary,
            threads_ended: self.threads_ended,
            restarts: self.restarts,
            ..ServiceRecord::default()
        };
        for kind in KINDS {
            let name = kind.name.to_owned();
            match (
                view.hides(kind).or_else(|| self.missed(kind)),
                self.pauses.get(kind.name),
            ) {
                (None, lengths) if view.tells.contains(kind.name) => {
                    let of_kind = lengths.cloned().unwrap_or_default().record(kind.each);
                    record.pause_kinds.insert(name, of_kind);
                }
                (None, _) => {}
                (Some(why), _) => {
                    record.pauses_not_visible.push(name.clone());
                    record.pauses_not_visible_why.insert(name, why);
                }
            }
        }
        let counting = view.counting();
        if !counting.is_empty() {
            let mut all = Lengths::default();
            let lengths = counting.iter().filter_map(|kind| self.pauses.get(kind));
            lengths.for_each(|lengths| all.merge(lengths));
            record.pauses = Some(all.record(Each::Pause));
        }
        record
    }

    /// Why a kind that comes from looks is not known for this phase.
    fn missed(&self, kind: &Kind) -> Option<String> {
        let looked = match *kind {
            ref kind if *kind == stopped::KIND => self.looks > 0 || self.pauses.contains_key(kind.name),
            ref kind if *kind == run_queue::KIND => self.pauses.contains_key(kind.name),
            _ => true,
        };
        (!looked).then(|| "it was not looked at in this phase".to_owned())
    }
}

/// What a service used between two looks; nothing where its account began anew, as after a restart. A child that ended leaves its
/// parent whole ticks, so the account may fall by the rest, in which nothing was used that is known of.
fn spent_us(before_us: u64, now_us: u64) -> Option<u64> {
    let fell_us = before_us.saturating_sub(now_us);
    (fell_us <= LOST_IN_TICKS_US).then(|| now_us.saturating_sub(before_us))
}

#[cfg(test)]
mod tests {
    use super::super::pause::run_queue::Spent;
    use super::super::resources::Usage;
    use super::*;

    fn services(sight: Sight, phases: usize) -> Services {
        Services::new(vec!["a".into()], vec![sight], phases)
    }

    fn look(cpu_us: u64, rss: u64) -> Look {
        Look {
            usage: Usage {
                cpu_us,
                rss,
                threads: 3,
                descriptors: Some(rss + 1),
            },
            ..Look::default()
        }
    }

    fn waited(delay_us: Option<u64>, ended: u64) -> Look {
        Look {
            spent: Some(Spent {
                run_queue_us: delay_us,
                voluntary: Some(4),
                involuntary: Some(1),
                ended,
            }),
            ..look(0, 1)
        }
    }

    fn pause(at_us: u64, length_us: u64) -> Pause {
        Pause { at_us, length_us }
    }

    #[test]
    fn a_phase_gets_what_was_spent_in_it() {
        let mut services = services(Sight::Bundled, 2);
        services.tells(0, &hiccup::KIND);
        services.look(0, None, 100_000, &look(50, 10));
        services.look(0, Some(0), 200_000, &look(80, 30));
        services.look(0, Some(0), 300_000, &look(90, 20));
        services.look(0, Some(1), 400_000, &look(95, 20));
        services.pause(0, Some(1), &hiccup::KIND, pause(350_000, 2_000));
        let (first, second) = (services.phase(0)["a"].clone(), services.phase(1)["a"].clone());
        assert_eq!(
            (first.cpu_us, first.rss_max, first.pause_kinds["hiccup"].count),
            (Some(40), Some(30), 0)
        );
        assert_eq!((first.threads_max, first.descriptors_max), (Some(3), Some(31)));
        assert_eq!(
            (second.cpu_us, second.pause_kinds["hiccup"].max),
            (Some(5), Some(2_000))
        );
        let rows = services.take(None);
        assert_eq!(rows.iter().filter_map(|row| row.cpu_us).sum::<u64>(), 45);
        assert_eq!(rows[3].pause_max, Some(2_000));
        assert_eq!(rows[2].descriptors, Some(21));
    }

    #[test]
    fn a_program_that_tells_nothing_has_no_pauses_rather_than_none() {
        let mut services = services(Sight::Program, 1);
        services.look(0, Some(0), 1, &waited(None, 0));
        let record = &services.phase(0)["a"];
        assert!(record.pauses.is_none());
        assert_eq!(record.pauses_not_visible, ["hiccup", "gc", "run_queue"]);
        let why = &record.pauses_not_visible_why["gc"];
        assert!(why.contains("gctrace=1") && why.contains("-Xlog:gc"), "{why}");
        assert_eq!(record.pause_kinds.keys().collect::<Vec<_>>(), ["stopped"]);
        let row = &services.take(None)[0];
        assert_eq!((row.pause_max, row.run_queue), (None, None));
    }

    #[test]
    fn long_pauses_keep_their_length_and_the_longest_that_can_be_told_is_an_hour() {
        let mut services = services(Sight::Bundled, 1);
        for length_us in [12_400, 3_000_000, 2 * histogram::HIGHEST_US] {
            services.pause(0, Some(0), &hiccup::KIND, pause(1, length_us));
        }
        let record = &services.phase(0)["a"];
        let of_kind = &record.pause_kinds["hiccup"];
        let all = histogram::decode(&of_kind.hdr).expect("a histogram");
        for (q, length_us) in [(0.3, 12_400), (0.6, 3_000_000), (1.0, histogram::HIGHEST_US)] {
            let told = all.value_at_quantile(q);
            assert!(
                told.abs_diff(length_us) * 1_000 <= length_us,
                "{told} of {length_us}"
            );
        }
        assert_eq!(of_kind.max, record.pauses.as_ref().and_then(|pauses| pauses.max));
    }

    #[test]
    fn a_stop_that_is_seen_does_not_make_the_other_pauses_visible() {
        let mut services = services(Sight::Program, 1);
        services.look(0, Some(0), 1, &look(0, 1));
        services.pause(0, Some(0), &stopped::KIND, pause(1, 900_000));
        let record = &services.phase(0)["a"];
        assert_eq!(record.pause_kinds["stopped"].total, 900_000);
        assert!(record.pauses.is_none());
        let row = &services.take(None)[0];
        assert_eq!(
            (row.pause_max, row.pause_kinds.get("stopped").unwrap().max),
            (None, 900_000)
        );
    }

    #[test]
    fn a_collector_that_tells_is_visible_in_every_phase_also_where_it_rested() {
        let mut services = services(Sight::Program, 2);
        services.tells(0, &collector::GC);
        services.lacks(0, &collector::SAFEPOINT);
        services.pause(0, Some(1), &collector::GC, pause(7, 3_000));
        services.pause(0, Some(1), &stopped::KIND, pause(9, 100_000));
        let (first, second) = (services.phase(0)["a"].clone(), services.phase(1)["a"].clone());
        assert_eq!(
            (first.pause_kinds["gc"].count, first.pause_kinds["gc"].max),
            (0, None)
        );
        assert_eq!(first.pauses.map(|pauses| pauses.total), Some(0));
        assert_eq!(
            second.pauses.map(|pauses| (pauses.count, pauses.total)),
            Some((2, 103_000))
        );
        assert!(second.pauses_not_visible.contains(&"safepoint".to_owned()));
    }

    #[test]
    fn a_meter_inside_counts_alone_because_it_sees_every_stop() {
        let mut services = services(Sight::Bundled, 1);
        services.look(0, Some(0), 1, &waited(Some(5_000), 0));
        services.pause(0, Some(0), &hiccup::KIND, pause(2, 900_500));
        services.pause(0, Some(0), &stopped::KIND, pause(3, 850_000));
        let record = &services.phase(0)["a"];
        assert_eq!(record.pauses.as_ref().map(|pauses| pauses.total), Some(900_500));
        assert_eq!(record.pause_kinds.len(), 3);
        assert!(record.pauses_not_visible.is_empty(), "{record:?}");
    }

    #[test]
    fn a_bundled_service_that_never_answered_has_told_no_pause_which_is_not_none() {
        let mut services = services(Sight::Bundled, 1);
        services.look(0, Some(0), 1, &waited(Some(5), 0));
        let record = &services.phase(0)["a"];
        assert!(
            record.pauses.is_none() && record.pauses_not_visible == ["hiccup"],
            "{record:?}"
        );
    }

    #[test]
    fn of_what_was_running_already_nothing_is_visible() {
        let services = services(Sight::Elsewhere, 1);
        let record = &services.phase(0)["a"];
        assert_eq!(
            record.pauses_not_visible,
            ["hiccup", "gc", "stopped", "run_queue"]
        );
        assert_eq!(
            (record.cpu_us, record.threads_max, record.descriptors_max),
            (None, None, None)
        );
    }

    #[test]
    fn run_queue_delay_is_summed_by_interval_and_says_so() {
        let mut services = services(Sight::Program, 2);
        services.look(0, Some(0), 100_000, &waited(Some(5_000), 2));
        services.look(0, Some(0), 150_000, &waited(Some(250_000), 1));
        services.look(0, Some(1), 250_000, &look(0, 1));
        let record = &services.phase(0)["a"];
        let delay = &record.pause_kinds["run_queue"];
        assert_eq!(
            (delay.each, delay.count, delay.total),
            (Each::Interval, 2, 255_000)
        );
        assert_eq!(
            (
                record.voluntary_switches,
                record.involuntary_switches,
                record.threads_ended
            ),
            (Some(8), Some(2), Some(3))
        );
        let second = &services.phase(1)["a"];
        assert!(
            second.pauses_not_visible_why["run_queue"].contains("not looked at"),
            "{second:?}"
        );
        assert_eq!(services.take(None)[0].run_queue, Some(5_000));
    }

    #[test]
    fn a_pause_that_is_told_late_is_kept_and_no_row_comes_out_twice() {
        let mut services = services(Sight::Bundled, 1);
        services.look(0, Some(0), 100_000, &look(0, 1));
        let first = services.take(Some(100_000 + SETTLE_US));
        assert_eq!((first.len(), first[0].start_us), (1, 0));
        services.pause(0, Some(0), &hiccup::KIND, pause(50_000, 2_000));
        let rest = services.take(None);
        assert_eq!(
            (rest.len(), rest[0].start_us, rest[0].pause_max),
            (1, 100_000, Some(2_000))
        );
        assert_eq!(services.phase(0)["a"].pause_kinds["hiccup"].count, 1);
    }

    #[test]
    fn an_account_that_begins_anew_is_not_negative() {
        let mut services = services(Sight::Program, 1);
        for (at_us, cpu_us) in [(1, 500_000), (2, 10), (3, 30)] {
            services.look(0, Some(0), at_us, &look(cpu_us, 0));
        }
        assert_eq!(services.phase(0)["a"].cpu_us, Some(20));
    }

    #[test]
    fn what_is_lost_with_a_child_costs_no_interval() {
        let mut services = services(Sight::Program, 1);
        for (at_us, cpu_us) in [(1, 500_000), (2, 496_300), (3, 500_300)] {
            services.look(0, Some(0), at_us, &look(cpu_us, 0));
        }
        assert_eq!(services.phase(0)["a"].cpu_us, Some(4_000));
        assert_eq!(spent_us(500_000, 496_300), Some(0), "known, and nothing");
        assert_eq!(spent_us(500_000, 30), None, "another process");
    }
}
