//! `timeout`: bytes are thrown away, and the connection is closed once none came for a time; at 0, never.
//!
//! As in Toxiproxy the time begins anew with each chunk, and a connection whose toxic is removed is closed, since bytes are
//! missing from it. To hold bytes and deliver them later, use a partition.

use std::time::Duration;

use super::{Chunk, Rule, Stop, ToxicKind, ToxicType, Verdict, milliseconds};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "timeout",
    about: "lets nothing through and closes the connection after a time",
};

/// How long a connection stays open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Timeout {
    /// The time; 0 keeps the connection open until the toxic is removed.
    #[serde(with = "milliseconds")]
    pub timeout: Duration,
}

impl From<Timeout> for ToxicKind {
    fn from(it: Timeout) -> ToxicKind {
        ToxicKind::Timeout(it)
    }
}

/// The rule.
pub(super) struct Silence {
    timeout_ns: u64,
    since_ns: u64,
}

impl Silence {
    pub(super) fn new(timeout: Timeout, now_ns: u64) -> Silence {
        Silence {
            timeout_ns: timeout.timeout.as_nanos() as u64,
            since_ns: now_ns,
        }
    }
}

impl Rule for Silence {
    fn chunk(&mut self, _chunk: Chunk, now_ns: u64) -> Verdict {
        self.since_ns = now_ns;
        Verdict::Discard
    }

    fn stop(&self) -> Option<(u64, Stop)> {
        (self.timeout_ns > 0).then(|| (self.since_ns.saturating_add(self.timeout_ns), Stop::Close))
    }

    fn closes_when_removed(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_once_nothing_came_for_the_time() {
        let mut rule = Silence::new(
            Timeout {
                timeout: Duration::from_nanos(100),
            },
            7,
        );
        assert_eq!(rule.stop(), Some((107, Stop::Close)));
        assert_eq!(
            rule.chunk(
                Chunk {
                    bytes: 1,
                    came_ns: 50
                },
                50
            ),
            Verdict::Discard
        );
        assert_eq!(rule.stop(), Some((150, Stop::Close)));
    }

    #[test]
    fn without_a_time_it_never_closes() {
        let mut rule = Silence::new(Timeout::default(), 7);
        assert_eq!(
            rule.chunk(
                Chunk {
                    bytes: 1,
                    came_ns: 50
                },
                50
            ),
            Verdict::Discard
        );
        assert_eq!(rule.stop(), None);
        assert!(rule.closes_when_removed());
    }
}
