//! What users were given, appended to a file before they are answered.
//!
//! A record goes to the kernel in one write and is not synced: it survives the process, not the machine. Each has a checksum, so that reading
//! ends at a record that was cut off.

use std::fs::{File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::route::UserDigest;

/// A user was given a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Rises with every record since the journals were last empty, so that the later of two about one user is known.
    pub(super) number: u64,
    pub(super) user: UserDigest,
    pub(super) variant: Arc<str>,
}

/// Checksum, number, user and the length of the name, little-endian.
const HEAD_BYTES: usize = 8 + 8 + 16 + 2;
const CHECKED_FROM: usize = 8;

/// One file, appended to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// How long the whole records are together, in bytes.
    bytes: u64,
    /// Whether a part of a record may come after them.
    torn: bool,
}

impl Journal {
    /// Opens a journal and reads what is in it, up to the first record that is not whole.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let content = match std::fs::read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut records = Vec::new();
        let mut rest = content.as_slice();
        while let Some((record, after)) = read(rest) {
            records.push(record);
            rest = after;
        }
        let bytes = (content.len() - rest.len()) as u64;
        let journal = Self {
            path: path.to_owned(),
            file: OpenOptions::new().append(true).create(true).open(path)?,
            bytes,
            torn: !rest.is_empty(),
        };
        Ok((journal, records))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record whole, or not at all.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        // A part of a record would hide what comes after it.
        if self.torn {
            self.file.set_len(self.bytes)?;
        }
        let written = written(record);
        self.torn = true;
        self.file.write_all(&written)?;
        self.torn = false;
        self.bytes += written.len() as u64;
        Ok(())
    }

    /// Forgets all records.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.bytes = 0;
        self.torn = false;
        Ok(())
    }

    /// From now on the disk takes no more, or does again.
    #[cfg(test)]
    pub(super) fn fill_disk(&mut self, full: bool) {
        let mut options = OpenOptions::new();
        let options = if full {
            options.read(true)
        } else {
            options.append(true)
        };
        self.file = options.open(&self.path).expect("it is there");
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

fn written(record: &Record) -> Vec<u8> {
    let name = record.variant.as_bytes();
    let mut bytes = Vec::with_capacity(HEAD_BYTES + name.len());
    bytes.extend([0; CHECKED_FROM]);
    bytes.extend(record.number.to_le_bytes());
    bytes.extend(record.user.0.to_le_bytes());
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(name);
    let sum = checksum(&bytes[CHECKED_FROM..]);
    bytes[..CHECKED_FROM].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (sum, rest) = bytes.split_first_chunk::<CHECKED_FROM>()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (user, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let checked = &bytes[CHECKED_FROM..HEAD_BYTES + name.len()];
    if checksum(checked) != u64::from_le_bytes(*sum) {
        return None;
    }
    let record = Record {
        number: u64::from_le_bytes(*number),
        user: UserDigest(u128::from_le_bytes(*user)),
        variant: Arc::from(std::str::from_utf8(name).ok()?),
    };
    Some((record, rest))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Journal, Record};
    use crate::route::UserDigest;

    fn record(number: u64, variant: &str) -> Record {
        Record {
            number,
            user: UserDigest(u128::from(number) << 70 | 7),
            variant: Arc::from(variant),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whole_records_are_read_back_wherever_the_file_was_cut(names in prop::collection::vec("\\PC{0,20}", 1..5), cut in any::<prop::sample::Index>()) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("journal");
            let records: Vec<_> = names.iter().zip(0..).map(|(name, number)| record(number, name)).collect();
            let mut ends = Vec::new();
            let (mut journal, _) = Journal::open(&path).expect("a journal");
            for record in &records {
                journal.append(record).expect("there is room");
                ends.push(journal.bytes as usize);
            }
            let mut content = std::fs::read(&path).expect("it is there");
            content.truncate(cut.index(content.len() + 1));
            let whole = ends.iter().filter(|end| **end <= content.len()).count();
            std::fs::write(&path, &content).expect("there is room");
            let (mut journal, found) = Journal::open(&path).expect("a journal");
            prop_assert_eq!(&found, &records[..whole]);
            // What is appended after a cut is not hidden by it.
            journal.append(&record(99, "after")).expect("there is room");
            prop_assert_eq!(Journal::open(&path).expect("a journal").1.len(), whole + 1);
        }
    }

    #[test]
    fn nothing_is_read_beyond_what_is_not_a_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).expect("a journal");
        journal.append(&record(1, "a")).expect("there is room");
        journal.file.write_all(&[0xa5; 100]).expect("there is room");
        journal.append(&record(2, "b")).expect("there is room");
        let (_, found) = Journal::open(&path).expect("a journal");
        assert_eq!(found, [record(1, "a")]);
    }
}
