//! The repository that a scenario is in: its root, what HEAD is, what is changed, and where a base parted from it.
//!
//! Only looks; `worktree` is what writes.

use std::path::{Path, PathBuf};

use super::error::ArmsError;
use super::git::{Git, LOOK_WITHIN};

/// The repository of a scenario's folder.
#[derive(Clone, Debug)]
pub struct Repository<'a> {
    /// The working tree's root, without links.
    pub root: PathBuf,
    /// What all working trees of it share: `.git` of the first, or the bare repository. Absolute.
    pub common: PathBuf,
    /// How it is asked.
    pub git: Git<'a>,
}

/// The working tree, as what a candidate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The full name of HEAD.
    pub head: String,
    /// Whether something tracked is changed.
    pub is_changed: bool,
    /// Whether there is anything that HEAD does not have and no rule ignores.
    pub has_more: bool,
}

impl<'a> Repository<'a> {
    /// The repository that `folder` is in.
    pub fn of(folder: &Path, git: Git<'a>) -> Result<Repository<'a>, ArmsError> {
        let folder = std::fs::canonicalize(folder).map_err(ArmsError::file("looking for", folder))?;
        let answer = git.ask(&folder, &["rev-parse", "--show-toplevel"], LOOK_WITHIN)?;
        if !answer.is_yes() {
            // As where it belongs to somebody else: git says how to allow that.
            let refused = ArmsError::Git {
                doing: format!("looking for the repository of {}", folder.display()),
                words: answer.words.clone(),
            };
            let is_none = answer.words.contains("not a git repository");
            return Err(if is_none {
                ArmsError::NotARepository { folder }
            } else {
                refused
            });
        }
        let root = answer.path();
        let common = git.must(
            "looking at",
            &root,
            &["rev-parse", "--git-common-dir"],
            LOOK_WITHIN,
        )?;
        let common = root.join(common.path());
        let common = std::fs::canonicalize(&common).map_err(ArmsError::file("looking for", common))?;
        Ok(Repository { root, common, git })
    }

    /// What the working tree is.
    pub fn standing(&self) -> Result<Standing, ArmsError> {
        let head = self.commit("HEAD")?.ok_or_else(|| ArmsError::Unborn {
            root: self.root.clone(),
        })?;
        let arguments = ["status", "--porcelain", "-z", "--untracked-files=normal"];
        let status = self
            .git
            .must("looking for changes in", &self.root, &arguments, LOOK_WITHIN)?;
        let entries = || {
            status
                .bytes
                .split(|byte| *byte == 0)
                .filter(|entry| !entry.is_empty())
        };
        Ok(Standing {
            head,
            is_changed: entries().any(|entry| !entry.starts_with(b"??")),
            has_more: entries().next().is_some(),
        })
    }

    /// The full name of the newest commit that HEAD and `revision` share.
    pub fn merge_base(&self, revision: &str) -> Result<String, ArmsError> {
        if revision.is_empty() || revision.starts_with('-') {
            return Err(ArmsError::NoName {
                revision: revision.to_owned(),
            });
        }
        let Some(commit) = self.commit(revision)? else {
            return Err(ArmsError::UnknownRevision {
                root: self.root.clone(),
                revision: revision.to_owned(),
                help: self.nearby(revision)?,
            });
        };
        let answer = self
            .git
            .ask(&self.root, &["merge-base", &commit, "HEAD"], LOOK_WITHIN)?;
        match answer.code {
            Some(0) => Ok(answer.line()),
            Some(1) if self.is_shallow()? => Err(ArmsError::Shallow {
                revision: revision.to_owned(),
            }),
            Some(1) => Err(ArmsError::Unrelated {
                revision: revision.to_owned(),
            }),
            _ => Err(ArmsError::Git {
                doing: format!(
                    "looking for what HEAD and `{revision}` share in {}",
                    self.root.display()
                ),
                words: answer.words,
            }),
        }
    }

    /// The full name of the commit that `revision` means; `None` if it means none.
    pub fn commit(&self, revision: &str) -> Result<Option<String>, ArmsError> {
        let wanted = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", &wanted];
        let answer = self.git.ask(&self.root, &arguments, LOOK_WITHIN)?;
        Ok(answer.is_yes().then(|| answer.line()))
    }

    /// What to do about a revision that is not known.
    fn nearby(&self, revision: &str) -> Result<String, ArmsError> {
        let remote = format!("origin/{revision}");
        if self.commit(&remote)?.is_some() {
            return Ok(format!("did you mean `{remote}`?"));
        }
        let (branch, known) = match revision.strip_prefix("origin/") {
            Some(branch) => (branch, revision.to_owned()),
            None => (revision, remote),
        };
        let mut help = format!(
            "if it is a branch of the remote, run `git fetch origin {branch}` first and name it `{known}`"
        );
        if self.is_shallow()? {
            help.push_str("; this clone is shallow, so `git fetch --unshallow` may be needed too");
        }
        Ok(help)
    }

    fn is_shallow(&self) -> Result<bool, ArmsError> {
        let arguments = ["rev-parse", "--is-shallow-repository"];
        let answer = self.git.must("looking at", &self.root, &arguments, LOOK_WITHIN)?;
        Ok(answer.line() == "true")
    }
}

/// The first characters of a commit's name, as people are shown it.
pub fn short(revision: &str) -> &str {
    revision.get(..10).unwrap_or(revision)
}
