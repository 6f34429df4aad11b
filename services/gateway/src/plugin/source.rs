//! From what was pushed to a binary module: WebAssembly's binary form, its text, or either in base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::PluginError;

/// How large what is pushed may be, in bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 1 << 20;
/// How large a binary module may be, in bytes.
const MODULE_BYTES_MAX: usize = 256 * 1024;
/// How many functions it may have. Each may declare thousands of locals in a few bytes, which take time to compile.
const FUNCTIONS_MAX: usize = 1_000;

const MAGIC: &[u8] = b"\0asm";
const FUNCTION_SECTION: u8 = 3;
const START_SECTION: u8 = 8;

/// The binary module, whose size and sections are checked. Not yet that it is valid.
pub(super) fn binary(source: &[u8]) -> Result<Cow<'_, [u8]>, PluginError> {
    limit("bytes", source.len(), SOURCE_BYTES_MAX)?;
    let binary = module_or_text(source, true)?;
    limit("bytes as a module", binary.len(), MODULE_BYTES_MAX)?;
    for (id, body) in Sections::new(&binary) {
        match id {
            START_SECTION => return Err(PluginError::Start),
            FUNCTION_SECTION => {
                let count = leb128(body).map_or(0, |(count, _)| count);
                limit("functions", count, FUNCTIONS_MAX)?;
            }
            _ => {}
        }
    }
    Ok(binary)
}

fn module_or_text(source: &[u8], may_be_base64: bool) -> Result<Cow<'_, [u8]>, PluginError> {
    if source.starts_with(MAGIC) {
        return Ok(Cow::Borrowed(source));
    }
    let text = std::str::from_utf8(source).map_err(|error| PluginError::Form(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(PluginError::Form("it is empty".to_owned()));
    }
    // A module's text begins with a parenthesis or a comment, neither of which is in base64's alphabet.
    if text.starts_with(['(', ';']) || !may_be_base64 {
        let read = wat::parse_str(text).map_err(|error| PluginError::Text(error.to_string()))?;
        return Ok(Cow::Owned(read));
    }
    let joined: String = text.split_ascii_whitespace().collect();
    let decoded = STANDARD
        .decode(joined)
        .map_err(|error| PluginError::Form(error.to_string()))?;
    module_or_text(&decoded, false).map(|module| Cow::Owned(module.into_owned()))
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), PluginError> {
    if found > max {
        return Err(PluginError::Size { what, found, max });
    }
    Ok(())
}

/// The sections of a module as far as they can be told apart; what is not sound ends them, and is told by whoever compiles it.
struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    fn new(binary: &'a [u8]) -> Self {
        // Magic and version.
        Self(binary.get(8..).unwrap_or_default())
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&id, rest) = self.0.split_first()?;
        let (size, rest) = leb128(rest)?;
        let (body, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        Some((id, body))
    }
}

/// A number of at most 32 bits in LEB128, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
