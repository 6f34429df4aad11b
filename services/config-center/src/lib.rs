//! Nacos-compatible configuration: a server whose acknowledged changes survive anything, and a service that only reads, through
//! [`squall_config_client`].
//!
//! | module | holds |
//! | --- | --- |
//! | [`reader`] | the service config-reader, which shows what a client reads |
//! | [`center`] | the server's state, and the thread that changes it |
//! | [`store`] | what is on disk |
//! | [`http`] | Nacos 1.x's open API |
//! | [`seed`] | configuration from files, and what a server saves |
//! | [`record`] | contents and changes as data |
//! | [`wall`] | the one reader of the wall clock, for times that people see |
//! | [`plant`] | bugs on request |
//! | [`report`], [`service`] | metrics and events, settings |
//!
//! What must hold: what was acknowledged is on disk; a content and its version are shown together; a reader's version never goes
//! back, whatever the server forgot; no clock decides anything.

pub mod center;
pub mod http;
pub mod plant;
pub mod reader;
pub mod record;
pub mod report;
pub mod seed;
pub mod service;
pub mod store;
pub mod wall;

pub use reader::service::SERVICE as READER;
pub use service::SERVICE;
