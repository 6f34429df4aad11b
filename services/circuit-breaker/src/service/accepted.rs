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
    folder: PathBuf,
    file: PathBuf,
}

impl Accepted {
    /// In this folder, which is made if it is missing.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            file: folder.join("accepted-rules.json"),
        })
    }

    /// Keeps a text in the place of the one before: whole, or not at all. It is there after a loss of power too.
    pub fn keep(&self, text: &str) -> io::Result<()> {
        // As the snapshots of `squall_config_client` are written, which has no function for it that others may call.
        let beside = self.file.with_extension("new");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &self.file)
        });
        if written.is_err() {
            // Half a file would only take space.
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.sync()
    }

    /// Forgets it, for good.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.and_then(|()| self.sync()),
        }
    }

    /// What happened to names in the folder is on disk.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
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

    #[test]
    fn what_cannot_be_kept_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(folder.path()).unwrap();
        // Nothing can be moved to where a folder is.
        let in_the_way = folder.path().join("accepted-rules.json");
        std::fs::create_dir_all(in_the_way.join("inside")).unwrap();
        accepted.keep("[]").unwrap_err();
        let left = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert_eq!(left.map(|one| one.path()).collect::<Vec<_>>(), [in_the_way]);
    }
}
