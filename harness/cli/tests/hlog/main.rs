//! The interval log is one that others read: `HdrHistogram` for JavaScript and for Python find in it what squall has put
//! there.
//!
//! Twice, since those readers are not on every machine. `frozen.json` is what both of them found in `frozen.hlog`, and
//! squall still writes that file byte for byte: that is checked always. Where node or python is there and its package
//! can be had, the readers are asked anew, also about the log of a run that has just been made; where not, that is said
//! on standard error. To make the frozen files again after a change of the format:
//!
//!     SQUALL_FREEZE=1 cargo test -p squall --test hlog
//!
//! The two readers differ in one thing, which is theirs: JavaScript takes the sample at rank ceil(q n), as the reference
//! implementation in Java does and squall too, Python the one at the nearest rank.

#[path = "../foreign.rs"]
mod foreign;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use squall_model::histogram::{self, HIGHEST_US, Histogram};
use squall_model::hlog::{self, Kind};

/// The package of each reader, with the version that the frozen numbers are from.
const JAVASCRIPT: &str = "hdr-histogram-js@3.0.1";
const PYTHON: &str = "hdrhistogram==0.10.8";

/// What a reader found under one tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    intervals: usize,
    starts_ms: Vec<u64>,
    ends_ms: Vec<u64>,
    count: u64,
    max: u64,
    percentiles: BTreeMap<String, u64>,
    /// The highest value of each bucket that holds something, and how many it holds.
    recorded: Vec<(u64, u64)>,
}

type ByTag = BTreeMap<String, Found>;

/// What each reader found in `frozen.hlog`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Frozen {
    javascript: ByTag,
    python: ByTag,
}

#[test]
fn what_others_have_read_is_what_squall_writes() {
    let written = sample_log();
    if std::env::var_os("SQUALL_FREEZE").is_some() {
        freeze(&written);
    }
    let frozen = fs::read_to_string(here().join("frozen.hlog")).expect("it is committed");
    assert_eq!(
        written, frozen,
        "the log is written differently now: see the head of this file"
    );
    let found = fs::read_to_string(here().join("frozen.json")).expect("it is committed");
    let found: Frozen = serde_json::from_str(&found).expect("made by this test");
    agree("hdr-histogram-js, then", &found.javascript, &written, Rank::Exact);
    agree(
        "hdrhistogram for Python, then",
        &found.python,
        &written,
        Rank::Nearest,
    );
}

#[test]
fn a_reader_that_finds_something_else_is_noticed() {
    let log = sample_log();
    let text = fs::read_to_string(here().join("frozen.json")).expect("it is committed");
    let frozen: Frozen = serde_json::from_str(&text).expect("made by this test");
    let changes: [fn(&mut Found); 5] = [
        |found| found.count += 1,
        |found| found.max /= 2,
        |found| found.starts_ms[3] += 1,
        |found| found.recorded[7].1 += 1,
        |found| *found.percentiles.get_mut("99").expect("one of six") += 20,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut found = frozen.javascript.clone();
        change(found.get_mut("service").expect("a tag"));
        let agreed = std::panic::catch_unwind(|| agree("changed", &found, &log, Rank::Exact));
        assert!(agreed.is_err(), "change {at} was not noticed");
    }
}

#[test]
fn others_read_the_log_of_a_run() {
    let readers = Reader::all();
    if readers.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Command::new(env!("CARGO_BIN_EXE_squall"));
    run.args(["run", "canary-no-data", "--quick", "--json", "--out"])
        .arg(folder.path())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let run = foreign::ended(&mut run).expect("squall runs");
    let record: serde_json::Value = serde_json::from_str(&run).expect("a record");
    let log = fs::read_to_string(folder.path().join("canary-no-data/latest/single.hlog")).expect("a log");
    for reader in readers {
        for (log, rank) in [(&log, Rank::Near), (&sample_log(), reader.rank)] {
            let found = reader.read(log).expect("it reads a log");
            agree(reader.name, &found, log, rank);
        }
        let of_run = &reader.read(&log).expect("it reads a log")["response"];
        let response = &record["phases"][0]["load"]["single"]["response"];
        assert_eq!(response["count"], of_run.count, "{}", reader.name);
        let buckets = histogram::empty();
        let bucket = |value: u64| buckets.lowest_equivalent(value);
        let max = response["max"].as_u64().expect("a number");
        assert_eq!(bucket(max), bucket(of_run.max), "{}", reader.name);
    }
}

/// A log with everything that a log may hold: both tags, an empty interval, the smallest and the highest value, the ones
/// beyond it, and enough samples for the percentiles.
fn sample_log() -> String {
    let mut log = hlog::header(1_795_377_590_534, "2026-11-22T19:59:50.534Z");
    let mut state = 7_u64;
    for second in 0..9_u64 {
        for (kind, scale) in [(Kind::Response, 3.0), (Kind::Service, 2.0)] {
            let mut samples = histogram::empty();
            if second != 4 {
                for _ in 0..1_499 {
                    // A linear congruential generator, by D. Knuth; its high bits spread over six decades.
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
                    samples.saturating_record(10_f64.powf(scale * (1.0 + uniform.powi(9))) as u64);
                }
            }
            if second == 8 {
                for value in [1, HIGHEST_US, HIGHEST_US * 2] {
                    samples.saturating_record(value);
                }
            }
            log += &hlog::line(kind, second * 1_000_000, (second + 1) * 1_000_000, &samples);
        }
    }
    log
}

/// Which sample a reader takes for a percentile.
#[derive(Clone, Copy, Debug)]
enum Rank {
    /// The one at ceil(q n), as squall does.
    Exact,
    /// The one at the nearest rank.
    Nearest,
    /// One off: where q n is whole, its binary fraction may lie above.
    Near,
}

/// Asserts that a reader found in `log` what stands in it.
#[track_caller]
fn agree(reader: &str, found: &ByTag, log: &str, rank: Rank) {
    let ours = hlog::parse(log);
    assert_eq!(
        (found.len(), ours.skipped),
        (2, 0),
        "{reader}: {:?}",
        found.keys()
    );
    for kind in [Kind::Response, Kind::Service] {
        let found = &found[kind.as_str()];
        let mut sum = histogram::empty();
        let intervals: Vec<_> = ours.intervals.iter().filter(|one| one.kind == kind).collect();
        for one in &intervals {
            sum.add(one.histogram().expect("ours")).expect("one shape");
        }
        let what = format!("{reader}, {}", kind.as_str());
        // A bucket has several values, and readers name the lowest or the highest of them.
        let bucket = |value: u64| sum.lowest_equivalent(value);
        assert_eq!(
            (found.intervals, found.count, bucket(found.max)),
            (intervals.len(), sum.len(), bucket(sum.max())),
            "{what}"
        );
        let recorded: Vec<(u64, u64)> = sum
            .iter_recorded()
            .map(|at| (at.value_iterated_to(), at.count_since_last_iteration()))
            .collect();
        assert_eq!(found.recorded, recorded, "{what}");
        let base_ms = found.starts_ms[0] - intervals[0].start_us / 1_000;
        let times = |of: fn(&hlog::Interval) -> u64| -> Vec<u64> {
            intervals.iter().map(|one| base_ms + of(one) / 1_000).collect()
        };
        assert_eq!(found.starts_ms, times(|one| one.start_us), "{what}");
        assert_eq!(found.ends_ms, times(|one| one.end_us), "{what}");
        assert_eq!(found.percentiles.len(), 6, "{what}");
        for (percent, value) in &found.percentiles {
            let percent: f64 = percent.parse().expect("a number");
            percentile_agrees(&what, &sum, percent, *value, rank);
        }
    }
}

#[track_caller]
fn percentile_agrees(what: &str, sum: &Histogram, percent: f64, value: u64, rank: Rank) {
    let place = percent / 100.0 * sum.len() as f64;
    let at = |rank: f64| {
        let mut before = 0;
        sum.iter_recorded()
            .find(|bucket| {
                before += bucket.count_since_last_iteration();
                before as f64 >= rank
            })
            .map(|bucket| bucket.value_iterated_to())
    };
    let value_is = |expected: Option<u64>| expected == Some(value);
    let agrees = match rank {
        Rank::Exact => value == sum.value_at_quantile(percent / 100.0),
        Rank::Nearest => value_is(at((place + 0.5).floor().max(1.0))),
        Rank::Near => [-1.0, 0.0, 1.0]
            .iter()
            .any(|off| value_is(at((place.ceil() + off).max(1.0)))),
    };
    assert!(
        agrees,
        "{what}: P{percent} was {value}, rank {rank:?} of {}",
        sum.len()
    );
}

/// A foreign reader that is here.
struct Reader {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    rank: Rank,
}

impl Reader {
    /// Those that this machine has or can get; each missing one is said.
    fn all() -> Vec<Reader> {
        let mut readers = Vec::new();
        for reader in [Reader::javascript(), Reader::python()] {
            match reader {
                Ok(reader) => readers.push(reader),
                Err(missing) => foreign::not_checked("a log read anew by another implementation", &missing),
            }
        }
        readers
    }

    fn javascript() -> Result<Reader, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hdr-histogram-js");
        if !folder.join("node_modules/hdr-histogram-js/package.json").exists() {
            fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
            let mut npm = Command::new("npm");
            npm.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&folder)
            .arg(JAVASCRIPT);
            foreign::ended(&mut npm)?;
        }
        foreign::ended(Command::new("node").arg("--version"))?;
        Ok(Reader {
            name: "hdr-histogram-js",
            program: "node".into(),
            arguments: vec![here().join("read.mjs"), folder],
            rank: Rank::Exact,
        })
    }

    fn python() -> Result<Reader, String> {
        let python = foreign::python("hdrhistogram", PYTHON, "hdrh.log")?;
        Ok(Reader {
            name: "hdrhistogram for Python",
            program: python,
            arguments: vec![here().join("read.py")],
            rank: Rank::Nearest,
        })
    }

    fn read(&self, log: &str) -> Result<ByTag, String> {
        let mut file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
        file.write_all(log.as_bytes()).map_err(|e| e.to_string())?;
        let told = foreign::ended(Command::new(&self.program).args(&self.arguments).arg(file.path()))?;
        serde_json::from_str(&told).map_err(|e| format!("{}: {e}", self.name))
    }
}

/// Writes the frozen files; needs both readers.
fn freeze(log: &str) {
    let read = |reader: Result<Reader, String>| {
        reader
            .and_then(|reader| reader.read(log))
            .expect("both are needed")
    };
    let frozen = Frozen {
        javascript: read(Reader::javascript()),
        python: read(Reader::python()),
    };
    let json = serde_json::to_string(&frozen).expect("only text and numbers");
    fs::write(here().join("frozen.hlog"), log).expect("written");
    fs::write(here().join("frozen.json"), json + "\n").expect("written");
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hlog")
}
