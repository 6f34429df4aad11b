//! What is told to whoever watches.

/// Something that happened. Most are rare; those that say so come with single requests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another table is in force.
    TableApplied {
        /// How many rules it has beside the default.
        rules: usize,
    },
}

/// Someone who watches. Called in the midst of a request, so it must return soon, must not block and must not panic.
pub trait Observe: Send + Sync + 'static {
    /// Takes note.
    fn note(&self, event: &Event);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn note(&self, _: &Event) {}
}
