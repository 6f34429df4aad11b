//! What a plan needs of the machine, looked for before anything starts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use squall_load::journey::{self, Part};
use squall_model::placeholder::Template;
use squall_model::scenario::Network;

use crate::catalogue::Catalogue;
use crate::network;
use crate::plan::{Plan, Start};
use crate::redirect;
use crate::toxiproxy::Server;

/// Something the machine lacks, and what would make it work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Who needs it: a service, a load or a fault.
    pub needed_by: String,
    /// What it is, and what to do.
    pub text: String,
}

/// Everything that is missing, at once. Runs will land in `reports`, which need not be there yet.
pub fn preflight(plan: &Plan, catalogue: &Catalogue, reports: &Path) -> Vec<Missing> {
    let reports = existing(reports);
    let mut missing = Vec::new();
    for service in &plan.services {
        if let Start::Run {
            command, directory, ..
        } = &service.start
        {
            // A program whose name has a placeholder is known only once it starts.
            let Some(program) = command.first().and_then(Template::as_literal) else {
                continue;
            };
            if let Err(text) = find(program, directory) {
                missing.push(Missing {
                    needed_by: format!("service {}", service.name),
                    text,
                });
            }
        }
    }
    if plan.network == Network::Isolated
        && let Err(why) = network::probe()
    {
        missing.push(Missing {
            needed_by: "the scenario".to_owned(),
            text: why.to_string(),
        });
    }
    for service in &plan.services {
        let trust = service.tls.as_ref().map(|tls| &tls.trust);
        if let Some(Err(e)) = trust.map(squall_load::Trust::check) {
            missing.push(Missing {
                needed_by: format!("service {}", service.name),
                text: e.to_string(),
            });
        }
    }
    let callers: BTreeSet<&str> = redirected(plan).collect();
    if !callers.is_empty()
        && let Err(why) = redirect::probe()
    {
        missing.extend(callers.into_iter().map(|caller| Missing {
            needed_by: format!("service {caller}"),
            text: why.to_string(),
        }));
    }
    // Where no edge has a fault it is asked for nothing.
    if let Some(toxiproxy) = plan.toxiproxy.as_ref().filter(|_| !plan.edges.is_empty())
        && let Err(e) = Server::find(toxiproxy)
    {
        missing.push(Missing {
            needed_by: "toxiproxy".to_owned(),
            text: e.to_string(),
        });
    }
    for load in &plan.loads {
        if !journey::IS_BUILT_IN && matches!(load.asked.protocol.part(), Part::Journey(_)) {
            let feature = journey::FEATURE;
            missing.push(Missing {
                needed_by: format!("load {}", load.name),
                text: format!(
                    "journeys are not built into this squall; build it with `--features {feature}`"
                ),
            });
        }
    }
    let program_of = |target: &str| {
        let service = plan.services.iter().find(|service| service.name == target)?;
        match &service.start {
            Start::Bundled { .. } => Some(catalogue.server.clone()),
            Start::Run {
                command, directory, ..
            } => find(command.first()?.as_literal()?, directory).ok(),
            Start::At { .. } => None,
        }
    };
    for fault in &plan.faults {
        // A program that is not there was reported with its service.
        let programs = fault.spec.targets().into_iter().filter_map(program_of);
        let lacks = programs.filter_map(|program| fault.spec.available(&program, &reports).err());
        missing.extend(lacks.take(1).map(|text| Missing {
            needed_by: format!("fault {}", fault.name),
            text,
        }));
    }
    missing
}

/// The services whose connects are to be redirected.
fn redirected(plan: &Plan) -> impl Iterator<Item = &str> {
    let edges = plan.edges.iter().filter(|edge| edge.redirect);
    edges.map(|edge| edge.caller.as_str())
}

/// The folder itself, or the nearest one above it that is there already.
pub fn existing(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = folder
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .map(Path::to_owned);
    found.unwrap_or(folder)
}

/// Where a program is: a path relative to `directory`, or a bare name in `PATH`.
pub fn find(program: &str, directory: &Path) -> Result<PathBuf, String> {
    let runs = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).map(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        let path = directory.join(program);
        return match runs(&path) {
            Ok(true) => Ok(path),
            Ok(false) => Err(format!(
                "{} is not a program: make it executable with chmod +x",
                path.display()
            )),
            Err(e) => Err(format!("the program {} is not there: {e}", path.display())),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(OsStr::new(&path)).map(|folder| folder.join(program));
    let found = found
        .into_iter()
        .find(|candidate| runs(candidate).unwrap_or(false));
    found.ok_or_else(|| format!("the program `{program}` is not in PATH: install it, or name it by its path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_in_path_and_a_path_from_the_scenario() {
        assert!(find("sh", Path::new("/")).is_ok());
        assert!(find("./sh", Path::new("/bin")).is_ok());
        let error = find("no-such-program-here", Path::new("/")).unwrap_err();
        assert!(error.contains("not in PATH"), "{error}");
        let error = find("./no-such", Path::new("/bin")).unwrap_err();
        assert!(error.contains("/bin/./no-such is not there"), "{error}");
    }

    #[test]
    fn a_file_that_may_not_be_run_is_no_program() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = find(file.path().to_str().unwrap(), Path::new("/")).unwrap_err();
        assert!(error.contains("chmod +x"), "{error}");
    }
}
