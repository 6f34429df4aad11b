//! Against a published series, against sums that another program made, and against chance.

use super::*;

/// The annual flow of the Nile at Aswan, 1871 to 1970, in 10^8 m³ (Cobb, "The problem of the Nile: conditional solution to a
/// changepoint problem", Biometrika 65, 1978): it fell in 1899, after 28 years, with the first dam.
const NILE: [u16; 100] = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958,
    1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020,
    1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796,
    1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874,
    848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718,
    714, 740,
];

fn nile() -> Vec<f64> {
    NILE.into_iter().map(f64::from).collect()
}

fn places(values: &[f64]) -> Vec<usize> {
    change_points(values).iter().map(|change| change.at).collect()
}

/// About normal, with the deviation 1: the sum of twelve uniform numbers, less their mean.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Seed::new(seed).child("noise").rng();
    (0..n)
        .map(|_| (0..12).map(|_| unit(&mut rng)).sum::<f64>() - 6.0)
        .collect()
}

#[test]
fn the_nile_fell_after_1898() {
    assert_eq!(places(&nile()), [28]);
}

/// The numbers are those of `MongoDB`'s signal-processing-algorithms 2.1.6: the largest `t` of its energy statistics over all pairs of sides
/// of at least four values, the second of which may end early.
#[test]
fn the_distance_of_the_best_split_is_what_another_program_computes() {
    let small = [5.0, 1.0, 4.0, 2.0, 9.0, 7.0, 8.0, 3.0, 6.0, 10.0, 2.0, 5.0];
    let table = [
        (nile(), 28, 5_063.221_858_864_027),
        (nile()[28..].to_vec(), 55, 700.890_049_751_243_5),
        (nile()[..28].to_vec(), 10, 573.529_824_561_403_5),
        (small.to_vec(), 4, 11.0),
        (there_and_back(), 10, 480.0),
    ];
    for (values, at, distance) in table {
        let split = best_split(&values).unwrap();
        assert_eq!(split.at, at);
        assert!((split.distance / distance - 1.0).abs() < 1e-12, "{split:?}");
    }
}

fn there_and_back() -> Vec<f64> {
    let low = [100, 102, 99, 101, 98, 103, 100, 97, 102, 100].map(f64::from);
    let high = low.map(|value| value + 50.0);
    [
        low,
        high,
        [101, 99, 100, 102, 98, 100, 103, 97, 101, 100].map(f64::from),
    ]
    .concat()
}

#[test]
fn a_step_up_and_one_back_down_are_both_found() {
    assert_eq!(places(&there_and_back()), [10, 20]);
}

#[test]
fn an_unchanged_series_is_called_changed_in_about_one_of_a_hundred() {
    let series = 400;
    for n in [FEWEST, 30] {
        let normal = (0..series).filter(|seed| !change_points(&noise(*seed, n)).is_empty());
        // Now and then a run that is far off, as on a machine where something else ran.
        let spoilt = |seed: u64| {
            let mut values = noise(seed, n);
            values[seed as usize % n] += 30.0;
            values
        };
        let odd = (0..series).filter(|seed| !change_points(&spoilt(*seed)).is_empty());
        let counts = [normal.count(), odd.count()];
        // Four are expected of each; more than twelve would come by chance less than once in two thousand times.
        assert!(counts.iter().all(|count| *count <= 12), "{n} values: {counts:?}");
    }
}

#[test]
fn a_planted_step_is_found_where_it_was_planted() {
    let found = |n: usize, from: usize, step: f64| {
        let series = 0..100;
        let near = series.filter(|seed| {
            let mut values = noise(*seed, n);
            values[from..].iter_mut().for_each(|value| *value += step);
            places(&values).iter().any(|at| at.abs_diff(from) <= 2)
        });
        near.count()
    };
    // At least, of 100: as `change_points` of the examples prints it.
    assert!(found(30, 15, 3.0) >= 95);
    assert!(found(FEWEST, 6, 5.0) >= 85);
    assert!(
        found(30, 26, 5.0) >= 95,
        "four runs after it are enough for a large one"
    );
}

#[test]
fn few_equal_and_odd_values_have_no_change() {
    let step = |n: usize| -> Vec<f64> { (0..n).map(|at| if at < n / 2 { 1.0 } else { 100.0 }).collect() };
    assert_eq!(places(&step(FEWEST - 1)), [0; 0]);
    assert_eq!(places(&step(FEWEST)), [FEWEST / 2]);
    assert_eq!(places(&[7.0; 40]), [0; 0]);
    assert_eq!(places(&[]), [0; 0]);
    let mut broken = step(20);
    broken[3] = f64::NAN;
    assert_eq!(places(&broken), [0; 0]);
}

#[test]
fn the_same_series_has_the_same_changes_again() {
    let mut values = noise(5, 80);
    values[40..].iter_mut().for_each(|value| *value += 1.1);
    assert_eq!(change_points(&values), change_points(&values));
}
