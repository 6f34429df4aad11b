//! The scenarios of config-center and its readers. On a busy machine a run may be invalid for its load; what the service promises
//! is looked at all the same.

use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use super::{canary, run_held_to};

/// What every reader is held to.
const PROMISES: [&str; 3] = ["reader.monotonic", "reader.untorn", "reader.converged"];

/// Runs a scenario, which is held to its readers' promises and to these invariants.
#[track_caller]
fn run(name: &str, more: &[&str], invariants: &[&str]) -> RunRecord {
    run_held_to(name, more, &[&PROMISES[..], invariants].concat())
}

/// Failed requests of a load, over all phases.
fn failed(record: &RunRecord, load: &str) -> u64 {
    let phases = record.phases.iter();
    phases
        .filter_map(|phase| phase.load.get(load))
        .map(|load| load.failed)
        .sum()
}

/// The kinds of error that reads may end with where the reader is not at fault: the machine kept its answer past its time.
fn refused_reads(record: &RunRecord) -> u64 {
    let loads = record.phases.iter().flat_map(|phase| &phase.load);
    loads
        .filter(|(name, _)| ["versions", "checksums", "contents"].contains(&name.as_str()))
        .flat_map(|(_, load)| &load.errors)
        .filter(|(kind, _)| kind.as_str() != "timeout")
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn configuration_is_followed_whole_and_forwards() {
    let record = run(
        "config-center-steady",
        &[],
        &["written", "whole", "pushed", "beaten"],
    );
    assert_eq!(refused_reads(&record), 0, "{:#?}", record.phases);
}

#[test]
fn a_killed_server_loses_nothing_and_stops_no_read() {
    let record = run("config-center-killed", &[], &["written", "whole", "noticed"]);
    assert_eq!(refused_reads(&record), 0, "{:#?}", record.phases);
    assert!(
        failed(&record, "publish") > 0,
        "it was never away: {:#?}",
        record.phases
    );
}

#[test]
fn readers_that_were_cut_off_find_back() {
    // Shorter than it ships, and long enough for heartbeats to be missed.
    let shorter = [
        "--set",
        "phases.apart.for=8s",
        "--set",
        "phases.apart.faults.cut.for=6s",
    ];
    let invariants = ["written", "whole", "noticed", "found-back"];
    let record = run("config-center-partition", &shorter, &invariants);
    assert_eq!(refused_reads(&record), 0, "{:#?}", record.phases);
}

#[test]
fn readers_keep_what_is_newer_than_what_a_server_came_back_with() {
    let record = run("config-center-older-data", &[], &["whole", "dropped"]);
    assert_eq!(refused_reads(&record), 0, "{:#?}", record.phases);
}

#[test]
fn steps_of_clocks_change_nothing() {
    let record = run("config-center-clocks", &[], &["written", "whole"]);
    assert_eq!(refused_reads(&record), 0, "{:#?}", record.phases);
}

#[test]
fn a_torn_read_is_found() {
    let reason = "invariant reader.untorn was violated";
    canary("canary-config-torn", Exit::InvariantViolated, reason);
}

#[test]
fn a_reader_that_goes_back_is_found() {
    let reason = "invariant reader.monotonic was violated";
    canary("canary-config-backwards", Exit::InvariantViolated, reason);
}

#[test]
fn a_watcher_that_is_left_behind_is_found() {
    let reason = "invariant reader.converged was violated";
    canary("canary-config-left-behind", Exit::InvariantViolated, reason);
}

#[test]
fn an_acknowledged_change_that_is_lost_is_found() {
    let reason = "invariant written was violated";
    canary("canary-config-unwritten", Exit::InvariantViolated, reason);
}

#[test]
fn a_reader_that_fails_without_its_server_is_found() {
    let record = canary(
        "canary-config-fails-fast",
        Exit::ExpectationNotMet,
        "expected versions.errors == 0% in away",
    );
    assert!(failed(&record, "versions") > 0);
}
