//! The run in a sentence or two, written from the data: what was asked, how fast it was, what was broken and what held.
//!
//! Every clause is a fact of the record. What is not known makes no clause.

use squall_model::event::EventKind;
use squall_model::record::{FaultRecord, InvariantRecord, LoadMode, LoadRecord, PhaseRecord, Verdict};

use crate::figure;
use crate::recording::Recording;
use crate::visible::on_one_line;

/// The most loads, faults and invariants that are named one by one.
const NAMED: usize = 2;

/// The story; empty for a run in which nothing happened.
pub(crate) fn story(recording: &Recording) -> String {
    let clauses = [
        asked(recording).map(Clause::Worded),
        latency(recording).map(Clause::Worded),
        slowest(recording).map(Clause::Worded),
        faults(recording).map(Clause::Worded),
        invariants(recording).map(Clause::Named),
    ];
    let sentences: Vec<String> = clauses
        .into_iter()
        .flatten()
        .map(|clause| sentence(&clause))
        .collect();
    sentences.join(" ")
}

/// A clause with its first letter in upper case, unless it starts with a name.
fn sentence(clause: &Clause) -> String {
    let text = match clause {
        Clause::Named(text) => text.clone(),
        Clause::Worded(text) => {
            let mut letters = text.chars();
            let first: String = letters
                .next()
                .map(|c| c.to_uppercase().collect())
                .unwrap_or_default();
            format!("{first}{}", letters.as_str())
        }
    };
    format!("{text}.")
}

/// A part of the story.
enum Clause {
    /// Starts with words of ours.
    Worded(String),
    /// Starts with a name of the scenario's, which stays as it is.
    Named(String),
}

/// Phases that a load ran in and that count; all of them where none counts.
fn ran<'a>(recording: &'a Recording, load: &'a str) -> Vec<(&'a PhaseRecord, &'a LoadRecord)> {
    let phases = recording.record.phases.iter();
    let of_load = phases.filter_map(|phase| Some((phase, phase.load.get(load)?)));
    let busy: Vec<_> = of_load
        .filter(|(_, load)| load.mode != LoadMode::Off && load.sent > 0)
        .collect();
    let counting: Vec<_> = busy.iter().copied().filter(|(phase, _)| phase.measure).collect();
    if counting.is_empty() { busy } else { counting }
}

fn asked(recording: &Recording) -> Option<String> {
    let loads = recording.loads();
    let busy: Vec<(&str, Vec<_>)> = loads
        .iter()
        .map(|load| (*load, ran(recording, load)))
        .filter(|(_, ran)| !ran.is_empty())
        .collect();
    let several = busy.len() > 1;
    let named: Vec<String> = busy
        .iter()
        .take(NAMED)
        .map(|(load, ran)| asked_of(load, ran, several, recording.repeats()))
        .collect();
    let unmeasured = recording
        .record
        .phases
        .iter()
        .filter(|phase| !phase.measure && phase.end_us > 0);
    let left_out: Vec<String> = unmeasured.map(|phase| on_one_line(&phase.name)).collect();
    let besides = match left_out.len() {
        0 => String::new(),
        1..=NAMED => format!(" ({} not counted)", left_out.join(" and ")),
        n => format!(" ({n} unmeasured phases not counted)"),
    };
    let more = match busy.len().saturating_sub(NAMED) {
        0 => String::new(),
        1 => ", and one more load".to_owned(),
        n => format!(", and {n} more loads"),
    };
    (!named.is_empty()).then(|| format!("{}{more}{besides}", named.join("; ")))
}

fn asked_of(name: &str, ran: &[(&PhaseRecord, &LoadRecord)], named: bool, repeats: f64) -> String {
    let sent: u64 = ran.iter().map(|(_, load)| load.sent).sum();
    let failed: u64 = ran.iter().map(|(_, load)| load.failed).sum();
    let dropped: u64 = ran.iter().map(|(_, load)| load.dropped).sum();
    let length: u64 = ran
        .iter()
        .map(|(phase, _)| phase.end_us.saturating_sub(phase.start_us))
        .sum();
    let who = if named {
        format!(" of {}", on_one_line(name))
    } else {
        String::new()
    };
    let failures = match (failed, dropped) {
        (0, 0) => "none failed".to_owned(),
        (failed, 0) => format!("{} failed", figure::count(failed)),
        (failed, dropped) => format!(
            "{} failed, {} more were never sent",
            figure::count(failed),
            figure::count(dropped)
        ),
    };
    let pace = pace(ran).map_or_else(String::new, |pace| format!(" {pace}"));
    let length = if repeats > 1.0 {
        format!("{repeats} times {}", figure::duration(length as f64))
    } else {
        figure::duration(length as f64)
    };
    format!(
        "{} requests{who}{pace} over {length}: {failures}",
        figure::count(sent)
    )
}

fn pace(ran: &[(&PhaseRecord, &LoadRecord)]) -> Option<String> {
    let rates: Vec<f64> = ran.iter().filter_map(|(_, load)| load.target_rate).collect();
    if rates.is_empty() {
        let users = ran.iter().filter_map(|(_, load)| load.users).max()?;
        return Some(format!("by {} users", figure::count(u64::from(users))));
    }
    let (least, most) = rates.iter().fold((f64::INFINITY, 0.0_f64), |(l, m), rate| {
        (l.min(*rate), m.max(*rate))
    });
    Some(if least < most {
        format!("at {} to {}", figure::rate(least), figure::rate(most))
    } else {
        format!("at {}", figure::rate(most))
    })
}

/// P99 in the baseline, or in the first phase that counts, against the worst phase.
fn latency(recording: &Recording) -> Option<String> {
    let load = *recording.loads().first()?;
    let ran = ran(recording, load);
    let with_p99: Vec<(&PhaseRecord, u64)> = ran
        .iter()
        .filter_map(|(phase, load)| Some((*phase, load.response.p99?)))
        .collect();
    let (calm, p99) = *with_p99
        .iter()
        .find(|(phase, _)| phase.baseline)
        .or_else(|| with_p99.first())?;
    let calm_text = format!(
        "P99 was {} in {}",
        figure::duration(p99 as f64),
        on_one_line(&calm.name)
    );
    let (worst, worst_p99) = *with_p99.iter().max_by_key(|(_, p99)| *p99)?;
    if with_p99.len() == 1 {
        return Some(calm_text);
    }
    if worst_p99 as f64 <= p99 as f64 * 1.1 {
        return Some(format!(
            "{calm_text} and no more than {} in any other phase",
            figure::duration(worst_p99 as f64)
        ));
    }
    let worst_name = on_one_line(&worst.name);
    Some(format!(
        "{calm_text} and at worst {} in {worst_name}",
        figure::duration(worst_p99 as f64)
    ))
}

/// The slowest request of all, where it lies far from what is usual and so is worth a look.
fn slowest(recording: &Recording) -> Option<String> {
    let load = *recording.loads().first()?;
    let ran = ran(recording, load);
    let (phase, part) = ran.iter().max_by_key(|(_, part)| part.response.max)?;
    let (max, p99) = (part.response.max?, part.response.p99?);
    (max > p99 * 2).then(|| {
        format!(
            "the slowest request took {}, in {}",
            figure::duration(max as f64),
            on_one_line(&phase.name)
        )
    })
}

fn faults(recording: &Recording) -> Option<String> {
    let faults: Vec<&FaultRecord> = recording
        .record
        .faults
        .iter()
        .filter(|fault| fault.injected_us.is_some())
        .collect();
    if faults.len() > NAMED {
        return Some(many_faults(recording, &faults));
    }
    let named: Vec<String> = faults
        .iter()
        .map(|fault| fault_clause(recording, fault))
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}

fn fault_clause(recording: &Recording, fault: &FaultRecord) -> String {
    let what = if fault.about.is_empty() {
        &fault.name
    } else {
        &fault.about
    };
    let at = figure::about_moment(fault.injected_us.unwrap_or(0));
    let felt = match proved_after(recording, fault) {
        _ if !fault.proved => ", and nothing shows that it took effect".to_owned(),
        Some(after) => format!(", proved {} later", figure::duration(after as f64)),
        None => String::new(),
    };
    let duration = |us: u64| figure::duration(us as f64);
    let back = match (fault.felt.recover_us, fault.felt.unrecovered_us) {
        (_, Some(us)) => format!(
            ", and not back in the baseline's band within {} of its end",
            duration(us)
        ),
        (Some(0) | None, None) => String::new(),
        (Some(us), None) => format!(", back in the baseline's band {} after it ended", duration(us)),
    };
    format!("{} at {at}{felt}{back}", on_one_line(what))
}

fn many_faults(recording: &Recording, faults: &[&FaultRecord]) -> String {
    let times = || faults.iter().filter_map(|fault| fault.injected_us);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let unproved = faults.iter().filter(|fault| !fault.proved).count();
    let slowest = faults
        .iter()
        .filter_map(|fault| proved_after(recording, fault))
        .max();
    let felt = match (unproved, slowest) {
        (0, Some(us)) => format!(
            "each proved to have taken effect, within {}",
            figure::duration(us as f64)
        ),
        (0, None) => "each proved to have taken effect".to_owned(),
        (n, _) => format!("{n} of them not shown to have taken effect"),
    };
    let between = format!(
        "between {} and {}",
        figure::about_moment(first),
        figure::about_moment(last)
    );
    format!("{} faults were injected {between}, {felt}", faults.len())
}

/// From injection to the receipt.
pub(crate) fn proved_after(recording: &Recording, fault: &FaultRecord) -> Option<u64> {
    let proved_us = recording.events.iter().find_map(|event| match &event.kind {
        EventKind::FaultProved { fault: name, .. } if *name == fault.name => Some(event.at_us),
        _ => None,
    })?;
    proved_us.checked_sub(fault.injected_us?)
}

fn invariants(recording: &Recording) -> Option<String> {
    let all = &recording.record.invariants;
    let broken: Vec<&InvariantRecord> = all.iter().filter(|i| i.verdict == Verdict::Fail).collect();
    if !broken.is_empty() {
        let named = broken.iter().take(NAMED).map(|invariant| {
            let (violations, checked) = (
                figure::count(invariant.violations),
                figure::count(invariant.checked),
            );
            format!(
                "{} was violated {violations} times in {checked} checks",
                on_one_line(&invariant.path())
            )
        });
        return Some(named.collect::<Vec<_>>().join("; "));
    }
    let held: Vec<String> = all
        .iter()
        .filter(|invariant| invariant.verdict == Verdict::Pass)
        .take(NAMED)
        .map(|i| {
            format!(
                "{} held over {} checks",
                on_one_line(&i.path()),
                figure::count(i.checked)
            )
        })
        .collect();
    (!held.is_empty()).then(|| held.join("; "))
}
