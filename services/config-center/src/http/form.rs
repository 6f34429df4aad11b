//! The parameters of a request: those of its query, then those of its form, as a servlet has them.
//!
//! Bodies are bounded: each by what a valid one can have, all together by a budget that each takes its part of before it is
//! read.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use tokio::time::timeout;

use super::refusal::Refused;
use super::{BODIES_BYTES_MAX, BODY_WITHIN, Server};
use squall_config_client::key::ConfigKey;

/// What stands in a form beside the content, at most.
const FIELDS_BYTES_MAX: usize = 64 << 10;
/// The most parameters that are looked at.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a request.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pairs: Vec<(String, String)>,
    path: &'static str,
    /// The request's headers.
    pub(super) headers: HeaderMap,
}

impl Form {
    /// Those of a request without a body.
    pub(super) fn of_query(request: &Request<Body>, path: &'static str) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self {
            pairs: pairs(query.as_bytes()).collect(),
            path,
            headers: request.headers().clone(),
        }
    }

    /// Those of a request whose form has at most `bytes_max` bytes once decoded, besides some small fields.
    pub(super) async fn read(
        request: Request<Body>,
        path: &'static str,
        bytes_max: usize,
        server: &Server,
    ) -> Result<Self, Refused> {
        let mut form = Self::of_query(&request, path);
        // Every byte may be written as three.
        let body_max = bytes_max.saturating_mul(3).saturating_add(FIELDS_BYTES_MAX);
        let body = request.into_body();
        let hint = body.size_hint();
        let too_large = || Refused::TooLarge(format!("invalid content, over {bytes_max}"));
        if hint.lower() > body_max as u64 {
            return Err(too_large());
        }
        let bytes = hint
            .upper()
            .map_or(body_max, |upper| upper as usize)
            .min(BODIES_BYTES_MAX);
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let reading = async {
            let _permits = server.bodies.acquire_many(kib).await;
            Limited::new(body, body_max).collect().await
        };
        let Ok(read) = timeout(BODY_WITHIN, reading).await else {
            return Err(Refused::Slow);
        };
        let whole = read.map_err(|error| {
            if error.is::<LengthLimitError>() {
                too_large()
            } else {
                Refused::Invalid(format!("cannot read the body: {error}"))
            }
        })?;
        form.pairs.extend(pairs(&whole.to_bytes()));
        Ok(form)
    }

    /// A parameter, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Takes a parameter out of the form.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        Some(std::mem::take(&mut self.pairs[at].1))
    }

    /// A parameter that must be there.
    pub(super) fn require(&self, name: &'static str) -> Result<&str, Refused> {
        self.get(name).ok_or(Refused::Missing {
            name,
            path: self.path,
        })
    }

    /// A parameter that must be there and be a whole number.
    pub(super) fn number(&self, name: &'static str) -> Result<u64, Refused> {
        let text = self.require(name)?;
        text.parse()
            .map_err(|_| Refused::Invalid(format!("For input string: \"{text}\"")))
    }

    /// A parameter that is a number from 1 on, if it is there.
    pub(super) fn count(&self, name: &'static str, default: usize) -> Result<usize, Refused> {
        match self.get(name) {
            None | Some("") => Ok(default),
            Some(_) => self.number(name).map(|number| (number as usize).max(1)),
        }
    }

    /// The configuration that the request is about.
    pub(super) fn key(&self) -> Result<ConfigKey, Refused> {
        let (data_id, group) = (self.require("dataId")?, self.require("group")?);
        let tenant = self.get("tenant").unwrap_or_default();
        Ok(ConfigKey::new(data_id, group, tenant)?)
    }

    /// A header, if it is there and not empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then_some(value)
    }
}

fn pairs(encoded: &[u8]) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(encoded)
        .take(PARAMETERS_MAX)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
}
