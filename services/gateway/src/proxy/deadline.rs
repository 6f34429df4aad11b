//! How long a request may take.
//!
//! The least of the cluster's deadline and what the client asks for: `x-envoy-upstream-rq-timeout-ms`, as Envoy has it, or `grpc-timeout`.
//! A client can't ask for more than the cluster gives. What is left is told to the endpoint, for each attempt anew, in
//! `x-envoy-expected-rq-timeout-ms`, and in `grpc-timeout` where that was given.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

const ASKED: HeaderName = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");
const TOLD: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const GRPC: HeaderName = HeaderName::from_static("grpc-timeout");

/// When a request must have been answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// That moment.
    pub at: Instant,
    /// Whether the client asked for less than the cluster gives. Then being late says little about the endpoint.
    pub by_client: bool,
    grpc: bool,
}

impl Deadline {
    /// The deadline of a request that came at `now` to a cluster that gives it `longest`. The client's wish is taken out of the headers.
    pub fn of(headers: &mut HeaderMap, longest: Duration, now: Instant) -> Self {
        let grpc = headers.remove(GRPC).and_then(|value| grpc_timeout(&value));
        let asked = headers.remove(ASKED).and_then(|value| milliseconds(&value));
        let wished = [grpc, asked].into_iter().flatten().min();
        let length = wished.map_or(longest, |wished| wished.min(longest));
        Self {
            at: now + length,
            by_client: length < longest,
            grpc: grpc.is_some(),
        }
    }

    /// Tells an endpoint what is left until `until`.
    pub fn tell(&self, headers: &mut HeaderMap, until: Instant, now: Instant) {
        let left_ms = until.saturating_duration_since(now).as_millis().max(1) as u64;
        headers.insert(TOLD, HeaderValue::from(left_ms));
        if self.grpc {
            // At most eight digits: some 27 hours, and no deadline is longer than one.
            let value = HeaderValue::try_from(format!("{left_ms}m")).expect("digits and a letter");
            headers.insert(GRPC, value);
        }
    }
}

/// Whole milliseconds, at least one. What is not a number is not a wish.
fn milliseconds(value: &HeaderValue) -> Option<Duration> {
    let ms: u64 = value.to_str().ok()?.parse().ok()?;
    (ms > 0).then(|| Duration::from_millis(ms))
}

/// gRPC's: at most eight digits and one of `H M S m u n`.
fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::{HeaderMap, HeaderValue};
    use tokio::time::Instant;

    use super::{ASKED, Deadline, GRPC, TOLD};

    /// The deadline in milliseconds of a cluster that gives two seconds.
    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], expected_ms: u64, by_client: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let now = Instant::now();
        let deadline = Deadline::of(&mut headers, Duration::from_secs(2), now);
        assert_eq!(deadline.at - now, Duration::from_millis(expected_ms));
        assert_eq!(deadline.by_client, by_client);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn a_client_can_ask_for_less_and_not_for_more() {
        check(&[], 2_000, false);
        check(&[("x-envoy-upstream-rq-timeout-ms", "300")], 300, true);
        check(&[("x-envoy-upstream-rq-timeout-ms", "3000")], 2_000, false);
        check(&[("grpc-timeout", "1S")], 1_000, true);
        check(&[("grpc-timeout", "99999999H")], 2_000, false);
        check(
            &[
                ("grpc-timeout", "500m"),
                ("x-envoy-upstream-rq-timeout-ms", "700"),
            ],
            500,
            true,
        );
    }

    #[test]
    fn what_is_no_time_is_no_wish() {
        for wrong in ["", "soon", "-5", "0"] {
            check(&[("x-envoy-upstream-rq-timeout-ms", wrong)], 2_000, false);
        }
        for wrong in ["", "S", "5", "123456789S", "1x", "\u{7f}"] {
            let mut headers = HeaderMap::new();
            let Ok(value) = HeaderValue::from_str(wrong) else {
                continue;
            };
            headers.insert(GRPC, value);
            let now = Instant::now();
            let deadline = Deadline::of(&mut headers, Duration::from_secs(2), now);
            assert_eq!(deadline.at - now, Duration::from_secs(2), "{wrong}");
        }
    }

    #[test]
    fn an_endpoint_is_told_what_is_left() {
        let mut headers = HeaderMap::new();
        headers.insert(ASKED, HeaderValue::from_static("900"));
        headers.insert(GRPC, HeaderValue::from_static("800m"));
        let now = Instant::now();
        let deadline = Deadline::of(&mut headers, Duration::from_secs(2), now);
        deadline.tell(&mut headers, deadline.at, now + Duration::from_millis(300));
        assert_eq!(headers[TOLD], "500");
        assert_eq!(headers[GRPC], "500m");
        assert_eq!(headers.len(), 2);
    }
}
