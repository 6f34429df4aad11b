//! `http:`: HTTP/1.1 and HTTP/2.

use std::num::NonZeroU32;
use std::sync::Arc;

use squall_load::Text;
use squall_load::http1::RequestTemplate;
use squall_load::http2::{Http2, STREAMS};
use squall_model::decode::{Decode as _, Key, Map};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::NameError;
use squall_model::node::Node;
use squall_model::placeholder::Template;
use squall_model::record;
use squall_model::span::Spanned;

use super::Asked;
use crate::plan::checks::Check;
use crate::plan::data::Data;

record! {
    /// One HTTP request.
    pub struct Http {
        /// GET this path.
        pub get: Option<Spanned<Template>>,
        /// HEAD this path.
        pub head: Option<Spanned<Template>>,
        /// POST to this path.
        pub post: Option<Spanned<Template>>,
        /// PUT to this path.
        pub put: Option<Spanned<Template>>,
        /// PATCH this path.
        pub patch: Option<Spanned<Template>>,
        /// DELETE this path.
        pub delete: Option<Spanned<Template>>,
        /// Headers, by name.
        pub headers: Map<HeaderName, Template> = Map::new(),
        /// The body, as it is.
        pub body: Option<Template>,
        /// The body, as JSON.
        pub json: Option<Node>,
        /// What an answer must be.
        pub check: Option<Spanned<Check>>,
        /// The version: 1 for HTTP/1.1, which is meant if it is left out, or 2.
        pub version: Option<Spanned<u32>>,
        /// With version 2: requests at once on a connection; 100 if left out.
        pub streams: Option<Spanned<NonZeroU32>>,
    }
    exactly_one ["get", "head", "post", "put", "patch", "delete"];
    at_most_one ["body", "json"];
}

/// The name of a header; whether it can be one is checked with the whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(String);

impl AsRef<str> for HeaderName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Key for HeaderName {
    const PATTERN: &str = "^.+$";

    fn parse(text: &str) -> Result<HeaderName, NameError> {
        if text.is_empty() {
            Err(NameError::Empty)
        } else {
            Ok(HeaderName(text.to_owned()))
        }
    }
}

impl Http {
    fn method(&self) -> Option<(&'static str, &Spanned<Template>)> {
        let methods = [
            ("GET", &self.get),
            ("HEAD", &self.head),
            ("POST", &self.post),
            ("PUT", &self.put),
            ("PATCH", &self.patch),
            ("DELETE", &self.delete),
        ];
        methods
            .into_iter()
            .find_map(|(method, path)| Some((method, path.as_ref()?)))
    }
}

/// Reads what a load asks over HTTP.
pub(super) fn decode(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let http = Http::decode(node, diagnostics)?;
    let request = request(&http, data, diagnostics)?;
    let path = request.path.to_string();
    let shown = format!("{} {path}", request.method);
    Some(Asked {
        protocol: of_version(&http, request, diagnostics)?,
        shown,
        path: Some(path),
        holds: false,
    })
}

/// Reads a step's request: HTTP/1.1 whatever happens.
pub(super) fn step(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<RequestTemplate> {
    let http = Http::decode(node, diagnostics)?;
    if let Some(version) = http.version.filter(|version| version.value != 1) {
        let error = Diagnostic::error(version.span, "the steps of a journey are asked over HTTP/1.1");
        diagnostics.push(error.help("leave `version` out"));
        return None;
    }
    request(&http, data, diagnostics)
}

/// Reads one request.
fn request(http: &Http, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<RequestTemplate> {
    let (method, path) = http.method()?;
    let found = diagnostics.error_count();
    let path_text = data.text(&path.value, diagnostics);
    let mut headers = Vec::new();
    for (name, value) in &http.headers {
        headers.push((name.value.0.clone(), data.text(value, diagnostics)));
    }
    let mut body = http.body.as_ref().map(|body| data.text(body, diagnostics));
    if let Some(json) = &http.json {
        body = Some(data.json(json, diagnostics));
        let is_typed = |(name, _): &(String, Text)| name.eq_ignore_ascii_case("content-type");
        if !headers.iter().any(is_typed) {
            headers.push(("Content-Type".to_owned(), "application/json".into()));
        }
    }
    let checks = http
        .check
        .as_ref()
        .map(|check| check.value.compile(check.span, diagnostics));
    if diagnostics.error_count() > found {
        return None;
    }
    let request = RequestTemplate {
        method: method.to_owned(),
        path: path_text,
        headers,
        body: body.unwrap_or_default(),
        feeds: data.feeds(),
        checks: checks.unwrap_or_default(),
    };
    if let Err(e) = request.check() {
        diagnostics.push(Diagnostic::error(path.span, e.to_string()));
        return None;
    }
    Some(request)
}

/// The request in the version of HTTP that is asked for.
fn of_version(
    http: &Http,
    request: RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn squall_load::Protocol>> {
    let (version, span) = http
        .version
        .map_or((1, None), |version| (version.value, Some(version.span)));
    let problem = match (version, http.streams) {
        (1, None) => return Some(Arc::new(request)),
        (1, Some(streams)) => Diagnostic::error(streams.span, "HTTP/1.1 carries one request at a time")
            .help("write `version: 2`, or leave `streams` out"),
        (2, streams) => {
            let streams = streams.map_or(STREAMS, |streams| streams.get() as usize);
            let http2 = Http2 { request, streams };
            match http2.check() {
                Ok(()) => return Some(Arc::new(http2)),
                Err(e) => Diagnostic::error(http.streams.map_or(span?, |streams| streams.span), e),
            }
        }
        (_, _) => Diagnostic::error(span?, format!("HTTP has no version {version} here"))
            .help("1 is HTTP/1.1, 2 is HTTP/2"),
    };
    diagnostics.push(problem);
    None
}
