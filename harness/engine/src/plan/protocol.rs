//! The protocols that a load can speak, as a scenario writes them.

use squall_load::http1::RequestTemplate;
use squall_model::decode::{Decode as _, Key, Map, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::NameError;
use squall_model::node::Node;
use squall_model::placeholder::Template;
use squall_model::record;
use squall_model::span::Spanned;

/// One protocol.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Its key in a load.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Reads what is asked in it.
    pub decode: fn(&Node, &mut Diagnostics) -> Option<RequestTemplate>,
    /// The schema of that.
    pub schema: fn() -> Schema,
}

/// Every protocol.
pub static PROTOCOLS: &[Protocol] = &[Protocol {
    name: "http",
    about: "HTTP/1.1 over TCP with keep-alive",
    decode: decode_http,
    schema: Http::schema,
}];

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

fn decode_http(node: &Node, diagnostics: &mut Diagnostics) -> Option<RequestTemplate> {
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
    Some(request)
}

/// The text as it is sent, `{{` being one brace. A placeholder in it is reported.
fn literal(text: &Spanned<String>, diagnostics: &mut Diagnostics) -> String {
    let template = Template::parse(&text.value, text.span);
    for placeholder in template.placeholders() {
        let message = format!(
            "`{{{}}}` in a request is not supported by this version",
            placeholder.value
        );
        diagnostics.push(Diagnostic::error(text.span, message).help("write `{{` for a brace"));
    }
    template.as_literal().unwrap_or_default().to_owned()
}
