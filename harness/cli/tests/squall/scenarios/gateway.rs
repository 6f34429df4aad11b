//! The scenarios of the gateway. On a busy machine a run may be invalid for its load; what the service promises is looked at all
//! the same.

use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use super::{canary, run_held_to};

/// Runs a scenario, which is held to these invariants; no request may fail but those of `may_fail`.
#[track_caller]
fn run(name: &str, invariants: &[&str], may_fail: &[&str]) -> RunRecord {
    let record = run_held_to(name, &[], invariants);
    assert_eq!(refused(&record, may_fail), 0, "{:#?}", record.phases);
    record
}

/// Requests that failed, but for those that the machine kept past their time.
fn refused(record: &RunRecord, but: &[&str]) -> u64 {
    let loads = record.phases.iter().flat_map(|phase| &phase.load);
    loads
        .filter(|(name, _)| !but.contains(&name.as_str()))
        .flat_map(|(_, load)| &load.errors)
        .filter(|(kind, _)| kind.as_str() != "timeout")
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn both_versions_of_http_cross_the_gateway() {
    run("gateway-steady", &["reused"], &[]);
}

#[test]
fn no_idempotent_request_fails_where_an_endpoint_dies() {
    let invariants = ["retried", "ejected", "restored", "front.endpoints"];
    run("gateway-upstream-dead", &invariants, &[]);
}

#[test]
fn no_idempotent_request_fails_where_an_endpoint_flaps() {
    let invariants = ["ejected", "restored", "front.endpoints"];
    run("gateway-upstream-flapping", &invariants, &[]);
}

#[test]
fn requests_leave_a_slow_endpoint_for_another() {
    let invariants = ["retried", "ejected", "deadline", "front.endpoints"];
    run("gateway-upstream-slow", &invariants, &["hurried"]);
}

#[test]
fn an_endpoint_that_is_listed_again_begins_anew() {
    run(
        "gateway-relisted",
        &["applied", "ejected", "front.endpoints"],
        &[],
    );
}

#[test]
fn no_request_fails_for_a_plugin_that_loops() {
    run("gateway-plugin-loops", &["swapped", "failed"], &[]);
}

#[test]
fn no_request_fails_for_a_plugin_that_traps() {
    run("gateway-plugin-traps", &["swapped", "failed"], &[]);
}

#[test]
fn no_request_fails_for_a_plugin_that_says_what_cannot_be() {
    run("gateway-plugin-nonsense", &["swapped", "failed"], &[]);
}

#[test]
fn no_request_fails_and_no_user_moves_while_plugins_are_swapped() {
    run("gateway-swaps", &["swapped", "one-place", "share"], &[]);
}

#[test]
fn weights_change_while_all_goes_on_and_users_stay_where_they_are() {
    let splits = ["first-split", "second-split", "users-split", "newcomers-split"];
    let invariants: Vec<&str> = splits.into_iter().chain(["one-bucket", "applied"]).collect();
    run("gateway-split", &invariants, &[]);
}

#[test]
fn a_gateway_that_looks_at_no_weight_is_found() {
    let reason = "invariant by-weight was violated";
    canary("canary-gateway-ignores-weights", Exit::InvariantViolated, reason);
}

#[test]
fn a_gateway_that_forgets_buckets_is_found() {
    let reason = "invariant one-bucket was violated";
    canary("canary-gateway-forgets-buckets", Exit::InvariantViolated, reason);
}

#[test]
fn a_gateway_that_fails_while_a_plugin_is_swapped_is_found() {
    let reason = "expected get.errors == 0% in planted";
    canary("canary-gateway-fails-on-swap", Exit::ExpectationNotMet, reason);
}

#[test]
fn a_gateway_that_retries_for_ever_is_found() {
    let reason = "expected front.metrics.gateway_retried_total < 200";
    canary("canary-gateway-retries-forever", Exit::ExpectationNotMet, reason);
}

#[test]
fn a_gateway_that_ejects_what_is_down_is_found() {
    let reason = "invariant front.endpoints was violated";
    canary("canary-gateway-ejects-down", Exit::InvariantViolated, reason);
}
