//! What an answer must be to count as good, beyond having come.
//!
//! Checks are looked at in a fixed order, the cheap ones first, and the first that fails is the request's error. They never change
//! what an answer is, and never look at more of it than [`Checks::keep`] asked for.

use std::fmt;

use serde_json::Value;
use squall_model::expression::Operator;

use crate::extract::{self, Pointer};
use crate::fields::Fields;
use crate::pattern::Pattern;
use crate::protocol::{Answer, KEPT_BODY_BYTES_MAX, Keep};
use crate::report::{EXAMPLE_BODY_BYTES, ErrorKind};

/// A text to be equal to, or a pattern to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This text.
    Text(String),
    /// Anything that matches.
    Pattern(Pattern),
}

impl Wanted {
    fn takes(&self, found: &[u8]) -> bool {
        match self {
            Wanted::Text(text) => text.as_bytes() == found,
            Wanted::Pattern(pattern) => pattern.is_match(found),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Text(text) => write!(f, "{text:?}"),
            Wanted::Pattern(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

/// What stands at a JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum WantedJson {
    /// This value; numbers are compared as numbers.
    Value(Value),
    /// A text, number or boolean that matches.
    Pattern(Pattern),
}

/// An inclusive range of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The lowest.
    pub from: u16,
    /// The highest.
    pub to: u16,
}

/// What an answer must be. Without a status of its own, one of 400 and above is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checks {
    /// One of these status codes; any below 400 where there is none.
    pub status: Vec<Statuses>,
    /// Header fields, the first of each name.
    pub headers: Vec<(String, Wanted)>,
    /// The size of the body, in bytes.
    pub size: Vec<(Operator, u64)>,
    /// Values in a JSON body.
    pub json: Vec<(Pointer, WantedJson)>,
    /// The whole body.
    pub body: Option<Wanted>,
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub kind: ErrorKind,
    /// What was wanted, what came, and the beginning of the body.
    pub text: String,
}

impl Checks {
    /// Whether nothing is asked of an answer but the rule that goes for all.
    pub fn is_empty(&self) -> bool {
        *self == Checks::default()
    }

    /// What a session has to keep for them.
    pub fn keep(&self) -> Keep {
        Keep {
            fields: !self.headers.is_empty(),
            body: !self.json.is_empty() || self.body.is_some(),
        }
    }

    /// Whether the status is as it has to be.
    pub fn takes_status(&self, status: u16) -> bool {
        if self.status.is_empty() {
            return status < 400;
        }
        self.status
            .iter()
            .any(|one| (one.from..=one.to).contains(&status))
    }

    /// Holds an answer to all of them.
    pub fn judge(&self, answer: &Answer<'_>) -> Result<(), Failure> {
        if !self.takes_status(answer.status) {
            return Err(self.wrong_status(answer));
        }
        let fail = |kind, wanted: String, found: String| {
            let text = format!("wanted {wanted}, got {found}: {}", beginning(answer));
            Err(Failure { kind, text })
        };
        for (name, wanted) in &self.headers {
            let found = answer.fields.get(name);
            if !found.is_some_and(|found| wanted.takes(found)) {
                let found = found.map_or_else(|| "none".into(), |found| format!("{:?}", shortened(found)));
                return fail(
                    ErrorKind::CheckHeader,
                    format!("the header {name} {wanted}"),
                    found,
                );
            }
        }
        for (operator, bytes) in &self.size {
            if !operator.holds(answer.body_bytes as f64, *bytes as f64) {
                let found = format!("{} B", answer.body_bytes);
                return fail(
                    ErrorKind::CheckSize,
                    format!("a size {operator} {bytes} B"),
                    found,
                );
            }
        }
        let cut = (!answer.whole).then(|| format!("a body longer than {KEPT_BODY_BYTES_MAX} bytes"));
        for (pointer, wanted) in &self.json {
            if let Err(found) = cut
                .clone()
                .map_or_else(|| wanted.judge(pointer, answer.body), Err)
            {
                return fail(ErrorKind::CheckJson, format!("{pointer} {wanted}"), found);
            }
        }
        match &self.body {
            Some(wanted) if cut.is_some() || !wanted.takes(answer.body) => {
                let found = cut.unwrap_or_else(|| "another body".into());
                fail(ErrorKind::CheckBody, format!("the body {wanted}"), found)
            }
            _ => Ok(()),
        }
    }

    /// The failure of an answer whose status is not taken.
    fn wrong_status(&self, answer: &Answer<'_>) -> Failure {
        let (status, body) = (answer.status, beginning(answer));
        if self.status.is_empty() {
            return Failure {
                kind: ErrorKind::Status(status),
                text: format!("{status}: {body}"),
            };
        }
        let wanted: Vec<String> = self.status.iter().map(Statuses::to_string).collect();
        Failure {
            kind: ErrorKind::CheckStatus,
            text: format!("wanted status {}, got {status}: {body}", wanted.join(" or ")),
        }
    }
}

impl WantedJson {
    /// The error is what was found instead.
    fn judge(&self, pointer: &Pointer, body: &[u8]) -> Result<(), String> {
        let raw = extract::json_at(pointer, body)?;
        let is_it = match self {
            WantedJson::Value(wanted) => {
                let found: Value = serde_json::from_str(raw).map_err(|error| error.to_string())?;
                is_equal(wanted, &found)
            }
            WantedJson::Pattern(pattern) => pattern.is_match(extract::unquoted(raw).as_bytes()),
        };
        if is_it {
            Ok(())
        } else {
            Err(shortened(raw.as_bytes()))
        }
    }
}

impl fmt::Display for WantedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WantedJson::Value(value) => value.fmt(f),
            WantedJson::Pattern(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{}-{}", self.from, self.to)
        }
    }
}

impl<'a> Answer<'a> {
    /// An answer that somebody else received, whole.
    pub fn whole(status: u16, fields: &'a Fields, body: &'a [u8]) -> Answer<'a> {
        Answer {
            tag: 0,
            status,
            fields,
            body,
            body_bytes: body.len() as u64,
            whole: true,
            holds: false,
        }
    }
}

/// Whether two JSON values are the same; `7` and `7.0` are one number.
fn is_equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => {
            wanted == found || wanted.as_f64() == found.as_f64() && !(wanted.is_u64() && found.is_u64())
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| is_equal(wanted, found))
        }
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .all(|(key, wanted)| found.get(key).is_some_and(|found| is_equal(wanted, found)))
        }
        _ => wanted == found,
    }
}

/// The first bytes of what was kept of the body.
pub(crate) fn beginning(answer: &Answer<'_>) -> String {
    let body = &answer.body[..answer.body.len().min(EXAMPLE_BODY_BYTES)];
    String::from_utf8_lossy(body).trim().to_owned()
}

fn shortened(text: &[u8]) -> String {
    let end = text.len().min(EXAMPLE_BODY_BYTES);
    let more = if end < text.len() { "..." } else { "" };
    format!("{}{more}", String::from_utf8_lossy(&text[..end]))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn statuses(ranges: &[(u16, u16)]) -> Vec<Statuses> {
        ranges.iter().map(|&(from, to)| Statuses { from, to }).collect()
    }

    fn judged(checks: &Checks, status: u16, header: &str, body: &str) -> String {
        let mut fields = Fields::default();
        fields.push(b"Content-Type", header.as_bytes());
        match checks.judge(&Answer::whole(status, &fields, body.as_bytes())) {
            Ok(()) => "good".into(),
            Err(failure) => format!("{}: {}", failure.kind, failure.text),
        }
    }

    #[test]
    fn a_stated_status_replaces_the_rule_that_goes_for_all() {
        let none = Checks::default();
        let some = Checks {
            status: statuses(&[(200, 299), (404, 404)]),
            ..Checks::default()
        };
        let all: Vec<String> = [200, 302, 404, 503]
            .iter()
            .map(|&status| {
                format!(
                    "{status} {} | {}",
                    judged(&none, status, "", "no"),
                    judged(&some, status, "", "no")
                )
            })
            .collect();
        expect![[r"
            200 good | good
            302 good | check_status: wanted status 200-299 or 404, got 302: no
            404 status_404: 404: no | good
            503 status_503: 503: no | check_status: wanted status 200-299 or 404, got 503: no"]]
        .assert_eq(&all.join("\n"));
    }

    #[test]
    fn each_check_fails_with_what_was_wanted_and_what_came() {
        let json = |pointer: &str, value: Value| Checks {
            json: vec![(pointer.parse().unwrap(), WantedJson::Value(value))],
            ..Checks::default()
        };
        let header = |name: &str, wanted| Checks {
            headers: vec![(name.into(), wanted)],
            ..Checks::default()
        };
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        let size = |operator, bytes| Checks {
            size: vec![(operator, bytes)],
            ..Checks::default()
        };
        let body = |wanted| Checks {
            body: Some(wanted),
            ..Checks::default()
        };
        let text = r#"{"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}"#;
        let table = [
            header("content-type", Wanted::Text("text/plain".into())),
            header("CONTENT-TYPE", Wanted::Text("application/json".into())),
            header("content-type", Wanted::Pattern(pattern("^text/"))),
            header("etag", Wanted::Pattern(pattern("."))),
            json("/ok", Value::Bool(true)),
            json("/ok", Value::Bool(false)),
            json("/n", 7.into()),
            json("/big", 9_007_199_254_740_992_u64.into()),
            json("/items", serde_json::json!([{"id": "x1"}])),
            json("/items/1/id", "x1".into()),
            Checks {
                json: vec![(
                    "/items/0/id".parse().unwrap(),
                    WantedJson::Pattern(pattern("^x[0-9]$")),
                )],
                ..Checks::default()
            },
            size(Operator::LessOrEqual, 71),
            size(Operator::Less, 1024),
            body(Wanted::Pattern(pattern("\"ok\": *true"))),
            body(Wanted::Text("ok".into())),
        ];
        let all: Vec<String> = table
            .iter()
            .map(|checks| judged(checks, 200, "application/json", text))
            .collect();
        expect![[r#"
            check_header: wanted the header content-type "text/plain", got "application/json": {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            check_header: wanted the header content-type /^text//, got "application/json": {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            check_header: wanted the header etag /./, got none: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            check_json: wanted /ok false, got true: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            check_json: wanted /big 9007199254740992, got 9007199254740993: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            check_json: wanted /items/1/id "x1", got nothing there: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            check_size: wanted a size <= 71 B, got 72 B: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}
            good
            good
            check_body: wanted the body "ok", got another body: {"ok": true, "n": 7.0, "items": [{"id": "x1"}], "big": 9007199254740993}"#]]
        .assert_eq(&all.join("\n"));
    }

    #[test]
    fn a_body_that_is_not_json_or_was_not_kept_fails() {
        let checks = Checks {
            json: vec![("/ok".parse().unwrap(), WantedJson::Value(Value::Bool(true)))],
            ..Checks::default()
        };
        assert!(judged(&checks, 200, "", "<html>").starts_with("check_json: wanted /ok true, got no JSON: "));
        let cut = Answer {
            whole: false,
            ..Answer::whole(200, Fields::NONE, br#"{"ok": true}"#)
        };
        let failure = checks.judge(&cut).unwrap_err();
        assert!(
            failure.text.contains("longer than 16777216 bytes"),
            "{}",
            failure.text
        );
    }
}
