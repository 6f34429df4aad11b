//! A request that can be sent again, and whether it may be.

use http::{Method, Request};

use super::body::Outgoing;

/// Whether a method does the same however often it is done (RFC 9110, 9.2.2). Only then may a request be sent again that an endpoint may
/// have seen.
pub fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(method)
}

/// The same request once more, where its body can be had again.
pub fn again(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Method, Request};

    use super::{again, is_idempotent};
    use crate::proxy::body::Outgoing;

    #[test]
    fn what_creates_is_not_repeated() {
        assert!(is_idempotent(&Method::GET) && is_idempotent(&Method::PUT));
        assert!(!is_idempotent(&Method::POST) && !is_idempotent(&Method::PATCH));
        assert!(!is_idempotent(&Method::from_bytes(b"LOCK").unwrap()));
    }

    #[test]
    fn a_copy_is_the_same_request() {
        let request = Request::put("/a?b=c").header("x-user-id", "7");
        let request = request
            .body(Outgoing::Whole(Some(Bytes::from_static(b"body"))))
            .unwrap();
        let copy = again(&request).unwrap();
        assert_eq!(
            (copy.method(), copy.uri(), copy.headers()),
            (request.method(), request.uri(), request.headers())
        );
        assert!(matches!(copy.body(), Outgoing::Whole(Some(bytes)) if bytes == "body"));
    }
}
