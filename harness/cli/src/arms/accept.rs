//! Regressions that commits accept: `Squall-Accept: METRIC +8% REASON` among the trailers at a message's end.
//!
//! The metric is `p99`, `LOAD.p99` or `SCENARIO/LOAD.p99`, or the name of a micro-benchmark, which may be anything; the percentage is how much worse it may be; and nothing is accepted
//! without a reason, which the report shows. Whether anything regressed that a line accepts is the gate's to say.

use squall_model::diagnostic::{nearest, suggest};
use squall_model::gate::{AcceptedRecord, MetricKind};

use super::error::ArmsError;
use super::git::LOOK_WITHIN;
use super::repository::{Repository, short};

/// The trailer's name.
const KEY: &str = "Squall-Accept";

/// A commit accepts something in a form that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("commit {}: `{KEY}: {value}`: {why}; it reads `{KEY}: p99 +8% REASON`", short(.commit))]
pub struct AcceptError {
    /// The commit's full name.
    pub commit: String,
    /// What stands behind the trailer's name.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

/// What the commits of a branch accept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acceptances {
    /// What they accept, the newest commit's first. Nothing is used yet.
    pub accepted: Vec<AcceptedRecord>,
    /// Commits with a line that reads like a trailer and is none, as it does not stand at the message's end.
    pub misplaced: Vec<String>,
}

/// Reads what the commits from `base` to HEAD accept; with any names where it is for micro-benchmarks.
pub fn read(repository: &Repository<'_>, base: &str, of_benchmarks: bool) -> Result<Acceptances, ArmsError> {
    let format = format!("--format=%H%x00%(trailers:key={KEY},valueonly,unfold)%x00%B%x00");
    let range = format!("{base}..HEAD");
    let arguments = ["log", "--no-color", "--no-show-signature", &format, &range, "--"];
    let answer = repository.git.must(
        "reading the commit messages of",
        &repository.root,
        &arguments,
        LOOK_WITHIN,
    )?;
    Ok(parse(&String::from_utf8_lossy(&answer.bytes), of_benchmarks)?)
}

/// Parses a log: of each commit its name, the values of the trailers on lines of their own, and the message, each ended by NUL.
fn parse(log: &str, of_benchmarks: bool) -> Result<Acceptances, AcceptError> {
    let fields: Vec<&str> = log.split('\0').collect();
    let mut found = Acceptances::default();
    for commit in fields.chunks_exact(3) {
        let [name, values, message] = [commit[0].trim(), commit[1], commit[2]];
        let values: Vec<&str> = values
            .lines()
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect();
        if values.is_empty() && message.lines().any(is_trailer) {
            found.misplaced.push(name.to_owned());
        }
        for value in values {
            let record = one(name, value, of_benchmarks).map_err(|why| AcceptError {
                commit: name.to_owned(),
                value: value.to_owned(),
                why,
            })?;
            found.accepted.push(record);
        }
    }
    Ok(found)
}

/// Whether a line of a message begins as the trailer does.
fn is_trailer(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(key, _)| key.eq_ignore_ascii_case(KEY))
}

/// Parses `METRIC +8% REASON`, or says what is wrong.
fn one(commit: &str, value: &str, of_benchmarks: bool) -> Result<AcceptedRecord, String> {
    let (metric, by, reason) = parts(value);
    if !of_benchmarks {
        check_metric(metric)?;
    }
    let by = share(by)?;
    if reason.is_empty() {
        return Err("the reason is missing".to_owned());
    }
    Ok(AcceptedRecord {
        metric: metric.to_owned(),
        by,
        reason: reason.to_owned(),
        commit: commit.to_owned(),
        used: false,
    })
}

/// Metric, percentage and reason. The metric ends where the first percentage stands, since the name of a benchmark may have blanks; where
/// there is none, at the first blank.
fn parts(value: &str) -> (&str, &str, &str) {
    let mut blanks = value.match_indices(char::is_whitespace).map(|(at, _)| at);
    let at = |at: usize| {
        let rest = value[at..].trim_start();
        let by = rest.split(char::is_whitespace).next().unwrap_or_default();
        (value[..at].trim(), by, rest[by.len()..].trim())
    };
    let first = blanks.clone().next();
    let told = blanks.find(|blank| share(at(*blank).1).is_ok());
    told.or(first).map_or((value, "", ""), at)
}

/// The last part of a metric's name is a metric; what stands before it, if anything, is not empty. What is like none and has parts may be
/// the name of a micro-benchmark.
fn check_metric(metric: &str) -> Result<(), String> {
    let below = metric.rsplit_once('/').map_or(metric, |(_, below)| below);
    let (of, kind) = below
        .rsplit_once('.')
        .map_or((None, below), |(of, kind)| (Some(of), kind));
    let known = MetricKind::ALL.map(MetricKind::as_str);
    if !known.contains(&kind) {
        // The name of a metric begins with a letter; the last part of a benchmark's is often a size.
        let is_slip = nearest(kind, known).is_some() && kind.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_slip && metric.contains('/') && !metric.starts_with('/') {
            return Ok(());
        }
        let help = suggest(kind, known).map_or_else(String::new, |help| format!(" ({help})"));
        return Err(format!("there is no metric `{kind}`{help}"));
    }
    if metric.starts_with('/') || of == Some("") {
        return Err(format!("`{metric}` names nothing before its last part"));
    }
    Ok(())
}

/// `+8%` as 0.08.
fn share(text: &str) -> Result<f64, String> {
    let digits = text.strip_prefix('+').and_then(|text| text.strip_suffix('%'));
    let is_number = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: Option<f64> = digits.filter(is_number).and_then(|digits| digits.parse().ok());
    percent
        .filter(|percent| *percent > 0.0)
        .map(|percent| percent / 100.0)
        .ok_or_else(|| {
            format!(
                "`{text}` is not how much worse it may be, such as `+8%` (of throughput too, more is worse)"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "1234567890abcdef1234567890abcdef12345678";

    fn check(value: &str) -> Result<(String, f64, String), String> {
        let log = format!("{COMMIT}\0{value}\n\0subject\n\n{KEY}: {value}\n\0\n");
        let found = parse(&log, false).map_err(|e| e.to_string())?;
        let [one] = found.accepted.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((one.commit.as_str(), one.used), (COMMIT, false));
        Ok((one.metric.clone(), one.by, one.reason.clone()))
    }

    #[test]
    fn a_metric_a_percentage_and_a_reason_are_read() {
        let table = [
            (
                "p99 +8% checks signatures now",
                "p99",
                0.08,
                "checks signatures now",
            ),
            ("refresh.p999 +12.5% x", "refresh.p999", 0.125, "x"),
            (
                "id-generator/refresh.cpu  +100%  two  blanks",
                "id-generator/refresh.cpu",
                1.0,
                "two  blanks",
            ),
            ("a.b.recovery\t+0.5%\ttabs", "a.b.recovery", 0.005, "tabs"),
            (
                "throughput +3% more is worse here too",
                "throughput",
                0.03,
                "more is worse here too",
            ),
        ];
        for (value, metric, by, reason) in table {
            let (read, share, why) = check(value).unwrap_or_else(|e| panic!("{value}: {e}"));
            assert_eq!((read.as_str(), why.as_str()), (metric, reason), "{value}");
            assert!((share - by).abs() < 1e-12, "{value}: {share}");
        }
    }

    #[test]
    fn a_malformed_line_names_the_commit_and_what_is_wrong() {
        let table = [
            ("p99", "not how much worse"),
            ("p99 +8%", "the reason is missing"),
            ("p99 8% reason", "`8%` is not how much worse"),
            ("p99 -8% reason", "`-8%` is not"),
            ("p99 +8 reason", "`+8` is not"),
            ("p99 +0% reason", "`+0%` is not"),
            ("p99 +inf% reason", "`+inf%` is not"),
            ("p99 +1e9% reason", "`+1e9%` is not"),
            ("p99 +% reason", "`+%` is not"),
            ("p9 +8% reason", "there is no metric `p9` (did you mean `p99`?)"),
            (".p99 +8% reason", "names nothing"),
            ("/x.p99 +8% reason", "names nothing"),
            ("s/.p99 +8% reason", "names nothing"),
        ];
        for (value, why) in table {
            let error = check(value).expect_err(value);
            assert!(error.contains(why), "{value}: {error}");
            assert!(
                error.starts_with("commit 1234567890: `Squall-Accept: "),
                "{error}"
            );
        }
    }

    #[test]
    fn several_commits_and_several_trailers_are_read_and_a_misplaced_one_is_told() {
        let log = "aa\0p99 +8% one\np50 +2% two\n\0message\n\0\nbb\0\0squall-accept: p99 +8% in the middle\n\nend\n\0\ncc\0\0x\n\0\n";
        let found = parse(log, false).expect("well formed");
        let metrics: Vec<_> = found.accepted.iter().map(|one| one.metric.as_str()).collect();
        assert_eq!(metrics, ["p99", "p50"]);
        assert_eq!(found.misplaced, ["bb"]);
        assert_eq!(parse("", false).expect("nothing"), Acceptances::default());
    }

    #[test]
    fn a_benchmark_is_named_by_whatever_it_is_called() {
        let of = |value: &str, of_benchmarks| {
            let log = format!("{COMMIT}\0{value}\n\0subject\n\0\n");
            let found = parse(&log, of_benchmarks)?;
            let one = found.accepted.into_iter().next().expect("one");
            Ok::<_, AcceptError>((one.metric, one.reason))
        };
        let table = [
            ("sort 10k +8% a stable sort", "sort 10k"),
            ("checksum/bytes/64 +8% +3% would do", "checksum/bytes/64"),
            ("words +8% lower case", "words"),
            ("time +8% all of them", "time"),
        ];
        for (value, name) in table {
            let (metric, reason) = of(value, true).expect(value);
            assert_eq!(metric, name);
            assert!(!reason.is_empty());
        }
        // In a gate of a scenario of the same branch they are left alone, unless they may be a slip of the pen.
        for name in ["checksum/bytes/64", "parse/small", "sort 10k.time"] {
            assert!(of(&format!("{name} +8% x"), false).is_ok(), "{name}");
        }
        assert!(of("words +8% x", false).is_err());
        assert!(of("shop/buy.p9 +8% x", false).is_err());
    }
}
