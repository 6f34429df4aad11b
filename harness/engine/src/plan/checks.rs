//! What an answer over HTTP must be: `check:` of a load.

use serde_json::json;
use squall_load::check::{Checks, Statuses, Wanted, WantedJson};
use squall_load::{Pattern, Pointer};
use squall_model::decode::{Decode, Key, Map, Schema, Text, expected};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::expression::Operator;
use squall_model::name::NameError;
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Span;
use squall_model::units::{Bytes, Quantity as _};

use super::protocol::HeaderName;

record! {
    /// What an answer must be. Each check that fails is a kind of error of its own.
    pub struct Check {
        /// Its status: `200`, `2xx`, or a list; replaces the rule that 400 and above is an error.
        pub status: Option<StatusList>,
        /// Header fields by name: a text that they are equal to, or `/REGEX/`.
        pub header: Map<HeaderName, Expected> = Map::new(),
        /// Values in a JSON body by pointer: what stands there, or `/REGEX/`.
        pub json: Map<PointerText, Node> = Map::new(),
        /// The size of its body: `<= 10KiB`, or a list.
        pub size: Option<SizeList>,
        /// Its body: a text that it is equal to, or `/REGEX/`.
        pub body: Option<Expected>,
    }
}

impl Check {
    /// The checks, as the generator makes them.
    pub(super) fn compile(&self, span: Span, diagnostics: &mut Diagnostics) -> Checks {
        let found = diagnostics.error_count();
        let mut checks = Checks {
            status: self
                .status
                .as_ref()
                .map(|list| list.0.clone())
                .unwrap_or_default(),
            size: self.size.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            body: self.body.as_ref().map(|expected| expected.0.clone()),
            ..Checks::default()
        };
        for (name, wanted) in &self.header {
            checks
                .headers
                .push((name.value.as_ref().to_owned(), wanted.0.clone()));
        }
        for (pointer, node) in &self.json {
            let wanted = wanted_json(node, diagnostics);
            match pointer.value.0.parse::<Pointer>() {
                Ok(pointer) => checks.json.extend(wanted.map(|wanted| (pointer, wanted))),
                Err(error) => diagnostics.push(Diagnostic::error(pointer.span, error.to_string())),
            }
        }
        if checks.is_empty() && diagnostics.error_count() == found {
            let error = Diagnostic::error(span, "this checks nothing");
            diagnostics.push(error.help("add one of `status`, `header`, `json`, `size`, `body`"));
        }
        checks
    }
}

fn wanted_json(node: &Node, diagnostics: &mut Diagnostics) -> Option<WantedJson> {
    match node.as_str().map(|text| pattern(text, node, diagnostics)) {
        Some(Ok(Some(pattern))) => Some(WantedJson::Pattern(pattern)),
        Some(Err(())) => None,
        _ => Some(WantedJson::Value(node.to_json())),
    }
}

/// The pattern in `/.../`, if it is one; one that can't be read is reported.
fn pattern(text: &str, node: &Node, diagnostics: &mut Diagnostics) -> Result<Option<Pattern>, ()> {
    let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        return Ok(None);
    };
    match inner.parse::<Pattern>() {
        Ok(pattern) => Ok(Some(pattern)),
        Err(error) => {
            diagnostics.push(Diagnostic::error(node.head, error.to_string()));
            Err(())
        }
    }
}

/// A text to be equal to, or a regular expression between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Wanted);

impl Decode for Expected {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Expected> {
        let text = Text::decode(node, diagnostics)?.0;
        let wanted = match pattern(&text, node, diagnostics).ok()? {
            Some(pattern) => Wanted::Pattern(pattern),
            None => Wanted::Text(text),
        };
        Some(Expected(wanted))
    }

    fn schema() -> Schema {
        Text::schema()
    }
}

/// A JSON pointer as a key; whether it is one is checked with the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerText(String);

impl AsRef<str> for PointerText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Key for PointerText {
    const PATTERN: &str = "^";

    fn parse(text: &str) -> Result<PointerText, NameError> {
        Ok(PointerText(text.to_owned()))
    }
}

/// The items of a list, or the one item that stands without one.
fn items(node: &Node) -> &[Node] {
    node.as_sequence().unwrap_or(std::slice::from_ref(node))
}

/// Reports a list without items.
fn check_some(node: &Node, diagnostics: &mut Diagnostics) -> Option<()> {
    if items(node).is_empty() {
        let message = "the list is empty; at least one item is needed";
        diagnostics.push(Diagnostic::error(node.head, message));
        return None;
    }
    Some(())
}

/// One status, a class of them such as `2xx`, or a list of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList(Vec<Statuses>);

impl Decode for StatusList {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<StatusList> {
        check_some(node, diagnostics)?;
        let mut all = Vec::new();
        for item in items(node) {
            match statuses(item) {
                Some(statuses) => all.push(statuses),
                None => diagnostics.push(expected("a status such as 200 or 2xx", item)),
            }
        }
        Some(StatusList(all))
    }

    fn schema() -> Schema {
        let one = json!({"anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^[1-5]xx$"},
        ]});
        json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

fn statuses(node: &Node) -> Option<Statuses> {
    if let Some(text) = node.as_str() {
        let class = text.strip_suffix("xx")?;
        let class: u16 = class
            .parse()
            .ok()
            .filter(|class| class_is_known(*class) && text.len() == 3)?;
        let from = class * 100;
        return Some(Statuses { from, to: from + 99 });
    }
    let status = u16::try_from(node.as_scalar()?.as_integer()?).ok()?;
    class_is_known(status / 100).then_some(Statuses {
        from: status,
        to: status,
    })
}

fn class_is_known(class: u16) -> bool {
    (1..=5).contains(&class)
}

/// One condition on a size, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeList(Vec<(Operator, u64)>);

impl Decode for SizeList {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<SizeList> {
        check_some(node, diagnostics)?;
        let mut all = Vec::new();
        for item in items(node) {
            match item.as_str().and_then(size) {
                Some(size) => all.push(size),
                None => diagnostics.push(expected("a condition on a size such as \"<= 10KiB\"", item)),
            }
        }
        Some(SizeList(all))
    }

    fn schema() -> Schema {
        let one = json!({"type": "string", "pattern": "^ *(?:<=|>=|==|!=|<|>) *[0-9]"});
        json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

/// The operators, a longer one before one that it begins with.
const OPERATORS: [Operator; 6] = [
    Operator::LessOrEqual,
    Operator::GreaterOrEqual,
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::Greater,
];

fn size(text: &str) -> Option<(Operator, u64)> {
    let text = text.trim();
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|operator| Some((*operator, text.strip_prefix(operator.as_str())?)))?;
    let bytes = Bytes::parse(rest.trim()).ok()?;
    Some((operator, bytes.0))
}
