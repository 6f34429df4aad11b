//! The URLs that a load can be pointed at: `http://host[:port][/path][?query]`.
//!
//! Names are resolved through the system's resolver, once.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::spec::Target;

/// A URL split into where to connect and what to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// The host without brackets.
    pub host: String,
    /// The port; 80 where the URL names none.
    pub port: u16,
    /// Path and query; `/` where the URL has none.
    pub path: String,
    /// Host and port as the URL has them, for the `Host` header.
    authority: String,
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
        if url.starts_with("https://") {
            return Err(error("https is not supported yet; use http://"));
        }
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| error("it must begin with http://"))?;
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
            host: host.into(),
            port,
            path,
            authority: authority.into(),
        })
    }
}

impl HttpUrl {
    /// Looks the host up and takes its first address; of a name with both kinds an IPv4 one, which most local services
    /// listen on.
    pub fn resolve(&self) -> Result<Target, UrlError> {
        let unresolved = |source| UrlError::Unresolved {
            host: self.host.clone(),
            source,
        };
        let found: Vec<SocketAddr> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(unresolved)?
            .collect();
        let addr = found.iter().find(|addr| addr.is_ipv4()).or(found.first());
        let addr = *addr.ok_or_else(|| unresolved(std::io::Error::other("it has no address")))?;
        Ok(Target {
            addr: addr.into(),
            host: self.authority.clone(),
        })
    }
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
        ];
        for (url, host, port, path) in table {
            let parsed: HttpUrl = url.parse().unwrap();
            assert_eq!(
                (parsed.host.as_str(), parsed.port, parsed.path.as_str()),
                (host, port, path),
                "{url}"
            );
        }
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        let bad = [
            "127.0.0.1:80",
            "https://a/",
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
        expect_test::expect![[r#"
            reading the URL "127.0.0.1:80": it must begin with http://
            reading the URL "https://a/": https is not supported yet; use http://
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
