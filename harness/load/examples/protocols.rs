//! What each way of asking over HTTP costs the generator: CPU time of a request, and memory of an open connection.
//!
//! `protocols [SECONDS]` starts a hyper server in a process of its own for each way, and prints a table.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use squall_load::http1::RequestTemplate;
use squall_load::http2::Http2;
use squall_load::oneshot::Totals;
use squall_load::{
    Arrivals, Generator, LoadSpec, Options, PhaseSpec, Protocol, Report, Target, Think, Tls, Trust, load_seed,
};
use squall_model::seed::Seed;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

type Anything = Box<dyn std::error::Error>;

/// Callers at once, over all connections.
const USERS: usize = 64;
/// Connections whose memory is looked at.
const IDLE: usize = 400;
/// How long an answer takes where it is memory that is looked at: meanwhile all connections stand.
const HOLD: Duration = Duration::from_secs(3);

/// A way of asking.
struct Way {
    name: &'static str,
    tls: bool,
    http2: bool,
    connections: usize,
}

const WAYS: &[Way] = &[
    way("HTTP/1.1, 64 connections", false, false, USERS),
    way("HTTP/1.1 over TLS, 64 connections", true, false, USERS),
    way("HTTP/2, 1 connection", false, true, 1),
    way("HTTP/2, 8 connections", false, true, 8),
    way("HTTP/2 over TLS, 1 connection", true, true, 1),
    way("HTTP/2 over TLS, 8 connections", true, true, 8),
];

const fn way(name: &'static str, tls: bool, http2: bool, connections: usize) -> Way {
    Way {
        name,
        tls,
        http2,
        connections,
    }
}

fn main() -> Result<(), Anything> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", tls, http2] => serve(*tls == "true", *http2 == "true"),
        ["hold", at] => hold(&WAYS[at.parse::<usize>()?]),
        [] => table(Duration::from_secs(5)),
        [seconds] => table(Duration::from_secs_f64(seconds.parse()?)),
        _ => Err("usage: protocols [SECONDS]".into()),
    }
}

fn table(length: Duration) -> Result<(), Anything> {
    let mut out = std::io::stdout();
    for (at, way) in WAYS.iter().enumerate() {
        let server = Server::start(way, Duration::ZERO)?;
        let (totals, cpu_us, elapsed) = ask(way, &server, USERS, length, |_| {})?;
        let each_us = cpu_us as f64 / totals.completed.max(1) as f64;
        let per_s = totals.completed as f64 / elapsed.as_secs_f64();
        writeln!(
            out,
            "{:<36} {each_us:>6.2} us CPU/request, {per_s:>7.0} requests/s, {} failed of {}, {} connections",
            way.name, totals.failed, totals.completed, totals.connections_opened
        )?;
        drop(server);
        // In a process of its own, whose memory nothing has touched before.
        let program = std::env::current_exe()?;
        let held = Command::new(program).args(["hold", &at.to_string()]).output()?;
        out.write_all(&held.stdout)?;
    }
    Ok(())
}

/// Says how much memory a connection takes.
fn hold(way: &Way) -> Result<(), Anything> {
    let server = Server::start(way, HOLD)?;
    let way = Way {
        connections: IDLE,
        ..*way
    };
    let (mut before, mut most) = (0, 0);
    // Over before the first answer, so each user asks once.
    let (totals, ..) = ask(&way, &server, IDLE, Duration::from_secs(2), |start| {
        before = if start { resident_bytes() } else { before };
        most = most.max(resident_bytes());
    })?;
    let each = most.saturating_sub(before) as f64 / totals.connections_opened.max(1) as f64;
    let (failed, opened) = (totals.failed, totals.connections_opened);
    writeln!(
        std::io::stdout(),
        "{:<36} {:>6.1} KiB/connection, of {opened}; {failed} failed",
        "",
        each / 1024.0
    )?;
    Ok(())
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * rustix::param::page_size()
}

/// Closed loop; `look` is called at the start and whenever something is reported.
fn ask(
    way: &Way,
    server: &Server,
    users: usize,
    length: Duration,
    mut look: impl FnMut(bool),
) -> Result<(Totals, u64, Duration), Anything> {
    let request = RequestTemplate::get("/");
    // One at a time where connections are what is counted.
    let streams = USERS.div_ceil(way.connections);
    let protocol: Arc<dyn Protocol> = if way.http2 {
        Arc::new(Http2 { request, streams })
    } else {
        Arc::new(request)
    };
    let name = "localhost".to_owned();
    let trust = Trust::Anyone;
    let load = LoadSpec {
        name: "load".into(),
        target: Target {
            addr: server.addr.into(),
            host: server.addr.to_string(),
            tls: way.tls.then_some(Tls { name, trust }),
        },
        protocol,
        connections: way.connections,
        timeout: Duration::from_secs(20),
        source: None,
        extract: Vec::new(),
        seed: load_seed(Seed::new(7), "load"),
    };
    let (sender, reports) = crossbeam_channel::unbounded();
    let epoch = Instant::now();
    let options = Options {
        threads: 1,
        cpus: None,
        epoch,
        reports: sender,
    };
    let mut generator = Generator::start(vec![load], &options)?;
    look(true);
    let start_us = epoch.elapsed().as_micros() as u64;
    generator.push_phase(PhaseSpec {
        index: 0,
        draw: 0,
        start_us,
        end_us: Some(start_us + length.as_micros() as u64),
        arrivals: vec![Arrivals::Closed {
            users,
            think: Think::NONE,
        }],
    })?;
    let mut totals = Totals::default();
    while let Ok(report) = reports.recv() {
        look(false);
        match report {
            Report::Slice(slice) => totals.add(&slice),
            Report::PhaseEnded { .. } => break,
            Report::ThreadFailed { error, .. } => return Err(error.into()),
            Report::Values(_) => {}
        }
    }
    let elapsed = epoch.elapsed();
    Ok((totals, generator.finish().cpu_us, elapsed))
}

/// The server's process.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(way: &Way, delay: Duration) -> Result<Server, Anything> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &way.tls.to_string(), &way.http2.to_string()])
            .env("DELAY_MS", delay.as_millis().to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let told = child.stdout.take().ok_or("no output")?;
        BufReader::new(told).read_line(&mut line)?;
        let addr = line.trim().parse()?;
        Ok(Server { child, addr })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(tls: bool, http2: bool) -> Result<(), Anything> {
    let delay = std::env::var("DELAY_MS")?.parse().map(Duration::from_millis)?;
    let acceptor = if tls { Some(acceptor(http2)?) } else { None };
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build()?.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => talk(stream, http2, delay).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk(stream, http2, delay).await;
                        }
                    }
                }
            });
        }
    })
}

fn acceptor(http2: bool) -> Result<TlsAcceptor, Anything> {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![own.cert.der().clone()],
            own.signing_key.serialize_der().try_into()?,
        )?;
    let name: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![name.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn talk(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, http2: bool, delay: Duration) {
    let service = service_fn(move |_| async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok::<_, std::io::Error>(hyper::Response::new(Full::new(Bytes::from_static(b"{\"id\":1}"))))
    });
    let io = TokioIo::new(io);
    // The end of a connection is the client's business.
    if http2 {
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}
