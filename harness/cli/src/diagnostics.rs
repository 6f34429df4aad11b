//! Diagnostics on a terminal: file, line, column, the line underlined, and what to write instead.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};
use squall_model::diagnostic::{Diagnostic, Severity};

use crate::output;
use crate::scenarios::Read;

/// Prints everything that is wrong with a scenario to standard error.
pub fn print(read: &Read) {
    let renderer = if output::error_colours() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    for diagnostic in read.diagnostics.sorted() {
        output::note(&renderer.render(&groups(diagnostic, read)));
        output::note("");
    }
    let errors = read.diagnostics.error_count();
    if errors > 0 {
        let plural = if errors == 1 { "" } else { "s" };
        output::note(&format!("{}: {errors} error{plural}", read.name));
    }
}

fn groups<'a>(diagnostic: &'a Diagnostic, read: &'a Read) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message));
    if let Some(span) = diagnostic.span {
        let text = read.sources.text(span.source);
        let mut snippet = Snippet::source(text)
            .path(read.sources.name(span.source))
            .annotation(
                AnnotationKind::Primary
                    .span(span.range())
                    .label(&diagnostic.label),
            );
        for related in diagnostic
            .related
            .iter()
            .filter(|related| related.span.source == span.source)
        {
            snippet = snippet.annotation(
                AnnotationKind::Context
                    .span(related.span.range())
                    .label(&related.label),
            );
        }
        // Without a text, as for a file that can't be read, there is no line to show.
        if !text.is_empty() {
            group = group.element(snippet);
        }
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(note));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    vec![group]
}

/// The same for programs.
pub fn json(read: &Read) -> Vec<Value> {
    let one = |diagnostic: &&Diagnostic| {
        let place = diagnostic.span.map(|span| read.sources.position(span));
        json!({
            "file": read.name,
            "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "message": diagnostic.message,
            "help": diagnostic.help,
        })
    };
    read.diagnostics.sorted().iter().map(one).collect()
}
