//! What is wrong with a text, all of it at once.
//!
//! A [`Diagnostic`] says what is wrong, where, and what to write instead. Decoding and checking push into one
//! [`Diagnostics`] and go on, so that a user sees every error of a scenario in one go. How they look on a terminal is
//! the command line's business; the plain form here is `file:line:column: error: message`.

use std::fmt;

use crate::span::{Sources, Span};

/// The most diagnostics that are kept; the rest is counted.
const KEPT: usize = 500;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario cannot run.
    Error,
    /// The scenario runs, and the user should know.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// Another place that belongs to a diagnostic, such as the first of two duplicates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What is there.
    pub label: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: one lower-case line without a full stop.
    pub message: String,
    /// Where; `None` for what concerns no single place.
    pub span: Option<Span>,
    /// A few words to stand under the place; empty for none.
    pub label: String,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// What to write instead.
    pub help: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            span: Some(span),
            label: String::new(),
            related: Vec::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// A warning at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(span, message)
        }
    }

    /// Puts a few words under the place.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Says what to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Says what to write instead, if there is something to say.
    pub fn help_if(mut self, help: Option<String>) -> Diagnostic {
        self.help = help.or(self.help);
        self
    }

    /// Adds something worth knowing.
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// Points at another place that belongs to it.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.related.push(Related {
            span,
            label: label.into(),
        });
        self
    }

    /// The plain form: `file:line:column: error: message`, then the related places, notes and help on lines of their own.
    pub fn display<'a>(&'a self, sources: &'a Sources) -> impl fmt::Display + 'a {
        Plain {
            diagnostic: self,
            sources,
        }
    }
}

struct Plain<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a Sources,
}

impl Plain<'_> {
    fn place(&self, f: &mut fmt::Formatter<'_>, span: Span) -> fmt::Result {
        let position = self.sources.position(span);
        write!(
            f,
            "{}:{}:{}: ",
            self.sources.name(span.source),
            position.line,
            position.column
        )
    }
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let diagnostic = self.diagnostic;
        if let Some(span) = diagnostic.span {
            self.place(f, span)?;
        }
        write!(f, "{}: {}", diagnostic.severity, diagnostic.message)?;
        if !diagnostic.label.is_empty() {
            write!(f, " ({})", diagnostic.label)?;
        }
        for related in &diagnostic.related {
            f.write_str("\n  ")?;
            self.place(f, related.span)?;
            f.write_str(&related.label)?;
        }
        for note in &diagnostic.notes {
            write!(f, "\n  note: {note}")?;
        }
        if let Some(help) = &diagnostic.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Everything found so far.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    errors: usize,
}

impl Diagnostics {
    /// Nothing found.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Adds one. An exact repetition, as an alias makes it, is left out; after 500 the rest is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let full = self.is_full();
        if !full && self.found.contains(&diagnostic) {
            return;
        }
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if !full {
            self.found.push(diagnostic);
        }
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: Diagnostics) {
        // Those that the other only counted stay counted.
        let kept = other
            .found
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        self.errors += other.errors - kept;
        other
            .found
            .into_iter()
            .for_each(|diagnostic| self.push(diagnostic));
    }

    /// Adds those of another that `fits` accepts.
    pub fn extend_where(&mut self, mut other: Diagnostics, fits: impl Fn(&Diagnostic) -> bool) {
        let before = other
            .found
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        other.found.retain(fits);
        let after = other
            .found
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        other.errors -= before - after;
        self.extend(other);
    }

    /// Replaces `secret` by `shown` in every text, so that a value from the environment reaches no screen.
    pub fn redact(&mut self, secret: &str, shown: &str) {
        let clean = |text: &mut String| {
            if text.contains(secret) {
                *text = text.replace(secret, shown);
            }
        };
        for one in &mut self.found {
            clean(&mut one.message);
            clean(&mut one.label);
            one.help.as_mut().map(clean);
            one.notes
                .iter_mut()
                .chain(one.related.iter_mut().map(|related| &mut related.label))
                .for_each(clean);
        }
    }

    /// How many errors were found, warnings not counted.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// True if no error was found; there may be warnings.
    pub fn ok(&self) -> bool {
        self.errors == 0
    }

    /// True if nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// True if more are only counted: then there is no point in working out advice.
    pub fn is_full(&self) -> bool {
        self.found.len() >= KEPT
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// By text and place, those without a place last.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.found.iter().collect();
        sorted.sort_by_key(|diagnostic| (diagnostic.span.is_none(), diagnostic.span));
        sorted
    }

    /// The plain form of all, sorted, one after the other.
    pub fn display<'a>(&'a self, sources: &'a Sources) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            for (index, diagnostic) in self.sorted().into_iter().enumerate() {
                if index > 0 {
                    f.write_str("\n")?;
                }
                write!(f, "{}", diagnostic.display(sources))?;
            }
            Ok(())
        })
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The candidate that was probably meant by `name`: at most a third of its letters differ, a swap counting as one.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace('-', "_");
    let length = folded.chars().count();
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= 1 + length / 3)
        .map(|candidate| {
            let other = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&folded, &other), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(length) / 3).max(1))
        .filter(|(distance, candidate)| *distance < candidate.chars().count().min(length).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help for a name that is not one of `candidates`: the nearest, else all of them where they are few.
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LISTED: usize = 20;
    let mut candidates: Vec<&str> = candidates.into_iter().collect();
    let mut seen = std::collections::HashSet::new();
    candidates.retain(|candidate| seen.insert(*candidate));
    if let Some(nearest) = nearest(name, candidates.iter().copied()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    match candidates.as_slice() {
        [] => None,
        [only] => Some(format!("the only one is `{only}`")),
        some if some.len() <= LISTED => {
            let quoted: Vec<String> = some.iter().map(|one| format!("`{one}`")).collect();
            Some(format!("one of {}", quoted.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::SourceId;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = ["rate", "users", "timeout", "connections", "to", "arrivals"];
        let nearest = |name| nearest(name, names);
        assert_eq!(nearest("rat"), Some("rate"));
        assert_eq!(nearest("rtae"), Some("rate"));
        assert_eq!(nearest("Rate"), Some("rate"));
        assert_eq!(nearest("conections"), Some("connections"));
        assert_eq!(nearest("http"), None);
        assert_eq!(nearest("tcp"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn errors_are_sorted_by_place_and_repetitions_left_out() {
        let at = |start: usize| Span::new(SourceId(0), start..start + 1);
        let mut found = Diagnostics::new();
        assert!(found.ok() && found.is_empty());
        found.push(Diagnostic::error(at(4), "second"));
        found.push(Diagnostic::error(at(1), "first"));
        found.push(Diagnostic::error(at(1), "first"));
        found.push(Diagnostic::warning(at(0), "a hint"));
        let messages: Vec<&str> = found.sorted().iter().map(|one| one.message.as_str()).collect();
        assert_eq!(messages, ["a hint", "first", "second"]);
        assert!(!found.ok());
    }
}
