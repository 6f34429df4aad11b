//! The fields of a mapping: known keys, required keys, keys that exclude or need each other.

use serde_json::json;

use super::value::expected;
use super::{Decode, Kinded, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest, suggest};
use crate::node::{Entry, Mapping, Node};
use crate::span::Spanned;

/// A condition on which keys a mapping has; the walker and the schema both follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    kind: RuleKind,
    keys: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RuleKind {
    ExactlyOne,
    AtLeastOne,
    AtMostOne,
    AtMostOneWithout,
    Needs,
    Later,
}

impl Rule {
    /// Exactly one of these keys is there.
    pub const fn exactly_one(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::ExactlyOne,
            keys,
        }
    }

    /// One of these keys is there, or several.
    pub const fn at_least_one(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::AtLeastOne,
            keys,
        }
    }

    /// These keys exclude each other.
    pub const fn at_most_one(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::AtMostOne,
            keys,
        }
    }

    /// The keys after the first exclude each other where the first is not there.
    pub const fn at_most_one_without(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::AtMostOneWithout,
            keys,
        }
    }

    /// The first key needs one of the others.
    pub const fn needs(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::Needs,
            keys,
        }
    }

    /// Keys of the language that this version does not support yet.
    pub const fn later(keys: &'static [&'static str]) -> Rule {
        Rule {
            kind: RuleKind::Later,
            keys,
        }
    }

    /// `guessed` are keys that a misspelt one was probably meant to be; to miss those as well would be noise.
    fn check(&self, node: &Node, mapping: &Mapping, guessed: &[&str], diagnostics: &mut Diagnostics) {
        if self.kind == RuleKind::AtMostOneWithout
            && (mapping.entry(self.keys[0]).is_some() || guessed.contains(&self.keys[0]))
        {
            return;
        }
        let mut present: Vec<&Entry> = self.keys.iter().filter_map(|key| mapping.entry(key)).collect();
        present.sort_by_key(|(key, _)| key.span);
        match (self.kind, present.as_slice()) {
            (RuleKind::ExactlyOne | RuleKind::AtLeastOne, [])
                if !self.keys.iter().any(|key| guessed.contains(key)) =>
            {
                let message = format!("one of {} is needed", listed(self.keys, "or"));
                diagnostics.push(Diagnostic::error(node.head, message));
            }
            (
                RuleKind::ExactlyOne | RuleKind::AtMostOne | RuleKind::AtMostOneWithout,
                [(first, _), others @ ..],
            ) => {
                for (other, _) in others {
                    let message = format!("`{}` and `{}` exclude each other", first.value, other.value);
                    diagnostics
                        .push(Diagnostic::error(other.span, message).also(first.span, "the other one"));
                }
            }
            (RuleKind::Needs, [(only, _)])
                if only.value == self.keys[0] && !self.keys[1..].iter().any(|key| guessed.contains(key)) =>
            {
                let message = format!("`{}` needs {}", only.value, listed(&self.keys[1..], "or"));
                diagnostics.push(Diagnostic::error(only.span, message));
            }
            _ => {}
        }
    }

    /// The same in JSON Schema, to stand in an `allOf`.
    pub(super) fn schema(&self) -> Option<Schema> {
        let required = |key: &&str| json!({"required": [key]});
        let each: Vec<Schema> = self.keys.iter().map(required).collect();
        match self.kind {
            RuleKind::ExactlyOne => Some(json!({"oneOf": each})),
            RuleKind::AtLeastOne => Some(json!({"anyOf": each})),
            RuleKind::AtMostOne => Some(json!({"anyOf": [{"oneOf": each}, {"not": {"anyOf": each}}]})),
            RuleKind::AtMostOneWithout => {
                let (unless, each) = (&each[0], &each[1..]);
                Some(json!({"anyOf": [unless, {"oneOf": each}, {"not": {"anyOf": each}}]}))
            }
            RuleKind::Needs => Some(json!({"anyOf": [{"not": each[0]}, {"anyOf": each[1..]}]})),
            RuleKind::Later => None,
        }
    }
}

fn listed(keys: &[&str], last: &str) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

/// A mapping whose keys have been checked, to be read field by field.
pub struct Fields<'a> {
    node: &'a Node,
    mapping: &'a Mapping,
    rest: Option<&'a Entry>,
    /// Keys that a misspelt one was probably meant to be.
    guessed: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Takes `node` for a mapping with `keys`, reporting keys that are not among them and rules that do not hold. Where
    /// `open`, one more key of any name is kept for [`Fields::rest`].
    pub fn open(
        node: &'a Node,
        keys: &[&'static str],
        rules: &[Rule],
        open: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<Fields<'a>> {
        let Some(mapping) = node.as_mapping() else {
            diagnostics.push(expected("a mapping", node));
            return None;
        };
        let later: Vec<&str> = rules
            .iter()
            .filter(|rule| rule.kind == RuleKind::Later)
            .flat_map(|rule| rule.keys)
            .copied()
            .collect();
        let mut unknown: Vec<&Entry> = Vec::new();
        for entry in &mapping.entries {
            let key = entry.0.value.as_str();
            if later.contains(&key) {
                let message = format!("`{key}` is not supported by this version");
                diagnostics.push(Diagnostic::error(entry.0.span, message).label("comes with a later one"));
            } else if !keys.contains(&key) {
                unknown.push(entry);
            }
        }
        let rest = if open { take_rest(&mut unknown, keys) } else { None };
        let mut guessed = Vec::new();
        for (key, params) in unknown {
            if diagnostics.is_full() {
                diagnostics.push(Diagnostic::error(key.span, "unknown key"));
                continue;
            }
            let near = nearest(key, keys.iter().copied());
            guessed.extend(keys.iter().copied().filter(|key| near == Some(*key)));
            diagnostics.push(match rest {
                Some((kind, _)) if params.as_scalar().is_none() && near.is_none() => {
                    let message = format!("`{}` cannot stand beside `{}`", key.value, kind.value);
                    Diagnostic::error(key.span, message).also(kind.span, "one kind is possible")
                }
                _ => unknown_key(key, keys, mapping.taken),
            });
        }
        for rule in rules {
            rule.check(node, mapping, &guessed, diagnostics);
        }
        Some(Fields {
            node,
            mapping,
            rest,
            guessed,
        })
    }

    /// The value of `key`; one that is missing though required, or cannot be read, is reported.
    pub fn get<T: Decode>(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<T> {
        let Some((name, node)) = self.mapping.entry(key) else {
            return T::absent().or_else(|| {
                if !self.guessed.contains(&key) {
                    diagnostics.push(Diagnostic::error(
                        self.node.head,
                        format!("the key `{key}` is missing"),
                    ));
                }
                T::stand_in(self.node.head)
            });
        };
        T::decode(node, diagnostics).or_else(|| T::stand_in(name.span))
    }

    /// The value of `key`, or `default` where it is missing or, once that is reported, cannot be read.
    pub fn get_or<T: Decode>(&self, key: &str, default: T, diagnostics: &mut Diagnostics) -> Option<T> {
        let decoded = self
            .mapping
            .get(key)
            .and_then(|node| T::decode(node, diagnostics));
        Some(decoded.unwrap_or(default))
    }

    /// The one key of any name, which tells the kind of `what`; its absence is reported with `example`.
    pub fn rest(&self, what: &str, example: &str, diagnostics: &mut Diagnostics) -> Option<Kinded> {
        let Some((kind, params)) = self.rest else {
            let error = Diagnostic::error(self.node.head, format!("no key here tells the {what}"));
            diagnostics.push(error.help(format!("add one, such as `{example}`")));
            return None;
        };
        Some(Kinded {
            kind: kind.clone(),
            params: params.clone(),
        })
    }
}

/// Finds the entry that names the kind among those with unknown keys and takes it out: rather one that has parameters,
/// and rather one that is not a slip of a known key.
fn take_rest<'a>(unknown: &mut Vec<&'a Entry>, keys: &[&'static str]) -> Option<&'a Entry> {
    let is_slip = |entry: &Entry| nearest(&entry.0.value, keys.iter().copied()).is_some();
    let has_params = |entry: &Entry| entry.1.as_scalar().is_none();
    let at = unknown
        .iter()
        .position(|entry| has_params(entry) && !is_slip(entry))
        .or_else(|| unknown.iter().position(|entry| has_params(entry)))
        .or_else(|| unknown.iter().position(|entry| !is_slip(entry)))?;
    Some(unknown.remove(at))
}

/// The error for a key that is not among `keys` nor among those that were `taken` out before.
pub fn unknown_key(key: &Spanned<String>, keys: &[&str], taken: &[&str]) -> Diagnostic {
    let shown: String = key.chars().take(60).collect();
    Diagnostic::error(key.span, format!("unknown key `{shown}`"))
        .help_if(suggest(key, keys.iter().chain(taken).copied()))
}
