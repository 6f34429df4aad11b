//! `--set load.refresh.rate=1k/s`: a value put in before anything is decoded.
//!
//! A path is keys with dots between them. An item of a list is named by its number from 0, by the phase's name, or by
//! the fault's kind or name: `phases.cut.faults.clock.step`.

use crate::diagnostic::{Diagnostic, Diagnostics, suggest};
use crate::node::{self, Kind, Limits, Node};
use crate::span::{Sources, Span, Spanned};

/// Puts one `path=value` into the tree.
pub(super) fn apply(root: &mut Node, text: &str, sources: &mut Sources, diagnostics: &mut Diagnostics) {
    let id = sources.add("--set", text);
    let all = Span::new(id, 0..text.len());
    let Some((path, _)) = text.split_once('=') else {
        let error = Diagnostic::error(all, "an override is a path, `=` and a value");
        return diagnostics.push(error.help("such as load.refresh.rate=1k/s"));
    };
    // Blanks for the path, so that places in the value are places in the whole.
    let padded = format!("{}{}", " ".repeat(path.len() + 1), &text[path.len() + 1..]);
    let Some(value) = node::parse(id, &padded, &Limits::SCENARIO, diagnostics) else {
        return;
    };
    let mut segments = Vec::new();
    let mut at = 0;
    for segment in path.split('.') {
        segments.push(Spanned::new(segment, Span::new(id, at..at + segment.len())));
        at += segment.len() + 1;
    }
    let Some((last, parents)) = segments.split_last() else {
        return;
    };
    let mut here = root;
    for segment in parents {
        let candidates = keys(here);
        let Some(next) = step(here, segment.value) else {
            let help = suggest(segment.value, candidates.iter().map(String::as_str));
            let error = Diagnostic::error(segment.span, format!("there is no `{}` to change", segment.value));
            return diagnostics.push(error.help_if(help));
        };
        here = next;
    }
    if let Some(old) = step_exactly(here, last.value) {
        *old = value;
    } else if let Kind::Mapping(mapping) = &mut here.kind {
        mapping
            .entries
            .push((Spanned::new(last.value.to_owned(), last.span), value));
    } else {
        let message = format!("`{}` cannot be set on {}", last.value, here.describe());
        diagnostics.push(Diagnostic::error(last.span, message));
    }
}

/// What can follow in a path.
fn keys(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Scalar(_) => Vec::new(),
        Kind::Mapping(mapping) => mapping
            .entries
            .iter()
            .take(200)
            .map(|(key, _)| key.value.clone())
            .collect(),
        Kind::Sequence(items) => items.iter().take(200).filter_map(item_name).collect(),
    }
}

/// The name by which an item of a list is found: that of a phase, else that of a fault or its kind.
fn item_name(item: &Node) -> Option<String> {
    if let Some(phase) = item.get("phase") {
        return phase.as_str().map(str::to_owned);
    }
    match item.as_mapping()?.entries.as_slice() {
        [(kind, params)] => Some(
            params
                .get("as")
                .and_then(Node::as_str)
                .unwrap_or(&kind.value)
                .to_owned(),
        ),
        _ => None,
    }
}

/// The node that `segment` leads to; through a fault's name to its parameters.
fn step<'a>(node: &'a mut Node, segment: &str) -> Option<&'a mut Node> {
    let is_list = node.as_sequence().is_some();
    let found = step_exactly(node, segment)?;
    let by_name = is_list && segment.parse::<usize>().is_err() && found.get("phase").is_none();
    if by_name && found.as_mapping().is_some_and(|fault| fault.entries.len() == 1) {
        let Kind::Mapping(fault) = &mut found.kind else {
            return None;
        };
        return fault.entries.first_mut().map(|(_, params)| params);
    }
    Some(found)
}

fn step_exactly<'a>(node: &'a mut Node, segment: &str) -> Option<&'a mut Node> {
    match &mut node.kind {
        Kind::Scalar(_) => None,
        Kind::Mapping(mapping) => mapping
            .entries
            .iter_mut()
            .find(|(key, _)| key.value == segment)
            .map(|(_, value)| value),
        Kind::Sequence(items) => match segment.parse::<usize>() {
            Ok(index) => items.get_mut(index),
            Err(_) => items
                .iter_mut()
                .find(|item| item_name(item).as_deref() == Some(segment)),
        },
    }
}
