//! The numbers between 0 and 1 that requests draw: a function of the seed and the request's number, and of nothing else.
//!
//! Stratified draws follow their law far closer than chance would: of any 2^m requests whose first number is a multiple
//! of 2^m, exactly one falls into each of the 2^m equal parts of (0, 1). So a run's percentiles are the law's own after
//! thousands of requests where independent draws take millions. The price is that near neighbours repel each other (of
//! two, one is in the lower half and one in the upper), so a queue behind random times is a little calmer than theory
//! has it; independent draws are for that.
//!
//! Stratified: the base-2 radical inverse of a shuffled index, scrambled; both by nested uniform scrambling. B. Burley,
//! "Practical Hash-based Owen Scrambling", Journal of Computer Graphics Techniques 9 (2020), after S. Laine and T. Karras.
//! Independent: `SplitMix64`'s finaliser (Steele, Lea, Flood, 2014).

/// What is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The delay.
    Delay = 1,
    /// Whether the reply is an error.
    Error = 2,
}

/// Numbers drawn by request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// What they derive from.
    pub seed: u64,
    /// Whether they are stratified or independent.
    pub stratified: bool,
}

impl Draws {
    /// The words for the two ways.
    pub const WORDS: &[&str] = &["stratified", "independent"];

    /// The number that request `number` draws for `stream`: above 0 and below 1.
    pub fn draw(self, stream: Stream, number: u64) -> f64 {
        let key = mix(self.seed ^ mix(stream as u64));
        let bits = if self.stratified {
            // Stratified within 2^32 requests; those that follow use keys of their own.
            stratified(key ^ mix(number >> 32), number as u32)
        } else {
            (mix(key ^ mix(number)) >> 32) as u32
        };
        (f64::from(bits) + 0.5) / 4_294_967_296.0
    }
}

fn stratified(key: u64, number: u32) -> u32 {
    let shuffled = scramble(number, key as u32);
    // Scrambling the radical inverse undoes its reversal of bits.
    permute(shuffled, (key >> 32) as u32).reverse_bits()
}

/// Nested uniform scrambling: numbers that share their upper m bits still do.
fn scramble(x: u32, key: u32) -> u32 {
    permute(x.reverse_bits(), key).reverse_bits()
}

/// A permutation in which each bit depends only on itself and on lower ones.
fn permute(x: u32, key: u32) -> u32 {
    let factors = [0x6c50_b47c, 0xb82f_1e52, 0xc7af_e638, 0x8d22_f6e6];
    factors
        .iter()
        .fold(x.wrapping_add(key), |x, factor| x ^ x.wrapping_mul(*factor))
}

fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Draws, Stream};

    fn draws(seed: u64, stratified: bool) -> Draws {
        Draws { seed, stratified }
    }

    proptest! {
        #[test]
        fn an_aligned_block_has_one_draw_in_each_part(seed: u64, m in 0..12_u32, block in 0..5_000_u64) {
            let size = 1_u64 << m;
            let mut hit = vec![0_u32; size as usize];
            for number in block * size..(block + 1) * size {
                hit[(draws(seed, true).draw(Stream::Delay, number) * size as f64) as usize] += 1;
            }
            prop_assert!(hit.iter().all(|count| *count == 1), "{hit:?}");
        }

        #[test]
        fn every_draw_is_inside(seed: u64, stratified: bool, number: u64) {
            let drawn = draws(seed, stratified).draw(Stream::Error, number);
            prop_assert!(drawn > 0.0 && drawn < 1.0);
        }
    }

    /// The correlation of each draw with the one `apart` later.
    fn correlation(draws: Draws, apart: u64) -> f64 {
        let n = 1 << 14;
        let at = |number| draws.draw(Stream::Delay, number) - 0.5;
        (0..n).map(|number| at(number) * at(number + apart)).sum::<f64>() / n as f64 * 12.0
    }

    #[test]
    fn the_order_is_no_pattern_beyond_near_neighbours() {
        for apart in [64, 1_000] {
            let found = correlation(draws(7, true), apart);
            assert!(found.abs() < 0.05, "{apart}: {found}");
        }
        for apart in [1, 2, 64] {
            let found = correlation(draws(7, false), apart);
            assert!(found.abs() < 0.05, "independent, {apart}: {found}");
        }
    }

    #[test]
    fn streams_and_seeds_differ_and_repeat() {
        let first = draws(7, true).draw(Stream::Delay, 12);
        assert_eq!(first.to_bits(), draws(7, true).draw(Stream::Delay, 12).to_bits());
        let others = [
            draws(8, true).draw(Stream::Delay, 12),
            draws(7, true).draw(Stream::Error, 12),
            draws(7, true).draw(Stream::Delay, 12 + (1 << 32)),
        ];
        assert!(
            others.iter().all(|other| (other - first).abs() > 1e-6),
            "{first} {others:?}"
        );
    }
}
