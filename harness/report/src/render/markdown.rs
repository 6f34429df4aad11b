//! The short summary as Markdown, for a pull request or a job's page.
//!
//! Texts of a run may not become markup: no link, no mention, no HTML. So every character that means something to
//! GitHub's Markdown is escaped.

use std::fmt::Write as _;

use crate::block::{Align, Block, Cell, Table, Tone};
use crate::recording::Recording;
use crate::render::{Part, parts};
use crate::section::Detail;
use crate::visible::{on_one_line, visible};

/// The summary of a run.
pub fn markdown(recording: &Recording) -> String {
    document(&recording.record.scenario, &parts(recording, Detail::Brief))
}

/// `parts` below a heading.
pub(crate) fn document(heading: &str, parts: &[Part]) -> String {
    let mut out = self::heading(1, heading);
    for part in parts {
        if !part.title.is_empty() {
            out += &self::heading(2, &part.title);
        }
        out += &blocks(&part.blocks);
    }
    out
}

/// A heading of this depth.
pub(crate) fn heading(depth: usize, text: &str) -> String {
    format!("{} {}\n\n", "#".repeat(depth), plain(text))
}

/// Blocks one after the other.
pub(crate) fn blocks(blocks: &[Block]) -> String {
    blocks.iter().map(block_text).collect()
}

/// Markdown that is seen by those who open it.
pub(crate) fn folded(summary: &str, markdown: &str) -> String {
    format!(
        "<details>\n<summary>{}</summary>\n\n{markdown}</details>\n\n",
        plain(summary)
    )
}

/// A link of its own to a page of the web; whatever else the address may be, it is only shown.
pub(crate) fn linked(text: &str, address: &str) -> String {
    let is_web = address.starts_with("https://") || address.starts_with("http://");
    if !is_web {
        return format!("{}: {}\n\n", plain(text), plain(address));
    }
    let mut safe = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/:?#@!$&'*+,;=%".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    format!("[{}](<{safe}>)\n\n", plain(text))
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Verdict {
            word,
            tone,
            meaning,
            reasons,
        } => {
            format!(
                "**{} {}** – {}\n\n{}",
                sign(*tone),
                word.to_uppercase(),
                plain(meaning),
                list(reasons.iter().map(|reason| plain(reason)))
            )
        }
        Block::Lead(text) | Block::Paragraph(text) => format!("{}\n\n", plain(text)),
        Block::Note { text, .. } => format!("> {}\n\n", plain(text)),
        Block::Definitions(rows) => list(
            rows.iter()
                .map(|(name, cell)| format!("{}: {}", plain(name), inline(cell))),
        ),
        Block::Figures(figures) => list(
            figures
                .iter()
                .map(|f| format!("{}: {} ({})", plain(&f.name), plain(&f.value), plain(&f.beside))),
        ),
        Block::Table(table) => table_text(table),
        Block::Chart(chart) => format!("{}: {}\n\n", plain(&chart.title), plain(&chart.about)),
        // A drawing of several says nothing in words, and of estimates no more than the table beside it.
        Block::Stack(_) | Block::Forest(_) => String::new(),
        Block::Beside { main, side } => main.iter().chain(side).map(block_text).collect(),
        Block::Code { text, .. } => code(text),
    }
}

/// What stands for a tone where there are no colours.
pub(crate) fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✅",
        Tone::Bad => "❌",
        Tone::Plain | Tone::Doubt => "⚠️",
    }
}

/// Items of a list with the empty line after it; nothing for none.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut out: String = items
        .flat_map(|item| ["- ".to_owned(), item, "\n".to_owned()])
        .collect();
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn table_text(table: &Table) -> String {
    let table = &table.without_empty_columns();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = row(table.columns.iter().map(|column| plain(&column.head)).collect());
    let rules = table.columns.iter().map(|column| {
        if column.align == Align::Right {
            "--:"
        } else {
            ":--"
        }
        .to_owned()
    });
    out.push_str(&row(rules.collect()));
    for group in &table.groups {
        if !group.title.is_empty() {
            let mut cells = vec![format!("**{}** {}", plain(&group.title), plain(&group.about))];
            cells.resize(table.columns.len(), String::new());
            out.push_str(&row(cells));
        }
        for cells in &group.rows {
            out.push_str(&row(cells.iter().map(inline).collect()));
        }
    }
    out.push('\n');
    out
}

fn inline(cell: &Cell) -> String {
    let lines: Vec<String> = cell.text.lines().map(plain).collect();
    lines.join("<br>")
}

/// A fence longer than any run of backticks inside.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}\n\n", visible(text).trim_end())
}

/// `text` on one line, free of markup.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in on_one_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    // A bare address would become a link.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_makes_no_markup() {
        let text = plain("@all [x](http://e) <img src=x> `a|b` www.e.org\n# h");
        assert_eq!(
            text,
            r"&#64;all \[x\]\(http&#58;//e\) &lt;img src=x&gt; \`a\|b\` www&#46;e.org \# h"
        );
        assert_eq!(code("a\n````\nb"), "`````\na\n````\nb\n`````\n\n");
    }
}
