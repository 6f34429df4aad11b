//! A reverse proxy for HTTP/1.1 and HTTP/2, with routing that is swapped while requests run.
//!
//! | module | holds |
//! | --- | --- |
//! | [`proxy`] | the way of a request |
//! | [`upstream`] | clusters, endpoints, health, connections |
//! | [`route`] | where a request goes |
//! | [`plugin`] | what may decide before the table: WebAssembly modules |
//! | [`bucket`] | who stays in which variant of an experiment, in memory, on disk or in Redis |
//! | [`push`] | documents and plug-ins put in force while requests run |
//! | [`config`] | `gateway.json` as far as upstreams are concerned |
//! | [`budget`] | how many requests may be sent again |
//! | [`draw`] | random numbers for spreading load |
//! | [`plant`] | bugs on request |
//! | [`report`], [`admin`], [`service`] | metrics and events, pages for operators, settings |
//!
//! What must hold: no request fails because configuration or a plug-in changed, was wrong or is missing; retries stay within their budget
//! and every wait within the request's deadline; nothing is unbounded; a message is framed anew, never passed on as it came.

pub mod admin;
pub mod bucket;
pub mod budget;
pub mod config;
pub mod draw;
pub mod plant;
pub mod plugin;
pub mod proxy;
pub mod push;
pub mod report;
pub mod route;
pub mod service;
pub mod upstream;

pub use service::SERVICE;
