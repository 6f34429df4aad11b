//! The bundled services, and how the engine sees them.

use anyhow::Context as _;
use serde_json::{Value, json};
use squall_engine::catalogue::{
    Catalogue, CatalogueInvariant, CatalogueRole, CatalogueService, CatalogueSetting, Files, Promise,
    ResponseValues,
};
use squall_service_kit::{ServiceInfo, SettingKind};

/// Every reference service. A new one is a crate and a line here.
pub static SERVICES: &[&ServiceInfo] = &[
    &squall_circuit_breaker::SERVICE,
    &squall_config_center::SERVICE,
    &squall_config_center::READER,
    &squall_delay_law::SERVICE,
    &squall_gateway::SERVICE,
    &squall_id_generator::SERVICE,
];

/// The service called `name`.
pub fn find(name: &str) -> Option<&'static ServiceInfo> {
    SERVICES.iter().copied().find(|service| service.name == name)
}

/// What the engine may start.
pub fn catalogue() -> anyhow::Result<Catalogue> {
    let program = std::env::current_exe().context("finding squall's own program")?;
    Ok(Catalogue {
        services: SERVICES.iter().map(|service| describe(service)).collect(),
        server: program.clone(),
        program,
    })
}

fn describe(service: &ServiceInfo) -> CatalogueService {
    let setting = |setting: &squall_service_kit::Setting| CatalogueSetting {
        name: setting.name.to_owned(),
        about: setting.about.to_owned(),
        schema: schema(setting.kind),
        files: match setting.kind {
            SettingKind::File => Some(Files::One),
            SettingKind::Files => Some(Files::Many),
            _ => None,
        },
        check: check_setting,
    };
    let invariant = |invariant: &squall_service_kit::InvariantInfo| CatalogueInvariant {
        name: invariant.name.to_owned(),
        about: invariant.about.to_owned(),
        promise: promise(invariant.promise),
    };
    CatalogueService {
        name: service.name.to_owned(),
        about: service.about.to_owned(),
        settings: service.settings.iter().map(setting).collect(),
        roles: service
            .roles
            .iter()
            .map(|role| CatalogueRole {
                name: role.name.to_owned(),
                optional: !role.required,
            })
            .collect(),
        other_roles: service.other_roles.map(ToOwned::to_owned),
        invariants: service.invariants.iter().map(invariant).collect(),
        metrics: service
            .milestones
            .iter()
            .map(|milestone| milestone.metric.to_owned())
            .collect(),
    }
}

fn promise(promise: squall_service_kit::Promise) -> Promise {
    match promise {
        squall_service_kit::Promise::Values { kind, sources } => Promise::Values {
            kind: kind.to_owned(),
            values: sources
                .iter()
                .map(|source| ResponseValues {
                    path: source.path.to_owned(),
                    pointer: source.pointer.to_owned(),
                    each: source.each,
                })
                .collect(),
        },
        squall_service_kit::Promise::Transitions(allowed) => {
            let arrow = |text: &&str| {
                text.parse()
                    .expect("a bundled service knows how to write a change of state")
            };
            Promise::Transitions(allowed.iter().map(arrow).collect())
        }
    }
}

fn check_setting(service: &str, setting: &str, value: &str) -> Result<(), String> {
    let Some(service) = find(service) else {
        return Err(format!("there is no service called {service}"));
    };
    let pair = format!("{setting}={value}");
    let parsed = squall_service_kit::Settings::parse(service.settings, [pair.as_str()]);
    parsed.map(|_| ()).map_err(|errors| {
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })
}

fn schema(kind: SettingKind) -> Value {
    match kind {
        SettingKind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        SettingKind::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        SettingKind::Ratio => json!({"type": ["number", "string"]}),
        SettingKind::Boolean => json!({"type": "boolean"}),
        SettingKind::Duration | SettingKind::Interval | SettingKind::Text | SettingKind::File => {
            json!({"type": "string"})
        }
        SettingKind::Files => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        SettingKind::Choice(words) => json!({"enum": words}),
    }
}

#[cfg(test)]
mod tests {
    use squall_engine::catalogue::Promise;
    use squall_engine::plan::{INVARIANTS, Takes};

    use super::catalogue;

    /// What the engine relies on when it plans the promises of a bundled service.
    #[test]
    fn what_services_promise_can_be_judged() {
        let mut values_promised = 0;
        let mut transitions_promised = 0;
        for service in catalogue().unwrap().services {
            for invariant in service.invariants {
                let named = format!("{}.{}", service.name, invariant.name);
                match invariant.promise {
                    Promise::Values { kind, values } => {
                        let known = INVARIANTS.iter().find(|known| known.name == kind);
                        let takes = known.map(|known| known.takes);
                        assert!(matches!(takes, Some(Takes::Values(_))), "{named}: {kind}");
                        assert!(!values.is_empty(), "{named}");
                        for value in values {
                            assert!(value.path.starts_with('/'), "{named}: {}", value.path);
                            let is_whole = value.pointer.is_empty() || value.pointer.starts_with('/');
                            assert!(is_whole, "{named}: {}", value.pointer);
                        }
                        values_promised += 1;
                    }
                    Promise::Transitions(allowed) => {
                        assert!(!allowed.is_empty(), "{named}");
                        transitions_promised += 1;
                    }
                }
            }
        }
        assert!(values_promised > 0 && transitions_promised > 0);
    }
}
