//! Users who make journeys: order, shares, what they take along, how they fail, when they rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use squall_load::check::Statuses;
use squall_load::data::{Feeds, Sequence};
use squall_load::http1::RequestTemplate;
use squall_load::journey::{Journey, Route, Step};
use squall_load::text::{Escape, Slot, Text};
use squall_load::{Arrivals, Checks, Extraction, LoadSpec, Place, Think};

use crate::rig::{Rig, Told, load};
use crate::server::{self, Server, ok};

/// A step that asks for `path`, and the fields of its load that differ.
fn step(path: &str) -> Step {
    Step {
        name: path.into(),
        request: RequestTemplate::get(path),
        takes: Vec::new(),
    }
}

/// As [`step`], with a header `X-Token: {token}`.
fn with_token(path: &str) -> Step {
    let mut value = Text::default();
    value.push_value("token", Slot::Kept(0), Escape::None);
    let mut step = step(path);
    step.request.headers.push(("X-Token".into(), value));
    step
}

fn at(pointer: &str) -> Place {
    Place::Json(pointer.parse().unwrap())
}

/// `GET /login`, from whose answer the token is taken.
fn login() -> Step {
    Step {
        takes: vec![(0, at("/token"))],
        ..step("/login")
    }
}

/// A load with these routes (weight, pause in milliseconds, steps), followed by a load for each step.
fn journey(addr: SocketAddr, routes: Vec<(u32, u64, Vec<Step>)>) -> Vec<LoadSpec> {
    let (mut all, mut steps) = (Vec::new(), Vec::new());
    for (weight, think_ms, made) in routes {
        let first = steps.len();
        all.push(Route {
            name: format!("route-{}", all.len()),
            weight,
            think: Some(Duration::from_millis(think_ms).into()),
            steps: (first..first + made.len()).collect(),
        });
        steps.extend(made);
    }
    let mut whole = load("shoppers", addr);
    whole.protocol = Arc::new(Journey {
        routes: all,
        steps: steps.clone(),
        first: 1,
        feeds: Feeds::new(vec![Arc::new(Sequence::new(100))]),
    });
    let mut loads = vec![whole];
    for one in steps {
        let mut spec = load(&format!("shoppers.{}", loads.len()), addr);
        spec.protocol = Arc::new(one);
        loads.push(spec);
    }
    loads
}

/// A shop whose every login gives a token of its own.
fn shop() -> Server {
    Server::by_head(|number, head| {
        vec![if head.starts_with("GET /login") {
            ok(&format!("{{\"token\": \"t{number}\"}}"))
        } else {
            ok("{\"id\": 7}")
        }]
    })
}

/// One phase after another, each with so many users for so many milliseconds.
fn push(rig: &mut Rig, loads: usize, phases: &[(usize, u64)]) {
    let mut start_us = 20_000;
    for (index, (users, ms)) in phases.iter().enumerate() {
        let end_us = start_us + ms * 1_000;
        rig.push(index as u32, start_us, Some(end_us), arrivals(*users, loads));
        start_us = end_us;
    }
}

fn arrivals(users: usize, loads: usize) -> Vec<Arrivals> {
    let mut arrivals = vec![Arrivals::None; loads];
    if users > 0 {
        let think = Think::Fixed(Duration::ZERO);
        arrivals[0] = Arrivals::Closed { users, think };
    }
    arrivals
}

fn run(loads: Vec<LoadSpec>, phases: &[(usize, u64)]) -> Told {
    let count = loads.len();
    let mut rig = Rig::start(loads, 2);
    push(&mut rig, count, phases);
    rig.finish()
}

fn heads(server: &Server) -> Vec<String> {
    server.seen.heads.lock().unwrap().clone()
}

#[test]
fn steps_come_in_order_with_what_was_taken_and_count_for_load_and_step() {
    let server = shop();
    let steps = vec![login(), with_token("/basket"), with_token("/pay")];
    let told = run(journey(server.addr, vec![(1, 1, steps)]), &[(3, 200)]);
    let mut ways: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut logins = 0;
    for head in heads(&server) {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        match head.split("X-Token: ").nth(1) {
            Some(rest) => ways
                .entry(rest.split("\r\n").next().unwrap().to_owned())
                .or_default()
                .push(path),
            None => logins += u64::from(path == "/login"),
        }
    }
    assert!(ways.len() > 6, "{} rounds", ways.len());
    let whole = ["/basket".to_owned(), "/pay".to_owned()];
    assert!(ways.values().all(|way| whole.starts_with(way)), "{ways:?}");
    let unfinished = ways.values().filter(|way| way.len() < 2).count();
    assert!(
        unfinished <= 3,
        "only the last round of each user may be cut: {ways:?}"
    );
    let (all, of_steps) = (told.of(0, 0), [1, 2, 3].map(|at| told.of(at, 0).completed));
    assert_eq!(all.completed, of_steps.iter().sum::<u64>());
    assert_eq!((of_steps[0], all.failed), (logins, 0));
    assert_eq!(of_steps[1] as usize, ways.len());
    assert_eq!(all.response, all.service, "closed loop, timed from the send");
    // The kernel tells when answers came.
    assert_eq!((all.unstamped, told.of(1, 0).unstamped), (0, 0));
    assert_eq!((all.connections_opened, server.accepted()), (3, 3));
    let ends: BTreeSet<_> = told.ended.iter().copied().collect();
    assert_eq!(ends.len(), 4 * 2, "each load, for each thread: {:?}", told.ended);
    assert_eq!(told.ended.len(), 4 * 2);
}

#[test]
fn weights_share_out_the_users_also_where_a_phase_has_few_of_them() {
    let server = shop();
    // Nobody comes to a second request.
    let routes = vec![
        (3, 60_000, vec![step("/buy")]),
        (1, 60_000, vec![step("/browse")]),
    ];
    let told = run(journey(server.addr, routes), &[(4, 100), (8, 100), (8, 100)]);
    let of = |phase| (told.of(1, phase).completed, told.of(2, phase).completed);
    assert_eq!((of(0), of(1), of(2)), ((3, 1), (3, 1), (0, 0)));
}

#[test]
fn users_go_on_across_phases_and_only_those_too_many_rest() {
    let server = shop();
    let routes = vec![(1, 2, vec![step("/a"), step("/b")])];
    let loads = journey(server.addr, routes);
    let told = run(loads, &[(4, 100), (4, 100), (2, 100), (0, 100), (3, 100)]);
    let opened = [0, 1, 2, 4].map(|phase| told.of(0, phase).connections_opened);
    // Who rests closes its connection: nobody is left in the fourth phase.
    assert_eq!(opened, [4, 0, 0, 3]);
    assert!([0, 1, 2, 4].iter().all(|phase| told.of(0, *phase).completed > 10));
    assert_eq!(told.of(0, 3).sent, 0);
    assert_eq!(server.seen.open_max.load(Ordering::SeqCst), 4);
}

#[test]
fn a_step_that_fails_ends_the_round_and_says_how() {
    let server = Server::by_head(|_, head| {
        vec![match head.split(' ').nth(1).unwrap() {
            "/gone" => server::Step::Send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nfull".to_vec()),
            _ => ok("{\"id\": 7}"),
        }]
    });
    let mut checked = step("/checked");
    checked.request.checks = Checks {
        status: vec![Statuses { from: 201, to: 201 }],
        ..Checks::default()
    };
    let mut unwritable = with_token("/unwritable");
    unwritable.takes.clear();
    let bad = [login(), checked, step("/gone"), unwritable];
    let routes = bad.map(|bad| (1, 1, vec![step("/first"), bad, step("/never")]));
    let told = run(journey(server.addr, routes.into()), &[(4, 100)]);
    let kinds = [2, 5, 8, 11].map(|at| {
        let errors = told.errors(at, 0);
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].0.clone()
    });
    assert_eq!(kinds, ["extract", "check_status", "status_503", "render"]);
    for route in 0..4 {
        let [first, bad, never] = [1, 2, 3].map(|at| told.of(route * 3 + at, 0));
        assert!(bad.failed > 2, "route {route}: {bad:?}");
        assert_eq!((bad.failed, first.failed, never.sent), (bad.completed, 0, 0));
    }
    let told_in_words = |at: u16| told.of(at, 0).examples[0].1.clone();
    assert!(told_in_words(2).contains("/token"), "{}", told_in_words(2));
    assert!(told_in_words(8).contains("full"), "{}", told_in_words(8));
    assert_eq!(
        told.of(0, 0).failed,
        [2, 5, 8, 11].map(|at| told.of(at, 0).failed).iter().sum::<u64>()
    );
    assert!(!heads(&server).iter().any(|head| head.starts_with("GET /never")));
}

#[test]
fn a_round_draws_its_values_once_and_the_next_one_anew() {
    let server = shop();
    let with_user = |path: &str| {
        let mut text = Text::from(path);
        text.push_value("user", Slot::Drawn { feed: 0, field: 0 }, Escape::None);
        Step {
            name: path.into(),
            request: RequestTemplate::get(text),
            takes: Vec::new(),
        }
    };
    let steps = vec![with_user("/a/"), with_user("/b/")];
    let told = run(journey(server.addr, vec![(1, 1, steps)]), &[(2, 100)]);
    let drawn = |prefix: &str| -> Vec<u64> {
        let mut all: Vec<u64> = heads(&server)
            .iter()
            .filter_map(|head| head.split(' ').nth(1)?.strip_prefix(prefix)?.parse().ok())
            .collect();
        all.sort_unstable();
        all
    };
    let (first, second) = (drawn("/a/"), drawn("/b/"));
    assert_eq!(first, (100..100 + first.len() as u64).collect::<Vec<_>>());
    assert!(first.len() > 4 && first.len() - second.len() <= 2);
    assert!(second.iter().all(|user| first.contains(user)));
    let distinct: BTreeSet<_> = second.iter().collect();
    assert_eq!(distinct.len(), second.len());
    assert_eq!(told.of(0, 0).failed, 0);
}

#[test]
fn values_for_invariants_come_from_the_step_that_was_asked_for_them() {
    let server = shop();
    let mut loads = journey(server.addr, vec![(1, 1, vec![login(), with_token("/basket")])]);
    loads[2].extract = vec![Extraction::One(at("/id"))];
    let told = run(loads, &[(2, 100)]);
    assert!(told.values.iter().all(|batch| batch.load == 2));
    let responses: usize = told.values.iter().map(|batch| batch.responses().count()).sum();
    assert_eq!(responses as u64, told.of(2, 0).completed);
    assert!(responses > 0);
}

#[test]
fn broken_and_missing_targets_fail_as_those_of_other_loads() {
    let closing = Server::start(|_| vec![server::Step::Close]);
    let told = run(journey(closing.addr, vec![(1, 5, vec![step("/")])]), &[(2, 100)]);
    assert_eq!(told.errors(0, 0)[0].0, "closed");
    let hanging = Server::start(|_| vec![server::Step::Hang]);
    let mut loads = journey(hanging.addr, vec![(1, 0, vec![step("/")])]);
    loads[0].timeout = Duration::from_millis(60);
    let told = run(loads, &[(2, 100)]);
    assert_eq!(told.errors(0, 0)[0].0, "timeout");
    assert!(told.of(0, 0).response.min() >= 59_000);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = run(journey(nobody, vec![(1, 0, vec![step("/")])]), &[(2, 100)]);
    let errors = told.errors(0, 0);
    assert_eq!(errors[0].0, "connect_refused");
    // A user tries again after 10 ms at the earliest.
    assert!((2..=24).contains(&errors[0].1), "{errors:?}");
}

#[test]
fn a_connection_that_the_target_closed_between_two_steps_is_made_anew() {
    let server = Server::start(|_| vec![ok("x"), server::Step::Close]);
    let told = run(journey(server.addr, vec![(1, 20, vec![step("/")])]), &[(1, 200)]);
    let whole = told.of(0, 0);
    assert_eq!((whole.failed, whole.connections_opened), (0, whole.completed));
    assert!(whole.completed > 3);
}

#[test]
fn an_abort_ends_at_once_and_counts_what_was_in_flight() {
    let server = Server::start(|_| vec![server::Step::Hang]);
    let loads = journey(server.addr, vec![(1, 0, vec![step("/")])]);
    let mut rig = Rig::start(loads, 1);
    rig.push(0, 10_000, None, arrivals(5, 2));
    let server_has_all = || server.seen.requests.load(Ordering::SeqCst) == 5;
    rig.until(|told| !told.slices.is_empty() && server_has_all());
    let begun = Instant::now();
    let told = rig.abort();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((told.of(0, 0).aborted, told.of(1, 0).aborted), (5, 5));
}

#[test]
fn an_open_ended_phase_ends_when_told() {
    let server = shop();
    let mut rig = Rig::start(journey(server.addr, vec![(1, 1, vec![step("/")])]), 1);
    rig.push(0, 10_000, None, arrivals(2, 2));
    rig.until(|told| {
        told.slices
            .iter()
            .any(|slice| slice.load == 0 && slice.completed > 5)
    });
    let now_us = rig.now_us();
    rig.generator.end_phase(0, now_us).unwrap();
    rig.until(|told| told.ended.len() == 2);
    let told = rig.finish();
    assert!(told.slices.iter().all(|slice| slice.end_us < now_us + 1_000_000));
}

#[test]
fn users_that_only_a_later_phase_wants_come_to_those_who_are_there() {
    let server = shop();
    let routes = vec![(1, 2, vec![step("/a")]), (1, 2, vec![step("/b")])];
    let mut rig = Rig::start(journey(server.addr, routes), 1);
    rig.push(0, 10_000, None, arrivals(2, 3));
    rig.until(|told| {
        told.slices
            .iter()
            .any(|slice| slice.load == 0 && slice.completed > 5)
    });
    let now_us = rig.now_us();
    rig.generator.end_phase(0, now_us).unwrap();
    rig.push(1, now_us, Some(now_us + 200_000), arrivals(6, 3));
    let told = rig.finish();
    let opened = |load, phase| told.of(load, phase).connections_opened;
    assert_eq!((opened(0, 0), opened(0, 1)), (2, 4));
    assert_eq!(
        (opened(1, 0), opened(2, 0), opened(1, 1), opened(2, 1)),
        (1, 1, 2, 2)
    );
    assert_eq!(told.of(0, 1).failed, 0);
}

#[test]
fn a_step_that_cannot_be_written_is_refused_before_anything_starts() {
    let mut bad = step("/");
    bad.request.headers.push(("a b".into(), "c".into()));
    let loads = journey(SocketAddr::from(([127, 0, 0, 1], 9)), vec![(1, 0, vec![bad])]);
    let (reports, _keep) = crossbeam_channel::unbounded();
    let options = squall_load::Options {
        threads: 1,
        cpus: None,
        epoch: Instant::now(),
        reports,
    };
    let error = squall_load::Generator::start(loads, &options).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("preparing the request of load `shoppers`: step `/`: the header"),
        "{error}"
    );
}

/// What the test below looks at from outside: in a process of its own, a journey and what is left of it.
#[test]
#[ignore = "a part of `goose_prints_writes_and_leaves_nothing`, which starts it"]
fn alone() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
        };
        tasks.map(name).collect::<Vec<_>>()
    };
    let server = shop();
    let before = threads().len();
    let steps = vec![login(), with_token("/basket")];
    let told = run(journey(server.addr, vec![(1, 1, steps)]), &[(5, 100), (8, 100)]);
    assert!(told.of(0, 1).completed > 10);
    // The server's threads end once they have seen that their connections are closed.
    let deadline = Instant::now() + Duration::from_secs(5);
    while threads().len() > before + 1 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let left = threads();
    assert_eq!(left.len(), before + 1, "{left:?}");
    assert!(left.iter().any(|name| name.trim() == "ctrl-c"), "{left:?}");
    assert!(!left.iter().any(|name| name.starts_with("squall")), "{left:?}");
}

#[test]
fn goose_prints_writes_and_leaves_nothing() {
    let folder = std::env::temp_dir().join(format!("squall-journey-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journey::alone", "--ignored", "--nocapture"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let files = std::fs::read_dir(&folder).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr),
    );
    assert!(child.status.success(), "{out}{err}");
    let of_the_tests =
        |line: &&str| line.is_empty() || line.starts_with("running ") || line.starts_with("test ");
    let printed: Vec<&str> = out.lines().filter(|line| !of_the_tests(line)).collect();
    assert!(printed.is_empty() && err.is_empty(), "{printed:?} {err:?}");
    assert!(out.contains("1 passed"), "{out}");
    assert_eq!(files, 0);
}

#[test]
fn pauses_are_kept_and_differ_from_user_to_user() {
    let server = shop();
    let mut loads = journey(server.addr, vec![(1, 0, vec![step("/a"), step("/b")])]);
    let squall_load::journey::Part::Journey(made) = loads[0].protocol.part() else {
        panic!("it is a journey");
    };
    let mut made = made.clone();
    made.routes[0].think = Some(Think::Uniform {
        from: Duration::from_millis(40),
        to: Duration::from_millis(80),
    });
    loads[0].protocol = Arc::new(made);
    let told = run(loads, &[(4, 300)]);
    // A user asks at 0, 40 to 80, 80 to 160 ms and so on: between 4 and 8 times, less where the machine is slow.
    let completed = told.of(0, 0).completed;
    assert!((8..=4 * 8).contains(&completed), "{completed}");
}
