//! The endpoint that a scraper asks: `GET /metrics`, nothing else.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{Board, exposition};
use crate::http::{Request, Response, Server, WhenFull};

/// Nobody has anything to send along. Who finds every place taken will ask again.
const SERVER: Server = Server {
    threads: ["squall-metrics", "squall-scrape"],
    patience: Duration::from_secs(2),
    body_bytes_max: 0,
    when_full: WhenFull::Close,
};

/// Listens at `address` until the process ends, and returns where.
pub fn start(address: SocketAddr, board: Board) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    SERVER.start(listener, move |request| answer(request, &board))?;
    Ok(address)
}

fn answer(request: &Request, board: &Board) -> Response {
    let path = request.target.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "/metrics") => Response::text(200, exposition::CONTENT_TYPE, exposition::text(&board.view())),
        ("GET", _) => Response::text(404, "text/plain", "metrics are at /metrics\n"),
        _ => Response::text(405, "text/plain", "GET /metrics\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn ask(address: SocketAddr, head: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(head).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered and closed");
        text
    }

    #[test]
    fn what_is_asked_for_is_answered_and_all_else_is_told_so() {
        let address = start(SocketAddr::from(([127, 0, 0, 1], 0)), Board::default()).expect("a free port");
        let endless = [b"GET /metrics HTTP/1.1\r\na: ".as_slice(), &[b'x'; 16 << 10]].concat();
        for (head, status, end) in [
            (b"GET /metrics HTTP/1.1\r\n\r\n".as_slice(), "200 OK", "# EOF\n"),
            (b"GET /metrics?name[]=x HTTP/1.0\r\n\r\n", "200 OK", "# EOF\n"),
            (endless.as_slice(), "400 Bad Request", "\n"),
            (b"\x16\x03\x01", "400 Bad Request", "\n"),
            (
                b"GET / HTTP/1.1\r\n\r\n",
                "404 Not Found",
                "metrics are at /metrics\n",
            ),
            (
                b"PUT /metrics HTTP/1.1\r\n\r\n",
                "405 Method Not Allowed",
                "GET /metrics\n",
            ),
        ] {
            let answer = ask(address, head);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert!(answer.ends_with(end), "{answer}");
        }
    }
}
