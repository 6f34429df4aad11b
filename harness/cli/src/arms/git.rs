//! Asks git: as a program, for a bounded time, in English, never with a prompt.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ArmsError;
use super::program::{Ended, Surroundings, capture};

/// What only looks takes moments; a large working tree on a slow disk takes more of them.
pub const LOOK_WITHIN: Duration = Duration::from_mins(2);

/// What git answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub bytes: Vec<u8>,
    /// Standard error, without blanks around it.
    pub words: String,
}

impl Answer {
    /// Whether it succeeded.
    pub fn is_yes(&self) -> bool {
        self.code == Some(0)
    }

    /// The one line that it is.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.bytes)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// The one path that it is: any bytes, also blanks at its end.
    pub fn path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        PathBuf::from(OsStr::from_bytes(bytes))
    }
}

/// Git, with its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Git<'a> {
    /// What it is started with.
    pub surroundings: &'a Surroundings<'a>,
}

impl Git<'_> {
    /// Runs git in `folder` and returns what it answers, a no included.
    pub fn ask<S: AsRef<OsStr>>(
        self,
        folder: &Path,
        arguments: &[S],
        within: Duration,
    ) -> Result<Answer, ArmsError> {
        let doing = || {
            let words: Vec<_> = arguments
                .iter()
                .map(|word| word.as_ref().to_string_lossy())
                .collect();
            format!("`git {}` in {}", words.join(" "), folder.display())
        };
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound if folder.is_dir() => ArmsError::GitMissing,
            _ => ArmsError::Program {
                program: doing(),
                source,
            },
        };
        let mut command = self.surroundings.command("git");
        command
            // Looking must not take the lock that somebody else's git may want.
            .arg("--no-optional-locks")
            // What hooks do to a checkout is for people, and may take minutes or the network.
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "submodule.recurse=false",
                "-c",
                "core.fsmonitor=false",
            ])
            .args(arguments)
            .current_dir(folder)
            .envs([
                ("LC_ALL", "C"),
                ("LANGUAGE", ""),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("GIT_PAGER", "cat"),
            ]);
        let output = capture(&mut command, within, self.surroundings.stop).map_err(failed)?;
        match output.ended {
            Ended::Exited(status) => Ok(Answer {
                code: status.code(),
                bytes: output.out,
                words: String::from_utf8_lossy(&output.err).trim().to_owned(),
            }),
            Ended::TimedOut => Err(ArmsError::GitSlow {
                doing: doing(),
                within,
            }),
            Ended::Stopped(exit) => Err(ArmsError::Stopped(exit)),
        }
    }

    /// The same, where a no is an error.
    pub fn must<S: AsRef<OsStr>>(
        self,
        doing: &str,
        folder: &Path,
        arguments: &[S],
        within: Duration,
    ) -> Result<Answer, ArmsError> {
        let answer = self.ask(folder, arguments, within)?;
        if answer.is_yes() {
            return Ok(answer);
        }
        Err(ArmsError::Git {
            doing: format!("{doing} {}", folder.display()),
            words: if answer.words.is_empty() {
                "nothing".to_owned()
            } else {
                answer.words
            },
        })
    }
}
