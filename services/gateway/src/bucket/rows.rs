//! The database: a row for each user, written in transactions that are synced.

use std::path::{Path, PathBuf};

use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::BucketError;
use super::journal::Record;
use crate::route::UserDigest;

const USERS: TableDefinition<'_, u128, &str> = TableDefinition::new("users");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The layout of these tables.
const LAYOUT: u64 = 1;

pub(super) struct Rows {
    path: PathBuf,
    database: Database,
}

impl Rows {
    /// Opens the database of this folder, or makes it.
    pub(super) fn open(folder: &Path) -> Result<Self, BucketError> {
        let path = folder.join("buckets.redb");
        let opened = std::fs::create_dir_all(folder)
            .map_err(redb::Error::Io)
            .and_then(|()| Database::create(&path).map_err(redb::Error::from));
        let rows = match opened {
            Ok(database) => Self { path, database },
            Err(error) => return Err(failed("open", &path, &error)),
        };
        rows.check_layout()?;
        Ok(rows)
    }

    /// Another layout is left as it is. A new database is given this one, and its tables, so that they can be read.
    fn check_layout(&self) -> Result<(), BucketError> {
        match self.layout() {
            Ok(None) => self.commit(&[]),
            Ok(Some(LAYOUT)) => Ok(()),
            Ok(Some(other)) => Err(BucketError::Folder {
                doing: "read",
                path: self.path.clone(),
                why: format!(
                    "it has layout {other}, this program reads {LAYOUT}; use the program that wrote it"
                ),
            }),
            Err(error) => Err(failed("read", &self.path, &error)),
        }
    }

    /// Writes all records in their order, and returns once they are synced.
    pub(super) fn commit(&self, records: &[Record]) -> Result<(), BucketError> {
        self.write(records)
            .map_err(|error| failed("write", &self.path, &error))
    }

    fn write(&self, records: &[Record]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            transaction.open_table(NUMBERS)?.insert("layout", LAYOUT)?;
            let mut users = transaction.open_table(USERS)?;
            for record in records {
                users.insert(record.user.0, &*record.variant)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Hands over every row, until it is told that there is no more room.
    pub(super) fn load(&self, mut take: impl FnMut(UserDigest, &str) -> bool) -> Result<(), BucketError> {
        let mut read = || -> Result<(), redb::Error> {
            let users = self.database.begin_read()?.open_table(USERS)?;
            for row in users.iter()? {
                let (user, variant) = row?;
                if !take(UserDigest(user.value()), variant.value()) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|error| failed("read", &self.path, &error))
    }

    fn layout(&self) -> Result<Option<u64>, redb::Error> {
        match self.database.begin_read()?.open_table(NUMBERS) {
            Ok(numbers) => Ok(numbers.get("layout")?.map(|layout| layout.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn failed(doing: &'static str, path: &Path, error: &redb::Error) -> BucketError {
    BucketError::Folder {
        doing,
        path: path.to_owned(),
        why: format!(
            "{error}; see that the folder is writable, the disk has space and no other process holds it"
        ),
    }
}
