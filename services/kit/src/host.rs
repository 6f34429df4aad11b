//! Runs a service: two listeners, one runtime, the ready line, the graceful stop.
//!
//! Connections are HTTP/1.1 without the automatic `Date` header, because writing one reads the wall clock.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::hiccup::HiccupMeter;
use crate::info::{Launch, ServiceError};
use crate::telemetry::Telemetry;
use crate::{admin, log};

/// How long requests in flight may take once the service is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// The most connections served at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 100_000;
/// Connections to the admin endpoint likewise.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Descriptors kept back for files and for the admin endpoint.
const DESCRIPTORS_RESERVED: usize = 128;
/// The largest request head, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// How long to wait when the system refuses a connection, such as for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(10);

/// A service that serves.
#[derive(Debug)]
pub struct Host {
    listen: SocketAddr,
    admin: SocketAddr,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    doors: Vec<Door>,
    _hiccups: HiccupMeter,
}

/// A listener's bound on connections.
#[derive(Debug, Clone)]
struct Door {
    permits: Arc<Semaphore>,
    size: usize,
}

/// Tells requests that hang that the service stops, so that they end before its patience does.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Done once the service is told to stop.
    pub async fn told(&mut self) {
        // A host that is gone stops too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Serves `app` as `launch` says until the process is told to stop by SIGTERM or SIGINT, then finishes the requests in
/// flight. Prints the ready line once both listeners serve.
pub fn run(launch: &Launch, app: Router, telemetry: Telemetry) -> Result<(), ServiceError> {
    run_with(launch, |_| app, telemetry)
}

/// [`run`] for an app whose requests may hang: it is made of what tells them to end.
pub fn run_with(
    launch: &Launch,
    app: impl FnOnce(Stopping) -> Router,
    telemetry: Telemetry,
) -> Result<(), ServiceError> {
    let host = Host::start_with(launch, app, telemetry)?;
    let mut signals = host.signals()?;
    log::ready(host.listen, host.admin).map_err(ServiceError::Ready)?;
    log::info(format_args!(
        "serving on {}, admin on {}",
        host.listen, host.admin
    ));
    let name = host.runtime.block_on(signals.next());
    log::info(format_args!(
        "{name}: stopping; requests in flight have {} s",
        GRACE.as_secs()
    ));
    host.stop_or(async {
        signals.next().await;
    });
    Ok(())
}

/// Runs the admin endpoint of a service that serves its requests on `listen` by itself, in threads of its own. `extra`
/// is what that endpoint answers besides. Returns once the process is told to stop, or once `over` is done because the
/// service's own part has ended; stopping that part is the caller's.
pub fn run_beside(
    launch: &Launch,
    listen: SocketAddr,
    extra: Router,
    telemetry: Telemetry,
    over: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let host = Host::beside(launch, listen, extra, telemetry)?;
    let mut signals = host.signals()?;
    log::ready(host.listen, host.admin).map_err(ServiceError::Ready)?;
    log::info(format_args!(
        "serving on {}, admin on {}",
        host.listen, host.admin
    ));
    let name = host.runtime.block_on(async {
        tokio::select! {
            name = signals.next() => name,
            () = over => "the serving part has ended",
        }
    });
    log::info(format_args!("{name}: stopping"));
    host.stop_or(async {
        signals.next().await;
    });
    Ok(())
}

impl Host {
    /// Opens both listeners and serves on them, in threads of its own.
    pub fn start(launch: &Launch, app: Router, telemetry: Telemetry) -> Result<Self, ServiceError> {
        Self::start_with(launch, |_| app, telemetry)
    }

    /// [`Host::start`] for an app whose requests may hang.
    pub fn start_with(
        launch: &Launch,
        app: impl FnOnce(Stopping) -> Router,
        telemetry: Telemetry,
    ) -> Result<Self, ServiceError> {
        let runtime = runtime(launch.settings.workers())?;
        let (listener, listen) = bind(&runtime, launch.listen, "requests")?;
        let mut host = Self::with_admin(launch, runtime, listen, Router::new(), telemetry)?;
        let door = Door::new(connections_max());
        host.doors.push(door.clone());
        let app = app(Stopping(host.stop.subscribe()));
        host.runtime
            .spawn(accept(listener, app, door, host.stop.subscribe()));
        Ok(host)
    }

    /// Opens the admin endpoint alone, which answers `extra` too, for a service that already serves on `listen` itself.
    pub fn beside(
        launch: &Launch,
        listen: SocketAddr,
        extra: Router,
        telemetry: Telemetry,
    ) -> Result<Self, ServiceError> {
        Self::with_admin(launch, runtime(1)?, listen, extra, telemetry)
    }

    fn with_admin(
        launch: &Launch,
        runtime: Runtime,
        listen: SocketAddr,
        extra: Router,
        telemetry: Telemetry,
    ) -> Result<Self, ServiceError> {
        let (listener, admin) = bind(&runtime, launch.admin, "admin requests")?;
        let hiccups =
            HiccupMeter::start(Arc::clone(&telemetry.hiccups)).map_err(|source| ServiceError::Start {
                part: "hiccup meter",
                source,
            })?;
        let (stop, stopped) = watch::channel(false);
        let door = Door::new(ADMIN_CONNECTIONS_MAX);
        let app = admin::router(Arc::new(telemetry)).merge(extra);
        runtime.spawn(accept(listener, app, door.clone(), stopped));
        Ok(Self {
            listen,
            admin,
            runtime,
            stop,
            doors: vec![door],
            _hiccups: hiccups,
        })
    }

    /// The address it serves on.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The address of its admin endpoint.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Stops accepting, lets the requests in flight finish for at most 5 s, and returns whether they all did.
    pub fn stop(self) -> bool {
        self.stop_or(std::future::pending())
    }

    /// [`Host::stop`], cut short once `hurry` is done.
    fn stop_or(self, hurry: impl Future<Output = ()>) -> bool {
        let _ = self.stop.send(true);
        let all_closed = self.runtime.block_on(async {
            let drained = async {
                for door in &self.doors {
                    door.closed().await;
                }
            };
            tokio::select! {
                () = drained => true,
                () = tokio::time::sleep(GRACE) => false,
                () = hurry => false,
            }
        });
        if !all_closed {
            log::warn("stopped with requests unfinished");
        }
        self.runtime.shutdown_background();
        all_closed
    }

    fn signals(&self) -> Result<Signals, ServiceError> {
        let _inside = self.runtime.enter();
        let open = |kind| {
            signal(kind).map_err(|source| ServiceError::Start {
                part: "signal handlers",
                source,
            })
        };
        Ok(Signals {
            terminate: open(SignalKind::terminate())?,
            interrupt: open(SignalKind::interrupt())?,
        })
    }
}

/// The signals that mean stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Door {
    fn new(size: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    async fn enter(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Waits until every connection is closed and nobody accepts any more.
    async fn closed(&self) {
        let all = u32::try_from(self.size).unwrap_or(u32::MAX);
        let _ = self.permits.acquire_many(all).await;
    }
}

fn runtime(workers: usize) -> Result<Runtime, ServiceError> {
    let built = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("worker")
        .enable_all()
        .build();
    built.map_err(|source| ServiceError::Start {
        part: "runtime",
        source,
    })
}

fn bind(
    runtime: &Runtime,
    address: SocketAddr,
    purpose: &'static str,
) -> Result<(TcpListener, SocketAddr), ServiceError> {
    let failed = |source| ServiceError::Listen {
        purpose,
        address,
        source,
    };
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The connections that the process's descriptors allow, once its soft limit is raised as far as it may.
pub fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Where raising is refused, what there is must do.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let descriptors = getrlimit(Resource::Nofile)
        .current
        .map_or(CONNECTIONS_MAX, |n| n as usize);
    descriptors
        .saturating_sub(DESCRIPTORS_RESERVED)
        .clamp(1, CONNECTIONS_MAX)
}

/// Accepts connections, each served by a task of its own, until told to stop.
async fn accept(listener: TcpListener, app: Router, door: Door, mut stopped: watch::Receiver<bool>) {
    loop {
        let permit = tokio::select! {
            permit = door.enter() => permit,
            _ = stopped.changed() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(
                stream,
                app.clone(),
                permit,
                stopped.clone(),
            ))),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                log::warn(format_args!("cannot accept a connection: {error}; trying again"));
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Whether `accept` failed because the client had already gone.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

/// Serves one connection until it closes, or until the request in flight is answered once told to stop.
async fn connection(
    stream: TcpStream,
    app: Router,
    permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    // Without this a response of two segments waits for the client's delayed acknowledgement: 40 ms.
    let _ = stream.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .auto_date_header(false)
            .max_header_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
    );
    // An error here is the client's: it closed in the middle of a request, or sent what is not HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.as_mut().await;
        }
    }
    drop(permit);
}
