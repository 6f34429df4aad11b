//! Plug-ins, sound and unsound, behind the router.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{FAILURES_MAX, PluginError, PluginFailure};
use crate::route::{Event, Observe, Route, RouteReason, RouteRequest, RouteTable, Router, RouterOptions};

const CANARY: &str = include_str!("../../plugins/canary.wat");
const LOOPS: &str = include_str!("../../plugins/loops.wat");
const TRAPS: &str = include_str!("../../plugins/traps.wat");
const NONSENSE: &str = include_str!("../../plugins/nonsense.wat");
const BIG: &str = include_str!("../../plugins/big.wat");

/// What was told, as texts.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Observe for Told {
    fn note(&self, event: &Event<'_>) {
        self.0.lock().expect("no test panicked").push(match event {
            Event::PluginFailed { failure, .. } => failure.as_str().to_owned(),
            Event::PluginRefused { number, .. } => format!("refused {number}"),
            Event::PluginSwapped { number } => format!("swapped {number}"),
            Event::PluginQuarantined { number } => format!("quarantined {number}"),
            Event::PluginRemoved { number } => format!("removed {number}"),
            other => format!("{other:?}"),
        });
    }
}

impl Told {
    /// What was told since the last look, and how often in a row.
    fn take(&self) -> String {
        let told = std::mem::take(&mut *self.0.lock().expect("no test panicked"));
        let runs = told.chunk_by(|one, next| one == next);
        let runs: Vec<_> = runs.map(|run| format!("{} x{}", run[0], run.len())).collect();
        runs.join(", ")
    }
}

fn clusters() -> BTreeSet<Arc<str>> {
    ["svc-v1", "svc-v2"].into_iter().map(Arc::from).collect()
}

fn router(region: &str) -> (Router, Arc<Told>) {
    let told = Arc::new(Told::default());
    let options = RouterOptions {
        seed: 7,
        metadata: BTreeMap::from([("region".to_owned(), region.to_owned())]),
        observe: Arc::clone(&told) as Arc<dyn Observe>,
        ..RouterOptions::default()
    };
    let table = RouteTable::to("svc-v1", &clusters()).expect("a known cluster");
    (Router::new(table, options).expect("buckets in memory"), told)
}

fn route(router: &Router, fields: &[(&'static str, &str)]) -> Route {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).expect("a valid value"));
    }
    let request = RouteRequest {
        method: "GET",
        path: "/feed?page=2",
        headers: &headers,
    };
    match pin!(router.route(&request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(route) => route,
        Poll::Pending => panic!("a route that must be ready at once is not"),
    }
}

/// How many of these users go to the second cluster, and that each goes there always or never.
fn users_of_second(router: &Router, users: u32) -> BTreeSet<u32> {
    let goes = |user: u32| &*route(router, &[("x-user-id", &user.to_string())]).cluster == "svc-v2";
    let second: BTreeSet<u32> = (0..users).filter(|user| goes(*user)).collect();
    let again: BTreeSet<u32> = (0..users).filter(|user| goes(*user)).collect();
    assert_eq!(second, again, "a user goes where it went before");
    second
}

/// A plug-in of one body, for what is written in a line.
fn plugin(body: &str) -> String {
    format!(
        r#"(module
            (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
            (import "squall_route_1" "metadata" (func $metadata (param i32 i32 i32 i32) (result i32)))
            (import "squall_route_1" "method" (func $method (param i32 i32) (result i32)))
            (import "squall_route_1" "path" (func $path (param i32 i32) (result i32)))
            (import "squall_route_1" "target" (func $target (param i32 i32 f64)))
            (memory (export "memory") 1)
            (data (i32.const 0) "svc-v2")
            (data (i32.const 16) "X-Env")
            (func (export "route") {body}))"#
    )
}

/// What is 35 % of `users`, give or take six standard deviations.
fn is_35_percent(users: u32, count: usize) -> bool {
    let (users, share) = (f64::from(users), 0.35);
    (count as f64 - users * share).abs() <= 6.0 * (users * share * (1.0 - share)).sqrt()
}

#[test]
fn the_canary_sends_gray_requests_and_a_share_of_users_to_the_new_version() {
    let (router, told) = router("shanghai");
    router.apply_plugin(CANARY.as_bytes()).expect("it is sound");
    let gray = route(&router, &[("x-env", "gray"), ("x-user-id", "7")]);
    assert_eq!((&*gray.cluster, gray.reason), ("svc-v2", RouteReason::Plugin));
    let users = 10_000;
    let second = users_of_second(&router, users);
    assert!(is_35_percent(users, second.len()), "{} of {users}", second.len());
    assert_eq!(told.take(), "swapped 1 x1");

    let (elsewhere, _) = self::router("beijing");
    elsewhere.apply_plugin(CANARY.as_bytes()).expect("it is sound");
    assert_eq!(users_of_second(&elsewhere, 1_000), BTreeSet::new());
    let rest = route(&elsewhere, &[("x-env", "grey")]);
    assert_eq!((&*rest.cluster, rest.reason), ("svc-v1", RouteReason::Default));
}

#[test]
fn requests_without_a_user_are_drawn_one_by_one() {
    let (router, _) = router("shanghai");
    router.apply_plugin(CANARY.as_bytes()).expect("it is sound");
    let requests = 10_000;
    let goes = |_: &u32| &*route(&router, &[]).cluster == "svc-v2";
    let second = (0..requests).filter(goes).count();
    assert!(is_35_percent(requests, second), "{second} of {requests}");
}

#[test]
fn who_was_sent_to_the_new_version_stays_there_when_its_weight_grows() {
    let (router, _) = router("");
    let mut before = BTreeSet::new();
    for weight in ["0.01", "0.1", "0.5", "1"] {
        let body = format!("(call $target (i32.const 0) (i32.const 6) (f64.const {weight}))");
        router
            .apply_plugin(plugin(&body).as_bytes())
            .expect("it is sound");
        let now = users_of_second(&router, 1_000);
        assert!(before.is_subset(&now) && before.len() < now.len());
        before = now;
    }
    assert_eq!(before.len(), 1_000);
}

#[test]
fn a_plug_in_is_taken_as_text_as_binary_and_in_base64() {
    let binary = wat::parse_str(CANARY).expect("valid text");
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes).into_bytes();
    let mut lines = base64(&binary);
    lines.insert(40, b'\n');
    for source in [
        CANARY.as_bytes(),
        &binary,
        &base64(&binary),
        &base64(CANARY.as_bytes()),
        &lines,
    ] {
        let (router, _) = router("");
        router.apply_plugin(source).expect("it is sound");
        assert_eq!(route(&router, &[("x-env", "gray")]).reason, RouteReason::Plugin);
    }
}

#[test]
fn failures_lead_where_the_table_says_and_come_into_quarantine() {
    let check = |source: &str, requests: u32, what: Expect| {
        let (router, told) = router("");
        router
            .apply_plugin(source.as_bytes())
            .expect("its defect shows only later");
        for user in 0..requests {
            let routed = route(&router, &[("x-user-id", &user.to_string())]);
            assert_eq!(
                (&*routed.cluster, routed.reason),
                ("svc-v1", RouteReason::Default)
            );
        }
        what.assert_eq(&told.take());
    };
    check(LOOPS, 12, expect!["swapped 1 x1, fuel x10, quarantined 1 x1"]);
    check(TRAPS, 12, expect!["swapped 1 x1, trap x10, quarantined 1 x1"]);
    check(
        NONSENSE,
        12,
        expect!["swapped 1 x1, cluster x3, weight x4, pointer x3, quarantined 1 x1"],
    );
    // An instance that failed is thrown away, so each leaks anew: 15 pages beside the first are allowed.
    check(BIG, 40, expect!["swapped 1 x1, memory x2"]);
}

#[test]
fn quarantine_ends_with_the_next_push_and_needs_failures_in_a_row() {
    let (router, told) = router("");
    router
        .apply_plugin(TRAPS.as_bytes())
        .expect("its defect shows only later");
    for round in 0..=FAILURES_MAX {
        for _ in 1..FAILURES_MAX {
            route(&router, &[("x-user-id", "7")]);
        }
        assert!(told.take().ends_with("trap x9"), "in round {round}");
        route(&router, &[]);
    }
    for _ in 0..=FAILURES_MAX {
        route(&router, &[("x-user-id", "7")]);
    }
    assert_eq!(told.take(), "trap x10, quarantined 1 x1");
    router.apply_plugin(CANARY.as_bytes()).expect("it is sound");
    assert_eq!(route(&router, &[("x-env", "gray")]).reason, RouteReason::Plugin);
    router.remove_plugin();
    router.remove_plugin();
    assert_eq!(route(&router, &[("x-env", "gray")]).reason, RouteReason::Default);
    assert_eq!(told.take(), "swapped 2 x1, removed 2 x1");
}

/// What is told of a plug-in that is refused, and that the one before stays in force.
fn refused(source: &[u8], why: &Expect) {
    let (router, told) = router("");
    router.apply_plugin(CANARY.as_bytes()).expect("it is sound");
    let error = router.apply_plugin(source).expect_err("it is unsound");
    why.assert_eq(&error.to_string());
    assert_eq!(route(&router, &[("x-env", "gray")]).reason, RouteReason::Plugin);
    assert_eq!(told.take(), "swapped 1 x1, refused 2 x1");
}

#[test]
fn what_is_no_sound_module_is_refused_and_what_was_in_force_stays() {
    let text = |text: &str, why: Expect| refused(text.as_bytes(), &why);
    text(
        "",
        expect!["is neither a WebAssembly module, nor its text, nor either in base64: it is empty"],
    );
    text(
        "(module",
        expect![[r"
            cannot be read as WebAssembly text: expected `)`
                 --> <anon>:1:8
                  |
                1 | (module
                  |        ^"]],
    );
    text(
        "(module (func (export \"route\")))",
        expect!["does not export memory: its memory"],
    );
    text(
        "(module (memory (export \"memory\") 1))",
        expect!["does not export route: a function without parameters and results"],
    );
    text(
        "(module (memory (export \"memory\") 1) (func (export \"route\") (param i32)))",
        expect!["does not export route: a function without parameters and results"],
    );
    text(
        "(module (import \"env\" \"print\" (func)))",
        expect!["imports env.print; there are header, metadata, method, path, target of squall_route_1"],
    );
    text(
        "(module (import \"squall_route_1\" \"target\" (func (param i32))) (memory (export \"memory\") 1) (func (export \"route\")))",
        expect![
            "is no module that can be used: imported function (squall_route_1,target) type mismatch. expected FuncType { core: FuncType { params: [I32], results: [] } } but found FuncType { core: FuncType { params: [I32, I32, F64], results: [] } }"
        ],
    );
    text(
        "(module (memory (export \"memory\") 1) (func $f (export \"route\")) (start $f))",
        expect!["has a start function; set up what you need when you are first called"],
    );
    text(
        "(module (memory (export \"memory\") 17) (func (export \"route\")))",
        expect![
            "is no module that can be used: failed to instantiate memory: a resource limiter denied to allocate or grow the linear memory"
        ],
    );
    text(
        "(module (table 1025 funcref) (memory (export \"memory\") 1) (func (export \"route\")))",
        expect![
            "is no module that can be used: failed to instantiate table: a resource limiter denied to allocate or grow the table"
        ],
    );
    text(
        "(module (memory (export \"memory\") 1 1) (memory 1) (func (export \"route\")))",
        expect!["is no module that can be used: multiple memories (at offset 0x14)"],
    );
}

#[test]
fn what_fails_on_the_simplest_request_is_refused() {
    let text = |text: &str, why: Expect| refused(text.as_bytes(), &why);
    text(
        &plugin("(loop $l (br $l))"),
        expect!["failed on a GET of / without headers: it used up its fuel"],
    );
    text(
        &plugin("(call $target (i32.const 0) (i32.const 6) (f64.const -0.1))"),
        expect!["failed on a GET of / without headers: its weight is not from 0 to 1"],
    );
    text(
        &plugin("(call $target (i32.const 0) (i32.const 5) (f64.const 0.1))"),
        expect!["failed on a GET of / without headers: it named a cluster that there is not"],
    );
    text(
        &plugin("(drop (call $path (i32.const 65535) (i32.const 2)))"),
        expect!["failed on a GET of / without headers: it pointed outside of its memory"],
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let text = |text: &str, why: Expect| refused(text.as_bytes(), &why);
    text(
        &format!("(module {})", "(func)".repeat(1_001)),
        expect!["has 1001 functions; at most 1000 are allowed"],
    );
    text(
        &format!(
            "(module (memory 5) (data (i32.const 0) \"{}\"))",
            "a".repeat(300_000)
        ),
        expect!["has 300025 bytes as a module; at most 262144 are allowed"],
    );
    refused(
        &vec![b'('; 2 << 20],
        &expect!["has 2097152 bytes; at most 1048576 are allowed"],
    );
    refused(
        b"\0asm\x01\0\0\0\xff\xff\xff",
        &expect!["is no module that can be used: malformed section id (at offset 0x8)"],
    );
}

#[test]
fn a_plug_in_reads_what_there_is_and_is_told_what_there_is_not() {
    let (router, _) = router("");
    // Its weight is 1 only if all of what it reads is as it should be.
    let check = |what: &str, body: &str| {
        let body = format!("(call $target (i32.const 0) (i32.const 6) (f64.convert_i32_u {body}))");
        router
            .apply_plugin(plugin(&body).as_bytes())
            .expect("it is sound");
        let routed = route(&router, &[("x-env", "a"), ("x-env", "long value")]);
        assert_eq!(routed.reason, RouteReason::Plugin, "{what}");
    };
    check(
        "the first value of a header, named in any case",
        "(i32.and (i32.eq (call $header (i32.const 16) (i32.const 5) (i32.const 64) (i32.const 8)) (i32.const 1))
                  (i32.eq (i32.load8_u (i32.const 64)) (i32.const 97)))",
    );
    check(
        "a header that there is not",
        "(i32.eq (call $header (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 8)) (i32.const -1))",
    );
    check(
        "metadata that there is not",
        "(i32.eq (call $metadata (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 8)) (i32.const -1))",
    );
    check(
        "the path without its query, as long as it is, in as much room as there is",
        "(i32.and (i32.eq (call $path (i32.const 65534) (i32.const 2)) (i32.const 5))
                  (i32.eq (i32.load16_u (i32.const 65534)) (i32.const 0x662f)))",
    );
    check(
        "the method",
        "(i32.eq (call $method (i32.const 0) (i32.const 0)) (i32.const 3))",
    );
}

#[test]
fn swaps_under_way_never_leave_a_request_without_an_answer() {
    let (router, told) = router("");
    let sources = [
        plugin("(call $target (i32.const 0) (i32.const 6) (f64.const 1))"),
        plugin(""),
    ];
    std::thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            for push in 0..40 {
                router
                    .apply_plugin(sources[push % 2].as_bytes())
                    .expect("it is sound");
            }
        });
        let mut seen = BTreeSet::new();
        while !pusher.is_finished() {
            seen.insert(route(&router, &[]).reason);
        }
        assert_eq!(seen, BTreeSet::from([RouteReason::Default, RouteReason::Plugin]));
    });
    let told = told.take();
    assert!(
        !told.contains("refused")
            && PluginFailure::ALL
                .iter()
                .all(|kind| !told.contains(kind.as_str()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_a_plug_in_that_works_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let (router, _) = router("");
        let source = if magic { [b"\0asm\x01\0\0\0", &*bytes].concat() } else { bytes };
        let _: Result<(), PluginError> = router.apply_plugin(&source);
        prop_assert!(clusters().contains(&route(&router, &[("x-user-id", "1")]).cluster));
    }

    #[test]
    fn a_sound_plug_in_with_changed_bytes_is_one_that_works_or_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut binary = wat::parse_str(NONSENSE).expect("valid text");
        for (at, byte) in changes {
            let at = at.index(binary.len());
            binary[at] = byte;
        }
        let (router, _) = router("");
        let _: Result<(), PluginError> = router.apply_plugin(&binary);
        for user in ["", "0", "3", "5", "9"] {
            prop_assert!(clusters().contains(&route(&router, &[("x-user-id", user)]).cluster));
        }
    }
}
