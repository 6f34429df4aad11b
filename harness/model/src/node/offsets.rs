//! The parser counts characters, spans count bytes.

/// From the parser's character counts to byte offsets.
pub(super) struct Offsets {
    skipped: usize,
    length: usize,
    /// The byte of every character; empty where every character is a byte.
    bytes: Vec<u32>,
}

impl Offsets {
    pub(super) fn new(text: &str, skipped: usize) -> Offsets {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text[skipped..]
                .char_indices()
                .map(|(at, _)| (at + skipped) as u32)
                .collect()
        };
        Offsets {
            skipped,
            length: text.len(),
            bytes,
        }
    }

    pub(super) fn byte(&self, index: usize) -> usize {
        if self.bytes.is_empty() {
            (index + self.skipped).min(self.length)
        } else {
            self.bytes.get(index).map_or(self.length, |at| *at as usize)
        }
    }
}
