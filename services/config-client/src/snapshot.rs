//! The last of each configuration on disk, for a start without the server.
//!
//! A file is its first line, which says what it is, the how many-th it is that was written in its folder, how long what follows is
//! and the SHA-256 of both, and then JSON. It is written beside its place, synced, and moved there, so that a crash leaves the
//! old one or the new one. One that is not whole, from whatever cause, is passed over.
//!
//! Which is the oldest is told by those numbers, never by the times of files, which are the wall clock's.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::checksum::{hex, md5};
use crate::key::ConfigKey;
use crate::order::Held;

/// How a file begins.
const MAGIC: &str = "squall-config-snapshot 2";
/// The most files; beyond, the one that was written first goes.
const FILES_MAX: usize = 4_096;
/// The largest file that is read.
const BYTES_MAX: u64 = 128 << 20;
/// The longest first line: two numbers and a checksum.
const FIRST_LINE_MAX: u64 = 256;
/// How the file ends that is written beside its place.
const BESIDE: &str = ".new";

/// What is kept of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The server that it is from.
    pub server: String,
    /// The configuration.
    pub key: ConfigKey,
    /// Version, MD5, and what came before.
    pub held: Held,
    /// The content; `None` where there is none.
    pub content: Option<Arc<str>>,
    /// Its type.
    pub kind: Arc<str>,
}

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read or written.
    #[error("cannot {doing} it: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It is not whole: its first line, its length or its checksum is wrong.
    #[error("it is torn or damaged: {0}")]
    Damaged(&'static str),
    /// It is whole, and of another configuration or another server.
    #[error("it is of {key} at {server}")]
    Foreign {
        /// The configuration it is of.
        key: ConfigKey,
        /// The server it is from.
        server: String,
    },
}

/// A folder of snapshots.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    /// Names of the files there, the one written last at the end.
    files: VecDeque<String>,
    /// How many were ever written here.
    written: u64,
}

impl Snapshots {
    /// Opens a folder, which is made if it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut found = Vec::new();
        for file in fs::read_dir(folder)?.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".snapshot") {
                found.push((written(&file.path()), name));
            } else if name.ends_with(BESIDE) {
                // Of a process that ended while it wrote.
                let _ = fs::remove_file(file.path());
            }
        }
        found.sort();
        Ok(Self {
            folder: folder.to_owned(),
            written: found.last().map_or(0, |(number, _)| *number),
            files: found.into_iter().map(|(_, name)| name).collect(),
        })
    }

    /// Where the snapshot of a configuration is, or would be.
    pub fn path(&self, key: &ConfigKey) -> PathBuf {
        self.folder.join(name(key))
    }

    /// The snapshot of a configuration of `server`, if there is one.
    pub fn read(&self, key: &ConfigKey, server: &str) -> Result<Option<Snapshot>, SnapshotError> {
        let path = self.path(key);
        let reading = |source| SnapshotError::Io {
            doing: "read",
            source,
        };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(reading(error)),
            Ok(metadata) if metadata.len() > BYTES_MAX => return Err(SnapshotError::Damaged("too long")),
            Ok(_) => {}
        }
        let snapshot = decoded(&fs::read(&path).map_err(reading)?)?;
        if snapshot.key != *key || snapshot.server != server {
            return Err(SnapshotError::Foreign {
                key: snapshot.key,
                server: snapshot.server,
            });
        }
        Ok(Some(snapshot))
    }

    /// Writes a snapshot to its place. It stays there once [`Snapshots::sync`] has returned.
    pub fn place(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let writing = |source| SnapshotError::Io {
            doing: "write",
            source,
        };
        let name = name(&snapshot.key);
        let (path, beside) = (
            self.folder.join(&name),
            self.folder.join(format!(".{name}{BESIDE}")),
        );
        self.written += 1;
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&encoded(snapshot, self.written))?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        });
        if let Err(error) = written {
            // Half a file would only take space.
            let _ = fs::remove_file(&beside);
            return Err(writing(error));
        }
        self.files.retain(|other| *other != name);
        self.files.push_back(name);
        while self.files.len() > FILES_MAX
            && let Some(first) = self.files.pop_front()
        {
            let _ = fs::remove_file(self.folder.join(first));
        }
        Ok(())
    }

    /// Syncs the folder: what was placed until now is there after a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// The number in a file's first line; 0, as if it were the oldest, where there is none.
fn written(path: &Path) -> u64 {
    let mut line = String::new();
    let read =
        File::open(path).and_then(|file| BufReader::new(file.take(FIRST_LINE_MAX)).read_line(&mut line));
    let number = read
        .ok()
        .and_then(|_| line.strip_prefix(MAGIC)?.split(' ').nth(1)?.parse().ok());
    number.unwrap_or(0)
}

fn name(key: &ConfigKey) -> String {
    format!("{}.snapshot", md5(key.as_str()))
}

fn encoded(snapshot: &Snapshot, written: u64) -> Vec<u8> {
    let body = serde_json::to_vec(snapshot).expect("a snapshot has no maps with other keys than texts");
    let sum = checksum(&written.to_string(), &body);
    let mut bytes = format!("{MAGIC} {written} {} {sum}\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes
}

fn decoded(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    let damaged = SnapshotError::Damaged;
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (first, body) = bytes.split_at(end.ok_or(damaged("no first line"))?);
    let body = &body[1..];
    let first = std::str::from_utf8(first).map_err(|_| damaged("no first line"))?;
    let rest = first.strip_prefix(MAGIC).ok_or(damaged("another first line"))?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ["", written, length, sum] = fields[..] else {
        return Err(damaged("another first line"));
    };
    if length.parse() != Ok(body.len()) {
        return Err(damaged("another length"));
    }
    if sum != checksum(written, body) {
        return Err(damaged("another checksum"));
    }
    serde_json::from_slice(body).map_err(|_| damaged("another shape"))
}

fn checksum(written: &str, body: &[u8]) -> String {
    hex(&Sha256::new()
        .chain_update(written)
        .chain_update("\n")
        .chain_update(body)
        .finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Held, Snapshot, SnapshotError, Snapshots, decoded, encoded};
    use crate::key::ConfigKey;

    fn snapshot(name: &str, version: u64) -> Snapshot {
        Snapshot {
            server: "127.0.0.1:8848".to_owned(),
            key: ConfigKey::new(name, "G", "").unwrap(),
            held: Held {
                version,
                md5: "5d41402abc4b2a76b9719d911017c592".into(),
                replaced: ["a".into()].into(),
            },
            content: Some("hello\nworld".into()),
            kind: "text".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back_by_the_next_to_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshots = Snapshots::open(folder.path()).unwrap();
        for version in [1, 2] {
            snapshots.place(&snapshot("a", version)).unwrap();
            snapshots.sync().unwrap();
        }
        // What a process leaves that ended while it wrote.
        std::fs::write(folder.path().join(".half.snapshot.new"), "half").unwrap();
        let again = Snapshots::open(folder.path()).unwrap();
        let (wanted, server) = (snapshot("a", 2), "127.0.0.1:8848");
        assert_eq!(again.read(&wanted.key, server).unwrap(), Some(wanted.clone()));
        assert_eq!(again.read(&snapshot("b", 1).key, server).unwrap(), None);
        assert!(matches!(
            again.read(&wanted.key, "other:1"),
            Err(SnapshotError::Foreign { .. })
        ));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_more_files_are_kept_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshots = Snapshots::open(folder.path()).unwrap();
        snapshots.files = (0..super::FILES_MAX).map(|n| format!("{n}.snapshot")).collect();
        std::fs::write(folder.path().join("0.snapshot"), "").unwrap();
        snapshots.place(&snapshot("a", 1)).unwrap();
        assert_eq!(snapshots.files.len(), super::FILES_MAX);
        assert!(!folder.path().join("0.snapshot").exists());
    }

    #[test]
    fn the_oldest_is_the_one_written_first_whatever_the_times_of_files_say() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshots = Snapshots::open(folder.path()).unwrap();
        let names = ["a", "b", "c"];
        for name in names {
            snapshots.place(&snapshot(name, 1)).unwrap();
        }
        snapshots.place(&snapshot("a", 2)).unwrap();
        // A clock that was set back: what was written last has the oldest time.
        for (name, hours) in names.iter().zip([0, 2, 1]) {
            let file = std::fs::File::options()
                .write(true)
                .open(snapshots.path(&snapshot(name, 1).key))
                .unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_hours(hours);
            file.set_modified(at).unwrap();
        }
        std::fs::write(folder.path().join("torn.snapshot"), "squall").unwrap();
        let again = Snapshots::open(folder.path()).unwrap();
        let name = |name: &str| super::name(&snapshot(name, 1).key);
        assert_eq!(
            again.files,
            ["torn.snapshot".to_owned(), name("b"), name("c"), name("a")]
        );
        assert_eq!(again.written, 4);
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = encoded(&snapshot("a", 1), 7);
        for length in 0..whole.len() {
            assert!(decoded(&whole[..length]).is_err(), "cut after {length} bytes");
        }
        assert!(decoded(&whole).is_ok());
    }

    proptest! {
        #[test]
        fn every_changed_byte_is_noticed(at: prop::sample::Index, other: u8) {
            let whole = encoded(&snapshot("a", 1), 7);
            let mut changed = whole.clone();
            let at = at.index(changed.len());
            prop_assume!(changed[at] != other);
            changed[at] = other;
            // A digit of the length may gain a zero before it, and means the same.
            prop_assert!(decoded(&changed).is_err() || decoded(&changed).ok() == decoded(&whole).ok());
        }
    }
}
