//! What the sides are called in tables and legends: as short as tells them apart.

use super::{Side, newest};
use crate::visible::shortened;

/// The longest name.
const LONGEST: usize = 24;

/// A name for each side: as the reader gave it, else the revision, the machine's clock at its start, its folder, or its
/// number; the first of these in which all differ.
pub(super) fn names(sides: &[Side]) -> Vec<String> {
    let given: Vec<String> = sides.iter().map(|side| shortened(&side.name, LONGEST)).collect();
    let candidates: [fn(&Side) -> String; 4] = [
        |side| newest(side).record.revision.clone(),
        |side| {
            newest(side)
                .record
                .started_at
                .get(11..19)
                .unwrap_or_default()
                .to_owned()
        },
        |side| {
            let started = &newest(side).record.started_at;
            started.get(..19).unwrap_or_default().replace('T', " ")
        },
        |side| last(&side.runs[side.runs.len() - 1].name).to_owned(),
    ];
    let found = candidates.iter().map(|of| {
        let named = sides.iter().map(|side| shortened(&of(side), LONGEST));
        named.collect::<Vec<String>>()
    });
    std::iter::once(given)
        .chain(found)
        .find(|names| all_differ(names))
        .unwrap_or_else(|| (1..=sides.len()).map(|at| format!("run {at}")).collect())
}

fn all_differ(names: &[String]) -> bool {
    names
        .iter()
        .enumerate()
        .all(|(at, name)| !name.is_empty() && name != "none" && !names[..at].contains(name))
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_equal_or_empty_tell_nothing_apart() {
        let names =
            |names: &[&str]| all_differ(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(names(&["base", "candidate"]));
        assert!(!names(&["base", "base"]) && !names(&["base", ""]) && !names(&["none", "4f1c2ab"]));
        assert_eq!(
            last("reports/shop/20260115T093012.480Z-4f1c2ab/"),
            "20260115T093012.480Z-4f1c2ab"
        );
    }
}
