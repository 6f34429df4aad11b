//! Against printed tables, what `SciPy` says, examples of the books, and every way to set the signs.

#![expect(
    clippy::float_cmp,
    reason = "chances are whole numbers over a power of two, and must come out to the last bit"
)]
#![expect(clippy::approx_constant, reason = "one patient's 3.14 is not pi")]

use squall_model::seed::{Seed, unit};

use super::*;

/// The largest sum of ranks that is significant, two-sided, at 5, 2 and 1 %, as books print it after `McCornack`, "Extended tables of the
/// Wilcoxon matched pair signed rank statistic", Journal of the American Statistical Association 60 (1965), from 5 pairs on.
/// Wilcoxon's own table (1945, to 16 pairs) and some after it give the nearest sum, which may exceed the level.
const TABLE: [[Option<usize>; 3]; 26] = [
    [None, None, None],
    [Some(0), None, None],
    [Some(2), Some(0), None],
    [Some(3), Some(1), Some(0)],
    [Some(5), Some(3), Some(1)],
    [Some(8), Some(5), Some(3)],
    [Some(10), Some(7), Some(5)],
    [Some(13), Some(9), Some(7)],
    [Some(17), Some(12), Some(9)],
    [Some(21), Some(15), Some(12)],
    [Some(25), Some(19), Some(15)],
    [Some(29), Some(23), Some(19)],
    [Some(34), Some(27), Some(23)],
    [Some(40), Some(32), Some(27)],
    [Some(46), Some(37), Some(32)],
    [Some(52), Some(43), Some(37)],
    [Some(58), Some(49), Some(42)],
    [Some(65), Some(55), Some(48)],
    [Some(73), Some(62), Some(54)],
    [Some(81), Some(69), Some(61)],
    [Some(89), Some(76), Some(68)],
    [Some(98), Some(84), Some(75)],
    [Some(107), Some(92), Some(83)],
    [Some(116), Some(101), Some(91)],
    [Some(126), Some(110), Some(100)],
    [Some(137), Some(120), Some(109)],
];

/// `SciPy` 1.17.1, `wilcoxon(x, method="exact", alternative=..)`, where x holds k for each k from 1 to n with (7 k^2 + k) mod 11 < 6, and -k
/// for every other: n, the p-value of "greater" and that of "less". Above 50 pairs too, exactly.
const SCIPY: [(usize, f64, f64); 8] = [
    (14, 0.427_612_304_687_5, 0.596_130_371_093_75),
    (20, 0.204_548_835_754_394_53, 0.805_811_882_019_043),
    (28, 0.275_936_983_525_753, 0.731_545_567_512_512_2),
    (40, 0.362_277_247_094_425_55, 0.642_701_277_506_603_2),
    (50, 0.245_163_124_231_937_42, 0.757_848_384_044_847_6),
    (56, 0.281_266_414_852_490_6, 0.721_464_403_240_269_3),
    (72, 0.218_009_144_002_379_92, 0.783_636_140_097_265),
    (90, 0.292_958_701_164_555_36, 0.708_418_801_895_145),
];

/// The same with ties and zeros, over all ways to set the signs: `wilcoxon(x, zero_method="pratt",
/// method=PermutationMethod(n_resamples=10**6), alternative=..)`: the differences, "greater", "less" and "two-sided".
const SCIPY_TIED: [(&[f64], [f64; 3]); 4] = [
    (
        &[1.0, 1.0, 2.0, -2.0, 3.0, -1.0, 4.0, 4.0],
        [0.066_406_25, 0.957_031_25, 0.132_812_5],
    ),
    (
        &[0.0, 0.0, 1.0, -2.0, 3.0, 3.0, 5.0, -1.0, 6.0],
        [0.078_125, 0.937_5, 0.156_25],
    ),
    (
        &[0.0, -1.0, -1.0, -2.0, -2.0, 3.0, -4.0, -5.0, -5.0, 0.0, 2.0],
        [0.947_265_625, 0.066_406_25, 0.132_812_5],
    ),
    (&[2.0; 6], [0.015_625, 1.0, 0.031_25]),
];

fn p_value(values: &[f64], alternative: Alternative) -> f64 {
    let sample = Sample::new(values).unwrap();
    sample.p_value(0.0, alternative, &mut Nulls::default())
}

fn draws(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = Seed::new(seed).child("differences").rng();
    (0..count).map(|_| unit(&mut rng) - 0.4).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn critical_values_are_the_published_ones() {
    let mut nulls = Nulls::default();
    for (count, row) in (5..).zip(TABLE) {
        let found = [0.05, 0.02, 0.01].map(|level| nulls.of(count).critical(level / 2.0).map(|cut| cut.sum));
        assert_eq!(found, row, "{count} pairs");
    }
}

#[test]
fn p_values_are_those_of_scipy() {
    for (count, greater, less) in SCIPY {
        let values: Vec<f64> = (1..=count)
            .map(|k| {
                if (7 * k * k + k) % 11 < 6 {
                    k as f64
                } else {
                    -(k as f64)
                }
            })
            .collect();
        let found = [Alternative::Greater, Alternative::Less].map(|way| p_value(&values, way));
        assert!(
            close(found[0], greater) && close(found[1], less),
            "{count}: {found:?}"
        );
    }
}

#[test]
fn ties_and_zeros_are_as_in_scipy() {
    for (values, wanted) in SCIPY_TIED {
        let ways = [Alternative::Greater, Alternative::Less, Alternative::TwoSided];
        assert_eq!(ways.map(|way| p_value(values, way)), wanted, "{values:?}");
    }
}

/// Hollander and Wolfe, example 3.1: a depression scale of nine patients before and after the first sessions. R says the same with
/// `wilcox.test(first, second, paired = TRUE, alternative = "greater")`: V = 40, p = 0.01953. The book's estimate is 0.46, and its interval
/// at 96.1 % goes from 0.010 to 0.786.
#[test]
fn a_worked_example_of_the_books_comes_out() {
    let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
    let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let sample = Sample::new(&differences).unwrap();
    let mut nulls = Nulls::default();
    assert_eq!(
        sample.p_value(0.0, Alternative::Greater, &mut nulls),
        10.0 / 512.0
    );
    assert!(close(sample.estimate(), 0.46), "{}", sample.estimate());
    let interval = sample.interval(0.05, &mut nulls).unwrap();
    assert!(
        close(interval.low, 0.01) && close(interval.high, 0.786),
        "{interval:?}"
    );
    assert!(close(interval.confidence, 1.0 - 20.0 / 512.0), "{interval:?}");
}

/// Every sample of 2^n, with and without ties and zeros among the sizes: a p-value of p or less comes at most in a share p of them, and
/// just in that share, since each p-value is the chance of just those samples.
#[test]
fn over_all_signs_a_p_value_is_as_rare_as_it_says() {
    let plain: Vec<f64> = (1..=10).map(f64::from).collect();
    for sizes in [
        plain.as_slice(),
        &[1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 7.0, 8.0],
        &[0.0, 0.0, 1.0, 2.0, 2.0, 5.0, 6.0],
    ] {
        let p_values: Vec<f64> = (0_u32..1 << sizes.len())
            .map(|signs| {
                let values: Vec<f64> = sizes
                    .iter()
                    .enumerate()
                    .map(|(at, size)| if signs >> at & 1 == 1 { *size } else { -size })
                    .collect();
                p_value(&values, Alternative::Greater)
            })
            .collect();
        for p in &p_values {
            let as_rare = p_values.iter().filter(|other| *other <= p).count() as f64;
            assert!(close(as_rare / p_values.len() as f64, *p), "{sizes:?}: {p}");
        }
    }
}

/// The middle is 0, and every way to set nine signs is as likely: bounds lie on the wrong side of it just as often as they say.
#[test]
fn over_all_signs_a_bound_misses_as_often_as_it_says() {
    let mut nulls = Nulls::default();
    for level in [0.01, 0.05, 0.2] {
        let (mut below, mut above, mut said) = (0, 0, 0.0);
        for signs in 0_u32..512 {
            // Sums of different pairs of these differ, so that no two averages cancel to nothing.
            let values: Vec<f64> = (0..9)
                .map(|at| f64::from(1 << at) * if signs >> at & 1 == 1 { 1.0 } else { -1.0 })
                .collect();
            let sample = Sample::new(&values).unwrap();
            let lower = sample.lower(level, &mut nulls).unwrap();
            let upper = sample.upper(level, &mut nulls).unwrap();
            above += u32::from(lower.at > 0.0);
            below += u32::from(upper.at < 0.0);
            said = lower.missed;
            assert!(said <= level && upper.missed == said);
        }
        assert!(close(f64::from(above) / 512.0, said), "{level}: {above} of 512");
        assert_eq!(above, below);
    }
}

#[test]
fn mirrored_differences_swap_the_sides() {
    for (seed, count) in (0..).zip([1, 2, 5, 14, 33, 90]) {
        let values = draws(seed, count);
        let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
        let (greater, less) = (Alternative::Greater, Alternative::Less);
        assert_eq!(p_value(&values, greater), p_value(&mirrored, less));
        assert_eq!(
            p_value(&values, Alternative::TwoSided),
            p_value(&mirrored, Alternative::TwoSided)
        );
        let (sample, other) = (Sample::new(&values).unwrap(), Sample::new(&mirrored).unwrap());
        assert_eq!(sample.estimate(), -other.estimate());
        let mut nulls = Nulls::default();
        let lower = sample.lower(0.05, &mut nulls).map(|bound| bound.at);
        let upper = other.upper(0.05, &mut nulls).map(|bound| -bound.at);
        assert_eq!(lower, upper);
    }
}

#[test]
fn estimate_and_bounds_move_with_the_differences_and_p_values_do_not() {
    let mut nulls = Nulls::default();
    for count in [8, 14, 40, 90] {
        let values = draws(11, count);
        let moved: Vec<f64> = values.iter().map(|value| value + 3.0).collect();
        let (sample, moved) = (Sample::new(&values).unwrap(), Sample::new(&moved).unwrap());
        assert!(close(sample.estimate() + 3.0, moved.estimate()));
        let before = sample.interval(0.05, &mut nulls).unwrap();
        let after = moved.interval(0.05, &mut nulls).unwrap();
        assert!(close(before.low + 3.0, after.low) && close(before.high + 3.0, after.high));
        assert!(before.low <= sample.estimate() && sample.estimate() <= before.high);
        let at =
            |sample: &Sample, middle| sample.p_value(middle, Alternative::Greater, &mut Nulls::default());
        assert!(close(at(&sample, 0.05), at(&moved, 3.05)));
    }
}

#[test]
fn a_bound_lies_beyond_a_value_just_where_the_test_rejects_it() {
    let mut nulls = Nulls::default();
    let mut rejected = 0;
    for seed in 0..200 {
        let sample = Sample::new(&draws(seed, 20)).unwrap();
        let rejects = sample.p_value(0.0, Alternative::Greater, &mut nulls) <= 0.05;
        assert_eq!(
            rejects,
            sample.lower(0.05, &mut nulls).unwrap().at > 0.0,
            "seed {seed}"
        );
        rejected += u32::from(rejects);
    }
    assert!((20..180).contains(&rejected), "of both kinds: {rejected}");
}

#[test]
fn few_differences_have_an_estimate_and_no_bound() {
    let sample = Sample::new(&[1.0, 2.0, 4.0]).unwrap();
    let mut nulls = Nulls::default();
    assert_eq!(sample.estimate(), 2.25);
    assert_eq!(sample.lower(0.1, &mut nulls), None);
    assert_eq!(sample.interval(0.2, &mut nulls), None);
    assert_eq!(
        sample.lower(0.125, &mut nulls),
        Some(Bound {
            at: 1.0,
            missed: 0.125
        })
    );
    assert_eq!(sample.lower(f64::NAN, &mut nulls), None);
}

#[test]
fn the_most_differences_are_counted_without_overflow() {
    let most = vec![1.0; MOST];
    let all = p_value(&most, Alternative::Greater);
    assert_eq!(all, 0.5_f64.powi(127));
    assert_eq!(p_value(&most, Alternative::Less), 1.0);
    let distinct: Vec<f64> = (1..=MOST).map(|k| k as f64).collect();
    assert_eq!(p_value(&distinct, Alternative::Greater), 0.5_f64.powi(127));
}

#[test]
fn all_zeros_tell_nothing() {
    assert_eq!(p_value(&[0.0, 0.0, -0.0], Alternative::Greater), 1.0);
    assert_eq!(p_value(&[0.0], Alternative::TwoSided), 1.0);
}

#[test]
fn what_cannot_be_tested_is_refused() {
    assert_eq!(Sample::new(&[]), Err(SampleError::Empty));
    assert_eq!(
        Sample::new(&[1.0, f64::NAN]),
        Err(SampleError::NotFinite { at: 1 })
    );
    assert_eq!(
        Sample::new(&[f64::NEG_INFINITY]),
        Err(SampleError::NotFinite { at: 0 })
    );
    assert_eq!(
        Sample::new(&[1.0; MOST + 1]),
        Err(SampleError::TooMany { count: MOST + 1 })
    );
}
