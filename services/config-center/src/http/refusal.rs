//! Errors as Nacos 1.4 gives them: in words where its own code refuses, as Spring's page where a parameter is missing.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::center::Refusal;
use squall_config_client::key::KeyError;

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// A parameter is missing: Spring's answer.
    Missing { name: &'static str, path: &'static str },
    /// A parameter is not what it should be.
    Invalid(String),
    /// The body is larger than any that could be valid.
    TooLarge(String),
    /// The body did not come in time.
    Slow,
    /// More is going on than this server takes on at once.
    Overloaded(&'static str),
    /// Something that Nacos does and this server does not.
    Absent(&'static str),
    /// The server's state refuses.
    Refusal(Refusal),
}

impl From<KeyError> for Refused {
    fn from(error: KeyError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Missing { name, path } => {
                let message = format!("Required String parameter '{name}' is not present");
                page(StatusCode::BAD_REQUEST, &message, path)
            }
            Self::Invalid(text) => caused(StatusCode::BAD_REQUEST, &text),
            Self::TooLarge(text) => caused(StatusCode::PAYLOAD_TOO_LARGE, &text),
            Self::Slow => caused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
            Self::Overloaded(text) => caused(StatusCode::SERVICE_UNAVAILABLE, text),
            Self::Absent(text) => caused(StatusCode::NOT_IMPLEMENTED, text),
            Self::Refusal(refusal) => match refusal {
                Refusal::Changed => caused(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Cas publish fail, server md5 may have changed.",
                ),
                Refusal::TooLong(max) => {
                    caused(StatusCode::BAD_REQUEST, &format!("invalid content, over {max}"))
                }
                // As Nacos's capacity management answers.
                Refusal::TooMany => (StatusCode::TOO_MANY_REQUESTS, "false").into_response(),
                Refusal::NamespaceExists(_) => super::boolean(false),
                Refusal::Busy => caused(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string()),
                Refusal::Store(text) => caused(StatusCode::INTERNAL_SERVER_ERROR, &text),
            },
        }
    }
}

/// As `ExceptionUtil.getAllExceptionMsg` writes it.
fn caused(status: StatusCode, text: &str) -> Response {
    let content_type = [(CONTENT_TYPE, "text/plain;charset=UTF-8")];
    (status, content_type, format!("caused: {text};")).into_response()
}

/// Spring's page of errors, as JSON; without the time, which no client reads.
pub(super) fn page(status: StatusCode, message: &str, path: &str) -> Response {
    let body = json!({
        "status": status.as_u16(),
        "error": status.canonical_reason().unwrap_or_default(),
        "message": message,
        "path": path,
    });
    let content_type = [(CONTENT_TYPE, "application/json;charset=UTF-8")];
    (status, content_type, body.to_string()).into_response()
}
