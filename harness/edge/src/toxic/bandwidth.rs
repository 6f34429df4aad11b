//! `bandwidth`: bytes go on no faster than a rate, in pieces of at most 100 ms.
//!
//! A chunk goes on when its last byte would have been sent at that rate. At a rate of zero nothing goes on.

use super::{Chunk, Rule, ToxicKind, ToxicType, Verdict, count};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "bandwidth",
    about: "limits the rate of each connection",
};

/// The longest that a piece takes.
const PIECE_MS: u64 = 100;
const NS_PER_MS: u64 = 1_000_000;

/// A rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Bandwidth {
    /// Thousands of bytes per second; 0 lets nothing through.
    #[serde(with = "count")]
    pub rate: u64,
}

impl From<Bandwidth> for ToxicKind {
    fn from(it: Bandwidth) -> ToxicKind {
        ToxicKind::Bandwidth(it)
    }
}

/// The rule.
pub(super) struct Pace {
    bytes_per_ms: u64,
    /// When what went on before has been sent.
    free_ns: u64,
}

impl Pace {
    pub(super) fn new(bandwidth: Bandwidth) -> Pace {
        Pace {
            bytes_per_ms: bandwidth.rate,
            free_ns: 0,
        }
    }
}

impl Rule for Pace {
    fn chunk(&mut self, chunk: Chunk, _now_ns: u64) -> Verdict {
        if self.bytes_per_ms == 0 {
            return Verdict::Hold;
        }
        // From when the line is free, not from now: lateness of a timer must not add up.
        let start_ns = self.free_ns.max(chunk.came_ns);
        let piece = self.bytes_per_ms.saturating_mul(PIECE_MS);
        if chunk.bytes as u64 > piece {
            self.free_ns = start_ns + PIECE_MS * NS_PER_MS;
            return Verdict::Cut {
                bytes: piece as usize,
                at_ns: self.free_ns,
            };
        }
        self.free_ns = start_ns + chunk.bytes as u64 * NS_PER_MS / self.bytes_per_ms;
        Verdict::Until(self.free_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = NS_PER_MS;

    fn chunk(bytes: usize, came_ns: u64) -> Chunk {
        Chunk { bytes, came_ns }
    }

    #[test]
    fn a_chunk_takes_as_long_as_the_rate_says() {
        let mut pace = Pace::new(Bandwidth { rate: 10 });
        assert_eq!(pace.chunk(chunk(100, 0), 0), Verdict::Until(10 * MS));
        assert_eq!(pace.chunk(chunk(50, 5 * MS), 11 * MS), Verdict::Until(15 * MS));
        assert_eq!(pace.chunk(chunk(10, 40 * MS), 40 * MS), Verdict::Until(41 * MS));
    }

    #[test]
    fn what_takes_longer_than_a_piece_is_cut() {
        let mut pace = Pace::new(Bandwidth { rate: 1 });
        let cut = |at_ms: u64| Verdict::Cut {
            bytes: 100,
            at_ns: at_ms * MS,
        };
        assert_eq!(pace.chunk(chunk(250, 0), 0), cut(100));
        assert_eq!(pace.chunk(chunk(150, 0), 101 * MS), cut(200));
        assert_eq!(pace.chunk(chunk(50, 0), 203 * MS), Verdict::Until(250 * MS));
    }

    #[test]
    fn a_rate_of_zero_holds() {
        assert_eq!(
            Pace::new(Bandwidth { rate: 0 }).chunk(chunk(1, 0), 0),
            Verdict::Hold
        );
    }
}
