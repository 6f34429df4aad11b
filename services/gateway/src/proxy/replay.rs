//! A request that can be sent again, and whether it may be.

use http::{Method, Request};

use super::body::{self, Outgoing};

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
    let mut copy = Request::new(body::again(request.body())?);
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
    use http_body_util::{BodyExt as _, Either, Full};

    use super::{again, is_idempotent};

    #[test]
    fn what_creates_is_not_repeated() {
        assert!(is_idempotent(&Method::GET) && is_idempotent(&Method::PUT));
        assert!(!is_idempotent(&Method::POST) && !is_idempotent(&Method::PATCH));
        assert!(!is_idempotent(&Method::from_bytes(b"LOCK").unwrap()));
    }

    #[tokio::test]
    async fn a_copy_is_the_same_request() {
        let request = Request::put("/a?b=c").header("x-user-id", "7");
        let request = request
            .body(Either::Left(Full::from(Bytes::from_static(b"body"))))
            .unwrap();
        let copy = again(&request).unwrap();
        assert_eq!(
            (copy.method(), copy.uri(), copy.headers()),
            (request.method(), request.uri(), request.headers())
        );
        let Either::Left(whole) = copy.into_body() else {
            panic!("it was all there");
        };
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "body");
    }
}
