//! How long an arm took to be well after a fault was healed, which it may never have been.
//!
//! Where one arm recovered and the other was looked at for at least as long in vain, the other is worse whatever the true number: the change
//! is [`NEVER`], the largest there is, up or down. The signed-rank test asks only for signs and for the order of sizes, so a verdict is the same
//! for every number as large. An estimate or bound that rests on such blocks is not: it says "by far", not how far. Where both did not recover,
//! or the one that did took longer than the other was looked at, nothing is known of which is worse, and the block has no value: counted as a
//! tie it would be evidence for a pass.
//!
//! All three rules treat both arms alike, so that on the same code each sign stays a fair coin.

use squall_model::gate::{Both, MetricKind, StretchFault};

use super::{MetricId, Pair, Paired, Reading, Readings};

/// Recoveries below this are all the same, microseconds: it is the width of the rows that they are read from.
pub const FLOOR_US: f64 = 100_000.0;

/// The ratio that stands for "never". Ratios of those that recovered are held below it: from the floor on, it is 100 s.
pub const NEVER: f64 = 1_000.0;

/// What was seen of one arm.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// It was well after so long.
    After(f64),
    /// For so long it was not.
    NotWithin(f64),
}

pub(super) fn read(stretches: &[Pair<'_>], readings: &mut Readings) {
    let mut names: Vec<&str> = stretches
        .iter()
        .flat_map(|pair| pair.base.faults.iter().map(|fault| fault.name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let reading =
            recovery(stretches, name).map_or_else(|why| Reading::Absent(why.to_owned()), Reading::Paired);
        readings.insert(MetricId::new(MetricKind::Recovery, name), reading);
    }
}

/// Of a fault that comes several times in a block, the median.
fn recovery(stretches: &[Pair<'_>], name: &str) -> Result<Paired, &'static str> {
    let mut pairs = Vec::new();
    for stretch in stretches {
        let of = |faults: &[StretchFault]| -> Vec<StretchFault> {
            faults
                .iter()
                .filter(|fault| fault.name == name)
                .cloned()
                .collect()
        };
        for (base, candidate) in of(&stretch.base.faults).iter().zip(of(&stretch.candidate.faults)) {
            pairs.extend(paired(seen(base)?, seen(&candidate)?));
        }
    }
    Paired::median(&pairs).ok_or("none of the arms recovered while it was looked at")
}

fn seen(fault: &StretchFault) -> Result<Seen, &'static str> {
    if !fault.proved {
        return Err("the fault was not shown to take hold and be undone");
    }
    let after = fault.recover_us.map(|time| Seen::After(time as f64));
    let not_within = fault.unrecovered_us.map(|time| Seen::NotWithin(time as f64));
    after.or(not_within).ok_or("recovery was not measured")
}

/// Nothing where it is not known which is worse.
fn paired(base: Seen, candidate: Seen) -> Option<Paired> {
    let never = |base, candidate, change| Paired {
        values: Both { base, candidate },
        change,
    };
    match (base, candidate) {
        (Seen::After(base), Seen::After(candidate)) => {
            let paired = Paired::ratio(base, candidate, FLOOR_US);
            let change = paired.change.clamp(-NEVER.ln(), NEVER.ln());
            Some(Paired { change, ..paired })
        }
        (Seen::After(base), Seen::NotWithin(looked)) if looked >= base => {
            Some(never(base, looked, NEVER.ln()))
        }
        (Seen::NotWithin(looked), Seen::After(candidate)) if looked >= candidate => {
            Some(never(looked, candidate, -NEVER.ln()))
        }
        _ => None,
    }
}
