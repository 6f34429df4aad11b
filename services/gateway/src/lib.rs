//! The gateway: a reverse proxy whose routing can be changed while it runs.
//!
//! | module | holds |
//! | --- | --- |
//! | [`route`] | where a request goes: the table, and the router that all workers share |
//! | [`plugin`] | what may decide before the table: WebAssembly modules that are swapped while requests are under way |

pub mod plugin;
pub mod route;
