//! What can't be had in an isolated network, whose places reach each other and nothing else.

use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{Network, Scenario};

/// Reports every service that a place could not reach.
pub(super) fn check(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let Some(network) = scenario
        .network
        .as_ref()
        .filter(|one| one.value == Network::Isolated)
    else {
        return;
    };
    for (name, service) in &scenario.services {
        if let Some(at) = &service.at {
            let message = format!(
                "`{}` already runs outside, where nothing in an isolated network can reach it",
                name.value
            );
            let error = Diagnostic::error(at.span, message).also(network.span, "the network");
            diagnostics.push(error.help("start it with `run: [...]`, or leave `network: isolated` out"));
        }
    }
}
