//! Nacos-compatible configuration: a server whose acknowledged changes survive anything, and a client whose readers never go back.
//!
//! | module | holds |
//! | --- | --- |
//! | [`client`] | the client that other services use: cache, snapshots, order |
//! | [`reader`] | the service config-reader, which shows what a client reads |
//! | [`center`] | the server's state, and the thread that changes it |
//! | [`store`] | what is on disk |
//! | [`http`], [`listening`] | Nacos 1.x's open API, and the texts of its listener |
//! | [`seed`] | configuration from files, and what a server saves |
//! | [`key`], [`record`], [`checksum`] | names, contents and changes as data |
//! | [`wall`] | the one reader of the wall clock, for times that people see |
//! | [`plant`] | bugs on request |
//! | [`report`], [`service`] | metrics and events, settings |
//!
//! What must hold: what was acknowledged is on disk; a content and its version are shown together; a reader's version never goes
//! back, whatever the server forgot; no clock decides anything.

pub mod center;
pub mod checksum;
pub mod client;
pub mod http;
pub mod key;
pub mod listening;
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
