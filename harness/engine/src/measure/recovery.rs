//! How long a load took to feel a fault, and how long to be well again once it was healed.
//!
//! The phase with `baseline: true` gives each load its band: the P99 of its response times, and its share of errors. Time
//! goes by rows of 100 ms, by when requests ended. A row is outside of the band where more of its requests were over that
//! P99, or more failed, than chance explains ([`band`]), or where requests were asked for and none ended.
//!
//! - *detect*: from injection to the end of the first row outside.
//! - *recover*: from healing to the end of the last row outside before [`HELD_US`] of rows inside. Zero where no row after
//!   healing is outside.
//! - *debt*: what requests waited longer than in the baseline, at the mean, from injection to recovery; all of them together.
//!
//! What is looked at ends where the next fault is injected. Memory is bounded: a row is five numbers, and the samples of the
//! baseline are kept only until its P99 is known.

mod band;
mod history;

pub use band::Band;
pub use history::History;

/// The length of a row, microseconds.
pub const ROW_US: u64 = 100_000;

/// How long rows must stay inside the band for a load to count as recovered, microseconds.
pub const HELD_US: u64 = 500_000;

/// What a load did in one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Requests asked for.
    pub intended: u64,
    /// Requests that ended.
    pub ended: u64,
    /// Those of them that were over the band's P99.
    pub over: u64,
    /// Those of them that failed, and those never sent.
    pub failed: u64,
    /// The response times of all that ended, added up, microseconds.
    pub sum_us: u64,
}

/// A stretch of time in which a fault held, and what may be looked at after it; microseconds since the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it was injected.
    pub injected_us: u64,
    /// When it was healed.
    pub healed_us: u64,
    /// When something else happened that may be to blame: the next fault, or the load's end.
    pub until_us: u64,
}

/// How one load took one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Felt {
    /// From injection to the end of the first row outside of the band; nothing where none was.
    pub detect_us: Option<u64>,
    /// From healing until the load was back in its band, and stayed.
    pub recovery: Recovery,
    /// What requests waited longer than in the baseline, all together.
    pub debt_us: u64,
}

/// Whether a load was well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It was, so long after healing.
    After(u64),
    /// It was not within so long after healing; then the view ended.
    NotWithin(u64),
}

impl Recovery {
    /// The worse of two: what did not recover is worse than what did.
    #[must_use]
    pub fn worse(self, other: Recovery) -> Recovery {
        use Recovery::{After, NotWithin};
        match (self, other) {
            (After(a), After(b)) => After(a.max(b)),
            (NotWithin(a), NotWithin(b)) => NotWithin(a.max(b)),
            (NotWithin(a), After(_)) | (After(_), NotWithin(a)) => NotWithin(a),
        }
    }
}

/// How a load took a fault, by its rows; `rows[n]` begins at `n * ROW_US`. Nothing where no row shows what came after.
pub fn felt(band: &Band, rows: &[Row], window: Window) -> Option<Felt> {
    let begins = window.injected_us / ROW_US;
    let heals = window.healed_us / ROW_US;
    let ends = (window.until_us / ROW_US).min(rows.len() as u64);
    if heals >= ends {
        return None;
    }
    let row = |at: u64| rows[at as usize];
    let outside = |at: u64| band.is_outside(&row(at));
    let end_of = |at: u64| (at + 1) * ROW_US;
    let back = back_inside(heals, ends, outside);
    // What is outside after the load was well again is not the fault's doing.
    let detected = (begins..back.unwrap_or(ends)).find(|at| outside(*at));
    let detect_us = detected.map(|at| end_of(at).saturating_sub(window.injected_us));
    let recovery = match back {
        Some(at) if at == heals => Recovery::After(0),
        Some(at) => Recovery::After((at * ROW_US).saturating_sub(window.healed_us)),
        None => Recovery::NotWithin((ends * ROW_US).saturating_sub(window.healed_us)),
    };
    let waited: f64 = (begins..back.unwrap_or(ends))
        .map(|at| row(at).sum_us as f64 - row(at).ended as f64 * band.mean_us())
        .sum();
    Some(Felt {
        detect_us,
        recovery,
        debt_us: waited.max(0.0) as u64,
    })
}

/// The first row from which on all are inside for long enough; at the end of the view a shorter stretch will do that is at least half
/// as long.
fn back_inside(from: u64, ends: u64, outside: impl Fn(u64) -> bool) -> Option<u64> {
    let held = HELD_US / ROW_US;
    let mut inside_from = from;
    for at in from..ends {
        if outside(at) {
            inside_from = at + 1;
        } else if at + 1 - inside_from >= held {
            return Some(inside_from);
        }
    }
    (ends.saturating_sub(inside_from) >= held / 2).then_some(inside_from)
}

#[cfg(test)]
#[path = "recovery/tests.rs"]
mod tests;
