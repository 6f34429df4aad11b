//! `squall baseline show`: the newest values of a scenario, and the trend of each.

use anyhow::{bail, ensure};
use squall_model::baseline::is_fingerprint;
use squall_model::name::Name;
use squall_report::baseline::{self, Shown};

use crate::arguments::BaselineShowArguments;
use crate::baseline_files::{self, this_machine};
use crate::{output, page_file};

/// Shows a baseline: of this machine, unless another is named.
pub fn run(arguments: &BaselineShowArguments) -> anyhow::Result<()> {
    let (folder, scenario) = (&arguments.dir, arguments.scenario.as_str());
    ensure!(
        Name::new(scenario).is_ok(),
        "`{scenario}` is no name of a scenario"
    );
    let here = this_machine();
    let machine = arguments.machine.as_deref().unwrap_or(&here);
    ensure!(
        is_fingerprint(machine),
        "`{machine}` is no fingerprint of a machine; squall baseline list shows those that there are"
    );
    let Some(found) = baseline_files::read(folder, machine, scenario)? else {
        let others = baseline_files::machines_of(folder, scenario)?;
        let whose = if machine == here { "this machine, " } else { "" };
        match &others[..] {
            [] => bail!(
                "no baseline of {scenario} is stored in {}; `squall baseline save {scenario}` stores its newest run",
                folder.display()
            ),
            others => bail!(
                "no baseline of {scenario} on {whose}{machine}, is stored in {}; there are of {}: --machine names one",
                folder.display(),
                others.join(", ")
            ),
        }
    };
    let shown = Shown::new(found, machine == here, arguments.metric.as_deref())?;
    if let Some(file) = &arguments.html {
        page_file::write(file, &baseline::html(&shown))?;
    }
    if arguments.json {
        output::out(&baseline::json(&shown));
    } else if arguments.markdown {
        output::out(&baseline::markdown(&shown));
    } else {
        output::out(&baseline::terminal(&shown, output::width(), output::colours()));
        if let Some(file) = &arguments.html {
            output::line(&format!("page: {}", file.display()));
        }
    }
    Ok(())
}
