//! A client that writes the bytes it is told to, and reads answers one by one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A connection to the gateway.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A field's value; empty where it is missing.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The word of an error of the gateway's own.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        let body: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        body["error"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        // A gateway that has refused what came before may have closed.
        let _ = self.stream.write_all(text.as_bytes());
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n"))
    }

    #[track_caller]
    pub(crate) fn post(&mut self, method: &str, body: &str) -> Reply {
        let length = body.len();
        self.ask(&format!(
            "{method} / HTTP/1.1\r\nhost: shop.test\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, text: &str) -> Reply {
        self.send(text);
        self.reply().expect("an answer")
    }

    /// The next answer; `None` where the connection ends before it.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        let head_end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more() {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        self.unread.drain(..head_end);
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let fields: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        if status == 100 {
            return self.reply();
        }
        let mut reply = Reply {
            status,
            fields,
            body: Vec::new(),
        };
        reply.body = if reply.field("transfer-encoding") == "chunked" {
            self.chunks()?
        } else {
            let length = reply.field("content-length").parse().unwrap_or(0);
            self.exactly(length)?
        };
        Some(reply)
    }

    /// Whether the other side has closed, and sends nothing before it does.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more()
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Some(body);
            }
            body.extend(chunk);
        }
    }

    /// The next chunk of a body; the last is empty.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line_end = loop {
            if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                break at;
            }
            if !self.more() {
                return None;
            }
        };
        let size = String::from_utf8_lossy(&self.unread[..line_end]).into_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        self.unread.drain(..line_end + 2);
        let chunk = self.exactly(size)?;
        self.exactly(2)?;
        Some(chunk)
    }

    /// Reads a head and leaves the body to be read chunk by chunk.
    pub(crate) fn head(&mut self) -> String {
        while !self.unread.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(self.more(), "no head");
        }
        let end = self
            .unread
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        String::from_utf8_lossy(&self.unread.drain(..end).collect::<Vec<u8>>()).into_owned()
    }

    /// How many bytes come until the connection ends.
    pub(crate) fn rest(&mut self) -> usize {
        let mut count = self.unread.len();
        self.unread.clear();
        while self.more() {
            count += self.unread.len();
            self.unread.clear();
        }
        count
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            if !self.more() {
                return None;
            }
        }
        Some(self.unread.drain(..length).collect())
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("reading: {error}"),
        }
    }
}
