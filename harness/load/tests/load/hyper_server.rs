//! A server that nobody here wrote: hyper, over TCP or a unix socket, with rustls where asked for.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use squall_load::{Tls, Trust};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

/// How it behaves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Speaks HTTP/2, and HTTP/1.1 otherwise.
    pub(crate) http2: bool,
    /// Resets the stream of every so manieth request.
    pub(crate) reset_every: Option<usize>,
    /// Says GOAWAY on a connection that has carried so many requests.
    pub(crate) goaway_after: Option<usize>,
    /// Requests at once on a connection.
    pub(crate) streams: Option<u32>,
    /// How much of one request's body may be under way.
    pub(crate) window: Option<u32>,
    /// Answers after this long.
    pub(crate) delay: Duration,
    /// Never answers requests of this path.
    pub(crate) hangs: Option<&'static str>,
    /// Closes each connection after its first answer.
    pub(crate) closes: bool,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) accepted: AtomicUsize,
    pub(crate) resumed: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// Requests at once on one connection, at most.
    pub(crate) at_once_max: AtomicUsize,
    /// Requests whose end was not waited for.
    pub(crate) given_up: AtomicUsize,
}

impl Seen {
    pub(crate) fn count(of: &AtomicUsize) -> usize {
        of.load(Ordering::SeqCst)
    }
}

pub(crate) struct HyperServer {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    /// Ends with it.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for HyperServer {
    fn drop(&mut self) {
        // What hangs is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server's certificate for `localhost`, and how a client is told to trust it.
pub(crate) struct Certified {
    pub(crate) tls: Tls,
    pub(crate) config: ServerConfig,
}

pub(crate) fn certified(alpn: &[&[u8]]) -> Certified {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let key = own.signing_key.serialize_der().try_into().unwrap();
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Certified {
        tls: Tls {
            name: "localhost".into(),
            trust: Trust::Authorities(vec![own.cert.der().clone()]),
        },
        config,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

impl HyperServer {
    /// Over TCP.
    pub(crate) fn start(manner: Manner) -> HyperServer {
        HyperServer::start_under(manner, None)
    }

    /// Over TCP, with TLS where a certificate is given.
    pub(crate) fn start_under(manner: Manner, certified: Option<&Certified>) -> HyperServer {
        let (runtime, seen) = (runtime(), Arc::new(Seen::default()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let acceptor = certified.map(|one| TlsAcceptor::from(Arc::new(one.config.clone())));
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                let (manner, seen, acceptor) = (manner, Arc::clone(&shared), acceptor.clone());
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else {
                        return serve(stream, manner, seen).await;
                    };
                    // A client that refuses the certificate is what some tests want.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                    seen.resumed.fetch_add(usize::from(resumed), Ordering::SeqCst);
                    serve(stream, manner, seen).await;
                });
            }
        });
        let runtime = Some(runtime);
        HyperServer { addr, seen, runtime }
    }

    /// Over a unix socket at `path`; the address is nobody's.
    pub(crate) fn at(path: &Path, manner: Manner) -> HyperServer {
        let (runtime, seen) = (runtime(), Arc::new(Seen::default()));
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&seen);
        runtime.spawn(async move {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, manner, Arc::clone(&shared)));
            }
        });
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let runtime = Some(runtime);
        HyperServer { addr, seen, runtime }
    }
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, manner: Manner, seen: Arc<Seen>) {
    let here = Arc::new(Here::default());
    let (handed, spoken) = (Arc::clone(&here), manner);
    let service = service_fn(move |request| {
        let (manner, seen, here) = (spoken, Arc::clone(&seen), Arc::clone(&handed));
        async move { answer(request, &manner, &seen, &here).await }
    });
    let io = TokioIo::new(io);
    // An error ends the connection, and the client tells what that meant for it.
    if !manner.http2 {
        let _ = http1::Builder::new()
            .keep_alive(!manner.closes)
            .serve_connection(io, service)
            .await;
        return;
    }
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(manner.streams.unwrap_or(200));
    builder.initial_stream_window_size(manner.window);
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = here.leaving.notified() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// What is known of one connection.
#[derive(Default)]
struct Here {
    requests: AtomicUsize,
    at_once: AtomicUsize,
    leaving: tokio::sync::Notify,
}

/// Counts an answer that was given up before it was there.
struct Unfinished<'a>(&'a Seen, &'a Here, bool);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.1.at_once.fetch_sub(1, Ordering::SeqCst);
        self.0.given_up.fetch_add(usize::from(self.2), Ordering::SeqCst);
    }
}

/// Echoes a body, or says `{"n":NUMBER}` where there is none.
async fn answer(
    request: Request<Incoming>,
    manner: &Manner,
    seen: &Seen,
    here: &Here,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let number = seen.requests.fetch_add(1, Ordering::SeqCst);
    let at_once = here.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    seen.at_once_max.fetch_max(at_once, Ordering::SeqCst);
    let mut unfinished = Unfinished(seen, here, true);
    if here.requests.fetch_add(1, Ordering::SeqCst) + 1 == manner.goaway_after.unwrap_or(usize::MAX) {
        here.leaving.notify_one();
    }
    if manner.hangs == Some(request.uri().path()) {
        std::future::pending::<Infallible>().await;
    }
    if !manner.delay.is_zero() {
        tokio::time::sleep(manner.delay).await;
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    unfinished.2 = false;
    if manner
        .reset_every
        .is_some_and(|every| number.is_multiple_of(every))
    {
        return Err(std::io::Error::other("planted"));
    }
    Ok(Response::new(Full::new(if body.is_empty() {
        format!("{{\"n\":{number}}}").into()
    } else {
        body
    })))
}
