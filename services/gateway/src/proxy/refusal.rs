//! Answers of the gateway's own: why a request was not answered by an upstream.
//!
//! The body is JSON: `error`, a word of a fixed list; `message`, for people; `cluster`, where one was chosen.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

use super::relay::Answer;

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The request is not one that HTTP allows.
    BadRequest,
    /// Its body is too long.
    BodyTooLong,
    /// Its head is too long.
    HeadTooLong,
    /// It expects what the gateway can't do.
    Expectation,
    /// Its method is none for a gateway.
    NotImplemented,
    /// No route leads anywhere.
    NoCluster,
    /// As many requests wait as may.
    Overloaded,
    /// No endpoint could be connected to.
    Unreachable,
    /// The endpoint broke off, or answered what is not HTTP.
    BrokenOff,
    /// The time is over.
    Deadline,
    /// A planted bug.
    Planted,
}

/// A request that is not answered by an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// In words.
    pub message: String,
    /// The cluster that it was for.
    pub cluster: Option<Arc<str>>,
}

impl Reason {
    /// The status and the word.
    pub fn said(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request"),
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-long"),
            Self::HeadTooLong => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-long"),
            Self::Expectation => (StatusCode::EXPECTATION_FAILED, "expectation"),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not-implemented"),
            Self::NoCluster => (StatusCode::SERVICE_UNAVAILABLE, "no-cluster"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::Unreachable => (StatusCode::BAD_GATEWAY, "unreachable"),
            Self::BrokenOff => (StatusCode::BAD_GATEWAY, "broken-off"),
            Self::Deadline => (StatusCode::GATEWAY_TIMEOUT, "deadline"),
            Self::Planted => (StatusCode::SERVICE_UNAVAILABLE, "planted"),
        }
    }
}

impl Refusal {
    /// A refusal before a cluster was chosen.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            cluster: None,
        }
    }

    /// The same, for a cluster.
    #[must_use]
    pub fn of(self, cluster: &Arc<str>) -> Self {
        Self {
            cluster: Some(Arc::clone(cluster)),
            ..self
        }
    }

    /// The answer.
    pub fn answer(&self) -> Response<Answer> {
        let (status, word) = self.reason.said();
        let mut body = json!({"error": word, "message": self.message});
        if let Some(cluster) = &self.cluster {
            body["cluster"] = json!(**cluster);
        }
        let mut response = Response::new(Answer::Left(Full::new(Bytes::from(body.to_string()))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // What was too much is over within a second, or it is not known when.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
