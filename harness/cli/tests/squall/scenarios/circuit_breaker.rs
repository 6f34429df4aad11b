//! The scenarios of the circuit breaker. On a busy machine a run may be invalid for its load; what the service promises is looked at
//! all the same.

use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use super::{canary, run_held_to};

/// Runs a scenario, which is held to these invariants.
#[track_caller]
fn run(name: &str, invariants: &[&str]) -> RunRecord {
    run_held_to(name, &[], invariants)
}

#[test]
fn a_breaker_in_whose_way_nothing_comes_refuses_nothing() {
    run(
        "circuit-breaker-steady",
        &["breaker.recloses", "admitted", "served"],
    );
}

#[test]
fn recall_that_fails_is_broken_and_served_from_the_cache_until_it_is_well() {
    let reached = ["opened", "probed", "recovering", "reclosed", "cached"];
    let promised = ["breaker.diagram", "breaker.recloses", "admitted"];
    run(
        "circuit-breaker-recall-errors",
        &[&reached[..], &promised].concat(),
    );
}

#[test]
fn a_slow_model_gives_way_to_the_light_one_until_it_is_quick_again() {
    run(
        "circuit-breaker-model-slow",
        &["took-over", "back", "breaker.diagram", "admitted"],
    );
}

#[test]
fn a_spike_is_admitted_up_to_the_limit_and_no_further() {
    run("circuit-breaker-spike", &["admitted", "shed"]);
}

#[test]
fn rules_are_followed_and_outlive_their_server() {
    run("circuit-breaker-rules", &["breaker.current", "copied", "applied"]);
}

#[test]
fn steps_of_the_clock_open_and_close_nothing() {
    run("circuit-breaker-clocks", &["breaker.diagram", "opened"]);
}

#[test]
fn a_breaker_that_closes_without_a_probe_is_found() {
    let reason = "invariant breaker.diagram was violated";
    canary("canary-breaker-skips-half-open", Exit::InvariantViolated, reason);
}

#[test]
fn a_breaker_that_never_recloses_is_found() {
    let reason = "invariant breaker.recloses was violated";
    canary("canary-breaker-never-recloses", Exit::InvariantViolated, reason);
}

#[test]
fn a_limit_that_admits_more_is_found() {
    let reason = "invariant admitted was violated";
    canary("canary-breaker-admits-more", Exit::InvariantViolated, reason);
}

#[test]
fn a_breaker_that_is_deaf_to_rules_is_found() {
    let reason = "invariant breaker.current was violated";
    canary("canary-breaker-deaf-to-rules", Exit::InvariantViolated, reason);
}

#[test]
fn a_limit_that_goes_by_the_wall_clock_is_found() {
    let reason = "expected feed.errors == 0% in stepped";
    canary("canary-breaker-wall-clock", Exit::ExpectationNotMet, reason);
}
