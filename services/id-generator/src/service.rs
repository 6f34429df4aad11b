//! The service as others know it: its settings, its promises, and how it runs.

use std::sync::Arc;

use squall_service_kit::{
    InvariantInfo, Launch, Milestone, Promise, ResponseValues, ServiceError, ServiceInfo, Setting,
    SettingKind, Telemetry, WORKERS, log,
};

use crate::clock::SystemClock;
use crate::generator::{Config, Generator};
use crate::high_water::HighWaterMark;
use crate::http;
use crate::layout::NODE_MAX;
use crate::plant::Plant;
use crate::report::Report;
use crate::watch::Policy;

/// The id-generator.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "id-generator",
    about: "Snowflake ids that survive clock rollback",
    settings: &SETTINGS,
    roles: &[],
    other_roles: None,
    invariants: &INVARIANTS,
    milestones: &MILESTONES,
    run,
};

static SETTINGS: [Setting; 4] = [
    Setting {
        name: "node",
        about: "the node's number within its ids; no two live generators may share one",
        kind: SettingKind::Integer {
            min: 0,
            max: NODE_MAX as i64,
        },
        default: "0",
    },
    Setting {
        name: "policy",
        about: "when the clock steps back 50 ms or more: go on with the backup sequencer, or reject requests",
        kind: SettingKind::Choice(Policy::WORDS),
        default: "backup",
    },
    WORKERS,
    Setting::plant(Plant::WORDS),
];

/// Where the ids are found in responses.
static IDS: [ResponseValues; 2] = [
    ResponseValues {
        path: "/id",
        pointer: "/id",
        each: false,
    },
    ResponseValues {
        path: "/ids",
        pointer: "/ids",
        each: true,
    },
];

static INVARIANTS: [InvariantInfo; 2] = [
    InvariantInfo {
        name: "unique",
        about: "no id is issued twice, across threads, restarts and any movement of the clock",
        promise: Promise::Values {
            kind: "unique",
            sources: &IDS,
        },
    },
    InvariantInfo {
        name: "monotonic",
        about: "an id asked for after another was received is larger, and the ids of one response increase",
        promise: Promise::Values {
            kind: "monotonic",
            sources: &IDS,
        },
    },
];

static MILESTONES: [Milestone; 4] = [
    Milestone {
        name: "spun",
        about: "a step back of less than 10 ms was spun out",
        metric: "id_generator_rollback_spin_total",
    },
    Milestone {
        name: "slept",
        about: "a step back of 10 ms to less than 50 ms was slept out",
        metric: "id_generator_rollback_sleep_total",
    },
    Milestone {
        name: "backed-up",
        about: "the backup sequencer took over",
        metric: "id_generator_rollback_backup_total",
    },
    Milestone {
        name: "rejected",
        about: "a request was refused because of the clock",
        metric: "id_generator_rollback_rejected_total",
    },
];

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let settings = &launch.settings;
    let config = Config {
        node: u16::try_from(settings.integer("node")).expect("the setting's bounds are within a u16"),
        policy: Policy::named(settings.choice("policy")),
        plant: Plant::named(settings.choice("plant")),
    };
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let mark = HighWaterMark::open(&launch.data, config.node, Arc::clone(&report) as _)
        .map_err(ServiceError::service)?;
    log::info(format_args!(
        "node {}, policy {:?}, mark {:?} ms",
        config.node,
        config.policy,
        mark.found_ms()
    ));
    if config.plant != Plant::None {
        log::warn(format_args!("planted bug {:?}: ids will repeat", config.plant));
    }
    let generator = Generator::new(config, SystemClock::new(), mark, Arc::clone(&report) as _);
    squall_service_kit::run(&launch, http::router(generator, report), telemetry)
}

#[cfg(test)]
mod tests {
    use squall_service_kit::{Settings, Telemetry};

    use super::SERVICE;
    use crate::report::Report;

    #[test]
    fn every_default_is_a_valid_value() {
        let settings = Settings::parse(SERVICE.settings, [""; 0]).unwrap();
        assert_eq!(
            (settings.integer("node"), settings.choice("policy")),
            (0, "backup")
        );
        assert_eq!(settings.choice("plant"), "none");
    }

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }
}
