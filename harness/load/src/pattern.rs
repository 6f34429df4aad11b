//! Regular expressions over bytes, as scenarios give them.

use std::fmt;

/// A regular expression. Classes such as `\w` are ASCII, and it need not match at the beginning.
#[derive(Clone, Debug)]
pub struct Pattern(regex::bytes::Regex);

/// A text that is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the regular expression {pattern:?}: {problem}")]
pub struct PatternError {
    pattern: String,
    problem: String,
}

impl Pattern {
    /// Whether it matches anywhere.
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// What the first group of the first match took, or the whole match where there is no group.
    pub fn capture<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let captures = self.0.captures(bytes)?;
        let found = if captures.len() > 1 {
            captures.get(1)
        } else {
            captures.get(0)
        };
        found.map(|found| found.as_bytes())
    }
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Pattern, PatternError> {
        let built = regex::bytes::RegexBuilder::new(pattern).unicode(false).build();
        built.map(Pattern).map_err(|error| PatternError {
            pattern: pattern.to_owned(),
            // The last line says what; those before draw the pattern again.
            problem: error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_looks_at_bytes_and_gives_its_first_group() {
        let pattern: Pattern = r#"name="csrf" value="([^"]+)""#.parse().unwrap();
        let page = b"\xff<input name=\"csrf\" value=\"a1\">";
        assert_eq!(pattern.capture(page), Some(&b"a1"[..]));
        assert_eq!(pattern.capture(b"name="), None);
        let whole: Pattern = r"\d+".parse().unwrap();
        assert_eq!(whole.capture(b"ab 12"), Some(&b"12"[..]));
        let optional: Pattern = "a(b)?".parse().unwrap();
        assert_eq!(optional.capture(b"a"), None, "the group took no part");
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let error = "a(b".parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(error, r#"reading the regular expression "a(b": unclosed group"#);
    }
}
