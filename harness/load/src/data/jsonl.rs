//! JSON lines: a JSON value in each line.

use std::sync::Arc;

use serde::de::IgnoredAny;
use squall_model::seed::Seed;

use super::{Column, FeedError, Pick, Rows};
use crate::extract::{self, Pointer};

/// A file, read. Members become columns when they are first asked for.
#[derive(Clone, Debug)]
pub struct JsonLines {
    text: String,
    /// Each line that is not blank: its number, and where it stands in `text`.
    lines: Vec<(u64, std::ops::Range<usize>)>,
    /// Names of members, with dots; the empty one is the whole line.
    names: Vec<String>,
    columns: Vec<Arc<Column>>,
}

impl JsonLines {
    /// Reads a whole file of at most [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX).
    pub fn parse(text: Vec<u8>) -> Result<JsonLines, FeedError> {
        let text = String::from_utf8(text).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + memchr::memchr_iter(b'\n', valid).count() as u64;
            in_line(line, "not UTF-8")
        })?;
        let mut lines = Vec::new();
        let mut start = 0;
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let trimmed = line.trim();
            if !trimmed.is_empty() {
                serde_json::from_str::<IgnoredAny>(trimmed)
                    .map_err(|error| in_line(number, no_json(&error)))?;
                let at = start + (line.len() - line.trim_start().len());
                lines.push((number, at..at + trimmed.len()));
            }
            start += line.len();
        }
        if lines.is_empty() {
            return Err(FeedError::Empty("there is no line in it"));
        }
        Ok(JsonLines {
            text,
            lines,
            names: Vec::new(),
            columns: Vec::new(),
        })
    }

    /// The field of the member called `name`, which every line must have: `id`, `user.id`; `None` for the whole line.
    pub fn field(&mut self, name: Option<&str>) -> Result<u16, FeedError> {
        let known = self.names.iter().position(|one| *one == name.unwrap_or_default());
        let at = match known {
            Some(at) => at,
            None => self.add(name)?,
        };
        u16::try_from(at).map_err(|_| FeedError::Parameters("too many members are asked for".into()))
    }

    fn add(&mut self, name: Option<&str>) -> Result<usize, FeedError> {
        let pointer = name.map(|name| Pointer::of_members(name.split('.')));
        let mut column = Column::default();
        for (number, range) in &self.lines {
            let line = &self.text[range.clone()];
            match &pointer {
                None => column.push(line.as_bytes()),
                Some(pointer) => {
                    let raw = extract::json_at(pointer, line.as_bytes())
                        .map_err(|problem| in_line(*number, format!("{pointer}: {problem}")))?;
                    column.push(extract::unquoted(raw).as_bytes());
                }
            }
        }
        self.names.push(name.unwrap_or_default().to_owned());
        self.columns.push(Arc::new(column));
        Ok(self.columns.len() - 1)
    }

    /// The feed, with the fields asked for so far.
    pub fn rows(&self, pick: Pick, seed: Seed) -> Rows {
        Rows::new(self.columns.clone(), self.lines.len(), pick, seed)
    }
}

/// The words of an error in one line of many, which to the parser is the first.
fn no_json(error: &serde_json::Error) -> String {
    format!(
        "no JSON: {}",
        error.to_string().replace(" at line 1 column ", " at column ")
    )
}

fn in_line(line: u64, problem: impl Into<String>) -> FeedError {
    FeedError::Line {
        line,
        problem: problem.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Feed as _;

    const TEXT: &str = "{\"id\": 7, \"by\": {\"name\": \"a\\\"b\"}}\n\n  {\"id\": \"x\", \"by\": {\"name\": null}, \"more\": [1]} \r\n";

    #[test]
    fn lines_and_their_members_are_found() {
        let mut lines = JsonLines::parse(TEXT.into()).unwrap();
        let fields =
            [None, Some("id"), Some("by.name"), Some("by"), None].map(|name| lines.field(name).unwrap());
        assert_eq!(fields, [0, 1, 2, 3, 0]);
        let rows = lines.rows(Pick::InOrder, Seed::new(1));
        let written = |row, field| {
            let mut out = Vec::new();
            rows.write(row, field, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(0, 0), "{\"id\": 7, \"by\": {\"name\": \"a\\\"b\"}}");
        assert_eq!((written(0, 1), written(1, 1)), ("7".into(), "x".into()));
        assert_eq!((written(0, 2), written(1, 2)), ("a\"b".into(), "null".into()));
        assert_eq!(written(1, 3), "{\"name\": null}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let error = |text: &[u8]| JsonLines::parse(text.to_vec()).unwrap_err().to_string();
        assert_eq!(
            error(b"{}\n\n{\"a\": }\n"),
            "line 3: no JSON: expected value at column 7"
        );
        assert_eq!(error(b"{}\n\xff\n"), "line 2: not UTF-8");
        assert_eq!(error(b"\n \n"), "there is no line in it");
        let mut lines = JsonLines::parse(TEXT.into()).unwrap();
        assert_eq!(
            lines.field(Some("more")).unwrap_err().to_string(),
            "line 1: /more: nothing there"
        );
        assert!(
            lines
                .field(Some("id.x"))
                .unwrap_err()
                .to_string()
                .starts_with("line 1: /id/x: ")
        );
    }
}
