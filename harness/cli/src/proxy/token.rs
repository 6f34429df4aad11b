//! What whoever asks must know.

use std::fmt;
use std::fs;

use anyhow::{Context as _, ensure};

/// The longest token.
const BYTES_MAX: usize = 1_024;

/// A token. Never printed.
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// As the command line has it: itself, or `@` and the file where it stands, so that no list of processes shows it.
    pub fn read(argument: &str) -> anyhow::Result<Token> {
        let text = match argument.strip_prefix('@') {
            Some(path) => {
                fs::read_to_string(path).with_context(|| format!("reading the token from {path}"))?
            }
            None => argument.to_owned(),
        };
        let text = text.trim();
        // RFC 6750, section 2.1, allows a little less.
        let is_one =
            !text.is_empty() && text.len() <= BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            is_one,
            "--token: a token is up to {BYTES_MAX} visible ASCII characters without blanks"
        );
        Ok(Token(text.to_owned()))
    }

    /// Whether a value of `authorization` holds it. Takes as long for a wrong one as for one that is almost right.
    pub fn is_known_to(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, given)) = authorization.and_then(|value| value.trim().split_once(' ')) else {
            return false;
        };
        let given = given.trim_start().as_bytes();
        let differs = self
            .0
            .bytes()
            .zip(given)
            .fold(0, |differs, (a, b)| differs | (a ^ b));
        scheme.eq_ignore_ascii_case("bearer") && given.len() == self.0.len() && differs == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_known() {
        let token = Token::read("s3cret").expect("a token");
        for (value, is_known) in [
            (Some("Bearer s3cret"), true),
            (Some("bearer  s3cret "), true),
            (Some("Bearer s3cre"), false),
            (Some("Bearer s3crets"), false),
            (Some("Bearer S3cret"), false),
            (Some("Basic s3cret"), false),
            (Some("s3cret"), false),
            (Some("Bearer "), false),
            (None, false),
        ] {
            assert_eq!(token.is_known_to(value), is_known, "{value:?}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for argument in ["", " ", "a b", "ä", "@/nowhere/token", &"x".repeat(BYTES_MAX + 1)] {
            assert!(Token::read(argument).is_err(), "{argument}");
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "from-a-file\n").expect("written");
        let token = Token::read(&format!("@{}", file.path().display())).expect("a token");
        assert!(token.is_known_to(Some("Bearer from-a-file")));
    }
}
