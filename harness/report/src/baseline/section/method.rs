//! What a stored baseline is worth, and how its change points are found.

use super::super::Shown;
use crate::block::Block;
use crate::figure;
use crate::index::change_point;
use crate::render::Part;
use crate::section::Detail;

pub(super) fn part(_: &Shown, detail: Detail) -> Option<Part> {
    if detail == Detail::Brief {
        return None;
    }
    let texts = [
        "A stored baseline is advisory. The run that is held to it and the runs in it were made at different times: another load on the machine, \
         another temperature or another layout of memory looks like a change of the code, and a small change of the code like none. `squall gate` \
         runs both by turns and decides; this page shows where things stand."
            .to_owned(),
        format!(
            "Change points are found as on the page of `squall index`: by E-divisive means (Matteson and James, A Nonparametric Approach for \
             Multiple Change Point Analysis of Multivariate Data, 2014), with {} permutations from a fixed seed, on logarithms where all values are \
             above zero. In a metric without a change it finds one by chance in {} of cases, and there are many metrics. Below {} entries nothing \
             is told, and between two changes lie at least {}. Entries of a scenario that does something else than the newest are in no trend.",
            change_point::PERMUTATIONS,
            figure::ratio(change_point::LEVEL),
            change_point::FEWEST,
            change_point::SHORTEST,
        ),
    ];
    let blocks = texts.into_iter().map(Block::Paragraph).collect();
    Some(Part::new("method", "What this is worth", blocks))
}
