//! The service: the feed's three layers in front of the calls that one refresh of a feed makes, under rules that change while it runs.
//!
//! | module | holds |
//! | --- | --- |
//! | [`http`] | the requests |
//! | [`refresh`], [`seen_out`] | what one refresh does; that its calls are judged also where its client has left |
//! | [`upstream`] | the calls to other services: connections that are kept, bounded and timed |
//! | [`cache`] | what was recalled last |
//! | [`rules`], [`accepted`] | where the rules come from, and how they come into force |
//! | [`report`] | metrics, events, changes of state |
//!
//! Unlike the rest of the crate this reads a clock, the kit's monotonic one, and has sockets.

pub mod accepted;
pub mod cache;
pub mod http;
pub mod refresh;
pub mod report;
pub mod rules;
pub mod seen_out;
pub mod time;
pub mod upstream;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use squall_config_client::{Client, ConfigKey, KeyError, Settings as ClientSettings};
use squall_service_kit::{
    InvariantInfo, Launch, Milestone, Promise, ResponseValues, Role, ServiceError, ServiceInfo, Setting,
    SettingKind, Settings, Telemetry, WORKERS, log,
};

use self::accepted::Accepted;
use self::cache::Cache;
use self::http::App;
use self::refresh::Refresh;
use self::report::{ClientTold, Report};
use self::rules::{Rules, Source};
use self::time::Time;
use self::upstream::{Limits, Upstream};
use crate::{FeedPolicy, Plant, RuleErrors, RuleSet, Switchboard, TooManyResources};

/// The circuit-breaker.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "circuit-breaker",
    about: "Flow control and circuit breaking in front of a feed's calls, under rules that change while it runs",
    settings: &SETTINGS,
    roles: &ROLES,
    other_roles: None,
    invariants: &INVARIANTS,
    milestones: &MILESTONES,
    run,
};

const fn setting(
    name: &'static str,
    about: &'static str,
    kind: SettingKind,
    default: &'static str,
) -> Setting {
    Setting {
        name,
        about,
        kind,
        default,
    }
}

static SETTINGS: [Setting; 12] = {
    use SettingKind::{Duration, File, Integer, Text};
    [
        setting(
            "data-id",
            "the rules' name in config-center",
            Text,
            "feed-flow-rules.json",
        ),
        setting("group", "their group", Text, "SENTINEL_GROUP"),
        setting("tenant", "their namespace; empty for the public one", Text, ""),
        setting(
            "rules",
            "a file with the rules for as long as config-center has none; without, the feed policy's figures",
            File,
            "",
        ),
        setting(
            "heartbeat",
            "how often config-center is asked whether it is there",
            Duration,
            "5s",
        ),
        setting(
            "request-timeout",
            "how long config-center may take to answer anything but a long poll",
            Duration,
            "3s",
        ),
        setting(
            "deadline",
            "how long a refresh may take in all",
            Duration,
            "1500ms",
        ),
        setting(
            "recall-timeout",
            "how much of that recall may take, so that time is left for the model",
            Duration,
            "300ms",
        ),
        setting(
            "connections",
            "the most connections to each service that is called; further calls wait for one",
            Integer { min: 1, max: 10_000 },
            "256",
        ),
        setting(
            "answer-max",
            "the most bytes of an answer of theirs; a longer one has failed",
            Integer {
                min: 1,
                max: 16 << 20,
            },
            "1048576",
        ),
        WORKERS,
        Setting::plant(Plant::WORDS),
    ]
};

const fn role(name: &'static str, about: &'static str, required: bool) -> Role {
    Role {
        name,
        about,
        required,
    }
}

static ROLES: [Role; 4] = [
    role(
        "recall",
        "recalls what there is to show; behind the breaker of L3",
        true,
    ),
    role("model", "ranks it; what L2 watches", true),
    role(
        "model-light",
        "ranks it more cheaply while the model is slow",
        true,
    ),
    role(
        "config-center",
        "where the rules come from; any Nacos 1.x server",
        false,
    ),
];

static INVARIANTS: [InvariantInfo; 3] = [
    InvariantInfo {
        name: "diagram",
        about: "breakers and the choice of model change their states only along the arrows of the diagram",
        promise: Promise::Transitions(&[
            "closed -> open",
            "open -> half-open",
            "half-open -> open",
            "half-open -> recovering",
            "half-open -> closed",
            "recovering -> open",
            "recovering -> closed",
            "open -> replaced",
            "half-open -> replaced",
            "recovering -> replaced",
            "replaced -> closed",
            "full -> light",
            "light -> full",
        ]),
    },
    InvariantInfo {
        name: "current",
        about: "the rules in force are those that the server has; to be asked when they have had time to arrive",
        promise: Promise::Values {
            kind: "agree",
            sources: &[ResponseValues {
                path: "/rules/versions",
                pointer: "/versions",
                each: true,
            }],
        },
    },
    InvariantInfo {
        name: "recloses",
        about: "every breaker closes again; to be asked when what is called has been well for long enough",
        promise: Promise::Values {
            kind: "agree",
            sources: &[ResponseValues {
                path: "/recovered",
                pointer: "/states",
                each: true,
            }],
        },
    },
];

const fn milestone(name: &'static str, about: &'static str, metric: &'static str) -> Milestone {
    Milestone { name, about, metric }
}

static MILESTONES: [Milestone; 15] = [
    milestone("opened", "a breaker opened", "circuit_breaker_opened_total"),
    milestone(
        "half-opened",
        "a breaker let a probe through",
        "circuit_breaker_half_opened_total",
    ),
    milestone(
        "recovering",
        "a first probe succeeded, and more were to follow",
        "circuit_breaker_recovering_total",
    ),
    milestone(
        "reclosed",
        "a breaker closed again",
        "circuit_breaker_reclosed_total",
    ),
    milestone("served", "a refresh was served", "circuit_breaker_served_total"),
    milestone(
        "failed",
        "a refresh was admitted and failed",
        "circuit_breaker_failed_total",
    ),
    milestone(
        "cached",
        "a refresh was served with what was recalled earlier",
        "circuit_breaker_recall_cached_total",
    ),
    milestone(
        "shed",
        "a request was answered with the fallback card",
        "circuit_breaker_shed_total",
    ),
    milestone(
        "switched-light",
        "the light model took over",
        "circuit_breaker_switched_light_total",
    ),
    milestone(
        "switched-back",
        "the full model took over again",
        "circuit_breaker_switched_back_total",
    ),
    milestone(
        "rules-applied",
        "rules of config-center came into force",
        "circuit_breaker_rules_applied_total",
    ),
    milestone(
        "rules-from-copy",
        "rules came into force from the client's copy, as config-center was away",
        "circuit_breaker_rules_from_copy_total",
    ),
    milestone(
        "rules-from-accepted",
        "the rules that were accepted last came into force again, as there were no others that could be used",
        "circuit_breaker_rules_from_accepted_total",
    ),
    milestone(
        "rules-refused",
        "rules of config-center were refused",
        "circuit_breaker_rules_refused_total",
    ),
    milestone(
        "server-away",
        "config-center did not answer, and the rules stayed",
        "circuit_breaker_server_away_total",
    ),
];

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not told whom to call.
    #[error("no address was given for {role}; pass --peer {role}=HOST:PORT")]
    NoPeer {
        /// Who is to be called.
        role: &'static str,
    },
    /// An address is none.
    #[error("the address of {role} cannot be used: {address}; give HOST:PORT")]
    Address {
        /// Who is to be called.
        role: &'static str,
        /// What was given.
        address: String,
    },
    /// Its folder cannot be made.
    #[error("cannot make the folder {}: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of rules cannot be read.
    #[error("cannot read the rules in {}: {source}", .file.display())]
    ReadRules {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The rules in the file are none.
    #[error("cannot use the rules in {}: {source}", .file.display())]
    Rules {
        /// The file.
        file: PathBuf,
        /// What is wrong with them.
        source: RuleErrors,
    },
    /// What is read of config-center has no valid name.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client of config-center could not be started.
    #[error("cannot start the client of config-center: {0}")]
    Client(#[source] io::Error),
    /// The feed's own resources do not fit.
    #[error(transparent)]
    Resources(#[from] TooManyResources),
}

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let app = start(&launch, &report).map_err(ServiceError::service)?;
    squall_service_kit::run(&launch, http::router(app), telemetry)
}

/// Puts it together as a launch says.
pub fn start(launch: &Launch, report: &Arc<Report>) -> Result<App, StartError> {
    let settings = &launch.settings;
    let plant = Plant::named(settings.choice("plant"));
    if plant != Plant::None {
        log::warn(format_args!("planted bug {plant:?}"));
    }
    let board = Arc::new(Switchboard::planted(Arc::clone(report) as _, plant));
    let policy = FeedPolicy::new(Arc::clone(&board))?;
    let accepted = Accepted::new(&launch.data).map_err(|source| StartError::Folder {
        folder: launch.data.clone(),
        source,
    })?;
    let rules = Rules::new(board, Arc::clone(report), accepted, own_rules(settings)?, plant);
    let mut following = None;
    if let Some(server) = launch.peers.get("config-center") {
        let key = ConfigKey::new(
            settings.text("data-id"),
            settings.text("group"),
            settings.text("tenant"),
        )?;
        let mut of_client = ClientSettings::new(server, launch.data.join("rules"));
        of_client.heartbeat = settings.duration("heartbeat");
        of_client.request_timeout = settings.duration("request-timeout");
        let told = Arc::new(ClientTold::new(Arc::clone(report)));
        let client = Client::start_observed(of_client, told).map_err(StartError::Client)?;
        following = Some(rules.follow(&client, &key).map_err(StartError::Client)?);
    }
    let limits = Limits {
        connections: settings.integer("connections") as usize,
        answer_max: settings.integer("answer-max") as usize,
    };
    let upstream = |role| {
        let address = launch.peers.get(role).ok_or(StartError::NoPeer { role })?;
        Upstream::new(address, limits).ok_or_else(|| StartError::Address {
            role,
            address: address.clone(),
        })
    };
    let refresh = Arc::new(Refresh {
        policy,
        recall: upstream("recall")?,
        model: upstream("model")?,
        model_light: upstream("model-light")?,
        cache: Cache::default(),
        deadline: settings.duration("deadline"),
        recall_timeout: settings.duration("recall-timeout"),
        time: Time::new(plant),
        report: Arc::clone(report),
        number: 0.into(),
    });
    Ok(App {
        refresh,
        rules,
        following,
    })
}

/// The rules for as long as config-center has none, and where they are from.
fn own_rules(settings: &Settings) -> Result<(RuleSet, Source), StartError> {
    let Some(file) = settings.file("rules") else {
        return Ok((FeedPolicy::rules(), Source::Default));
    };
    let text = std::fs::read_to_string(file).map_err(|source| StartError::ReadRules {
        file: file.to_owned(),
        source,
    })?;
    let rules = RuleSet::from_json(&text).map_err(|source| StartError::Rules {
        file: file.to_owned(),
        source,
    })?;
    Ok((rules, Source::File))
}

#[cfg(test)]
mod tests {
    use squall_service_kit::{Settings, Telemetry};

    use super::{INVARIANTS, Promise, Report, SERVICE};
    use crate::State;

    #[test]
    fn every_default_is_a_valid_value() {
        let settings = Settings::parse(SERVICE.settings, [""; 0]).unwrap();
        assert_eq!(settings.text("group"), "SENTINEL_GROUP");
        assert_eq!(settings.file("rules"), None);
    }

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }

    /// The arrows between a breaker's own states are written a second time for the checker.
    #[test]
    fn the_diagram_that_is_checked_is_the_breakers() {
        let Promise::Transitions(allowed) = INVARIANTS[0].promise else {
            unreachable!("the breakers promise transitions")
        };
        let states = [State::Closed, State::Open, State::HalfOpen, State::Recovering];
        for (from, to) in states.iter().flat_map(|from| states.map(|to| (*from, to))) {
            let arrow = format!("{from} -> {to}");
            let is_allowed = allowed.contains(&arrow.as_str());
            assert_eq!(is_allowed, from.may_become(to), "{arrow}");
        }
    }
}
