//! How change points are found, and how much that is worth.

use super::super::{Index, change_point};
use super::summary;
use crate::block::Block;
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

pub(super) fn parts(index: &Index, detail: Detail) -> Vec<Part> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let tested = figure::counted(summary::tested(index) as u64, "series", "series");
    let texts = [
        "P99 is that of the load with the most requests, in the phase that is the baseline; without one, in the longest measured phase. \
         Runs of another scenario text, of another machine, with other --set or with --quick are a series of their own. Runs \
         that are invalid, cut off, merged, steps of squall capacity or can't be read are listed and are in no trend."
            .to_owned(),
        format!(
            "Change points are found by E-divisive means (Matteson and James, A Nonparametric Approach for Multiple Change Point Analysis of \
             Multivariate Data, 2014) on the logarithm of P99, with {} permutations from a fixed seed. In a series without a change it \
             finds one by chance in {} of cases; {tested} on this page had runs enough to be looked at.",
            change_point::PERMUTATIONS,
            figure::ratio(change_point::LEVEL),
        ),
        format!(
            "With few runs this is weak. Below {} runs of a series nothing is told, and between two changes lie at least {} runs, so the newest runs show theirs late. \
             With {0} runs only a step several times as large as the scatter between runs is likely to be found; that none is told is no \
             proof that nothing changed. A slow drift, or a machine that was busier on some days, looks like a change. Of a long series the \
             newest {} runs are looked at. Hold the runs on both sides against each other before believing in a change.",
            change_point::FEWEST,
            change_point::SHORTEST,
            change_point::MOST,
        ),
    ];
    let blocks = texts.into_iter().map(Block::Paragraph).collect();
    vec![Part::new("method", "How the trend is made", blocks)]
}
