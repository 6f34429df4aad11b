//! By hand, against what the parts say, and a study: of gates on the same code, how many block.

use std::num::NonZeroU32;

use squall_model::seed::{Seed, unit};

use super::super::looks::{self, LOOKS};
use super::*;

/// As strict as a single test.
const LEVELS: Levels = Levels {
    alpha: 0.01,
    beta: 0.05,
};

/// Blocks about `middle`, about normal with the deviation `spread`: the sum of twelve uniform numbers, less their mean.
fn normal(seed: Seed, blocks: usize, middle: f64, spread: f64) -> Vec<f64> {
    let mut rng = seed.rng();
    (0..blocks)
        .map(|_| middle + ((0..12).map(|_| unit(&mut rng)).sum::<f64>() - 6.0) * spread)
        .collect()
}

/// Mostly calm, every tenth block thirty times as far out.
fn bursts(seed: Seed, blocks: usize, spread: f64) -> Vec<f64> {
    let mut rng = seed.child("bursts").rng();
    let mut values = normal(seed, blocks, 0.0, spread);
    for value in &mut values {
        *value *= if unit(&mut rng) < 0.1 { 30.0 } else { 1.0 };
    }
    values
}

fn usual(log_ratios: &[f64]) -> Metric {
    Metric::new(log_ratios, Limits::USUAL).unwrap()
}

fn verdicts(metrics: &[Metric], levels: Levels) -> Vec<Verdict> {
    let findings = judge(metrics, levels, &mut Nulls::default());
    findings.iter().map(|finding| finding.verdict).collect()
}

#[test]
fn a_clear_change_gets_its_verdict() {
    let at = |name: &str, middle| usual(&normal(Seed::new(1).child(name), 40, middle, 0.01));
    let metrics = [
        at("worse", 0.1),
        at("better", -0.1),
        at("same", 0.0),
        usual(&normal(Seed::new(1), 40, 0.0, 0.5)),
    ];
    assert_eq!(
        verdicts(&metrics, LEVELS),
        [
            Verdict::Regressed,
            Verdict::Improved,
            Verdict::Pass,
            Verdict::Inconclusive
        ]
    );
}

#[test]
fn a_change_within_the_margin_is_none() {
    let at = |middle| usual(&normal(Seed::new(2), 90, middle, 0.002));
    assert_eq!(
        verdicts(&[at(0.015), at(-0.015)], LEVELS),
        [Verdict::Pass, Verdict::Pass]
    );
}

#[test]
fn too_few_blocks_are_inconclusive_whatever_they_show() {
    let findings = judge(&[usual(&[5.0, 5.1, 5.2])], LEVELS, &mut Nulls::default());
    assert_eq!(findings[0].verdict, Verdict::Inconclusive);
    assert_eq!((findings[0].lower, findings[0].upper), (None, None));
}

#[test]
fn a_metric_among_others_is_held_to_more() {
    // One of 2^7 ways to set the signs: 0.8 %, within 1 % for one metric and not for each of two.
    let worse = usual(&[0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17]);
    let noise = usual(&[0.5, -0.4, 0.3, -0.6, 0.7, -0.2, -0.1]);
    assert_eq!(
        verdicts(std::slice::from_ref(&worse), LEVELS)[0],
        Verdict::Regressed
    );
    let findings = judge(&[noise, worse], LEVELS, &mut Nulls::default());
    assert_eq!(findings[1].verdict, Verdict::Inconclusive);
    assert!((findings[1].p_value - 2.0 / 128.0).abs() < 1e-15, "{findings:?}");
}

#[test]
fn without_ties_bound_and_adjusted_p_value_say_the_same() {
    let mut seen = [0; 2];
    for number in 0..200 {
        let seed = Seed::new(3).nth(number);
        let metrics = ["a", "b", "c"].map(|name| usual(&normal(seed.child(name), 20, 0.05, 0.05)));
        for finding in judge(&metrics, LEVELS, &mut Nulls::default()) {
            let is_regressed = finding.verdict == Verdict::Regressed;
            assert_eq!(is_regressed, finding.p_value <= LEVELS.alpha, "{finding:?}");
            assert_eq!(
                is_regressed,
                finding.lower.is_some_and(|lower| lower > 1.02),
                "{finding:?}"
            );
            seen[usize::from(is_regressed)] += 1;
        }
    }
    assert!(seen.iter().all(|times| *times > 50), "both: {seen:?}");
}

#[test]
fn the_mirrored_change_gets_the_mirrored_verdict() {
    for number in 0..100 {
        let values = normal(Seed::new(4).nth(number), 28, 0.06, 0.05);
        let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
        let is_regressed = verdicts(&[usual(&values)], LEVELS)[0] == Verdict::Regressed;
        let is_improved = verdicts(&[usual(&mirrored)], LEVELS)[0] == Verdict::Improved;
        assert_eq!(is_regressed, is_improved, "seed {number}");
    }
}

#[test]
fn a_change_is_as_bad_as_its_worst_metric_and_improved_where_all_are_well_and_one_is_better() {
    use Verdict::{Improved, Inconclusive, Pass, Regressed};
    let of = |verdicts: &[Verdict]| {
        let finding = |verdict: &Verdict| Finding {
            verdict: *verdict,
            estimate: 1.0,
            lower: None,
            upper: None,
            p_value: 1.0,
        };
        overall(&verdicts.iter().map(finding).collect::<Vec<_>>())
    };
    assert_eq!(of(&[]), Inconclusive, "nothing was seen");
    assert_eq!(of(&[Pass, Pass]), Pass);
    assert_eq!(of(&[Pass, Improved]), Improved);
    assert_eq!(of(&[Pass, Inconclusive, Improved]), Inconclusive);
    assert_eq!(of(&[Inconclusive, Regressed, Pass]), Regressed);
}

#[test]
fn a_change_that_is_no_number_is_refused() {
    assert!(Metric::new(&[f64::INFINITY], Limits::USUAL).is_err());
}

#[test]
fn errors_are_held_to_a_difference() {
    let at = |middle: f64| {
        let values: Vec<f64> = normal(Seed::new(5), 28, middle, 0.000_3);
        Metric::new(&values, Limits::ERRORS).unwrap()
    };
    let none = Metric::new(&[0.0; 14], Limits::ERRORS).unwrap();
    let metrics = [at(0.002), none, at(-0.002), at(0.000_2)];
    let findings = judge(&metrics, LEVELS, &mut Nulls::default());
    let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Regressed,
            Verdict::Pass,
            Verdict::Improved,
            Verdict::Pass
        ]
    );
    assert!((findings[0].estimate - 0.002).abs() < 0.000_2, "{findings:?}");
    assert_eq!(findings[1].upper, Some(0.0));
}

/// Goes through the looks until the gate decides; nothing where it never does.
fn gate(metrics: &[Vec<f64>], limits: Limits, nulls: &mut Nulls) -> Option<Verdict> {
    let one = NonZeroU32::MIN;
    LOOKS.iter().find_map(|&blocks| {
        let at_look: Vec<Metric> = metrics
            .iter()
            .map(|values| Metric::new(&values[..blocks], limits).unwrap())
            .collect();
        match overall(&judge(&at_look, looks::levels(blocks, one)?, nulls)) {
            Verdict::Inconclusive => None,
            decided => Some(decided),
        }
    })
}

/// The hardest case: arms that are the same, no margin, and a tolerance so small that few gates end early by a pass, 5 % at most, so that
/// nearly all go through all looks. Half of the gates have normal noise, the others bursts.
#[test]
fn of_gates_on_the_same_code_at_most_one_in_a_hundred_blocks() {
    const GATES: u64 = 2_000;
    let limits = Limits::ratio(0.0, 1e-9).unwrap();
    let mut nulls = Nulls::default();
    let blocked = (0..GATES).filter(|&number| {
        let seed = Seed::new(2026).nth(number);
        let values = if number % 2 == 0 {
            normal(seed, 90, 0.0, 0.05)
        } else {
            bursts(seed, 90, 0.05)
        };
        gate(&[values], limits, &mut nulls) == Some(Verdict::Regressed)
    });
    let blocked = blocked.count() as f64;
    let share = blocked / GATES as f64;
    assert!(share <= 0.012, "{blocked} of {GATES}");
    assert!(blocked > 0.0, "a gate that can't block keeps any level");
}

#[test]
fn of_looks_at_eight_metrics_as_few_block() {
    const LOOKED: u64 = 600;
    let limits = Limits::ratio(0.0, 0.05).unwrap();
    let mut nulls = Nulls::default();
    let blocked = (0..LOOKED).filter(|&number| {
        let of = |name| Metric::new(&normal(Seed::new(number).child(name), 14, 0.0, 0.05), limits).unwrap();
        let metrics = ["a", "b", "c", "d", "e", "f", "g", "h"].map(of);
        overall(&judge(&metrics, LEVELS, &mut nulls)) == Verdict::Regressed
    });
    let blocked = blocked.count();
    // Six are to be expected, and chance makes more than 15 in fewer than one of a thousand studies; without Holm there are about forty.
    assert!(blocked <= 15, "{blocked} of {LOOKED}");
}

#[test]
fn a_real_regression_is_found_and_no_regression_passes() {
    let mut nulls = Nulls::default();
    let mut share = |middle: f64, wanted| {
        let gates = (0..100).filter(|&number| {
            let values = normal(Seed::new(10).nth(number), 90, middle, 0.05);
            gate(&[values], Limits::USUAL, &mut nulls) == Some(wanted)
        });
        gates.count()
    };
    let found = share(1.1_f64.ln(), Verdict::Regressed);
    assert!(found >= 99, "{found} of 100 at +10 %");
    let passed = share(0.0, Verdict::Pass);
    assert!(passed >= 90, "{passed} of 100 of the same");
}
