//! The gateway: a reverse proxy whose routing can be changed while it runs.
//!
//! | module | holds |
//! | --- | --- |
//! | [`route`] | where a request goes: the table, and the router that all workers share |

pub mod route;
