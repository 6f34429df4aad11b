//! The admin endpoint, on a listener of its own.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /healthz` | `ok` while the service serves |
//! | `GET /metrics` | every metric, as OpenMetrics 1.0 text |
//! | `GET /events?after=SEQ` | the events numbered above SEQ, a JSON object a line: `seq`, `at_us`, `kind`, `text` |
//! | `GET /pauses?after=SEQ` | likewise the hiccups of 1 ms or more: `seq`, `at_us`, `length_us`, `late_us` |
//!
//! An event that is a change of state also has `transition`, an object with `of`, `from` and `to`.
//!
//! `/pauses` also holds the pauses that a service knows of itself, where it tells of any.
//!
//! The last two keep a bounded number of entries. The header `x-squall-next` is what to pass as `after` next time, and
//! `x-squall-dropped` how many entries after SEQ are no longer kept. Numbers start again at 1 when the process does.
//! `at_us` is `CLOCK_MONOTONIC` in microseconds, comparable across the processes of a machine. A pause began at `at_us` and
//! took `length_us`, which is `late_us`, as measured, corrected for the meter's period ([`crate::hiccup`]).

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use crate::ring::Since;
use crate::telemetry::{Telemetry, Transition};

/// The content type of OpenMetrics 1.0 text.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const NDJSON: &str = "application/x-ndjson";
const NEXT: HeaderName = HeaderName::from_static("x-squall-next");
const DROPPED: HeaderName = HeaderName::from_static("x-squall-dropped");

/// The admin endpoint of a service that reports through `telemetry`.
pub(crate) fn router(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/metrics", get(metrics))
        .route("/events", get(events))
        .route("/pauses", get(pauses))
        .with_state(telemetry)
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> Response {
    match telemetry.encode() {
        Ok(body) => ([(CONTENT_TYPE, OPEN_METRICS)], body).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot encode metrics: {error}"),
        )
            .into_response(),
    }
}

async fn events(State(telemetry): State<Arc<Telemetry>>, RawQuery(query): RawQuery) -> Response {
    let after = match after(query.as_deref()) {
        Ok(after) => after,
        Err(response) => return *response,
    };
    lines(&telemetry.events().ring().since(after), |body, seq, event| {
        let text = serde_json::Value::from(event.text.as_str());
        let (at_us, kind) = (event.at_us, event.kind);
        write!(
            body,
            r#"{{"seq":{seq},"at_us":{at_us},"kind":"{kind}","text":{text}"#
        )?;
        if let Some(Transition { of, from, to }) = &event.transition {
            let transition = json!({"of": of, "from": from, "to": to});
            write!(body, r#","transition":{transition}"#)?;
        }
        writeln!(body, "}}")
    })
}

async fn pauses(State(telemetry): State<Arc<Telemetry>>, RawQuery(query): RawQuery) -> Response {
    let after = match after(query.as_deref()) {
        Ok(after) => after,
        Err(response) => return *response,
    };
    lines(&telemetry.hiccups.listed.since(after), |body, seq, pause| {
        writeln!(
            body,
            r#"{{"seq":{seq},"at_us":{},"length_us":{},"late_us":{}}}"#,
            pause.at_us, pause.length_us, pause.late_us
        )
    })
}

/// The number in `after=NUMBER`, 0 where it is missing.
fn after(query: Option<&str>) -> Result<u64, Box<Response>> {
    let given = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("after="));
    given.map_or(Ok(0), str::parse).map_err(|_| {
        let text = "after must be a whole number: the x-squall-next of the last answer, or 0";
        Box::new((StatusCode::BAD_REQUEST, text).into_response())
    })
}

fn lines<T>(since: &Since<T>, line: impl Fn(&mut String, u64, &T) -> std::fmt::Result) -> Response {
    let mut body = String::new();
    for (seq, entry) in &since.entries {
        line(&mut body, *seq, entry).expect("a string takes any text");
    }
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(NDJSON)),
        (NEXT, HeaderValue::from(since.next)),
        (DROPPED, HeaderValue::from(since.dropped)),
    ];
    (headers, body).into_response()
}
