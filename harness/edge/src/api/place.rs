//! Addresses as clients write them, `host:port`, and whether they may be used.
//!
//! What can be reached from other machines, or is one, has to be allowed by name when the API is started: a client, or a file
//! from elsewhere, must not be able to turn Squall against others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use squall_model::scenario::is_named;

use crate::api::answer::ApiError;

/// Which addresses may be used.
#[derive(Debug)]
pub(super) struct Places {
    allowed: Vec<String>,
}

/// Where a proxy listens and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) listen: SocketAddr,
    pub(super) upstream: SocketAddr,
}

impl Places {
    pub(super) fn allowing(hosts: Vec<String>) -> Places {
        Places { allowed: hosts }
    }

    /// Both addresses, if they may be used.
    pub(super) fn way(&self, listen: &str, upstream: &str) -> Result<Way, ApiError> {
        let listening =
            |error: ApiError| ApiError::new(error.status, format!("listen tcp: {}", error.message));
        let at = self.listen(listen).map_err(listening)?;
        self.permit("listen", listen, at)?;
        let (host, port) = split(upstream).map_err(|error| upstream_error(upstream, &error))?;
        let to =
            resolve(host, port, Ipv4Addr::LOCALHOST).map_err(|error| upstream_error(upstream, &error))?;
        self.permit("upstream", upstream, to)?;
        Ok(Way {
            listen: at,
            upstream: to,
        })
    }

    /// The address that a listening one stands for, whether it may be used or not.
    #[expect(clippy::unused_self, reason = "beside `way`, which asks who is allowed")]
    pub(super) fn listen(&self, text: &str) -> Result<SocketAddr, ApiError> {
        if text.is_empty() {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        }
        let (host, port) = split(text).map_err(|message| ApiError::new(500, message))?;
        resolve(host, port, Ipv4Addr::UNSPECIFIED).map_err(|message| ApiError::new(500, message))
    }

    fn permit(&self, field: &str, text: &str, address: SocketAddr) -> Result<(), ApiError> {
        let ip = address.ip().to_canonical();
        let host = text.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let is_allowed = is_named(host, &self.allowed) || is_named(&ip.to_string(), &self.allowed);
        if ip.is_loopback() || is_allowed {
            return Ok(());
        }
        let name = if host.is_empty() {
            ip.to_string()
        } else {
            host.to_owned()
        };
        let trouble = match field {
            "listen" => "other machines could connect there",
            _ => "that is another machine",
        };
        Err(ApiError::new(
            403,
            format!("{field} {text}: {trouble}, which `squall proxy --allow-host {name}` would permit"),
        ))
    }
}

fn upstream_error(text: &str, reason: &str) -> ApiError {
    ApiError::new(400, format!("upstream {text}: {reason}"))
}

/// Takes host and port apart, with the original's words for what can't be.
fn split(text: &str) -> Result<(&str, u16), String> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("address {text}: missing port in address"))?;
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if inner.is_none() && host.contains(':') {
        return Err(format!("address {text}: too many colons in address"));
    }
    let number = if port.is_empty() { Ok(0) } else { port.parse() };
    let number = number.map_err(|_| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("address {port}: invalid port")
        } else {
            format!("lookup tcp/{port}: unknown port")
        }
    })?;
    Ok((inner.unwrap_or(host), number))
}

/// The address of a host; an IPv4 one if it has several. `nobody` is the one for no host at all.
fn resolve(host: &str, port: u16, nobody: Ipv4Addr) -> Result<SocketAddr, String> {
    if host.is_empty() {
        return Ok(SocketAddr::from((nobody, port)));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::from((ip, port)));
    }
    let found = (host, port).to_socket_addrs();
    let all: Vec<SocketAddr> = found
        .map_err(|error| format!("lookup {host}: {error}"))?
        .collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first
        .copied()
        .ok_or_else(|| format!("lookup {host}: no such host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_used_unless_another_is_named() {
        let places = Places::allowing(vec![
            "0.0.0.0".to_owned(),
            "[2001:db8::1]".to_owned(),
            "192.0.2.1".to_owned(),
        ]);
        let table: [(&str, &str, Result<&str, u16>); 12] = [
            ("127.0.0.1:1", "127.0.0.1:2", Ok("127.0.0.1:1 127.0.0.1:2")),
            ("", "localhost:2", Ok("127.0.0.1:0 127.0.0.1:2")),
            ("[::1]:0", ":2", Ok("[::1]:0 127.0.0.1:2")),
            (":7", "[2001:db8::1]:2", Ok("0.0.0.0:7 [2001:db8::1]:2")),
            ("0.0.0.0:7", "192.0.2.1:2", Ok("0.0.0.0:7 192.0.2.1:2")),
            ("[::]:7", "127.0.0.1:2", Err(403)),
            ("127.0.0.1:7", "192.0.2.2:2", Err(403)),
            ("192.0.2.3:7", "127.0.0.1:2", Err(403)),
            ("127.0.0.1", "127.0.0.1:2", Err(500)),
            ("127.0.0.1:x", "127.0.0.1:2", Err(500)),
            ("127.0.0.1:1", "127.0.0.1", Err(400)),
            ("127.0.0.1:1", "127.0.0.1:70000", Err(400)),
        ];
        for (listen, upstream, expected) in table {
            let way = places.way(listen, upstream);
            let way = way.map(|way| format!("{} {}", way.listen, way.upstream));
            assert_eq!(
                way.as_deref().map_err(|error| error.status),
                expected,
                "{listen} {upstream}: {way:?}"
            );
        }
    }

    #[test]
    fn nobody_is_allowed_by_default_and_told_how() {
        let places = Places::allowing(Vec::new());
        for (listen, upstream, host) in [
            (":7", "127.0.0.1:2", "--allow-host 0.0.0.0`"),
            ("[::]:7", "127.0.0.1:2", "--allow-host ::`"),
            (
                "127.0.0.1:7",
                "[::ffff:192.0.2.2]:2",
                "--allow-host ::ffff:192.0.2.2`",
            ),
        ] {
            let error = places.way(listen, upstream).unwrap_err();
            assert!(error.message.contains(host), "{error}");
        }
        assert!(places.way("127.0.0.1:7", "[::ffff:127.0.0.1]:2").is_ok());
    }
}
