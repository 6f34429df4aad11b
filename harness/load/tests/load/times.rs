//! What is recorded, and that waiting is seen where it happens.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_load::{Arrivals, PacerKind, Think};

use crate::rig::{Rig, load, open, run};
use crate::server::{Server, Step, ok};

#[test]
fn every_intended_request_is_sent_and_completed_over_few_connections() {
    let server = Server::answering("hello");
    let told = run(load("a", server.addr), open(500.0), 400);
    let totals = told.of(0, 0);
    assert_eq!((totals.intended, totals.completed, totals.failed), (200, 200, 0));
    assert_eq!(totals.lag.len(), 200);
    assert_eq!(server.requests(), 200);
    assert!(server.accepted() <= 8);
    assert_eq!(totals.connections_opened, server.accepted() as u64);
    assert_eq!(
        totals.bytes_in,
        200 * "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".len() as u64
    );
}

#[test]
fn a_poisson_load_sends_what_its_schedule_says() {
    let counts = [1, 3].map(|threads| {
        let server = Server::answering("");
        let mut rig = Rig::start(vec![load("a", server.addr)], threads);
        rig.push(
            0,
            10_000,
            Some(310_000),
            vec![Arrivals::Open {
                rate_per_s: 700.0,
                pacer: PacerKind::Poisson,
            }],
        );
        let told = rig.finish();
        assert_eq!(told.ended.len(), threads);
        told.of(0, 0).completed
    });
    assert_eq!(
        counts[0], counts[1],
        "the schedule does not depend on the number of threads"
    );
    assert!(counts[0] > 0);
}

/// A server that, once, answers nobody for 300 ms.
fn stalling_server(stalled: usize) -> Server {
    let door = Mutex::new(());
    Server::start(move |number| {
        let _open = door.lock().unwrap();
        if number == stalled {
            #[expect(clippy::disallowed_methods, reason = "the stall is what the test plants")]
            std::thread::sleep(Duration::from_millis(300));
        }
        vec![ok("x")]
    })
}

#[test]
fn open_loop_sees_the_queue_behind_a_stall_that_service_time_and_closed_loop_hide() {
    let stall_us = 100_000..3_600_000_000;
    let server = stalling_server(300);
    let told = run(load("a", server.addr), open(1_000.0), 1_000);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (1_000, 0));
    // 1,000/s for 300 ms: those intended in its first 200 ms wait over 100 ms. Only 8 connections were stalled themselves.
    let responses = totals.response.count_between(stall_us.start, stall_us.end);
    let services = totals.service.count_between(stall_us.start, stall_us.end);
    assert!(responses >= 150, "{responses} responses over 100 ms");
    assert!(
        services * 4 < responses,
        "{services} service times over 100 ms, {responses} responses"
    );
    assert!(totals.response.value_at_quantile(0.99) >= 200_000);

    let server = stalling_server(300);
    let told = run(
        load("a", server.addr),
        Arrivals::Closed {
            users: 4,
            think: Duration::from_millis(4).into(),
        },
        1_000,
    );
    let totals = told.of(0, 0);
    assert!(totals.completed > 300, "the stall was met");
    assert!(
        totals.response.count_between(stall_us.start, stall_us.end) < 50,
        "closed loop hides the stall"
    );
    assert_eq!(totals.response, totals.service);
}

#[test]
fn connections_stay_within_their_limit_and_waiting_for_one_is_not_lag() {
    let server = Server::start(|_| vec![Step::Wait(Duration::from_millis(40)), ok("x")]);
    let mut spec = load("a", server.addr);
    spec.connections = 3;
    let told = run(spec, open(200.0), 300);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (60, 0));
    assert!(server.seen.open_max.load(Ordering::SeqCst) <= 3);
    // 60 requests through 3 connections at 40 ms each: the last ones wait for over half a second; taken up they were in time.
    let waited = totals.response.max() - totals.service.min();
    assert!(
        waited > 10 * totals.lag.value_at_quantile(0.5),
        "waited {waited} us"
    );
    assert!(totals.response.value_at_quantile(0.9) > 2 * totals.service.value_at_quantile(0.5));
}

#[test]
fn few_connections_on_many_threads_carry_the_whole_load() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    spec.connections = 2;
    let mut rig = Rig::start(vec![spec], 5);
    rig.push(0, 10_000, Some(210_000), vec![open(500.0)]);
    let told = rig.finish();
    assert_eq!(told.of(0, 0).completed, 100);
    assert!(server.seen.open_max.load(Ordering::SeqCst) <= 2);
    assert_eq!(told.ended.len(), 5);
}

#[test]
fn each_user_has_one_request_at_a_time_and_thinks_between_them() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    spec.connections = 1;
    let mut rig = Rig::start(vec![spec], 2);
    rig.push(
        0,
        10_000,
        Some(410_000),
        vec![Arrivals::Closed {
            users: 5,
            think: Duration::from_millis(50).into(),
        }],
    );
    let told = rig.finish();
    let totals = told.of(0, 0);
    assert_eq!(server.accepted(), 5, "a connection for each user");
    // 400 ms at 50 ms or more a round.
    assert!((5..=5 * 8).contains(&totals.completed), "{}", totals.completed);
    assert!(totals.lag.is_empty(), "closed loop has no schedule");
}

#[test]
fn zero_throughput_shows_as_empty_slices_on_whole_tenths_of_a_second() {
    let server = Server::start(|_| vec![Step::Hang]);
    let mut rig = Rig::start(vec![load("a", server.addr)], 1);
    rig.push(
        0,
        50_000,
        None,
        vec![Arrivals::Closed {
            users: 1,
            think: Think::NONE,
        }],
    );
    rig.until(|told| told.slices.len() >= 4);
    let told = rig.abort();
    let ends: Vec<u64> = told.slices[..4].iter().map(|slice| slice.end_us).collect();
    assert!(
        ends.iter().all(|end_us| end_us % 100_000 == 0) && ends.is_sorted(),
        "{ends:?}"
    );
    assert!(told.slices[1..4].iter().all(squall_load::Slice::is_empty));
    assert_eq!(told.slices[0].sent, 1);
}
