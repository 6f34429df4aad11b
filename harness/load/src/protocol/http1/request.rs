//! The request of a load, turned into bytes once.

/// An HTTP request as a scenario gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTemplate {
    /// The method, such as `GET`.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// Further headers; a `Host` here replaces the target's. `Content-Length` is added where there is a body.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl RequestTemplate {
    /// A `GET` of `path`.
    pub fn get(path: impl Into<String>) -> RequestTemplate {
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

    /// Checks the request and writes it down as it goes over the wire.
    pub(crate) fn compile(&self, host: &str) -> Result<Vec<u8>, TemplateError> {
        check_token(&self.method)
            .then_some(())
            .ok_or_else(|| TemplateError::Method(self.method.clone()))?;
        let path_ok = self.path.starts_with('/') && self.path.bytes().all(|byte| byte.is_ascii_graphic());
        path_ok
            .then_some(())
            .ok_or_else(|| TemplateError::Path(self.path.clone()))?;
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        if !self.has_header("host") {
            append_header(&mut bytes, "Host", host)?;
        }
        for (name, value) in &self.headers {
            if ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
                return Err(TemplateError::Framing(name.clone()));
            }
            append_header(&mut bytes, name, value)?;
        }
        if !self.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&self.method.as_str()) {
            append_header(
                &mut bytes,
                "Content-Length",
                itoa::Buffer::new().format(self.body.len()),
            )?;
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
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

fn append_header(bytes: &mut Vec<u8>, name: &str, value: &str) -> Result<(), TemplateError> {
    let value_ok = value
        .bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    if !check_token(name) || !value_ok {
        return Err(TemplateError::Header(name.into(), value.into()));
    }
    for part in [name, ": ", value, "\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
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

    fn written(template: &RequestTemplate) -> Result<String, TemplateError> {
        template
            .compile("ids.test:80")
            .map(|bytes| String::from_utf8(bytes).unwrap())
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
            body: b"hello".to_vec(),
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
}
