//! The request of a load: what stays the same is turned into bytes once.

use std::sync::Arc;

use crate::check::Checks;
use crate::data::{Feeds, Values};
use crate::text::{Escape, Text, Unwritable, is_field_byte};

/// An HTTP request as a scenario gives it.
#[derive(Clone, Debug, Default)]
pub struct RequestTemplate {
    /// The method, such as `GET`.
    pub method: String,
    /// Path and query, beginning with `/`. Values in it are percent-encoded.
    pub path: Text,
    /// Further headers; a `Host` here replaces the target's. `Content-Length` is added where there is a body.
    pub headers: Vec<(String, Text)>,
    /// The body; empty for none.
    pub body: Text,
    /// Where the values come from.
    pub feeds: Feeds,
    /// What answers must be.
    pub checks: Checks,
}

impl RequestTemplate {
    /// A `GET` of `path`.
    pub fn get(path: impl Into<Text>) -> RequestTemplate {
        RequestTemplate {
            method: "GET".into(),
            path: path.into(),
            ..RequestTemplate::default()
        }
    }

    /// Whether it can be written as HTTP, whatever the target.
    pub fn check(&self) -> Result<(), TemplateError> {
        self.compile("localhost").map(|_| ())
    }

    /// Checks the request and writes down as much of it as is always the same.
    pub(crate) fn compile(&self, host: &str) -> Result<Compiled, TemplateError> {
        check_token(&self.method)
            .then_some(())
            .ok_or_else(|| TemplateError::Method(self.method.clone()))?;
        let path_ok = self.path.starts_with(b"/") && self.path.literals().flatten().all(u8::is_ascii_graphic);
        path_ok
            .then_some(())
            .ok_or_else(|| TemplateError::Path(self.path.to_string()))?;
        let mut head = Text::literal(format!("{} ", self.method));
        head.push_text(&self.path, Escape::Percent);
        head.push_literal(b" HTTP/1.1\r\n");
        if !self.has_header("host") {
            append_header(&mut head, "Host", &host.into())?;
        }
        for (name, value) in &self.headers {
            if ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
                return Err(TemplateError::Framing(name.clone()));
            }
            append_header(&mut head, name, value)?;
        }
        let Some(body) = self.body.as_literal() else {
            head.push_literal(b"Content-Length: ");
            let body = self.body.clone();
            return Ok(Compiled::Differing(head, Some(body)));
        };
        if !body.is_empty() || ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) {
            append_header(&mut head, "Content-Length", &body.len().to_string().into())?;
        }
        head.push_literal(b"\r\n");
        head.push_literal(body);
        Ok(match head.as_literal() {
            Some(bytes) => Compiled::Constant(bytes.into()),
            None => Compiled::Differing(head, None),
        })
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) enum Compiled {
    /// Always these bytes.
    Constant(Arc<[u8]>),
    /// The head; with a body that differs too, the head ends before the body's length.
    Differing(Text, Option<Text>),
}

/// Appends a request whose texts have values; `body` is for its own use. On an error nothing is appended.
pub(crate) fn render(
    head: &Text,
    of_body: Option<&Text>,
    values: &Values,
    body: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Unwritable> {
    let start = out.len();
    let mut write = || {
        head.write(values, out)?;
        if let Some(text) = of_body {
            body.clear();
            text.write(values, body)?;
            out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(body);
        }
        Ok(())
    };
    let written = write();
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Why a request cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The method is no token.
    #[error("the method {0:?} is not an HTTP token such as GET")]
    Method(String),
    /// The path does not begin with a slash or has bytes that must be percent-encoded.
    #[error("the path {0:?} must begin with / and have spaces and non-ASCII bytes percent-encoded")]
    Path(String),
    /// A header's name or value has forbidden bytes.
    #[error("the header {0:?}: {1:?} has bytes that a header cannot carry")]
    Header(String, String),
    /// A header that would contradict the message's real length.
    #[error("the header {0:?} is set by squall from the body's length; leave it out")]
    Framing(String),
}

fn append_header(head: &mut Text, name: &str, value: &Text) -> Result<(), TemplateError> {
    let value_ok = value.literals().flatten().copied().all(is_field_byte);
    if !check_token(name) || !value_ok {
        return Err(TemplateError::Header(name.into(), value.to_string()));
    }
    head.push_literal(format!("{name}: ").as_bytes());
    head.push_text(value, Escape::Field);
    head.push_literal(b"\r\n");
    Ok(())
}

/// A token of RFC 9110, 5.6.2.
fn check_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Slot;

    fn written(template: &RequestTemplate) -> Result<String, TemplateError> {
        template.compile("ids.test:80").map(|compiled| match compiled {
            Compiled::Constant(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            differing @ Compiled::Differing(..) => panic!("it has no values, yet: {differing:?}"),
        })
    }

    #[test]
    fn requests_are_written_with_host_and_length() {
        let get = RequestTemplate::get("/id?n=1");
        assert_eq!(
            written(&get).unwrap(),
            "GET /id?n=1 HTTP/1.1\r\nHost: ids.test:80\r\n\r\n"
        );
        let post = RequestTemplate {
            method: "POST".into(),
            path: "/".into(),
            headers: vec![("host".into(), "other".into()), ("X-A".into(), "b c".into())],
            body: "hello".into(),
            ..RequestTemplate::default()
        };
        assert_eq!(
            written(&post).unwrap(),
            "POST / HTTP/1.1\r\nhost: other\r\nX-A: b c\r\nContent-Length: 5\r\n\r\nhello"
        );
    }

    #[test]
    fn what_would_break_the_message_is_refused() {
        let with = |change: fn(&mut RequestTemplate)| {
            let mut template = RequestTemplate::get("/");
            change(&mut template);
            written(&template).unwrap_err().to_string()
        };
        let errors = [
            with(|t| t.method = "GE T".into()),
            with(|t| t.path = "no-slash".into()),
            with(|t| t.path = "/a b".into()),
            with(|t| t.headers.push(("X".into(), "a\r\nEvil: 1".into()))),
            with(|t| t.headers.push(("content-length".into(), "3".into()))),
        ];
        expect_test::expect![[r#"
            the method "GE T" is not an HTTP token such as GET
            the path "no-slash" must begin with / and have spaces and non-ASCII bytes percent-encoded
            the path "/a b" must begin with / and have spaces and non-ASCII bytes percent-encoded
            the header "X": "a\r\nEvil: 1" has bytes that a header cannot carry
            the header "content-length" is set by squall from the body's length; leave it out"#]]
        .assert_eq(&errors.join("\n"));
    }

    /// A request with `{x}` in all its places; `{y}` in a header of its own.
    fn with_values() -> RequestTemplate {
        let text = |before: &str, slot, escape| {
            let mut text = Text::from(before);
            text.push_value("x", slot, escape);
            text
        };
        let mut body = text("{\"x\":\"", Slot::Kept(0), Escape::Json);
        body.push_literal(b"\"}");
        RequestTemplate {
            method: "POST".into(),
            path: text("/a?x=", Slot::Kept(0), Escape::None),
            headers: vec![("X-Y".into(), text("v ", Slot::Kept(1), Escape::None))],
            body,
            ..RequestTemplate::default()
        }
    }

    fn rendered(template: &RequestTemplate, x: &str, y: &str) -> Result<String, Unwritable> {
        let Compiled::Differing(head, of_body) = template.compile("ids.test:80").unwrap() else {
            panic!("it has values");
        };
        let mut values = Feeds::default().open();
        values.keep(0, x.into());
        values.keep(1, y.into());
        let mut out = b"before".to_vec();
        let result = render(&head, of_body.as_ref(), &values, &mut Vec::new(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            result.is_err(),
            text == "before",
            "an error leaves nothing behind"
        );
        result.map(|()| text)
    }

    #[test]
    fn values_stand_in_path_headers_and_body_and_the_length_is_that_of_the_body() {
        let mut template = with_values();
        assert_eq!(
            rendered(&template, "a \"b\"/c", "y").unwrap(),
            "beforePOST /a?x=a%20%22b%22%2Fc HTTP/1.1\r\nHost: ids.test:80\r\nX-Y: v y\r\nContent-Length: 17\r\n\r\n\
             {\"x\":\"a \\\"b\\\"/c\"}"
        );
        template.body = "same".into();
        assert_eq!(
            rendered(&template, "1", "y").unwrap(),
            "beforePOST /a?x=1 HTTP/1.1\r\nHost: ids.test:80\r\nX-Y: v y\r\nContent-Length: 4\r\n\r\nsame"
        );
    }

    #[test]
    fn a_value_that_would_break_the_message_is_never_written() {
        let error = rendered(&with_values(), "x", "a\r\nEvil: 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the value of {x} is "a\r\nEvil: 1", which a header cannot carry"#
        );
        // Elsewhere the same value does no harm.
        assert!(
            rendered(&with_values(), "a\r\nEvil: 1", "y")
                .unwrap()
                .contains("/a?x=a%0D%0AEvil%3A%201 HTTP")
        );
    }

    #[test]
    fn a_path_begins_with_a_slash_of_its_own() {
        let mut template = with_values();
        template.path = Text::default();
        template.path.push_value("x", Slot::Kept(0), Escape::None);
        let error = template.check().unwrap_err().to_string();
        assert!(error.starts_with("the path \"{x}\" must begin with /"), "{error}");
    }
}
