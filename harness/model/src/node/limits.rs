//! How much is read, and of what.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::span::{SourceId, Span};
use crate::units::human;

/// How large a document may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub bytes: usize,
    /// Lists and mappings within one another.
    pub depth: usize,
    /// Nodes, aliases resolved.
    pub nodes: usize,
    /// Bytes of all scalars, aliases and environment variables resolved.
    pub text: usize,
}

impl Limits {
    /// What a scenario may need with room to spare: 1 MiB, 64 levels, 100,000 nodes, 4 MiB of values.
    pub const SCENARIO: Limits = Limits {
        bytes: 1 << 20,
        depth: 64,
        nodes: 100_000,
        text: 4 << 20,
    };

    /// Refuses a text that is too large or not text, before it is parsed.
    pub(super) fn check(&self, source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Option<()> {
        if text.len() > self.bytes {
            let (size, most) = (human::bytes(text.len() as u64), human::bytes(self.bytes as u64));
            let message = format!("the text is too large: {size}; at most {most} is read");
            diagnostics.push(Diagnostic::error(Span::new(source, 0..0), message));
            return None;
        }
        if let Some((at, found)) = text.char_indices().find(|(_, one)| is_forbidden(*one)) {
            let span = Span::new(source, at..at + found.len_utf8());
            let message = format!("control character U+{:04X} in the text", u32::from(found));
            diagnostics
                .push(Diagnostic::error(span, message).help("YAML allows none but tab and line breaks"));
            return None;
        }
        Some(())
    }
}

/// Control characters that no YAML document may contain (YAML 1.2.2, section 5.1).
fn is_forbidden(one: char) -> bool {
    (one.is_control() && !matches!(one, '\t' | '\n' | '\r' | '\u{85}'))
        || matches!(one, '\u{fffe}' | '\u{ffff}')
}
