//! Where a service that is already running listens: `127.0.0.1:5432`, `[::1]:80`, `http://localhost:8080`.

use std::fmt;
use std::net::IpAddr;

use serde_json::json;

use crate::decode::{Decode, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::Node;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The TCP or UDP port.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing after the host.
    #[error("the port is missing: write HOST:PORT")]
    NoPort,
    /// Not a number from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Empty, or with characters that no host has.
    #[error("the host is not a name or an IP address; IPv6 goes in brackets: [::1]:80")]
    Host,
    /// `https://`.
    #[error("TLS is not supported by this version: write http:// or HOST:PORT")]
    Tls,
    /// Another scheme.
    #[error("only http:// is known: write http://HOST:PORT or HOST:PORT")]
    Scheme,
    /// Something after the port.
    #[error("an address ends with its port; the path belongs to the load")]
    Path,
}

impl Address {
    const PATTERN: &str = r"^(?:http://)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}/?$|^http://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)/?$";

    /// Reads `HOST:PORT` or `http://HOST[:PORT]`.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (rest, default_port) = match text.split_once("://") {
            None => (text, None),
            Some(("http", rest)) => (rest, Some(80)),
            Some(("https" | "wss", _)) => return Err(AddressError::Tls),
            Some(_) => return Err(AddressError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(AddressError::Path);
        }
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (host, port) = inner.split_once(']').ok_or(AddressError::Host)?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| AddressError::Host)?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or(AddressError::Host)?)
                },
            )
        } else {
            let (host, port) = rest
                .split_once(':')
                .map_or((rest, None), |(host, port)| (host, Some(port)));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_part) || port.is_some_and(|port| port.contains(':')) {
                return Err(AddressError::Host);
            }
            (host, port)
        };
        let port = match port {
            None => default_port.ok_or(AddressError::NoPort)?,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(AddressError::Port)?,
            Some(_) => return Err(AddressError::Port),
        };
        Ok(Address {
            host: host.to_owned(),
            port,
        })
    }

    /// True if nothing but this machine can be behind it.
    pub fn is_loopback(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .map_or_else(|_| self.host == "localhost", |address| address.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Decode for Address {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Address> {
        let text = String::decode(node, diagnostics)?;
        Address::parse(&text)
            .map_err(|error| diagnostics.push(Diagnostic::error(node.head, error.to_string())))
            .ok()
    }

    fn schema() -> Schema {
        json!({
            "title": "address",
            "description": "HOST:PORT or http://HOST:PORT",
            "type": "string",
            "pattern": Address::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, expected, loopback) in [
            ("127.0.0.1:5432", "127.0.0.1:5432", true),
            ("[::1]:80", "[::1]:80", true),
            ("http://localhost:8080/", "localhost:8080", true),
            ("http://api.test", "api.test:80", false),
            ("10.0.0.7:9", "10.0.0.7:9", false),
            ("localhost.evil.test:80", "localhost.evil.test:80", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.is_loopback(), loopback, "{text}");
        }
        for (text, error) in [
            ("localhost", AddressError::NoPort),
            ("localhost:", AddressError::Port),
            ("localhost:0", AddressError::Port),
            ("localhost:65536", AddressError::Port),
            (":80", AddressError::Host),
            ("::1:80", AddressError::Host),
            ("a b:80", AddressError::Host),
            ("user@host:80", AddressError::Host),
            ("https://api.test", AddressError::Tls),
            ("ftp://api.test", AddressError::Scheme),
            ("http://api.test:80/v1", AddressError::Path),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }
}
