//! The gateway as others know it: its settings, its promises, and how it runs.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use squall_config_client::{Client, Settings as ClientSettings};
use squall_service_kit::host::connections_max;
use squall_service_kit::{
    InvariantInfo, Launch, Milestone, Promise, Role, ServiceError, ServiceInfo, Setting, SettingKind,
    Telemetry, WORKERS, log,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::bucket::{BucketError, BucketStore, REDIS_DEADLINE};
use crate::config::ConfigError;
use crate::plant::Plant;
use crate::proxy::forward::Gateway;
use crate::proxy::server::{Server, ServerSettings};
use crate::push::Push;
use crate::report::Report;
use crate::route::{RouteTable, Router, RouterOptions, TableErrors};
use crate::upstream::Clusters;
use crate::upstream::standing::ARROWS;
use crate::{admin, report};

/// How long requests in flight may take once the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// The role by which configuration is pushed.
const CONFIG_CENTER: &str = "config-center";
/// Where requests go before there is any document: nowhere.
const NOWHERE: &str = "none";

/// The gateway.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "gateway",
    about: "Reverse proxy for HTTP/1.1 and HTTP/2: routes by table, weight, bucket and plug-in, swapped while requests run",
    settings: &SETTINGS,
    roles: &[Role {
        name: CONFIG_CENTER,
        about: "where gateway.json and gateway-plugin.wat of the group GATEWAY are read; any Nacos 1.x server",
        required: false,
    }],
    other_roles: Some("an upstream, under the name that the document has for it"),
    invariants: &INVARIANTS,
    milestones: &MILESTONES,
    run,
};

static SETTINGS: [Setting; 13] = [
    Setting {
        name: "routes",
        about: "the document that is in force at the start; without one config-center must have it",
        kind: SettingKind::File,
        default: "",
    },
    Setting {
        name: "plugin",
        about: "the plug-in that is in force at the start, as text or binary",
        kind: SettingKind::File,
        default: "",
    },
    Setting {
        name: "version",
        about: "what a plug-in is told as the gateway's version",
        kind: SettingKind::Text,
        default: "",
    },
    Setting {
        name: "region",
        about: "what a plug-in is told as the gateway's region",
        kind: SettingKind::Text,
        default: "",
    },
    Setting {
        name: "seed",
        about: "what weighted choices derive from",
        kind: SettingKind::Integer {
            min: 0,
            max: i64::MAX,
        },
        default: "0",
    },
    Setting {
        name: "buckets",
        about: "where it is kept which variant of an experiment a user has",
        kind: SettingKind::Choice(&["embedded", "memory", "redis"]),
        default: "embedded",
    },
    Setting {
        name: "redis",
        about: "the host:port of the Redis with buckets",
        kind: SettingKind::Text,
        default: "127.0.0.1:6379",
    },
    Setting {
        name: "connections-max",
        about: "connections of clients at once; further ones wait to be accepted",
        kind: SettingKind::Integer {
            min: 1,
            max: 1_000_000,
        },
        default: "10000",
    },
    Setting {
        name: "head-max",
        about: "bytes of a head: its target, and each field's name and value and 4",
        kind: SettingKind::Integer {
            min: 256,
            max: 1 << 20,
        },
        default: "16384",
    },
    Setting {
        name: "body-max",
        about: "bytes of a request's body",
        kind: SettingKind::Integer { min: 0, max: 1 << 40 },
        default: "67108864",
    },
    Setting {
        name: "head-within",
        about: "how long a connection may take to send a head, or stay unused",
        kind: SettingKind::Interval,
        default: "60s",
    },
    WORKERS,
    Setting::plant(Plant::WORDS),
];

static INVARIANTS: [InvariantInfo; 1] = [InvariantInfo {
    name: "endpoints",
    about: "an endpoint goes only from one state to another that its health and the document allow",
    promise: Promise::Transitions(ARROWS),
}];

static MILESTONES: [Milestone; 11] = [
    Milestone {
        name: "reused",
        about: "a request was sent on a connection that was there",
        metric: "gateway_reused_total",
    },
    Milestone {
        name: "config-applied",
        about: "a document was put into force",
        metric: "gateway_config_applied_total",
    },
    Milestone {
        name: "retried",
        about: "a request was sent again",
        metric: "gateway_retried_total",
    },
    Milestone {
        name: "budget-exhausted",
        about: "the retry budget did not allow a retry",
        metric: "gateway_budget_exhausted_total",
    },
    Milestone {
        name: "ejected",
        about: "an endpoint was taken out",
        metric: "gateway_ejected_total",
    },
    Milestone {
        name: "restored",
        about: "an endpoint was let in again",
        metric: "gateway_restored_total",
    },
    Milestone {
        name: "deadline-exceeded",
        about: "a request ran out of time",
        metric: "gateway_deadline_exceeded_total",
    },
    Milestone {
        name: "overloaded",
        about: "a request was refused because too many were there",
        metric: "gateway_overloaded_total",
    },
    Milestone {
        name: "plugin-swapped",
        about: "a plug-in was put into force",
        metric: "gateway_plugin_swapped_total",
    },
    Milestone {
        name: "plugin-failed",
        about: "a plug-in gave no route, or was refused",
        metric: "gateway_plugin_failed_total",
    },
    Milestone {
        name: "config-refused",
        about: "a document was wrong, and the one before stayed in force",
        metric: "gateway_config_refused_total",
    },
];

/// Why a gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It is told of nothing to do.
    #[error(
        "there is neither a document nor a place to get one; pass --set routes=FILE or --peer config-center=HOST:PORT"
    )]
    NoDocument,
    /// A file can't be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The document is wrong.
    #[error("{path} is no document for a gateway: {source}")]
    Document {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        source: ConfigError,
    },
    /// The plug-in is refused.
    #[error("{path} is no plug-in: {reason}")]
    Plugin {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The table that leads nowhere is wrong: a defect.
    #[error("cannot begin without routes: {0}")]
    Table(#[from] TableErrors),
    /// Buckets can't be kept.
    #[error(transparent)]
    Buckets(#[from] BucketError),
    /// The system refuses what it needs.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A gateway that serves, and what keeps it up to date.
#[derive(Debug)]
pub struct Running {
    server: Server,
    push: Push,
    /// Dropped, it ends the control thread.
    _control: oneshot::Sender<()>,
}

impl Running {
    /// Where it serves.
    pub fn listen(&self) -> SocketAddr {
        self.server.listen()
    }

    /// What puts documents and plug-ins in force.
    pub fn push(&self) -> &Push {
        &self.push
    }

    /// Stops accepting, lets requests in flight finish for at most `grace`, and returns whether they all did.
    pub fn stop(self, grace: Duration) -> bool {
        self.server.stop(grace)
    }
}

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let listener = TcpListener::bind(launch.listen).map_err(|source| ServiceError::Listen {
        purpose: "requests",
        address: launch.listen,
        source,
    })?;
    let running = start(&launch, listener, report).map_err(ServiceError::service)?;
    let listen = running.listen();
    let pages = admin::router(Arc::clone(running.push.gateway()));
    squall_service_kit::run_beside(&launch, listen, pages, telemetry, std::future::pending())?;
    log::info(format_args!("requests in flight have {} s", GRACE.as_secs()));
    if !running.stop(GRACE) {
        log::warn("stopped with requests unfinished");
    }
    Ok(())
}

/// Starts a gateway on `listener`, as `launch` says.
pub fn start(launch: &Launch, listener: TcpListener, report: Arc<Report>) -> Result<Running, GatewayError> {
    let settings = &launch.settings;
    let plant = Plant::named(settings.choice("plant"));
    if plant != Plant::None {
        log::warn(format_args!("planted bug {plant:?}"));
    }
    let routes = settings.file("routes");
    let center = launch.peers.get(CONFIG_CENTER);
    if routes.is_none() && center.is_none() {
        return Err(GatewayError::NoDocument);
    }
    let (runtime, control) = control().map_err(|source| GatewayError::Start {
        what: "the control thread",
        source,
    })?;
    let gateway = Arc::new(Gateway {
        clusters: ArcSwap::from_pointee(Clusters::default()),
        router: router(launch, &runtime, &report)?,
        report,
        head_max: settings.integer("head-max") as usize,
        body_max: settings.integer("body-max") as u64,
        plant,
        swapping: AtomicBool::new(false),
    });
    let push = Push::new(
        Arc::clone(&gateway),
        launch.peers.clone(),
        settings.workers(),
        runtime,
    );
    if let Some(path) = routes {
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let applied = push.runtime().block_on(push.document(&text));
        applied.map_err(|source| GatewayError::Document {
            path: path.to_owned(),
            source,
        })?;
    }
    if let Some(path) = settings.file("plugin") {
        let applied = push.runtime().block_on(push.plugin(read(path)?));
        if let Err(error) = applied
            && !(error.awaits_cluster() && center.is_some())
        {
            return Err(GatewayError::Plugin {
                path: path.to_owned(),
                reason: error.to_string(),
            });
        }
    }
    if let Some(center) = center {
        follow(&push, center, &launch.data.join("config")).map_err(|source| GatewayError::Start {
            what: "the client of the configuration server",
            source,
        })?;
    }
    let server_settings = ServerSettings {
        workers: settings.workers(),
        connections_max: (settings.integer("connections-max") as usize).min(connections_max()),
        head_within: settings.duration("head-within"),
    };
    let server = Server::start(listener, &gateway, server_settings);
    Ok(Running {
        server: server.map_err(|source| GatewayError::Start {
            what: "the workers",
            source,
        })?,
        push,
        _control: control,
    })
}

fn router(launch: &Launch, runtime: &Handle, report: &Arc<Report>) -> Result<Router, GatewayError> {
    let _inside = runtime.enter();
    let settings = &launch.settings;
    let buckets = match settings.choice("buckets") {
        "memory" => BucketStore::Memory,
        "redis" => BucketStore::Redis {
            address: settings.text("redis").to_owned(),
            deadline: REDIS_DEADLINE,
        },
        _ => BucketStore::Embedded(launch.data.join("buckets")),
    };
    let nowhere = RouteTable::to(NOWHERE, &BTreeSet::from([Arc::from(NOWHERE)]))?;
    let metadata = ["version", "region"].map(|key| (key.to_owned(), settings.text(key).to_owned()));
    Ok(Router::new(
        nowhere,
        RouterOptions {
            seed: settings.integer("seed") as u64,
            metadata: metadata
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            buckets,
            observe: Arc::new(report::OfRoutes(Arc::clone(report))),
            ..RouterOptions::default()
        },
    )?)
}

/// The thread on which health checks run and configuration is followed, until what is returned with it is dropped.
fn control() -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
    Ok((handle, end))
}

fn follow(push: &Push, center: &str, snapshots: &Path) -> io::Result<()> {
    let client = Client::start(ClientSettings::new(center, snapshots))?;
    let push = push.clone();
    let runtime = push.runtime().clone();
    drop(runtime.spawn(async move {
        if let Err(error) = push.follow(&client).await {
            log::error(format_args!("configuration is followed no more: {error}"));
        }
    }));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, GatewayError> {
    std::fs::read(path).map_err(|source| GatewayError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use squall_service_kit::Telemetry;

    use super::SERVICE;
    use crate::report::Report;

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }
}
