//! What a run set holds: integers as they are, texts as hashes.

/// A fixed-size value with a total order, split into a head that is stored as a difference to the one before, and
/// a tail of [`Key::TAIL_BITS`] that is stored as it is. The order is that of the heads, then of the tails.
pub(in crate::invariant) trait Key:
    Copy + Ord + Default + std::fmt::Debug + Send
{
    /// Bits of the tail.
    const TAIL_BITS: u8;
    fn head(self) -> u64;
    fn tail(self) -> u64;
    fn of(head: u64, tail: u64) -> Self;
    /// Sorts keys in the way that suits the order they mostly come in.
    fn sort(keys: &mut [Self]);
}

impl Key for u64 {
    const TAIL_BITS: u8 = 0;

    #[inline]
    fn head(self) -> u64 {
        self
    }

    #[inline]
    fn tail(self) -> u64 {
        0
    }

    #[inline]
    fn of(head: u64, _tail: u64) -> Self {
        head
    }

    /// Batches of ids are mostly sorted, and the stable sort merges what is.
    #[expect(
        clippy::stable_sort_primitive,
        reason = "it is the quicker one for ascending stretches"
    )]
    fn sort(keys: &mut [Self]) {
        keys.sort();
    }
}

/// 88 bits of a keyed hash of a text. Two different texts share one with odds of n²/2^89 among n texts: 2 in 10^11 for
/// 100 million. More bits would cost memory, so that fewer texts fit, and bring nothing that a run could notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::invariant) struct TextKey {
    head: u64,
    tail: u32,
}

impl TextKey {
    /// The key of a text with these two hashes, of the second of which the top bits are kept.
    pub(in crate::invariant) fn of_hashes(head: u64, tail: u64) -> Self {
        Self::of(head, tail >> (u64::BITS - u32::from(Self::TAIL_BITS)))
    }
}

impl Key for TextKey {
    const TAIL_BITS: u8 = 24;

    #[inline]
    fn head(self) -> u64 {
        self.head
    }

    #[inline]
    fn tail(self) -> u64 {
        u64::from(self.tail)
    }

    #[inline]
    fn of(head: u64, tail: u64) -> Self {
        Self {
            head,
            tail: tail as u32,
        }
    }

    /// Hashes come in no order.
    fn sort(keys: &mut [Self]) {
        keys.sort_unstable();
    }
}
