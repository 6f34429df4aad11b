//! Services that are held up, killed and started again.

use squall_model::event::EventKind;
use squall_model::exit::Exit;

use super::{canary, fault, proven_each_time};
use crate::support::Stage;

#[test]
fn each_of_two_services_tells_of_pauses_as_long_as_it_was_held() {
    let stage = Stage::alone();
    let ended = stage.run("pause-two-collectors", &["--set", "phases.collected.for=6s"]);
    ended.assert_nothing_left();
    let record = ended.record();
    let collected = &record.phases[1];
    for (service, name) in [("old", "old-collector"), ("new", "new-collector")] {
        let held = fault(&record, name).held.expect("it is measured");
        let asked = held.asked_us.expect("it was asked for") as f64;
        // However busy the machine is, it is held for what was asked at least, but where the next time had begun.
        assert!(held.count > 20 && held.median_us >= asked, "{held:?}");
        let meter = collected.services[service]
            .pauses
            .as_ref()
            .expect("it has a meter");
        assert!(meter.count >= held.count / 2, "{meter:?} of {held:?}");
        assert!(
            meter.total as f64 >= held.median_us * held.count as f64 / 2.0,
            "{meter:?} of {held:?}"
        );
    }
    let median = |name: &str| fault(&record, name).held.map(|held| held.median_us);
    assert!(
        median("old-collector") > median("new-collector"),
        "{:?}",
        record.faults
    );
    if ended.is_calm() {
        assert!(proven_each_time(&record, "old-collector") > 20);
        proven_each_time(&record, "new-collector");
    }
}

#[test]
fn a_service_that_is_restarted_under_load_is_back_where_it_was_and_loses_no_id() {
    let stage = Stage::alone();
    let ended = stage.run("restart-under-load", &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    let record = ended.record();
    assert!(fault(&record, "again").proved && fault(&record, "again").undone);
    assert_eq!(proven_each_time(&record, "in-turn"), 2);
    // The clock fault held across a restart: the process that came read the shifted clock as well.
    let behind = fault(&record, "behind");
    assert!(behind.proved && behind.undone, "{behind:?}");
    let told = ended.events();
    let proofs = told.iter().filter_map(|event| match &event.kind {
        EventKind::FaultProved { fault, evidence } if fault == "behind" => Some(evidence.clone()),
        _ => None,
    });
    let proofs: Vec<String> = proofs.collect();
    assert_eq!(proofs.len(), 2, "{proofs:?}");
    assert_ne!(
        proofs[0].split(' ').nth(1),
        proofs[1].split(' ').nth(1),
        "of two processes: {proofs:?}"
    );
    let addresses = told.iter().filter_map(|event| match &event.kind {
        EventKind::ServiceReady { service, address } if service == "ids" => address.clone(),
        _ => None,
    });
    let addresses: Vec<String> = addresses.collect();
    assert!(
        addresses.len() == 3 && addresses.iter().all(|one| *one == addresses[0]),
        "{addresses:?}"
    );
    assert!(
        !told
            .iter()
            .any(|event| matches!(event.kind, EventKind::ServiceDied { .. })),
        "an end that was asked for is no accident"
    );
    let failed: u64 = record.phases[1].load["one"].failed;
    assert!(failed > 100, "a second without a server: {failed}");
}

#[test]
fn a_crash_loop_is_proven_each_time_and_a_signal_that_is_taken_ends_nothing() {
    let stage = Stage::alone();
    let ended = stage.run("kill-crash-loop", &[]);
    ended.assert_exit(Exit::Pass).assert_nothing_left();
    let record = ended.record();
    assert_eq!(proven_each_time(&record, "crash"), 4);
    let reload = fault(&record, "reload");
    assert!(reload.proved && reload.evidence.contains("took it"), "{reload:?}");
    assert!(ended.file("logs/daemon.log").contains("read again"));
}

#[test]
fn a_program_that_never_gets_ready_again_fails_the_run() {
    let record = canary(
        "canary-never-ready-again",
        Exit::ExpectationNotMet,
        "was not ready within 1s",
    );
    let restart = &record.faults[0];
    assert!(restart.proved && !restart.undone, "{restart:?}");
}

#[test]
fn a_signal_that_is_ignored_ends_nothing_and_makes_the_run_invalid() {
    let record = canary(
        "canary-ignored-signal",
        Exit::Invalid,
        "it ignores SIGTERM before it was healed",
    );
    assert!(!record.faults[0].proved, "{:?}", record.faults);
    assert_eq!(record.phases[0].services["deaf"].restarts, 1);
}
