//! What was measured in the phases, added up. Fields are written out one by one, so that a new one is not forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::{MergeError, Part, judged};
use crate::histogram::{Distribution, Histogram, decode, empty};
use crate::record::{EdgeRecord, How, LoadMode, LoadRecord, Pauses, PhaseRecord, RunRecord, ServiceRecord};

/// Examples of one kind of failure that are kept.
const EXAMPLES: usize = 3;

/// The phases.
pub(super) fn phases(parts: &[Part<'_>], how: How) -> Result<Vec<PhaseRecord>, MergeError> {
    (0..parts[0].record.phases.len())
        .map(|at| phase(parts, how, at))
        .collect()
}

fn phase(parts: &[Part<'_>], how: How, at: usize) -> Result<PhaseRecord, MergeError> {
    let of = |part: &Part<'_>| -> PhaseRecord { part.record.phases[at].clone() };
    let all: Vec<PhaseRecord> = parts.iter().map(of).collect();
    // A run that was cut short has phases that never began.
    let ran = || all.iter().filter(|phase| phase.end_us > 0);
    let names = |of: fn(&PhaseRecord) -> Vec<&String>| -> BTreeSet<String> {
        all.iter().flat_map(of).cloned().collect()
    };
    let mut load = BTreeMap::new();
    for name in names(|phase| phase.load.keys().collect()) {
        load.insert(name.clone(), self::load(parts, how, at, &name)?);
    }
    let mut services = BTreeMap::new();
    for name in names(|phase| phase.services.keys().collect()) {
        services.insert(name.clone(), service(parts, at, &name)?);
    }
    let doubts: Vec<(&str, &str)> = parts
        .iter()
        .zip(&all)
        .flat_map(|(part, phase)| phase.invalid.iter().map(|why| (part.name.as_str(), why.as_str())))
        .collect();
    Ok(PhaseRecord {
        name: all[0].name.clone(),
        start_us: ran().map(|phase| phase.start_us).min().unwrap_or(0),
        end_us: ran().map(|phase| phase.end_us).max().unwrap_or(0),
        measure: all[0].measure,
        baseline: all[0].baseline,
        complete: all.iter().all(|phase| phase.complete),
        invalid: judged::told_of(&doubts, parts.len()),
        load,
        services,
    })
}

fn load(parts: &[Part<'_>], how: How, at: usize, name: &str) -> Result<LoadRecord, MergeError> {
    let of = |record: &'_ RunRecord| record.phases[at].load.get(name).cloned();
    let all: Vec<(&Part<'_>, LoadRecord)> = parts
        .iter()
        .filter_map(|part| Some((part, of(part.record)?)))
        .collect();
    let sum = |of: fn(&LoadRecord) -> u64| all.iter().map(|(_, load)| of(load)).sum::<u64>();
    let (intended, completed) = (sum(|load| load.intended), sum(|load| load.completed));
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    let mut error_examples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, load) in &all {
        for (kind, count) in &load.errors {
            *errors.entry(kind.clone()).or_default() += count;
        }
        for (kind, texts) in &load.error_examples {
            let kept = error_examples.entry(kind.clone()).or_default();
            for text in texts {
                if kept.len() < EXAMPLES && !kept.contains(text) {
                    kept.push(text.clone());
                }
            }
        }
    }
    let first = &all[0].1;
    let asked = |of: fn(&LoadRecord) -> Option<f64>| match how {
        How::Repeats => of(first),
        How::Shares => all.iter().map(|(_, load)| of(load)).sum(),
    };
    let what = |kind: &str| {
        format!(
            "the {kind} of load {name} in phase {}",
            parts[0].record.phases[at].name
        )
    };
    let latency = |kind: &str, of: for<'a> fn(&'a LoadRecord) -> &'a Distribution| {
        distribution(parts, &what(kind), |record| {
            record.phases[at].load.get(name).map(of)
        })
    };
    Ok(LoadRecord {
        mode: all
            .iter()
            .map(|(_, load)| load.mode)
            .find(|mode| *mode != LoadMode::Off)
            .unwrap_or(LoadMode::Off),
        target_rate: asked(|load| load.target_rate),
        users: asked(|load| load.users.map(f64::from)).map(|users| users as u32),
        intended,
        sent: sum(|load| load.sent),
        completed,
        failed: sum(|load| load.failed),
        dropped: sum(|load| load.dropped),
        unsent_by_generator: sum(|load| load.unsent_by_generator),
        // Of each part by itself; the first that missed speaks for all.
        target_missed: all.iter().find_map(|(_, load)| load.target_missed.clone()),
        achieved: (intended > 0).then(|| completed as f64 / intended as f64),
        throughput: throughput(&all, how, at, completed),
        errors,
        error_examples,
        invalid: distinct(all.iter().flat_map(|(_, load)| &load.invalid)),
        spoils: all.iter().filter_map(|(_, load)| load.spoils).max(),
        response: latency("response time", |load| &load.response)?,
        service: latency("service time", |load| &load.service)?,
        schedule_lag: latency("schedule lag", |load| &load.schedule_lag)?,
    })
}

/// Completed requests per second: of all the time in which the timeline was run, or of the time that shares ran beside
/// each other.
fn throughput(all: &[(&Part<'_>, LoadRecord)], how: How, at: usize, completed: u64) -> f64 {
    let lengths = all.iter().map(|(part, _)| {
        let phase = &part.record.phases[at];
        phase.end_us.saturating_sub(phase.start_us) * u64::from(part.repeats())
    });
    let length_us: u64 = match how {
        How::Repeats => lengths.sum(),
        How::Shares => lengths.max().unwrap_or(0),
    };
    if length_us == 0 {
        0.0
    } else {
        completed as f64 * 1e6 / length_us as f64
    }
}

fn service(parts: &[Part<'_>], at: usize, name: &str) -> Result<ServiceRecord, MergeError> {
    let of = |record: &'_ RunRecord| record.phases[at].services.get(name).cloned();
    let all: Vec<ServiceRecord> = parts.iter().filter_map(|part| of(part.record)).collect();
    let what = |kind: &str| {
        format!(
            "{kind} of service {name} in phase {}",
            parts[0].record.phases[at].name
        )
    };
    let kinds: BTreeSet<&String> = all
        .iter()
        .flat_map(|service| service.pause_kinds.keys())
        .collect();
    let mut pause_kinds = BTreeMap::new();
    for kind in kinds {
        let merged = pauses(parts, &what(&format!("pauses ({kind})")), |record| {
            record.phases[at].services.get(name)?.pause_kinds.get(kind)
        })?;
        pause_kinds.extend(merged.map(|merged| (kind.clone(), merged)));
    }
    let pauses_not_visible = distinct(all.iter().flat_map(|service| &service.pauses_not_visible));
    let sum = |of: fn(&ServiceRecord) -> Option<u64>| all.iter().filter_map(of).reduce(|a, b| a + b);
    let max = |of: fn(&ServiceRecord) -> Option<u64>| all.iter().filter_map(of).max();
    Ok(ServiceRecord {
        cpu_us: sum(|service| service.cpu_us),
        rss_max: max(|service| service.rss_max),
        threads_max: max(|service| service.threads_max),
        descriptors_max: max(|service| service.descriptors_max),
        voluntary_switches: sum(|service| service.voluntary_switches),
        involuntary_switches: sum(|service| service.involuntary_switches),
        threads_ended: sum(|service| service.threads_ended),
        pauses: pauses(parts, &what("pauses"), |record| {
            record.phases[at].services.get(name)?.pauses.as_ref()
        })?,
        pause_kinds,
        pauses_not_visible,
        pauses_not_visible_why: all
            .iter()
            .flat_map(|service| service.pauses_not_visible_why.clone())
            .collect(),
        restarts: all.iter().map(|service| service.restarts).sum(),
    })
}

/// Each text once, in the order in which they first come.
fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        if !kept.contains(text) {
            kept.push(text.clone());
        }
    }
    kept
}

/// What the proxies saw; a ratio that can't be put together from ratios stays only where all agree in it.
pub(super) fn edges(parts: &[Part<'_>]) -> Vec<EdgeRecord> {
    let sum = |known: Option<u64>, more: Option<u64>| known.zip(more).map(|(all, more)| all + more);
    let mut merged: Vec<EdgeRecord> = Vec::new();
    for edge in parts.iter().flat_map(|part| &part.record.edges) {
        let is_it = |known: &&mut EdgeRecord| known.caller == edge.caller && known.callee == edge.callee;
        match merged.iter_mut().find(is_it) {
            None => merged.push(edge.clone()),
            Some(known) => {
                known.bytes += edge.bytes;
                known.connections += edge.connections;
                known.connections_per_s_max = known.connections_per_s_max.max(edge.connections_per_s_max);
                known.requests = sum(known.requests, edge.requests);
                known.redirected = sum(known.redirected, edge.redirected);
                known.missed = sum(known.missed, edge.missed);
                if known.requests_per_call != edge.requests_per_call {
                    known.requests_per_call = None;
                }
                known.longest_silence_us = known.longest_silence_us.max(edge.longest_silence_us);
            }
        }
    }
    merged
}

/// The numbers of all samples together.
pub(super) fn distribution<'a>(
    parts: &[Part<'a>],
    what: &str,
    of: impl Fn(&'a RunRecord) -> Option<&'a Distribution>,
) -> Result<Distribution, MergeError> {
    let mut sum = Sum::new(what);
    for part in parts {
        if let Some(one) = of(part.record) {
            sum.add(&part.name, &one.hdr)?;
        }
    }
    Ok(Distribution::of(&sum.all))
}

/// All pauses together; nothing where no run saw any kind.
pub(super) fn pauses<'a>(
    parts: &[Part<'a>],
    what: &str,
    of: impl Fn(&'a RunRecord) -> Option<&'a Pauses>,
) -> Result<Option<Pauses>, MergeError> {
    let mut sum = Sum::new(what);
    let mut total = None;
    for part in parts {
        if let Some(one) = of(part.record) {
            sum.add(&part.name, &one.hdr)?;
            *total.get_or_insert(0) += one.total;
        }
    }
    Ok(total.map(|total| Pauses::of(&sum.all, total)))
}

/// Histograms added up bucket by bucket.
pub(super) struct Sum<'a> {
    what: &'a str,
    pub(super) all: Histogram,
}

impl<'a> Sum<'a> {
    pub(super) fn new(what: &'a str) -> Sum<'a> {
        Sum { what, all: empty() }
    }

    /// Adds a histogram in its text form; an empty text is one without samples.
    pub(super) fn add(&mut self, run: &str, hdr: &str) -> Result<(), MergeError> {
        if hdr.is_empty() {
            return Ok(());
        }
        let one = decode(hdr).map_err(|source| MergeError::Histogram {
            run: run.to_owned(),
            what: self.what.to_owned(),
            source,
        })?;
        // One with fewer digits would be moved into finer buckets, and no longer say how exact it is.
        let fits = if one.sigfig() == self.all.sigfig() {
            self.all.add(&one).map_err(|e| e.to_string())
        } else {
            Err(format!("it keeps {} digits", one.sigfig()))
        };
        fits.map_err(|why| MergeError::Shape {
            run: run.to_owned(),
            what: self.what.to_owned(),
            why,
        })
    }
}
