//! What is kept, what is told apart, and what is refused.

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn machine() -> Machine {
    Machine {
        cores: 2,
        memory: 25_219_407_872,
        os: "Linux 6.1.0-18-amd64".to_owned(),
        cpu: "AMD EPYC 9B14".to_owned(),
    }
}

fn key(metric: &str) -> Key {
    Key {
        scope: "steady".to_owned(),
        of: "refresh".to_owned(),
        metric: metric.to_owned(),
    }
}

fn values(p99: f64) -> Values {
    let mut values = Values::default();
    values.put(key("p99"), p99);
    values.put(key("errors"), 0.0);
    values
}

fn entry(number: u64) -> Entry {
    Entry {
        saved_at: "2026-01-15T09:31:00Z".to_owned(),
        measured_at: "2026-01-15T09:30:12.480Z".to_owned(),
        revision: "4f1c2ab".to_owned(),
        runs: vec![format!("20260115T093012480Z-{number}")],
        seeds: vec![number],
        meaning: "00000000000000aa".to_owned(),
        values: values(812.0),
    }
}

fn baseline(entries: u64) -> Baseline {
    Baseline {
        scenario: "shop".to_owned(),
        machine: machine(),
        entries: (0..entries).map(entry).collect(),
    }
}

#[test]
fn a_file_has_a_line_for_each_entry_and_reads_back_as_it_was() {
    let stored = baseline(2);
    let text = stored.text();
    expect![[r#"
        {
          "schema": 1,
          "scenario": "shop",
          "machine": {"fingerprint":"2c-24g-amd-epyc-9b14-linux-fcfa9c","cores":2,"memory":25219407872,"os":"Linux 6.1.0-18-amd64","cpu":"AMD EPYC 9B14"},
          "entries": [
            {"saved_at":"2026-01-15T09:31:00Z","measured_at":"2026-01-15T09:30:12.480Z","revision":"4f1c2ab","runs":["20260115T093012480Z-0"],"seeds":[0],"meaning":"00000000000000aa","values":{"steady":{"refresh":{"errors":0,"p99":812}}}},
            {"saved_at":"2026-01-15T09:31:00Z","measured_at":"2026-01-15T09:30:12.480Z","revision":"4f1c2ab","runs":["20260115T093012480Z-1"],"seeds":[1],"meaning":"00000000000000aa","values":{"steady":{"refresh":{"errors":0,"p99":812}}}}
          ]
        }
    "#]]
    .assert_eq(&text);
    assert_eq!(Baseline::read(&text).unwrap(), stored);
}

#[test]
fn what_is_no_baseline_says_why() {
    let text = baseline(1).text();
    let read = |text: &str| Baseline::read(text).unwrap_err().to_string();
    for (text, why) in [
        (String::new(), "it is no stored baseline"),
        ("{}".to_owned(), "missing field `schema`"),
        ("<<<<<<< HEAD\n".to_owned() + &text, "it is no stored baseline"),
        (text[..text.len() - 20].to_owned(), "it is no stored baseline"),
        (
            text.replace("\"schema\": 1", "\"schema\": 2"),
            "it has schema 2, this squall reads schema 1",
        ),
        (text.replace("\"cores\":2", "\"cores\":4"), "and describes 4c-24g"),
        (
            text.replace("\"20260115T093012480Z-0\"", ""),
            "its entry 1 names no run",
        ),
        (text.replace(":812", ":\"fast\""), "invalid type"),
        (text.replace(":812", ":1e999"), "number out of range"),
        (baseline(0).text(), "it has no entry"),
    ] {
        let found = read(&text);
        assert!(found.contains(why), "{found}: {why}");
    }
}

#[test]
fn the_oldest_entries_go_and_no_run_counts_twice() {
    let mut stored = baseline(ENTRIES_MAX as u64);
    assert_eq!(stored.add(machine(), entry(1_000)), Ok(1));
    assert_eq!(stored.entries.len(), ENTRIES_MAX);
    assert_eq!(stored.entries[0].seeds, [1]);
    assert_eq!(stored.newest().unwrap().seeds, [1_000]);
    let again = stored.add(machine(), entry(7));
    assert!(
        again.unwrap_err().to_string().contains("is stored already"),
        "run 7 is in an entry"
    );
    assert_eq!(stored.entries.len(), ENTRIES_MAX, "nothing was added");
    // The oldest is gone, and may come again.
    assert_eq!(stored.add(machine(), entry(0)), Ok(1));
}

#[test]
fn several_runs_are_their_medians_where_all_of_them_have_the_number() {
    let mut third = values(5_000.0);
    third.put(key("p999"), 9_000.0);
    let runs = [values(1_000.0), values(2_000.0), third];
    let runs: Vec<&Values> = runs.iter().collect();
    let medians = Values::medians(&runs);
    assert_eq!(medians.get(&key("p99")), Some(2_000.0));
    assert_eq!(medians.get(&key("p999")), None, "two runs have none");
    assert_eq!(Values::medians(&runs[..2]).get(&key("p99")), Some(1_500.0));
    assert!(Values::medians(&[]).is_empty());
}

#[test]
fn numbers_keep_six_digits_and_only_finite_ones_are_kept() {
    let mut all = Values::default();
    for (name, value) in [
        ("mean", 1_234.567_89),
        ("small", 0.000_123_456_78),
        ("count", 12_345_678.0),
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
        ("tiny", f64::MIN_POSITIVE / 2.0),
    ] {
        all.put(key(name), value);
    }
    assert_eq!(all.get(&key("mean")), Some(1_234.57));
    assert_eq!(all.get(&key("small")), Some(0.000_123_457));
    assert_eq!(all.get(&key("count")), Some(12_345_678.0));
    assert_eq!((all.get(&key("nan")), all.get(&key("inf"))), (None, None));
    assert_eq!(all.iter().count(), 4);
}

#[test]
fn a_kernel_update_is_the_same_machine_and_other_hardware_is_not() {
    let is = fingerprint(&machine());
    assert!(is_fingerprint(&is), "{is}");
    let with = |change: fn(&mut Machine)| {
        let mut other = machine();
        change(&mut other);
        fingerprint(&other)
    };
    assert_eq!(with(|one| one.os = "Linux 6.1.0-21-amd64".to_owned()), is);
    assert_eq!(with(|one| one.memory += 3 << 20), is);
    for other in [
        with(|one| one.cores = 4),
        with(|one| one.memory /= 2),
        with(|one| one.cpu = "AMD EPYC 9B14 ".repeat(9)),
        with(|one| one.cpu = "AMD EPYC (9B14)".to_owned()),
        with(|one| one.os = "Darwin 24".to_owned()),
    ] {
        assert_ne!(other, is);
        assert!(is_fingerprint(&other), "{other}");
    }
    assert!(
        fingerprint(&Machine {
            cpu: "Intel(R) Xeon(R) CPU @ 2.20GHz".to_owned(),
            ..machine()
        })
        .starts_with("2c-24g-intel-xeon-linux-")
    );
    for text in ["", "..", "../2c", "2c/x", "2C", ".2c", "latest"] {
        assert!(!is_fingerprint(text), "{text}");
    }
}

#[test]
fn what_a_scenario_does_is_told_from_how_it_is_written_and_what_is_expected() {
    let plain = "squall: 1\nname: s\nload: { a: { to: b, rate: 1k/s } }\n";
    let is = |text: &str| meaning(text, "");
    assert_eq!(
        is(plain),
        is(
            "# a comment\nname: s\nsquall: 1\nabout: x\nseed: 7\nload:\n  a:\n    to: b\n    rate: 1k/s\nexpect: { run: [a.b] }\n"
        )
    );
    assert_ne!(is(plain), is(&plain.replace("1k/s", "2k/s")));
    assert_ne!(is(plain), meaning(plain, "--set load.a.rate=2k/s"));
    assert_ne!(is("{"), is("["), "no YAML is compared as it is");
}

#[test]
fn only_entries_of_what_the_newest_did_are_comparable() {
    let mut stored = baseline(4);
    assert_eq!(stored.comparable().len(), 4);
    stored.entries[1].meaning = "other".to_owned();
    assert_eq!(stored.comparable().len(), 2);
    assert!(comparable(&[]).is_empty());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[\\[\\]{}\",:0-9a-z]{0,80}") {
        drop(Baseline::read(&text));
        drop(meaning(&text, ""));
        drop(fingerprint(&Machine { cpu: text.clone(), os: text, ..machine() }));
    }

    #[test]
    fn a_torn_file_is_refused_and_does_not_panic(at in 0usize..2_000, byte in any::<u8>()) {
        let text = baseline(2).text();
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        drop(Baseline::read(&String::from_utf8_lossy(&bytes[..at])));
        bytes[at] = byte;
        drop(Baseline::read(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn every_number_survives_the_file(value in any::<f64>()) {
        let mut stored = baseline(1);
        stored.entries[0].values.put(key("x"), value);
        prop_assert_eq!(Baseline::read(&stored.text()).unwrap(), stored);
    }
}
