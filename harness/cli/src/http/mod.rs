//! A small blocking server for HTTP/1.1: what a run's numbers and the proxies' control API are served by.
//!
//! A thread accepts, one per connection answers, and no more than a few at a time. A connection serves one request, within a
//! deadline and within sizes, so nobody can hold a thread or fill the memory. It knows nothing of what is asked for.

mod chunked;
mod places;
mod request;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use places::Places;
pub use places::WhenFull;
pub use request::Request;
use request::{Refused, read};

/// Connections that are answered at a time.
const CONNECTIONS: usize = 8;

/// How long to wait after the system refused a connection, so that a lack of descriptors is no busy loop.
const REFUSED: Duration = Duration::from_millis(100);

/// The most that is read of a request that was refused, so that its sender gets to read why.
const REST_BYTES_MAX: usize = 4 << 20;

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// The name of the thread that accepts, and what those that answer are called.
    pub threads: [&'static str; 2],
    /// How long a request may take to come, and the answer to go.
    pub patience: Duration,
    /// The longest body that is taken.
    pub body_bytes_max: usize,
    /// What becomes of connections that find every place taken.
    pub when_full: WhenFull,
}

/// What is answered. The length and the end of the connection are seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header fields, as name and value.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Response {
    /// A text.
    pub fn text(status: u16, content_type: &str, body: impl Into<String>) -> Response {
        Response {
            status,
            fields: vec![("content-type", content_type.to_owned())],
            body: body.into(),
        }
    }

    fn plain(status: u16, body: &str) -> Response {
        Response::text(status, "text/plain", body)
    }
}

impl Server {
    /// Answers on `listener` until the process ends.
    pub fn start(
        self,
        listener: TcpListener,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> io::Result<()> {
        let accepting = std::thread::Builder::new().name(self.threads[0].to_owned());
        accepting.spawn(move || self.accept(&listener, &Arc::new(answer)))?;
        Ok(())
    }

    fn accept(
        self,
        listener: &TcpListener,
        answer: &Arc<impl Fn(&Request) -> Response + Send + Sync + 'static>,
    ) {
        let places = Places::new(CONNECTIONS);
        loop {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::park_timeout(REFUSED);
                continue;
            };
            // Dropped, and so closed, where too many are open.
            let Some(place) = places.take(self.when_full) else {
                continue;
            };
            let answer = Arc::clone(answer);
            let answering = std::thread::Builder::new()
                .name(self.threads[1].to_owned())
                .spawn(move || {
                    let _place = place;
                    // Whoever asked has gone: there is nobody to tell.
                    let _ = self.serve(stream, &*answer);
                });
            drop(answering);
        }
    }

    fn serve(self, mut stream: TcpStream, answer: &impl Fn(&Request) -> Response) -> io::Result<()> {
        let until = Instant::now() + self.patience;
        stream.set_write_timeout(Some(self.patience))?;
        match read(&mut stream, until, self.body_bytes_max)? {
            Ok(request) => write(&mut stream, &answer(&request), request.method == "HEAD"),
            Err(refused) => {
                let response = match refused {
                    Refused::Nonsense => Response::plain(400, "this is no HTTP/1 request\n"),
                    Refused::TooLong => Response::plain(413, "the body is too long\n"),
                };
                write(&mut stream, &response, false)?;
                // Closed with bytes unread, the connection would be reset, and the answer lost.
                stream.shutdown(Shutdown::Write)?;
                drain(&mut stream, until)
            }
        }
    }
}

fn write(stream: &mut TcpStream, response: &Response, is_head: bool) -> io::Result<()> {
    let status = response.status;
    let mut fields = response.fields.clone();
    if status != 204 {
        fields.push(("content-length", response.body.len().to_string()));
    }
    fields.push(("connection", "close".to_owned()));
    let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "HTTP/1.1 {status} {}\r\n{}\r\n",
        name(status),
        fields.collect::<String>()
    );
    let body = if is_head { "" } else { &response.body };
    // In one write, and so mostly in one packet.
    stream.write_all((head + body).as_bytes())
}

/// What a status is called: RFC 9110, section 15.
fn name(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        500 => "Internal Server Error",
        // The name is for people, and may be empty.
        _ => "",
    }
}

fn drain(stream: &mut TcpStream, until: Instant) -> io::Result<()> {
    let (mut chunk, mut total) = ([0; 4096], 0);
    while total < REST_BYTES_MAX {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => break,
            count => total += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const BODY_BYTES_MAX: usize = 1_000;

    /// A server that answers with what it was asked.
    fn echo(when_full: WhenFull) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let server = Server {
            threads: ["echo", "echo-answer"],
            patience: Duration::from_secs(30),
            body_bytes_max: BODY_BYTES_MAX,
            when_full,
        };
        let answer = |request: &Request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let agent = request.field("user-agent").unwrap_or_default();
            let words = [&request.method, &request.target, agent, &body];
            Response::plain(if body.is_empty() { 200 } else { 201 }, &words.join("|"))
        };
        server.start(listener, answer).expect("a thread");
        address
    }

    fn ask(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        // Where too much comes it may be refused before all of it is sent.
        let _ = stream.write_all(bytes);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered and closed");
        text
    }

    #[test]
    fn requests_are_read_however_their_bodies_come() {
        let address = echo(WhenFull::Wait);
        let table: [(&str, &str, &str); 6] = [
            (
                "GET /a?b HTTP/1.1\r\nUser-Agent: x y\r\n\r\n",
                "200 OK",
                "GET|/a?b|x y|",
            ),
            (
                "POST /a HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcd",
                "201 Created",
                "POST|/a||abc",
            ),
            (
                "POST /a HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n",
                "201 Created",
                "POST|/a||abcde",
            ),
            (
                "POST /a HTTP/1.1\r\ncontent-length: x\r\n\r\n",
                "400 Bad Request",
                "this is no",
            ),
            (
                "POST /a HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
                "400 Bad Request",
                "this is no",
            ),
            (
                "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
                "400 Bad Request",
                "this is no",
            ),
        ];
        for (request, status, body) in table {
            let answer = ask(address, request.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request}\n{answer}"
            );
            let (_, answered) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(answered.starts_with(body), "{request}\n{answer}");
        }
    }

    #[test]
    fn whoever_waits_to_be_told_to_go_on_is_told() {
        let address = echo(WhenFull::Wait);
        let mut stream = TcpStream::connect(address).expect("it listens");
        let head = "POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("sent");
        let mut told = [0; 25];
        stream.read_exact(&mut told).expect("told");
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"abc").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        assert!(text.ends_with("|abc"), "{text}");
    }

    #[test]
    fn what_is_too_long_is_refused_with_an_answer() {
        let address = echo(WhenFull::Wait);
        let long = "x".repeat(100_000);
        for request in [
            format!("POST /a HTTP/1.1\r\ncontent-length: {}\r\n\r\n{long}", long.len()),
            format!(
                "POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
                long.len()
            ),
        ] {
            let answer = ask(address, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        }
        let answer = ask(
            address,
            format!("GET /a HTTP/1.1\r\na: {long}\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[test]
    fn a_head_is_asked_for_without_a_body() {
        let answer = ask(echo(WhenFull::Wait), b"HEAD /a HTTP/1.1\r\n\r\n");
        assert!(answer.contains("content-length: 9\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    /// As many connections as there are places, which ask for nothing yet.
    fn idle(address: SocketAddr) -> Vec<TcpStream> {
        let connect = |_| TcpStream::connect(address).expect("it listens");
        (0..CONNECTIONS).map(connect).collect()
    }

    #[test]
    fn connections_beyond_the_limit_are_closed_and_those_before_are_answered() {
        let address = echo(WhenFull::Close);
        let mut idle = idle(address);
        // They are accepted in order, so that the next one finds every place taken: it is closed without an answer.
        let mut refused = TcpStream::connect(address).expect("it listens");
        let mut text = String::new();
        assert!(
            !matches!(refused.read_to_string(&mut text), Ok(n) if n > 0),
            "{text}"
        );
        for stream in &mut idle {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("answered");
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        }
    }

    #[test]
    fn connections_beyond_the_limit_can_wait_for_a_place() {
        let address = echo(WhenFull::Wait);
        let mut idle = idle(address);
        let mut patient = TcpStream::connect(address).expect("it listens");
        patient.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        idle.pop();
        let mut text = String::new();
        patient.read_to_string(&mut text).expect("answered");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }
}
