//! The HTTP faults of a proxy: checked once, then matched against requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use regex::bytes::{Regex, RegexBuilder};
use squall_model::seed::{Seed, unit};

use super::{HttpAction, HttpFault, PathMatch};
use crate::error::EdgeError;
use crate::proxy::check_share;
use crate::tally::HttpFaultTally;

/// The faults, in the order in which requests meet them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<Arc<ActiveFault>>);

/// A fault as connections have it.
#[derive(Debug)]
pub(crate) struct ActiveFault {
    spec: HttpFault,
    path: PathRule,
    /// Requests that it still acts on, where that is limited.
    left: Option<AtomicU64>,
    tally: Arc<HttpFaultTally>,
}

#[derive(Debug)]
enum PathRule {
    Any,
    Prefix(String),
    Regex(Regex),
}

impl Rules {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn faults(&self) -> impl Iterator<Item = &HttpFault> {
        self.0.iter().map(|fault| &fault.spec)
    }

    pub(crate) fn add(&mut self, spec: HttpFault) -> Result<Arc<HttpFaultTally>, EdgeError> {
        check(&spec)?;
        let path = match &spec.matches.path {
            PathMatch::Any => PathRule::Any,
            PathMatch::Prefix(prefix) => PathRule::Prefix(prefix.clone()),
            PathMatch::Regex(pattern) => {
                let built = RegexBuilder::new(pattern).unicode(false).build();
                PathRule::Regex(built.map_err(|error| wrong(&spec, &error.to_string()))?)
            }
        };
        let tally = Arc::new(HttpFaultTally::new(&spec.name));
        self.0.push(Arc::new(ActiveFault {
            left: spec.matches.first.map(AtomicU64::new),
            spec,
            path,
            tally: Arc::clone(&tally),
        }));
        Ok(tally)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<HttpFaultTally>> {
        let at = self.0.iter().position(|fault| fault.spec.name == name)?;
        Some(Arc::clone(&self.0.remove(at).tally))
    }

    /// The faults that are for a request, counted. `seed` is the request's own.
    pub(crate) fn met<'a>(
        &'a self,
        method: &'a str,
        path: &'a str,
        seed: Seed,
        now_ns: u64,
    ) -> impl Iterator<Item = &'a Arc<ActiveFault>> {
        self.0
            .iter()
            .filter(move |fault| fault.meets(method, path, seed, now_ns))
    }
}

impl ActiveFault {
    pub(crate) fn action(&self) -> &HttpAction {
        &self.spec.action
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    fn meets(&self, method: &str, path: &str, seed: Seed, now_ns: u64) -> bool {
        let fits = match &self.path {
            PathRule::Any => true,
            PathRule::Prefix(prefix) => path.starts_with(prefix.as_str()),
            PathRule::Regex(regex) => regex.is_match(path.as_bytes()),
        };
        let matches = &self.spec.matches;
        let meets = fits
            && matches.method.as_ref().is_none_or(|wanted| wanted == method)
            && unit(&mut seed.child(&self.spec.name).child("share").rng()) < matches.share
            && self.takes_one();
        if meets {
            self.tally.note(now_ns);
        }
        meets
    }

    /// Whether it acts on one more request.
    fn takes_one(&self) -> bool {
        self.left.as_ref().is_none_or(|left| {
            let take = |left: u64| left.checked_sub(1);
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
        })
    }
}

fn wrong(spec: &HttpFault, reason: &str) -> EdgeError {
    EdgeError::HttpFault {
        fault: spec.name.clone(),
        reason: reason.to_owned(),
    }
}

fn check(spec: &HttpFault) -> Result<(), EdgeError> {
    check_share("an HTTP fault's share", spec.matches.share)?;
    match &spec.action {
        HttpAction::Abort { status, .. } if !(200..=599).contains(status) => Err(wrong(
            spec,
            &format!("no response has the status {status}: use 200 to 599"),
        )),
        HttpAction::Header { name, .. } if name.is_empty() || !name.bytes().all(is_token) => {
            Err(wrong(spec, &format!("{name:?} is no name of a header field")))
        }
        HttpAction::Header { name, .. } if is_framing(name) => Err(wrong(
            spec,
            &format!(
                "{name} tells where the body ends, and without it nobody could: replace the body instead"
            ),
        )),
        HttpAction::Header {
            value: Some(value), ..
        } if value.bytes().any(|byte| byte < b' ' && byte != b'\t') => Err(wrong(
            spec,
            "the header field's value has a line break or another control character",
        )),
        _ => Ok(()),
    }
}

/// Whether a header field tells where a body ends.
pub(super) fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
