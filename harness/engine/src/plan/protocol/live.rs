//! `ws:` and `sse:`: connections that stay open.

use std::num::NonZeroU32;
use std::sync::Arc;

use squall_load::http1::RequestTemplate;
use squall_load::sse::EventStream;
use squall_load::websocket::{Send, WebSocket};
use squall_model::decode::{Decode as _, Map};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::node::Node;
use squall_model::placeholder::Template;
use squall_model::record;
use squall_model::span::Spanned;

use super::Asked;
use super::http::HeaderName;
use crate::plan::data::Data;

record! {
    /// Messages over WebSocket. Without `send`, users open connections and stay on them.
    pub struct Ws {
        /// What is opened.
        pub path: Spanned<Template>,
        /// Headers of the handshake, by name.
        pub headers: Map<HeaderName, Spanned<Template>> = Map::new(),
        /// The text that each request sends; the next message back is its answer.
        pub send: Option<Spanned<Template>>,
    }
}

record! {
    /// Server-sent events. Without `events`, users open streams and stay on them.
    pub struct Sse {
        /// What is opened.
        pub path: Spanned<Template>,
        /// Headers, by name.
        pub headers: Map<HeaderName, Spanned<Template>> = Map::new(),
        /// How many events answer a request; the connection is closed after them.
        pub events: Option<Spanned<NonZeroU32>>,
    }
}

/// Reads what a load asks over WebSocket.
pub(super) fn decode_ws(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let ws = Ws::decode(node, diagnostics)?;
    let found = diagnostics.error_count();
    let send = ws
        .send
        .as_ref()
        .map(|text| Send::Text(data.text(&text.value, diagnostics)));
    let request = request(&ws.path, &ws.headers, data, diagnostics)?;
    if diagnostics.error_count() > found {
        return None;
    }
    let path = request.path.to_string();
    Some(Asked {
        shown: format!("WebSocket {path}"),
        path: Some(path),
        holds: send.is_none(),
        protocol: Arc::new(WebSocket { request, send }),
    })
}

/// Reads what a load asks for as server-sent events.
pub(super) fn decode_sse(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let sse = Sse::decode(node, diagnostics)?;
    let request = request(&sse.path, &sse.headers, data, diagnostics)?;
    let path = request.path.to_string();
    let events = sse.events.map(|events| events.get());
    Some(Asked {
        shown: format!("events of {path}"),
        path: Some(path),
        holds: events.is_none(),
        protocol: Arc::new(EventStream { request, events }),
    })
}

/// The request that opens a connection; `None` if it can't be written, which is said.
fn request(
    path: &Spanned<Template>,
    headers: &Map<HeaderName, Spanned<Template>>,
    data: &mut Data,
    diagnostics: &mut Diagnostics,
) -> Option<RequestTemplate> {
    let found = diagnostics.error_count();
    let mut request = RequestTemplate::get(data.text(&path.value, diagnostics));
    for (name, value) in headers {
        let value = data.text(&value.value, diagnostics);
        request.headers.push((name.value.as_ref().to_owned(), value));
    }
    request.feeds = data.feeds();
    if diagnostics.error_count() > found {
        return None;
    }
    if let Err(e) = request.check() {
        diagnostics.push(Diagnostic::error(path.span, e.to_string()));
        return None;
    }
    Some(request)
}
