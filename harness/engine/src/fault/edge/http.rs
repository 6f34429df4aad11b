//! `http`: what is done to single requests and responses of an edge that carries HTTP/1.1.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use squall_edge::{EdgeSeen, HttpAction, HttpFault, HttpMatch, Latency, PathMatch, Proxy};
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::record;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::{Ratio, human};

use super::ends::share;
use super::{At, Between, Crossing, Deed, EdgeFault, Ends, counted};
use crate::fault::{Fault, FaultError, FaultKind, FaultSpec};

pub(in crate::fault) const KIND: FaultKind = FaultKind {
    name: "http",
    about: "aborts, delays or changes single requests and responses of an edge",
    decode,
    schema,
    ways: &[super::PROXY, super::REDIRECT],
};

record! {
    /// An answer in the callee's place.
    pub struct Abort {
        /// Its status, 200 to 599.
        pub status: Spanned<u64>,
        /// Its body.
        pub body: String = String::new(),
    }
}

record! {
    /// A header field of the response.
    pub struct Header {
        /// Its name.
        pub name: String,
        /// Its value; the field is taken out where there is none.
        pub value: Option<String>,
    }
}

record! {
    /// Aborts, delays or changes single requests and responses.
    pub struct Http {
        /// The two ends of the edge, in any order.
        pub between: NonEmpty<Spanned<Name>>,
        /// The proxy answers, and the callee never sees the request.
        pub abort: Option<Abort>,
        /// The request goes on later.
        pub delay: Option<Duration>,
        /// A header field of the response is replaced.
        pub header: Option<Header>,
        /// The body of the response is replaced.
        pub body: Option<String>,
        /// Only paths that begin so.
        pub path: Option<String>,
        /// Only paths in which this regular expression is found.
        pub path_regex: Option<String>,
        /// Only this method.
        pub method: Option<String>,
        /// Only this share of the requests.
        pub share: Option<Spanned<Ratio>>,
        /// Only so many requests.
        pub first: Option<NonZeroU64>,
    }
    exactly_one ["abort", "delay", "header", "body"];
    at_most_one ["path", "path_regex"];
}

impl Http {
    fn action(&self, diagnostics: &mut Diagnostics) -> Option<(HttpAction, String)> {
        if let Some(abort) = &self.abort {
            let status = u16::try_from(abort.status.value)
                .ok()
                .filter(|status| (200..600).contains(status));
            let Some(status) = status else {
                let error = Diagnostic::error(abort.status.span, "a status is a number from 200 to 599");
                diagnostics.push(error);
                return None;
            };
            let body = abort.body.clone().into_bytes();
            return Some((
                HttpAction::Abort { status, body },
                format!("answers requests with {status}"),
            ));
        }
        if let Some(delay) = self.delay {
            let about = format!("delays requests by {}", human::duration(delay));
            return Some((HttpAction::Delay(Latency::of(delay)), about));
        }
        if let Some(Header { name, value }) = &self.header {
            let about = format!("replaces the header {name} of responses");
            let (name, value) = (name.clone(), value.clone());
            return Some((HttpAction::Header { name, value }, about));
        }
        let body = self.body.clone().unwrap_or_default().into_bytes();
        Some((
            HttpAction::Body(body),
            "replaces the body of responses".to_owned(),
        ))
    }

    fn matches(&self, diagnostics: &mut Diagnostics) -> Option<HttpMatch> {
        Some(HttpMatch {
            path: match (&self.path, &self.path_regex) {
                (Some(prefix), _) => PathMatch::Prefix(prefix.clone()),
                (None, Some(regex)) => PathMatch::Regex(regex.clone()),
                (None, None) => PathMatch::Any,
            },
            method: self.method.clone(),
            share: share(self.share.as_ref(), diagnostics)?,
            first: self.first.map(NonZeroU64::get),
        })
    }
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Http = fault.decode_params(diagnostics)?;
    if let Some(pattern) = &written.path_regex
        && let Err(e) = regex_lite::Regex::new(pattern)
    {
        diagnostics.push(Diagnostic::error(
            fault.kind.span,
            format!("no regular expression: {e}"),
        ));
        return None;
    }
    let (action, about) = written.action(diagnostics)?;
    Some(Arc::new(HttpSpec {
        ends: Between::both(&written.between, fault.kind.span).ends(diagnostics)?,
        matches: written.matches(diagnostics)?,
        action,
        about,
    }))
}

fn schema() -> Schema {
    Http::schema()
}

/// As planned.
#[derive(Debug)]
struct HttpSpec {
    ends: Ends,
    matches: HttpMatch,
    action: HttpAction,
    about: String,
}

impl FaultSpec for HttpSpec {
    fn about(&self) -> String {
        format!("{} {}", self.about, self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    fn reads_http(&self) -> bool {
        true
    }

    fn arm_edges(&self, name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        let deed = || {
            Meddling(HttpFault {
                name: name.to_owned(),
                matches: self.matches.clone(),
                action: self.action.clone(),
            })
        };
        EdgeFault::on(crossings, |crossing| crossing.streams(deed()))
    }
}

struct Meddling(HttpFault);

impl Deed<Proxy> for Meddling {
    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        at.proxy.add_http_fault(self.0.clone()).map_err(FaultError::Edge)
    }

    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        at.proxy.remove_http_fault(&self.0.name).map_err(FaultError::Edge)
    }

    fn met(&self, _: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        let mine =
            |fault: &&squall_edge::HttpFaultSeen| fault.name == self.0.name && fault.added_ns >= before.at_ns;
        let requests = now.http_faults.iter().rev().find(mine)?.requests;
        (requests > 0).then(|| format!("{} met it", counted(requests, "request")))
    }
}
