//! A client of one kept-alive connection, for tests only.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// An HTTP/1.1 connection.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status and the body of the response to a GET.
    pub fn get(&mut self, target: &str) -> (u16, String) {
        self.request("GET", target).expect("the connection stays open")
    }

    /// Likewise for any method; `None` if the connection breaks.
    pub fn request(&mut self, method: &str, target: &str) -> Option<(u16, String)> {
        write!(
            self.0.get_mut(),
            "{method} {target} HTTP/1.1\r\nhost: test\r\n\r\n"
        )
        .ok()?;
        let status = self.line()?.split(' ').nth(1)?.parse().ok()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((status, String::from_utf8(body).unwrap()))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

/// The ids in the body of a response to `/id` or `/ids`.
pub fn ids(body: &str) -> Vec<u64> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let number = |id: &serde_json::Value| id.as_str().unwrap().parse().unwrap();
    match &body["ids"] {
        serde_json::Value::Array(ids) => ids.iter().map(number).collect(),
        _ => vec![number(&body["id"])],
    }
}
