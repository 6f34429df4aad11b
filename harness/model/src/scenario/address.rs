//! Where a service that is already running listens: `127.0.0.1:5432`, `[::1]:80`, `http://localhost:8080`, `https://localhost`,
//! `unix:/run/app.sock`.

use std::fmt;
use std::net::IpAddr;

use serde_json::json;

use crate::decode::{Decode, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::Node;

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host and a port.
    Host {
        /// A name, or an IP address without brackets.
        host: String,
        /// The TCP or UDP port.
        port: u16,
        /// What it was written with.
        scheme: Scheme,
    },
    /// The path of a unix socket; a relative one begins at the scenario's folder.
    Unix(String),
}

/// What an address was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Nothing.
    None,
    /// `http://`.
    Http,
    /// `https://`: TLS.
    Https,
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
    /// Another scheme.
    #[error("only http://, https:// and unix: are known: write http://HOST:PORT or HOST:PORT")]
    Scheme,
    /// `unix:` alone.
    #[error("the socket's path is missing: write unix:/PATH")]
    NoPath,
    /// Something after the port.
    #[error("an address ends with its port; the path belongs to the load")]
    Path,
}

impl Address {
    const PATTERN: &str = r"^unix:.+$|^(?:https?://)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}/?$|^https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)/?$";

    /// Reads `HOST:PORT`, `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:PATH`.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(AddressError::NoPath)
            } else {
                Ok(Address::Unix(path.to_owned()))
            };
        }
        let (rest, scheme) = match text.split_once("://") {
            None => (text, Scheme::None),
            Some(("http", rest)) => (rest, Scheme::Http),
            Some(("https", rest)) => (rest, Scheme::Https),
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
            None => scheme.port().ok_or(AddressError::NoPort)?,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(AddressError::Port)?,
            Some(_) => return Err(AddressError::Port),
        };
        Ok(Address::Host {
            host: host.to_owned(),
            port,
            scheme,
        })
    }

    /// True if nothing but this machine can be behind it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Host { host, .. } => host
                .parse::<IpAddr>()
                .map_or_else(|_| host == "localhost", |address| address.is_loopback()),
        }
    }

    /// What requests name as their host: without a port that goes without saying (RFC 9110, 4.2).
    pub fn authority(&self) -> String {
        match self {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Host { host, port, scheme } if scheme.port() == Some(*port) => bracketed(host),
            Address::Host { .. } => self.to_string(),
        }
    }
}

impl Scheme {
    /// The port where none is written.
    fn port(self) -> Option<u16> {
        match self {
            Scheme::None => None,
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Host { host, port, .. } => write!(f, "{}:{port}", bracketed(host)),
            Address::Unix(path) => write!(f, "unix:{path}"),
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
            "description": "HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:PATH",
            "type": "string",
            "pattern": Address::PATTERN,
        })
    }
}

/// Whether a host is among those that a user has named for others than this machine: the same name in either case, or the same IP
/// address however written, an IPv6 one with or without brackets.
pub fn is_named(host: &str, named: &[String]) -> bool {
    let bare = |text: &str| text.trim_matches(['[', ']']).to_ascii_lowercase();
    let address = |text: &str| text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    let host = bare(host);
    let is_it = |one: &String| {
        let one = bare(one);
        one == host || address(&host).is_some_and(|ip| address(&one) == Some(ip))
    };
    !host.is_empty() && named.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_by_its_name_or_its_address_however_written() {
        let named = |host, one: &str| is_named(host, &[one.to_owned()]);
        for (host, one) in [
            ("db.test", "DB.test"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "[2001:DB8:0::1]"),
            ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ] {
            assert!(named(host, one), "{host} by {one}");
        }
        for (host, one) in [
            ("db.test", "db.test.evil"),
            ("192.0.2.1", "192.0.2.10"),
            ("db.test", ""),
            ("", ""),
        ] {
            assert!(!named(host, one), "{host} by {one}");
        }
        assert!(!is_named("db.test", &[]));
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, expected, loopback) in [
            ("127.0.0.1:5432", "127.0.0.1:5432", true),
            ("[::1]:80", "[::1]:80", true),
            ("http://localhost:8080/", "localhost:8080", true),
            ("http://api.test", "api.test:80", false),
            ("https://api.test", "api.test:443", false),
            ("unix:run/app.sock", "unix:run/app.sock", true),
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
            ("wss://api.test", AddressError::Scheme),
            ("unix:", AddressError::NoPath),
            ("ftp://api.test", AddressError::Scheme),
            ("http://api.test:80/v1", AddressError::Path),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_request_names_no_port_that_goes_without_saying() {
        for (text, expected) in [
            ("http://api.test", "api.test"),
            ("https://[::1]:443", "[::1]"),
            ("http://api.test:443", "api.test:443"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("unix:/a", "localhost"),
        ] {
            assert_eq!(Address::parse(text).unwrap().authority(), expected);
        }
    }
}
