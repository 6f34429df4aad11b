//! What every chart on the time axis shows beside its lines: the phases, the windows of the faults, and the states that services
//! told of.

use std::collections::BTreeMap;

use squall_model::event::EventKind;
use squall_model::record::FaultRecord;

use crate::chart::{Band, Marks, Shade, Shading};
use crate::recording::Recording;
use crate::states::machines;

/// The letter of the `at`-th fault, the same in tables and charts: A to Z, then AA.
pub(crate) fn letter(at: usize) -> String {
    let tail = char::from(b'A' + (at % 26) as u8);
    if at < 26 {
        tail.to_string()
    } else {
        format!("{}{tail}", letter(at / 26 - 1))
    }
}

/// When a fault held; one that was never healed held to the end of the run.
pub(crate) fn window(fault: &FaultRecord, end_us: u64) -> Option<(u64, u64)> {
    let injected = fault.injected_us?;
    Some((injected, fault.healed_us.unwrap_or(end_us).max(injected)))
}

/// The most windows of one fault that are shaded one by one; of more, all is shaded from the first to the last.
const SHADED: usize = 400;

/// Each time that a fault held.
pub(crate) fn windows(recording: &Recording, fault: &FaultRecord) -> Vec<(u64, u64)> {
    let whole = || window(fault, recording.end_us()).into_iter().collect();
    if fault
        .repeated
        .is_none_or(|times| times.injected as usize > SHADED)
    {
        return whole();
    }
    let mut windows: Vec<(u64, u64)> = Vec::new();
    let mut holds = false;
    for event in &recording.events {
        match &event.kind {
            EventKind::FaultInjected { fault: name } if *name == fault.name => {
                windows.push((event.at_us, recording.end_us()));
                holds = true;
            }
            EventKind::FaultHealed { fault: name } if *name == fault.name && holds => {
                if let Some((_, end_us)) = windows.last_mut() {
                    *end_us = event.at_us;
                }
                holds = false;
            }
            _ => {}
        }
    }
    // A record without its events still says when all began and ended.
    if windows.is_empty() { whole() } else { windows }
}

/// The most things whose states stand under each chart; the timeline lists all.
const TRACKS: usize = 6;

/// Phases, fault windows and states; see [`Recording::marks`], which keeps them.
pub(crate) fn marks(recording: &Recording) -> Marks {
    let phases = recording.record.phases.iter().enumerate();
    let phases = phases.filter(|(_, phase)| phase.end_us > phase.start_us);
    let faults = recording
        .record
        .faults
        .iter()
        .enumerate()
        .flat_map(|(at, fault)| {
            windows(recording, fault)
                .into_iter()
                .map(move |(start_us, end_us)| Shade {
                    start_us,
                    end_us,
                    letter: letter(at),
                    name: fault.name.clone(),
                    proved: fault.proved,
                })
        });
    Marks {
        shading: Shading::Fault,
        phases: phases
            .map(|(at, phase)| Band {
                start_us: phase.start_us,
                end_us: phase.end_us,
                number: at + 1,
                name: phase.name.clone(),
            })
            .collect(),
        faults: faults.collect(),
        tracks: machines(recording)
            .into_iter()
            .take(TRACKS)
            .map(|machine| machine.track)
            .collect(),
        dates: Vec::new(),
    }
}

/// Every moment at which a phase or a fault begins or ends, in order. Of a fault that comes again its first begin and its
/// last end: what lies between its times would have too few requests.
pub(crate) fn edges(marks: &Marks) -> Vec<u64> {
    let phases = marks.phases.iter().flat_map(|band| [band.start_us, band.end_us]);
    let mut whole: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for shade in &marks.faults {
        let (_, end_us) = whole
            .entry(&shade.letter)
            .or_insert((shade.start_us, shade.end_us));
        *end_us = shade.end_us.max(*end_us);
    }
    let faults = whole
        .into_values()
        .flat_map(|(start_us, end_us)| [start_us, end_us]);
    let mut edges: Vec<u64> = phases.chain(faults).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn letters_go_on_after_z() {
        let letters: Vec<String> = [0, 25, 26, 27, 51, 52, 701, 702].map(letter).into();
        assert_eq!(letters, ["A", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }
}
