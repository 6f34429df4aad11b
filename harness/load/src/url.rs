//! The URLs that a load can be pointed at: `http://host[:port][/path][?query]`, `https://...` the same, and
//! `unix:/path/of/socket:/path[?query]`.
//!
//! Names are resolved through the system's resolver, once.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::socket::{UNIX_PATH_BYTES_MAX, is_unix_path};
use crate::spec::{Address, Target};
use crate::tls::{Tls, Trust};

/// A URL split into where to connect and what to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// Where to connect.
    pub place: Place,
    /// Path and query; `/` where the URL has none.
    pub path: String,
    /// Host and port as the URL has them, for the `Host` header.
    authority: String,
    /// Whether it is an `https` one.
    secure: bool,
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host on a network.
    Host {
        /// The host without brackets.
        host: String,
        /// The port; 80 where the URL names none, 443 in an `https` one.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not of the form that is understood.
    #[error("reading the URL {url:?}: {problem}")]
    Form {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The host has no address.
    #[error("resolving {host:?}: {source}; give an address such as 127.0.0.1")]
    Unresolved {
        /// The host.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
}

impl std::str::FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<HttpUrl, UrlError> {
        let error = |problem| UrlError::Form {
            url: url.into(),
            problem,
        };
        if let Some(rest) = url.strip_prefix("unix:") {
            return unix(rest).map_err(error);
        }
        let (rest, secure) = if let Some(rest) = url.strip_prefix("https://") {
            (rest, true)
        } else {
            let rest = url.strip_prefix("http://");
            (
                rest.ok_or_else(|| error("it must begin with http://, https:// or unix:/"))?,
                false,
            )
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(error("user names in URLs are not supported; use a header"));
        }
        let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or_else(|| error("the bracket is not closed"))?;
            (
                host,
                after
                    .strip_prefix(':')
                    .or(after.is_empty().then_some(""))
                    .ok_or_else(|| error("bad port"))?,
            )
        } else {
            authority.split_once(':').unwrap_or((authority, ""))
        };
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error("it names no host"));
        }
        let port = match port {
            "" if secure => 443,
            "" => 80,
            digits => digits
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| error("the port is not 1 to 65535"))?,
        };
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(HttpUrl {
            place: Place::Host {
                host: host.into(),
                port,
            },
            path,
            authority: authority.into(),
            secure,
        })
    }
}

/// `/path/of/socket:/path?query`; a socket's path has no colon here.
fn unix(rest: &str) -> Result<HttpUrl, &'static str> {
    let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
    if !socket.starts_with('/') {
        return Err("the socket's path must begin with /: unix:/run/app.sock:/path");
    }
    if !is_unix_path(socket.as_ref()) {
        return Err(TOO_LONG);
    }
    if !path.starts_with('/') {
        return Err("the path after the socket must begin with /: unix:/run/app.sock:/path");
    }
    Ok(HttpUrl {
        place: Place::Unix(socket.into()),
        path: path.split('#').next().unwrap_or(path).into(),
        authority: "localhost".into(),
        secure: false,
    })
}

/// See [`is_unix_path`].
const TOO_LONG: &str = "the socket's path is longer than the 107 bytes that a unix socket's may have";
const _: () = assert!(UNIX_PATH_BYTES_MAX == 107);

impl HttpUrl {
    /// Looks the host up and takes its first address; of a name with both kinds an IPv4 one, which most local services
    /// listen on. An `https` target must prove itself to the authorities of this machine.
    pub fn resolve(&self) -> Result<Target, UrlError> {
        self.resolve_trusting(Trust::Platform)
    }

    /// The same; an `https` target must prove itself to `trust`.
    pub fn resolve_trusting(&self, trust: Trust) -> Result<Target, UrlError> {
        let (addr, name) = match &self.place {
            Place::Host { host, port } => (look_up(host, *port)?, host.clone()),
            Place::Unix(path) => (Address::Unix(path.clone()), self.authority.clone()),
        };
        Ok(Target {
            addr,
            host: self.authority.clone(),
            tls: self.secure.then_some(Tls { name, trust }),
        })
    }
}

fn look_up(host: &str, port: u16) -> Result<Address, UrlError> {
    let unresolved = |source| UrlError::Unresolved {
        host: host.to_owned(),
        source,
    };
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unresolved)?.collect();
    let addr = found.iter().find(|addr| addr.is_ipv4()).or(found.first());
    let addr = *addr.ok_or_else(|| unresolved(std::io::Error::other("it has no address")))?;
    Ok(addr.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_host_port_and_path() {
        let table = [
            ("http://127.0.0.1:8080/a/b?c=d#e", "127.0.0.1", 8080, "/a/b?c=d"),
            ("http://localhost", "localhost", 80, "/"),
            ("http://localhost:99?x", "localhost", 99, "/?x"),
            ("http://[::1]:70/", "::1", 70, "/"),
            ("http://[::1]", "::1", 80, "/"),
            ("https://localhost", "localhost", 443, "/"),
            ("https://localhost:8443/a", "localhost", 8443, "/a"),
        ];
        for (url, host, port, path) in table {
            let parsed: HttpUrl = url.parse().unwrap();
            let host = host.to_owned();
            assert_eq!(parsed.place, Place::Host { host, port }, "{url}");
            assert_eq!(parsed.path, path, "{url}");
            assert_eq!(parsed.secure, url.starts_with("https"));
        }
    }

    #[test]
    fn a_unix_socket_is_followed_by_the_path_that_is_asked_for() {
        for (url, path) in [
            ("unix:/run/app.sock", "/"),
            ("unix:/run/app.sock:/a?b=c:d#e", "/a?b=c:d"),
        ] {
            let parsed: HttpUrl = url.parse().unwrap();
            assert_eq!(parsed.path, path);
            let target = parsed.resolve().unwrap();
            assert_eq!(target.addr, Address::Unix("/run/app.sock".into()));
            assert_eq!((target.host.as_str(), target.tls), ("localhost", None));
        }
    }

    #[test]
    fn an_https_url_says_whom_the_certificate_must_be_for() {
        let parsed: HttpUrl = "https://[::1]:444/".parse().unwrap();
        let target = parsed.resolve_trusting(Trust::Anyone).unwrap();
        let (name, trust) = ("::1".into(), Trust::Anyone);
        assert_eq!(target.tls, Some(Tls { name, trust }));
        assert_eq!(target.host, "[::1]:444");
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        let bad = [
            "127.0.0.1:80",
            "https:///a",
            "unix:run/app.sock",
            "unix:/run/app.sock:a",
            "http://",
            "http://:80/",
            "http://a:0",
            "http://a:x",
            "http://u@a",
            "http://[::1",
        ];
        let said: Vec<String> = bad
            .iter()
            .map(|url| url.parse::<HttpUrl>().unwrap_err().to_string())
            .collect();
        let long = format!("unix:/{}", "a".repeat(107));
        assert!(
            long.parse::<HttpUrl>()
                .unwrap_err()
                .to_string()
                .contains("107 bytes")
        );
        expect_test::expect![[r#"
            reading the URL "127.0.0.1:80": it must begin with http://, https:// or unix:/
            reading the URL "https:///a": it names no host
            reading the URL "unix:run/app.sock": the socket's path must begin with /: unix:/run/app.sock:/path
            reading the URL "unix:/run/app.sock:a": the path after the socket must begin with /: unix:/run/app.sock:/path
            reading the URL "http://": it names no host
            reading the URL "http://:80/": it names no host
            reading the URL "http://a:0": the port is not 1 to 65535
            reading the URL "http://a:x": the port is not 1 to 65535
            reading the URL "http://u@a": user names in URLs are not supported; use a header
            reading the URL "http://[::1": the bracket is not closed"#]]
        .assert_eq(&said.join("\n"));
    }

    #[test]
    fn loopback_names_and_addresses_resolve() {
        let target = "http://localhost:81/"
            .parse::<HttpUrl>()
            .unwrap()
            .resolve()
            .unwrap();
        assert!(target.addr.is_local());
        assert!(target.addr.to_string().ends_with(":81"), "{}", target.addr);
        assert_eq!(target.host, "localhost:81");
    }
}
