//! Names that a scenario gives to things, and names of environment variables.
//!
//! A scenario's names appear in placeholders, in expressions such as `refresh.p99`, in file names and in reports, so
//! they are short and plain: no dot, no space, no capital.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name cannot be empty")]
    Empty,
    /// Too long for a file name in comfort.
    #[error("a name has at most {} characters", Name::LONGEST)]
    TooLong,
    /// A character that no name has.
    #[error("a name is made of a-z, 0-9, `-` and `_` and starts with a letter")]
    Characters,
    /// Not the name of a metric.
    #[error("a metric is called as `p99`, or as `LOAD.p99` where it is of one load")]
    Metric,
    /// A character that no environment variable has.
    #[error("a variable's name is made of letters, digits and `_` and starts with no digit")]
    Variable,
}

/// A name for a service, load, phase, fault or invariant: `[a-z][a-z0-9_-]*`, at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Characters that a name has at most.
    pub const LONGEST: usize = 64;
    /// The rule as a regular expression.
    pub const PATTERN: &str = "^[a-z][a-z0-9_-]{0,63}$";

    /// Takes `text` for a name if it is one.
    pub fn new(text: &str) -> Result<Name, NameError> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        match text.as_bytes() {
            [] => Err(NameError::Empty),
            [first, rest @ ..] if first.is_ascii_lowercase() && rest.iter().all(|byte| plain(*byte)) => {
                if text.len() > Self::LONGEST {
                    Err(NameError::TooLong)
                } else {
                    Ok(Name(text.to_owned()))
                }
            }
            _ => Err(NameError::Characters),
        }
    }

    /// The nearest text that is a name, to propose: `Place Order` gives `place-order`.
    pub fn propose(text: &str) -> Option<Name> {
        let folded: String = text
            .to_lowercase()
            .chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() || one == '_' {
                    one
                } else {
                    '-'
                }
            })
            .collect();
        let trimmed = folded
            .trim_start_matches(|one: char| !one.is_ascii_lowercase())
            .trim_end_matches('-');
        Name::new(trimmed).ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a gate's metric: `p99`, or `refresh.p99` for that of one load.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricName(String);

impl MetricName {
    /// The rule as a regular expression.
    pub const PATTERN: &str = r"^([a-z][a-z0-9_-]{0,63}\.)?[a-z][a-z0-9_-]{0,63}$";

    /// Takes `text` for the name of a metric if it is one.
    pub fn new(text: &str) -> Result<MetricName, NameError> {
        let parts = text
            .split_once('.')
            .map_or((None, text), |(of, kind)| (Some(of), kind));
        let is_one = parts.0.is_none_or(|of| Name::new(of).is_ok()) && Name::new(parts.1).is_ok();
        if is_one {
            Ok(MetricName(text.to_owned()))
        } else {
            Err(NameError::Metric)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The load or fault that it is of, and what it measures.
    pub fn parts(&self) -> (Option<&str>, &str) {
        self.0
            .split_once('.')
            .map_or((None, &self.0), |(of, kind)| (Some(of), kind))
    }
}

impl AsRef<str> for MetricName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvName(String);

impl EnvName {
    /// The rule as a regular expression.
    pub const PATTERN: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

    /// Takes `text` for a variable's name if it is one.
    pub fn new(text: &str) -> Result<EnvName, NameError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match text.as_bytes() {
            [] => Err(NameError::Empty),
            [first, rest @ ..]
                if plain(*first) && !first.is_ascii_digit() && rest.iter().all(|one| plain(*one)) =>
            {
                Ok(EnvName(text.to_owned()))
            }
            _ => Err(NameError::Variable),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_like {
    ($($name:ident),*) => {$(
        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_like!(Name, EnvName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "cut-ranking", "step_5ms", "x9"] {
            assert_eq!(Name::new(good).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("9x", NameError::Characters),
            ("-x", NameError::Characters),
            ("Feed", NameError::Characters),
            ("a.b", NameError::Characters),
            ("é", NameError::Characters),
            (&"a".repeat(65), NameError::TooLong),
        ] {
            assert_eq!(Name::new(bad), Err(why), "{bad}");
        }
        assert_eq!(Name::propose("Place Order").as_deref(), Some("place-order"));
        assert_eq!(Name::propose("5%"), None);
    }

    #[test]
    fn variables_may_have_capitals() {
        assert!(EnvName::new("PGPASS").is_ok() && EnvName::new("_x1").is_ok());
        assert_eq!(EnvName::new("1X"), Err(NameError::Variable));
        assert_eq!(EnvName::new("A-B"), Err(NameError::Variable));
    }
}
