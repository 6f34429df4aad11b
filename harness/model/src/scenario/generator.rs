//! How the load is generated on this machine.

use std::num::NonZeroU32;

use crate::record;
use crate::span::Spanned;

record! {
    /// How the load is generated.
    pub struct Generator {
        /// Threads that send; a quarter of the cores, at least one, if left out.
        pub threads: Option<Spanned<NonZeroU32>>,
    }
}
