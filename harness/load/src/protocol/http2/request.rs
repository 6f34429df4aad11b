//! The request of a load as HTTP/2 has it: pseudo-header fields in the place of a request line and a `Host`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::data::Values;
use crate::protocol::http1::RequestTemplate;
use crate::spec::Target;
use crate::text::{Escape, Text};

/// What belongs to one connection of HTTP/1.1 and must not be sent here (RFC 9113, 8.2.2).
const FOREIGN: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A part of a request: always the same, or with values.
#[derive(Clone, Debug)]
enum Part<T> {
    Same(T),
    Differing(Text),
}

impl<T: Clone> Part<T> {
    /// Makes it of a text now, if that has no values.
    fn of(text: &Text, escape: Escape, make: fn(&Bytes) -> Result<T, String>) -> Result<Part<T>, String> {
        if let Some(literal) = text.as_literal() {
            return Ok(Part::Same(make(&Bytes::copy_from_slice(literal))?));
        }
        let mut differing = Text::default();
        differing.push_text(text, escape);
        Ok(Part::Differing(differing))
    }

    fn write(&self, values: &Values, make: fn(&Bytes) -> Result<T, String>) -> Result<T, String> {
        match self {
            Part::Same(same) => Ok(same.clone()),
            Part::Differing(text) => {
                let mut out = Vec::new();
                text.write(values, &mut out)
                    .map_err(|problem| problem.to_string())?;
                make(&out.into())
            }
        }
    }

    fn is_same(&self) -> bool {
        matches!(self, Part::Same(_))
    }
}

/// What a request is put together from.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    method: Method,
    scheme: Scheme,
    authority: Part<Authority>,
    path: Part<PathAndQuery>,
    fields: Vec<(HeaderName, Part<HeaderValue>)>,
    body: Part<Bytes>,
}

impl Parts {
    /// Fits the template to its target; the error says what can't be sent.
    fn of(template: &RequestTemplate, target: &Target) -> Result<Parts, String> {
        template.check().map_err(|error| error.to_string())?;
        // Whatever the values are, they are percent-encoded: what else stands there must be a path.
        path(&template.path.literals().collect::<Vec<_>>().concat().into())?;
        let mut fields = Vec::new();
        let mut host = Text::from(target.host.as_str());
        for (name, value) in &template.headers {
            let lower = name.to_ascii_lowercase();
            let is_foreign_te = lower == TE.as_str() && value.as_literal() != Some(b"trailers");
            if FOREIGN.contains(&lower.as_str()) || is_foreign_te {
                return Err(format!(
                    "the header {name:?} is one of HTTP/1.1 connections; leave it out with `version: 2`"
                ));
            }
            if lower == HOST.as_str() {
                host = value.clone();
                continue;
            }
            let refused = |_| format!("the header {name:?}: HTTP/2 can't carry this name");
            let known = HeaderName::from_bytes(lower.as_bytes()).map_err(refused)?;
            fields.push((known, Part::of(value, Escape::Field, field)?));
        }
        let method = Method::from_bytes(template.method.as_bytes());
        Ok(Parts {
            method: method.map_err(|_| format!("the method {:?} is none", template.method))?,
            scheme: match target.tls {
                Some(_) => Scheme::HTTPS,
                None => Scheme::HTTP,
            },
            authority: Part::of(&host, Escape::Field, authority)?,
            path: Part::of(&template.path, Escape::Percent, path)?,
            fields,
            body: Part::of(&template.body, Escape::None, |body| Ok(body.clone()))?,
        })
    }

    /// Whether every request is the same.
    fn is_same(&self) -> bool {
        let fields = self.fields.iter().all(|(_, value)| value.is_same());
        fields && self.authority.is_same() && self.path.is_same() && self.body.is_same()
    }

    fn write(&self, values: &Values) -> Result<(Request<()>, Bytes), String> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.write(values, authority)?)
            .path_and_query(self.path.write(values, path)?);
        let body = self.body.write(values, |body| Ok(body.clone()))?;
        let mut headers = HeaderMap::with_capacity(self.fields.len() + 1);
        for (name, value) in &self.fields {
            headers.append(name.clone(), value.write(values, field)?);
        }
        let has_body = !self.body.is_same() || !body.is_empty();
        if has_body || [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let mut head = Request::new(());
        *head.method_mut() = self.method.clone();
        *head.version_mut() = Version::HTTP_2;
        *head.uri_mut() = uri.build().map_err(|error| error.to_string())?;
        *head.headers_mut() = headers;
        Ok((head, body))
    }
}

/// A request that was checked, ready to be sent many times.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    /// Always the same.
    Constant(Arc<(Request<()>, Bytes)>),
    /// With values that differ from request to request.
    Differing { parts: Arc<Parts>, values: Values },
}

impl Prepared {
    /// Fits the template to its target; the error says what can't be sent.
    pub(super) fn new(template: &RequestTemplate, target: &Target) -> Result<Prepared, String> {
        let parts = Parts::of(template, target)?;
        let values = template.feeds.open();
        Ok(if parts.is_same() {
            Prepared::Constant(Arc::new(parts.write(&values)?))
        } else {
            let parts = Arc::new(parts);
            Prepared::Differing { parts, values }
        })
    }

    /// Request `number` of the load: its head and its body. An error says in words what can't be sent.
    pub(super) fn write(&mut self, number: u64) -> Result<(Request<()>, Bytes), String> {
        match self {
            Prepared::Constant(request) => Ok(request.as_ref().clone()),
            Prepared::Differing { parts, values } => {
                values.draw(number);
                parts.write(values)
            }
        }
    }
}

fn authority(host: &Bytes) -> Result<Authority, String> {
    Authority::from_maybe_shared(host.clone())
        .map_err(|_| format!("the host {:?} is none", String::from_utf8_lossy(host)))
}

fn path(path: &Bytes) -> Result<PathAndQuery, String> {
    PathAndQuery::from_maybe_shared(path.clone())
        .map_err(|error| format!("the path {:?}: {error}", String::from_utf8_lossy(path)))
}

fn field(value: &Bytes) -> Result<HeaderValue, String> {
    HeaderValue::from_maybe_shared(value.clone()).map_err(|_| {
        let value = String::from_utf8_lossy(value);
        format!("the value {value:?} is not one that a header can carry")
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::text::Slot;

    fn prepared(change: fn(&mut RequestTemplate)) -> Result<Prepared, String> {
        let target = Target {
            addr: SocketAddr::from(([127, 0, 0, 1], 80)).into(),
            host: "ids.test:80".into(),
            tls: None,
        };
        let mut template = RequestTemplate::get("/id?n=1");
        change(&mut template);
        Prepared::new(&template, &target)
    }

    #[test]
    fn the_host_becomes_the_authority_and_names_become_lower_case() {
        let (head, body) = prepared(|template| {
            template.method = "POST".into();
            template.headers = vec![("Host".into(), "other".into()), ("X-A".into(), "b c".into())];
            template.body = "hello".into();
        })
        .unwrap()
        .write(0)
        .unwrap();
        assert_eq!(head.uri(), "http://other/id?n=1");
        let fields: Vec<_> = head
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        assert_eq!(
            fields,
            [
                ("x-a", &HeaderValue::from_static("b c")),
                ("content-length", &5.into())
            ]
        );
        assert_eq!(body, "hello");
        assert_eq!(
            prepared(|_| {}).unwrap().write(0).unwrap().0.uri(),
            "http://ids.test:80/id?n=1"
        );
    }

    #[test]
    fn what_belongs_to_http1_is_refused() {
        let errors = [
            prepared(|t| t.headers.push(("Connection".into(), "close".into()))),
            prepared(|t| t.headers.push(("TE".into(), "gzip".into()))),
            prepared(|t| t.headers.push(("content-length".into(), "3".into()))),
            prepared(|t| t.path = "no-slash".into()),
            prepared(|t| t.headers.push(("Host".into(), "a b".into()))),
        ]
        .map(|result| result.map(drop).unwrap_err());
        expect_test::expect![[r#"
            the header "Connection" is one of HTTP/1.1 connections; leave it out with `version: 2`
            the header "TE" is one of HTTP/1.1 connections; leave it out with `version: 2`
            the header "content-length" is set by squall from the body's length; leave it out
            the path "no-slash" must begin with / and have spaces and non-ASCII bytes percent-encoded
            the host "a b" is none"#]]
        .assert_eq(&errors.join("\n"));
    }
    fn with_value(before: &str, at: u16) -> Text {
        let mut text = Text::from(before);
        text.push_value("x", Slot::Kept(at), Escape::None);
        text
    }

    /// The request with `{x}` in all its places, for one value of it in host and header and another elsewhere.
    fn written(of_fields: &str, elsewhere: &str) -> Result<(Request<()>, Bytes), String> {
        let mut request = prepared(|template| {
            template.method = "POST".into();
            template.path = with_value("/a?x=", 1);
            template.headers = vec![
                ("X-A".into(), "first".into()),
                ("Host".into(), with_value("of.", 0)),
                ("X-A".into(), with_value("v ", 0)),
            ];
            template.body = with_value("x=", 1);
        })?;
        let Prepared::Differing { values, .. } = &mut request else {
            panic!("it has values");
        };
        values.keep(0, of_fields.into());
        values.keep(1, elsewhere.into());
        request.write(0)
    }

    #[test]
    fn values_stand_in_all_places_and_the_length_is_that_of_the_body() {
        let (head, body) = written("y", "a \"b\"/\u{e9}").unwrap();
        assert_eq!(head.uri(), "http://of.y/a?x=a%20%22b%22%2F%C3%A9");
        assert_eq!(body, "x=a \"b\"/\u{e9}");
        assert_eq!(head.headers()["content-length"], body.len().to_string());
        let all: Vec<_> = head.headers().get_all("x-a").iter().collect();
        assert_eq!(all, ["first", "v y"]);
    }

    #[test]
    fn a_value_that_would_break_the_message_is_never_written() {
        assert_eq!(
            written("a\nb", "y").unwrap_err(),
            r#"the value of {x} is "a\nb", which a header cannot carry"#
        );
        // A header could carry it, a host can't.
        assert_eq!(written("a b", "y").unwrap_err(), r#"the host "of.a b" is none"#);
        assert!(written("y", "a\r\nEvil: 1").is_ok());
    }
}
