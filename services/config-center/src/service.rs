//! The server as others know it: its settings, its promises, and how it runs.

use std::sync::Arc;

use squall_service_kit::{
    Launch, Milestone, ServiceError, ServiceInfo, Setting, SettingKind, Settings, Telemetry, WORKERS, log,
};

use crate::center::{Center, Limits};
use crate::http;
use crate::plant::Plant;
use crate::report::Report;
use crate::seed::Seeds;

/// The config-center.
pub static SERVICE: ServiceInfo = ServiceInfo {
    name: "config-center",
    about: "Configuration over Nacos 1.x's open API, with long polls, history and a durable store",
    settings: &SETTINGS,
    roles: &[],
    other_roles: None,
    invariants: &[],
    milestones: &MILESTONES,
    run,
};

static SETTINGS: [Setting; 11] = [
    Setting {
        name: "publish",
        about: "files of configurations to publish at the start, where the store has never heard of them",
        kind: SettingKind::Files,
        default: "",
    },
    Setting {
        name: "restore",
        about: "what the store is set back to at every start: a used one by any file, an empty one by one that a server saved",
        kind: SettingKind::File,
        default: "",
    },
    number(
        "content-max",
        "bytes of the largest content",
        http::CONTENT_BYTES_MAX as i64,
        "10485760",
    ),
    number("configs-max", "configurations", 1_000_000, "10000"),
    number(
        "contents-max",
        "bytes of all contents, kept in memory",
        64 << 30,
        "268435456",
    ),
    number(
        "changes-per-config",
        "changes kept of one configuration",
        100_000,
        "100",
    ),
    number("changes-max", "changes kept of all", 1_000_000, "10000"),
    number(
        "changes-bytes",
        "bytes of the contents kept with changes",
        64 << 30,
        "268435456",
    ),
    number("watchers-max", "long polls that hang at once", 100_000, "20000"),
    WORKERS,
    Setting::plant(Plant::WORDS),
];

const fn number(name: &'static str, about: &'static str, max: i64, default: &'static str) -> Setting {
    Setting {
        name,
        about,
        kind: SettingKind::Integer { min: 1, max },
        default,
    }
}

static MILESTONES: [Milestone; 3] = [
    Milestone {
        name: "changed",
        about: "a change was acknowledged",
        metric: "config_center_changes_total",
    },
    Milestone {
        name: "pushed",
        about: "a long poll was answered because of a change",
        metric: "config_center_woken_total",
    },
    Milestone {
        name: "store-failed",
        about: "the disk did not take a group of changes",
        metric: "config_center_store_failures_total",
    },
];

/// Runs the service until it is told to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a service owns its launch: the catalogue's signature"
)]
fn run(launch: Launch) -> Result<(), ServiceError> {
    let settings = &launch.settings;
    let plant = Plant::named(settings.choice("plant"));
    let seeds = Seeds {
        publish: settings.files("publish").to_vec(),
        restore: settings.file("restore").map(Into::into),
    };
    if plant != Plant::None {
        log::warn(format_args!("planted bug {plant:?}"));
    }
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let center = Center::start(&launch.data, limits(settings), &seeds, plant, Arc::clone(&report))
        .map_err(ServiceError::service)?;
    squall_service_kit::run_with(
        &launch,
        |stopping| http::router(center, report, stopping),
        telemetry,
    )
}

fn limits(settings: &Settings) -> Limits {
    let number = |name| settings.integer(name) as u64;
    Limits {
        content_bytes_max: number("content-max") as usize,
        configs_max: number("configs-max") as usize,
        contents_bytes_max: number("contents-max"),
        changes_per_config_max: number("changes-per-config") as usize,
        changes_max: number("changes-max") as usize,
        changes_bytes_max: number("changes-bytes"),
        watchers_max: number("watchers-max") as usize,
    }
}

#[cfg(test)]
mod tests {
    use squall_service_kit::{Settings, Telemetry};

    use super::{SERVICE, limits};
    use crate::center::Limits;
    use crate::report::Report;

    #[test]
    fn every_default_is_the_limit_that_the_code_has() {
        let settings = Settings::parse(SERVICE.settings, [""; 0]).unwrap();
        assert_eq!(limits(&settings), Limits::default());
        assert!(settings.files("publish").is_empty() && settings.file("restore").is_none());
    }

    #[test]
    fn every_milestone_names_a_metric_that_exists() {
        let mut telemetry = Telemetry::new();
        let _report = Report::new(&mut telemetry);
        assert_eq!(SERVICE.unseen_milestones(&telemetry), [""; 0]);
    }
}
