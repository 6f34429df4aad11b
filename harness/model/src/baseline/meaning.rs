//! What a scenario does, as a hash: two texts that do the same have the same.

use serde_json::Value;

use crate::diagnostic::Diagnostics;
use crate::node::{self, Limits};
use crate::span::Sources;

/// Keys that change nothing of what is done: what it is called, what is expected of it, and what each run has anew.
const BESIDE: [&str; 5] = ["about", "tags", "seed", "expect", "gate"];

/// The hash, 16 hexadecimal digits, of what a scenario with this text does with these overrides, as they stand in a command line.
///
/// Comments, order of keys, spelling of YAML and what is expected do not count, so that an expectation may be added without losing the
/// baseline. What the environment stands in for counts as it is written. A text that is no YAML counts as it is.
pub fn meaning(source: &str, overrides: &str) -> String {
    let mut sources = Sources::new();
    let id = sources.add("scenario", source);
    let tree = node::parse(id, source, &Limits::SCENARIO, &mut Diagnostics::new());
    let text = match tree.map(|tree| tree.to_json()) {
        Some(Value::Object(mut keys)) => {
            keys.retain(|key, _| !BESIDE.contains(&key.as_str()) && !key.starts_with("x-"));
            Value::Object(keys).to_string()
        }
        _ => source.to_owned(),
    };
    format!("{:016x}", hash(format!("{text}\n{overrides}").as_bytes()))
}

/// FNV-1a in 64 bits (G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, draft-eastlake-fnv): the same on every machine and in every version. It
/// tells changes by accident, not forgeries.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes
        .iter()
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}
