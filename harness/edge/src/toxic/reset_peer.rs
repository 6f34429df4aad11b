//! `reset_peer`: a time after the first bytes came, or the end, the connection is reset at both ends.
//!
//! What came is held, and goes on if the toxic is removed before.

use std::time::Duration;

use super::{Chunk, EndVerdict, Rule, Stop, ToxicKind, ToxicType, Verdict, milliseconds};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "reset_peer",
    about: "resets the connection a time after its first bytes",
};

/// How long after the first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ResetPeer {
    /// The time; 0 resets at once.
    #[serde(with = "milliseconds")]
    pub timeout: Duration,
}

impl From<ResetPeer> for ToxicKind {
    fn from(it: ResetPeer) -> ToxicKind {
        ToxicKind::ResetPeer(it)
    }
}

/// The rule.
pub(super) struct Fuse {
    timeout_ns: u64,
    lit_ns: Option<u64>,
}

impl Fuse {
    pub(super) fn new(reset: ResetPeer) -> Fuse {
        Fuse {
            timeout_ns: reset.timeout.as_nanos() as u64,
            lit_ns: None,
        }
    }
}

impl Rule for Fuse {
    fn chunk(&mut self, _chunk: Chunk, now_ns: u64) -> Verdict {
        self.lit_ns.get_or_insert(now_ns);
        Verdict::Hold
    }

    fn end(&mut self, now_ns: u64) -> EndVerdict {
        self.lit_ns.get_or_insert(now_ns);
        EndVerdict::Hold
    }

    fn stop(&self) -> Option<(u64, Stop)> {
        let lit_ns = self.lit_ns?;
        Some((lit_ns.saturating_add(self.timeout_ns), Stop::Reset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_resets_after_the_first_bytes_and_not_before() {
        let mut rule = Fuse::new(ResetPeer {
            timeout: Duration::from_nanos(100),
        });
        assert_eq!(rule.stop(), None);
        assert_eq!(rule.chunk(Chunk { bytes: 1, came_ns: 5 }, 10), Verdict::Hold);
        assert_eq!(rule.stop(), Some((110, Stop::Reset)));
    }

    #[test]
    fn an_end_counts_as_bytes() {
        let mut rule = Fuse::new(ResetPeer::default());
        assert_eq!(rule.end(10), EndVerdict::Hold);
        assert_eq!(rule.stop(), Some((10, Stop::Reset)));
    }
}
