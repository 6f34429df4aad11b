//! Whether a rule is about a request.

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;

use super::{RouteReason, RouteRequest};

/// All of it must hold.
#[derive(Debug)]
pub(super) struct Matching {
    pub(super) path: PathMatch,
    /// Any of these; all methods where it is empty.
    pub(super) methods: Vec<Box<str>>,
    pub(super) headers: Vec<HeaderMatch>,
}

#[derive(Debug)]
pub(super) enum PathMatch {
    Any,
    Exact(Box<str>),
    /// Whole segments: `/feed` is `/feed` and what is below it, not `/feedback`. One that ends with `/` is what is below it.
    Prefix(Box<str>),
}

#[derive(Debug)]
pub(super) struct HeaderMatch {
    pub(super) name: HeaderName,
    pub(super) value: ValueMatch,
}

/// What the value must be; where a header comes several times, any of its values.
#[derive(Debug)]
pub(super) enum ValueMatch {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    /// All of the value.
    Regex(Regex),
    Present,
    Absent,
}

impl Matching {
    pub(super) fn holds(&self, request: &RouteRequest<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| **method == *request.method))
            && self.path.holds(request.bare_path())
            && self.headers.iter().all(|header| header.holds(request.headers))
    }

    pub(super) fn reason(&self) -> RouteReason {
        if self.headers.is_empty() {
            RouteReason::Path
        } else {
            RouteReason::Header
        }
    }
}

impl PathMatch {
    fn holds(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == &**exact,
            Self::Prefix(prefix) => path
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')),
        }
    }
}

impl HeaderMatch {
    fn holds(&self, headers: &HeaderMap) -> bool {
        let mut values = headers
            .get_all(&self.name)
            .iter()
            .map(http::HeaderValue::as_bytes);
        match &self.value {
            ValueMatch::Exact(exact) => values.any(|value| *value == **exact),
            ValueMatch::Prefix(prefix) => values.any(|value| value.starts_with(prefix)),
            ValueMatch::Regex(regex) => values.any(|value| regex.is_match(value)),
            ValueMatch::Present => values.next().is_some(),
            ValueMatch::Absent => values.next().is_none(),
        }
    }
}
