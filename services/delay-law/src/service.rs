//! The service as others know it: its settings, and how it runs.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;
use squall_service_kit::{
    Launch, Milestone, ServiceError, ServiceInfo, Setting, SettingKind, Settings, Telemetry, log, run_beside,
};

use crate::behaviour::Behaviour;
use crate::book::Book;
use crate::draws::Draws;
use crate::law::{LONGEST, Law};
use crate::report::Report;
use crate::server::{Config, Replies, Server, Shadow};
use crate::timetable::{Down, Outage, Periodic, Timetable};

/// The delay-law server.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "delay-law",
    about: "A server with known delay laws, stalls and pauses",
    settings: &SETTINGS,
    roles: &[],
    other_roles: None,
    invariants: &[],
    milestones: &MILESTONES,
    run,
};

/// The most of all time that stalls and pauses may cover together.
const HALTED_MAX: f64 = 0.9;

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

static SETTINGS: [Setting; 27] = {
    use SettingKind::{Choice, Duration, Integer, Number, Ratio};
    [
        setting("law", "how delays are spread", Choice(Law::WORDS), "constant"),
        setting(
            "delay",
            "constant: the delay; two-modes: the usual one",
            Duration,
            "5ms",
        ),
        setting("median", "lognormal: the median delay", Duration, "5ms"),
        setting(
            "sigma",
            "lognormal: the standard deviation of the delay's logarithm",
            Number { min: 0.0, max: 5.0 },
            "0.5",
        ),
        setting("second", "two-modes: the other delay", Duration, "50ms"),
        setting(
            "share",
            "two-modes: the share of requests with the other delay",
            Ratio,
            "5%",
        ),
        setting(
            "draws",
            "whether delays follow the law as closely as can be, or as chance has it",
            Choice(Draws::WORDS),
            "stratified",
        ),
        setting(
            "seed",
            "what the draws derive from",
            Integer {
                min: 0,
                max: i64::MAX,
            },
            "0",
        ),
        setting(
            "stall",
            "how long to stand still at a time; 0s is never",
            Duration,
            "0s",
        ),
        setting(
            "stall-every",
            "from the beginning of one stall to that of the next",
            Duration,
            "5s",
        ),
        setting(
            "pause",
            "how long a planted pause is, told on /pauses; 0s is none",
            Duration,
            "0s",
        ),
        setting(
            "pause-every",
            "from the beginning of one pause to that of the next",
            Duration,
            "1s",
        ),
        setting("outage", "how long the outage is; 0s is none", Duration, "0s"),
        setting(
            "outage-after",
            "when the outage begins, after the first request",
            Duration,
            "10s",
        ),
        setting(
            "outage-mode",
            "refuse requests, or stand still",
            Choice(Down::WORDS),
            "refuse",
        ),
        setting(
            "recovery",
            "by how much delays are longer right after the outage",
            Duration,
            "0s",
        ),
        setting(
            "recovery-constant",
            "the time in which that falls to 1/e",
            Duration,
            "1s",
        ),
        setting(
            "slots",
            "requests worked on at once, others queue; 0 is any number",
            Integer { min: 0, max: 100_000 },
            "0",
        ),
        setting("work", "CPU time to burn for each request", Duration, "0s"),
        setting(
            "error-share",
            "the share of requests answered with error-status",
            Ratio,
            "0",
        ),
        setting(
            "error-status",
            "the status of errors and refusals",
            Integer { min: 400, max: 599 },
            "503",
        ),
        setting(
            "status",
            "the status of other replies",
            Integer { min: 200, max: 599 },
            "200",
        ),
        setting(
            "body-bytes",
            "the size of a reply's body",
            Integer {
                min: 0,
                max: 16_777_216,
            },
            "2",
        ),
        setting(
            "spin",
            "how long before a reply is due to stop sleeping and poll",
            Duration,
            "0s",
        ),
        setting(
            "shadow-rate",
            "requests a second that the server asks of itself from the first request on; 0 is none",
            Integer { min: 0, max: 100_000 },
            "0",
        ),
        setting("shadow-for", "for how long it does", Duration, "5s"),
        setting(
            "datagrams",
            "whether datagrams (UDP) that come to its port are sent back, each after its delay",
            Choice(&["no", "yes"]),
            "no",
        ),
    ]
};

static MILESTONES: [Milestone; 4] = [
    Milestone {
        name: "stalled",
        about: "a stall is over",
        metric: "delay_law_stalls_total",
    },
    Milestone {
        name: "paused",
        about: "a planted pause is over",
        metric: "delay_law_pauses_total",
    },
    Milestone {
        name: "refused",
        about: "a request was refused during an outage",
        metric: "delay_law_refused_total",
    },
    Milestone {
        name: "failed",
        about: "a request was answered with an error that was drawn",
        metric: "delay_law_errors_total",
    },
];

/// Settings that are valid each by itself and not together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A window that would begin again before it has ended.
    #[error("{name} of {length:?} is not shorter than {name}-every, {every:?}; lengthen {name}-every")]
    Endless {
        /// The setting.
        name: &'static str,
        /// Its value.
        length: Duration,
        /// The period.
        every: Duration,
    },
    /// Hardly any time is left in which the server moves.
    #[error(
        "stalls and pauses would cover {share:.0} % of all time, more than 90 %; make them shorter or rarer"
    )]
    Halted {
        /// Their share in percent.
        share: f64,
    },
    /// The server's own requests would compete for the slots.
    #[error("shadow-rate needs slots=0: requests that the server asks of itself hold no slot")]
    ShadowSlots,
    /// A delay that is cut off.
    #[error("{name} of {delay:?} is longer than the longest delay, {LONGEST:?}")]
    TooLong {
        /// The setting.
        name: &'static str,
        /// Its value.
        delay: Duration,
    },
}

/// What the settings make of the server.
pub fn behaviour(settings: &Settings) -> Result<Behaviour, ConfigError> {
    for name in ["delay", "median", "second", "recovery", "work"] {
        let delay = settings.duration(name);
        if delay > LONGEST {
            return Err(ConfigError::TooLong { name, delay });
        }
    }
    let delay = settings.duration("delay");
    let law = match settings.choice("law") {
        "lognormal" => Law::Lognormal {
            median: settings.duration("median"),
            sigma: settings.number("sigma"),
        },
        "two-modes" => Law::TwoModes {
            first: delay,
            second: settings.duration("second"),
            share: settings.number("share"),
        },
        _ => Law::Constant { delay },
    };
    Ok(Behaviour {
        law,
        draws: Draws {
            seed: settings.integer("seed") as u64,
            stratified: settings.choice("draws") == "stratified",
        },
        timetable: timetable(settings)?,
        error_share: settings.number("error-share"),
        slots: settings.integer("slots") as usize,
    })
}

fn timetable(settings: &Settings) -> Result<Timetable, ConfigError> {
    let stall = periodic(settings, "stall", "stall-every")?;
    let pause = periodic(settings, "pause", "pause-every")?;
    let share: f64 = [stall, pause].into_iter().flatten().map(Periodic::share).sum();
    if share > HALTED_MAX {
        return Err(ConfigError::Halted { share: share * 100.0 });
    }
    let length = settings.duration("outage");
    let outage = (!length.is_zero()).then(|| Outage {
        after: settings.duration("outage-after"),
        length,
        down: if settings.choice("outage-mode") == "stall" {
            Down::StandsStill
        } else {
            Down::Refuses
        },
        recovery_start: settings.duration("recovery"),
        recovery_constant: settings.duration("recovery-constant"),
    });
    Ok(Timetable { stall, pause, outage })
}

fn periodic(
    settings: &Settings,
    name: &'static str,
    every: &'static str,
) -> Result<Option<Periodic>, ConfigError> {
    let (length, every) = (settings.duration(name), settings.duration(every));
    if length.is_zero() {
        Ok(None)
    } else if length >= every {
        Err(ConfigError::Endless { name, length, every })
    } else {
        Ok(Some(Periodic { length, every }))
    }
}

fn config(settings: &Settings) -> Result<Config, ConfigError> {
    let behaviour = behaviour(settings)?;
    let rate = settings.integer("shadow-rate") as u64;
    if rate > 0 && behaviour.slots > 0 {
        return Err(ConfigError::ShadowSlots);
    }
    Ok(Config {
        behaviour,
        work: settings.duration("work"),
        spin: settings.duration("spin"),
        replies: Replies::new(
            settings.integer("status") as u16,
            settings.integer("error-status") as u16,
            settings.integer("body-bytes") as usize,
        ),
        datagrams: settings.choice("datagrams") == "yes",
        shadow: (rate > 0).then(|| Shadow::new(rate, settings.duration("shadow-for"))),
    })
}

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let config = config(&launch.settings).map_err(ServiceError::service)?;
    let law = config.behaviour.law;
    let mut telemetry = Telemetry::new();
    let report = Report::new(&mut telemetry);
    let book = Arc::new(Book::new());
    log::info(format_args!("{law:?}, {:?}", config.behaviour.timetable));
    let mut server = Server::start(launch.listen, config, Arc::clone(&book), report)?;
    let answer = move || {
        let body = book.json(&law).to_string();
        async {
            (
                [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body,
            )
                .into_response()
        }
    };
    let extra = Router::new().route("/law", get(answer));
    let (listen, over) = (server.listen(), server.over());
    run_beside(&launch, listen, extra, telemetry, over)?;
    server.stop()
}

#[cfg(test)]
mod tests {
    use squall_service_kit::{Settings, Telemetry};

    use super::{Behaviour, ConfigError, Law, SERVICE, behaviour, config};
    use crate::report::Report;

    fn settings(given: &[&str]) -> Settings {
        Settings::parse(SERVICE.settings, given).unwrap()
    }

    fn with(given: &[&str]) -> Result<Behaviour, ConfigError> {
        behaviour(&settings(given))
    }

    #[test]
    fn the_defaults_are_a_constant_delay_and_nothing_else() {
        let found = with(&[]).unwrap();
        assert!(matches!(found.law, Law::Constant { delay } if delay.as_millis() == 5));
        let table = found.timetable;
        assert!(table.stall.is_none() && table.pause.is_none() && table.outage.is_none());
        assert!(config(&settings(&[])).unwrap().shadow.is_none());
    }

    #[test]
    fn each_law_reads_its_own_settings() {
        let lognormal = with(&["law=lognormal", "median=2ms", "sigma=0.3"]).unwrap().law;
        assert!(
            matches!(lognormal, Law::Lognormal { median, sigma } if median.as_millis() == 2 && sigma < 0.31)
        );
        let two = with(&["law=two-modes", "delay=1ms", "second=9ms", "share=1%"])
            .unwrap()
            .law;
        assert!(
            matches!(two, Law::TwoModes { second, share, .. } if second.as_millis() == 9 && share < 0.011)
        );
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let texts = [
            (
                vec!["stall=5s", "stall-every=5s"],
                "stall of 5s is not shorter than stall-every",
            ),
            (vec!["stall=4s", "pause=150ms"], "cover 95 % of all time"),
            (
                vec!["delay=2h"],
                "delay of 7200s is longer than the longest delay",
            ),
            (vec!["shadow-rate=10", "slots=1"], "shadow-rate needs slots=0"),
        ];
        for (given, text) in texts {
            let error = config(&settings(&given)).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| error.contains(text)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }
}
