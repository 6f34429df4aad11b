//! What a fault acts on: a service with its processes.

use std::sync::Arc;

use squall_model::decode::NonEmpty;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::span::Spanned;

use crate::process::Lifecycle;

/// The process a fault acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetProcess {
    /// The service's name in the scenario.
    pub service: String,
    /// The process that squall spawned for it; it may have children.
    pub pid: u32,
}

/// The service a fault acts on.
#[derive(Clone)]
pub struct Target {
    /// Its process by now.
    pub process: TargetProcess,
    /// Through which its processes are found, ended and started again.
    pub lifecycle: Arc<Lifecycle>,
}

/// The names under `target`, or under `targets`, of which each is there once.
pub(super) fn names(
    target: Option<&Spanned<Name>>,
    targets: Option<&NonEmpty<Spanned<Name>>>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<String>> {
    let mut names: Vec<String> = target.iter().map(|name| name.value.to_string()).collect();
    for name in targets.into_iter().flat_map(|targets| targets.iter()) {
        if names.iter().any(|known| known == name.as_str()) {
            let error = Diagnostic::error(name.span, format!("`{}` is among the targets twice", name.value));
            diagnostics.push(error.help("for several rounds, say how many `times` in all"));
            return None;
        }
        names.push(name.value.to_string());
    }
    Some(names)
}

/// "ids", "a, b and c in turn"
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last} in turn", most.join(", ")),
        names => names.concat(),
    }
}
