//! What a run's folder can be turned into: a table, and one record with other runs.

use squall_model::event::EventKind;
use squall_model::record::{How, Verdict};
use squall_model::series::SeriesRow;

use crate::metrics::strictly_read;
use crate::support::{Ended, Stage};

/// Runs the smallest scenario into a place of its own below the stage's folder.
fn small_run(stage: &Stage, place: &str, more: &[&str]) -> Ended {
    let out = stage.path(place);
    let out = out.to_str().expect("a path in UTF-8");
    let mut args = vec!["run", "canary-no-data", "--quick", "--out", out];
    args.extend(more);
    let mut ended = stage.squall(&args);
    ended.reports = stage.path(place);
    ended
}

#[test]
fn a_run_as_a_table_holds_every_row_of_its_series() {
    let stage = Stage::alone();
    let ended = small_run(&stage, "one", &[]);
    let folder = ended.folder();
    let report = ["report".as_ref(), folder.as_os_str(), "--csv".as_ref()];
    let printed = stage.squall(&[&report[..], &["-".as_ref()]].concat());
    assert_eq!(printed.assert_code(0).stderr, "");
    let file = stage.path("series.csv");
    let written = stage.squall(&[&report[..], &[file.as_os_str()]].concat());
    assert_eq!(written.assert_code(0).stdout, "");
    assert_eq!(std::fs::read_to_string(&file).expect("written"), printed.stdout);

    let mut table = csv::Reader::from_reader(printed.stdout.as_bytes());
    let header = table.headers().expect("a header").clone();
    let column = |name: &str| header.iter().position(|known| known == name).expect("a column");
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.expect("a whole row")).collect();
    let series = ended.series();
    assert_eq!(rows.len(), series.len());
    for (row, of) in rows.iter().zip(&series) {
        let number = |name: &str| row[column(name)].parse::<u64>().ok();
        match of {
            SeriesRow::Load(of) => {
                assert_eq!((&row[0], &row[1]), ("load", of.load.as_str()));
                assert_eq!(
                    (number("start_us"), number("completed")),
                    (Some(of.start_us), Some(of.completed))
                );
                assert_eq!(number("response_max_us"), of.response.max);
                assert_eq!(&row[column("cpu_us")], "");
            }
            SeriesRow::Service(of) => {
                assert_eq!((&row[0], &row[1]), ("service", of.service.as_str()));
                assert_eq!((number("rss_bytes"), number("cpu_us")), (of.rss, of.cpu_us));
                assert_eq!(&row[column("completed")], "");
            }
        }
    }
    assert!(
        rows.iter().any(|row| &row[column("phase")] == "sparse"),
        "{rows:?}"
    );
}

/// What takes a run in: numbers by the reference parser where it can be had, a picture by its name.
#[test]
fn a_run_is_written_as_numbers_over_time_and_as_pictures() {
    let stage = Stage::alone();
    let ended = small_run(&stage, "one", &[]);
    let folder = ended.folder();
    let report = |args: &[&str]| {
        let args = args.iter().map(std::ffi::OsStr::new);
        let all: Vec<&std::ffi::OsStr> = ["report".as_ref(), folder.as_os_str()]
            .into_iter()
            .chain(args)
            .collect();
        stage.squall(&all)
    };
    let printed = report(&["--openmetrics", "-"]);
    assert_eq!(printed.assert_code(0).stderr, "");
    let told = strictly_read(&printed.stdout);
    assert!(
        told.is_none_or(|(families, samples)| families >= 12 && samples > 50),
        "{told:?}"
    );

    let svg = report(&["--chart", "latency", "--svg", "-"]);
    assert!(svg.assert_code(0).stdout.starts_with("<svg xmlns="), "{svg}");
    let unknown = report(&["--chart", "latencies", "--svg", "-"]);
    unknown.assert_code(2);
    assert!(
        unknown.stderr.contains("no chart called `latencies`") && unknown.stderr.contains("\n  latency-0 "),
        "{unknown}"
    );
    report(&["--chart", "latency"]).assert_code(2);
    report(&["--chart", "latency", "--csv", "-"]).assert_code(2);
    report(&["--csv", "-", "--openmetrics", "-"]).assert_code(2);

    let file = stage.path("latency.png");
    let png = report(&[
        "--chart",
        "latency",
        "--png",
        file.to_str().expect("a path in UTF-8"),
    ]);
    if cfg!(feature = "png") {
        png.assert_code(0);
        assert!(std::fs::read(&file).expect("written").starts_with(b"\x89PNG"));
    } else {
        png.assert_code(1);
        assert!(png.stderr.contains("`--features png`") && !file.exists(), "{png}");
    }
}

#[test]
fn runs_merge_into_one_that_has_all_their_requests_and_a_report() {
    let stage = Stage::alone();
    let runs = [
        small_run(&stage, "a", &[]),
        small_run(&stage, "b", &["--seed", "8"]),
    ];
    let records = [runs[0].record(), runs[1].record()];
    let folders = [runs[0].folder(), runs[1].folder()];
    let out = stage.path("merged/all");
    let merge = |how: &str, out: &std::path::Path| {
        let args = [
            "merge".as_ref(),
            folders[0].as_os_str(),
            folders[1].as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ];
        stage.squall(&[&args[..], &["--as".as_ref(), how.as_ref()]].concat())
    };
    let ended = merge("repeats", &out);
    assert!(
        ended.assert_code(0).stdout.contains("Merged from 2 runs"),
        "{ended}"
    );
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let merged: squall_model::record::RunRecord = serde_json::from_str(&read("run.json")).expect("a record");
    let from = merged.merged.as_ref().expect("it says what it is");
    assert_eq!((from.how, from.runs.len(), from.repeats), (How::Repeats, 2, 2));
    assert!(
        from.differ.iter().any(|text| text.contains("seed: 7")),
        "{:?}",
        from.differ
    );
    let of = |record: &squall_model::record::RunRecord| record.phases[0].load["single"].clone();
    let (a, b, all) = (of(&records[0]), of(&records[1]), of(&merged));
    assert_eq!(all.completed, a.completed + b.completed);
    assert_eq!(all.response.count, a.response.count + b.response.count);
    assert_eq!(all.response.max, a.response.max.max(b.response.max));
    assert_eq!(all.target_rate, a.target_rate);
    assert_eq!(merged.verdict, Verdict::Invalid, "as both are");
    let completed = |text: &str| -> u64 {
        let rows = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a row"));
        rows.map(|row| match row {
            SeriesRow::Load(row) => row.completed,
            SeriesRow::Service(_) => 0,
        })
        .sum()
    };
    assert_eq!(
        completed(&read("series.ndjson")),
        completed(&runs[0].file("series.ndjson")) + completed(&runs[1].file("series.ndjson"))
    );
    let in_log = |text: &str| -> u64 {
        let log = squall_model::hlog::parse(text);
        assert_eq!(log.skipped, 0);
        log.intervals
            .iter()
            .map(|one| one.histogram().expect("whole").len())
            .sum()
    };
    assert_eq!(
        in_log(&read("single.hlog")),
        in_log(&runs[0].file("single.hlog")) + in_log(&runs[1].file("single.hlog"))
    );

    // A folder like any other: the report is made again, also from the events alone.
    let page = read("report.html");
    assert!(page.contains("Merged from 2 runs"));
    let report = ["report".as_ref(), out.as_os_str()];
    stage.squall(&report).assert_code(0);
    assert_eq!(read("report.html"), page);
    let events: Vec<squall_model::event::Event> = read("events.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    assert!(matches!(events[0].kind, EventKind::RunStarted(_)));
    assert_eq!(squall_model::replay::record(&events).expect("whole"), merged);

    // Nothing is written over, and what can't be merged is said.
    let again = merge("repeats", &out);
    assert!(
        again.assert_code(2).stderr.contains("is there already"),
        "{again}"
    );
    let apart = merge("shares", &stage.path("shares"));
    assert!(
        apart.assert_code(2).stderr.contains("had ended before"),
        "{apart}"
    );
    assert!(!stage.path("shares").exists());
}

#[test]
fn a_killed_run_is_not_merged() {
    let stage = Stage::alone();
    let ended = small_run(&stage, "a", &[]);
    let folder = ended.folder();
    std::fs::remove_file(folder.join("run.json")).expect("it was there");
    let out = stage.path("merged");
    let args = [
        "merge".as_ref(),
        folder.as_os_str(),
        folder.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    let merged = stage.squall(&args);
    assert!(
        merged.assert_code(1).stderr.contains("has no run.json"),
        "{merged}"
    );
    assert!(!out.exists());
}

#[test]
fn a_report_says_what_changed_since_the_last_run_that_could_be_judged() {
    let stage = Stage::alone();
    let ended = small_run(&stage, "one", &[]);
    let folder = ended.folder();
    let said = || {
        let report = ["report".as_ref(), folder.as_os_str()];
        stage.squall(&report).assert_code(0);
        let page = std::fs::read_to_string(folder.join("report.html")).expect("a report");
        page.contains("Since the last valid run")
    };
    assert!(!said(), "there is no other");
    let record = serde_json::to_value(ended.record()).expect("JSON");
    let beside = folder.with_file_name("20200101T000000.000Z-none");
    std::fs::create_dir(&beside).expect("a folder");
    // An earlier run beside it, in turn one that is nothing to be held against, and one that is.
    let merged = serde_json::json!({ "how": "repeats", "repeats": 2, "runs": [], "differ": [] });
    let table = [
        ("verdict", "invalid".into(), false),
        ("schema", 99.into(), false),
        ("started_at", "2999-01-01T00:00:00.000Z".into(), false),
        ("merged", merged, false),
        ("source", "another: 1".into(), false),
        (
            "machine",
            serde_json::json!({ "cores": 1, "memory": 1, "os": "", "cpu": "" }),
            false,
        ),
        ("scenario", "another".into(), false),
        ("revision", "0000000".into(), true),
    ];
    for (field, value, is_said) in table {
        let mut earlier = record.clone();
        earlier["verdict"] = "pass".into();
        earlier["started_at"] = "2020-01-01T00:00:00.000Z".into();
        earlier[field] = value;
        std::fs::write(beside.join("run.json"), earlier.to_string()).expect("written");
        assert_eq!(said(), is_said, "{field}");
    }
}
