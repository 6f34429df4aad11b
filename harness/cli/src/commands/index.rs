//! `squall index`: every run of a folder on one page, with P99 over time.

mod gather;

use squall_model::exit::Exit;
use squall_report::index;

use crate::arguments::IndexArguments;
use crate::{output, page_file};

/// Lists. Exits 0 once it is written, whatever the runs are, and 2 where there are none.
pub fn run(arguments: &IndexArguments) -> anyhow::Result<Exit> {
    let prints_only = arguments.json || arguments.markdown;
    let beside = (!prints_only).then(|| arguments.folder.join("index.html"));
    let file = arguments.out.clone().or(beside);
    let found = match gather::gather(&arguments.folder, file.as_deref()) {
        Ok(found) => found,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    if let Some(file) = &file {
        page_file::write(file, &index::html(&found))?;
    }
    if arguments.json {
        output::out(&index::json(&found));
    } else if arguments.markdown {
        output::out(&index::markdown(&found));
    } else if let Some(file) = file {
        output::out(&index::terminal(&found, output::width(), output::colours()));
        let file = std::fs::canonicalize(&file).unwrap_or(file);
        output::line(&format!("index: {}", file.display()));
    }
    Ok(Exit::Pass)
}
