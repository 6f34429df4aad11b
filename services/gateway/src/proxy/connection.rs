//! One connection of a client: HTTP/1.1, or HTTP/2 where it begins with its preface.
//!
//! Which of the two is found out here and not by hyper, which waits for ever for the first bytes. Nothing on a connection is waited for
//! without a bound: its first bytes, a head, the next request, and that a client takes what is left when it is to go.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, join};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;
use tokio::time::timeout;

use super::client::Client;
use super::forward::{Worker, handle};

/// The most that is buffered of one connection, in bytes, unless the gateway's own limit of heads is above half of it: then twice that. A head that
/// is longer is answered with 431 by hyper.
const BUFFER_MAX: usize = 64 << 10;
/// The most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_WITHIN: Duration = Duration::from_secs(10);
/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How clients' connections are served.
#[derive(Debug)]
pub struct Serving {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    head_within: Duration,
}

/// What a connection begins with.
struct Begun {
    bytes: Vec<u8>,
    is_http2: bool,
}

impl Serving {
    /// Connections on which a head may take `head_within`, the wait for one included.
    pub fn new(head_within: Duration, head_max: usize) -> Self {
        let buffer_max = BUFFER_MAX.max(2 * head_max);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(head_within)
            .max_buf_size(buffer_max);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(buffer_max as u32);
        Self {
            http1,
            http2,
            head_within,
        }
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
        let (mut read, write) = stream.into_split();
        let begun = tokio::select! {
            begun = timeout(self.head_within, begin(&mut read)) => begun,
            () = told(&mut stopped) => return,
        };
        // Else it has closed, or said nothing for too long.
        let Ok(Ok(begun)) = begun else { return };
        let client = Arc::new(Client::new(peer, begun.is_http2));
        let io = TokioIo::new(join(Cursor::new(begun.bytes).chain(read), write));
        let service = {
            let client = Arc::clone(&client);
            service_fn(move |request: Request<Incoming>| {
                let (worker, client) = (Arc::clone(&worker), Arc::clone(&client));
                async move { Ok::<_, Infallible>(handle(&worker, &client, request).await) }
            })
        };
        if client.is_http2() {
            let mut connection = pin!(self.http2.serve_connection(io, service));
            if self
                .until_unused(connection.as_mut(), &client, &mut stopped)
                .await
            {
                connection.as_mut().graceful_shutdown();
                self.let_end(connection, &client, &mut stopped).await;
            }
        } else {
            let mut connection = pin!(self.http1.serve_connection(io, service));
            if self
                .until_unused(connection.as_mut(), &client, &mut stopped)
                .await
            {
                connection.as_mut().graceful_shutdown();
                self.let_end(connection, &client, &mut stopped).await;
            }
        }
    }

    /// Whether a connection is to end in good order: it is unused, or the gateway stops. Else it has ended or is cut.
    async fn until_unused(
        &self,
        connection: impl Future<Output = hyper::Result<()>>,
        client: &Client,
        stopped: &mut watch::Receiver<bool>,
    ) -> bool {
        tokio::select! {
            // An error here is the client's: it closed in the middle of a request, or sent what is not HTTP.
            _ = connection => false,
            () = client.is_cut() => false,
            () = client.is_unused_for(self.head_within) => true,
            () = told(stopped) => true,
        }
    }

    /// Lets a connection end that takes no more requests. Once there are none, a client has `head_within` to take what is left.
    async fn let_end(
        &self,
        connection: impl Future<Output = hyper::Result<()>>,
        client: &Client,
        stopped: &mut watch::Receiver<bool>,
    ) {
        tokio::select! {
            _ = connection => {}
            () = client.is_cut() => {}
            () = async {
                client.is_unused_for(self.head_within).await;
                // Where it is unused already, it has as long again.
                if !*stopped.borrow_and_update() {
                    tokio::time::sleep(self.head_within).await;
                }
            } => {}
        }
    }
}

/// Reads until it is known which protocol is spoken.
async fn begin(read: &mut OwnedReadHalf) -> io::Result<Begun> {
    let mut bytes = Vec::new();
    let mut buffer = [0; PREFACE.len()];
    loop {
        let missing = PREFACE.len() - bytes.len();
        let count = read.read(&mut buffer[..missing]).await?;
        bytes.extend_from_slice(&buffer[..count]);
        let is_http2 = bytes == PREFACE;
        // One that ends in the midst of the preface is HTTP/1.1's to refuse.
        if is_http2 || count == 0 || !PREFACE.starts_with(&bytes) {
            return Ok(Begun { bytes, is_http2 });
        }
    }
}

/// Done once the gateway is told to stop.
pub(super) async fn told(stopped: &mut watch::Receiver<bool>) {
    // A server that is gone stops too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
