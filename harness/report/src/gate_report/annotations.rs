//! Gates as workflow commands, which GitHub turns into annotations of a run.
//!
//! A command is one line of a job's output. No text of a record may end its line or its property, or begin a command of its own, so line
//! ends and separators are escaped as GitHub asks, and what else could move a terminal is made visible.
//! (docs.github.com, "Workflow commands for GitHub Actions")

use squall_model::gate::{GateRecord, GateVerdict};

use super::section::of_candidate;
use super::wording;
use crate::visible::visible;

/// The most annotations of a kind: GitHub shows no more of a step.
const MOST: usize = 10;
/// The longest message; what an annotation shows is short.
const LONGEST: usize = 2_000;

/// How loud an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Notice,
}

impl Level {
    const ALL: [Level; 3] = [Level::Error, Level::Warning, Level::Notice];

    fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        }
    }
}

struct Annotation {
    level: Level,
    title: String,
    message: String,
}

/// The commands for all gates, a line each, the gravest first. `scenario_file` is the path of the scenario in the repository, where
/// there is one for them.
pub fn annotations(records: &[GateRecord], scenario_file: Option<&str>) -> String {
    let all: Vec<Annotation> = records.iter().flat_map(of_gate).collect();
    let mut out = String::new();
    for level in Level::ALL {
        let of_level: Vec<&Annotation> = all.iter().filter(|one| one.level == level).collect();
        let shown = if of_level.len() > MOST {
            MOST - 1
        } else {
            of_level.len()
        };
        for one in &of_level[..shown] {
            out += &command(one, scenario_file);
        }
        if shown < of_level.len() {
            let more = Annotation {
                level,
                title: "Gate".to_owned(),
                message: format!("{} more are in the report", of_level.len() - shown),
            };
            out += &command(&more, scenario_file);
        }
    }
    out
}

/// One for the verdict, and one for each metric and invariant that is why.
fn of_gate(record: &GateRecord) -> Vec<Annotation> {
    let blocks = record.exit_code != 0;
    let level = match record.verdict {
        _ if blocks => Level::Error,
        GateVerdict::Regressed | GateVerdict::Inconclusive | GateVerdict::NoBase => Level::Warning,
        GateVerdict::Pass | GateVerdict::Improved => Level::Notice,
    };
    let of = |level: Level, what: &str, message: String| Annotation {
        level,
        title: format!("Gate of {}: {what}", record.scenario),
        message,
    };
    let mut found: Vec<Annotation> = Vec::new();
    for metric in wording::by_gravity(record) {
        if let Some(finding) = metric
            .finding
            .filter(|finding| finding.verdict == GateVerdict::Regressed)
        {
            let (level, what) = if finding.accepted {
                (Level::Notice, "accepted")
            } else {
                (level, "regressed")
            };
            found.push(of(level, what, wording::sentence(record, metric)));
        }
    }
    let violated = if blocks { Level::Error } else { Level::Warning };
    for (invariant, message) in of_candidate(record) {
        found.push(of(violated, "violated", format!("{invariant} {message}")));
    }
    let is_told = record.verdict == GateVerdict::Regressed && found.iter().any(|one| one.level == level);
    if !is_told {
        let mut lines = wording::reasons(record);
        if !record.blind_spot.is_empty() {
            lines.push(format!(
                "What this pass can't see: {}",
                wording::blind_spot(record)
            ));
        }
        lines.extend(
            record
                .advice
                .iter()
                .map(|advice| format!("What would help: {advice}")),
        );
        found.insert(0, of(level, wording::verdict(record.verdict), lines.join("\n")));
    }
    found
}

/// `::error file=...,title=...::message`.
fn command(one: &Annotation, file: Option<&str>) -> String {
    let file = file.map_or_else(String::new, |file| format!("file={},", property(file)));
    let title = property(&one.title);
    let message: String = one.message.chars().take(LONGEST).collect();
    format!(
        "::{} {file}title={title}::{}\n",
        one.level.as_str(),
        data(&message)
    )
}

/// The text of a message.
fn data(text: &str) -> String {
    visible(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_line_or_its_property() {
        let hostile = Annotation {
            level: Level::Error,
            title: "a,file=/etc/passwd::b\n::error::c".to_owned(),
            message: "50 % worse\r\n::set-output name=x::y\u{1b}[31m\u{2028}".to_owned(),
        };
        assert_eq!(
            command(&hostile, Some("s/a:b,c.yaml")),
            "::error file=s/a%3Ab%2Cc.yaml,title=a%2Cfile=/etc/passwd%3A%3Ab%0A%3A%3Aerror%3A%3Ac::50 %25 worse%0A::set-output \
             name=x::y␛[31m\u{fffd}\n"
        );
    }
}
