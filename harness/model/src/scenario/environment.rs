//! `${NAME}` and `${NAME:-default}` in values, from the environment.
//!
//! A value that comes from here is remembered as such: it is never a placeholder and no message shows it.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::EnvName;
use crate::node::{Kind, Limits, Node, Piece};
use crate::span::Span;

/// What came of it.
#[derive(Default)]
pub(super) struct Substituted {
    /// The places of the values in which a reference could not be replaced, each reported.
    pub(super) unresolved: HashSet<Span>,
    /// What was read from the environment: reference and value.
    pub(super) values: BTreeMap<String, String>,
}

/// Replaces every reference in every value below `root`; keys stay as they are.
pub(super) fn substitute(
    root: &mut Node,
    environment: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Substituted {
    let result = Substituted::default();
    let mut substitution = Substitution {
        environment,
        left: Limits::SCENARIO.text,
        result,
        diagnostics,
    };
    substitution.node(root);
    substitution.result
}

struct Substitution<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Bytes that may still be put in.
    left: usize,
    result: Substituted,
    diagnostics: &'a mut Diagnostics,
}

impl Substitution<'_> {
    fn node(&mut self, node: &mut Node) {
        let pieces = match &mut node.kind {
            Kind::Sequence(items) => return items.iter_mut().for_each(|item| self.node(item)),
            Kind::Mapping(mapping) => {
                return mapping.entries.iter_mut().for_each(|(_, value)| self.node(value));
            }
            Kind::Scalar(scalar) if !scalar.text.contains("${") => return,
            Kind::Scalar(scalar) => {
                let text = scalar.text.clone();
                let before = self.diagnostics.error_count();
                let pieces = self.pieces(&text, node);
                if self.diagnostics.error_count() > before {
                    self.result.unresolved.extend([node.span, node.head]);
                }
                pieces
            }
        };
        if let Kind::Scalar(scalar) = &mut node.kind {
            *scalar = scalar.substitute(&pieces);
        }
    }

    fn pieces(&mut self, text: &str, node: &Node) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut kept = 0;
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let start = at + found;
            if text[..start].ends_with('$') {
                // `$${` is `${` as it stands: the first `$` goes.
                pieces.push(Piece::Kept(kept..start - 1));
                kept = start;
                at = start + 2;
                continue;
            }
            let Some(length) = text[start..].find('}') else {
                self.report(node, start..text.len(), "this `${` is never closed".to_owned());
                break;
            };
            let end = start + length + 1;
            pieces.push(Piece::Kept(kept..start));
            let value = self.value(&text[start + 2..end - 1], node, start..end);
            pieces.push(Piece::Replaced(start..end, value.unwrap_or_default()));
            kept = end;
            at = end;
        }
        pieces.push(Piece::Kept(kept..text.len()));
        pieces
    }

    /// The value of `NAME` or `NAME:-default`.
    fn value(&mut self, reference: &str, node: &Node, range: Range<usize>) -> Option<String> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if name == "matrix" || name.starts_with("matrix.") {
            self.report(
                node,
                range,
                "`matrix` is not supported by this version".to_owned(),
            );
            return None;
        }
        if let Err(error) = EnvName::new(name) {
            self.report(node, range, format!("`${{{reference}}}`: {error}"));
            return None;
        }
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        let value = (self.environment)(name).filter(|value| default.is_none() || !value.is_empty());
        if let Some(value) = &value {
            self.result.values.insert(format!("${{{name}}}"), value.clone());
        }
        let Some(value) = value.or_else(|| default.map(str::to_owned)) else {
            let span = node.span_within(range);
            let error = Diagnostic::error(span, format!("the environment has no variable `{name}`"));
            self.diagnostics
                .push(error.help(format!("set it, or give a default: ${{{name}:-default}}")));
            return None;
        };
        let Some(left) = self.left.checked_sub(value.len()) else {
            self.report(
                node,
                range,
                "environment variables add more than 4 MiB".to_owned(),
            );
            return None;
        };
        self.left = left;
        Some(value)
    }

    fn report(&mut self, node: &Node, range: Range<usize>, message: String) {
        let error = Diagnostic::error(node.span_within(range), message);
        self.diagnostics
            .push(error.help("`${NAME}` reads the environment; write `$${` for the characters themselves"));
    }
}
