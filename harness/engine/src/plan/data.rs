//! The data of a load: feeds made ready, their files read, placeholders looked up.
//!
//! Everything that can be wrong with data shows here, before anything starts: a file that is not there, a row that is too short, a
//! column that nobody has. What a feed draws is the load generator's.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use squall_load::data::{
    self, Choice, Csv, FEEDS_MAX, FILE_BYTES_MAX, FeedError, Feeds, JsonLines, Pick, Sequence, Uniform, Zipf,
};
use squall_load::text::{Escape, Slot, Text};
use squall_model::decode::Map;
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::gate::Arm;
use squall_model::name::Name;
use squall_model::node::{Kind, Node};
use squall_model::placeholder::{Part, Template};
use squall_model::scenario::data::{Choices, Feed, Pick as Picked};
use squall_model::seed::Seed;
use squall_model::span::{Span, Spanned};
use squall_model::units::human;

/// The placeholder for the arm of a gate that the load is of.
const ARM: &str = "arm";

/// The data of one load.
#[derive(Debug)]
pub struct Data {
    feeds: Vec<Declared>,
    /// Every name that a value of an answer is taken under, and whether texts may use it now.
    taken: Vec<(String, bool)>,
    /// What `{arm}` stands for, where no feed is called so.
    arm: Arm,
}

/// One feed.
#[derive(Debug)]
struct Declared {
    name: Spanned<String>,
    seed: Seed,
    pick: Pick,
    source: Source,
    is_used: bool,
}

/// What a feed is made of.
#[derive(Debug)]
enum Source {
    /// One value a request.
    Plain(Arc<dyn data::Feed>),
    /// A file of rows, with its path as written.
    Csv(Csv, String),
    /// A file of JSON values, with its path as written.
    JsonLines(JsonLines, Spanned<String>),
    /// Could not be made, which has been reported.
    Broken,
}

impl Data {
    /// Makes the feeds of a load with seed `load`; paths are relative to `base`.
    pub(super) fn read(
        written: &Map<Name, Feed>,
        base: &Path,
        load: Seed,
        arm: Arm,
        diagnostics: &mut Diagnostics,
    ) -> Data {
        let mut feeds = Vec::new();
        for (name, feed) in written {
            if feeds.len() >= FEEDS_MAX {
                let message = format!("a load has at most {FEEDS_MAX} feeds");
                diagnostics.push(Diagnostic::error(name.span, message));
                break;
            }
            let seed = data::feed_seed(load, name.as_str());
            let source = source(feed, base, seed).unwrap_or_else(|error| {
                if let Some(error) = error {
                    diagnostics.push(*error);
                }
                Source::Broken
            });
            feeds.push(Declared {
                name: Spanned::new(name.as_str().to_owned(), name.span),
                seed,
                pick: match feed.pick {
                    Some(Picked::Random) => Pick::Random,
                    Some(Picked::InOrder) | None => Pick::InOrder,
                },
                source,
                is_used: false,
            });
        }
        Data {
            feeds,
            taken: Vec::new(),
            arm,
        }
    }

    /// From now on `{name}` may stand in texts for a value taken from an answer; returns its number. Nothing where a feed is
    /// called so.
    pub(super) fn take(&mut self, name: &str) -> Option<u16> {
        if self.feeds.iter().any(|feed| feed.name.value == name) {
            return None;
        }
        let known = self.taken.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.taken.push((name.to_owned(), true));
            self.taken.len() - 1
        });
        self.taken[at].1 = true;
        u16::try_from(at).ok()
    }

    /// Texts may use no value that was taken from an answer, until one is again.
    pub(super) fn forget_taken(&mut self) {
        self.taken.iter_mut().for_each(|(_, is_there)| *is_there = false);
    }

    /// A text of a request. A placeholder that nothing stands for is reported.
    pub fn text(&mut self, template: &Template, diagnostics: &mut Diagnostics) -> Text {
        let mut text = Text::default();
        for part in &template.parts {
            match part {
                Part::Text(literal) => text.push_literal(literal.as_bytes()),
                Part::Placeholder(name) => self.push_value(&mut text, name, Escape::None, diagnostics),
            }
        }
        text
    }

    /// A value as compact JSON, with placeholders inside its strings. A placeholder that nothing stands for is reported.
    pub fn json(&mut self, node: &Node, diagnostics: &mut Diagnostics) -> Text {
        let mut text = Text::default();
        self.push_json(&mut text, node, diagnostics);
        text
    }

    fn push_json(&mut self, text: &mut Text, node: &Node, diagnostics: &mut Diagnostics) {
        match &node.kind {
            Kind::Scalar(_) if node.as_str().is_none() => {
                text.push_literal(node.to_json().to_string().as_bytes());
            }
            Kind::Scalar(_) => {
                text.push_literal(b"\"");
                for part in Template::from_node(node)
                    .iter()
                    .flat_map(|template| &template.parts)
                {
                    match part {
                        Part::Text(literal) => text.push_literal(inside_quotes(literal).as_bytes()),
                        Part::Placeholder(name) => self.push_value(text, name, Escape::Json, diagnostics),
                    }
                }
                text.push_literal(b"\"");
            }
            Kind::Sequence(items) => {
                text.push_literal(b"[");
                for (at, item) in items.iter().enumerate() {
                    text.push_literal(if at > 0 { b"," } else { b"" });
                    self.push_json(text, item, diagnostics);
                }
                text.push_literal(b"]");
            }
            Kind::Mapping(mapping) => {
                text.push_literal(b"{");
                for (at, (key, value)) in mapping.entries.iter().enumerate() {
                    if let Some(name) = Template::parse(key, key.span).placeholders().next() {
                        let message = format!(
                            "`{{{}}}` stands in a key, and keys are the same in all requests",
                            name.value
                        );
                        diagnostics
                            .push(Diagnostic::error(key.span, message).help("use `body` for such a text"));
                    }
                    text.push_literal(if at > 0 { b"," } else { b"" });
                    text.push_literal(format!("\"{}\":", inside_quotes(key)).as_bytes());
                    self.push_json(text, value, diagnostics);
                }
                text.push_literal(b"}");
            }
        }
    }

    fn push_value(
        &mut self,
        text: &mut Text,
        placeholder: &Spanned<String>,
        escape: Escape,
        diagnostics: &mut Diagnostics,
    ) {
        let is_feed = self.feeds.iter().any(|feed| feed.name.value == ARM);
        if placeholder.value == ARM && !is_feed {
            return text.push_literal(self.arm.as_str().as_bytes());
        }
        match self.slot(placeholder) {
            Ok(Some(slot)) => text.push_value(placeholder.value.clone(), slot, escape),
            Ok(None) => {}
            Err(error) => diagnostics.push(*error),
        }
    }

    /// What a placeholder stands for; nothing where its feed is broken.
    fn slot(&mut self, placeholder: &Spanned<String>) -> Result<Option<Slot>, Box<Diagnostic>> {
        let (head, part) = match placeholder.split_once('.') {
            Some((head, part)) => (head, Some(part)),
            None => (placeholder.as_str(), None),
        };
        let Some(at) = self.feeds.iter().position(|feed| feed.name.value == head) else {
            let there = |(name, is_there): &(String, bool)| is_there.then(|| name.clone());
            if part.is_none()
                && let Some(at) = self
                    .taken
                    .iter()
                    .position(|one| there(one).is_some_and(|name| name == head))
            {
                return Ok(Some(Slot::Kept(at as u16)));
            }
            let taken: Vec<String> = self.taken.iter().filter_map(there).collect();
            let feeds = self.feeds.iter().map(|feed| feed.name.as_str());
            let help = suggest(head, feeds.chain(taken.iter().map(String::as_str)));
            let error = Diagnostic::error(placeholder.span, format!("the load has no data called `{head}`"));
            let help =
                help.unwrap_or_else(|| "add it to the load's `data`, or write `{{` for a brace".to_owned());
            return Err(Box::new(error.help(help)));
        };
        let feed = &mut self.feeds[at];
        feed.is_used = true;
        let field = feed.field(part, placeholder.span)?;
        Ok(field.map(|field| Slot::Drawn {
            feed: at as u16,
            field,
        }))
    }

    /// The feeds, with the fields that texts asked for so far.
    pub fn feeds(&self) -> Feeds {
        Feeds::new(self.feeds.iter().map(Declared::feed).collect())
    }

    /// Warns of data that no placeholder uses.
    pub(super) fn finish(self, diagnostics: &mut Diagnostics) {
        for feed in self.feeds.iter().filter(|feed| !feed.is_used) {
            let message = format!("no request uses `{}`", feed.name.value);
            diagnostics.push(Diagnostic::warning(feed.name.span, message));
        }
    }
}

impl Declared {
    /// The field for `part` of the feed's values.
    fn field(&mut self, part: Option<&str>, span: Span) -> Result<Option<u16>, Box<Diagnostic>> {
        let name = &self.name.value;
        let wrong = |message: String, help: Option<String>| {
            Err(Box::new(Diagnostic::error(span, message).help_if(help)))
        };
        match (&mut self.source, part) {
            (Source::Broken, _) => Ok(None),
            (Source::Plain(_), None) => Ok(Some(0)),
            (Source::Plain(_), Some(part)) => wrong(
                format!("`{name}` has no parts, so no `{part}`"),
                Some(format!("write {{{name}}}")),
            ),
            (Source::Csv(csv, _), None) => {
                let column = csv.columns().first().map_or("COLUMN", String::as_str);
                wrong(
                    format!("`{name}` is a whole row"),
                    Some(format!("name a column, such as {{{name}.{column}}}")),
                )
            }
            (Source::Csv(csv, path), Some(part)) => csv.field(part).map(Some).ok_or_else(|| {
                let columns = csv.columns().iter().map(String::as_str);
                let error = Diagnostic::error(span, format!("{path} has no column `{part}`"));
                Box::new(error.help_if(suggest(part, columns)))
            }),
            (Source::JsonLines(lines, path), part) => match lines.field(part) {
                Ok(field) => Ok(Some(field)),
                Err(error) => {
                    let error = Diagnostic::error(span, format!("reading {}: {error}", path.value));
                    Err(Box::new(error.also(path.span, "the file")))
                }
            },
        }
    }

    fn feed(&self) -> Arc<dyn data::Feed> {
        match &self.source {
            Source::Plain(feed) => Arc::clone(feed),
            Source::Csv(csv, _) => Arc::new(csv.rows(self.pick, self.seed)),
            Source::JsonLines(lines, _) => Arc::new(lines.rows(self.pick, self.seed)),
            Source::Broken => Arc::new(Sequence::new(0)),
        }
    }
}

/// Makes a feed of what is written. No error where there is none to tell: something was wrong before.
fn source(feed: &Feed, base: &Path, seed: Seed) -> Result<Source, Option<Box<Diagnostic>>> {
    let parameters =
        |span| move |error: FeedError| Some(Box::new(Diagnostic::error(span, error.to_string())));
    if let Some(sequence) = &feed.sequence {
        return Ok(Source::Plain(Arc::new(Sequence::new(sequence.from))));
    }
    if let Some(bounds) = &feed.uniform {
        let uniform = Uniform::new(bounds.min, bounds.max, seed).map_err(parameters(bounds.span))?;
        return Ok(Source::Plain(Arc::new(uniform)));
    }
    if let Some(law) = &feed.zipf {
        let zipf = Zipf::new(law.n, law.s, seed).map_err(parameters(law.span))?;
        return Ok(Source::Plain(Arc::new(zipf)));
    }
    if let Some(choices) = &feed.choice {
        let weighted = match &choices.value {
            // An empty list has been reported as one.
            Choices::Equal(texts) if texts.is_empty() => return Err(None),
            Choices::Equal(texts) => texts.iter().map(|text| (text.0.clone(), 1)).collect(),
            Choices::Weighted(weights) => weights
                .iter()
                .map(|(text, weight)| (text.value.as_ref().to_owned(), *weight))
                .collect(),
        };
        let choice = Choice::new(weighted, seed).map_err(parameters(choices.span))?;
        return Ok(Source::Plain(Arc::new(choice)));
    }
    if let Some(path) = &feed.csv {
        let csv = read_file(base, path)
            .and_then(|text| Csv::parse(&text).map_err(|error| Box::new(unread(path, &error.to_string()))));
        return Ok(Source::Csv(csv.map_err(Some)?, path.value.clone()));
    }
    let Some(path) = &feed.jsonl else {
        return Err(None);
    };
    let lines = read_file(base, path)
        .and_then(|text| JsonLines::parse(text).map_err(|error| Box::new(unread(path, &error.to_string()))));
    Ok(Source::JsonLines(lines.map_err(Some)?, path.clone()))
}

/// Reads a file whole, within bounds.
fn read_file(base: &Path, path: &Spanned<String>) -> Result<Vec<u8>, Box<Diagnostic>> {
    let full = base.join(&path.value);
    let system = |error: std::io::Error| {
        let relative = format!("paths are relative to the scenario's folder, {}", base.display());
        let help = (error.kind() == std::io::ErrorKind::NotFound).then_some(relative);
        Box::new(unread(path, &error.to_string()).help_if(help))
    };
    let about = full.metadata().map_err(system)?;
    if !about.is_file() {
        return Err(Box::new(unread(path, "it is no regular file")));
    }
    let mut text = Vec::new();
    File::open(&full)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(system)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let most = human::bytes(FILE_BYTES_MAX);
        let problem = format!("it has more than the {most} that a feed may have");
        return Err(Box::new(unread(path, &problem)));
    }
    Ok(text)
}

fn unread(path: &Spanned<String>, problem: &str) -> Diagnostic {
    Diagnostic::error(path.span, format!("reading {}: {problem}", path.value))
}

/// A text as it stands between the quotes of a JSON string.
fn inside_quotes(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
