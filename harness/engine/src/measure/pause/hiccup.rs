//! What the meter inside a bundled service tells: whatever kept a thread that only sleeps from waking in time.
//!
//! The meter sleeps 1 ms at a time, so a pause begins somewhere inside a period and the part of it that the thread would
//! have slept anyway goes unseen. The service adds half a period to what it measured; see the kit's `hiccup`.

use squall_model::record::Each;

use super::Kind;

/// The kind.
pub const KIND: Kind = Kind {
    name: "hiccup",
    about: "a bundled service's own meter: how much too late a thread that only sleeps woke, corrected for its period",
    each: Each::Pause,
};
