//! `squall.toml` at a repository's root: how the project is built where the scenario doesn't say.
//!
//! Strict: what isn't known is an error with its line and the nearest name, since a build that is silently another one would be
//! measured.

use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use squall_model::diagnostic::suggest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file's name.
pub const FILE: &str = "squall.toml";

/// Such a file has a few lines.
const BYTES_MAX: u64 = 256 * 1024;

/// Programs with their arguments, run one after the other.
pub type Commands = Vec<Vec<String>>;

/// `squall.toml` is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {why}", .path.display())]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what to write instead.
    pub why: String,
}

/// What a `squall.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `gate.build`; `None` where it says nothing.
    pub build: Option<Commands>,
    /// `gate.server`: the program that serves bundled services, relative to the root.
    pub server: Option<String>,
}

/// Reads the file in `root`; what says nothing if there is none.
pub fn read(root: &Path) -> Result<Settings, SettingsError> {
    let path = root.join(FILE);
    let unreadable = |why: String| SettingsError {
        path: path.clone(),
        line: 1,
        why,
    };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(e) => return Err(unreadable(format!("it can't be read: {e}"))),
    };
    let mut text = String::new();
    let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| unreadable(format!("it can't be read: {e}")))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(unreadable(format!("it has more than {BYTES_MAX} bytes")));
    }
    parse(&text).map_err(|(at, why)| SettingsError {
        path,
        line: text.get(..at).unwrap_or(&text).split('\n').count(),
        why,
    })
}

/// What is wrong, and the byte where it is.
type Wrong = (usize, String);

fn parse(text: &str) -> Result<Settings, Wrong> {
    let top = DeTable::parse(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        (at, e.message().trim().to_owned())
    })?;
    let mut settings = Settings::default();
    for (key, value) in known(top.get_ref(), &["gate"])? {
        let DeValue::Table(gate) = value.get_ref() else {
            return Err(another(value, key, "a table"));
        };
        for (key, value) in known(gate, &["build", "server"])? {
            if key == "build" {
                settings.build = Some(commands(value)?);
            } else {
                let path = value.get_ref().as_str();
                let path = path.ok_or_else(|| another(value, "gate.server", "the path of a program"))?;
                settings.server = Some(path.to_owned());
            }
        }
    }
    Ok(settings)
}

/// The entries of a table, if all of its keys are among `keys`.
fn known<'t, 'i>(
    table: &'t DeTable<'i>,
    keys: &[&str],
) -> Result<Vec<(&'t str, &'t Spanned<DeValue<'i>>)>, Wrong> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let name: &str = key.get_ref();
        if !keys.contains(&name) {
            let help =
                suggest(name, keys.iter().copied()).map_or_else(String::new, |help| format!("; {help}"));
            return Err((key.span().start, format!("unknown key `{name}`{help}")));
        }
        entries.push((name, value));
    }
    Ok(entries)
}

/// `["make", "all"]`, or a list of such.
fn commands(value: &Spanned<DeValue<'_>>) -> Result<Commands, Wrong> {
    const SHAPE: &str = "a list of words such as [\"make\", \"all\"], or a list of such lists";
    let DeValue::Array(parts) = value.get_ref() else {
        return Err(another(value, "gate.build", SHAPE));
    };
    let is_several = parts
        .iter()
        .any(|part| matches!(part.get_ref(), DeValue::Array(_)));
    if !is_several {
        return Ok(vec![words(parts.iter(), value.span(), SHAPE)?]);
    }
    let mut several = Vec::new();
    for part in parts {
        let DeValue::Array(inner) = part.get_ref() else {
            return Err(another(part, "gate.build", SHAPE));
        };
        several.push(words(inner.iter(), part.span(), SHAPE)?);
    }
    Ok(several)
}

fn words<'t, 'i: 't>(
    parts: impl Iterator<Item = &'t Spanned<DeValue<'i>>>,
    span: Range<usize>,
    shape: &str,
) -> Result<Vec<String>, Wrong> {
    let mut words = Vec::new();
    for part in parts {
        match part.get_ref().as_str() {
            Some(word) => words.push(word.to_owned()),
            None => return Err(another(part, "gate.build", shape)),
        }
    }
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err((
            span.start,
            format!("`gate.build` names no program: write {shape}"),
        )),
    }
}

fn another(value: &Spanned<DeValue<'_>>, key: &str, shape: &str) -> Wrong {
    let found = value.get_ref().type_str();
    (
        value.span().start,
        format!("`{key}` is {shape}, not of the type {found}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file with this text gives.
    fn check(text: &str) -> Result<Option<Commands>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), text).expect("written");
        let read = read(folder.path()).map_err(|e| {
            let shown = e.to_string();
            shown.rsplit_once(FILE).expect("it names the file").1.to_owned()
        });
        Ok(read?.build)
    }

    fn commands(of: &[&[&str]]) -> Commands {
        let words = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        of.iter().map(words).collect()
    }

    #[test]
    fn one_command_or_several_are_read() {
        assert_eq!(
            check("[gate]\nbuild = [\"make\", \"all\"]\n"),
            Ok(Some(commands(&[&["make", "all"]])))
        );
        assert_eq!(
            check("gate.build = [\n  [\"./configure\"], # first\n  [\"make\"],\n]\n"),
            Ok(Some(commands(&[&["./configure"], &["make"]])))
        );
        assert_eq!(check("[gate]\nserver = \"target/release/squall\"\n"), Ok(None));
        assert_eq!(check("[gate]\n"), Ok(None));
        assert_eq!(check(""), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_to_write() {
        let table = [
            (
                "[gate]\nserver = 3\n",
                ":2: `gate.server` is the path of a program, not of the type integer",
            ),
            (
                "[gate]\n\nbiuld = [\"make\"]\n",
                ":3: unknown key `biuld`; did you mean `build`?",
            ),
            ("\n[gates]\n", ":2: unknown key `gates`; did you mean `gate`?"),
            ("gate = 3\n", ":1: `gate` is a table, not of the type integer"),
            (
                "[gate]\nbuild = \"make\"\n",
                ":2: `gate.build` is a list of words",
            ),
            (
                "[gate]\nbuild = [\"make\",\n 3]\n",
                ":3: `gate.build` is a list of words",
            ),
            (
                "[gate]\nbuild = [[\"a\"],\n \"b\"]\n",
                ":3: `gate.build` is a list of words",
            ),
            ("[gate]\nbuild = []\n", ":2: `gate.build` names no program"),
            (
                "[gate]\nbuild = [[\"a\"], []]\n",
                ":2: `gate.build` names no program",
            ),
            ("[gate]\nbuild = [\"\"]\n", ":2: `gate.build` names no program"),
            ("[gate]\nbuild = [\n", ":"),
            ("[gate]\nbuild = [\"a\"]\nbuild = [\"a\"]\n", ":3: "),
        ];
        for (text, expected) in table {
            let error = check(text).expect_err(text);
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn no_file_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()), Ok(Settings::default()));
    }
}
