//! Ten thousand clients hang in a long poll each; a configuration is published again and again, and each says how long after the
//! publish began it was told, and how long after it had fetched the new content. Prints the percentiles of both.
//!
//!     cargo run --release -p squall-config-center --example watchers -- [WATCHERS] [PUBLISHES]
//!
//! The server is a process of its own, this program started again, since both ends of ten thousand connections are more
//! descriptors than a process has on many machines. Both share the machine's processors, so what is printed is the server's time
//! and that of all its clients.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use squall_config_center::SERVICE;
use squall_config_client::checksum::md5;
use squall_service_kit::host::connections_max;
use squall_service_kit::{Launch, Settings};

/// What may go wrong: anything.
type Failure = Box<dyn Error + Send + Sync>;

const WATCHERS: usize = 10_000;
const PUBLISHES: u64 = 10;
/// How long everybody together may take to be told.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first content.
const FIRST: &str = "0";
/// How the answer of a poll ends that was told.
const TOLD: &[u8] = b"feed.json%02FEED%01\n";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve(&arguments[1]);
    }
    let watchers = arguments.first().map_or(Ok(WATCHERS), |text| text.parse())?;
    let publishes = arguments.get(1).map_or(Ok(PUBLISHES), |text| text.parse())?;
    if connections_max() < watchers {
        return Err(format!("this process may open {} connections", connections_max()).into());
    }
    let folder = tempfile::tempdir()?;
    let (mut server, addresses) = start(&folder.path().to_string_lossy())?;
    let measured = measure(addresses, watchers, publishes);
    server.kill()?;
    server.wait()?;
    let reached = measured?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{watchers} watchers, {publishes} publishes, {} contents fetched; from when the publish was sent:",
        reached.fetched.len()
    )?;
    for (what, after) in [("told", &reached.told), ("fetched", &reached.fetched)] {
        let ms = |quantile| after.value_at_quantile(quantile) as f64 / 1e3;
        writeln!(
            out,
            "{what:8} after P50 {:.1} ms, P99 {:.1} ms, at most {:.1} ms",
            ms(0.5),
            ms(0.99),
            ms(1.0)
        )?;
    }
    Ok(())
}

fn serve(data: &str) -> Result<(), Failure> {
    let any = "127.0.0.1:0".parse()?;
    let settings = Settings::parse(SERVICE.settings, [""; 0]).map_err(|errors| format!("{errors:?}"))?;
    let launch = Launch {
        listen: any,
        admin: any,
        data: data.into(),
        peers: BTreeMap::new(),
        settings,
    };
    Ok((SERVICE.run)(launch)?)
}

/// Where the server is.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    listen: SocketAddr,
    admin: SocketAddr,
}

fn start(data: &str) -> Result<(Child, Addresses), Failure> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", data])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("it has an output")?).read_line(&mut line)?;
    let addresses = line.trim_end().strip_prefix("ready listen=");
    let (listen, admin) = addresses
        .and_then(|addresses| addresses.split_once(" admin="))
        .ok_or("the server did not start")?;
    let addresses = Addresses {
        listen: listen.parse()?,
        admin: admin.parse()?,
    };
    Ok((server, addresses))
}

/// A connection of one watcher, and what it has been sent of an answer.
struct Watcher {
    stream: TcpStream,
    read: usize,
    buffer: [u8; 512],
}

/// How long after a publish was sent watchers were told of it, and had its content, in microseconds.
struct Reached {
    told: Histogram<u64>,
    fetched: Histogram<u64>,
}

/// Lets watchers wait for each of so many publishes.
///
/// One thread and one epoll, so that the clients take as little as can be of the processors that the server needs.
fn measure(addresses: Addresses, watchers: usize, publishes: u64) -> Result<Reached, Failure> {
    let mut publisher = std::net::TcpStream::connect(addresses.listen)?;
    publisher.set_nodelay(true)?;
    exchange(&mut publisher, &publish(FIRST))?;
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for number in 0..watchers {
        let stream = std::net::TcpStream::connect(addresses.listen)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(&mut stream, Token(number), Interest::READABLE)?;
        all.push(Watcher {
            stream,
            read: 0,
            buffer: [0; 512],
        });
    }
    let mut reached = Reached {
        told: Histogram::new(3)?,
        fetched: Histogram::new(3)?,
    };
    let mut content = FIRST.to_owned();
    for n in 1..=publishes {
        let request = listen(&content);
        for watcher in &mut all {
            watcher.stream.write_all(request.as_bytes())?;
        }
        hanging(addresses.admin, watchers)?;
        content = n.to_string();
        let request = publish(&content);
        let sent = Instant::now();
        publisher.write_all(request.as_bytes())?;
        wait(&mut poll, &mut all, &content, sent, &mut reached)?;
        read_answer(&mut publisher)?;
    }
    Ok(reached)
}

/// Waits until every watcher was told, and has fetched what it was told of.
fn wait(
    poll: &mut Poll,
    all: &mut [Watcher],
    content: &str,
    sent: Instant,
    reached: &mut Reached,
) -> Result<(), Failure> {
    let fetch = "GET /nacos/v1/cs/configs?dataId=feed.json&group=FEED HTTP/1.1\r\nhost: x\r\n\r\n";
    let fetched = format!("\r\n\r\n{content}");
    let mut events = Events::with_capacity(1_024);
    let mut left = all.len();
    while left > 0 {
        let patience = PATIENCE
            .checked_sub(sent.elapsed())
            .ok_or("not all have the content")?;
        poll.poll(&mut events, Some(patience))?;
        for event in &events {
            let watcher = &mut all[event.token().0];
            loop {
                let free = &mut watcher.buffer[watcher.read..];
                match watcher.stream.read(free) {
                    Ok(0) => return Err("a connection ended".into()),
                    Ok(read) => watcher.read += read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
                let after_us = sent.elapsed().as_micros() as u64;
                let answer = &watcher.buffer[..watcher.read];
                if answer.ends_with(TOLD) {
                    reached.told.record(after_us)?;
                    watcher.read = 0;
                    watcher.stream.write_all(fetch.as_bytes())?;
                } else if answer.ends_with(fetched.as_bytes()) {
                    reached.fetched.record(after_us)?;
                    watcher.read = 0;
                    left -= 1;
                }
            }
        }
    }
    Ok(())
}

/// Waits until so many polls hang, as the server counts them, so that none is told at once because it came late.
fn hanging(admin: SocketAddr, watchers: usize) -> Result<(), Failure> {
    let wanted = format!("\nconfig_center_watchers {watchers}\n");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let mut stream = std::net::TcpStream::connect(admin)?;
        let answer = exchange(&mut stream, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")?;
        if answer.contains(&wanted) {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err("not all polls hang".into())
}

fn publish(content: &str) -> String {
    post(
        "/nacos/v1/cs/configs",
        "",
        &format!("dataId=feed.json&group=FEED&content={content}"),
    )
}

fn listen(content: &str) -> String {
    let form = format!("Listening-Configs=feed.json%02FEED%02{}%01", md5(content));
    post(
        "/nacos/v1/cs/configs/listener",
        "long-pulling-timeout: 300000\r\n",
        &form,
    )
}

fn post(path: &str, headers: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// Sends a request and reads the answer, head and all.
fn exchange(stream: &mut std::net::TcpStream, request: &str) -> Result<String, Failure> {
    stream.write_all(request.as_bytes())?;
    read_answer(stream)
}

fn read_answer(stream: &mut std::net::TcpStream) -> Result<String, Failure> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err("the connection ended".into());
        }
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.ok_or("no length")?.parse()? {
            return Ok(text.into_owned());
        }
    }
}
