//! What a gate says below a pull request: short, and with a first line by which the next one finds and replaces it.
//!
//! Whatever is not needed to act on it is folded. Every text of the record is escaped by the renderer.

use std::fmt::Write as _;

use squall_model::gate::GateRecord;

use super::section::{self, verdict};
use super::wording;
use crate::block::{Block, Cell, Column, Table};
use crate::render::{folded, heading, linked, markdown_blocks};
use crate::section::Detail;
use crate::visible::shortened;

/// The most characters of a comment. GitHub takes 65,536.
const LONGEST: usize = 60_000;
/// The longest reason in a table of several gates.
const LONGEST_REASON: usize = 160;

/// The gate as a comment. `report_link` is the address of its page, where it has one.
pub fn markdown(record: &GateRecord, report_link: Option<&str>) -> String {
    let marker = format!("<!-- squall-gate: {} -->\n\n", word(&record.scenario));
    let link = report_link.map_or_else(String::new, |address| linked("The whole report", address));
    let whole = format!("{marker}{}{link}{}", shown(record), details(record));
    if whole.chars().count() <= LONGEST {
        return whole;
    }
    format!("{marker}{}{link}", shown(record))
}

/// Several gates of one command as one comment.
pub fn markdown_all(records: &[GateRecord]) -> String {
    let mut text = "<!-- squall-gate -->\n\n".to_owned();
    if records.len() > 1 {
        text += &heading(3, "Gates");
        text += &markdown_blocks(&[table(records)]);
    }
    let shown: Vec<String> = records.iter().map(shown).collect();
    let details: Vec<String> = records.iter().map(details).collect();
    let all = shown
        .iter()
        .chain(&details)
        .map(|part| part.chars().count())
        .sum::<usize>();
    let is_room = text.chars().count() + all <= LONGEST;
    for (shown, details) in shown.iter().zip(&details) {
        let part = if is_room {
            format!("{shown}{details}")
        } else {
            shown.clone()
        };
        if text.chars().count() + part.chars().count() > LONGEST {
            text += "More gates are in the reports; a comment holds no more.\n";
            break;
        }
        text += &part;
    }
    text
}

/// What the page of a job on GitHub shows of all gates of a command.
pub fn step_summary(records: &[GateRecord]) -> String {
    markdown_all(records)
}

/// How each of several gates ended.
fn table(records: &[GateRecord]) -> Block {
    let columns = vec![
        Column::wide("Scenario", 0),
        Column::left("Verdict", 0),
        Column::wide("Why", 0),
    ];
    let rows = records.iter().map(|record| {
        let why = wording::reasons(record).remove(0);
        vec![
            Cell::plain(record.scenario.clone()),
            Cell::plain(wording::verdict(record.verdict)).toned(wording::tone(record.verdict)),
            Cell::plain(shortened(&why, LONGEST_REASON)),
        ]
    });
    Block::Table(Table::of("Gates", columns, rows.collect()))
}

/// What is seen at once: verdict, what decides, and what must be known.
fn shown(record: &GateRecord) -> String {
    let mut blocks = vec![verdict::word(record)];
    blocks.extend(section::decisive(record));
    blocks.extend(verdict::notes(record));
    blocks.extend(verdict::early(record).map(Block::Paragraph));
    heading(3, &format!("Gate: {}", record.scenario)) + &markdown_blocks(&blocks)
}

/// The rest, folded.
fn details(record: &GateRecord) -> String {
    let mut inside = markdown_blocks(&[Block::Lead(verdict::lead(record))]);
    for section in &section::SECTIONS {
        // These are above already.
        if ["verdict", "first"].contains(&section.id) {
            continue;
        }
        let blocks = (section.blocks)(record, Detail::Brief);
        if !blocks.is_empty() {
            inside += &heading(4, section.title);
            inside += &markdown_blocks(&blocks);
        }
    }
    folded("Numbers, machine and command", &inside)
}

/// A name that can stand in a comment of HTML whatever it holds, and that no other name becomes.
fn word(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        let is_safe =
            byte.is_ascii_alphanumeric() || b"_./".contains(&byte) || (byte == b'-' && !out.ends_with('-'));
        if is_safe {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_marker_and_no_two_share_one() {
        let names = ["circuit-breaker", "a-->b", "a--b", "a-%2Db", "a b", "ä", "../x_y"];
        let words = names.map(word);
        assert_eq!(
            words,
            [
                "circuit-breaker",
                "a-%2D%3Eb",
                "a-%2Db",
                "a-%252Db",
                "a%20b",
                "%C3%A4",
                "../x_y"
            ]
        );
    }
}
