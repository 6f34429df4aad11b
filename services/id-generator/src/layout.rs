//! How an id is made: 41 bits of milliseconds, 10 of node, 12 of sequence, from the highest bit down.
//!
//! The top bit of the 64 stays clear, so an id is a positive number also where integers are signed. Twitter's
//! Snowflake of 2010 set the layout. A node can issue 4,096 ids per millisecond, 4,096,000 a second.

/// The time that milliseconds count from: 2024-01-01T00:00:00Z, in Unix milliseconds. 41 bits last until 2093.
pub const EPOCH_UNIX_MS: u64 = 1_704_067_200_000;
/// The highest node number.
pub const NODE_MAX: u16 = 1023;
/// The highest sequence within a millisecond.
pub const SEQUENCE_MAX: u16 = 4095;
/// The last millisecond that fits.
pub const MS_MAX: u64 = (1 << MS_BITS) - 1;

const MS_BITS: u32 = 41;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
const BACKUP_BIT: u64 = 1 << (MS_BITS + SEQUENCE_BITS);

/// The id of this millisecond since the epoch, node and sequence.
pub fn id(ms: u64, node: u16, sequence: u16) -> u64 {
    debug_assert!(ms <= MS_MAX && node <= NODE_MAX && sequence <= SEQUENCE_MAX);
    ms << (NODE_BITS + SEQUENCE_BITS) | u64::from(node) << SEQUENCE_BITS | u64::from(sequence)
}

/// The millisecond since the epoch, the node and the sequence of an id.
pub fn parts(id: u64) -> (u64, u16, u16) {
    let node = (id >> SEQUENCE_BITS) as u16 & NODE_MAX;
    (id >> (NODE_BITS + SEQUENCE_BITS), node, id as u16 & SEQUENCE_MAX)
}

/// The last id that was taken, and whether the backup sequencer took it. It fits one atomic word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Milliseconds since the epoch.
    pub ms: u64,
    /// The last sequence taken in it.
    pub sequence: u16,
    /// Whether the backup sequencer is in charge.
    pub backup: bool,
}

impl Position {
    /// The position with every id up to and including millisecond `ms` taken.
    pub fn full(ms: u64) -> Self {
        Self {
            ms,
            sequence: SEQUENCE_MAX,
            backup: false,
        }
    }

    /// Whether the millisecond has no id left.
    pub fn is_full(self) -> bool {
        self.sequence == SEQUENCE_MAX
    }

    pub(crate) fn pack(self) -> u64 {
        let mode = if self.backup { BACKUP_BIT } else { 0 };
        mode | self.ms << SEQUENCE_BITS | u64::from(self.sequence)
    }

    pub(crate) fn unpack(word: u64) -> Self {
        Self {
            ms: word >> SEQUENCE_BITS & MS_MAX,
            sequence: word as u16 & SEQUENCE_MAX,
            backup: word & BACKUP_BIT != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MS_MAX, NODE_MAX, Position, SEQUENCE_MAX, id, parts};

    #[test]
    fn an_id_gives_back_its_parts_and_stays_positive() {
        for ms in [0, 1, 77_777_777_777, MS_MAX] {
            for node in [0, 1, 512, NODE_MAX] {
                for sequence in [0, 1, SEQUENCE_MAX] {
                    let id = id(ms, node, sequence);
                    assert_eq!(parts(id), (ms, node, sequence));
                    assert!(i64::try_from(id).is_ok());
                }
            }
        }
    }

    #[test]
    fn a_position_survives_packing() {
        for ms in [0, 5, MS_MAX] {
            for sequence in [0, 9, SEQUENCE_MAX] {
                for backup in [false, true] {
                    let position = Position { ms, sequence, backup };
                    assert_eq!(Position::unpack(position.pack()), position);
                }
            }
        }
    }
}
