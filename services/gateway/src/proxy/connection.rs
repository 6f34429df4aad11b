//! One connection of a client: HTTP/1.1, or HTTP/2 where it begins with its preface.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::forward::{Worker, handle};

/// The most that is buffered of one connection, in bytes. A head that is longer is answered with 431 by hyper; the gateway's own limit is lower.
const BUFFER_MAX: usize = 64 << 10;
/// The most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// How clients' connections are served.
#[derive(Debug)]
pub struct Serving {
    builder: auto::Builder<TokioExecutor>,
}

impl Serving {
    /// Connections on which a head may take `head_within`, the wait for one included.
    pub fn new(head_within: Duration, head_max: usize) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(head_within)
            .max_buf_size(BUFFER_MAX.max(2 * head_max));
        builder
            .http2()
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(BUFFER_MAX as u32);
        Self { builder }
    }

    /// Serves one connection until it closes, or until its requests are answered once told to stop.
    pub async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        worker: Arc<Worker>,
        mut stopped: watch::Receiver<bool>,
    ) {
        // Without this an answer of two segments waits for the client's delayed acknowledgement: 40 ms.
        let _ = stream.set_nodelay(true);
        let peer = HeaderValue::try_from(peer.ip().to_string()).expect("an address is visible text");
        let service = service_fn(move |request: Request<Incoming>| {
            let (worker, peer) = (Arc::clone(&worker), peer.clone());
            async move { Ok::<_, Infallible>(handle(&worker, &peer, request).await) }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        // An error here is the client's: it closed in the middle of a request, or sent what is not HTTP.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = told(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.as_mut().await;
            }
        }
    }
}

/// Done once the gateway is told to stop.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    // A server that is gone stops too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
