//! How much a server holds. Past a limit a request is refused, or what is oldest is forgotten; nothing grows without bound.

/// The limits of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest content, in bytes. Nacos counts characters.
    pub content_bytes_max: usize,
    /// The most configurations.
    pub configs_max: usize,
    /// The most bytes of all their contents, which are kept in memory.
    pub contents_bytes_max: u64,
    /// The changes that are kept of one configuration.
    pub changes_per_config_max: usize,
    /// The changes that are kept of all.
    pub changes_max: usize,
    /// The most bytes of all contents that are kept with changes.
    pub changes_bytes_max: u64,
    /// The most long polls that hang at once.
    pub watchers_max: usize,
}

/// The most namespaces.
pub const NAMESPACES_MAX: usize = 1_000;
/// The most deleted keys that are remembered.
pub const TOMBSTONES_MAX: usize = 10_000;
/// The most changes that wait to be written.
pub const ORDERS_MAX: usize = 1_024;
/// The most questions about changes that wait to be answered.
pub const QUESTIONS_MAX: usize = 64;
/// The most changes that are written together.
pub const GROUP_MAX: usize = 256;
/// The most keys that all long polls wait for, together.
pub const WATCHED_MAX: usize = 1_000_000;

impl Default for Limits {
    /// Nacos's own limit of a content; and what fits a process of some hundred megabytes.
    fn default() -> Self {
        Self {
            content_bytes_max: 10 << 20,
            configs_max: 10_000,
            contents_bytes_max: 256 << 20,
            changes_per_config_max: 100,
            changes_max: 10_000,
            changes_bytes_max: 256 << 20,
            watchers_max: 20_000,
        }
    }
}
