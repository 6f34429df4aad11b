//! Between whom: `between: [a, b]`, or `from: a, to: b` for the bytes of one direction, or `groups: [[a, b], [c]]`.

use squall_model::decode::NonEmpty;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::span::{Span, Spanned};
use squall_model::units::{Bytes, Ratio};

/// The ends of one or more edges, as written; loads and services.
#[derive(Clone, Debug, PartialEq)]
pub enum Ends {
    /// All bytes between two.
    Between([Spanned<String>; 2]),
    /// The bytes from the first to the second.
    Way([Spanned<String>; 2]),
    /// All bytes between any two of different groups.
    Groups(Vec<Vec<Spanned<String>>>),
}

/// What a fault's parameters say of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// `between`
    pub between: Option<&'a NonEmpty<Spanned<Name>>>,
    /// `from` and `to`
    pub way: Option<(&'a Spanned<Name>, &'a Spanned<Name>)>,
    /// `groups`
    pub groups: Option<&'a [NonEmpty<Spanned<Name>>]>,
    /// Where the fault is written.
    pub span: Span,
}

fn text(name: &Spanned<Name>) -> Spanned<String> {
    Spanned::new(name.value.to_string(), name.span)
}

impl<'a> Between<'a> {
    /// All bytes between two.
    pub fn both(names: &'a NonEmpty<Spanned<Name>>, span: Span) -> Between<'a> {
        Between {
            between: Some(names),
            way: None,
            groups: None,
            span,
        }
    }

    /// The ends, or what is wrong with them.
    pub fn ends(self, diagnostics: &mut Diagnostics) -> Option<Ends> {
        if let Some((from, to)) = self.way {
            return Some(Ends::Way([text(from), text(to)]));
        }
        if let Some(groups) = self.groups {
            if groups.len() < 2 {
                let error = Diagnostic::error(self.span, "one group is cut off from nobody");
                diagnostics.push(error.help("write two or more: `groups: [[a, b], [c]]`"));
                return None;
            }
            let groups = groups.iter().map(|group| group.iter().map(text).collect());
            return Some(Ends::Groups(groups.collect()));
        }
        // Where they are missing altogether, that was said when the parameters were read.
        let names: Vec<_> = self.between?.iter().collect();
        let [first, second] = names[..] else {
            let error = Diagnostic::error(self.span, "an edge has two ends");
            diagnostics.push(error.help("write `between: [CALLER, CALLEE]`"));
            return None;
        };
        Some(Ends::Between([text(first), text(second)]))
    }
}

impl std::fmt::Display for Ends {
    /// "between feed and ranking", "from feed to ranking"
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ends::Between([one, other]) => write!(f, "between {} and {}", one.value, other.value),
            Ends::Way([from, to]) => write!(f, "from {} to {}", from.value, to.value),
            Ends::Groups(groups) => {
                let groups = groups.iter().map(|group| {
                    let names: Vec<&str> = group.iter().map(|name| name.value.as_str()).collect();
                    names.join(", ")
                });
                write!(f, "between the groups {}", groups.collect::<Vec<_>>().join(" | "))
            }
        }
    }
}

/// The share of connections or requests that a fault is for; all where nothing is written.
pub fn share(written: Option<&Spanned<Ratio>>, diagnostics: &mut Diagnostics) -> Option<f64> {
    let Some(written) = written else {
        return Some(1.0);
    };
    let share = written.value.get();
    if share > 0.0 && share <= 1.0 {
        return Some(share);
    }
    diagnostics.push(Diagnostic::error(
        written.span,
        "a share is more than 0% and at most 100%",
    ));
    None
}

/// A size of at least one byte; what is wrong with none, and what to do instead.
pub fn size(
    written: &Spanned<Bytes>,
    problem: &str,
    help: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<u64> {
    if written.value.0 > 0 {
        return Some(written.value.0);
    }
    diagnostics.push(Diagnostic::error(written.span, problem).help(help));
    None
}

/// Declares the parameters of a fault on the bytes of an edge: those that every one has, and its own.
macro_rules! on_an_edge {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident { $($fields:tt)* }
        $($rules:tt)*
    ) => {
        squall_model::record! {
            $(#[doc = $doc])*
            pub struct $name {
                /// The two ends of the edge, in any order; bytes of both directions.
                pub between: Option<squall_model::decode::NonEmpty<squall_model::span::Spanned<squall_model::name::Name>>>,
                /// Whose bytes: only those from here to `to`.
                pub from: Option<squall_model::span::Spanned<squall_model::name::Name>>,
                /// To whom.
                pub to: Option<squall_model::span::Spanned<squall_model::name::Name>>,
                $($fields)*
            }
            needs ["from", "to"];
            needs ["to", "from"];
            $($rules)*
        }
    };
}
pub(in crate::fault) use on_an_edge;

/// The ends that a fault's parameters name; [`on_an_edge`] has declared them.
macro_rules! ends_of {
    ($written:ident, $fault:ident) => {
        $crate::fault::edge::Between {
            between: $written.between.as_ref(),
            way: $written.from.as_ref().zip($written.to.as_ref()),
            groups: None,
            span: $fault.kind.span,
        }
    };
}
pub(in crate::fault) use ends_of;
