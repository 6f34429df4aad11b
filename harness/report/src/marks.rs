//! What every chart on the time axis shows beside its lines: the phases and the windows of the faults.

use squall_model::record::FaultRecord;

use crate::chart::{Band, Marks, Shade};
use crate::recording::Recording;

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

/// Phases and fault windows.
pub(crate) fn marks(recording: &Recording) -> Marks {
    let phases = recording.record.phases.iter().enumerate();
    let phases = phases.filter(|(_, phase)| phase.end_us > phase.start_us);
    let end_us = recording.end_us();
    let faults = recording
        .record
        .faults
        .iter()
        .enumerate()
        .filter_map(|(at, fault)| {
            let (start_us, end_us) = window(fault, end_us)?;
            let proved = fault.proved;
            Some(Shade {
                start_us,
                end_us,
                letter: letter(at),
                name: fault.name.clone(),
                proved,
            })
        });
    Marks {
        phases: phases
            .map(|(at, phase)| Band {
                start_us: phase.start_us,
                end_us: phase.end_us,
                number: at + 1,
                name: phase.name.clone(),
            })
            .collect(),
        faults: faults.collect(),
    }
}

/// Every moment at which a phase or a fault begins or ends, in order.
pub(crate) fn edges(marks: &Marks) -> Vec<u64> {
    let phases = marks.phases.iter().flat_map(|band| [band.start_us, band.end_us]);
    let faults = marks
        .faults
        .iter()
        .flat_map(|shade| [shade.start_us, shade.end_us]);
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
