//! An upstream that does as it is told, and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What an upstream was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What it does about it.
pub(crate) enum Act {
    /// Answers with this status and body.
    Answer(u16, &'static str),
    /// Likewise, once it is told to, or what would tell it is gone.
    Once(oneshot::Receiver<()>, u16, &'static str),
    /// Answers with what is sent through this, piece by piece, then with trailers.
    Pieces(mpsc::Receiver<&'static str>),
    /// Closes the connection without an answer.
    Reset,
    /// Never answers.
    Hang,
}

type Script = dyn Fn(usize, &Seen) -> Act + Send + Sync;

/// An upstream that listens.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// One that does what `script` says of the request with this number, from 0.
    pub(crate) fn start(script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// One that answers everything with 200 and its name.
    pub(crate) fn well(name: &'static str) -> Self {
        Self::start(move |_, _| Act::Answer(200, name))
    }

    pub(crate) fn at(
        address: SocketAddr,
        script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let serving = Serving {
            seen: Arc::clone(&seen),
            script: Arc::new(script),
        };
        let counted = Arc::clone(&connections);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, serving, counted) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            seen,
            connections,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// One that answers with 200 and its name once what is returned with it is dropped.
    pub(crate) fn slow(name: &'static str) -> (Self, oneshot::Sender<()>) {
        let (tell, told) = oneshot::channel();
        let told = Mutex::new(Some(told));
        let upstream = Self::start(move |_, _| match told.lock().unwrap().take() {
            Some(told) => Act::Once(told, 200, name),
            None => Act::Answer(200, name),
        });
        (upstream, tell)
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections it accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    /// Closes the listener and all connections.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Serving {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Script>,
}

async fn accept(listener: TcpListener, serving: Serving, connections: Arc<AtomicUsize>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.fetch_add(1, Ordering::SeqCst);
        let serving = serving.clone();
        drop(tokio::spawn(async move {
            let service = service_fn(move |request| answer(serving.clone(), request));
            let builder = auto::Builder::new(TokioExecutor::new());
            // What is wrong with a connection is the gateway's to notice.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }));
    }
}

async fn answer(serving: Serving, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Err(std::io::Error::other("the request broke off"));
    };
    let seen = Seen {
        line: format!("{} {}", parts.method, parts.uri),
        version: parts.version,
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let number = {
        let mut all = serving.seen.lock().unwrap();
        all.push(seen.clone());
        all.len() - 1
    };
    let (status, body) = match (serving.script)(number, &seen) {
        Act::Answer(status, body) => (status, Body::whole(body)),
        Act::Once(told, status, body) => {
            let _ = told.await;
            (status, Body::whole(body))
        }
        Act::Pieces(pieces) => (200, Body::Pieces(Some(pieces))),
        Act::Reset => return Err(std::io::Error::other("told to")),
        Act::Hang => std::future::pending().await,
    };
    let has_trailers = matches!(body, Body::Pieces(_));
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    if has_trailers {
        let headers = response.headers_mut();
        headers.insert("trailer", HeaderValue::from_static("x-sum"));
    } else if seen.version == Version::HTTP_11 {
        let headers = response.headers_mut();
        headers.insert("connection", HeaderValue::from_static("x-private"));
        headers.insert("x-private", HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The body of an answer.
enum Body {
    Whole(Full<Bytes>),
    /// `None` once the trailers were given.
    Pieces(Option<mpsc::Receiver<&'static str>>),
}

impl Body {
    fn whole(text: &'static str) -> Self {
        Self::Whole(Full::new(Bytes::from_static(text.as_bytes())))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Pieces(pieces) => {
                let Some(receiver) = pieces else {
                    return Poll::Ready(None);
                };
                let frame = if let Some(piece) = ready!(receiver.poll_recv(cx)) {
                    Frame::data(Bytes::from_static(piece.as_bytes()))
                } else {
                    *pieces = None;
                    let sum = ("x-sum".parse().unwrap(), HeaderValue::from_static("42"));
                    Frame::trailers(HeaderMap::from_iter([sum]))
                };
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
