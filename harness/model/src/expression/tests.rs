//! What is read, what is refused and where the error points.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::span::SourceId;

fn place(range: std::ops::Range<usize>) -> Span {
    Span::new(SourceId(0), range)
}

fn read(text: &str) -> Result<Expression, Box<Diagnostic>> {
    Ok(parse(text, &place)?)
}

/// The error with what it points at.
fn refusal(text: &str) -> String {
    let error = match read(text) {
        Ok(read) => return format!("{text}: accepted as {:?}", read.path.to_string()),
        Err(error) => error,
    };
    let at = &text[error.span.unwrap().range()];
    let help = error.help.map(|help| format!(" | {help}")).unwrap_or_default();
    format!("{text}: [{at}] {}{help}", error.message)
}

#[test]
fn the_forms_of_the_design_are_read() {
    let limit = |text: &str| {
        let comparison = read(text).unwrap().comparison.unwrap();
        let lasting = comparison
            .lasting
            .map(|lasting| format!(" for {}", duration_text(lasting.value)));
        format!(
            "{} {}{}",
            comparison.operator,
            comparison.limit.value,
            lasting.unwrap_or_default()
        )
    };
    for (text, path, expected) in [
        ("refresh.p99 < 20ms", "refresh.p99", "< 20ms"),
        ("refresh.service.p99<=1.5s", "refresh.service.p99", "<= 1.5s"),
        ("refresh.errors == 0%", "refresh.errors", "== 0%"),
        ("refresh.achieved > 99%", "refresh.achieved", "> 99%"),
        ("cut-ranking.recovery < 2s", "cut-ranking.recovery", "< 2s"),
        (
            "ids.metrics.rollback_spin_total >= 10k",
            "ids.metrics.rollback_spin_total",
            ">= 10000",
        ),
        ("refresh.errors > 50% for 5s", "refresh.errors", "> 50% for 5s"),
        ("node.metrics.lag < 100", "node.metrics.lag", "< 100"),
        (
            "edge.feed->ranking.requests_per_call < 2.5",
            "edge.feed->ranking.requests_per_call",
            "< 2.5",
        ),
        ("  a.rate != 2k/s ", "a.rate", "!= 2k/s"),
        ("a.rss_max < 64MiB", "a.rss_max", "< 64MiB"),
        ("a.offset > -5", "a.offset", "> -5"),
        ("refresh.p99 < baseline", "refresh.p99", "< baseline"),
        ("refresh.p99<baseline*1.3", "refresh.p99", "< baseline * 1.3"),
        (
            "refresh.p99 < baseline * 1.30 ",
            "refresh.p99",
            "< baseline * 1.3",
        ),
        ("refresh.p99 < baseline + 5ms", "refresh.p99", "< baseline + 5ms"),
        (
            "refresh.achieved > baseline -5%",
            "refresh.achieved",
            "> baseline - 5%",
        ),
        (
            "refresh.p99 < baseline for 5s",
            "refresh.p99",
            "< baseline for 5s",
        ),
        ("baseline.p99 < baseline * 2", "baseline.p99", "< baseline * 2"),
    ] {
        assert_eq!(read(text).unwrap().path.to_string(), path);
        assert_eq!(limit(text), expected, "{text}");
    }
    assert_eq!(read("ids.unique").unwrap().comparison, None);
    assert_eq!(
        read("edge.feed->ranking.x").unwrap().path.segments[1].value,
        "feed->ranking"
    );
}

#[test]
fn errors_point_at_the_word_that_is_wrong() {
    let refusals: Vec<String> = [
        "",
        "refresh",
        "refresh.",
        ".p99 < 1ms",
        "refresh.p99 20ms",
        "refresh.p99 = 20ms",
        "refresh.p99 =< 20ms",
        "refresh.p99 <",
        "refresh.p99 < soon",
        "refresh.p99 < 20",
        "refresh.p99 < 20msec",
        "refresh.p99 < 20ms and refresh.errors == 0%",
        "refresh.p99 < 20ms for",
        "refresh.p99 < 20ms for 5",
        "refresh.p99 < 20ms for 5s now",
        "refresh.p99 < 1.2.3",
        "refresh.rps > 2k/sec",
        "a.size < 5Mib",
        "é.p99 < 1ms",
        "a.p99 < baseline * ",
        "a.p99 < baseline +",
        "a.p99 < baseline * fast",
        "a.p99 < baseline * 130%",
        "a.p99 < baseline * 5ms",
        "a.p99 < baseline * 0",
        "a.p99 < baseline * -1",
        "a.p99 < baseline - -5ms",
        "a.p99 < baseline / 2",
        "a.p99 < 1.3 * baseline",
        "a.p99 < 1.3*baseline",
        "a.p99 < baseline.p50",
        "a.p99 < baselines",
        "a.p99 < baseline * 1.3 + 5ms",
        "a.p99 < Baseline",
    ]
    .into_iter()
    .map(refusal)
    .collect();
    expect![[r#"
        : [] expected a name, found the end | an expectation reads `METRIC OPERATOR QUANTITY`, such as `refresh.p99 < 20ms`
        refresh: [refresh] `refresh` does not say what of it is meant | write `refresh.METRIC`, such as `refresh.p99 < 20ms`
        refresh.: [.] expected a name, found the end | an expectation reads `METRIC OPERATOR QUANTITY`, such as `refresh.p99 < 20ms`
        .p99 < 1ms: [.p99] expected a name, found `.` | an expectation reads `METRIC OPERATOR QUANTITY`, such as `refresh.p99 < 20ms`
        refresh.p99 20ms: [20ms] expected an operator after `refresh.p99`, found `20ms` | operators are <, <=, >, >=, == and !=
        refresh.p99 = 20ms: [=] `=` is no operator | write `==`
        refresh.p99 =< 20ms: [=<] `=<` is no operator | write `<=`
        refresh.p99 <: [<] the limit is missing | such as `refresh.p99 < 20ms`
        refresh.p99 < soon: [soon] expected a quantity, found `soon` | such as 20ms, 1%, 2k/s, 64MiB or 10
        refresh.p99 < 20: accepted as "refresh.p99"
        refresh.p99 < 20msec: [20msec] `msec` is no unit of a duration: write 20ms
        refresh.p99 < 20ms and refresh.errors == 0%: [and refresh.errors == 0%] only `for DURATION` may follow a limit | write further expectations as items of their own
        refresh.p99 < 20ms for: [for] the duration after `for` is missing | such as `for 5s`
        refresh.p99 < 20ms for 5: [5] `5` has no unit: write 5s or 5ms
        refresh.p99 < 20ms for 5s now: [now] nothing may follow `for DURATION`
        refresh.p99 < 1.2.3: [1.2.3] `1.2.3` is no number
        refresh.rps > 2k/sec: [2k/sec] `k/sec` is no unit of a rate: write 2k/s
        a.size < 5Mib: [5Mib] `Mib` is no unit of a size: write 5MiB
        é.p99 < 1ms: [é.p99] expected a name, found `é` | an expectation reads `METRIC OPERATOR QUANTITY`, such as `refresh.p99 < 20ms`
        a.p99 < baseline * : [ ] the factor after `*` is missing | such as baseline * 1.3
        a.p99 < baseline +: [+] the quantity after `+` is missing | such as baseline + 5ms
        a.p99 < baseline * fast: [fast] expected a quantity, found `fast` | such as 20ms, 1%, 2k/s, 64MiB or 10
        a.p99 < baseline * 130%: [130%] `130%` is no factor | write 1.3
        a.p99 < baseline * 5ms: [5ms] `5ms` is no factor: that is a number above zero | write baseline + 5ms, or a factor such as 1.3
        a.p99 < baseline * 0: [0] `0` is no factor: that is a number above zero | such as baseline * 1.3
        a.p99 < baseline * -1: [-1] `-1` is no factor: that is a number above zero | such as baseline * 1.3
        a.p99 < baseline - -5ms: [-5ms] `-5ms` has a sign of its own | write baseline + 5ms or baseline - 5ms
        a.p99 < baseline / 2: [/] a stored value is not divided | write a factor, such as baseline * 0.5
        a.p99 < 1.3 * baseline: [1.3 * baseline] the factor stands behind `baseline` | write baseline * 1.3
        a.p99 < 1.3*baseline: [1.3*baseline] the factor stands behind `baseline` | write baseline * 1.3
        a.p99 < baseline.p50: [baseline.p50] `baseline.p50` is nothing that can be stored | write baseline: it is the stored value of the same metric
        a.p99 < baselines: [baselines] `baselines` is nothing that can be stored | write baseline: it is the stored value of the same metric
        a.p99 < baseline * 1.3 + 5ms: [+ 5ms] only `for DURATION` may follow a limit | write further expectations as items of their own
        a.p99 < Baseline: [Baseline] expected a quantity, found `Baseline` | such as 20ms, 1%, 2k/s, 64MiB or 10"#]].assert_eq(&refusals.join("\n"));
}

/// A table as an engine would have it.
fn resolve(path: &Path) -> Resolution {
    let candidates = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    if !["refresh", "ids"].contains(&path.root().as_str()) {
        return Resolution::Unknown {
            segment: 0,
            candidates: candidates(&["refresh", "ids"]),
        };
    }
    match path.metric()[0].as_str() {
        "service" if path.metric().len() == 1 => Resolution::Incomplete {
            candidates: candidates(&["p50", "p99"]),
        },
        "p99" => Resolution::Metric(Dimension::Duration),
        "errors" => Resolution::Metric(Dimension::Ratio),
        "failed" => Resolution::Metric(Dimension::Count),
        "unique" => Resolution::Metric(Dimension::Boolean),
        _ => Resolution::Unknown {
            segment: 1,
            candidates: candidates(&["p99", "errors", "failed", "unique"]),
        },
    }
}

#[test]
fn a_limit_must_fit_what_is_measured() {
    let check = |text: &str| {
        let mut diagnostics = Diagnostics::new();
        let dimension = read(text).unwrap().check(&resolve, &mut diagnostics);
        let found: Vec<String> = diagnostics
            .iter()
            .map(|one| {
                let at = &text[one.span.unwrap().range()];
                format!("[{at}] {} | {}", one.message, one.help.as_deref().unwrap_or("-"))
            })
            .collect();
        assert_eq!(dimension.is_none(), !found.is_empty());
        format!(
            "{text}: {}",
            dimension.map_or_else(|| found.join("; "), |ok| format!("{ok:?}"))
        )
    };
    let table: Vec<String> = [
        "refresh.p99 < 20ms",
        "refresh.p99 < 20",
        "refresh.p99 < 5%",
        "refresh.errors < 1",
        "refresh.failed < 1%",
        "refresh.failed == 0",
        "ids.unique",
        "ids.unique == 1",
        "refresh.p99",
        "refresh.service < 3ms",
        "refrsh.p99 < 20ms",
        "refresh.p98 < 20ms",
        "refresh.p99 < baseline",
        "refresh.errors < baseline * 2",
        "refresh.p99 < baseline + 5ms",
        "refresh.p99 < baseline + 5",
        "refresh.failed < baseline + 5%",
        "refresh.failed < baseline + 5",
        "ids.unique == baseline",
    ]
    .into_iter()
    .map(check)
    .collect();
    expect![[r#"
        refresh.p99 < 20ms: Duration
        refresh.p99 < 20: [20] `refresh.p99` is a duration, `20` is a number | write 20ms or 20s
        refresh.p99 < 5%: [5%] `refresh.p99` is a duration, `5%` is a ratio | write 20ms
        refresh.errors < 1: [1] `refresh.errors` is a ratio, `1` is a number | write 1%
        refresh.failed < 1%: [1%] `refresh.failed` is a count, `1%` is a ratio | write 10
        refresh.failed == 0: Count
        ids.unique: Boolean
        ids.unique == 1: [1] `ids.unique` is true or false: it is compared with nothing | write `ids.unique` alone
        refresh.p99: [refresh.p99] `refresh.p99` is a duration: it needs a limit | such as `refresh.p99 < 20ms`
        refresh.service < 3ms: [refresh.service] `refresh.service` does not say what of it is meant | one of `p50`, `p99`
        refrsh.p99 < 20ms: [refrsh] nothing here is called `refrsh` | did you mean `refresh`?
        refresh.p98 < 20ms: [p98] `refresh` has no `p98` | did you mean `p99`?
        refresh.p99 < baseline: Duration
        refresh.errors < baseline * 2: Ratio
        refresh.p99 < baseline + 5ms: Duration
        refresh.p99 < baseline + 5: [baseline + 5] `refresh.p99` is a duration, `5` is a number | write 5ms or 5s, or a factor: baseline * 1.3
        refresh.failed < baseline + 5%: [baseline + 5%] `refresh.failed` is a count, `5%` is a ratio | write 10, or a factor: baseline * 1.3
        refresh.failed < baseline + 5: Count
        ids.unique == baseline: [baseline] `ids.unique` is true or false: it is compared with nothing | write `ids.unique` alone"#]].assert_eq(&table.join("\n"));
}

#[test]
fn not_a_number_meets_no_limit() {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    for operator in [Less, LessOrEqual, Greater, GreaterOrEqual, Equal, NotEqual] {
        assert!(!operator.holds(f64::NAN, 1.0), "{operator}");
    }
    assert!(Equal.holds(0.0, 0.0) && NotEqual.holds(0.0, 1.0) && LessOrEqual.holds(1.0, 1.0));
}

#[test]
fn a_limit_is_made_of_the_stored_value_in_the_records_units() {
    let limit = |text: &str, stored: f64| read(text).unwrap().adjustment().map(|one| one.of(stored));
    assert_eq!(limit("a.p99 < baseline", 1_000.0), Some(1_000.0));
    assert_eq!(limit("a.p99 < baseline * 1.5", 1_000.0), Some(1_500.0));
    assert_eq!(limit("a.p99 < baseline + 5ms", 1_000.0), Some(6_000.0));
    assert_eq!(limit("a.errors < baseline - 25%", 0.5), Some(0.25));
    assert_eq!(limit("a.p99 < 5ms", 1_000.0), None);
}

proptest! {
    #[test]
    fn no_text_panics_and_every_error_points_into_it(text in "\\PC{0,40}|[a-z0-9.<>=! %/-]{0,30}|a.b < baseline[-+*a-z0-9. %]{0,12}") {
        if let Err(error) = read(&text) {
            let range = error.span.unwrap().range();
            prop_assert!(text.get(range).is_some());
        }
    }
}
