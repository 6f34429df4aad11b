//! What each service used and how it paused, phase by phase.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use squall_model::record::{Each, PhaseRecord, ServiceRecord};
use squall_model::units::human;

use super::Detail;
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::recording::Recording;

/// The most services named in a sentence.
const NAMED: usize = 4;

/// What is known of one service, phase by phase.
type Parts<'r> = Vec<(&'r PhaseRecord, &'r ServiceRecord)>;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let mut services: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for phase in &recording.record.phases {
        for (name, service) in &phase.services {
            services.entry(name).or_default().push((phase, service));
        }
    }
    if detail == Detail::Brief {
        return brief(&services);
    }
    if services.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Phase", 0),
        Column::right("CPU", 0),
        Column::right("Cores used", 1),
        Column::right("Largest memory", 0),
        Column::right("Threads", 2),
        Column::right("Descriptors", 2),
        Column::right("Gave up CPU", 2),
        Column::right("Lost CPU", 2),
        Column::left("Pauses", 0),
        Column::right("Count", 1),
        Column::right("Total", 2),
        Column::right("P99", 1),
        Column::right("Longest", 0),
        Column::right("Restarts", 2),
    ];
    let repeats = recording.repeats();
    let groups = services.iter().map(|(name, parts)| group(name, parts, repeats));
    let table = Table {
        caption: "Resources and pauses per service and phase".to_owned(),
        columns,
        groups: groups.collect(),
    };
    let all = services.values().flatten().map(|(_, service)| *service);
    let text = how_to_read(&all.collect::<Vec<_>>());
    vec![Block::Paragraph(text), Block::Table(table)]
}

/// What has to be known to read the table.
fn how_to_read(services: &[&ServiceRecord]) -> String {
    let mut text = "A pause is a time in which a service could run and did not, or ran something that stopped its work. What \
                    can't be seen for a program says so; it is not zero."
        .to_owned();
    for (kind, note) in NOTES {
        if services
            .iter()
            .any(|service| service.pause_kinds.contains_key(kind))
        {
            text.push(' ');
            text.push_str(note);
        }
    }
    let ended: u64 = services.iter().filter_map(|service| service.threads_ended).sum();
    if ended > 0 {
        let ended = figure::count(ended);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            " {ended} threads ended between two looks: what they waited last is not in it."
        );
    }
    text
}

/// What has to be known of a kind to read its numbers.
const NOTES: [(&str, &str); 4] = [
    (
        "hiccup",
        "hiccup is a meter inside the service that sleeps 1 ms at a time; half of that is added to what it measured, because \
         a pause begins anywhere within it, so each is right within half a millisecond.",
    ),
    (
        "gc",
        "gc is what the program printed of its collector (Go's gctrace, the JVM's log); nothing else that stops it is in it.",
    ),
    (
        "stopped",
        "stopped is a stop signal or a tracer, as the process's state shows it: right within the time between two looks, \
         usually 100 ms, and a shorter stop is mostly missed.",
    ),
    (
        "run_queue",
        "run_queue is no single pause: what all threads together waited for a processor from one look to the next. It knows \
         nothing of collectors, locks or stops.",
    ),
];

/// What can't be seen in any phase, in a sentence for all services of which it is the same.
fn brief(services: &BTreeMap<&str, Parts<'_>>) -> Vec<Block> {
    let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, parts) in services {
        let hidden = hidden(parts);
        if hidden.is_empty() {
            continue;
        }
        let reasons = reasons(&hidden, parts);
        match alike.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, names)) => names.push(name),
            None => alike.push((reasons, vec![name])),
        }
    }
    let sentences = alike.iter().map(|(reasons, names)| {
        let of = human::some_of(names, NAMED);
        Block::Paragraph(format!("{of}: pauses not visible: {reasons}."))
    });
    sentences.collect()
}

/// The kinds that can't be seen in any phase.
fn hidden<'a>(parts: &[(&'a PhaseRecord, &'a ServiceRecord)]) -> Vec<&'a String> {
    let first = parts
        .first()
        .map_or(&[][..], |(_, service)| &service.pauses_not_visible);
    let never = |kind: &&String| {
        parts
            .iter()
            .all(|(_, service)| service.pauses_not_visible.contains(kind))
    };
    first.iter().filter(never).collect()
}

/// `gc (it printed no line of ...), hiccup (...)`.
fn reasons(hidden: &[&String], parts: &[(&PhaseRecord, &ServiceRecord)]) -> String {
    let why = |kind: &str| {
        let mut all = parts.iter().map(|(_, service)| &service.pauses_not_visible_why);
        all.find_map(|whys| whys.get(kind))
    };
    let told: Vec<String> = hidden
        .iter()
        .map(|kind| match why(kind) {
            Some(why) => format!("{kind} ({why})"),
            None => (*kind).clone(),
        })
        .collect();
    told.join(", ")
}

fn group(name: &str, parts: &[(&PhaseRecord, &ServiceRecord)], repeats: f64) -> Group {
    // What can't be seen in any phase is said once.
    let hidden = hidden(parts);
    let about = if hidden.is_empty() {
        String::new()
    } else {
        format!("not visible for this process: {}", reasons(&hidden, parts))
    };
    let rows = parts
        .iter()
        .flat_map(|(phase, service)| rows(phase, service, &hidden, repeats))
        .collect();
    Group {
        title: name.to_owned(),
        about,
        rows,
        ..Group::default()
    }
}

/// A row per kind of pause; what was used stands in the first.
fn rows(phase: &PhaseRecord, service: &ServiceRecord, hidden: &[&String], repeats: f64) -> Vec<Vec<Cell>> {
    let length_us = phase.end_us.saturating_sub(phase.start_us);
    let cores = service
        .cpu_us
        .filter(|_| length_us > 0)
        .map(|cpu| cpu as f64 / length_us as f64 / repeats);
    let used: Vec<Cell> = vec![
        phase.name.clone().into(),
        figure::or_absent(service.cpu_us, |us| figure::duration(us as f64)).into(),
        figure::or_absent(cores, figure::three).into(),
        figure::or_absent(service.rss_max, |bytes| figure::bytes(bytes as f64)).into(),
        figure::or_absent(service.threads_max, figure::count).into(),
        figure::or_absent(service.descriptors_max, figure::count).into(),
        figure::or_absent(service.voluntary_switches, figure::count).into(),
        figure::or_absent(service.involuntary_switches, figure::count).into(),
    ];
    let restarts = match service.restarts {
        0 => Cell::default(),
        n => Cell::plain(figure::count(u64::from(n))).toned(Tone::Doubt),
    };
    let mut pauses: Vec<Vec<Cell>> = service
        .pause_kinds
        .iter()
        .map(|(kind, pauses)| {
            let duration =
                |us: Option<u64>| Cell::plain(figure::or_absent(us, |us| figure::duration(us as f64)));
            let total = figure::duration(pauses.total as f64);
            let kind = match pauses.each {
                Each::Pause => kind.clone(),
                Each::Interval => format!("{kind}, per look"),
            };
            vec![
                kind.into(),
                figure::count(pauses.count).into(),
                total.into(),
                duration(pauses.p99),
                duration(pauses.max),
            ]
        })
        .collect();
    for kind in service
        .pauses_not_visible
        .iter()
        .filter(|kind| !hidden.contains(kind))
    {
        let mut row = vec![Cell::plain(format!("{kind}: not visible"))];
        row.resize(5, Cell::default());
        pauses.push(row);
    }
    if pauses.is_empty() {
        let mut row = vec![Cell::plain(ABSENT)];
        row.resize(5, Cell::default());
        pauses.push(row);
    }
    let whole = pauses.into_iter().enumerate().map(|(at, pauses)| {
        let first = at == 0;
        let left = if first {
            used.clone()
        } else {
            vec![Cell::default(); used.len()]
        };
        let right = if first { restarts.clone() } else { Cell::default() };
        left.into_iter().chain(pauses).chain([right]).collect()
    });
    whole.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_which_the_same_is_hidden_share_a_sentence() {
        let phase = PhaseRecord::default();
        let blind = |kind: &str| ServiceRecord {
            pauses_not_visible: vec![kind.to_owned()],
            ..ServiceRecord::default()
        };
        let (gc, hiccup, seen) = (blind("gc"), blind("hiccup"), ServiceRecord::default());
        let names = ["a", "b", "c", "d", "e", "f"];
        let mut services: BTreeMap<&str, Parts<'_>> = names
            .into_iter()
            .map(|name| (name, vec![(&phase, &gc)]))
            .collect();
        services.insert("c", vec![(&phase, &hiccup)]);
        services.insert("seen", vec![(&phase, &seen)]);
        let said = |text: &str| Block::Paragraph(text.to_owned());
        assert_eq!(
            brief(&services),
            [
                said("a, b, d, e and 1 more: pauses not visible: gc."),
                said("c: pauses not visible: hiccup.")
            ]
        );
    }
}
