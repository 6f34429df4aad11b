//! The one namespace of services, loads, phases, faults and invariants.
//!
//! Names are gathered from the tree rather than from what could be decoded, so that a service with a wrong setting is
//! not reported as missing wherever it is named.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Diagnostics, suggest};
use crate::node::Node;
use crate::span::{Span, Spanned};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A service.
    Service,
    /// A load.
    Load,
    /// A phase.
    Phase,
    /// A fault that was given this name.
    Fault,
    /// A fault that was given none and has that of its kind.
    FaultKind,
    /// An invariant.
    Invariant,
}

impl Class {
    /// With its article.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Service => "a service",
            Class::Load => "a load",
            Class::Phase => "a phase",
            Class::Fault | Class::FaultKind => "a fault",
            Class::Invariant => "an invariant",
        }
    }

    const fn is_fault(self) -> bool {
        matches!(self, Class::Fault | Class::FaultKind)
    }
}

/// A name, what it stands for, and where it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub class: Class,
    /// Where it was given.
    pub span: Span,
}

/// Every name that a scenario gives, in the order in which it does.
#[derive(Clone, Debug, Default)]
pub struct Names {
    declared: Vec<Declared>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Names {
    /// Collects the names of a scenario's tree, whatever else is wrong with it.
    pub fn gather(root: &Node) -> Names {
        let mut names = Names::default();
        for (section, class) in [
            ("services", Class::Service),
            ("load", Class::Load),
            ("invariants", Class::Invariant),
        ] {
            let entries = root
                .get(section)
                .and_then(Node::as_mapping)
                .map_or(&[][..], |mapping| &mapping.entries);
            for (key, _) in entries {
                names.add(&key.value, class, key.span);
            }
        }
        for phase in root.get("phases").and_then(Node::as_sequence).unwrap_or(&[]) {
            if let Some(name) = phase.get("phase")
                && let Some(text) = name.as_str()
            {
                names.add(text, Class::Phase, name.span);
            }
            for fault in phase.get("faults").and_then(Node::as_sequence).unwrap_or(&[]) {
                names.add_fault(fault);
            }
        }
        names
    }

    fn add_fault(&mut self, fault: &Node) {
        if let Some(kind) = fault.as_str() {
            return self.add(kind, Class::FaultKind, fault.span);
        }
        let Some([(kind, params)]) = fault.as_mapping().map(|mapping| mapping.entries.as_slice()) else {
            return;
        };
        match params.get("as") {
            None => self.add(kind, Class::FaultKind, kind.span),
            Some(name) => {
                if let Some(text) = name.as_str() {
                    self.add(text, Class::Fault, name.span);
                }
            }
        }
    }

    fn add(&mut self, name: &str, class: Class, span: Span) {
        self.by_name
            .entry(name.to_owned())
            .or_default()
            .push(self.declared.len());
        self.declared.push(Declared {
            name: name.to_owned(),
            class,
            span,
        });
    }

    /// Every name.
    pub fn all(&self) -> &[Declared] {
        &self.declared
    }

    /// What `name` stands for; several only for kinds of faults, or where duplicates were reported.
    pub fn find(&self, name: &str) -> impl Iterator<Item = &Declared> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| &self.declared[*at])
    }

    /// True if something of a fitting class is called `name`.
    pub fn has(&self, name: &str, fits: impl Fn(Class) -> bool) -> bool {
        self.find(name).any(|declared| fits(declared.class))
    }

    /// Reports names that were given twice and names that are reserved.
    pub(super) fn check(&self, diagnostics: &mut Diagnostics) {
        let mut in_order: Vec<&Declared> = self.declared.iter().collect();
        in_order.sort_by_key(|declared| declared.span);
        // What was first given a name: at all, and other than by a fault's kind.
        let mut first: HashMap<&str, (&Declared, Option<&Declared>)> = HashMap::new();
        for declared in in_order {
            let Declared { name, class, span } = declared;
            if let Some(why) = reserved(name, *class) {
                diagnostics.push(Diagnostic::error(
                    *span,
                    format!("the name `{name}` is reserved: {why}"),
                ));
            }
            let is_kind = *class == Class::FaultKind;
            let (any, named) = first.entry(name).or_insert((declared, None));
            // Two unnamed faults of a kind are no conflict until something names them.
            let other = if is_kind {
                *named
            } else {
                Some(*any).filter(|any| !std::ptr::eq(*any, declared))
            };
            if !is_kind && named.is_none() {
                *named = Some(declared);
            }
            if let Some(other) = other {
                diagnostics.push(duplicate(declared, other));
            }
        }
    }

    /// Reports a reference to `name` unless exactly one thing of a fitting class is called so. `what` is what would
    /// fit, with its article.
    pub(super) fn refer(
        &self,
        name: &Spanned<&str>,
        what: &str,
        fits: impl Fn(Class) -> bool,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let mut found = self.find(name.value).filter(|declared| fits(declared.class));
        let Some(first) = found.next() else {
            let advice = !diagnostics.is_full();
            diagnostics.push(self.unknown(name, what, fits, advice));
            return false;
        };
        if first.class == Class::FaultKind
            && let Some(second) = found.next()
        {
            let message = format!("`{}` could be any of several faults", name.value);
            let error = Diagnostic::error(name.span, message)
                .also(first.span, "this one")
                .also(second.span, "or this");
            diagnostics.push(error.help("give each a name with `as`"));
            return false;
        }
        true
    }

    fn unknown(
        &self,
        name: &Spanned<&str>,
        what: &str,
        fits: impl Fn(Class) -> bool,
        advice: bool,
    ) -> Diagnostic {
        let error = match self.find(name.value).next() {
            Some(other) => {
                let message = format!("`{}` is {}, not {what}", name.value, other.class.name());
                Diagnostic::error(name.span, message).also(other.span, "given here")
            }
            None => Diagnostic::error(
                name.span,
                format!("there is no {} called `{}`", bare(what), name.value),
            ),
        };
        if !advice {
            return error;
        }
        let fitting = self
            .declared
            .iter()
            .filter(|one| fits(one.class))
            .map(|one| one.name.as_str())
            .take(CANDIDATES);
        let whole = what.ends_with("`run`").then_some("run");
        error.help_if(suggest(name.value, fitting.chain(whole)))
    }
}

/// The error for a name that `other` has already.
fn duplicate(declared: &Declared, other: &Declared) -> Diagnostic {
    let Declared { name, class, span } = declared;
    let message = if class.name() == other.class.name() {
        format!("two things are called `{name}`, each {}", class.name())
    } else {
        format!(
            "`{name}` is {} here and {} elsewhere",
            class.name(),
            other.class.name()
        )
    };
    let unnamed = *class == Class::FaultKind || other.class == Class::FaultKind;
    let help = if unnamed {
        "give the fault a name of its own with `as`"
    } else {
        "rename one of them"
    };
    Diagnostic::error(*span, message)
        .also(other.span, "first given here")
        .help(help)
}

/// The most names that are searched for the nearest.
pub(super) const CANDIDATES: usize = 200;

/// Without the article.
fn bare(what: &str) -> &str {
    what.strip_prefix("a ")
        .or_else(|| what.strip_prefix("an "))
        .unwrap_or(what)
}

fn reserved(name: &str, class: Class) -> Option<&'static str> {
    match name {
        "run" => Some("it stands for the whole run in `expect`"),
        "baseline" => Some("it stands for the phase that recovery is measured against"),
        "edge" if !class.is_fault() => {
            Some("it begins the metrics of an edge, such as `edge.a->b.connections`")
        }
        "host" if class == Class::Service => Some("it stands for the machine itself in the series"),
        "port" | "data" | "squall" | "arm" if class == Class::Service => {
            Some("it is a placeholder of its own")
        }
        _ => None,
    }
}
