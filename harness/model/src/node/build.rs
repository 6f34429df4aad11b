//! From text to tree, within limits.
//!
//! The parser's events are assembled with a stack of our own, so that depth is counted rather than felt. Sizes are
//! counted after aliases are resolved: a few lines of anchors can name more nodes than a machine has atoms.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use super::advice::{explain, unclosed};
use super::limits::Limits;
use super::offsets::Offsets;
use super::{Entry, Kind, Mapping, Node, Scalar, ScalarKind, Style};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::span::{SourceId, Span, Spanned};

/// Reads `text`, the whole of `source`. On an error that leaves no tree, says so and returns `None`; after errors that
/// leave one (a duplicate key), returns the tree without the offending part.
pub fn parse(source: SourceId, text: &str, limits: &Limits, diagnostics: &mut Diagnostics) -> Option<Node> {
    limits.check(source, text, diagnostics)?;
    // A byte order mark is not part of the document, and the parser would take it for a part of the first key.
    let skipped = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let offsets = Offsets::new(text, skipped);
    let mut builder = Builder {
        source,
        text,
        limits,
        offsets,
        diagnostics,
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
        root: None,
    };
    builder.run(&text[skipped..]).ok()?;
    builder.root
}

/// Building stopped; the reason is among the diagnostics.
struct Stopped;

/// A finished node with what it adds to the totals.
struct Built {
    node: Node,
    nodes: usize,
    bytes: usize,
    /// Lists and mappings within one another, this one included.
    height: usize,
}

/// A list or mapping that is being read.
struct Frame {
    start: usize,
    anchor: usize,
    height: usize,
    nodes_before: usize,
    bytes_before: usize,
    open: Open,
}

enum Open {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        seen: HashMap<String, Span>,
        merged: Vec<Node>,
        key: Key,
    },
}

/// What the next node of a mapping is.
enum Key {
    /// A key.
    Awaited,
    /// The value of this key.
    Named(Spanned<String>),
    /// What `<<` merges in.
    Merge(Span),
    /// The value of a key that is wrong; it is dropped.
    Wrong(Span),
}

struct Builder<'a> {
    source: SourceId,
    text: &'a str,
    limits: &'a Limits,
    offsets: Offsets,
    diagnostics: &'a mut Diagnostics,
    stack: Vec<Frame>,
    /// Finished nodes that have an anchor.
    anchors: HashMap<usize, Built>,
    nodes: usize,
    bytes: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn run(&mut self, text: &str) -> Result<(), Stopped> {
        let mut parser = Parser::new(StrInput::new(text));
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, place) = event.map_err(|error| self.scan_error(&error))?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let help = "one file holds one document; remove the `---` and what does not belong";
                        return Err(self.stop(self.span(&place), "a second document starts here", help));
                    }
                }
                event => self.event(event, &place)?,
            }
        }
        if self.root.is_none() {
            // An empty document yields no event at all.
            let end = self.span_of(0, 0);
            self.root = Some(Node {
                span: end,
                head: end,
                kind: Kind::Scalar(Scalar::new(String::new(), Style::Plain, None)),
            });
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, place: &saphyr_parser::Span) -> Result<(), Stopped> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = match tag {
                    None => false,
                    Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
                    Some(tag) => return Err(self.tag(&tag, place)),
                };
                let span = self.content(place, anchor != 0 || is_text);
                let style = if is_text { ScalarStyle::DoubleQuoted } else { style };
                let built = self.scalar(text.into_owned(), style, span)?;
                self.finish(built, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                tag.map_or(Ok(()), |tag| Err(self.tag(&tag, place)))?;
                self.open(Open::Sequence(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, tag) => {
                tag.map_or(Ok(()), |tag| Err(self.tag(&tag, place)))?;
                let (entries, merged, seen) = (Vec::new(), Vec::new(), HashMap::new());
                self.open(
                    Open::Mapping {
                        entries,
                        seen,
                        merged,
                        key: Key::Awaited,
                    },
                    anchor,
                    place,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, mut span: Span) -> Result<Built, Stopped> {
        // The parser's place of a quoted text goes on to what comes next: blanks before a bracket, a comment.
        if let Some(length) = length_of_quoted(&self.text[span.range()]) {
            span = self.span_of(span.start as usize, span.start as usize + length);
        }
        let written = &self.text[span.range()];
        let (style, content) = match style {
            ScalarStyle::Plain => (Style::Plain, (written == text).then_some(span.start as usize)),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inner = written.get(1..written.len().saturating_sub(1));
                let content = (inner == Some(text.as_str())).then_some(span.start as usize + 1);
                let single = style == ScalarStyle::SingleQuoted;
                (
                    if single {
                        Style::SingleQuoted
                    } else {
                        Style::DoubleQuoted
                    },
                    content,
                )
            }
            ScalarStyle::Literal => (Style::Literal, None),
            ScalarStyle::Folded => (Style::Folded, None),
        };
        if span.start == span.end
            && let Some(key) = self.awaited_key()
        {
            // A value left out has no place of its own: it is where its key is.
            span = key;
        }
        let bytes = text.len();
        self.charge(1, bytes, span)?;
        let node = Node {
            span,
            head: self.first_line(span),
            kind: Kind::Scalar(Scalar::new(text, style, content)),
        };
        Ok(Built {
            node,
            nodes: 1,
            bytes,
            height: 0,
        })
    }

    fn open(&mut self, open: Open, anchor: usize, place: &saphyr_parser::Span) -> Result<(), Stopped> {
        let span = self.content(place, anchor != 0);
        self.deep(1, span)?;
        let (nodes_before, bytes_before) = (self.nodes, self.bytes);
        self.charge(1, 0, span)?;
        let start = span.start as usize;
        self.stack.push(Frame {
            start,
            anchor,
            height: 1,
            nodes_before,
            bytes_before,
            open,
        });
        Ok(())
    }

    fn close(&mut self, place: &saphyr_parser::Span) -> Result<(), Stopped> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let end = self.span(place);
        let (last, first_key) = match &frame.open {
            Open::Sequence(items) => (items.last().map(|item| item.span.end), None),
            Open::Mapping { entries, .. } => (
                entries
                    .last()
                    .map(|(key, value)| value.span.end.max(key.span.end)),
                entries.first().map(|(key, _)| key.span),
            ),
        };
        // The end of a block has no characters and lies wherever the next token is.
        let end = if end.start < end.end {
            end.end
        } else {
            last.unwrap_or(end.end)
        };
        let span = self.span_of(frame.start, (end as usize).max(frame.start));
        let head = match first_key {
            _ if !self.text[span.range()].trim_end().contains('\n') => span,
            Some(key) if key.source == self.source => key,
            _ => self.span_of(frame.start, (frame.start + 1).min(span.end as usize)),
        };
        let kind = match frame.open {
            Open::Sequence(items) => Kind::Sequence(items),
            Open::Mapping {
                mut entries,
                mut seen,
                merged,
                ..
            } => {
                for from in merged {
                    self.merge(from, &mut entries, &mut seen);
                }
                Kind::Mapping(Mapping { entries, taken: &[] })
            }
        };
        let built = Built {
            node: Node { span, head, kind },
            nodes: self.nodes - frame.nodes_before,
            bytes: self.bytes - frame.bytes_before,
            height: frame.height,
        };
        self.finish(built, frame.anchor)
    }
    fn alias(&mut self, anchor: usize, place: &saphyr_parser::Span) -> Result<(), Stopped> {
        let span = self.span(place);
        let Some((nodes, bytes, height)) = self
            .anchors
            .get(&anchor)
            .map(|to| (to.nodes, to.bytes, to.height))
        else {
            let help = "an alias can only repeat what is complete above it";
            return Err(self.stop(span, "this alias stands inside what it repeats", help));
        };
        self.deep(height, span)?;
        self.charge(nodes, bytes, span)?;
        let mut node = self.anchors[&anchor].node.clone();
        (node.span, node.head) = (span, span);
        self.finish(
            Built {
                node,
                nodes,
                bytes,
                height,
            },
            0,
        )
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, built: Built, anchor: usize) -> Result<(), Stopped> {
        if anchor != 0 {
            let Built {
                ref node,
                nodes,
                bytes,
                height,
            } = built;
            self.charge(nodes, bytes, node.head)?;
            self.anchors.insert(
                anchor,
                Built {
                    node: node.clone(),
                    nodes,
                    bytes,
                    height,
                },
            );
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        frame.height = frame.height.max(built.height + 1);
        let node = built.node;
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping {
                entries,
                seen,
                merged,
                key,
            } => {
                *key = match std::mem::replace(key, Key::Awaited) {
                    Key::Awaited => name_key(node, seen, self.diagnostics),
                    Key::Named(name) => {
                        entries.push((name, node));
                        Key::Awaited
                    }
                    Key::Merge(_) => {
                        merged.push(node);
                        Key::Awaited
                    }
                    Key::Wrong(_) => Key::Awaited,
                };
            }
        }
        Ok(())
    }

    /// Adds the keys of what `<<` names; those that are there already stay as they are.
    fn merge(&mut self, from: Node, entries: &mut Vec<Entry>, seen: &mut HashMap<String, Span>) {
        match from.kind {
            Kind::Mapping(mapping) => {
                for (key, value) in mapping.entries {
                    if !seen.contains_key(&key.value) {
                        seen.insert(key.value.clone(), key.span);
                        entries.push((key, value));
                    }
                }
            }
            Kind::Sequence(items) if items.iter().all(|item| item.as_mapping().is_some()) => {
                for item in items {
                    self.merge(item, entries, seen);
                }
            }
            _ => {
                let message = format!("`<<` merges mappings, found {}", from.describe());
                self.diagnostics.push(Diagnostic::error(from.head, message));
            }
        }
    }

    /// The key whose value comes next.
    fn awaited_key(&self) -> Option<Span> {
        match &self.stack.last()?.open {
            Open::Mapping {
                key: Key::Named(name),
                ..
            } => Some(name.span),
            Open::Mapping {
                key: Key::Merge(span) | Key::Wrong(span),
                ..
            } => Some(*span),
            _ => None,
        }
    }

    fn charge(&mut self, nodes: usize, bytes: usize, span: Span) -> Result<(), Stopped> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > self.limits.nodes {
            let message = format!("more than {} values, aliases resolved", self.limits.nodes);
            return Err(self.stop(span, message, "aliases may repeat only so much"));
        }
        if self.bytes > self.limits.text {
            let message = format!("more than {} bytes of values, aliases resolved", self.limits.text);
            return Err(self.stop(span, message, "aliases may repeat only so much"));
        }
        Ok(())
    }

    fn deep(&mut self, more: usize, span: Span) -> Result<(), Stopped> {
        if self.stack.len() + more > self.limits.depth {
            Err(self.too_deep(span))
        } else {
            Ok(())
        }
    }

    fn too_deep(&mut self, span: Span) -> Stopped {
        let message = format!("lists and mappings nest more than {} deep", self.limits.depth);
        self.stop(
            span,
            message,
            "no scenario needs this depth; is a bracket left open?",
        )
    }

    fn stop(&mut self, span: Span, message: impl Into<String>, help: &str) -> Stopped {
        self.diagnostics.push(Diagnostic::error(span, message).help(help));
        Stopped
    }

    fn tag(&mut self, tag: &saphyr_parser::Tag, place: &saphyr_parser::Span) -> Stopped {
        let span = self.span(place);
        self.stop(
            span,
            format!("the tag `{tag}` means nothing here"),
            "write the value without a tag",
        )
    }

    fn scan_error(&mut self, error: &ScanError) -> Stopped {
        let at = self.offsets.byte(error.marker().index());
        let line = self.text[..at].rfind('\n').map_or(0, |line_break| line_break + 1);
        let rest = self.text[at..]
            .chars()
            .next()
            .filter(|one| *one != '\n')
            .map_or(0, char::len_utf8);
        let span = self.span_of(at, at + rest);
        let whole_line = self.text[line..].lines().next().unwrap_or("");
        if error.info() == "recursion limit exceeded" {
            return self.too_deep(span);
        }
        let help = explain(whole_line, error.info());
        let mut found = Diagnostic::error(span, format!("not valid YAML: {}", error.info()));
        if help.is_none()
            && let Some(open) = unclosed(&self.text[..at])
        {
            found = found
                .also(self.span_of(open, open + 1), "this is still open")
                .help("close it, or put it in quotes");
        }
        self.diagnostics.push(found.help_if(help));
        Stopped
    }

    fn first_line(&self, span: Span) -> Span {
        let text = &self.text[span.range()];
        let length = text
            .find('\n')
            .map_or(text.len(), |end| text[..end].trim_end().len());
        self.span_of(span.start as usize, span.start as usize + length)
    }

    fn span(&self, place: &saphyr_parser::Span) -> Span {
        let start = self.offsets.byte(place.start.index());
        self.span_of(start, self.offsets.byte(place.end.index()).max(start))
    }

    /// The place of a value itself: the parser's starts at its anchor and tag, where it has some.
    fn content(&self, place: &saphyr_parser::Span, has_properties: bool) -> Span {
        let span = self.span(place);
        if !has_properties {
            return span;
        }
        let properties = length_of_properties(&self.text[span.range()]);
        self.span_of(span.start as usize + properties, span.end as usize)
    }

    fn span_of(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start..end)
    }
}

/// How many bytes of `text` are a quoted text with its quotes; nothing where it begins with none, or has no end.
fn length_of_quoted(text: &str) -> Option<usize> {
    let quote = text.bytes().next().filter(|byte| b"'\"".contains(byte))?;
    let mut rest = text.bytes().enumerate().skip(1).peekable();
    while let Some((at, byte)) = rest.next() {
        if byte == quote {
            let is_doubled = quote == b'\'' && rest.peek().is_some_and(|(_, next)| *next == quote);
            if !is_doubled {
                return Some(at + 1);
            }
            rest.next();
        } else if byte == b'\\' && quote == b'"' {
            rest.next();
        }
    }
    None
}

/// How many bytes of `text` are anchors and tags, and the blanks and comments after them.
fn length_of_properties(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let length = match rest.as_bytes() {
            [b'#', ..] => rest.find('\n'),
            [b'&' | b'!', ..] => rest.find([' ', '\t', '\r', '\n', ',', '[', ']', '{', '}']),
            _ => return text.len() - rest.len(),
        };
        rest = &rest[length.unwrap_or(rest.len())..];
    }
}

/// Takes a node for a key: a text that was not there before, or `<<`.
fn name_key(node: Node, seen: &mut HashMap<String, Span>, diagnostics: &mut Diagnostics) -> Key {
    let span = node.span;
    let described = node.describe();
    let Kind::Scalar(scalar) = node.kind else {
        let error = Diagnostic::error(node.head, format!("a key must be text, found {described}"));
        diagnostics.push(error.help("put text that starts with `{` or `[` in quotes"));
        return Key::Wrong(span);
    };
    if scalar.style == Style::Plain && scalar.text == "<<" {
        return Key::Merge(span);
    }
    if scalar.kind != ScalarKind::String {
        let help =
            (scalar.kind != ScalarKind::Null).then(|| format!("put it in quotes: \"{}\"", scalar.text));
        let error = Diagnostic::error(span, format!("a key must be text, found {described}"));
        diagnostics.push(error.help_if(help));
        return Key::Wrong(span);
    }
    if let Some(first) = seen.get(&scalar.text) {
        let error = Diagnostic::error(span, format!("the key {} is there twice", scalar.shown()));
        diagnostics.push(
            error
                .also(*first, "first written here")
                .help("remove one, or merge the two"),
        );
        return Key::Wrong(span);
    }
    seen.insert(scalar.text.clone(), span);
    Key::Named(Spanned::new(scalar.text, span))
}
