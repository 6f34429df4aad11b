//! The endpoint that a scraper asks: `GET /metrics` over HTTP/1.1, nothing else.
//!
//! A blocking thread accepts, one per connection answers, and no more than a few at a time: what comes beyond that is closed
//! at once. A connection serves one request, within a deadline, so nobody can hold a thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Board, exposition};

/// Connections that are answered at a time.
const CONNECTIONS: usize = 8;

/// The longest request head that is read, bytes.
const HEAD: usize = 8 << 10;

/// How long a request may take to come, and the answer to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait after the system refused a connection, so that a lack of descriptors is no busy loop.
const REFUSED: Duration = Duration::from_millis(100);

/// Listens at `address` until the process ends, and returns where.
pub fn start(address: SocketAddr, board: Board) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("squall-metrics".to_owned())
        .spawn(move || accept(&listener, &board))?;
    Ok(address)
}

fn accept(listener: &TcpListener, board: &Board) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::park_timeout(REFUSED);
            continue;
        };
        // Dropped, and so closed, where too many are open.
        let Some(place) = Place::take(&open) else { continue };
        let board = board.clone();
        let answering = std::thread::Builder::new()
            .name("squall-scrape".to_owned())
            .spawn(move || {
                let _place = place;
                // Whoever asked has gone: there is nobody to tell.
                let _ = answer(stream, &board);
            });
        drop(answering);
    }
}

/// One of the places for connections; given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(mut stream: TcpStream, board: &Board) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, content_type, body) = match request(&mut stream)? {
        Asked::Metrics => (
            "200 OK",
            exposition::CONTENT_TYPE,
            exposition::text(&board.view()),
        ),
        Asked::Elsewhere => (
            "404 Not Found",
            "text/plain",
            "metrics are at /metrics\n".to_owned(),
        ),
        Asked::Otherwise => (
            "405 Method Not Allowed",
            "text/plain",
            "GET /metrics\n".to_owned(),
        ),
        Asked::Nonsense => (
            "400 Bad Request",
            "text/plain",
            "this is no HTTP/1 request\n".to_owned(),
        ),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes())
}

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Elsewhere,
    Otherwise,
    Nonsense,
}

/// Reads a request's head, to its end, its limit or its deadline.
fn request(stream: &mut TcpStream) -> io::Result<Asked> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > HEAD {
            return Ok(Asked::Nonsense);
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut chunk)?;
        head.extend_from_slice(&chunk[..read]);
        if let Some(asked) = parse(&head) {
            return Ok(asked);
        }
        if read == 0 {
            return Ok(Asked::Nonsense);
        }
    }
}

/// What the head asks for; nothing while it is not whole.
fn parse(head: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(Asked::Nonsense),
        Ok(httparse::Status::Complete(_)) => {
            let path = request
                .path
                .unwrap_or_default()
                .split('?')
                .next()
                .unwrap_or_default();
            Some(match (request.method, path) {
                (Some("GET"), "/metrics") => Asked::Metrics,
                (Some("GET"), _) => Asked::Elsewhere,
                _ => Asked::Otherwise,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_head_is_answered() {
        let table: [(&[u8], Option<Asked>); 8] = [
            (b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", Some(Asked::Metrics)),
            (b"GET /metrics?name[]=x HTTP/1.0\r\n\r\n", Some(Asked::Metrics)),
            (b"GET / HTTP/1.1\r\n\r\n", Some(Asked::Elsewhere)),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Some(Asked::Otherwise)),
            (b"GET /metrics HTTP/1.1\r\nhost", None),
            (b"", None),
            (b"\x16\x03\x01\x02\x00", Some(Asked::Nonsense)),
            (b"GET /metrics HTTP/7\r\n\r\n", Some(Asked::Nonsense)),
        ];
        for (head, expected) in table {
            assert_eq!(parse(head), expected, "{}", String::from_utf8_lossy(head));
        }
    }

    fn ask(address: SocketAddr, head: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(head).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered and closed");
        text
    }

    #[test]
    fn connections_beyond_the_limit_are_closed_and_those_before_are_answered() {
        let address = start(SocketAddr::from(([127, 0, 0, 1], 0)), Board::default()).expect("a free port");
        let get = b"GET /metrics HTTP/1.1\r\n\r\n";
        let mut idle: Vec<TcpStream> = (0..CONNECTIONS)
            .map(|_| TcpStream::connect(address).expect("it listens"))
            .collect();
        // They are accepted in order, so that the next one finds every place taken: it is closed without an answer.
        let mut refused = TcpStream::connect(address).expect("it listens");
        let mut text = String::new();
        assert!(
            !matches!(refused.read_to_string(&mut text), Ok(n) if n > 0),
            "{text}"
        );
        for stream in &mut idle {
            stream.write_all(get).expect("sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("answered");
            assert!(
                text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("# EOF\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_request_is_told_so_and_given_up() {
        let address = start(SocketAddr::from(([127, 0, 0, 1], 0)), Board::default()).expect("a free port");
        let endless = [b"GET /metrics HTTP/1.1\r\na: ".as_slice(), &[b'x'; HEAD]].concat();
        for (head, status) in [
            (endless.as_slice(), "400"),
            (b"\x16\x03\x01", "400"),
            (b"GET / HTTP/1.1\r\n\r\n", "404"),
            (b"PUT /metrics HTTP/1.1\r\n\r\n", "405"),
        ] {
            let answer = ask(address, head);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }
}
