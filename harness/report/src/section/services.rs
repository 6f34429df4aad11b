//! What each service used and how it paused, phase by phase.

use std::collections::BTreeMap;

use squall_model::record::{PhaseRecord, ServiceRecord};

use super::Detail;
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let mut services: BTreeMap<&str, Vec<(&PhaseRecord, &ServiceRecord)>> = BTreeMap::new();
    for phase in &recording.record.phases {
        for (name, service) in &phase.services {
            services.entry(name).or_default().push((phase, service));
        }
    }
    if services.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Phase", 0),
        Column::right("CPU", 0),
        Column::right("Cores used", 1),
        Column::right("Largest memory", 0),
        Column::left("Pauses", 0),
        Column::right("Count", 1),
        Column::right("Total", 2),
        Column::right("P99", 1),
        Column::right("Longest", 0),
        Column::right("Restarts", 2),
    ];
    let repeats = recording.repeats();
    let groups = services
        .into_iter()
        .map(|(name, parts)| group(name, &parts, repeats));
    let table = Table {
        caption: "Resources and pauses per service and phase".to_owned(),
        columns,
        groups: groups.collect(),
    };
    let text = "A pause is a time in which a service could run and did not, or ran something that stopped its work. What \
                can't be seen for a program says so; it is not zero.";
    vec![Block::Paragraph(text.to_owned()), Block::Table(table)]
}

fn group(name: &str, parts: &[(&PhaseRecord, &ServiceRecord)], repeats: f64) -> Group {
    // What can't be seen in any phase is said once.
    let first = parts
        .first()
        .map_or(&[][..], |(_, service)| &service.pauses_not_visible);
    let never = |kind: &&String| {
        parts
            .iter()
            .all(|(_, service)| service.pauses_not_visible.contains(kind))
    };
    let hidden: Vec<&String> = first.iter().filter(never).collect();
    let names: Vec<&str> = hidden.iter().map(|kind| kind.as_str()).collect();
    let about = if names.is_empty() {
        String::new()
    } else {
        format!("not visible for this process: {}", names.join(", "))
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
