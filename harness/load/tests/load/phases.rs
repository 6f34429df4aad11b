//! Phases, several loads, and what may not be asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use squall_load::http1::RequestTemplate;
use squall_load::{Arrivals, Generator, LoadSpec, Options, PhaseSpec, Think};

use crate::rig::{Rig, load, open};
use crate::server::{Server, Step, ok};

#[test]
fn a_late_answer_belongs_to_the_phase_of_its_intended_time() {
    let server = Server::start(|_| vec![Step::Wait(Duration::from_millis(250)), ok("x")]);
    let mut rig = Rig::start(vec![load("a", server.addr)], 1);
    rig.push(3, 20_000, Some(120_000), vec![open(50.0)]);
    rig.push(4, 120_000, Some(220_000), vec![open(30.0)]);
    rig.push(5, 220_000, Some(240_000), vec![Arrivals::None]);
    let told = rig.finish();
    assert_eq!(
        (
            told.of(0, 3).completed,
            told.of(0, 4).completed,
            told.of(0, 5).intended
        ),
        (5, 3, 0)
    );
    let late = told
        .slices
        .iter()
        .filter(|slice| slice.phase == 3 && slice.start_us >= 200_000);
    assert_eq!(
        late.map(|slice| slice.completed).sum::<u64>(),
        5,
        "counted when it came"
    );
    assert_eq!(told.ended, [(0, 3, 0), (0, 4, 0), (0, 5, 0)]);
}

#[test]
fn an_open_ended_phase_runs_until_it_is_ended() {
    let server = Server::answering("x");
    let mut rig = Rig::start(vec![load("a", server.addr)], 2);
    rig.push(0, 10_000, None, vec![open(200.0)]);
    rig.until(|told| {
        told.totals
            .get(&(0, 0))
            .is_some_and(|totals| totals.completed >= 20)
    });
    let end_us = rig.now_us();
    rig.generator.end_phase(0, end_us).unwrap();
    rig.push(1, end_us, Some(end_us + 50_000), vec![open(200.0)]);
    let told = rig.finish();
    assert!(told.of(0, 0).completed >= 20);
    assert_eq!(told.of(0, 1).intended, 10);
    assert_eq!(told.ended.len(), 4);
}

#[test]
fn finishing_ends_a_phase_that_has_no_end() {
    let server = Server::answering("x");
    let mut rig = Rig::start(vec![load("a", server.addr)], 1);
    rig.push(
        0,
        0,
        None,
        vec![Arrivals::Closed {
            users: 2,
            think: Duration::from_millis(1).into(),
        }],
    );
    rig.until(|told| {
        told.totals
            .get(&(0, 0))
            .is_some_and(|totals| totals.completed > 0)
    });
    let told = rig.finish();
    assert_eq!(told.ended, [(0, 0, 0)]);
    assert_eq!(told.of(0, 0).aborted, 0);
}

#[test]
fn loads_on_the_same_thread_do_not_mix() {
    let (one, two) = (
        Server::answering("one"),
        Server::start(|_| vec![Step::Wait(Duration::from_millis(5)), ok("two")]),
    );
    let mut rig = Rig::start(vec![load("a", one.addr), load("b", two.addr)], 1);
    rig.push(0, 10_000, Some(210_000), vec![open(500.0), open(100.0)]);
    rig.push(
        1,
        210_000,
        Some(310_000),
        vec![
            Arrivals::None,
            Arrivals::Closed {
                users: 1,
                think: Think::NONE,
            },
        ],
    );
    let told = rig.finish();
    assert_eq!((told.of(0, 0).completed, told.of(1, 0).completed), (100, 20));
    assert_eq!((told.of(0, 1).intended, one.requests()), (0, 100));
    assert_eq!(told.of(1, 1).completed as usize, two.requests() - 20);
    assert!(told.of(1, 1).completed > 0);
}

#[test]
fn a_dead_load_does_not_hold_up_another() {
    let (hung, fine) = (Server::start(|_| vec![Step::Hang]), Server::answering("x"));
    let mut dead = load("dead", hung.addr);
    dead.timeout = Duration::from_millis(100);
    let mut rig = Rig::start(vec![dead, load("fine", fine.addr)], 1);
    rig.push(0, 10_000, Some(210_000), vec![open(1_000.0), open(200.0)]);
    let told = rig.finish();
    assert_eq!((told.of(1, 0).completed, told.of(1, 0).failed), (40, 0));
    assert_eq!(told.of(0, 0).completed, told.of(0, 0).failed);
}

#[test]
fn users_of_one_phase_do_not_raise_the_connections_of_another() {
    let server = Server::start(|_| vec![Step::Wait(Duration::from_millis(20)), ok("x")]);
    let mut spec = load("a", server.addr);
    spec.connections = 2;
    let mut rig = Rig::start(vec![spec], 1);
    rig.push(0, 10_000, Some(110_000), vec![open(200.0)]);
    rig.push(
        1,
        500_000,
        Some(600_000),
        vec![Arrivals::Closed {
            users: 6,
            think: Think::NONE,
        }],
    );
    rig.until(|told| told.ended.len() == 1);
    assert!(server.seen.open_max.load(Ordering::SeqCst) <= 2);
    let told = rig.finish();
    assert_eq!(server.seen.open_max.load(Ordering::SeqCst), 6);
    assert_eq!((told.of(0, 0).completed, told.of(0, 1).failed), (20, 0));
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let server = Server::answering("x");
    let start = |change: fn(&mut LoadSpec), threads| {
        let mut spec = load("a", server.addr);
        change(&mut spec);
        let options = Options {
            threads,
            cpus: None,
            epoch: Instant::now(),
            reports: crossbeam_channel::unbounded().0,
        };
        Generator::start(vec![spec], &options)
    };
    let mut said: Vec<String> = [
        start(|_| {}, 0),
        start(|spec| spec.connections = 0, 1),
        start(|spec| spec.timeout = Duration::ZERO, 1),
        start(|spec| spec.protocol = Arc::new(RequestTemplate::get("x")), 1),
    ]
    .into_iter()
    .map(|result| result.unwrap_err().to_string())
    .collect();
    let mut generator = start(|_| {}, 1).unwrap();
    let mut push = |index, start_us, end_us, arrivals| {
        generator
            .push_phase(PhaseSpec {
                index,
                draw: index,
                start_us,
                end_us,
                arrivals,
            })
            .unwrap_err()
            .to_string()
    };
    said.push(push(0, 5, Some(4), vec![Arrivals::None]));
    said.push(push(0, 0, Some(4), vec![]));
    said.push(push(0, 0, Some(4), vec![open(0.0)]));
    said.push(push(
        0,
        0,
        Some(4),
        vec![Arrivals::Closed {
            users: 0,
            think: Think::NONE,
        }],
    ));
    let far = PhaseSpec {
        index: 1,
        draw: 1,
        start_us: 3_600_000_000,
        end_us: None,
        arrivals: vec![Arrivals::None],
    };
    generator.push_phase(far).unwrap();
    let mut push = |index, start_us| {
        let phase = PhaseSpec {
            index,
            draw: index,
            start_us,
            end_us: None,
            arrivals: vec![Arrivals::None],
        };
        generator.push_phase(phase).unwrap_err().to_string()
    };
    said.push(push(1, 0));
    said.push(push(2, 0));
    expect_test::expect![[r#"
        starting the load generator: the number of generator threads must be between 1 and 256, not 0
        starting the load generator: the connections of load `a` must be between 1 and 1000000, not 0
        starting load `a`: its timeout is zero; give it a longer one
        preparing the request of load `a`: the path "x" must begin with / and have spaces and non-ASCII bytes percent-encoded
        adding phase 0: it ends before it starts
        adding phase 0: it tells 0 loads what to do, there are 1
        pacing load `a` in phase 0
        starting the load generator: the users of load `a` must be between 1 and 1000000, not 0
        adding phase 1: phase 1 was added before
        adding phase 2: phase 1 has no end yet"#]]
    .assert_eq(&said.join("\n"));
    generator.abort();
}
