//! The last rules of config-center that were accepted, on disk: what a restart falls back to where the newest ones are refused.
//!
//! The client's own copy is of what the server has, whatever that is. Without this one a mistake that was published and refused would, at the
//! next restart, put the service's own rules in force in the place of the ones that it had kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::RuleSet;

/// The copy.
#[derive(Debug)]
pub struct Accepted {
    file: PathBuf,
}

impl Accepted {
    /// In this folder, which is made if it is missing.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            file: folder.join("accepted-rules.json"),
        })
    }

    /// Keeps a text in the place of the one before: whole, or not at all.
    pub fn keep(&self, text: &str) -> io::Result<()> {
        let beside = self.file.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, &self.file)
    }

    /// Forgets it.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The rules that were kept. `None` if there are none, or none that this version accepts.
    pub fn rules(&self) -> Option<RuleSet> {
        let text = fs::read_to_string(&self.file).ok()?;
        RuleSet::from_json(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Accepted;

    #[test]
    fn what_was_kept_last_is_read_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(&folder.path().join("new")).unwrap();
        assert_eq!(accepted.rules(), None);
        for count in [5, 7] {
            let text = format!(r#"[{{ "resource": "feed", "count": {count} }}]"#);
            accepted.keep(&text).unwrap();
            let rules = accepted.rules().unwrap();
            assert!((rules.flow[0].count - f64::from(count)).abs() < 1e-9);
        }
        accepted.keep("torn [").unwrap();
        assert_eq!(accepted.rules(), None);
        accepted.forget().unwrap();
        accepted.forget().unwrap();
    }
}
