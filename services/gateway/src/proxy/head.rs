//! What a request's head must be, and what is changed of it on the way.
//!
//! Framing is hyper's: of `Transfer-Encoding` and `Content-Length` together only the first is believed and passed on, differing lengths and
//! unknown codings are refused, and each message is framed anew for the endpoint. Here: one authority, no `CONNECT`, no `Upgrade`, no
//! expectation but that of a 100.

use http::header::{EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use super::hop;
use super::refusal::{Reason, Refusal};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Checks a head, of which fields and target may have `most` bytes.
pub fn check(parts: &mut Parts, most: usize) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::new(
            Reason::NotImplemented,
            "CONNECT is for forward proxies; this is a gateway",
        ));
    }
    let fields = parts.headers.iter();
    let bytes: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let target = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if bytes + target > most {
        let text = format!("the head has {} bytes, and may have {most}", bytes + target);
        return Err(Refusal::new(Reason::HeadTooLong, text));
    }
    if let Some(expect) = parts.headers.remove(EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        let text = "nothing can be expected but 100-continue";
        return Err(Refusal::new(Reason::Expectation, text));
    }
    Ok(())
}

/// Makes a head what an endpoint is sent: its target in the form of the protocol spoken there, one `Host`, and the fields by which a
/// request says which way it came.
pub fn prepare(parts: &mut Parts, http2: bool, peer: &HeaderValue) -> Result<(), Refusal> {
    let authority = authority(parts)?;
    let received = parts.version;
    hop::strip(&mut parts.headers, http2);
    append_peer(&mut parts.headers, peer);
    parts
        .headers
        .entry(FORWARDED_PROTO)
        .or_insert(HeaderValue::from_static("http"));
    parts.headers.append(VIA, via(received));
    let target = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    if http2 {
        parts.headers.remove(HOST);
        let mut absolute = http::uri::Parts::default();
        absolute.scheme = Some(Scheme::HTTP);
        absolute.authority = authority;
        absolute.path_and_query = Some(target);
        parts.uri =
            Uri::from_parts(absolute).map_err(|error| Refusal::new(Reason::BadRequest, error.to_string()))?;
        parts.version = Version::HTTP_2;
    } else {
        if let Some(authority) = authority {
            let host = HeaderValue::try_from(authority.as_str());
            parts
                .headers
                .insert(HOST, host.expect("an authority is visible text"));
        }
        parts.uri = Uri::from(target);
        parts.version = Version::HTTP_11;
    }
    Ok(())
}

/// Whom the request is for. What is in the target goes before `Host` (RFC 9112, 3.2.2). Only HTTP/1.0 may leave it out.
fn authority(parts: &Parts) -> Result<Option<Authority>, Refusal> {
    let wrong = |text: &str| Err(Refusal::new(Reason::BadRequest, text));
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return wrong("there is more than one Host");
    }
    let authority = match (parts.uri.authority(), host) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) => authority,
            Err(_) => return wrong("Host is no host and port"),
        },
        (None, None) if parts.version < Version::HTTP_11 => return Ok(None),
        (None, None) => return wrong("there is no Host"),
    };
    if authority.as_str().contains('@') {
        return wrong("an authority has no user here");
    }
    Ok(Some(authority))
}

fn append_peer(headers: &mut HeaderMap, peer: &HeaderValue) {
    let before = headers.get_all(FORWARDED_FOR);
    let mut all: Vec<u8> = Vec::new();
    for value in before {
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(b", ");
    }
    let value = if all.is_empty() {
        peer.clone()
    } else {
        all.extend_from_slice(peer.as_bytes());
        HeaderValue::from_bytes(&all).expect("values with a comma between them are a value")
    };
    headers.insert(FORWARDED_FOR, value);
}

fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_2 => "2 squall-gateway",
        Version::HTTP_10 => "1.0 squall-gateway",
        _ => "1.1 squall-gateway",
    })
}

#[cfg(test)]
mod tests {
    use http::request::Parts;
    use http::{HeaderValue, Request, Version};

    use super::{check, prepare};
    use crate::proxy::refusal::Reason;

    fn parts(target: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
        let mut builder = Request::get(target).version(version);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn prepared(mut parts: Parts, http2: bool) -> Result<Parts, Reason> {
        let peer = HeaderValue::from_static("192.0.2.7");
        prepare(&mut parts, http2, &peer).map_err(|refusal| refusal.reason)?;
        Ok(parts)
    }

    #[test]
    fn an_endpoint_sees_which_way_a_request_came() {
        let fields = [
            ("host", "shop.test"),
            ("x-forwarded-for", "198.51.100.1"),
            ("via", "1.1 edge"),
        ];
        let parts = prepared(parts("/a?b=c", Version::HTTP_11, &fields), false).unwrap();
        assert_eq!(parts.uri, "/a?b=c");
        assert_eq!(parts.headers["host"], "shop.test");
        assert_eq!(parts.headers["x-forwarded-for"], "198.51.100.1, 192.0.2.7");
        assert_eq!(parts.headers["x-forwarded-proto"], "http");
        let via: Vec<_> = parts.headers.get_all("via").iter().collect();
        assert_eq!(via, ["1.1 edge", "1.1 squall-gateway"]);
    }

    #[test]
    fn what_the_target_names_goes_before_host() {
        let absolute = parts("http://shop.test/a", Version::HTTP_11, &[("host", "other.test")]);
        let prepared_1 = prepared(absolute.clone(), false).unwrap();
        assert_eq!(
            (prepared_1.uri.to_string().as_str(), &prepared_1.headers["host"]),
            ("/a", &"shop.test".parse().unwrap())
        );
        let prepared_2 = prepared(absolute, true).unwrap();
        assert_eq!(prepared_2.uri, "http://shop.test/a");
        assert!(!prepared_2.headers.contains_key("host"));
    }

    #[test]
    fn a_request_is_for_one_host() {
        let twice = parts("/", Version::HTTP_11, &[("host", "a"), ("host", "b")]);
        assert_eq!(prepared(twice, false).unwrap_err(), Reason::BadRequest);
        let none = parts("/", Version::HTTP_11, &[]);
        assert_eq!(prepared(none, false).unwrap_err(), Reason::BadRequest);
        let odd = parts("/", Version::HTTP_11, &[("host", "a b")]);
        assert_eq!(prepared(odd, false).unwrap_err(), Reason::BadRequest);
        let user = parts("http://me@a/", Version::HTTP_11, &[]);
        assert_eq!(prepared(user, false).unwrap_err(), Reason::BadRequest);
        assert!(prepared(parts("/", Version::HTTP_10, &[]), false).is_ok());
    }

    #[test]
    fn what_is_too_long_or_not_for_a_gateway_is_refused() {
        let reason = |mut parts: Parts| check(&mut parts, 64).map_err(|refusal| refusal.reason);
        let long = parts("/", Version::HTTP_11, &[("x", &"y".repeat(80))]);
        assert_eq!(reason(long), Err(Reason::HeadTooLong));
        let target = format!("/{}", "z".repeat(80));
        assert_eq!(
            reason(parts(&target, Version::HTTP_11, &[])),
            Err(Reason::HeadTooLong)
        );
        let expect = parts("/", Version::HTTP_11, &[("expect", "tea")]);
        assert_eq!(reason(expect), Err(Reason::Expectation));
        let mut expect = parts("/", Version::HTTP_11, &[("expect", "100-Continue")]);
        assert!(check(&mut expect, 64).is_ok() && expect.headers.is_empty());
        let mut connect = parts("/", Version::HTTP_11, &[]);
        connect.method = http::Method::CONNECT;
        assert_eq!(reason(connect), Err(Reason::NotImplemented));
    }
}
