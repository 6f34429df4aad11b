//! Texts as others read them back: words of a shell's command line, and scalars of YAML.

use std::fmt::Write as _;

/// A word, quoted where a shell would read something into it.
pub fn shell(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:%@".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A scalar between double quotes, which YAML reads as this very text.
pub fn yaml(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Each of these has at most four digits.
            '\u{2028}' | '\u{2029}' | '\u{feff}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_same_word() {
        for word in [
            "",
            "plain-1.yaml",
            "two words",
            "it's",
            "$HOME",
            "a\"b\\c",
            "new\nline",
        ] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", shell(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn what_yaml_would_change_is_escaped() {
        assert_eq!(
            yaml("a \"b\" \\ \n\t\u{7f}\u{85}\u{2028}é😀"),
            r#""a \"b\" \\ \n\t\u007f\u0085\u2028é😀""#
        );
    }
}
