//! The wall clock, for the one thing that it decides: which time a person is shown beside a change.
//!
//! No version, no order, no timeout and no limit may ever come from here: a clock that is stepped must change nothing but
//! these times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// As Nacos 1.x writes a time in JSON.
const JSON: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
/// As HTTP does.
const HTTP: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Milliseconds since 1970, as the machine has it; 0 before.
#[expect(
    clippy::disallowed_methods,
    reason = "the times that people are shown beside a change are the wall clock's; nothing is decided by them"
)]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_millis() as u64
}

/// `2010-05-04T16:00:00.000+0000`.
pub fn in_json(at_ms: u64) -> String {
    formatted(at_ms, JSON)
}

/// `Tue, 04 May 2010 16:00:00 GMT`.
pub fn in_http(at_ms: u64) -> String {
    formatted(at_ms, HTTP)
}

fn formatted(at_ms: u64, format: &[BorrowedFormatItem<'_>]) -> String {
    let at = OffsetDateTime::UNIX_EPOCH.checked_add(time::Duration::milliseconds(at_ms as i64));
    at.and_then(|at| at.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{in_http, in_json};

    #[test]
    fn times_are_written_as_nacos_and_http_do() {
        let at_ms = 1_272_988_800_000;
        assert_eq!(in_json(at_ms), "2010-05-04T16:00:00.000+0000");
        assert_eq!(in_http(at_ms), "Tue, 04 May 2010 16:00:00 GMT");
    }
}
