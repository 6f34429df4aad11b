//! The settings a service takes: declared as data, checked before anything starts.
//!
//! A value that a service reads is valid by construction; nothing downstream checks again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The setting every service with an asynchronous runtime takes.
pub const WORKERS: Setting = Setting {
    name: "workers",
    about: "threads that serve requests; 0 is one per core",
    kind: SettingKind::Integer { min: 0, max: 1024 },
    default: "0",
};

/// One setting of a service.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The values it takes.
    pub kind: SettingKind,
    /// The value where none is given, as it would be written.
    pub default: &'static str,
}

/// The values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SettingKind {
    /// A whole number within the bounds, both included.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A decimal number within the bounds, both included.
    Number {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// A share of a whole, such as `0.2%` or `0.002`.
    Ratio,
    /// `true` or `false`.
    Boolean,
    /// A length of time, such as `300ms` or `1h30m`.
    Duration,
    /// A length of time that is not nothing, for what comes again and again.
    Interval,
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file's path; empty is none.
    File,
    /// The paths of any number of files, in order: given once for each, in a scenario as a list.
    Files,
}

/// A setting that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not of the form `key=value`.
    #[error("setting {text:?} has no value; write it as key=value")]
    NoValue {
        /// What was given.
        text: String,
    },
    /// No setting has this name.
    #[error("there is no setting {name:?}; {}", .nearest.map_or_else(
        || format!("known: {}", known_or_none(.known)),
        |nearest| format!("did you mean {nearest:?}? known: {}", known_or_none(.known)),
    ))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The valid name that is most like it, if one is.
        nearest: Option<&'static str>,
        /// Every valid name.
        known: Vec<&'static str>,
    },
    /// The setting does not take this value.
    #[error("setting {name:?} cannot be {value:?}; it takes {accepted}")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// The values it takes, in words.
        accepted: String,
    },
    /// The setting was given more than once.
    #[error("setting {name:?} is given twice; give it once")]
    Twice {
        /// The setting.
        name: &'static str,
    },
}

fn known_or_none(known: &[&str]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

/// A valid value for each setting of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings(BTreeMap<&'static str, Value>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Duration(Duration),
    Text(String),
    Choice(&'static str),
    Files(Vec<PathBuf>),
}

impl Setting {
    /// The setting `plant`: a bug on request, one of `words`, of which the first is `none`.
    pub const fn plant(words: &'static [&'static str]) -> Self {
        Self {
            name: "plant",
            about: "a bug to plant, so that a check can be seen to find it",
            kind: SettingKind::Choice(words),
            default: "none",
        }
    }

    /// The setting named `name` among `settings`; an error that names the most similar one if there is none.
    pub fn find<'a>(settings: &'a [Setting], name: &str) -> Result<&'a Setting, SettingError> {
        settings
            .iter()
            .find(|setting| setting.name == name)
            .ok_or_else(|| SettingError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, settings.iter().map(|setting| setting.name)),
                known: settings.iter().map(|setting| setting.name).collect(),
            })
    }

    /// Checks that the setting takes `value`.
    pub fn check(&self, value: &str) -> Result<(), SettingError> {
        self.value(value).map(drop)
    }

    fn value(&self, text: &str) -> Result<Value, SettingError> {
        let value = match self.kind {
            SettingKind::Integer { min, max } => text
                .parse()
                .ok()
                .filter(|n| (min..=max).contains(n))
                .map(Value::Integer),
            SettingKind::Number { min, max } => text
                .parse()
                .ok()
                .filter(|n| (min..=max).contains(n))
                .map(Value::Number),
            SettingKind::Ratio => parse_ratio(text).map(Value::Number),
            SettingKind::Boolean => text.parse().ok().map(Value::Boolean),
            SettingKind::Duration => parse_duration(text).map(Value::Duration),
            SettingKind::Interval => parse_duration(text)
                .filter(|interval| !interval.is_zero())
                .map(Value::Duration),
            SettingKind::Text => Some(Value::Text(text.to_owned())),
            SettingKind::Choice(words) => words
                .iter()
                .find(|word| **word == text)
                .map(|word| Value::Choice(word)),
            SettingKind::File | SettingKind::Files => Some(Value::Files(
                Some(text)
                    .filter(|text| !text.is_empty())
                    .map(PathBuf::from)
                    .into_iter()
                    .collect(),
            )),
        };
        value.ok_or_else(|| SettingError::Value {
            name: self.name,
            value: text.to_owned(),
            accepted: self.kind.to_string(),
        })
    }
}

impl fmt::Display for SettingKind {
    /// The values it takes, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Ratio => f.write_str("a share such as 0.2% or 0.002"),
            Self::Boolean => f.write_str("true or false"),
            Self::Duration => f.write_str("a duration such as 300ms or 1h30m"),
            Self::Interval => f.write_str("a duration above 0 such as 300ms or 1h30m"),
            Self::Text => f.write_str("any text"),
            Self::Choice(words) => f.write_str(&words.join(" or ")),
            Self::File => f.write_str("the path of a file"),
            Self::Files => f.write_str("the path of a file, any number of times"),
        }
    }
}

impl Settings {
    /// Checks `key=value` pairs against the settings a service declares; every error at once.
    pub fn parse<S: AsRef<str>>(
        declared: &'static [Setting],
        pairs: impl IntoIterator<Item = S>,
    ) -> Result<Self, Vec<SettingError>> {
        let mut given: BTreeMap<&'static str, Value> = BTreeMap::new();
        let mut errors = Vec::new();
        for pair in pairs {
            match Self::pair(declared, pair.as_ref()) {
                Ok((setting, Value::Files(more))) if setting.kind == SettingKind::Files => {
                    if let Some(Value::Files(files)) = given.get_mut(setting.name) {
                        files.extend(more);
                    } else {
                        given.insert(setting.name, Value::Files(more));
                    }
                }
                Ok((setting, value)) => {
                    let name = setting.name;
                    if given.insert(name, value).is_some() {
                        errors.push(SettingError::Twice { name });
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        for setting in declared {
            if !given.contains_key(setting.name) {
                match setting.value(setting.default) {
                    Ok(value) => drop(given.insert(setting.name, value)),
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() {
            Ok(Self(given))
        } else {
            Err(errors)
        }
    }

    fn pair(declared: &'static [Setting], pair: &str) -> Result<(&'static Setting, Value), SettingError> {
        let (name, value) = pair.split_once('=').ok_or_else(|| SettingError::NoValue {
            text: pair.to_owned(),
        })?;
        let setting = Setting::find(declared, name)?;
        Ok((setting, setting.value(value)?))
    }

    /// The value of an integer setting. Panics if the service declares none of that name, as the others do.
    pub fn integer(&self, name: &str) -> i64 {
        match self.0.get(name) {
            Some(Value::Integer(value)) => *value,
            other => undeclared("an integer", name, other),
        }
    }

    /// The value of a number or ratio setting; a ratio is from 0 to 1.
    pub fn number(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(Value::Number(value)) => *value,
            other => undeclared("a number", name, other),
        }
    }

    /// The value of a Boolean setting.
    pub fn boolean(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Boolean(value)) => *value,
            other => undeclared("a Boolean", name, other),
        }
    }

    /// The value of a duration or interval setting.
    pub fn duration(&self, name: &str) -> Duration {
        match self.0.get(name) {
            Some(Value::Duration(value)) => *value,
            other => undeclared("a duration", name, other),
        }
    }

    /// The value of a text setting.
    pub fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(Value::Text(value)) => value,
            other => undeclared("a text", name, other),
        }
    }

    /// The word a choice setting is set to.
    pub fn choice(&self, name: &str) -> &'static str {
        match self.0.get(name) {
            Some(Value::Choice(value)) => value,
            other => undeclared("a choice", name, other),
        }
    }

    /// The file of a setting that names one, if it does.
    pub fn file(&self, name: &str) -> Option<&Path> {
        self.files(name).first().map(PathBuf::as_path)
    }

    /// The files of a setting that names files, in the order in which they were given.
    pub fn files(&self, name: &str) -> &[PathBuf] {
        match self.0.get(name) {
            Some(Value::Files(files)) => files,
            other => undeclared("files", name, other),
        }
    }

    /// The threads to serve with, where the service declares [`WORKERS`]; otherwise, and where it is 0, one per core.
    pub fn workers(&self) -> usize {
        match self.0.get(WORKERS.name) {
            Some(Value::Integer(workers)) if *workers > 0 => *workers as usize,
            _ => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

fn undeclared(kind: &str, name: &str, found: Option<&Value>) -> ! {
    panic!("the service declares no setting {name:?} that is {kind}; found {found:?}")
}

/// The candidate most like `name`, if any is like it at all.
fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    const LIKE: f64 = 0.6;
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Reads `0.2%` or `0.002`, from 0 to 1.
fn parse_ratio(text: &str) -> Option<f64> {
    let ratio = match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}

/// Reads `300ms`, `1.5s` or `1h30m`: numbers with units, largest first or not, added up.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_s = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let seconds = number.parse::<f64>().ok()? * unit_s;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::{
        Duration, Path, PathBuf, Setting, SettingError, SettingKind, Settings, WORKERS, parse_duration,
        parse_ratio,
    };

    static DECLARED: [Setting; 6] = [
        setting("node", SettingKind::Integer { min: 0, max: 1023 }, "0"),
        setting("policy", SettingKind::Choice(&["backup", "reject"]), "backup"),
        setting("share", SettingKind::Number { min: 0.0, max: 1.0 }, "0.5"),
        setting("wait", SettingKind::Duration, "1s"),
        setting("loud", SettingKind::Boolean, "false"),
        setting("label", SettingKind::Text, ""),
    ];

    const fn setting(name: &'static str, kind: SettingKind, default: &'static str) -> Setting {
        Setting {
            name,
            about: "",
            kind,
            default,
        }
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let settings = Settings::parse(&DECLARED, ["policy=reject", "label=a=b", "wait=2ms"]).unwrap();
        assert_eq!(settings.integer("node"), 0);
        assert_eq!(settings.choice("policy"), "reject");
        assert!((settings.number("share") - 0.5).abs() < f64::EPSILON);
        assert_eq!(settings.duration("wait"), Duration::from_millis(2));
        assert!(!settings.boolean("loud"));
        assert_eq!(settings.text("label"), "a=b");
    }

    #[test]
    fn every_wrong_setting_is_reported_with_what_would_be_right() {
        let given = [
            "nod=1",
            "zzz=1",
            "node=1024",
            "node=x",
            "policy=spin",
            "share=2",
            "loud=yes",
            "wait=5",
        ];
        let errors = Settings::parse(&DECLARED, given).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"there is no setting "nod"; did you mean "node"? known: node, policy, share, wait, loud, label"#,
                r#"there is no setting "zzz"; known: node, policy, share, wait, loud, label"#,
                r#"setting "node" cannot be "1024"; it takes a whole number from 0 to 1023"#,
                r#"setting "node" cannot be "x"; it takes a whole number from 0 to 1023"#,
                r#"setting "policy" cannot be "spin"; it takes backup or reject"#,
                r#"setting "share" cannot be "2"; it takes a number from 0 to 1"#,
                r#"setting "loud" cannot be "yes"; it takes true or false"#,
                r#"setting "wait" cannot be "5"; it takes a duration such as 300ms or 1h30m"#,
            ]
        );
    }

    #[test]
    fn a_setting_is_given_once_and_with_a_value() {
        let errors = Settings::parse(&DECLARED, ["node=1", "node=2", "node"]).unwrap_err();
        assert_eq!(
            errors,
            [
                SettingError::Twice { name: "node" },
                SettingError::NoValue {
                    text: "node".to_owned()
                }
            ]
        );
    }

    #[test]
    fn files_add_up_and_a_file_is_given_once() {
        static DECLARED: [Setting; 2] = [
            setting("publish", SettingKind::Files, ""),
            setting("restore", SettingKind::File, ""),
        ];
        let settings = Settings::parse(&DECLARED, ["publish=b.json", "publish=a.json"]).unwrap();
        assert_eq!(
            settings.files("publish"),
            [PathBuf::from("b.json"), PathBuf::from("a.json")]
        );
        assert_eq!(settings.file("restore"), None);
        let restored = Settings::parse(&DECLARED, ["restore=a.json"]).unwrap();
        assert_eq!(restored.file("restore"), Some(Path::new("a.json")));
        let errors = Settings::parse(&DECLARED, ["restore=a.json", "restore=b.json"]).unwrap_err();
        assert_eq!(errors, [SettingError::Twice { name: "restore" }]);
    }

    #[test]
    fn an_interval_is_a_duration_that_is_not_nothing() {
        let interval = setting("beat", SettingKind::Interval, "5s");
        assert!(interval.check("1us").is_ok());
        let refused = interval.check("0s").unwrap_err().to_string();
        assert_eq!(
            refused,
            r#"setting "beat" cannot be "0s"; it takes a duration above 0 such as 300ms or 1h30m"#
        );
    }

    #[test]
    fn durations_add_up_and_need_a_unit() {
        let cases = [
            ("300ms", Some(300_000)),
            ("1h30m", Some(5_400_000_000)),
            ("1.5s", Some(1_500_000)),
            ("7us", Some(7)),
            ("", None),
            ("5", None),
            ("5 s", None),
            ("-1s", None),
            ("1x", None),
            ("s", None),
            ("1.2.3s", None),
        ];
        for (text, us) in cases {
            assert_eq!(parse_duration(text), us.map(Duration::from_micros), "{text}");
        }
    }

    #[test]
    fn a_ratio_is_a_share_of_a_whole() {
        let cases = [
            ("0.25%", Some(0.0025)),
            ("100%", Some(1.0)),
            ("0.5", Some(0.5)),
            ("0", Some(0.0)),
            ("101%", None),
            ("-1%", None),
            ("NaN", None),
            ("%", None),
            ("5 %", None),
        ];
        for (text, ratio) in cases {
            assert_eq!(parse_ratio(text), ratio, "{text}");
        }
    }

    #[test]
    fn no_workers_means_one_per_core() {
        static WITH_WORKERS: [Setting; 1] = [WORKERS];
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(
            Settings::parse(&WITH_WORKERS, ["workers=0"]).unwrap().workers(),
            cores
        );
        assert_eq!(
            Settings::parse(&WITH_WORKERS, ["workers=3"]).unwrap().workers(),
            3
        );
        assert_eq!(Settings::parse(&[], [""; 0]).unwrap().workers(), cores);
    }
}
