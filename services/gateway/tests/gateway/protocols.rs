//! HTTP/2 on either side, and on both.

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::upstream::{Act, Upstream};
use crate::support::{Rig, one};

/// Runs `ask` with an HTTP/2 connection to the gateway.
pub(crate) fn over_http2<T>(rig: &Rig, ask: impl AsyncFnOnce(http2::SendRequest<Full<Bytes>>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = rig.running.listen();
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        drop(tokio::spawn(connection));
        ask(sender).await
    })
}

pub(crate) fn request(method: Method, body: &'static str) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(method).uri("http://shop.test/a?b=c");
    builder
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .unwrap()
}

#[test]
fn a_client_may_speak_http2_to_an_upstream_of_http1() {
    let upstream = Upstream::well("body");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    over_http2(&rig, async |mut sender| {
        let response = sender.send_request(request(Method::POST, "sent")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, Version::HTTP_2)
        );
        assert_eq!(response.headers()["x-gateway-cluster"], "app");
        assert!(!response.headers().contains_key("x-private"));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "body");
    });
    let seen = upstream.seen();
    assert_eq!(
        (seen[0].line.as_str(), seen[0].version),
        ("POST /a?b=c", Version::HTTP_11)
    );
    assert_eq!(
        (&seen[0].headers["host"], &seen[0].headers["via"]),
        (
            &"shop.test".parse().unwrap(),
            &"2 squall-gateway".parse().unwrap()
        )
    );
    assert_eq!(seen[0].body, "sent");
}

#[test]
fn requests_share_the_connections_of_both_sides() {
    let upstream = Upstream::well("body");
    let rig = Rig::new(&one(&[upstream.address], &json!({"http2": true})));
    over_http2(&rig, async |sender| {
        let asks = (0..50).map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                sender
                    .send_request(request(Method::GET, ""))
                    .await
                    .unwrap()
                    .status()
            })
        });
        let asks: Vec<_> = asks.collect();
        for ask in asks {
            assert_eq!(ask.await.unwrap(), 200);
        }
    });
    assert_eq!((upstream.seen().len(), upstream.connections()), (50, 1));
    let seen = upstream.seen();
    assert!(seen.iter().all(|seen| seen.version == Version::HTTP_2));
    assert_eq!(seen[0].line, "GET http://shop.test/a?b=c");
}

#[test]
fn a_client_may_speak_http1_to_an_upstream_of_http2() {
    let upstream = Upstream::start(|number, _| {
        if number == 0 {
            Act::Reset
        } else {
            Act::Answer(200, "body")
        }
    });
    let rig = Rig::new(&one(&[upstream.address], &json!({"http2": true})));
    let reply = rig.client().post("PUT", "kept");
    assert_eq!(
        (
            reply.status,
            reply.text().as_str(),
            reply.field("x-gateway-attempts")
        ),
        (200, "body", "2")
    );
    assert!(upstream.seen().iter().all(|seen| seen.body == "kept"));
}

#[test]
fn an_http2_upstream_that_came_back_is_connected_to_again() {
    let upstream = Upstream::well("first");
    let rig = Rig::new(&one(&[upstream.address], &json!({"http2": true})));
    assert_eq!(rig.get("/").text(), "first");
    let address = upstream.address;
    drop(upstream);
    let _again = Upstream::at(address, |_, _| Act::Answer(200, "again"));
    assert_eq!(rig.get("/").text(), "again");
}

#[test]
fn trailers_are_passed_on() {
    let (send, pieces) = tokio::sync::mpsc::channel(1);
    let pieces = std::sync::Mutex::new(Some(pieces));
    let upstream = Upstream::start(move |_, _| Act::Pieces(pieces.lock().unwrap().take().unwrap()));
    let rig = Rig::new(&one(&[upstream.address], &json!({"http2": true})));
    send.blocking_send("piece").unwrap();
    drop(send);
    over_http2(&rig, async |mut sender| {
        let mut request = request(Method::POST, "");
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        request
            .headers_mut()
            .insert("grpc-timeout", "5S".parse().unwrap());
        let response = sender.send_request(request).await.unwrap();
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-sum"], "42");
        assert_eq!(whole.to_bytes(), "piece");
    });
    let seen = upstream.seen();
    assert_eq!(seen[0].headers["te"], "trailers");
    assert!(seen[0].headers["grpc-timeout"].to_str().unwrap().ends_with('m'));
}

#[test]
fn an_http2_upstream_that_is_none_is_said_to_be() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let policy =
        json!({"http2": true, "connect_timeout": "100ms", "deadline": "400ms", "retry": {"attempts": 0}});
    let rig = Rig::new(&one(&[address], &policy));
    let reply = rig.get("/");
    assert!([502, 504].contains(&reply.status), "{reply:?}");
    drop(listener);
}
