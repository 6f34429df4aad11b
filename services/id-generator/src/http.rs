//! The service's requests.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /id` | `{"id":"..."}` |
//! | `GET /ids?count=N` | `{"ids":["...",...]}`, N from 1 to 10,000, increasing |
//!
//! Ids are strings: they exceed the 2^53 that a JSON number keeps in JavaScript. Every error is `{"error":"..."}`.
//! A handler never blocks its thread: it waits as the generator says, by yielding or by the runtime's timer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use squall_service_kit::answer::{error, json};

use crate::clock::Clock;
use crate::error::GenerateError;
use crate::generator::{Attempt, Generator, Ids, Wait};
use crate::report::Report;

/// The most ids one request may ask for.
const COUNT_MAX: u16 = 10_000;
/// An id in JSON: up to 19 digits, two quotes and a comma.
const ID_JSON_MAX: usize = 22;

struct Service<C> {
    generator: Generator<C>,
    report: Arc<Report>,
}

/// The service's routes.
pub fn router<C: Clock + 'static>(generator: Generator<C>, report: Arc<Report>) -> Router {
    Router::new()
        .route("/id", get(one::<C>))
        .route("/ids", get(many::<C>))
        .fallback(async || {
            error(
                StatusCode::NOT_FOUND,
                "no such path; there are /id and /ids?count=N",
            )
        })
        .method_not_allowed_fallback(async || error(StatusCode::METHOD_NOT_ALLOWED, "use GET"))
        .with_state(Arc::new(Service { generator, report }))
}

async fn one<C: Clock + 'static>(State(service): State<Arc<Service<C>>>) -> Response {
    match service.take(1).await {
        Ok(ids) => {
            let mut body = String::with_capacity(32);
            body.push_str("{\"id\":\"");
            body.push_str(itoa::Buffer::new().format(ids.first));
            body.push_str("\"}");
            json(StatusCode::OK, body)
        }
        Err(error) => service.refuse(&error),
    }
}

async fn many<C: Clock + 'static>(
    State(service): State<Arc<Service<C>>>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(count) = count(query.as_deref()) else {
        return error(
            StatusCode::BAD_REQUEST,
            "count must be a whole number from 1 to 10000, as in /ids?count=100",
        );
    };
    let mut body = String::with_capacity(usize::from(count) * ID_JSON_MAX + 16);
    body.push_str("{\"ids\":[");
    let mut left = count;
    while left > 0 {
        let ids = match service.take(left).await {
            Ok(ids) => ids,
            // Those already taken are lost, which costs gaps and no duplicate.
            Err(error) => return service.refuse(&error),
        };
        left -= ids.count;
        for id in ids.iter() {
            body.push('"');
            body.push_str(itoa::Buffer::new().format(id));
            body.push_str("\",");
        }
    }
    body.pop();
    body.push_str("]}");
    json(StatusCode::OK, body)
}

impl<C: Clock> Service<C> {
    async fn take(&self, want: u16) -> Result<Ids, GenerateError> {
        loop {
            match self.generator.try_take(want)? {
                Attempt::Taken(ids) => {
                    self.report.ids.inc_by(ids.count.into());
                    return Ok(ids);
                }
                Attempt::Wait(Wait::Sleep(length)) => tokio::time::sleep(length).await,
                Attempt::Wait(Wait::Wall { .. } | Wait::Pace) => tokio::task::yield_now().await,
            }
        }
    }

    fn refuse(&self, refusal: &GenerateError) -> Response {
        let status = match refusal {
            GenerateError::ClockMovedBackward
            | GenerateError::ClockStandsStill
            | GenerateError::ClockBeyondLayout => {
                self.report.rejected.inc();
                StatusCode::SERVICE_UNAVAILABLE
            }
            GenerateError::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        error(status, &refusal.to_string())
    }
}

/// The number in `count=NUMBER`, if it is one that may be asked for.
fn count(query: Option<&str>) -> Option<u16> {
    let given = query?.split('&').find_map(|pair| pair.strip_prefix("count="))?;
    given.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count))
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn a_count_is_a_whole_number_within_bounds() {
        let cases = [
            (Some("count=1"), Some(1)),
            (Some("count=10000"), Some(10_000)),
            (Some("x=1&count=7"), Some(7)),
            (Some("count=0"), None),
            (Some("count=10001"), None),
            (Some("count=99999999"), None),
            (Some("count=-1"), None),
            (Some("count=1.5"), None),
            (Some("count="), None),
            (Some("counts=1"), None),
            (None, None),
        ];
        for (query, expected) in cases {
            assert_eq!(count(query), expected, "{query:?}");
        }
    }
}
