//! `squall index`: every run of a folder on one page, with P99 over time.

mod gather;

use squall_model::exit::Exit;
use squall_report::index;

use crate::arguments::IndexArguments;
use crate::page_file::Forms;
use crate::{output, page_file};

/// Lists. Exits 0 once it is written, whatever the runs are, and 2 where there are none.
pub fn run(arguments: &IndexArguments) -> anyhow::Result<Exit> {
    let file = page_file::chosen(&arguments.page, || arguments.folder.join("index.html"));
    let found = match gather::gather(&arguments.folder, file.as_deref()) {
        Ok(found) => found,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    let forms = Forms {
        name: "index",
        html: index::html,
        json: index::json,
        markdown: index::markdown,
        terminal: index::terminal,
    };
    page_file::put(&arguments.page, file.as_deref(), &found, &forms)?;
    Ok(Exit::Pass)
}
