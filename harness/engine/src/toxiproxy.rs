//! A Toxiproxy server that a scenario names: proxies are made there, told what to do, and deleted, by its HTTP API.
//! <https://github.com/Shopify/toxiproxy#http-api>
//!
//! Only on this machine, and only proxies whose name begins with [`PREFIX`]: whatever else the server has is left as it is.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::{Value, json};
use squall_edge::ToxicSpec;
use squall_model::scenario::Address;

use crate::process::socket::accepts;

/// How the names of all proxies begin that squall makes.
pub const PREFIX: &str = "squall-";

/// How long the server has for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why something could not be had of the server.
#[derive(Debug, thiserror::Error)]
pub enum ToxiproxyError {
    /// Nothing there that listens.
    #[error("no Toxiproxy answers at {address}: {why}; start `toxiproxy-server` there, or `squall proxy`")]
    Unreachable {
        /// As written.
        address: String,
        /// What happened instead.
        why: String,
    },
    /// It did not do what it was asked.
    #[error("Toxiproxy at {api} was asked for {asked} and did not do it: {why}")]
    Refused {
        /// Where its API is.
        api: SocketAddr,
        /// Method and path.
        asked: String,
        /// Its answer, or what kept it from answering.
        why: String,
    },
    /// It answered something that is no answer to that.
    #[error("Toxiproxy at {api} answered {asked} with {answer}")]
    Strange {
        /// Where its API is.
        api: SocketAddr,
        /// Method and path.
        asked: String,
        /// The answer.
        answer: String,
    },
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    api: SocketAddr,
    agent: ureq::Agent,
}

impl Server {
    /// The server whose API is at this address, which must be on this machine.
    pub fn at(api: SocketAddr) -> Server {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build()
            .into();
        Server { api, agent }
    }

    /// The server that a scenario names, if it answers.
    pub fn find(address: &Address) -> Result<Server, ToxiproxyError> {
        let unreachable = |why: String| ToxiproxyError::Unreachable {
            address: format!("http://{address}"),
            why,
        };
        let found = address.to_string().to_socket_addrs();
        let found = found.map_err(|error| unreachable(error.to_string()))?;
        // What a name stands for is this machine's business, and may lead elsewhere.
        let local: Vec<SocketAddr> = found.filter(|one| one.ip().is_loopback()).collect();
        let chosen = local.iter().find(|one| accepts(**one).is_ok()).or(local.first());
        let chosen = chosen.ok_or_else(|| unreachable("it has no loopback address".to_owned()))?;
        let server = Server::at(*chosen);
        match server.ask("GET", "/version", None) {
            Ok((200, _)) => Ok(server),
            Ok((status, _)) => Err(unreachable(format!("GET /version is answered with {status}"))),
            Err(error) => Err(unreachable(error.to_string())),
        }
    }

    /// Where its API is.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Makes a proxy on a free port of 127.0.0.1; where it listens.
    pub fn create(&self, name: &str, upstream: SocketAddr) -> Result<(Remote, SocketAddr), ToxiproxyError> {
        let proxy = json!({
            "name": name,
            "listen": "127.0.0.1:0",
            "upstream": upstream.to_string(),
            "enabled": true,
        });
        let answer = self.done("POST", "/proxies", Some(&proxy))?;
        let listen = serde_json::from_str::<Value>(&answer).ok();
        let listen = listen.and_then(|proxy| proxy["listen"].as_str()?.parse().ok());
        let listen = listen.ok_or_else(|| ToxiproxyError::Strange {
            api: self.api,
            asked: "POST /proxies".to_owned(),
            answer,
        })?;
        let remote = Remote {
            server: self.clone(),
            name: name.to_owned(),
        };
        Ok((remote, listen))
    }

    /// Deletes a proxy of squall's. One that is not there, or whose server is not, is gone already.
    pub fn delete(&self, name: &str) -> Result<(), ToxiproxyError> {
        let path = format!("/proxies/{name}");
        if accepts(self.api).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
            return Ok(());
        }
        match self.ask("DELETE", &path, None) {
            Ok((204 | 404, _)) => Ok(()),
            Ok((status, answer)) => Err(self.refused("DELETE", &path, format!("{status} {}", answer.trim()))),
            Err(error) => Err(self.refused("DELETE", &path, error.to_string())),
        }
    }

    /// Asks for something to be done; the body of the answer.
    fn done(&self, method: &str, path: &str, body: Option<&Value>) -> Result<String, ToxiproxyError> {
        match self.ask(method, path, body) {
            Ok((200..300, answer)) => Ok(answer),
            Ok((status, answer)) => Err(self.refused(method, path, format!("{status} {}", answer.trim()))),
            Err(error) => Err(self.refused(method, path, error.to_string())),
        }
    }

    fn refused(&self, method: &str, path: &str, why: String) -> ToxiproxyError {
        ToxiproxyError::Refused {
            api: self.api,
            asked: format!("{method} {path}"),
            why,
        }
    }

    /// Status and body of an answer.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String), ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.api))
            .header("user-agent", concat!("squall/", env!("CARGO_PKG_VERSION")))
            .header("content-type", "application/json");
        let text = body.map_or_else(String::new, Value::to_string);
        let mut answer = self.agent.run(request.body(text).map_err(ureq::Error::from)?)?;
        let status = answer.status().as_u16();
        Ok((status, answer.body_mut().read_to_string()?))
    }
}

/// A proxy of squall's on a server.
#[derive(Clone, Debug)]
pub struct Remote {
    server: Server,
    name: String,
}

impl Remote {
    /// Adds a toxic; the server has it when this returns.
    pub fn add_toxic(&self, toxic: &ToxicSpec) -> Result<(), ToxiproxyError> {
        let path = format!("/proxies/{}/toxics", self.name);
        let mut body = serde_json::to_value(toxic.kind).unwrap_or_default();
        body["name"] = json!(toxic.name);
        body["stream"] = json!(toxic.stream.name());
        body["toxicity"] = json!(toxic.toxicity);
        let answer = self.server.done("POST", &path, Some(&body))?;
        let is_it =
            serde_json::from_str::<Value>(&answer).is_ok_and(|one| one["name"] == toxic.name.as_str());
        if is_it {
            return Ok(());
        }
        Err(ToxiproxyError::Strange {
            api: self.server.api,
            asked: format!("POST {path} for {}", toxic.name),
            answer,
        })
    }

    /// Removes one.
    pub fn remove_toxic(&self, name: &str) -> Result<(), ToxiproxyError> {
        let path = format!("/proxies/{}/toxics/{name}", self.name);
        self.server.done("DELETE", &path, None).map(|_| ())
    }

    /// Lets it listen, or stop to and close all connections.
    pub fn set_enabled(&self, enabled: bool) -> Result<(), ToxiproxyError> {
        let path = format!("/proxies/{}", self.name);
        let body = json!({ "enabled": enabled });
        let answer = self.server.done("POST", &path, Some(&body))?;
        let is_so = serde_json::from_str::<Value>(&answer).is_ok_and(|proxy| proxy["enabled"] == enabled);
        if is_so {
            return Ok(());
        }
        Err(ToxiproxyError::Strange {
            api: self.server.api,
            asked: format!("POST {path} for enabled: {enabled}"),
            answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn a_server_that_sends_squall_elsewhere_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            // The look whether somebody accepts, then the question.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                if stream.read(&mut [0; 1_024]).is_ok_and(|count| count > 0) {
                    let answer =
                        "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer.as_bytes()).unwrap();
                    return;
                }
            }
        });
        let found = Server::find(&Address::parse(&address.to_string()).unwrap());
        let why = found.unwrap_err().to_string();
        assert!(why.contains("GET /version is answered with 302"), "{why}");
        server.join().unwrap();
    }
}
