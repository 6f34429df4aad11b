//! Values read out of responses.

use squall_load::{Extraction, Place};
use squall_model::observation::ObservedBatch;

use crate::rig::{load, open, run};
use crate::server::{Server, Step, ok};

pub(crate) fn extraction(pointer: &str, each: bool) -> Extraction {
    let pointer = pointer.parse().unwrap();
    if each {
        Extraction::Each(pointer)
    } else {
        Extraction::One(Place::Json(pointer))
    }
}

#[test]
fn values_arrive_per_response_with_its_times() {
    let server = Server::start(|number| {
        let first = number * 3;
        vec![ok(&format!(
            r#"{{"count": 3, "ids": ["{first}", "{}", "{}"], "by": "n1"}}"#,
            first + 1,
            first + 2
        ))]
    });
    let mut spec = load("a", server.addr);
    (spec.connections, spec.extract) = (1, vec![extraction("/ids", true), extraction("/by", false)]);
    let told = run(spec, open(200.0), 100);
    assert_eq!((told.of(0, 0).completed, told.of(0, 0).failed), (20, 0));
    let mut seen = Vec::new();
    let mut last_us = 0;
    for response in told.read(0) {
        assert!(last_us <= response.sent_us && response.sent_us <= response.received_us);
        last_us = response.received_us;
        seen.extend_from_slice(response.integers);
    }
    let by: Vec<&str> = told.read(1).flat_map(|response| response.texts).collect();
    assert_eq!(by, ["n1"; 20]);
    assert_eq!(seen, (0..60).collect::<Vec<u64>>());
}

#[test]
fn an_answer_without_one_of_the_things_gives_none_of_them() {
    let server = Server::start(|number| {
        let body = if number % 2 == 0 {
            r#"{"id": 1, "by": "n1"}"#
        } else {
            r#"{"id": 2}"#
        };
        vec![ok(body)]
    });
    let mut spec = load("a", server.addr);
    (spec.connections, spec.extract) = (1, vec![extraction("/id", false), extraction("/by", false)]);
    let told = run(spec, open(200.0), 50);
    assert_eq!(told.errors(0, 0), [("extract".into(), 5)]);
    let ids: Vec<u64> = told
        .read(0)
        .flat_map(|response| response.integers)
        .copied()
        .collect();
    assert_eq!(ids, [1; 5]);
    assert_eq!(told.read(1).count(), 5);
}

#[test]
fn a_body_without_the_value_is_a_failed_request() {
    let bodies = [
        r#"{"id": 1}"#,
        r#"{"error": "no"}"#,
        "<html>",
        "",
        r#"{"id": "2"}"#,
    ];
    let server = Server::start(move |number| vec![ok(bodies[number % bodies.len()])]);
    let mut spec = load("a", server.addr);
    (spec.connections, spec.extract) = (1, vec![extraction("/id", false)]);
    let told = run(spec, open(200.0), 50);
    assert_eq!(told.of(0, 0).completed, 10);
    assert_eq!(told.errors(0, 0), [("extract".into(), 6)]);
    let values: Vec<u64> = told
        .values
        .iter()
        .flat_map(ObservedBatch::responses)
        .flat_map(|r| r.integers)
        .copied()
        .collect();
    assert_eq!(values, [1, 2, 1, 2]);
    assert!(
        told.of(0, 0)
            .examples
            .iter()
            .all(|(_, text)| text.starts_with("/id: "))
    );
}

#[test]
fn values_of_a_large_body_in_many_reads_are_all_found() {
    let ids: Vec<String> = (0..60_000_u64)
        .map(|id| format!("\"{}\"", 7_241_958_301_756_297_216 + id))
        .collect();
    let body = format!("[{}]", ids.join(","));
    let server = Server::start(move |_| vec![ok(&body)]);
    let mut spec = load("a", server.addr);
    spec.extract = vec![extraction("", true)];
    let told = run(spec, open(100.0), 10);
    assert_eq!((told.of(0, 0).completed, told.of(0, 0).failed), (1, 0));
    assert_eq!(
        told.values.iter().map(ObservedBatch::values).sum::<usize>(),
        60_000
    );
}

#[test]
fn values_are_read_from_header_fields_and_by_pattern() {
    let answer = "HTTP/1.1 200 OK\r\nX-Id: 41\r\nContent-Length: 12\r\n\r\n<b id=\"42\"/>";
    // Whole in one read, and in pieces.
    for step in [Step::Send(answer.into()), Step::Trickle(answer.into())] {
        let server = Server::start(move |_| vec![step.clone()]);
        let mut spec = load("a", server.addr);
        spec.extract = vec![
            Extraction::One(Place::Header("x-id".into())),
            Extraction::One(Place::Regex(r#"id="(\d+)""#.parse().unwrap())),
        ];
        let told = run(spec, open(100.0), 20);
        assert_eq!((told.of(0, 0).completed, told.of(0, 0).failed), (2, 0));
        let read = |reading| told.read(reading).map(|response| response.integers[0]);
        assert_eq!(read(0).collect::<Vec<_>>(), [41, 41]);
        assert_eq!(read(1).collect::<Vec<_>>(), [42, 42]);
    }
}
