//! Where the values of invariants stand in responses.
//!
//! ```text
//! values = LOAD place | LOAD "each" POINTER
//! key    = place
//! place  = "response" POINTER | "header" NAME | "regex" PATTERN
//! ```
//!
//! `response` takes the one value at the JSON pointer and `each` every element of the array there, `header` the header field
//! and `regex` what the pattern's first group takes of the body.

use squall_load::journey::Part;
use squall_load::pattern::PatternError;
use squall_load::{Extraction, Place, Pointer};
use squall_model::decode::{Decode, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::node::Node;
use squall_model::span::Spanned;

use super::Ground;
use crate::plan::{Feed, PlannedLoad};

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMore(NonEmpty<Spanned<String>>);

impl Decode for OneOrMore {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<OneOrMore> {
        match node.as_sequence() {
            Some(_) => NonEmpty::decode(node, diagnostics).map(OneOrMore),
            None => Spanned::decode(node, diagnostics)
                .and_then(|one| NonEmpty::new(vec![one]))
                .map(OneOrMore),
        }
    }

    fn schema() -> Schema {
        serde_json::json!({"anyOf": [String::schema(), NonEmpty::<String>::schema()]})
    }
}

/// Has the loads read values as they come.
pub(super) fn values(values: &OneOrMore, ground: &mut Ground<'_>) -> Option<Vec<Feed>> {
    feeds(values, ground, |_, extraction, _| Some(extraction))
}

/// Has the loads read values as texts, one to a response, each behind the keys of its response.
pub(super) fn texts(
    keys: &[&Spanned<String>],
    values: &OneOrMore,
    ground: &mut Ground<'_>,
) -> Option<Vec<Feed>> {
    let places: Vec<Option<Place>> = keys
        .iter()
        .map(|key| key_place(key, ground.diagnostics))
        .collect();
    let feeds = feeds(values, ground, |text, extraction, diagnostics| {
        let Extraction::One(value) = extraction else {
            let message = format!("`{}` are many values, where one to a response is due", text.value);
            diagnostics
                .push(Diagnostic::error(text.span, message).help("write `response`, `header` or `regex`"));
            return None;
        };
        let all = places.iter().cloned().chain([Some(value)]);
        all.collect::<Option<_>>().map(Extraction::Together)
    });
    feeds.filter(|_| places.iter().all(Option::is_some))
}

/// Has the loads read what `shape` makes of each place; nothing where any of them is wrong, after all of them were looked at.
fn feeds(
    values: &OneOrMore,
    ground: &mut Ground<'_>,
    shape: impl Fn(&Spanned<String>, Extraction, &mut Diagnostics) -> Option<Extraction>,
) -> Option<Vec<Feed>> {
    let mut feeds = Vec::new();
    let mut is_right = true;
    for text in &values.0 {
        let found = source(text, ground.loads, ground.diagnostics);
        let shaped = found.and_then(|(load, one)| Some((load, shape(text, one, ground.diagnostics)?)));
        let Some((load, extraction)) = shaped else {
            is_right = false;
            continue;
        };
        let feed = feed(load, extraction, ground.loads);
        if !feeds.contains(&feed) {
            feeds.push(feed);
        }
    }
    is_right.then_some(feeds)
}

/// Has a load read one more thing out of its responses, if it doesn't yet.
pub(super) fn feed(load: usize, extraction: Extraction, loads: &mut [PlannedLoad]) -> Feed {
    let read = &mut loads[load].extract;
    let known = read.iter().position(|known| *known == extraction);
    let reading = known.unwrap_or_else(|| {
        read.push(extraction);
        read.len() - 1
    });
    Feed { load, reading }
}

/// Reads `LOAD response POINTER` and its like.
fn source(
    text: &Spanned<String>,
    loads: &[PlannedLoad],
    diagnostics: &mut Diagnostics,
) -> Option<(usize, Extraction)> {
    let mut words = text.trim().splitn(3, |one: char| one.is_ascii_whitespace());
    let (Some(load), Some(how @ ("response" | "each" | "header" | "regex")), Some(place)) =
        (words.next(), words.next(), words.next().map(str::trim))
    else {
        let error = Diagnostic::error(
            text.span,
            format!("`{}` does not say where values stand", text.value),
        );
        diagnostics.push(error.help(
            "write `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, such as \
             `single response /id`",
        ));
        return None;
    };
    let Some(index) = loads.iter().position(|one| one.name == *load) else {
        let error = Diagnostic::error(text.span, format!("there is no load called `{load}`"));
        diagnostics.push(error.help_if(suggest(load, loads.iter().map(|one| one.name.as_str()))));
        return None;
    };
    if let Part::Journey(journey) = loads[index].asked.protocol.part() {
        let error = Diagnostic::error(
            text.span,
            format!("`{load}` is a journey, whose steps have the answers"),
        );
        let step = journey
            .steps
            .first()
            .map(|step| format!("name one of them, such as `{load}.{}`", step.name));
        diagnostics.push(error.help_if(step));
        return None;
    }
    let extraction = match how {
        "each" => place
            .parse()
            .map(Extraction::Each)
            .map_err(|e: squall_load::extract::PointerError| e.to_string()),
        _ => one_place(how, place).map(Extraction::One),
    };
    extraction
        .map_err(|e| diagnostics.push(Diagnostic::error(text.span, e)))
        .ok()
        .map(|extraction| (index, extraction))
}

/// Reads `response POINTER` and its like.
fn key_place(text: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Place> {
    let words = text.trim().split_once(|one: char| one.is_ascii_whitespace());
    let Some((how @ ("response" | "header" | "regex"), place)) = words else {
        let error = Diagnostic::error(
            text.span,
            format!("`{}` does not say where the key of a response stands", text.value),
        );
        diagnostics.push(
            error.help(
                "write `response POINTER`, `header NAME` or `regex PATTERN`, such as `header x-user-id`",
            ),
        );
        return None;
    };
    one_place(how, place.trim())
        .map_err(|e| diagnostics.push(Diagnostic::error(text.span, e)))
        .ok()
}

fn one_place(how: &str, place: &str) -> Result<Place, String> {
    match how {
        "response" => place
            .parse::<Pointer>()
            .map(Place::Json)
            .map_err(|e| e.to_string()),
        "header" => Ok(Place::Header(place.to_owned())),
        _ => place
            .parse()
            .map(Place::Regex)
            .map_err(|e: PatternError| e.to_string()),
    }
}
