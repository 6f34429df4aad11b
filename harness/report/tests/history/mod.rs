//! Made-up histories: many runs of a scenario, of which each is as fast as a series says.

use std::collections::BTreeMap;

use serde_json::Value;
use squall_report::block::Link;
use squall_report::index::{Entry, Summary};

use crate::synthetic;

/// What a run is copied from: a record as JSON.
pub(crate) struct History {
    record: Value,
}

impl History {
    pub(crate) fn new() -> History {
        let folder = synthetic::folder(7);
        History {
            record: serde_json::from_str(&folder.run_json).expect("a record"),
        }
    }

    /// The record of the run number `n` of a scenario, begun on the n-th day, with this P99 in the baseline.
    pub(crate) fn record(&self, scenario: &str, n: usize, p99_us: u64) -> Value {
        let mut record = self.record.clone();
        record["scenario"] = scenario.into();
        record["started_at"] = started(n).into();
        record["revision"] = format!("{:07x}", 0xa0_0000 + n / 3).into();
        *p99(&mut record) = p99_us.into();
        record
    }

    /// The run as it would have been found in a folder.
    pub(crate) fn entry(&self, scenario: &str, n: usize, p99_us: u64) -> Entry {
        entry(&self.record(scenario, n, p99_us), n)
    }

    /// Runs of a scenario with these P99, a day apart.
    pub(crate) fn runs(&self, scenario: &str, p99_us: &[u64]) -> Vec<Entry> {
        let runs = p99_us.iter().enumerate();
        runs.map(|(n, p99_us)| self.entry(scenario, n, *p99_us)).collect()
    }
}

/// The P99 that the trend is of.
pub(crate) fn p99(record: &mut Value) -> &mut Value {
    let phases = record["phases"].as_array_mut().expect("phases");
    let steady = phases
        .iter_mut()
        .find(|phase| phase["name"] == "steady")
        .expect("a baseline");
    &mut steady["load"]["next_id"]["response"]["p99"]
}

fn started(n: usize) -> String {
    let (month, day) = (1 + n / 28 % 12, 1 + n % 28);
    let (year, second) = (2026 + n / 336, n % 60);
    format!("{year}-{month:02}-{day:02}T09:30:{second:02}.480Z")
}

/// A record as an entry of an index.
pub(crate) fn entry(record: &Value, n: usize) -> Entry {
    let scenario = record["scenario"].as_str().expect("a name");
    let digits: String = started(n).replace(['-', ':'], "");
    let folder = format!("reports/{scenario}/{digits}-4f1c2ab");
    let report = Link::file(format!("{scenario}/{digits}-4f1c2ab/report.html").as_bytes());
    Entry {
        argument: quoted(&folder),
        folder,
        report: Some(report),
        summary: Summary::read(record.to_string().as_bytes()).map_err(|error| error.to_string()),
    }
}

fn quoted(word: &str) -> String {
    if word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Numbers that vary by a few percent around `level`, from `seed`: the same for the same seed.
pub(crate) fn noisy(seed: u64, level: u64, n: usize) -> Vec<u64> {
    let mut rng = squall_model::seed::Seed::new(seed).rng();
    let mut draw = || squall_model::seed::unit(&mut rng) + squall_model::seed::unit(&mut rng) - 1.0;
    (0..n)
        .map(|_| (level as f64 * (1.0 + 0.08 * draw())) as u64)
        .collect()
}

/// A page's worth: a scenario that got slower and was mended, one that did not change, one with all that can be wrong, and one that
/// moved to another machine and another text.
pub(crate) fn mixed() -> Vec<Entry> {
    let history = History::new();
    let slower = [noisy(1, 4_100, 14), noisy(2, 5_900, 9), noisy(3, 4_150, 8)].concat();
    let mut entries = history.runs("feed-refresh", &slower);
    entries.extend(history.runs("id-generator-steady", &noisy(4, 690, 24)));
    let spoil: BTreeMap<usize, fn(&mut Value)> = BTreeMap::from([
        (
            3,
            (|record: &mut Value| {
                record["verdict"] = "invalid".into();
                record["reasons"] =
                    vec!["fault back-5ms was not proven: the target never read its clock"].into();
            }) as fn(&mut Value),
        ),
        (5, |record| *p99(record) = Value::Null),
        (6, |record| {
            record["verdict"] = "fail".into();
            record["reasons"] = vec!["steady: next_id.p99 < 2ms was 2.31 ms"].into();
        }),
        (7, |record| record["quick"] = true.into()),
    ]);
    for (n, p99_us) in noisy(5, 2_000, 9).into_iter().enumerate() {
        let mut record = history.record("shop-partition", n, p99_us);
        if let Some(spoil) = spoil.get(&n) {
            spoil(&mut record);
        }
        entries.push(entry(&record, n));
    }
    for (n, p99_us) in noisy(6, 9_000, 30).into_iter().enumerate() {
        let mut record = history.record("gateway-swaps", n, p99_us);
        if n >= 14 {
            record["machine"]["cores"] = 4.into();
            *p99(&mut record) = (p99_us * 2).into();
        }
        if n >= 27 {
            record["source"] = "another text".into();
        }
        entries.push(entry(&record, n));
    }
    entries.push(Entry {
        folder: "reports/shop-partition/torn".to_owned(),
        argument: "reports/shop-partition/torn".to_owned(),
        report: None,
        summary: Err("reading run.json: it has schema 99, this squall reads schema 1".to_owned()),
    });
    entries
}
