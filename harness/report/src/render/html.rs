//! One HTML page that needs nothing: no network, no font, no file beside it, and no script to be read.
//!
//! The page may hold texts of a hostile service, so everything is escaped, and a Content-Security-Policy forbids
//! whatever might get through: nothing is loaded, and the only style and the only script are those whose hashes it names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::block::{Align, Block, Cell, Column, Figure, Group, Link, Table, Tone};
use crate::chart::{
    Chart, Forest, Form, Horizontal, MEDIUM, NARROW, NARROW_PANEL, PANEL, Plot, Size, WIDE, ZONES,
    cells_shown, draw_forest, shades, swatch,
};
use crate::figure;
use crate::recording::Recording;
use crate::render::{Frame, Part};
use crate::section::{Detail, SECTIONS, Section};
use crate::visible::{bound, on_one_line, visible};

/// The style of the page.
const STYLE: &str = include_str!("style.css");
/// What a reader can do with the charts; the page is whole without it.
const SCRIPT: &str = include_str!("script.js");

/// The most charts of a section that are drawn in the whole width, in every size, and how many of the others stand side by side.
const LARGE_CHARTS: usize = 4;
const SIDE_BY_SIDE: usize = 3;

/// The report as one page.
pub fn html(recording: &Recording) -> String {
    let sections: Vec<SectionBlocks> = page_sections().map(|section| section.blocks(recording)).collect();
    let written = sections.iter().flat_map(|section| {
        let blocks = 0..section.count();
        blocks.map(|at| section.write(at))
    });
    html_of(recording, &sections, &written.collect::<Vec<_>>())
}

/// A section of the report's page, whose blocks are made on their own: several threads can do it.
#[derive(Clone, Copy)]
pub struct PageSection(&'static Section);

/// The sections of the report's page, in its order.
pub fn page_sections() -> impl DoubleEndedIterator<Item = PageSection> {
    SECTIONS.iter().map(PageSection)
}

impl PageSection {
    /// Its blocks.
    pub fn blocks(self, recording: &Recording) -> SectionBlocks {
        SectionBlocks(self.0.part((self.0.blocks)(recording, Detail::Full)))
    }
}

/// What a section of the page consists of. Each block is written on its own.
pub struct SectionBlocks(Part);

impl SectionBlocks {
    /// How many there are: none where the section has nothing to say.
    pub fn count(&self) -> usize {
        self.0.blocks.len()
    }

    /// The block at place `at` as HTML; empty where there is none.
    pub fn write(&self, at: usize) -> String {
        written(&self.0.blocks, at)
    }
}

/// The report as one page: what [`html`] makes. `written` are the blocks of all sections, one after the other.
pub fn html_of(recording: &Recording, sections: &[SectionBlocks], written: &[String]) -> String {
    let record = &recording.record;
    let frame = Frame {
        title: format!("{} – {}", record.scenario, record.verdict.as_str()),
        heading: record.scenario.clone(),
        about: record.about.clone(),
        origin: origin(recording),
        skip: "Skip to the report",
        script: "",
    };
    let mut left = written;
    let sections = sections.iter().filter(|section| section.count() > 0);
    let sections: Vec<Written> = sections
        .map(|section| {
            let (own, others) = left.split_at(section.count().min(left.len()));
            left = others;
            Written::of(&section.0, own)
        })
        .collect();
    whole(&frame, &sections)
}

/// `parts` as one page.
pub(crate) fn page(frame: &Frame, parts: &[Part]) -> String {
    let sections = parts.iter().map(|part| {
        let blocks = (0..part.blocks.len()).map(|at| written(&part.blocks, at));
        Written::of(part, &blocks.collect::<Vec<_>>())
    });
    whole(frame, &sections.collect::<Vec<_>>())
}

/// A section as it stands in a page, and its line in the navigation.
struct Written {
    link: String,
    html: String,
}

impl Written {
    /// A part of which the blocks are written.
    fn of(part: &Part, blocks: &[String]) -> Written {
        let (mut link, mut page) = (Page::default(), Page::default());
        if part.in_navigation {
            link.raw(&format!("<a href=\"#{}\">", part.id));
            link.text(&part.title);
            link.raw("</a>");
        }
        page.raw(&format!("<section id=\"{}\"", part.id));
        page.raw(if part.bare { " class=\"bare\">" } else { ">" });
        if !part.title.is_empty() {
            page.element("h2", "", &part.title);
        }
        for block in blocks {
            page.raw(block);
        }
        page.raw("</section>");
        Written {
            link: link.out,
            html: page.out,
        }
    }
}

/// One block of a section as HTML; nothing where there is none.
fn written(blocks: &[Block], at: usize) -> String {
    let mut page = Page::default();
    if let Some(block) = blocks.get(at) {
        page.block_of(blocks, at, block);
    }
    page.out
}

/// The page around its sections.
fn whole(frame: &Frame, sections: &[Written]) -> String {
    let length: usize = sections.iter().map(|section| section.html.len()).sum();
    let mut page = Page {
        out: String::with_capacity(length + 128 * 1024),
    };
    let scripts: Vec<&str> = [frame.script, SCRIPT]
        .into_iter()
        .filter(|script| !script.is_empty())
        .collect();
    page.head(&frame.title, &scripts);
    page.raw("<body><a class=\"skip\" href=\"#main\">");
    page.text(frame.skip);
    page.raw("</a><header>");
    page.element("h1", "", &frame.heading);
    if !frame.about.is_empty() {
        page.element("p", "about", &frame.about);
    }
    page.element("p", "origin", &frame.origin);
    page.raw("<nav aria-label=\"Sections\">");
    for section in sections {
        page.raw(&section.link);
    }
    page.raw("</nav></header><main id=\"main\">");
    for section in sections {
        page.raw(&section.html);
    }
    page.raw("</main>");
    for script in scripts {
        page.raw(&format!("<script>{script}</script>"));
    }
    page.raw("</body></html>\n");
    page.out
}

/// When and of what, in a line.
fn origin(recording: &Recording) -> String {
    let record = &recording.record;
    let mut parts = vec![
        figure::wall_time(&record.started_at),
        figure::duration(record.duration_us as f64),
    ];
    parts.push(format!("revision {}", record.revision));
    parts.push(format!("seed {}", record.seed));
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// `text` for the inside of an element or a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page being written.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    /// What is already HTML; never a text from a run.
    fn raw(&mut self, html: &str) {
        self.out.push_str(html);
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&escaped(text));
    }

    fn element(&mut self, name: &str, class: &str, text: &str) {
        self.open(name, class);
        self.text(text);
        self.raw(&format!("</{name}>"));
    }

    fn open(&mut self, name: &str, class: &str) {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        self.raw(&format!("<{name}{class}>"));
    }

    fn head(&mut self, title: &str, scripts: &[&str]) {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
        let style = hash(STYLE);
        let scripts: Vec<String> = scripts.iter().map(|script| hash(script)).collect();
        let scripts = scripts.join(" ");
        self.raw(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"referrer\" content=\"no-referrer\"><meta name=\"color-scheme\" content=\"light dark\">",
        );
        self.raw(&format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {style}; script-src {scripts}; \
             base-uri 'none'; form-action 'none'\">"
        ));
        self.element("title", "", &on_one_line(title));
        self.raw(&format!("<style>{STYLE}</style></head>"));
    }

    /// A block among those of its section: charts beyond the first few are small and side by side, so that a run with many loads is
    /// still a page that opens at once.
    fn block_of(&mut self, blocks: &[Block], at: usize, block: &Block) {
        let charts = |blocks: &[Block]| blocks.iter().filter(|one| matches!(one, Block::Chart(_))).count();
        match block {
            Block::Chart(chart) if charts(&blocks[..at]) >= large(charts(blocks)) => {
                self.figure(chart, " class=\"small\"", &[("narrow", NARROW)]);
            }
            other => self.block(other),
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Verdict {
                word,
                tone,
                meaning,
                reasons,
            } => self.verdict((word, *tone), meaning, reasons),
            Block::Lead(text) => self.element("p", "lead", &bound(text)),
            Block::Paragraph(text) => self.element("p", "", text),
            Block::Note { tone, text } => self.element("p", &format!("note {}", class(*tone)), text),
            Block::Definitions(rows) => self.definitions(rows),
            Block::Figures(figures) => self.figures(figures),
            Block::Table(table) => self.table(table),
            Block::Chart(chart) => self.chart(chart),
            Block::Forest(forest) => self.forest(forest),
            Block::Stack(charts) => self.stack(charts),
            Block::Beside { main, side } => {
                let parts: Vec<&Vec<Block>> =
                    [main, side].into_iter().filter(|part| !part.is_empty()).collect();
                self.raw(if parts.len() > 1 {
                    "<div class=\"beside\">"
                } else {
                    "<div class=\"beside alone\">"
                });
                for part in parts {
                    self.raw("<div>");
                    for block in part {
                        self.block(block);
                    }
                    self.raw("</div>");
                }
                self.raw("</div>");
            }
            Block::Code { label, text } => {
                self.raw(&format!(
                    "<pre data-copy=\"\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><code>",
                    escaped(label)
                ));
                self.text(text);
                self.raw("</code></pre>");
            }
        }
    }

    fn verdict(&mut self, (word, tone): (&str, Tone), meaning: &str, reasons: &[String]) {
        self.raw(&format!(
            "<div class=\"verdict {}\"><p class=\"word\">",
            class(tone)
        ));
        self.raw(&format!(
            "<span class=\"sign\" aria-hidden=\"true\">{}</span>",
            sign(tone)
        ));
        self.text(word);
        self.raw("</p><div>");
        self.element("p", "meaning", &bound(meaning));
        if !reasons.is_empty() {
            self.raw("<ul>");
            for reason in reasons {
                self.element("li", "", &bound(reason));
            }
            self.raw("</ul>");
        }
        self.raw("</div></div>");
    }

    fn figures(&mut self, figures: &[Figure]) {
        self.raw("<dl class=\"figures\">");
        for figure in figures {
            self.raw("<div>");
            self.element("dt", "", &figure.name);
            self.element("dd", "value", &figure.value);
            self.element("dd", "against", &figure.beside);
            self.raw("</div>");
        }
        self.raw("</dl>");
    }

    fn definitions(&mut self, rows: &[(String, Cell)]) {
        self.raw("<dl class=\"definitions\">");
        for (name, cell) in rows {
            self.raw("<div>");
            self.element("dt", "", name);
            self.raw("<dd>");
            self.cell(cell);
            self.raw("</dd></div>");
        }
        self.raw("</dl>");
    }

    fn table(&mut self, table: &Table) {
        let table = &table.without_empty_columns();
        let caption = escaped(&table.caption);
        self.raw(&format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>"
        ));
        self.raw(&format!("<caption>{caption}</caption><thead><tr>"));
        for column in &table.columns {
            let class = align(column);
            if column.head.is_empty() {
                self.raw(&format!("<td class=\"{class}\"></td>"));
            } else {
                self.raw(&format!("<th scope=\"col\" class=\"{class}\">"));
                self.text(&column.head);
                self.raw("</th>");
            }
        }
        self.raw("</tr></thead>");
        for group in &table.groups {
            self.group(table, group);
        }
        self.raw("</table></div>");
    }

    fn group(&mut self, table: &Table, group: &Group) {
        self.raw("<tbody>");
        if !group.title.is_empty() {
            self.raw(&format!(
                "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\"><span class=\"stay\">",
                table.columns.len()
            ));
            self.text(&group.title);
            if !group.about.is_empty() {
                self.raw(&format!(" <small class=\"{}\">", class(group.tone)));
                self.text(&group.about);
                self.raw("</small>");
            }
            self.raw("</span></th></tr>");
        }
        for row in &group.rows {
            // A row that goes on with what the row above says.
            let goes_on = row.first().is_some_and(|cell| cell.text.is_empty());
            self.open("tr", if goes_on { "on" } else { "" });
            for (column, cell) in table.columns.iter().zip(row) {
                let head = if column.head.is_empty() || cell.text.is_empty() {
                    String::new()
                } else {
                    format!(" data-h=\"{}\"", escaped(&column.head))
                };
                self.raw(&format!("<td class=\"{}\"{head}>", align(column)));
                self.cell(cell);
                self.raw("</td>");
            }
            self.raw("</tr>");
        }
        self.raw("</tbody>");
    }

    /// A cell: its first line, and what explains it smaller below.
    fn cell(&mut self, cell: &Cell) {
        let (first, rest) = cell.text.split_once('\n').unwrap_or((&cell.text, ""));
        let opened = self.open_link(cell.link.as_ref());
        let first = bound(first);
        if cell.tone == Tone::Plain {
            self.text(&first);
        } else {
            self.raw(&format!("<span class=\"tone {}\">", class(cell.tone)));
            self.text(&first);
            self.raw("</span>");
        }
        self.raw(opened);
        for line in rest.lines() {
            self.element("small", "", line);
        }
    }

    /// Opens what a cell leads to; how it is closed.
    fn open_link(&mut self, link: Option<&Link>) -> &'static str {
        let Some(link) = link else { return "" };
        let run = match link.argument.as_str() {
            "" => String::new(),
            argument => format!(" data-run=\"{}\"", escaped(argument)),
        };
        if link.address().is_empty() {
            self.raw(&format!("<span{run}>"));
            return "</span>";
        }
        self.raw(&format!("<a href=\"{}\"{run}>", escaped(link.address())));
        "</a>"
    }

    fn stack(&mut self, charts: &[Chart]) {
        self.raw("<div class=\"stack\">");
        for chart in charts {
            self.figure(chart, "", &[("wide", PANEL), ("narrow", NARROW_PANEL)]);
        }
        self.raw("</div>");
    }

    fn chart(&mut self, chart: &Chart) {
        self.figure(
            chart,
            "",
            &[("wide", WIDE), ("medium", MEDIUM), ("narrow", NARROW)],
        );
    }

    fn forest(&mut self, forest: &Forest) {
        self.raw("<figure class=\"forest\"><figcaption>");
        self.element("strong", "", &forest.title);
        if !forest.about.is_empty() {
            self.element("span", "", &forest.about);
        }
        self.raw("</figcaption>");
        if forest.has_legend {
            self.raw("<ul class=\"legend\">");
            for (name, class) in ZONES {
                self.raw(&format!(
                    "<li><span class=\"{class}\" aria-hidden=\"true\"></span>{name}</li>"
                ));
            }
            self.raw("</ul>");
        }
        for form in [Form::Wide, Form::Narrow] {
            self.raw(&draw_forest(forest, form));
        }
        self.raw("</figure>");
    }

    /// A chart in several sizes, of which the page shows the one that fits.
    fn figure(&mut self, chart: &Chart, class: &str, sizes: &[(&str, Size)]) {
        let plot = Plot::of(chart);
        self.raw(&format!(
            "<figure{class} data-unit=\"{}\" data-axis=\"{}\"",
            chart.unit.name(),
            plot.axis()
        ));
        if let Horizontal::Time { end_us } = chart.x {
            self.raw(&format!(" data-end=\"{}\"", end_us.max(1)));
        }
        self.raw(">");
        self.raw("<figcaption>");
        self.element("strong", "", &chart.title);
        if !chart.about.is_empty() {
            self.element("span", "", &chart.about);
        }
        self.raw("</figcaption><ul class=\"legend\">");
        for (number, line) in chart.lines.iter().enumerate() {
            self.raw(&format!("<li data-line=\"{number}\">"));
            self.raw(&swatch(line.ink));
            self.text(&line.label);
            self.raw("</li>");
        }
        let cells = plot.cells();
        if let Some((_, most)) = &cells {
            self.raw("<li>");
            self.raw(&shades());
            self.text(&cells_shown(*most));
            self.raw("</li>");
        }
        if !chart.marks.faults.is_empty() && chart.place.has_head() {
            self.raw("<li><span class=\"window\" aria-hidden=\"true\"></span>");
            self.text(chart.marks.shading.name());
            self.raw("</li>");
        }
        self.raw("</ul>");
        if let Some((cells, _)) = cells {
            self.raw(&format!("<div hidden><svg class=\"cells\">{cells}</svg></div>"));
        }
        for (label, size) in sizes {
            self.raw(&plot.draw(*size, label));
        }
        self.raw("</figure>");
    }
}

/// How many of so many charts are large: what is left fills whole rows.
fn large(charts: usize) -> usize {
    if charts <= LARGE_CHARTS {
        return charts;
    }
    let fills = |large: &usize| (charts - large).is_multiple_of(SIDE_BY_SIDE);
    (0..=LARGE_CHARTS).rev().find(fills).unwrap_or(LARGE_CHARTS)
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Doubt => "doubt",
        Tone::Bad => "bad",
    }
}

/// A shape beside the colour, for those who can't tell red from green.
fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✓",
        Tone::Bad => "✕",
        Tone::Plain | Tone::Doubt => "?",
    }
}

fn align(column: &Column) -> &'static str {
    match column.align {
        Align::Left => "l",
        Align::Right => "r",
        Align::Wide => "w",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_charts_fill_whole_rows() {
        assert_eq!([1, 4, 5, 6, 7, 8, 10, 12].map(large), [1, 4, 2, 3, 4, 2, 4, 3]);
    }
}
