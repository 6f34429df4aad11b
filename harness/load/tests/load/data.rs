//! Requests whose texts have values, and answers that are held to checks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use squall_load::check::{Statuses, Wanted, WantedJson};
use squall_load::data::{Csv, Feeds, Pick, Sequence, feed_seed};
use squall_load::http1::RequestTemplate;
use squall_load::text::{Escape, Slot, Text};
use squall_load::{Arrivals, Checks, Think};
use squall_model::expression::Operator;
use squall_model::seed::Seed;

use crate::rig::{Rig, load, open, run};
use crate::server::{Server, Step};

/// `before{name}` of a feed's first field.
pub(crate) fn text(before: &str, name: &str, feed: u16) -> Text {
    let mut text = Text::from(before);
    text.push_value(name, Slot::Drawn { feed, field: 0 }, Escape::None);
    text
}

/// `GET /{order}` with a header `X-Item: {item}`; the second item would break the message.
pub(crate) fn template(items: &[u8]) -> RequestTemplate {
    let items = Csv::parse(items).unwrap();
    RequestTemplate {
        headers: vec![("X-Item".into(), text("", "item", 1))],
        feeds: Feeds::new(vec![
            Arc::new(Sequence::new(100)),
            Arc::new(items.rows(Pick::InOrder, feed_seed(Seed::new(7), "item"))),
        ]),
        ..RequestTemplate::get(text("/", "order", 0))
    }
}

/// The path and the item of each request that the target saw.
fn seen(server: &Server) -> Vec<(String, String)> {
    let heads = server.seen.heads.lock().unwrap();
    let one = |head: &String| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let item = head
            .split("X-Item: ")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        (path, item.to_owned())
    };
    heads.iter().map(one).collect()
}

#[test]
fn the_target_sees_each_request_with_its_own_values() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    (spec.connections, spec.protocol) = (1, Arc::new(template(b"item\na b\nc\n")));
    let told = run(spec, open(100.0), 40);
    assert_eq!((told.of(0, 0).completed, told.of(0, 0).failed), (4, 0));
    let expected = [("/100", "a b"), ("/101", "c"), ("/102", "a b"), ("/103", "c")];
    assert_eq!(
        seen(&server),
        expected.map(|(path, item)| (path.into(), item.into()))
    );
}

#[test]
fn a_sequence_has_no_gap_and_no_repeat_over_threads_and_phases() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    spec.protocol = Arc::new(template(b"item\na\n"));
    let mut rig = Rig::start(vec![spec], 3);
    rig.push(0, 20_000, Some(120_000), vec![open(500.0)]);
    let users = Arrivals::Closed {
        users: 5,
        think: Duration::from_millis(5).into(),
    };
    rig.push(1, 120_000, Some(200_000), vec![users]);
    let told = rig.finish();
    let sent = told.of(0, 0).completed + told.of(0, 1).completed;
    assert!(told.of(0, 1).completed > 5);
    let paths: BTreeSet<String> = seen(&server).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        (100..100 + sent).map(|number| format!("/{number}")).collect()
    );
}

#[test]
fn a_request_that_would_break_the_message_fails_and_is_never_sent() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    (spec.connections, spec.protocol) = (2, Arc::new(template(b"item\na\n\"b\r\nEvil: 1\"\n")));
    let told = run(spec.clone(), open(100.0), 60);
    assert_eq!(told.of(0, 0).completed, 6);
    assert_eq!(told.errors(0, 0), [("render".into(), 3)]);
    let examples: BTreeSet<&str> = told
        .of(0, 0)
        .examples
        .iter()
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        examples.into_iter().collect::<Vec<_>>(),
        [r#"the value of {item} is "b\r\nEvil: 1", which a header cannot carry"#]
    );
    assert!(seen(&server).iter().all(|(_, item)| item == "a") && server.requests() == 3);
    // Users go on too, and do not spin.
    let users = Arrivals::Closed {
        users: 1,
        think: Think::NONE,
    };
    spec.protocol = Arc::new(template(b"item\n\"\x01\"\n"));
    let told = run(spec, users, 100);
    let failed = told.of(0, 0).failed;
    assert!(
        (2..=12).contains(&failed),
        "{failed} in 100 ms with pauses of 10 ms"
    );
    assert_eq!(server.requests(), 3);
}

#[test]
fn answers_that_fail_a_check_count_by_its_kind_with_examples() {
    let bodies = [
        (200, r#"{"ok": true}"#),
        (200, r#"{"ok": false}"#),
        (404, r#"{"ok": true}"#),
        (200, r#"{"ok": true, "more": "than there should be"}"#),
        (503, "busy"),
        (200, "<html>"),
    ];
    let server = Server::start(move |number| {
        let (status, body) = bodies[number % bodies.len()];
        let length = body.len();
        vec![Step::Send(
            format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
        )]
    });
    let mut spec = load("a", server.addr);
    let statuses = |from, to| Statuses { from, to };
    let checks = Checks {
        status: vec![statuses(200, 299), statuses(404, 404)],
        json: vec![("/ok".parse().unwrap(), WantedJson::Value(true.into()))],
        size: vec![(Operator::Less, 20)],
        ..Checks::default()
    };
    let request = RequestTemplate {
        checks,
        ..RequestTemplate::get("/")
    };
    (spec.connections, spec.protocol) = (1, Arc::new(request));
    let told = run(spec, open(200.0), 60);
    assert_eq!(told.of(0, 0).completed, 12);
    let expected = [("check_status", 2), ("check_size", 2), ("check_json", 4)];
    assert_eq!(
        told.errors(0, 0),
        expected.map(|(kind, count)| (kind.into(), count))
    );
    let mut examples: Vec<String> = told
        .of(0, 0)
        .examples
        .iter()
        .map(|(kind, text)| format!("{kind}: {text}"))
        .collect();
    examples.sort();
    examples.dedup();
    assert_eq!(
        examples,
        [
            "check_json: wanted /ok true, got false: {\"ok\": false}",
            "check_json: wanted /ok true, got no JSON: expected value at line 1 column 1: <html>",
            "check_size: wanted a size < 20 B, got 44 B: {\"ok\": true, \"more\": \"than there should be\"}",
            "check_status: wanted status 200-299 or 404, got 503: busy",
        ]
    );
}

#[test]
fn checks_see_header_fields_and_bodies_that_come_in_pieces() {
    let answer = b"HTTP/1.1 200 OK\r\nX-Kind: b\r\nContent-Length: 4\r\n\r\nabcd";
    let server = Server::start(move |_| vec![Step::Trickle(answer.to_vec())]);
    let mut spec = load("a", server.addr);
    let checks = Checks {
        headers: vec![("x-kind".into(), Wanted::Text("b".into()))],
        body: Some(Wanted::Pattern("^ab.d$".parse().unwrap())),
        ..Checks::default()
    };
    spec.protocol = Arc::new(RequestTemplate {
        checks,
        ..RequestTemplate::get("/")
    });
    let told = run(spec, open(100.0), 30);
    assert_eq!((told.of(0, 0).completed, told.of(0, 0).failed), (3, 0));
}
