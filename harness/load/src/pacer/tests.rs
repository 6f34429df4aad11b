//! What holds for every process.

use proptest::prelude::*;

use super::*;

/// One of each, at about `rate_per_s` over `length`, with every kind of spread.
fn one_of_each(rate_per_s: f64, length: Duration) -> Vec<PacerKind> {
    let mut all = vec![
        PacerKind::Even,
        PacerKind::Poisson,
        PacerKind::Burst(Burst {
            size: rate_per_s / 20.0,
            every: Duration::from_millis(50),
        }),
        PacerKind::Trace(Trace::parse("0\n0.002\n0.002\n0.01\n0.05").unwrap()),
        PacerKind::Trace(
            Trace::parse("0\n0.002\n0.01\n0.01\n0.05")
                .unwrap()
                .repeating()
                .unwrap(),
        ),
    ];
    for spread in [Spread::Even, Spread::Poisson] {
        all.extend([
            PacerKind::Ramp(Ramp {
                from_per_s: rate_per_s * 1.7,
                to_per_s: rate_per_s * 0.3,
                over: length.mul_f64(0.8),
                spread,
            }),
            PacerKind::Step(Step {
                from_per_s: 0.0,
                to_per_s: rate_per_s * 2.0,
                stairs: 5,
                every: length / 5,
                spread,
            }),
            PacerKind::Sine(Sine {
                mean_per_s: rate_per_s,
                amplitude_per_s: rate_per_s,
                period: length / 3,
                spread,
            }),
        ]);
    }
    all
}

/// Every arrival before `length`.
fn arrivals(kind: &PacerKind, rate_per_s: f64, seed: u64, length: Duration) -> Vec<u64> {
    let mut pacer = build(kind, rate_per_s, Seed::new(seed)).unwrap();
    std::iter::from_fn(|| pacer.next_arrival_ns())
        .take_while(|ns| u128::from(*ns) < length.as_nanos())
        .collect()
}

#[test]
fn rates_that_cannot_be_paced_are_refused() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, RATE_PER_S_MAX * 1.01] {
        assert!(build(&PacerKind::Even, rate, Seed::new(1)).is_err(), "{rate}");
    }
    assert!(build(&PacerKind::Poisson, RATE_PER_S_MAX, Seed::new(1)).is_ok());
    // The highest on the way counts.
    for kind in one_of_each(RATE_PER_S_MAX, Duration::from_secs(1))
        .into_iter()
        .skip(5)
    {
        assert!(build(&kind, 1.0, Seed::new(1)).is_err(), "{kind}");
    }
}

#[test]
fn parts_for_any_number_of_threads_make_up_the_same_list() {
    let length = Duration::from_secs(1);
    for kind in one_of_each(1_000.0, length) {
        let whole = arrivals(&kind, 1_000.0, 7, length);
        assert!(whole.len() >= 5, "{kind}");
        for ways in [1, 2, 3, 7] {
            let mut joined = Vec::new();
            for at in 0..ways {
                let mut share = Share::new(build(&kind, 1_000.0, Seed::new(7)).unwrap(), at, ways);
                joined.extend(
                    std::iter::from_fn(|| share.next())
                        .take_while(|(_, offset_ns)| u128::from(*offset_ns) < length.as_nanos()),
                );
            }
            joined.sort_unstable();
            let numbers: Vec<u64> = joined.iter().map(|(number, _)| *number).collect();
            assert!(
                numbers.into_iter().eq(0..whole.len() as u64),
                "{kind} with {ways} threads"
            );
            let times: Vec<u64> = joined.into_iter().map(|(_, offset_ns)| offset_ns).collect();
            assert_eq!(times, whole, "{kind} with {ways} threads");
        }
    }
}

#[test]
fn random_processes_have_the_spread_of_a_poisson_process_and_the_others_have_not() {
    // Over seeds, the variance of a Poisson process's count is its mean; four standard errors of a variance from 400 draws.
    let length = Duration::from_secs(1);
    for kind in one_of_each(200.0, length) {
        let counts: Vec<f64> = (0..400)
            .map(|seed| arrivals(&kind, 200.0, seed, length).len() as f64)
            .collect();
        let mean = counts.iter().sum::<f64>() / 400.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 400.0;
        let told = kind.count_within(200.0, length);
        if kind.is_random() {
            assert!(
                (variance / mean - 1.0).abs() < 0.3,
                "{kind}: {variance} around {mean}"
            );
            assert!(
                (mean / told - 1.0).abs() < 4.0 / (200.0_f64 * 400.0).sqrt(),
                "{kind}: {mean}, {told}"
            );
        } else {
            assert!(variance < 0.26, "{kind}: {variance} around {mean}");
        }
    }
}

/// The share of arrivals in the first and the last half of a phase, to tell that Poisson arrivals follow the curve too.
#[test]
fn a_rate_that_doubles_twice_over_sends_most_of_it_late() {
    let length = Duration::from_secs(10);
    for spread in [Spread::Even, Spread::Poisson] {
        let ramp = PacerKind::Ramp(Ramp {
            from_per_s: 0.0,
            to_per_s: 4_000.0,
            over: length,
            spread,
        });
        let times = arrivals(&ramp, 1.0, 3, length);
        let early = times.iter().filter(|ns| **ns < 5_000_000_000).count() as f64;
        // A triangle has a quarter of its area in its first half; four standard errors of a share of 20,000.
        assert!(
            (early / times.len() as f64 - 0.25).abs() < 0.0123,
            "{ramp}: {early}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arrivals_never_go_backwards_and_are_as_many_as_the_formula_says(
        rate_per_s in 1.0..5_000.0_f64,
        length_ms in 10..3_000_u64,
        seed in any::<u64>(),
    ) {
        let length = Duration::from_millis(length_ms);
        for kind in one_of_each(rate_per_s, length) {
            let times = arrivals(&kind, rate_per_s, seed, length);
            prop_assert!(times.is_sorted(), "{kind}");
            prop_assert_eq!(&times, &arrivals(&kind, rate_per_s, seed, length), "{}", kind);
            let told = kind.count_within(rate_per_s, length);
            // Six standard deviations of a Poisson count, which six in a thousand million exceed; rounding otherwise.
            let tolerance = if kind.is_random() { 6.0 * told.sqrt() + 6.0 } else { 1.0 };
            prop_assert!(
                (times.len() as f64 - told).abs() <= tolerance,
                "{}: {} arrivals, {} by the formula", kind, times.len(), told
            );
        }
    }

    #[test]
    fn no_second_has_more_arrivals_than_the_peak(
        rate_per_s in 5.0..2_000.0_f64,
        length_ms in 500..4_000_u64,
        seed in any::<u64>(),
    ) {
        let length = Duration::from_millis(length_ms);
        for kind in one_of_each(rate_per_s, length).into_iter().filter(|kind| !kind.is_random()) {
            let times = arrivals(&kind, rate_per_s, seed, length);
            let mut first = 0;
            let mut most = 0;
            for (last, ns) in times.iter().enumerate() {
                while ns - times[first] >= 1_000_000_000 {
                    first += 1;
                }
                most = most.max(last + 1 - first);
            }
            let peak = kind.peak_per_s(rate_per_s);
            // A trace that repeats may bring a second round's first.
            let slack = if matches!(kind, PacerKind::Trace(_)) { 5.0 } else { 2.0 };
            prop_assert!(most as f64 <= peak + slack, "{}: {} in a second, {}", kind, most, peak);
        }
    }

    #[test]
    fn no_text_upsets_a_trace(text in "[0-9.,a-z# \n-]{0,60}") {
        if let Ok(trace) = Trace::parse(&text) {
            let times = arrivals(&PacerKind::Trace(trace), 1.0, 1, Duration::from_secs(1));
            prop_assert!(times.is_sorted());
        }
    }
}
