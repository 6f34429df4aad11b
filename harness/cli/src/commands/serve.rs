//! `squall serve`: one reference service in the foreground.

use std::collections::BTreeMap;

use squall_model::diagnostic::suggest;
use squall_model::exit::Exit;
use squall_service_kit::{Launch, ServiceInfo, Settings};

use crate::arguments::ServeArguments;
use crate::catalogue::{SERVICES, find};
use crate::output;

/// Serves until told to stop.
pub fn run(arguments: &ServeArguments) -> anyhow::Result<Exit> {
    let Some(service) = find(&arguments.service) else {
        output::note(&format!(
            "error: there is no service called `{}`",
            arguments.service
        ));
        if let Some(help) = suggest(&arguments.service, SERVICES.iter().map(|service| service.name)) {
            output::note(&help);
        }
        return Ok(Exit::Usage);
    };
    if arguments.show_settings {
        show_settings(service);
        return Ok(Exit::Pass);
    }
    let settings = match Settings::parse(service.settings, arguments.settings.iter().map(String::as_str)) {
        Ok(settings) => settings,
        Err(errors) => {
            for error in &errors {
                output::note(&format!("error: {error}"));
            }
            return Ok(Exit::Usage);
        }
    };
    let mut peers = BTreeMap::new();
    for peer in &arguments.peers {
        let Some((role, address)) = peer.split_once('=') else {
            output::note(&format!("error: --peer {peer} is not ROLE=ADDRESS"));
            return Ok(Exit::Usage);
        };
        peers.insert(role.to_owned(), address.to_owned());
    }
    let (listen, admin, data) = (arguments.listen, arguments.admin, arguments.data.clone());
    (service.run)(Launch {
        listen,
        admin,
        data,
        peers,
        settings,
    })?;
    Ok(Exit::Pass)
}

fn show_settings(service: &ServiceInfo) {
    output::line(&format!("{}: {}", service.name, service.about));
    for setting in service.settings {
        output::line(&format!(
            "  {:<12} {}; {}, default {}",
            setting.name, setting.about, setting.kind, setting.default
        ));
    }
    for role in service.roles {
        output::line(&format!("  calls {:<12} {}", role.name, role.about));
    }
    if let Some(about) = service.other_roles {
        output::line(&format!("  calls {:<12} {about}", "any name"));
    }
}
