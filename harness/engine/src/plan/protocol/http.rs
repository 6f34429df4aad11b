//! `http:`: HTTP/1.1.

use std::sync::Arc;

use squall_load::http1::RequestTemplate;
use squall_model::decode::{Decode as _, Key, Map};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::NameError;
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Spanned;

use super::{Asked, literal};

record! {
    /// One HTTP request.
    pub struct Http {
        /// GET this path.
        pub get: Option<Spanned<String>>,
        /// HEAD this path.
        pub head: Option<Spanned<String>>,
        /// POST to this path.
        pub post: Option<Spanned<String>>,
        /// PUT to this path.
        pub put: Option<Spanned<String>>,
        /// PATCH this path.
        pub patch: Option<Spanned<String>>,
        /// DELETE this path.
        pub delete: Option<Spanned<String>>,
        /// Headers, by name.
        pub headers: Map<HeaderName, Spanned<String>> = Map::new(),
        /// The body, as it is.
        pub body: Option<Spanned<String>>,
    }
    exactly_one ["get", "head", "post", "put", "patch", "delete"];
    later ["json", "check", "version"];
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
    fn method(&self) -> Option<(&'static str, &Spanned<String>)> {
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

/// Reads what a load asks over HTTP/1.1.
pub(super) fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let http = Http::decode(node, diagnostics)?;
    let (method, path) = http.method()?;
    let found = diagnostics.error_count();
    let path_text = literal(path, diagnostics);
    let mut headers = Vec::new();
    for (name, value) in &http.headers {
        headers.push((name.value.0.clone(), literal(value, diagnostics)));
    }
    let body = http.body.as_ref().map(|body| literal(body, diagnostics));
    if diagnostics.error_count() > found {
        return None;
    }
    let request = RequestTemplate {
        method: method.to_owned(),
        path: path_text,
        headers,
        body: body.unwrap_or_default().into_bytes(),
    };
    if let Err(e) = request.check() {
        diagnostics.push(Diagnostic::error(path.span, e.to_string()));
        return None;
    }
    Some(Asked {
        shown: format!("{method} {}", request.path),
        path: Some(request.path.clone()),
        holds: false,
        protocol: Arc::new(request),
    })
}
