//! `limit_data`: a number of bytes passes; with the last of them the connection is closed.

use super::{Chunk, Rule, Stop, ToxicKind, ToxicType, Verdict, count};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "limit_data",
    about: "closes the connection after a number of bytes",
};

/// The number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LimitData {
    /// How many pass on each connection, counted from when the toxic came into force on it.
    #[serde(with = "count")]
    pub bytes: u64,
}

impl From<LimitData> for ToxicKind {
    fn from(it: LimitData) -> ToxicKind {
        ToxicKind::LimitData(it)
    }
}

/// The rule.
pub(super) struct Allowance {
    limit: u64,
    passed: u64,
    used_up: bool,
}

impl Allowance {
    pub(super) fn new(limit: LimitData, passed: u64) -> Allowance {
        Allowance {
            limit: limit.bytes,
            passed,
            used_up: false,
        }
    }
}

impl Rule for Allowance {
    fn chunk(&mut self, chunk: Chunk, now_ns: u64) -> Verdict {
        let left = self.limit.saturating_sub(self.passed);
        let bytes = left.min(chunk.bytes as u64);
        self.passed += bytes;
        self.used_up = self.passed >= self.limit;
        match bytes as usize {
            // What doesn't pass is thrown away with the connection, which `stop` ends.
            0 => Verdict::Discard,
            all if all == chunk.bytes => Verdict::Pass,
            bytes => Verdict::Cut { bytes, at_ns: now_ns },
        }
    }

    fn stop(&self) -> Option<(u64, Stop)> {
        self.used_up.then_some((0, Stop::Close))
    }

    fn counted(&self) -> u64 {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: usize) -> Chunk {
        Chunk { bytes, came_ns: 0 }
    }

    #[test]
    fn bytes_pass_up_to_the_limit_and_then_it_closes() {
        let mut rule = Allowance::new(LimitData { bytes: 10 }, 0);
        assert_eq!(rule.chunk(chunk(6), 1), Verdict::Pass);
        assert_eq!(rule.stop(), None);
        assert_eq!(rule.chunk(chunk(6), 2), Verdict::Cut { bytes: 4, at_ns: 2 });
        assert_eq!(rule.stop(), Some((0, Stop::Close)));
    }

    #[test]
    fn the_last_allowed_byte_closes() {
        let mut rule = Allowance::new(LimitData { bytes: 6 }, 0);
        assert_eq!(rule.chunk(chunk(6), 1), Verdict::Pass);
        assert_eq!(rule.stop(), Some((0, Stop::Close)));
    }

    #[test]
    fn a_limit_of_zero_waits_for_the_first_byte() {
        let mut rule = Allowance::new(LimitData { bytes: 0 }, 0);
        assert_eq!(rule.stop(), None);
        assert_eq!(rule.chunk(chunk(6), 1), Verdict::Discard);
        assert_eq!(rule.stop(), Some((0, Stop::Close)));
    }

    #[test]
    fn a_changed_limit_counts_what_passed_before() {
        let mut rule = Allowance::new(LimitData { bytes: 10 }, 8);
        assert_eq!(rule.chunk(chunk(6), 1), Verdict::Cut { bytes: 2, at_ns: 1 });
        assert_eq!(rule.counted(), 10);
    }
}
