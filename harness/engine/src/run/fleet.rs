//! The services of a run: started callees first, stopped in the reverse order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use squall_model::placeholder::Template;
use squall_model::scenario::Address;

use super::isolation::Isolation;
use crate::catalogue::Catalogue;
use crate::fault::SpawnNeeds;
use crate::guard::GuardHandle;
use crate::plan::{PlannedService, ReadyWhen, Start};
use crate::process::socket::accepts;
use crate::process::{
    Addresses, Invocation, Launch, PortReserver, PortWish, Ready, ServiceProcess, StartError, StopError,
    StopReport,
};
use crate::record::Folder;
use crate::redirect::Redirects;
use crate::seccomp::Rule;

/// How long a service may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Where programs are told to listen unless they have a place of their own.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One service of the run.
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its process; nothing where it was already running.
    pub process: Option<Arc<ServiceProcess>>,
    /// Where callers find it; nothing where it has no port.
    pub address: Option<SocketAddr>,
    /// What the name in its address stands for besides, where it was already running.
    pub(super) also: Vec<SocketAddr>,
    /// Its ports by name, for placeholders.
    ports: BTreeMap<String, u16>,
    /// Its admin endpoint.
    pub admin: Option<SocketAddr>,
}

#[cfg(test)]
impl Member {
    /// One that was already running.
    pub(super) fn running(name: &str, address: SocketAddr, also: Vec<SocketAddr>) -> Member {
        Member {
            name: name.to_owned(),
            process: None,
            address: Some(address),
            also,
            ports: BTreeMap::new(),
            admin: None,
        }
    }
}

/// Why a service is not there.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The folder it may keep things in can't be made.
    #[error("making the folder of service `{service}`: {source}")]
    Data {
        /// Which one.
        service: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An address of something already running can't be found.
    #[error("service `{service}` is said to be at {address}, which can't be resolved: {why}")]
    Resolve {
        /// Which one.
        service: String,
        /// As written.
        address: String,
        /// Why.
        why: String,
    },
}

impl FleetError {
    /// Whether there is no such program, which only shows now where its name has a placeholder.
    pub fn is_program_missing(&self) -> bool {
        matches!(self, FleetError::Start(StartError::Spawn { source, .. }) if source.is_program_missing())
    }
}

/// The services that are up.
pub struct Fleet {
    members: Vec<Member>,
    /// Where a caller is to go for a callee, where a proxy stands before it: by caller and callee.
    proxied: BTreeMap<(String, String), SocketAddr>,
    /// By caller: where its connects go instead, which is told nothing of proxies.
    redirected: BTreeMap<String, Arc<Redirects>>,
    ports: PortReserver,
    isolation: Isolation,
}

impl Fleet {
    /// None yet.
    pub fn new(isolation: Isolation) -> Fleet {
        Fleet {
            members: Vec::new(),
            proxied: BTreeMap::new(),
            redirected: BTreeMap::new(),
            ports: PortReserver::new(),
            isolation,
        }
    }

    /// The services, in the order in which they started.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The service called `name`.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// From now on `caller`, which is a service or a load, is told this address for `callee`.
    pub fn proxy(&mut self, caller: String, callee: String, address: SocketAddr) {
        self.proxied.insert((caller, callee), address);
    }

    /// When `caller` starts, its connects are decided about by this.
    pub fn redirect(&mut self, caller: String, redirects: Arc<Redirects>) {
        self.redirected.insert(caller, redirects);
    }

    /// Where `caller` finds `callee`.
    pub fn address_for(&self, caller: &str, callee: &str) -> Option<SocketAddr> {
        let proxied = self.proxied.get(&(caller.to_owned(), callee.to_owned()));
        proxied.copied().or_else(|| self.get(callee)?.address)
    }

    /// Starts one more service and waits until it is ready.
    pub fn start(
        &mut self,
        planned: &PlannedService,
        guard: &Arc<GuardHandle>,
        catalogue: &Catalogue,
        folder: &Folder,
        needs: &SpawnNeeds,
    ) -> Result<&Member, FleetError> {
        if let Start::At { address } = &planned.start {
            // A unix socket has none that could be named to others.
            let mut found = match address {
                Address::Unix(_) => Vec::new(),
                Address::Host { .. } => resolve(&planned.name, address)?,
            }
            .into_iter();
            return Ok(self.add(planned, None, found.next(), found.collect()));
        }
        let data = folder.data(&planned.name);
        std::fs::create_dir_all(&data).map_err(|source| FleetError::Data {
            service: planned.name.clone(),
            source,
        })?;
        let paths = BTreeMap::from([
            ("data", data.display().to_string()),
            ("squall", catalogue.server.display().to_string()),
        ]);
        let redirects = self.redirected.get(&planned.name);
        let rules: Vec<Arc<dyn Rule>> = redirects.map(|one| Arc::clone(one) as _).into_iter().collect();
        let launch = match &planned.start {
            Start::Bundled {
                service,
                settings,
                within,
            } => Launch {
                name: planned.name.clone(),
                log: folder.log(&planned.name),
                directory: Some(data.clone()),
                within: *within,
                ports: Vec::new(),
                rules,
                command: self.bundled(planned, service, settings, catalogue, data, needs),
                namespace: self.isolation.namespace(&planned.name),
            },
            Start::Run {
                command,
                directory,
                env,
                ready,
                within,
                ports,
            } => Launch {
                name: planned.name.clone(),
                log: folder.log(&planned.name),
                directory: Some(directory.clone()),
                within: *within,
                ports: ports
                    .iter()
                    .map(|name| PortWish {
                        name: name.clone(),
                        fixed: None,
                    })
                    .collect(),
                rules,
                command: self.program(planned, command, env, ready, paths, needs),
                namespace: self.isolation.namespace(&planned.name),
            },
            Start::At { .. } => unreachable!("handled above"),
        };
        let process = ServiceProcess::start(Arc::clone(guard), launch, &mut self.ports)?;
        let addresses = process.addresses();
        let first_port = match &planned.start {
            Start::Run { ports, .. } => ports.first().and_then(|name| addresses.ports.get(name)),
            _ => None,
        };
        let address = addresses
            .listen
            .or_else(|| first_port.map(|port| SocketAddr::new(self.host(&planned.name), *port)));
        Ok(self.add(planned, Some(Arc::new(process)), address, Vec::new()))
    }

    /// The address at which a service is told to listen.
    fn host(&self, service: &str) -> IpAddr {
        self.isolation.address(service).unwrap_or(LOOPBACK)
    }

    fn add(
        &mut self,
        planned: &PlannedService,
        process: Option<Arc<ServiceProcess>>,
        address: Option<SocketAddr>,
        also: Vec<SocketAddr>,
    ) -> &Member {
        let addresses = process
            .as_ref()
            .map(|process| process.addresses().clone())
            .unwrap_or_default();
        let at = self.members.len();
        self.members.push(Member {
            name: planned.name.clone(),
            process,
            address,
            also,
            ports: addresses.ports,
            admin: addresses.admin,
        });
        &self.members[at]
    }

    /// `squall serve NAME --listen HOST:0 ...`; after the first start, the ports it had.
    fn bundled(
        &self,
        planned: &PlannedService,
        service: &str,
        settings: &[(String, String)],
        catalogue: &Catalogue,
        data: std::path::PathBuf,
        needs: &SpawnNeeds,
    ) -> Box<dyn Fn(&Addresses) -> Invocation + Send + Sync> {
        let mut fixed: Vec<OsString> = vec!["--data".into(), data.into()];
        for (role, callee) in &planned.calls {
            if let Some(address) = self.address_for(&planned.name, callee) {
                fixed.extend(["--peer".into(), format!("{role}={address}").into()]);
            }
        }
        for (key, value) in settings {
            fixed.extend(["--set".into(), format!("{key}={value}").into()]);
        }
        let (program, service) = (catalogue.server.clone().into_os_string(), service.to_owned());
        let env = needs.environment(std::env::var_os("LD_PRELOAD").as_deref());
        let any = SocketAddr::new(self.host(&planned.name), 0);
        Box::new(move |addresses| {
            let at = |address: Option<SocketAddr>| OsString::from(address.unwrap_or(any).to_string());
            let mut args: Vec<OsString> = vec!["serve".into(), service.clone().into()];
            args.extend([
                "--listen".into(),
                at(addresses.listen),
                "--admin".into(),
                at(addresses.admin),
            ]);
            args.extend(fixed.iter().cloned());
            Invocation {
                program: program.clone(),
                args,
                env: env.clone(),
                ready: Ready::Line,
            }
        })
    }

    /// The user's own program, with the placeholders filled in.
    fn program(
        &self,
        planned: &PlannedService,
        command: &[Template],
        env: &BTreeMap<String, Template>,
        ready: &ReadyWhen,
        paths: BTreeMap<&'static str, String>,
        needs: &SpawnNeeds,
    ) -> Box<dyn Fn(&Addresses) -> Invocation + Send + Sync> {
        let known = self.placeholders(&planned.name);
        let (name, command, env, ready) =
            (planned.name.clone(), command.to_vec(), env.clone(), ready.clone());
        let (needs, inherited) = (needs.clone(), std::env::var_os("LD_PRELOAD"));
        let first = match &planned.start {
            Start::Run { ports, .. } => ports.first().cloned(),
            _ => None,
        };
        let host = self.host(&planned.name);
        Box::new(move |addresses| {
            let own = own_placeholders(&name, host, first.as_deref(), addresses);
            let render = |template: &Template| {
                let others = |key: &str| own.get(key).or_else(|| known.get(key));
                let value = |key: &str| paths.get(key).or_else(|| others(key)).cloned();
                // Planning has checked every name, and that each has a value.
                template
                    .render(|key| Some(value(key).unwrap_or_default()))
                    .unwrap_or_default()
            };
            let mut words = command.iter().map(|word| OsString::from(render(word)));
            let port = first
                .as_ref()
                .and_then(|first| addresses.ports.get(first))
                .copied()
                .unwrap_or_default();
            let address = SocketAddr::new(host, port);
            let mut all: Vec<(OsString, OsString)> = env
                .iter()
                .map(|(key, value)| (key.into(), render(value).into()))
                .collect();
            let own_preload = all
                .iter()
                .find(|(key, _)| key == "LD_PRELOAD")
                .map(|(_, list)| list);
            let preloads = needs.environment(own_preload.or(inherited.as_ref()).map(OsString::as_os_str));
            all.extend(preloads);
            Invocation {
                program: words.next().unwrap_or_default(),
                args: words.collect(),
                env: all,
                ready: ready_at(&ready, address),
            }
        })
    }

    /// What other services' placeholders stand for to `caller`: `{x}`, `{x.host}`, `{x.port}`, `{x.port.NAME}`.
    fn placeholders(&self, caller: &str) -> BTreeMap<String, String> {
        let mut known = BTreeMap::new();
        for member in &self.members {
            if let Some(address) = self.address_for(caller, &member.name) {
                known.insert(member.name.clone(), address.to_string());
                known.insert(format!("{}.host", member.name), address.ip().to_string());
                known.insert(format!("{}.port", member.name), address.port().to_string());
            }
            for (name, port) in &member.ports {
                known.insert(format!("{}.port.{name}", member.name), port.to_string());
            }
        }
        known
    }

    /// Stops all services, the last started first. Says how each went.
    pub fn stop(&mut self) -> Vec<(String, Result<StopReport, StopError>)> {
        let mut went = Vec::new();
        for member in self.members.iter_mut().rev() {
            if let Some(process) = member.process.take() {
                went.push((member.name.clone(), process.stop(GRACE)));
            }
        }
        went
    }
}

/// `{port}`, `{port.NAME}`, and the service's own `{name...}`.
fn own_placeholders(
    name: &str,
    host: IpAddr,
    first: Option<&str>,
    addresses: &Addresses,
) -> BTreeMap<String, String> {
    let mut own = BTreeMap::new();
    for (port_name, port) in &addresses.ports {
        own.insert(format!("port.{port_name}"), port.to_string());
        own.insert(format!("{name}.port.{port_name}"), port.to_string());
        if first == Some(port_name.as_str()) {
            own.insert("port".to_owned(), port.to_string());
            own.insert(name.to_owned(), SocketAddr::new(host, *port).to_string());
            own.insert(format!("{name}.host"), host.to_string());
            own.insert(format!("{name}.port"), port.to_string());
        }
    }
    own
}

fn ready_at(ready: &ReadyWhen, address: SocketAddr) -> Ready {
    match ready {
        ReadyWhen::Running => Ready::Running,
        ReadyWhen::Tcp => Ready::Tcp(address),
        ReadyWhen::Http(path) => Ready::Http {
            address,
            path: path.clone(),
        },
        ReadyWhen::Log(regex) => Ready::Log(regex.clone()),
    }
}

/// What an address stands for; the one to connect to is the first. One of this machine stays on this machine.
fn resolve(service: &str, address: &Address) -> Result<Vec<SocketAddr>, FleetError> {
    let text = address.to_string();
    let failed = |why: String| FleetError::Resolve {
        service: service.to_owned(),
        address: text.clone(),
        why,
    };
    let found = text.to_socket_addrs().map_err(|e| failed(e.to_string()))?;
    // What a name stands for is this machine's business: `localhost` may be both families, or be made to lead elsewhere.
    let is_wanted = |one: &SocketAddr| !address.is_loopback() || one.ip().is_loopback();
    let mut found: Vec<SocketAddr> = found.filter(is_wanted).collect();
    if found.is_empty() {
        return Err(failed("it has no loopback address".to_owned()));
    }
    if found.len() > 1 {
        let chosen = found.iter().position(|one| accepts(*one).is_ok()).unwrap_or(0);
        found[..=chosen].rotate_right(1);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn written(address: &str) -> Address {
        Address::parse(address).unwrap()
    }

    #[test]
    fn a_name_of_both_families_leads_to_the_one_that_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(
            resolve("db", &written(&format!("localhost:{}", address.port()))).unwrap()[0],
            address
        );
        drop(listener);
        assert!(
            resolve("db", &written(&address.to_string())).is_ok(),
            "it may come up yet"
        );
    }

    #[test]
    fn an_address_elsewhere_that_was_allowed_is_taken_as_it_is() {
        let elsewhere = resolve("db", &written("192.0.2.1:80")).unwrap();
        assert_eq!(elsewhere, ["192.0.2.1:80".parse().unwrap()]);
    }

    #[test]
    fn several_ports_can_be_named_by_oneself_and_by_others() {
        let addresses = Addresses {
            ports: BTreeMap::from([("http".to_owned(), 81), ("raft".to_owned(), 82)]),
            ..Addresses::default()
        };
        let own = own_placeholders("node", LOOPBACK, Some("http"), &addresses);
        let fleet = Fleet {
            proxied: BTreeMap::new(),
            redirected: BTreeMap::new(),
            members: vec![Member {
                name: "node".to_owned(),
                process: None,
                address: Some(SocketAddr::from(([127, 0, 0, 1], 81))),
                also: Vec::new(),
                ports: addresses.ports.clone(),
                admin: None,
            }],
            ports: PortReserver::new(),
            isolation: Isolation::default(),
        };
        let others = fleet.placeholders("other");
        for (key, value) in [
            ("node", "127.0.0.1:81"),
            ("node.host", "127.0.0.1"),
            ("node.port", "81"),
            ("node.port.http", "81"),
            ("node.port.raft", "82"),
        ] {
            assert_eq!(own.get(key).map(String::as_str), Some(value), "{key} by itself");
            assert_eq!(
                others.get(key).map(String::as_str),
                Some(value),
                "{key} by others"
            );
        }
        assert_eq!(own.get("port.raft").map(String::as_str), Some("82"));
    }
}
