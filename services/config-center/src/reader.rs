//! The config-reader: a service that only reads its configuration, through the client that other services use, and says over HTTP
//! what it reads. Faults between it and its server show what the client promises.
//!
//! | module | holds |
//! | --- | --- |
//! | [`http`] | the requests |
//! | [`report`] | metrics and events |
//! | [`service`] | settings, promises, how it runs |

pub mod http;
pub mod report;
pub mod service;
