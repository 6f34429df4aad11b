//! A transcript of Toxiproxy 2.12, replayed: the same answer to the same request, but for what [`equal`] says.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;

use squall_edge::api::{Answer, Api, ApiOptions, Request};
use squall_model::seed::Seed;

/// A line of the file: a comment, or a request with the answer that the original gave.
enum Line {
    Comment(String),
    Exchange { request: Asked, answer: String },
}

/// A request.
pub(crate) struct Asked {
    written: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) user_agent: &'static str,
}

impl Asked {
    fn read(line: &str, taken: &str) -> Option<Asked> {
        let (who, request) = line.split_once("> ")?;
        let mut words = request.splitn(3, ' ');
        Some(Asked {
            written: line.to_owned(),
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            body: words.next().unwrap_or_default().replace("{taken}", taken),
            user_agent: if who.trim() == "browser" {
                "Mozilla/5.0"
            } else {
                "squall"
            },
        })
    }
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/transcript.txt"))
}

fn read(taken: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(path()).unwrap();
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines() {
        let words = line.trim_start_matches("browser ");
        if let Some(said) = line.strip_prefix("< ") {
            let Some(Line::Exchange { answer, .. }) = lines.last_mut() else {
                panic!("an answer without a request: {line}");
            };
            said.clone_into(answer);
        } else if words.starts_with("> ") {
            let request = Asked::read(line, taken).unwrap();
            lines.push(Line::Exchange {
                request,
                answer: String::new(),
            });
        } else {
            lines.push(Line::Comment(line.to_owned()));
        }
    }
    lines
}

/// Asks every request of the transcript in turn; the differences from what it holds. `freeze` writes the answers into it.
pub(crate) fn differences(freeze: bool, mut ask: impl FnMut(&Asked) -> String) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (mut differences, mut frozen, mut exchanges) = (String::new(), String::new(), 0);
    for line in read(&taken) {
        let (request, expected) = match line {
            Line::Comment(text) => {
                writeln!(frozen, "{text}").unwrap();
                continue;
            }
            Line::Exchange { request, answer } => (request, answer),
        };
        let answer = equal(&ask(&request));
        let written = &request.written;
        writeln!(frozen, "{written}\n< {answer}").unwrap();
        if answer != expected {
            writeln!(
                differences,
                "{written}\n  expected {expected}\n  answered {answer}"
            )
            .unwrap();
        }
        exchanges += 1;
    }
    assert!(
        exchanges > 100,
        "only {exchanges}: this test looks in the wrong place"
    );
    if freeze {
        std::fs::write(path(), frozen).unwrap();
    }
    differences
}

/// What is the same in both by agreement: ports that were drawn; what exactly is wrong with a body, in Go's words or in
/// ours; and `Logger`, an empty object that gets into the original's answers by an oversight.
fn equal(answer: &str) -> String {
    let answer = answer.replace(r#""Logger":{},"#, "");
    let mut pieces = answer.split("127.0.0.1:");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        let port = &piece[..piece.len() - rest.len()];
        text += "127.0.0.1:";
        text += if port.len() > 3 { "PORT" } else { port };
        text += rest;
    }
    let Some((before, reason)) = text.split_once("bad request body: ") else {
        return text;
    };
    let (_, after) = reason.rsplit_once("\",\"status\"").unwrap();
    format!("{before}bad request body: ...\",\"status\"{after}")
}

/// An answer in one line: status, kind, where else, body.
pub(crate) fn line(status: u16, content_type: &str, location: &str, body: &str) -> String {
    let words = [
        &status.to_string(),
        content_type,
        location,
        &body.replace('\n', "\\n"),
    ];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

pub(crate) fn api(is_strict: bool, allowed_hosts: &[&str]) -> Api {
    Api::start(ApiOptions {
        seed: Seed::new(7),
        allowed_hosts: allowed_hosts.iter().map(|host| (*host).to_owned()).collect(),
        is_strict,
    })
    .unwrap()
}

pub(crate) fn ask(api: &Api, method: &str, target: &str, body: &str) -> Answer {
    api.answer(&Request {
        method,
        target,
        user_agent: "squall",
        body: body.as_bytes(),
    })
}

#[test]
fn every_answer_is_the_originals() {
    let api = api(false, &[]);
    let differences = differences(false, |asked| {
        let answer = api.answer(&Request {
            method: &asked.method,
            target: &asked.target,
            user_agent: asked.user_agent,
            body: asked.body.as_bytes(),
        });
        let location = answer.location.unwrap_or_default();
        line(
            answer.status,
            answer.content_type.unwrap_or_default(),
            &location,
            &answer.body,
        )
    });
    assert!(differences.is_empty(), "\n{differences}");
}
