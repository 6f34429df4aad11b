//! What is told of a gate: while it goes on, and when it is over.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use squall_model::gate::GateRecord;
use squall_model::units::human;
use squall_report::gate::decide::Gate;
use squall_report::gate_report;

use crate::arguments::GateArguments;
use crate::scenarios::find;
use crate::{output, page_file};

/// A line on standard error on how far it is: one that stands on a terminal, one for each look elsewhere.
pub struct Told {
    tells: bool,
    is_live: bool,
    looked_at: usize,
}

impl Told {
    /// Says what is to come.
    pub fn new(arguments: &GateArguments, begins: &str) -> Told {
        let tells = !arguments.quiet && !arguments.json;
        if tells {
            output::note_paragraph(begins);
        }
        Told {
            tells,
            is_live: tells && output::is_live(),
            looked_at: 0,
        }
    }

    /// Says how far it is.
    pub fn block(&mut self, gate: &Gate, elapsed: Duration) {
        let progress = gate.progress();
        let has_looked = progress.looked_at != self.looked_at;
        self.looked_at = progress.looked_at;
        if !self.tells || !(self.is_live || has_looked) {
            return;
        }
        let next = progress.next_look.map_or(String::new(), |next| {
            let left =
                progress.mean_block.unwrap_or_default() * (next.saturating_sub(progress.blocks)) as u32;
            format!(", next look after {next} in {}", human::duration(left))
        });
        let spoiled = match progress.invalid {
            0 => String::new(),
            count => format!(" and {count} that do not count"),
        };
        let text = format!(
            "{} blocks{spoiled} in {}{next}",
            progress.blocks,
            human::duration(elapsed)
        );
        if self.is_live {
            output::error_out(&format!("\r\x1b[2K{text}"));
        } else {
            output::note(&text);
        }
    }
}

/// Takes the line away.
impl Drop for Told {
    fn drop(&mut self) {
        if self.is_live {
            output::error_out("\r\x1b[2K");
        }
    }
}

/// Writes the record of a gate.
pub fn put_record(record: &GateRecord, folder: &Path) -> anyhow::Result<()> {
    page_file::write(&folder.join("gate.json"), &serde_json::to_string_pretty(record)?)
}

/// Writes the files of one gate, and prints what came of it.
pub fn one(arguments: &GateArguments, record: &GateRecord, folder: &Path) -> anyhow::Result<()> {
    put_record(record, folder)?;
    let page = folder.join("gate.html");
    page_file::write(&page, &gate_report::html(record))?;
    if arguments.json {
        return Ok(());
    }
    if arguments.quiet {
        let reasons = record
            .reasons
            .iter()
            .map(|reason| format!("- {}", output::harmless(reason)));
        let verdict = format!("{}  {}", record.verdict.as_str().to_uppercase(), record.scenario);
        output::line(
            &std::iter::once(verdict)
                .chain(reasons)
                .collect::<Vec<_>>()
                .join("\n"),
        );
        return Ok(());
    }
    output::out(&gate_report::terminal(record, output::width(), output::colours()));
    output::line(&format!("gate: {}", page.display()));
    Ok(())
}

/// Writes and prints what is of the whole command.
pub fn all(arguments: &GateArguments, records: &[GateRecord]) -> anyhow::Result<()> {
    if arguments.json {
        let text = match records {
            [one] => serde_json::to_string_pretty(one)?,
            all => serde_json::to_string_pretty(all)?,
        };
        output::line(&text);
    }
    if let Some(file) = &arguments.markdown {
        page_file::write(file, &gate_report::markdown_all(records))?;
    }
    if let Some(file) = &arguments.junit {
        page_file::write(file, &gate_report::junit(records))?;
    }
    if arguments.github {
        github(arguments, records)?;
    }
    Ok(())
}

/// What GitHub's runner reads: lines of commands on standard output, and Markdown in the file that it names.
fn github(arguments: &GateArguments, records: &[GateRecord]) -> anyhow::Result<()> {
    let file = match arguments.scenarios.as_slice() {
        [one] => Some(find(one).display().to_string()),
        _ => None,
    };
    output::out(&gate_report::annotations(records, file.as_deref()));
    let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY") else {
        return Ok(());
    };
    let open = fs::OpenOptions::new().append(true).create(true).open(&summary);
    let written = open.and_then(|mut file| file.write_all(gate_report::step_summary(records).as_bytes()));
    written.with_context(|| format!("writing the summary of the step to {}", summary.display()))
}
