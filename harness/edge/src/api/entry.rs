//! One proxy as clients see it: what they asked for, beside the proxy of this crate that does it.
//!
//! The proxy is made when it first has to listen, and made anew where its addresses change, so that one that is not enabled
//! takes no address.

use std::io;

use serde::Serialize;
use serde_json::Value;
use squall_model::seed::Seed;

use crate::api::answer::ApiError;
use crate::api::body::{Body, mismatch};
use crate::api::place::Places;
use crate::api::toxic::Toxic;
use crate::{Direction, EdgeError, Proxies, Proxy, ProxySpec};

const FIELDS: [&str; 5] = ["name", "listen", "upstream", "enabled", "toxics"];

/// What a body asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) listen: String,
    pub(super) upstream: String,
    pub(super) enabled: bool,
}

impl Wanted {
    /// A new proxy. Fields that are left out are empty, and it is enabled.
    pub(super) fn read(body: &mut Body<'_>) -> Result<Wanted, ApiError> {
        let value = body.value()?;
        Wanted::of(value, body)
    }

    fn of(value: Value, body: &mut Body<'_>) -> Result<Wanted, ApiError> {
        let mut fields = body.fields(value, "a proxy", &FIELDS)?;
        let wanted = Wanted {
            name: fields.text("name")?.unwrap_or_default(),
            listen: fields.text("listen")?.unwrap_or_default(),
            upstream: fields.text("upstream")?.unwrap_or_default(),
            enabled: fields.flag("enabled")?.unwrap_or(true),
        };
        // Clients send an empty list along. A full one is somebody's mistake.
        let toxics = fields.take("toxics").unwrap_or_default();
        if toxics.as_array().is_some_and(|all| !all.is_empty()) {
            body.ignore(
                &format!("`toxics` of the proxy {}", wanted.name),
                "toxics are added by requests of their own",
            )?;
        }
        Ok(wanted)
    }

    /// A list of them, each with all that it needs.
    pub(super) fn read_all(body: &mut Body<'_>) -> Result<Vec<Wanted>, ApiError> {
        let values = match body.value()? {
            Value::Array(values) => values,
            Value::Null => Vec::new(),
            other => return Err(mismatch(&other, "a list of proxies")),
        };
        let mut all = Vec::new();
        for value in values {
            all.push(Wanted::of(value, body)?);
        }
        for (at, wanted) in all.iter().enumerate() {
            let lacks = |field: &str| ApiError::missing(format!("{field} at proxy {}", at + 1));
            if wanted.name.is_empty() {
                return Err(lacks("name"));
            }
            if wanted.upstream.is_empty() {
                return Err(lacks("upstream"));
            }
        }
        Ok(all)
    }
}

/// A proxy.
#[derive(Debug)]
pub(super) struct Entry {
    name: String,
    /// As it was asked for, or where it listens once it does.
    listen: String,
    upstream: String,
    enabled: bool,
    /// In the order in which they were added.
    toxics: Vec<Toxic>,
    proxy: Option<Proxy>,
}

/// A proxy as it is written.
#[derive(Debug, Serialize)]
pub(super) struct View<'a> {
    name: &'a str,
    listen: &'a str,
    upstream: &'a str,
    enabled: bool,
    /// Those of the direction towards the callee first.
    pub(super) toxics: Vec<&'a Toxic>,
}

impl Entry {
    /// One that doesn't listen yet.
    pub(super) fn new(wanted: Wanted) -> Entry {
        Entry {
            name: wanted.name,
            listen: wanted.listen,
            upstream: wanted.upstream,
            enabled: false,
            toxics: Vec::new(),
            proxy: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn listen(&self) -> &str {
        &self.listen
    }

    pub(super) fn upstream(&self) -> &str {
        &self.upstream
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub(super) fn view(&self) -> View<'_> {
        let of = |direction| {
            self.toxics
                .iter()
                .filter(move |toxic| toxic.direction() == direction)
        };
        View {
            name: &self.name,
            listen: &self.listen,
            upstream: &self.upstream,
            enabled: self.enabled,
            toxics: Direction::BOTH.into_iter().flat_map(of).collect(),
        }
    }

    /// What a body would make of it. Its name stays, whatever the body says, and clients send its toxics along.
    pub(super) fn wanted(&self, body: &mut Body<'_>) -> Result<Wanted, ApiError> {
        let value = body.value()?;
        let mut fields = body.fields(value, "a proxy", &FIELDS)?;
        Ok(Wanted {
            name: self.name.clone(),
            listen: fields.text("listen")?.unwrap_or_else(|| self.listen.clone()),
            upstream: fields.text("upstream")?.unwrap_or_else(|| self.upstream.clone()),
            enabled: fields.flag("enabled")?.unwrap_or(self.enabled),
        })
    }

    /// Whether it would have other addresses. `localhost:80` is the same as `127.0.0.1:80`.
    pub(super) fn differs(&self, wanted: &Wanted, places: &Places) -> Result<bool, ApiError> {
        let listen = places.listen(&wanted.listen)?.to_string();
        Ok(self.listen != listen || self.upstream != wanted.upstream)
    }

    /// Gives up its proxy, which ends its connections. It doesn't listen after that, until it is started.
    pub(super) fn give_up(&mut self) -> Option<Proxy> {
        self.enabled = false;
        self.proxy.take()
    }

    /// Gives it other addresses, after it has given up its proxy.
    pub(super) fn move_to(&mut self, wanted: Wanted) {
        self.listen = wanted.listen;
        self.upstream = wanted.upstream;
    }

    /// Listens, if it doesn't. Its callee's name is looked up anew each time.
    pub(super) fn start(&mut self, proxies: &Proxies, places: &Places, seed: Seed) -> Result<(), ApiError> {
        if self.enabled {
            return Ok(());
        }
        let way = places.way(&self.listen, &self.upstream)?;
        if let Some(proxy) = &self.proxy {
            proxy.set_upstream(way.upstream).map_err(failed)?;
            proxy.enable().map_err(failed)?;
        } else {
            let spec = ProxySpec {
                name: self.name.clone(),
                listen: way.listen,
                upstream: way.upstream,
                source: None,
                // Only once it has its toxics, so that no connection is without them.
                enabled: false,
                http: false,
            };
            let proxy = proxies.stream(spec, seed.child(&self.name)).map_err(failed)?;
            for toxic in self.toxics.iter().filter_map(Toxic::spec) {
                proxy.add_toxic(toxic).map_err(failed)?;
            }
            proxy.enable().map_err(failed)?;
            self.listen = proxy.listen().to_string();
            self.proxy = Some(proxy);
        }
        self.enabled = true;
        Ok(())
    }

    /// Stops listening and ends all connections.
    pub(super) fn stop(&mut self) -> Result<(), ApiError> {
        self.enabled = false;
        self.proxy.as_ref().map_or(Ok(()), Proxy::disable).map_err(failed)
    }

    pub(super) fn toxic(&self, name: &str) -> Result<&Toxic, ApiError> {
        Ok(&self.toxics[self.position(name)?])
    }

    /// Adds a toxic of a name that no other has.
    pub(super) fn add_toxic(&mut self, toxic: Toxic) -> Result<&Toxic, ApiError> {
        if let (Some(proxy), Some(spec)) = (&self.proxy, toxic.spec()) {
            proxy.add_toxic(spec).map_err(failed)?;
        }
        let at = self.toxics.len();
        self.toxics.push(toxic);
        Ok(&self.toxics[at])
    }

    /// Puts a toxic in the place of the one with its name.
    pub(super) fn change_toxic(&mut self, toxic: Toxic) -> Result<&Toxic, ApiError> {
        let at = self.position(toxic.name())?;
        if let (Some(proxy), Some(spec)) = (&self.proxy, toxic.spec()) {
            proxy
                .change_toxic(&spec.name, spec.kind, spec.toxicity)
                .map_err(failed)?;
        }
        self.toxics[at] = toxic;
        Ok(&self.toxics[at])
    }

    pub(super) fn remove_toxic(&mut self, name: &str) -> Result<(), ApiError> {
        let toxic = self.toxics.remove(self.position(name)?);
        if let (Some(proxy), Some(spec)) = (&self.proxy, toxic.spec()) {
            proxy.remove_toxic(&spec.name).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn clear_toxics(&mut self) -> Result<(), ApiError> {
        while let Some(name) = self.toxics.first().map(|toxic| toxic.name().to_owned()) {
            self.remove_toxic(&name)?;
        }
        Ok(())
    }

    fn position(&self, name: &str) -> Result<usize, ApiError> {
        let found = self.toxics.iter().position(|toxic| toxic.name() == name);
        found.ok_or_else(|| ApiError::new(404, "toxic not found"))
    }
}

/// What a proxy says went wrong, in the original's words where it has some.
fn failed(error: EdgeError) -> ApiError {
    let message = match error {
        EdgeError::Listen { address, source, .. } => {
            format!("listen tcp {address}: bind: {}", reason(&source))
        }
        other => other.to_string(),
    };
    ApiError::new(500, message)
}

/// `address already in use`, of `Address already in use (os error 98)`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
