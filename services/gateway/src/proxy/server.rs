//! The threads that serve: one accepts, and each worker has connections, a runtime and pools of its own.
//!
//! Nothing that a request needs is on another thread: its connection, those to the endpoints and their tasks are all its worker's, so
//! that no request waits for a thread to wake but its own. Connections go to the worker that has the fewest.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use squall_service_kit::log;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::connection::{Serving, told};
use super::forward::{Gateway, Worker};
use super::relay::Passages;
use crate::draw::Source;

/// How long to wait when the system refuses a connection, such as for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);
/// How often idle connections, and answers past their time, are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How a server serves.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Threads.
    pub workers: usize,
    /// Clients' connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long a connection may take to send a head, or stay unused.
    pub head_within: Duration,
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Server {
    listen: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<()>,
    /// Kept by nobody else once all threads have ended.
    runtime: Runtime,
}

/// A connection on its way to its worker.
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

/// A worker as the accepting thread knows it.
struct Seat {
    send: mpsc::UnboundedSender<Accepted>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Serves `gateway` on `listener`.
    pub fn start(
        listener: TcpListener,
        gateway: &Arc<Gateway>,
        settings: ServerSettings,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listen = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let mut threads = Vec::new();
        let mut seats = Vec::new();
        for index in 0..settings.workers {
            let (send, receive) = mpsc::unbounded_channel();
            let connections = Arc::new(AtomicUsize::new(0));
            seats.push(Seat {
                send,
                connections: Arc::clone(&connections),
            });
            let desk = Desk {
                worker: Arc::new(Worker {
                    index,
                    gateway: Arc::clone(gateway),
                    draw: Source::new(index as u64),
                    passages: Passages::default(),
                }),
                connections,
                stopped: stopped.clone(),
            };
            let (settings, alive) = (settings, alive.clone());
            threads.push(spawn(format!("worker-{index}"), move |runtime| {
                runtime.block_on(desk.serve(receive, settings));
                drop(alive);
            })?);
        }
        threads.push(spawn("accept".to_owned(), move |runtime| {
            runtime.block_on(accept(listener, &seats, settings.connections_max, stopped));
            drop(alive);
        })?);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        Ok(Self {
            listen,
            stop,
            threads,
            ended,
            runtime,
        })
    }

    /// Where it serves.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Stops accepting, lets requests in flight finish for at most `grace`, and returns whether they all did.
    pub fn stop(mut self, grace: Duration) -> bool {
        let _ = self.stop.send(true);
        let all_ended = self
            .runtime
            .block_on(async { tokio::time::timeout(grace, self.ended.recv()).await.is_ok() });
        if all_ended {
            for thread in self.threads {
                let _ = thread.join();
            }
        }
        all_ended
    }
}

fn spawn(name: String, run: impl FnOnce(Runtime) + Send + 'static) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name).spawn(move || run(runtime))
}

/// Accepts connections until told to stop.
async fn accept(listener: TcpListener, seats: &[Seat], most: usize, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error(format_args!("cannot accept connections: {error}")),
    };
    let room = Arc::new(Semaphore::new(most));
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            let permit = permit.expect("the semaphore is never closed");
            let (stream, peer) = listener.accept().await?;
            let stream = stream.into_std()?;
            Ok::<_, io::Error>(Accepted { stream, peer, permit })
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = told(&mut stopped) => return,
        };
        match accepted {
            Ok(accepted) => seat(seats, accepted),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                log::warn(format_args!("cannot accept a connection: {error}; trying again"));
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn seat(seats: &[Seat], accepted: Accepted) {
    let least = seats
        .iter()
        .min_by_key(|seat| seat.connections.load(Ordering::Relaxed));
    let Some(seat) = least else { return };
    seat.connections.fetch_add(1, Ordering::Relaxed);
    // A worker that has ended takes none, and none is offered after the stop.
    let _ = seat.send.send(accepted);
}

/// What a worker's thread has.
struct Desk {
    worker: Arc<Worker>,
    connections: Arc<AtomicUsize>,
    stopped: watch::Receiver<bool>,
}

impl Desk {
    /// Serves what it is given until it is told to stop and its connections have closed.
    async fn serve(self, mut receive: mpsc::UnboundedReceiver<Accepted>, settings: ServerSettings) {
        let mut stopped = self.stopped.clone();
        let gateway = Arc::clone(&self.worker.gateway);
        let serving = Arc::new(Serving::new(settings.head_within, gateway.head_max));
        let (open, mut all_closed) = mpsc::channel::<()>(1);
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                accepted = receive.recv() => match accepted {
                    Some(accepted) => self.take(accepted, &serving, open.clone()),
                    None => break,
                },
                _ = sweep.tick() => self.sweep(),
                () = told(&mut stopped) => break,
            }
        }
        // What was accepted before the stop is served; the accepting thread ends with it, and so does the queue.
        while let Some(accepted) = receive.recv().await {
            self.take(accepted, &serving, open.clone());
        }
        drop(open);
        let _ = all_closed.recv().await;
    }

    fn take(&self, accepted: Accepted, serving: &Arc<Serving>, open: mpsc::Sender<()>) {
        let Accepted { stream, peer, permit } = accepted;
        let serving = Arc::clone(serving);
        let (worker, stopped) = (Arc::clone(&self.worker), self.stopped.clone());
        let connections = Arc::clone(&self.connections);
        drop(tokio::spawn(async move {
            let gateway = Arc::clone(&worker.gateway);
            gateway.report.connections.inc();
            match TcpStream::from_std(stream) {
                Ok(stream) => serving.serve(stream, peer, worker, stopped).await,
                Err(error) => log::warn(format_args!("cannot serve a connection: {error}")),
            }
            gateway.report.connections.dec();
            connections.fetch_sub(1, Ordering::Relaxed);
            drop((permit, open));
        }));
    }

    /// Closes connections to endpoints that were not used for long, and lets go of answers that clients don't take.
    fn sweep(&self) {
        self.worker.passages.sweep(Instant::now());
        let clusters = self.worker.gateway.clusters.load();
        for cluster in clusters.iter() {
            let longest = cluster.policy().limits.idle_timeout;
            for endpoint in cluster.endpoints() {
                endpoint.pool(self.worker.index).sweep(longest);
            }
        }
    }
}
