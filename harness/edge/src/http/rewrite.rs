//! Responses made by the proxy: in the callee's place, or out of the callee's own with another header field or body.

use std::io::Write as _;
use std::sync::Arc;

use super::HttpAction;
use super::framing::{Body, ResponseHead};
use super::rules::{ActiveFault, is_framing};

/// What is told to a caller whose request is aborted.
pub(super) fn answer(status: u16, body: &[u8], closes: bool, to_head: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(128 + body.len());
    let has_body = status != 204 && status != 304;
    // Writing to memory can't fail.
    let _ = write!(text, "HTTP/1.1 {status} Injected\r\n");
    if has_body {
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    if closes {
        text.extend_from_slice(b"connection: close\r\n");
    }
    text.extend_from_slice(b"\r\n");
    if has_body && !to_head {
        text.extend_from_slice(body);
    }
    text
}

/// The head of a response after what `faults` do to it, with the new body if there is one. `bytes` is the callee's head.
pub(super) fn rewritten(bytes: &[u8], head: &ResponseHead, faults: &[Arc<ActiveFault>]) -> (Vec<u8>, bool) {
    let has_body = head.body != Body::NONE;
    let mut body = None;
    let mut replaced: Vec<(&str, Option<&str>)> = Vec::new();
    for fault in faults {
        match fault.action() {
            HttpAction::Body(new) if has_body => body = Some(new),
            HttpAction::Header { name, value } => {
                replaced.retain(|(before, _)| !before.eq_ignore_ascii_case(name));
                replaced.push((name, value.as_deref()));
            }
            _ => {}
        }
    }
    let mut text = Vec::with_capacity(bytes.len() + 256);
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    text.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = std::str::from_utf8(name).unwrap_or_default().trim();
        let is_blank = line.trim_ascii().is_empty();
        let is_replaced = replaced.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let is_stale = body.is_some() && is_framing(name);
        if !(is_blank || is_replaced || is_stale) {
            text.extend_from_slice(line);
        }
    }
    for (name, value) in replaced {
        if let Some(value) = value {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    if let Some(body) = body {
        let _ = write!(text, "content-length: {}\r\n\r\n", body.len());
        text.extend_from_slice(body);
    } else {
        text.extend_from_slice(b"\r\n");
    }
    (text, body.is_some())
}
