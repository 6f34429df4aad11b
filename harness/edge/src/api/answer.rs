//! What is answered: statuses, bodies as the original writes them, and errors.

use serde::Serialize;

use crate::api::VERSION;
use crate::api::entry::View;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body is; nothing where there is none.
    pub content_type: Option<&'static str>,
    /// Where what was asked for is to be found.
    pub location: Option<String>,
    /// The body.
    pub body: String,
    /// What was ignored, for whoever runs the API; clients are not told.
    pub warnings: Vec<String>,
}

/// Why something was not done. Written as `{"error": ..., "status": ...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What is wrong.
    #[serde(rename = "error")]
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> ApiError {
        ApiError {
            message: message.into(),
            status,
        }
    }

    /// A body that can't be read.
    pub(super) fn body(reason: impl std::fmt::Display) -> ApiError {
        ApiError::new(400, format!("bad request body: {reason}"))
    }

    /// A field that has to be there.
    pub(super) fn missing(field: impl std::fmt::Display) -> ApiError {
        ApiError::new(400, format!("missing required field: {field}"))
    }
}

impl Answer {
    fn new(status: u16, content_type: Option<&'static str>, body: String) -> Answer {
        Answer {
            status,
            content_type,
            location: None,
            body,
            warnings: Vec::new(),
        }
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Answer {
        Answer::new(status, Some(JSON), written(value))
    }

    pub(super) fn empty(status: u16) -> Answer {
        Answer::new(status, None, String::new())
    }

    pub(super) fn moved(to: String) -> Answer {
        Answer {
            location: Some(to),
            ..Answer::empty(301)
        }
    }

    /// A line of text.
    pub(super) fn text(status: u16, line: &str) -> Answer {
        Answer::new(status, Some(TEXT), format!("{line}\n"))
    }

    /// An error. The original calls what it writes plain text.
    pub(super) fn error(error: &ApiError) -> Answer {
        Answer::text(error.status, &written(error))
    }

    pub(super) fn version() -> Answer {
        let body = format!("{{\"version\": \"{VERSION}\"}}\n");
        Answer::new(200, Some("application/json;charset=utf-8"), body)
    }

    pub(super) fn metrics(text: String) -> Answer {
        Answer::new(200, Some(EXPOSITION), text)
    }

    /// The proxies that were put, and the error that kept others from it.
    pub(super) fn populated(proxies: Option<&Vec<View<'_>>>, error: Option<&ApiError>) -> Answer {
        #[derive(Serialize)]
        struct Populated<'a> {
            #[serde(flatten)]
            error: Option<&'a ApiError>,
            proxies: Option<&'a Vec<View<'a>>>,
        }
        let status = error.map_or(201, |error| error.status);
        Answer::json(status, &Populated { error, proxies })
    }

    pub(super) fn warning(mut self, warnings: Vec<String>) -> Answer {
        self.warnings = warnings;
        self
    }
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names, numbers and lists are always written")
}
