//! `slow_close`: bytes pass; the end of the direction goes on a while after it came.

use std::time::Duration;

use super::{Chunk, EndVerdict, Rule, ToxicKind, ToxicType, Verdict, milliseconds};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "slow_close",
    about: "delays the end of a connection",
};

/// A delay of the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SlowClose {
    /// The delay.
    #[serde(with = "milliseconds")]
    pub delay: Duration,
}

impl From<SlowClose> for ToxicKind {
    fn from(it: SlowClose) -> ToxicKind {
        ToxicKind::SlowClose(it)
    }
}

impl Rule for SlowClose {
    fn chunk(&mut self, _chunk: Chunk, _now_ns: u64) -> Verdict {
        Verdict::Pass
    }

    fn end(&mut self, now_ns: u64) -> EndVerdict {
        EndVerdict::Until(now_ns.saturating_add(self.delay.as_nanos() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_delayed() {
        let mut rule = SlowClose {
            delay: Duration::from_nanos(30),
        };
        assert_eq!(rule.chunk(Chunk { bytes: 1, came_ns: 5 }, 5), Verdict::Pass);
        assert_eq!(rule.end(10), EndVerdict::Until(40));
    }
}
