//! The reader as others know it: its settings, its promises, and how it runs.

use std::io;
use std::sync::Arc;

use squall_service_kit::{
    InvariantInfo, Launch, Milestone, Promise, ResponseValues, Role, ServiceError, ServiceInfo, Setting,
    SettingKind, Telemetry, WORKERS, log,
};
use tokio::runtime::Builder;

use super::http::{self, Reader};
use super::report::{Report, Told};
use squall_config_client::key::{ConfigKey, KeyError};
use squall_config_client::{Client, Plant, Settings, Watch};

/// The config-reader.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "config-reader",
    about: "Serves the configuration that the client of config-center reads, whatever its server does",
    settings: &SETTINGS,
    roles: &[Role {
        name: "config-center",
        about: "where the configuration is read; any Nacos 1.x server",
        required: true,
    }],
    other_roles: None,
    invariants: &INVARIANTS,
    milestones: &MILESTONES,
    run,
};

static SETTINGS: [Setting; 8] = [
    Setting {
        name: "data-id",
        about: "the configuration's name",
        kind: SettingKind::Text,
        default: "config.json",
    },
    Setting {
        name: "group",
        about: "its group",
        kind: SettingKind::Text,
        default: "DEFAULT_GROUP",
    },
    Setting {
        name: "tenant",
        about: "its namespace; empty for the public one",
        kind: SettingKind::Text,
        default: "",
    },
    Setting {
        name: "watchers",
        about: "clients that watch it, each with a connection, a cache and snapshots of its own",
        kind: SettingKind::Integer { min: 1, max: 1_000 },
        default: "1",
    },
    Setting {
        name: "heartbeat",
        about: "how often each asks whether the server is there",
        kind: SettingKind::Interval,
        default: "5s",
    },
    Setting {
        name: "request-timeout",
        about: "how long the server may take to answer anything but a long poll",
        kind: SettingKind::Interval,
        default: "3s",
    },
    WORKERS,
    Setting::plant(Plant::WORDS),
];

static INVARIANTS: [InvariantInfo; 3] = [
    InvariantInfo {
        name: "monotonic",
        about: "versions never go back for whoever reads, whatever the server comes back with",
        promise: Promise::Values {
            kind: "nondecreasing",
            sources: &[ResponseValues {
                path: "/version",
                pointer: "/version",
                each: false,
            }],
        },
    },
    InvariantInfo {
        name: "untorn",
        about: "a content is read with the checksum that belongs to it",
        promise: Promise::Values {
            kind: "agree",
            sources: &[ResponseValues {
                path: "/checksums",
                pointer: "/checksums",
                each: true,
            }],
        },
    },
    InvariantInfo {
        name: "converged",
        about: "every watcher has the version that the server has; to be asked when it has had time to",
        promise: Promise::Values {
            kind: "agree",
            sources: &[ResponseValues {
                path: "/watchers",
                pointer: "/versions",
                each: true,
            }],
        },
    },
];

static MILESTONES: [Milestone; 6] = [
    Milestone {
        name: "updated",
        about: "a newer version was shown",
        metric: "config_reader_updates_total",
    },
    Milestone {
        name: "went-away",
        about: "the server did not answer",
        metric: "config_reader_away_total",
    },
    Milestone {
        name: "dropped-stale",
        about: "the server said something older than what was held, and it was dropped",
        metric: "config_reader_stale_total",
    },
    Milestone {
        name: "fell-back",
        about: "a snapshot was shown, as the server was away, did not give it, or had older data",
        metric: "config_reader_from_snapshot_total",
    },
    Milestone {
        name: "beat",
        about: "a heartbeat was answered",
        metric: "config_reader_heartbeats_total",
    },
    Milestone {
        name: "connected",
        about: "the server answered, for the first time or again",
        metric: "config_reader_connects_total",
    },
];

/// Why a reader could not start.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// It is told of no server.
    #[error("no configuration server was given; pass --peer config-center=HOST:PORT")]
    NoServer,
    /// What it is to read has no valid name.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its clients could not be started.
    #[error("cannot start a client of the configuration server: {0}")]
    Client(#[source] io::Error),
}

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let reader = start(&launch, report).map_err(ServiceError::service)?;
    squall_service_kit::run(&launch, http::router(reader), telemetry)
}

fn start(launch: &Launch, report: Arc<Report>) -> Result<Reader, ReaderError> {
    let settings = &launch.settings;
    let server = launch.peers.get("config-center").ok_or(ReaderError::NoServer)?;
    let key = ConfigKey::new(
        settings.text("data-id"),
        settings.text("group"),
        settings.text("tenant"),
    )?;
    let plant = Plant::named(settings.choice("plant"));
    if plant != Plant::None {
        log::warn(format_args!("planted bug {plant:?}"));
    }
    let mut clients = Vec::new();
    for number in 0..settings.integer("watchers") as usize {
        let mut of_client = Settings::new(server, launch.data.join(format!("client-{number}")));
        of_client.heartbeat = settings.duration("heartbeat");
        of_client.request_timeout = settings.duration("request-timeout");
        of_client.plant = plant;
        let told = Arc::new(Told::new(Arc::clone(&report), number));
        let client = Client::start_observed(of_client, told).map_err(ReaderError::Client)?;
        let watch = watch(&client, &key).map_err(ReaderError::Client)?;
        clients.push((client, watch));
    }
    Ok(Reader {
        key,
        clients,
        plant,
        report,
    })
}

fn watch(client: &Client, key: &ConfigKey) -> io::Result<Watch> {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(client.watch(key)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use squall_service_kit::{Settings, Telemetry};

    use super::{Report, SERVICE};

    #[test]
    fn a_heart_that_would_beat_without_end_is_refused() {
        for setting in ["heartbeat=0s", "request-timeout=0s"] {
            assert!(Settings::parse(SERVICE.settings, [setting]).is_err(), "{setting}");
        }
    }

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }
}
