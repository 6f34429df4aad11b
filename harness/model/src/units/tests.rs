//! What is read, what is refused and how, and that what is written is read back.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn message<T: Quantity>(text: &str) -> String {
    match T::parse(text) {
        Ok(_) => format!("{text} was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn durations_are_exact() {
    let table = [
        ("300ms", 300_000_000),
        ("50us", 50_000),
        ("50µs", 50_000),
        ("7ns", 7),
        ("1.5s", 1_500_000_000),
        ("0.1s", 100_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1d1h1m1s1ms1us1ns", 90_061_001_001_001),
        ("1.5h30m", 7_200_000_000_000),
        ("0s", 0),
        ("106751d", 9_223_286_400_000_000_000),
    ];
    for (text, nanoseconds) in table {
        assert_eq!(
            parse_duration(text),
            Ok(Duration::from_nanos(nanoseconds)),
            "{text}"
        );
    }
    assert_eq!(
        SignedDuration::parse("-50ms"),
        Ok(SignedDuration::from_nanos(-50_000_000))
    );
    assert_eq!(
        SignedDuration::parse("+1h"),
        Ok(SignedDuration::from_nanos(3_600_000_000_000))
    );
}

#[test]
fn other_quantities_are_scaled() {
    let rate = |text| Rate::parse(text).map(Rate::get);
    assert_eq!(rate("2k/s"), Ok(2000.0));
    assert_eq!(rate("1.5M/s"), Ok(1_500_000.0));
    assert_eq!(rate("6000/m"), Ok(100.0));
    assert_eq!(rate("3600/h"), Ok(1.0));
    assert_eq!(Bytes::parse("4KiB"), Ok(Bytes(4096)));
    assert_eq!(Bytes::parse("10MB"), Ok(Bytes(10_000_000)));
    assert_eq!(Bytes::parse("1.5kB"), Ok(Bytes(1500)));
    assert_eq!(Ratio::parse("5%").map(Ratio::get), Ok(0.05));
    assert_eq!(Ratio::parse("99.9%").map(Ratio::get), Ok(0.999));
    assert_eq!(Ppm::parse("-200ppm").map(Ppm::get), Ok(-200.0));
    assert_eq!(Count::parse("10k"), Ok(Count(10_000)));
    assert_eq!(Count::parse("1.5M"), Ok(Count(1_500_000)));
    assert_eq!(Scale::parse("5x").map(Scale::get), Ok(5.0));
}

#[test]
fn messages_say_what_to_write() {
    let messages = [
        message::<Duration>("5"),
        message::<Duration>("5sec"),
        message::<Duration>("5 s"),
        message::<Duration>("300MS"),
        message::<Duration>("-5ms"),
        message::<Duration>("soon"),
        message::<Duration>(""),
        message::<Duration>("1m1h"),
        message::<Duration>("1s1s"),
        message::<Duration>("0.5ns"),
        message::<Duration>("400000d"),
        message::<Duration>("1s5"),
        message::<SignedDuration>("-50"),
        message::<Rate>("2k"),
        message::<Rate>("100"),
        message::<Rate>("100/sec"),
        message::<Rate>("100ms"),
        message::<Rate>("-1/s"),
        message::<Bytes>("4"),
        message::<Bytes>("4k"),
        message::<Bytes>("4kib"),
        message::<Bytes>("0.3B"),
        message::<Ratio>("0.05"),
        message::<Ratio>("5"),
        message::<Ratio>("5 %"),
        message::<Ppm>("50"),
        message::<Count>("1.5"),
        message::<Count>("99999999999999999999"),
        message::<Scale>("5"),
    ];
    expect_test::expect![[r#"
        `5` has no unit: write 5s or 5ms
        `sec` is no unit of a duration: write 5s
        ` s` is no unit of a duration: write 5s
        `MS` is no unit of a duration: write 300ms
        a duration cannot be negative: `-5ms`
        `soon` is not a duration: write 300ms, 5s or 1h30m
        `` is not a duration: write 300ms, 5s or 1h30m
        `1m1h`: units go from the longest to the shortest, each once, such as 1h30m
        `1s1s`: units go from the longest to the shortest, each once, such as 1h30m
        `0.5ns` is no whole number of nanoseconds
        `400000d` is too large: at most 106751d
        `5` has no unit: write 5s or 5ms
        `-50` has no unit: write -50s or -50ms
        `2k` has no unit: write 2k/s
        `100` has no unit: write 100/s
        `/sec` is no unit of a rate: write 100/s
        `ms` is no unit of a rate: write 100/s
        a rate cannot be negative: `-1/s`
        `4` has no unit: write 4B or 4KiB
        `k` is no unit of a size: write 4KiB
        `kib` is no unit of a size: write 4KiB
        `0.3B` is no whole number of bytes
        `0.05` has no unit: write 5%
        `5` has no unit: write 5%
        ` %` is no unit of a ratio: write 5%
        `50` has no unit: write 50ppm
        `1.5` is not a count: write 500, 10k or 2M
        `99999999999999999999` is too large: at most 18446744073709551615
        `5` has no unit: write 5x"#]]
    .assert_eq(&messages.join("\n"));
}

#[test]
fn people_read_three_digits() {
    let shown = [
        human::nanoseconds(0.0),
        human::nanoseconds(850.0),
        human::nanoseconds(999.6),
        human::nanoseconds(4_134_000.0),
        human::nanoseconds(-4_134_000.0),
        human::nanoseconds(999_600_000.0),
        human::duration(Duration::from_secs(12)),
        human::duration(Duration::from_secs(125)),
        human::duration(Duration::from_mins(90)),
        human::microseconds(180.0),
        human::rate(12_345.0),
        human::rate(999.0),
        human::rate(999_999.0),
        human::number(0.5),
        human::count(9_999),
        human::count(4_096_000),
        human::bytes(512),
        human::bytes(1_258_291),
        human::bytes(1_048_575),
        human::ratio(0.0),
        human::ratio(0.00001),
        human::ratio(0.0013),
        human::ratio(0.9996),
        human::ratio(0.999_999),
        human::ratio(1.0),
    ];
    expect_test::expect![[r#"
        0 ns
        850 ns
        1.00 us
        4.13 ms
        -4.13 ms
        1.00 s
        12.0 s
        2m 05s
        1h 30m
        180 us
        12.3k/s
        999/s
        1.00M/s
        0.50
        9999
        4.10M
        512 B
        1.20 MiB
        1.00 MiB
        0 %
        <0.01 %
        0.13 %
        99.96 %
        >99.99 %
        100 %"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn of_many_names_the_first_are_told_and_how_many_more_there_are() {
    assert_eq!(
        [2, 3, 4].map(|most| human::some_of(&["a", "b", "c"], most)),
        ["a, b and 1 more", "a, b, c", "a, b, c"]
    );
    assert_eq!(human::some_of(&[""; 0], 3), "");
}

proptest! {
    #[test]
    fn a_duration_that_is_written_is_read_back(nanoseconds in 0..=i64::MAX as u64) {
        let duration = Duration::from_nanos(nanoseconds);
        prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
    }

    #[test]
    fn sizes_rates_and_ratios_that_are_written_are_read_back(value in any::<u32>(), share in 0_u32..=10_000) {
        prop_assert_eq!(Bytes::parse(&Bytes(u64::from(value)).to_string()), Ok(Bytes(u64::from(value))));
        let rate = Rate::per_second(f64::from(value) / 8.0);
        prop_assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        let ratio = Ratio::parse(&format!("{}%", f64::from(share) / 100.0)).unwrap();
        prop_assert_eq!(Ratio::parse(&ratio.to_string()), Ok(ratio));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}|[0-9.kMGTiBsmhdun/%x-]{0,12}") {
        let _ = (parse_duration(&text), SignedDuration::parse(&text), Rate::parse(&text), Bytes::parse(&text));
        let _ = (Ratio::parse(&text), Ppm::parse(&text), Count::parse(&text), Scale::parse(&text));
    }
}
