//! Reading what a run left, whole or torn.

mod synthetic;

use std::collections::BTreeMap;

use squall_model::hlog::Kind;
use squall_model::record::Verdict;
use squall_report::{ReportError, html, recording};

#[test]
fn a_whole_folder_is_read_without_a_note() {
    let folder = synthetic::folder(7);
    let read = folder.recording();
    assert_eq!(read.reading_notes, [""; 0]);
    assert_eq!(read.interruption(), None);
    assert!(read.approximate.is_empty() && !read.is_remade);
    assert_eq!(read.loads(), ["next_id"]);
    assert_eq!(
        read.record
            .phases
            .iter()
            .map(|phase| phase.load["next_id"].completed)
            .sum::<u64>(),
        120_000
    );
}

#[test]
fn the_record_comes_from_the_events_where_run_json_is_missing_or_cut_off() {
    let folder = synthetic::folder(7);
    let whole = folder.recording();
    let read = |run: Option<&str>| {
        recording(&folder.events_ndjson, &folder.series_ndjson, &folder.hlogs(), run).unwrap()
    };
    assert_eq!(read(None).record, whole.record);
    let cut = read(Some(&folder.run_json[..folder.run_json.len() / 2]));
    assert_eq!(cut.record, whole.record);
    assert!(
        cut.reading_notes[0].contains("run.json is cut off"),
        "{:?}",
        cut.reading_notes
    );
}

#[test]
fn a_run_cut_off_anywhere_makes_a_page_that_says_so() {
    let folder = synthetic::folder(7);
    let (events, series) = (&folder.events_ndjson, &folder.series_ndjson);
    let first = events.find('\n').unwrap();
    for part in 1..40 {
        let at = first + 2 + (events.len() - first - 3) * part / 40;
        let at = (at..events.len())
            .find(|at| events.is_char_boundary(*at))
            .unwrap();
        let hlogs: BTreeMap<String, &str> = folder
            .hlogs
            .iter()
            .map(|(load, text)| (load.clone(), &text[..text.len() * part / 40]))
            .collect();
        let read = recording(&events[..at], &series[..series.len() * part / 40], &hlogs, None).unwrap();
        if read.interruption().is_some() {
            assert_eq!(read.record.verdict, Verdict::Invalid);
            assert!(html(&read).contains("did not finish"), "part {part}");
        }
    }
}

#[test]
fn an_unfinished_phase_is_filled_from_the_series_and_marked() {
    let folder = synthetic::folder(7);
    // Cut where the fault of the fourth phase is injected: its result is missing, the series go on for 8 s.
    let at = folder
        .events_ndjson
        .find("\"fault_injected\",\"fault\":\"back-20ms\"")
        .unwrap();
    let series: String = folder
        .series_ndjson
        .lines()
        .filter(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["end_us"].as_u64().unwrap() <= 38_000_000
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let read = recording(&folder.events_ndjson[..at], &series, &BTreeMap::new(), None).unwrap();
    let phase = &read.record.phases[3];
    assert_eq!((phase.name.as_str(), phase.complete), ("back-20ms", false));
    assert_eq!(phase.end_us, 38_000_000);
    let load = &phase.load["next_id"];
    assert!(
        (15_400..=15_600).contains(&load.completed),
        "7.76 s at 2,000/s, not {}",
        load.completed
    );
    assert_eq!(load.target_rate, Some(2_000.0));
    assert!(phase.services["ids"].cpu_us.is_some());
    assert!(read.approximate.contains("back-20ms") && read.approximate.len() == 1);
    assert!(
        read.record.phases[4].load.is_empty(),
        "a phase that never began stays empty"
    );
    assert!(html(&read).contains("approximate") && html(&read).contains("not reached"));
}

#[test]
fn a_cut_phase_has_the_rate_and_the_longest_of_what_was_written_and_its_record_stays_marked() {
    let folder = synthetic::folder(7);
    let at = folder
        .events_ndjson
        .find("\"fault_injected\",\"fault\":\"back-20ms\"")
        .unwrap();
    let mut longest = 0;
    // The rows of the services reach two seconds further than those of the loads.
    let mut rows = Vec::new();
    for line in folder.series_ndjson.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let is_load = row["row"] == "load";
        let end_us = row["end_us"].as_u64().unwrap();
        if end_us > if is_load { 36_000_000 } else { 38_000_000 } {
            continue;
        }
        if is_load && row["load"] == "next_id" && end_us > 30_300_000 {
            longest = longest.max(row["response"]["max"].as_u64().unwrap_or(0));
        }
        rows.extend([line, "\n"]);
    }
    let series = rows.concat();
    let read =
        |run_json| recording(&folder.events_ndjson[..at], &series, &BTreeMap::new(), run_json).unwrap();
    let first = read(None);
    let phase = &first.record.phases[3];
    let load = &phase.load["next_id"];
    assert!(first.is_remade && phase.end_us == 38_000_000);
    assert!(
        (1_950.0..2_050.0).contains(&load.throughput),
        "{}",
        load.throughput
    );
    assert_eq!(load.response.max, Some(longest));
    // Written down and read again it is the same, and says still that it is approximate.
    let run_json = serde_json::to_string(&first.record).unwrap();
    assert_eq!(read(Some(&run_json)), first);
}

#[test]
fn of_phases_put_together_each_request_is_counted_once_also_in_a_second_that_lies_in_two() {
    let folder = synthetic::folder(7);
    let at = folder
        .events_ndjson
        .find("\"fault_injected\",\"fault\":\"back-20ms\"")
        .unwrap();
    let events: String = folder.events_ndjson[..at]
        .lines()
        .filter(|line| !line.contains("\"phase_result\""))
        .flat_map(|line| [line, "\n"])
        .collect();
    let completed = |series: &str| {
        let read = recording(&events, series, &folder.hlogs(), None).unwrap();
        let phases = read.record.phases.iter();
        let loads = phases.filter_map(|phase| phase.load.get("next_id"));
        (loads.map(|load| load.completed).sum::<u64>(), read)
    };
    let (counted, read) = completed(&folder.series_ndjson);
    let rows = read.load_rows("next_id").map(|row| row.completed);
    assert_eq!(counted, rows.sum::<u64>());
    // Where the series is lost the log's seconds are all that is known.
    let (counted, read) = completed("");
    let seconds = read.intervals["next_id"]
        .iter()
        .filter(|one| one.kind == Kind::Response);
    let logged: u64 = seconds.map(|one| one.histogram().unwrap().len()).sum();
    assert!(
        counted > 0 && counted == logged,
        "{counted} of the {logged} in the log"
    );
}

#[test]
fn a_torn_line_costs_that_line_only() {
    let folder = synthetic::folder(7);
    let torn = folder.series_ndjson.replacen("{\"row\"", "{\"r\0w\"", 1);
    let read = recording(
        &folder.events_ndjson,
        &torn[..torn.len() - 9],
        &folder.hlogs(),
        Some(&folder.run_json),
    )
    .unwrap();
    assert_eq!(read.series.len(), folder.recording().series.len() - 2);
    assert_eq!(
        read.reading_notes,
        ["series.ndjson: 2 lines could not be read and were skipped"]
    );
}

#[test]
fn what_is_no_run_is_refused_with_a_reason() {
    let none = BTreeMap::new();
    assert!(matches!(
        recording("", "", &none, None),
        Err(ReportError::Replay(_))
    ));
    assert!(matches!(
        recording("", "", &none, Some("{\"schema\":9}")),
        Err(ReportError::Schema { found: 9 })
    ));
    assert!(matches!(
        recording("", "", &none, Some("[]")),
        Err(ReportError::Record(_))
    ));
}
