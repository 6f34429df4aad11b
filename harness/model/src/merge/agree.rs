//! Whether runs belong together, and in what they differ although they do.

use super::{Difference, MergeError, Part};
use crate::record::{How, LoadMode, RunRecord};

/// Says where two runs can't be one, naming both.
pub(super) fn check(parts: &[Part<'_>], how: How) -> Result<(), MergeError> {
    for (at, part) in parts.iter().enumerate() {
        if let Some(other) = parts[..at]
            .iter()
            .find(|other| is_same_run(other.record, part.record))
        {
            return Err(MergeError::Twice {
                first: other.name.clone(),
                second: part.name.clone(),
            });
        }
    }
    let (first, others) = parts.split_first().expect("merge has counted them");
    for other in others {
        same_scenario(first, other, how)?;
        same_phases(first, other, how)?;
    }
    match how {
        How::Repeats => Ok(()),
        How::Shares => at_the_same_time(parts),
    }
}

fn is_same_run(one: &RunRecord, other: &RunRecord) -> bool {
    let of = |record: &RunRecord| (record.started_at.clone(), record.duration_us, record.seed);
    of(one) == of(other) && one.machine == other.machine && one.phases == other.phases
}

fn same_scenario(first: &Part<'_>, other: &Part<'_>, how: How) -> Result<(), MergeError> {
    let (a, b) = (first.record, other.record);
    let differ = |what: &str, of_first: String, of_second: String, advice| {
        if of_first == of_second {
            Ok(())
        } else {
            Err(MergeError::Differ(Box::new(Difference {
                first: first.name.clone(),
                second: other.name.clone(),
                what: what.to_owned(),
                of_first,
                of_second,
                advice,
            })))
        }
    };
    differ("schema", a.schema.to_string(), b.schema.to_string(), "")?;
    differ("scenario", quoted(&a.scenario), quoted(&b.scenario), "")?;
    if a.source != b.source {
        let (of_first, of_second) = first_different_line(&a.source, &b.source);
        let what = "the text of their scenario";
        return differ(
            what,
            of_first,
            of_second,
            "; compare them instead of merging them",
        );
    }
    let quick = |quick: bool| {
        if quick {
            "made with --quick"
        } else {
            "made without --quick"
        }
        .to_owned()
    };
    differ("length", quick(a.quick), quick(b.quick), "")?;
    if how == How::Repeats {
        let advice = "; parts of one load are merged as shares";
        differ(
            "what was set",
            overrides(&a.command),
            overrides(&b.command),
            advice,
        )?;
    }
    let names = |record: &RunRecord| -> String {
        let names: Vec<&str> = record.faults.iter().map(|fault| fault.name.as_str()).collect();
        names.join(", ")
    };
    differ("their faults", quoted(&names(a)), quoted(&names(b)), "")
}

fn same_phases(first: &Part<'_>, other: &Part<'_>, how: How) -> Result<(), MergeError> {
    let differ = |what: String, of_first: String, of_second: String| {
        MergeError::Differ(Box::new(Difference {
            first: first.name.clone(),
            second: other.name.clone(),
            what,
            of_first,
            of_second,
            advice: match how {
                How::Repeats => "; parts of one load are merged as shares",
                How::Shares => "",
            },
        }))
    };
    let names = |part: &Part<'_>| -> Vec<String> {
        part.record
            .phases
            .iter()
            .map(|phase| phase.name.clone())
            .collect()
    };
    if names(first) != names(other) {
        let joined = |part| quoted(&names(part).join(", "));
        return Err(differ("their phases".to_owned(), joined(first), joined(other)));
    }
    for (a, b) in first.record.phases.iter().zip(&other.record.phases) {
        for (name, load) in &a.load {
            // A run that was cut short has phases without loads.
            let Some(same) = b.load.get(name) else { continue };
            let of = |mode: LoadMode, rate: Option<f64>, users: Option<u32>| match (how, mode) {
                (_, LoadMode::Off) => "off".to_owned(),
                (How::Repeats, LoadMode::Open) => format!("{} requests per second", rate.unwrap_or_default()),
                (How::Repeats, LoadMode::Closed) => format!("{} users", users.unwrap_or_default()),
                (How::Shares, LoadMode::Open) => "open loop".to_owned(),
                (How::Shares, LoadMode::Closed) => "closed loop".to_owned(),
            };
            let of_first = of(load.mode, load.target_rate, load.users);
            let of_second = of(same.mode, same.target_rate, same.users);
            if of_first != of_second {
                return Err(differ(
                    format!("load {name} of phase {}", a.name),
                    of_first,
                    of_second,
                ));
            }
        }
    }
    Ok(())
}

/// Shares run beside each other, at least in part.
fn at_the_same_time(parts: &[Part<'_>]) -> Result<(), MergeError> {
    if let Some(repeated) = parts.iter().find(|part| part.repeats() > 1) {
        return Err(MergeError::RepeatsAsShare(repeated.name.clone()));
    }
    let end_ms = |part: &&Part<'_>| part.started_ms + part.record.duration_us / 1_000;
    let ends_first = parts.iter().min_by_key(end_ms);
    let begins_last = parts.iter().max_by_key(|part| part.started_ms);
    match ends_first.zip(begins_last) {
        Some((earlier, later)) if end_ms(&earlier) <= later.started_ms => Err(MergeError::Apart {
            first: earlier.name.clone(),
            second: later.name.clone(),
        }),
        _ => Ok(()),
    }
}

/// What a run has of something, in words.
type Look = fn(&RunRecord) -> String;

/// In what runs differ that nevertheless belong together, in words.
pub(super) fn differences(parts: &[Part<'_>]) -> Vec<String> {
    let looks: [(&str, Look); 5] = [
        ("seed", |record| record.seed.to_string()),
        ("revision", |record| record.revision.clone()),
        ("version of squall", |record| record.squall.clone()),
        ("machine (the record shows the first)", |record| {
            let machine = &record.machine;
            format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.os)
        }),
        ("what was set", |record| overrides(&record.command)),
    ];
    let mut differ = Vec::new();
    for (what, of) in looks {
        let all: Vec<String> = parts.iter().map(|part| of(part.record)).collect();
        if all.iter().any(|one| *one != all[0]) {
            let each = parts
                .iter()
                .zip(&all)
                .map(|(part, text)| format!("{text} in {}", part.name));
            differ.push(format!("{what}: {}", each.collect::<Vec<_>>().join("; ")));
        }
    }
    for part in parts {
        let inherited = part.record.merged.iter().flat_map(|merged| &merged.differ);
        differ.extend(inherited.map(|text| format!("in {}: {text}", part.name)));
    }
    differ
}

/// What the command line has set beside the scenario's text.
fn overrides(command: &str) -> String {
    match crate::command::overrides(command) {
        "" => "nothing".to_owned(),
        sets => sets.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

fn first_different_line(a: &str, b: &str) -> (String, String) {
    let (mut of_a, mut of_b) = (a.lines(), b.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (a, b) = (of_a.next(), of_b.next());
        if a != b || a.is_none() {
            let shown = |line: Option<&str>| match line {
                Some(line) => format!("line {number} `{}`", line.trim()),
                None => format!("no line {number}"),
            };
            return (shown(a), shown(b));
        }
    }
}
