//! Bit packing: numbers of one width, end to end in 64-bit words.

/// Bits that `max` needs.
pub(super) const fn width_of(max: u64) -> u8 {
    (u64::BITS - max.leading_zeros()) as u8
}

/// Appends `values` at `width` bits each, padded to a whole word. No value may need more bits than that.
pub(super) fn pack(values: impl Iterator<Item = u64>, width: u8, words: &mut Vec<u64>) {
    if width == 0 {
        return;
    }
    let (mut word, mut used) = (0_u64, 0_u32);
    for value in values {
        debug_assert!(width_of(value) <= width, "{value} needs more than {width} bits");
        word |= value << used;
        used += u32::from(width);
        if used >= u64::BITS {
            words.push(word);
            used -= u64::BITS;
            // What of the value didn't fit; nothing of it if it ended with the word.
            word = value.checked_shr(u32::from(width) - used).unwrap_or(0);
        }
    }
    if used > 0 {
        words.push(word);
    }
}

/// Words that `count` values of `width` bits take.
pub(super) const fn words_of(count: usize, width: u8) -> usize {
    (count * width as usize).div_ceil(u64::BITS as usize)
}

/// Reads the first `out.len()` values. `words` must go on for at least one word behind the packed ones.
#[inline]
pub(super) fn unpack(words: &[u64], width: u8, out: &mut [u64]) {
    if width == 0 {
        out.fill(0);
        return;
    }
    let mask = u64::MAX >> (u64::BITS - u32::from(width));
    let (mut word, mut shift) = (0_usize, 0_u32);
    for value in out {
        // Two shifts, as one by 64 bits is not defined.
        *value = (words[word] >> shift | (words[word + 1] << 1) << (63 - shift)) & mask;
        shift += u32::from(width);
        word += (shift >> 6) as usize;
        shift &= 63;
    }
}

/// Reads the value at `index`; the same rule for `words`.
#[inline]
pub(super) fn value_at(words: &[u64], width: u8, index: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = index * usize::from(width);
    let (word, shift) = (bit / 64, (bit % 64) as u32);
    let mask = u64::MAX >> (u64::BITS - u32::from(width));
    (words[word] >> shift | (words[word + 1] << 1) << (63 - shift)) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_reads_back() {
        for width in 0..=64_u8 {
            for count in [1_usize, 2, 63, 64, 65, 128] {
                let mask = if width == 0 {
                    0
                } else {
                    u64::MAX >> (64 - u32::from(width))
                };
                let values: Vec<u64> = (0..count as u64)
                    .map(|i| !i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask)
                    .collect();
                let mut words = vec![7];
                pack(values.iter().copied(), width, &mut words);
                assert_eq!(
                    words.len() - 1,
                    words_of(count, width),
                    "width {width}, {count} values"
                );
                words.push(u64::MAX);
                let mut out = vec![0; count];
                unpack(&words[1..], width, &mut out);
                assert_eq!(out, values, "width {width}");
                let single: Vec<u64> = (0..count).map(|i| value_at(&words[1..], width, i)).collect();
                assert_eq!(single, values, "width {width}");
            }
        }
    }

    #[test]
    fn the_width_holds_the_greatest_value() {
        assert_eq!([0, 1, 2, 3, 4, u64::MAX].map(width_of), [0, 1, 2, 2, 3, 64]);
    }
}
