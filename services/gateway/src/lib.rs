//! The gateway: a reverse proxy whose routing can be changed while it runs.
//!
//! | module | holds |
//! | --- | --- |
//! | [`route`] | where a request goes: the table, and the router that all workers share |
//! | [`plugin`] | what may decide before the table: WebAssembly modules that are swapped while requests are under way |
//! | [`bucket`] | who stays in which variant of an experiment, in memory, on disk or in Redis |

pub mod bucket;
pub mod plugin;
pub mod route;
