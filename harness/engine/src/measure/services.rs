//! Gathers what is seen of services over time: resources and pauses, per phase and per 100 ms.

use std::collections::BTreeMap;

use squall_model::histogram::{self, Histogram};
use squall_model::record::ServiceRecord;
use squall_model::series::ServiceRow;

use super::admin::Pause;
use super::collector::ROW_US;
use super::resources::Usage;

/// How long after its end a row waits for pauses that are still to be told.
const SETTLE_US: u64 = 600_000;

/// The one kind of pause that the reference services measure themselves.
const HICCUP: &str = "hiccup";

/// The kinds that nothing here can see of a program that tells nothing.
const NOT_VISIBLE: [&str; 2] = ["collector", "scheduler"];

/// The name under which the host's own pauses stand in the series.
const HOST: &str = "host";

/// Gathers.
#[derive(Debug)]
pub struct Services {
    names: Vec<String>,
    /// Whether each tells its pauses.
    tells: Vec<bool>,
    last: Vec<Option<(u64, Usage)>>,
    rows: BTreeMap<(u64, usize), ServiceRow>,
    /// All rows that begin before this have come out.
    rows_from_us: u64,
    /// Per phase, per service.
    phases: Vec<Vec<Seen>>,
}

/// One service in one phase.
#[derive(Clone, Debug)]
struct Seen {
    cpu_us: Option<u64>,
    rss_max: Option<u64>,
    lengths: Histogram,
    total_us: u64,
}

impl Services {
    /// Gathers for services by name; `tells` says which of them tell their pauses.
    pub fn new(names: Vec<String>, tells: Vec<bool>, phases: usize) -> Services {
        let seen = Seen {
            cpu_us: None,
            rss_max: None,
            lengths: histogram::empty(),
            total_us: 0,
        };
        Services {
            phases: vec![vec![seen; names.len()]; phases],
            last: vec![None; names.len()],
            rows: BTreeMap::new(),
            rows_from_us: 0,
            names,
            tells,
        }
    }

    /// Takes in a look at a service, taken at `at_us` in `phase` (or between phases).
    pub fn usage(&mut self, service: usize, phase: Option<usize>, at_us: u64, usage: Usage) {
        let before = self.last[service].replace((at_us, usage));
        // After a restart the account begins anew, below where it was.
        let spent = before.and_then(|(_, before)| usage.cpu_us.checked_sub(before.cpu_us));
        if let Some(seen) = phase.map(|phase| &mut self.phases[phase][service]) {
            seen.rss_max = seen.rss_max.max(Some(usage.rss));
            if let Some(spent) = spent {
                *seen.cpu_us.get_or_insert(0) += spent;
            }
        }
        let row = self.row(service, at_us);
        row.rss = Some(usage.rss);
        if let Some(spent) = spent {
            *row.cpu_us.get_or_insert(0) += spent;
        }
    }

    /// What was seen of a service last.
    pub fn last(&self, service: usize) -> Option<Usage> {
        self.last[service].map(|(_, usage)| usage)
    }

    /// Takes in a pause; `phase` is the one in which it ended.
    pub fn pause(&mut self, service: usize, phase: Option<usize>, pause: Pause) {
        if let Some(phase) = phase {
            let seen = &mut self.phases[phase][service];
            seen.lengths.saturating_record(pause.length_us);
            seen.total_us += pause.length_us;
        }
        self.add_pause(service, pause);
    }

    fn row(&mut self, service: usize, at_us: u64) -> &mut ServiceRow {
        let start_us = at_us.saturating_sub(1) / ROW_US * ROW_US;
        // What is told too late for its own row stands in the first that is still open, so that each comes out once.
        let start_us = start_us.max(self.rows_from_us);
        let none = self.tells.get(service).copied().unwrap_or(true).then_some(0);
        self.rows
            .entry((start_us, service))
            .or_insert_with(|| ServiceRow {
                start_us,
                end_us: start_us + ROW_US,
                service: self.names.get(service).map_or(HOST, String::as_str).to_owned(),
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
        self.add_pause(host, pause);
    }

    fn add_pause(&mut self, service: usize, pause: Pause) {
        let row = self.row(service, pause.at_us);
        row.pause_max = row.pause_max.max(Some(pause.length_us));
        *row.pause_total.get_or_insert(0) += pause.length_us;
    }

    /// Takes out the rows that are over by `now_us`; all of them where it is `None`.
    pub fn take(&mut self, now_us: Option<u64>) -> Vec<ServiceRow> {
        let Some(now_us) = now_us else {
            return std::mem::take(&mut self.rows).into_values().collect();
        };
        let first_open = now_us.saturating_sub(SETTLE_US) / ROW_US * ROW_US;
        self.rows_from_us = self.rows_from_us.max(first_open);
        let still_open = self.rows.split_off(&(self.rows_from_us, 0));
        std::mem::replace(&mut self.rows, still_open)
            .into_values()
            .collect()
    }

    /// The services in a phase, as the run record has them.
    pub fn phase(&self, phase: usize) -> BTreeMap<String, ServiceRecord> {
        let record = |(index, seen): (usize, &Seen)| {
            let tells = self.tells[index];
            let pauses = tells.then(|| (HICCUP.to_owned(), (seen.lengths.clone(), seen.total_us)));
            let hidden = if tells {
                &NOT_VISIBLE[..0]
            } else {
                &NOT_VISIBLE[..]
            };
            let record = ServiceRecord {
                cpu_us: seen.cpu_us,
                rss_max: seen.rss_max,
                pauses_not_visible: hidden.iter().map(|kind| (*kind).to_owned()).collect(),
                ..ServiceRecord::default()
            };
            (
                self.names[index].clone(),
                record.with_pauses(pauses.into_iter().collect()),
            )
        };
        self.phases[phase].iter().enumerate().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_gets_what_was_spent_in_it() {
        let mut services = Services::new(vec!["a".into()], vec![true], 2);
        let look = |cpu_us, rss| Usage { cpu_us, rss };
        services.usage(0, None, 100_000, look(50, 10));
        services.usage(0, Some(0), 200_000, look(80, 30));
        services.usage(0, Some(0), 300_000, look(90, 20));
        services.usage(0, Some(1), 400_000, look(95, 20));
        services.pause(
            0,
            Some(1),
            Pause {
                at_us: 350_000,
                length_us: 2_000,
            },
        );
        let (first, second) = (services.phase(0)["a"].clone(), services.phase(1)["a"].clone());
        assert_eq!(
            (first.cpu_us, first.rss_max, first.pause_kinds["hiccup"].count),
            (Some(40), Some(30), 0)
        );
        assert_eq!(
            (second.cpu_us, second.pause_kinds["hiccup"].max),
            (Some(5), Some(2_000))
        );
        let rows = services.take(None);
        assert_eq!(rows.iter().filter_map(|row| row.cpu_us).sum::<u64>(), 45);
        assert_eq!(rows[3].pause_max, Some(2_000));
    }

    #[test]
    fn a_program_that_tells_nothing_has_no_pauses_rather_than_none() {
        let mut services = Services::new(vec!["a".into()], vec![false], 1);
        services.usage(0, Some(0), 1, Usage::default());
        let record = &services.phase(0)["a"];
        assert!(record.pauses.is_none() && !record.pauses_not_visible.is_empty());
        assert_eq!(services.take(None)[0].pause_max, None);
    }

    #[test]
    fn a_pause_that_is_told_late_is_kept_and_no_row_comes_out_twice() {
        let mut services = Services::new(vec!["a".into()], vec![true], 1);
        services.usage(0, Some(0), 100_000, Usage::default());
        let first = services.take(Some(100_000 + SETTLE_US));
        assert_eq!((first.len(), first[0].start_us), (1, 0));
        let pause = Pause {
            at_us: 50_000,
            length_us: 2_000,
        };
        services.pause(0, Some(0), pause);
        let rest = services.take(None);
        assert_eq!(
            (rest.len(), rest[0].start_us, rest[0].pause_max),
            (1, 100_000, Some(2_000))
        );
        assert_eq!(services.phase(0)["a"].pause_kinds["hiccup"].count, 1);
    }

    #[test]
    fn an_account_that_begins_anew_is_not_negative() {
        let mut services = Services::new(vec!["a".into()], vec![false], 1);
        services.usage(0, Some(0), 1, Usage { cpu_us: 500, rss: 0 });
        services.usage(0, Some(0), 2, Usage { cpu_us: 10, rss: 0 });
        services.usage(0, Some(0), 3, Usage { cpu_us: 30, rss: 0 });
        assert_eq!(services.phase(0)["a"].cpu_us, Some(20));
    }
}
