//! HTTP/1.1 on an edge: counts what passes, and does faults to requests and responses.

mod exchange;
mod framing;
mod rewrite;
mod rules;

pub(crate) use exchange::{Exchange, Passage};
pub(crate) use rules::Rules;

use crate::toxic::Latency;

/// Something done to the requests or responses of a proxy that reads HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpFault {
    /// Unique among the proxy's HTTP faults.
    pub name: String,
    /// The requests that it is for.
    pub matches: HttpMatch,
    /// What is done.
    pub action: HttpAction,
}

/// Which requests. All of it has to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpMatch {
    /// The request's path, with what follows `?`.
    pub path: PathMatch,
    /// The request's method, as it is written: `GET`.
    pub method: Option<String>,
    /// The share of the requests that fit otherwise, from 0 to 1; drawn for each.
    pub share: f64,
    /// Only so many requests of the whole edge, then no more.
    pub first: Option<u64>,
}

impl HttpMatch {
    /// Every request.
    pub const ALL: HttpMatch = HttpMatch {
        path: PathMatch::Any,
        method: None,
        share: 1.0,
        first: None,
    };
}

/// Which paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// All.
    Any,
    /// Those that begin so.
    Prefix(String),
    /// Those in which this regular expression is found.
    Regex(String),
}

/// What is done to a request, or to the response to it.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpAction {
    /// The proxy answers in the callee's place, which never sees the request.
    Abort {
        /// Status of the answer, 200 to 599.
        status: u16,
        /// Its body.
        body: Vec<u8>,
    },
    /// The request goes on later, and all that its connection brings after it.
    Delay(Latency),
    /// The response gets a header field in place of those of the same name.
    Header {
        /// The field's name.
        name: String,
        /// Its value; without one the fields are taken out.
        value: Option<String>,
    },
    /// The response gets another body; status and header fields stay, but for those that tell the body's length.
    Body(Vec<u8>),
}
