//! One root seed and its named children.
//!
//! Every random choice of a run draws from a child stream named after what it is for (`load.refresh.arrivals`), so that
//! adding a consumer changes no other's numbers. Nothing here reads entropy: a seed comes from the scenario, from
//! `--seed`, or from the caller.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A seed, from which child seeds and random streams are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The root of a run.
    pub const fn new(root: u64) -> Seed {
        Seed(root)
    }

    /// The number to print, so that a run can be repeated.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The child stream called `name`: FNV-1a over the parent and the name, finished by `SplitMix64`'s mixer so that
    /// near names give unrelated seeds.
    #[must_use]
    pub fn child(self, name: &str) -> Seed {
        const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
        let bytes = self.0.to_le_bytes().into_iter().chain(name.bytes());
        Seed(mix(bytes.fold(FNV_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        })))
    }

    /// The seed of the thing numbered `number`, for draws that depend on nothing but that number.
    #[must_use]
    pub fn nth(self, number: u64) -> Seed {
        const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        Seed(mix(self.0 ^ mix(number.wrapping_add(GOLDEN_GAMMA))))
    }

    /// A generator for this stream.
    pub fn rng(self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.0)
    }
}

/// A number from 0 to below 1, so that the logarithm of what is left to 1 is finite: 53 random bits, the width of a double.
pub fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_depend_on_parent_and_name_only() {
        let root = Seed::new(7);
        assert_eq!(root.child("load.a"), Seed::new(7).child("load.a"));
        assert_ne!(root.child("load.a"), root.child("load.b"));
        assert_ne!(root.child("load.a"), Seed::new(8).child("load.a"));
        assert_ne!(root.child("a").child("b"), root.child("b").child("a"));
    }

    #[test]
    fn numbered_seeds_depend_on_parent_and_number_only() {
        let root = Seed::new(7);
        assert_eq!(root.nth(3), Seed::new(7).nth(3));
        let all: std::collections::BTreeSet<u64> = (0..1_000)
            .flat_map(|n| [root.nth(n), Seed::new(8).nth(n)])
            .map(Seed::value)
            .collect();
        assert_eq!(all.len(), 2_000);
    }

    #[test]
    fn a_stream_can_be_repeated() {
        use rand_core::Rng;
        let draw = |seed: Seed| (seed.rng().next_u64(), seed.rng().next_u64());
        let (first, again) = draw(Seed::new(7).child("x"));
        assert_eq!(first, again);
    }
}
