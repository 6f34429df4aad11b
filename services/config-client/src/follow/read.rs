//! What an answer to a fetch says. Pure.

use std::sync::Arc;

use hyper::StatusCode;

use crate::checksum::md5;
use crate::protocol::CONTENT_MD5;
use crate::transport::Answer;

/// What an answer says of a configuration.
pub(super) struct Read {
    pub(super) content: Option<Arc<str>>,
    pub(super) md5: Arc<str>,
}

/// Why an answer says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("its content has not the MD5 that came with it")]
    Mismatch,
    #[error("the server answered {0}")]
    Status(StatusCode),
}

/// Reads an answer; why it is none.
pub(super) fn read(answer: &Answer) -> Result<Read, Unread> {
    match answer.status {
        StatusCode::OK => {
            let content = String::from_utf8_lossy(&answer.body);
            let md5 = md5(&content);
            let told = answer.header(CONTENT_MD5);
            if told.is_some_and(|told| !told.is_empty() && told != md5) {
                return Err(Unread::Mismatch);
            }
            Ok(Read {
                content: Some(Arc::from(content)),
                md5: md5.into(),
            })
        }
        StatusCode::NOT_FOUND => Ok(Read {
            content: None,
            md5: "".into(),
        }),
        status => Err(Unread::Status(status)),
    }
}
