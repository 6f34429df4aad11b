//! `squall compare`: runs beside each other, as a page, in the terminal, as JSON or Markdown.

mod gather;

use std::mem;
use std::path::PathBuf;

use squall_model::exit::Exit;
use squall_report::compare;

use crate::arguments::CompareArguments;
use crate::page_file::Forms;
use crate::{output, page_file};
use gather::Gathered;

/// The longest name of a page, in bytes, below what file systems take.
const LONGEST_NAME: usize = 180;

/// Compares. Exits 0 once it is written, whatever it finds, and 2 where there is nothing to compare.
pub fn run(arguments: &CompareArguments) -> anyhow::Result<Exit> {
    let gathered = match gather::gather(&arguments.runs) {
        Ok(gathered) => gathered,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    let file = page_file::chosen(&arguments.page, || beside(&gathered));
    let forms = Forms {
        name: "report",
        html: compare::html,
        json: compare::json,
        markdown: compare::markdown,
        terminal: compare::terminal,
    };
    page_file::put(&arguments.page, file.as_deref(), &gathered.comparisons, &forms)?;
    // The process ends: to give back millions of rows one by one would only keep whoever waits for it.
    mem::forget(gathered);
    Ok(Exit::Pass)
}

/// Where a page lands that `--out` does not name: it follows from what is compared, so that the same command makes the same
/// page again.
fn beside(gathered: &Gathered) -> PathBuf {
    let scenario = match &gathered.comparisons.of[..] {
        [one] => one.scenario(),
        _ => "scenarios",
    };
    let mut name = page_name(&format!("{scenario}-{}", gathered.newest.join(VERSUS)));
    name.truncate(LONGEST_NAME);
    PathBuf::from("reports/compare").join(format!("{}.html", name.trim_start_matches('.')))
}

/// What stands between the runs in the name of a page.
pub const VERSUS: &str = "-vs-";

/// A name as the file of a page bears it.
pub fn page_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}
