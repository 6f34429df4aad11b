//! What is on disk: one redb file, in which a group of changes is written whole or not at all.
//!
//! A group that was committed is there after `kill -9` and after a loss of power, as far as the disk keeps what it was told to
//! sync. This module decides nothing: it writes what it is handed and reads it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use redb::Durability;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{Change, Config, Namespace};
use squall_config_client::key::ConfigKey;

const CONFIGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("configs");
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
const CONTENTS: TableDefinition<'_, u64, &str> = TableDefinition::new("contents");
const NAMESPACES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("namespaces");
const TOMBSTONES: TableDefinition<'_, &str, u64> = TableDefinition::new("tombstones");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The layout of these tables.
const LAYOUT: u64 = 1;
const LAYOUT_NUMBER: &str = "layout";

/// Why the store could not be used. Nothing is acknowledged that it did not take.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or the file could not be made, or is held by another process.
    #[error("cannot open {path}: {source}; see that the folder is writable and no other process holds it")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} {path}: {source}; see that the disk has space and is sound")]
    Use {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the store said.
        source: Box<redb::Error>,
    },
    /// A row is not what this program writes.
    #[error("{path} is damaged: a row of {table} cannot be read: {source}; restore the file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another version of this program wrote it.
    #[error("{path} has layout {found}, this program reads {LAYOUT}; use the program that wrote it")]
    Layout {
        /// The file.
        path: PathBuf,
        /// The layout it has.
        found: u64,
    },
}

/// One row to write or to take away.
#[derive(Debug, Clone)]
pub enum Write {
    /// A configuration as it stands from now on.
    Put(Arc<Config>),
    /// It is gone.
    Remove(ConfigKey),
    /// A change, and the content kept with it.
    Changed(Change, Arc<str>),
    /// A change that is no longer kept.
    Forget(u64),
    /// A key that was deleted by the change of this number.
    Bury(ConfigKey, u64),
    /// A key whose deletion is no longer remembered.
    Exhume(ConfigKey),
    /// A namespace as it stands from now on.
    PutNamespace(Namespace),
    /// It is gone.
    RemoveNamespace(String),
    /// A number of the store's own.
    Number(&'static str, u64),
    /// All tables are empty from here on.
    Clear,
}

/// Everything in the store but the contents of changes.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The configurations.
    pub configs: Vec<Config>,
    /// The changes, oldest first, each with the bytes of the content kept with it.
    pub changes: Vec<(Change, u64)>,
    /// The namespaces.
    pub namespaces: Vec<Namespace>,
    /// Keys that were deleted, and by which change.
    pub tombstones: Vec<(ConfigKey, u64)>,
    /// The store's own numbers.
    pub numbers: BTreeMap<String, u64>,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens the store in `folder`, which is made if it is missing. One that another version of this program wrote is refused, and
    /// stays as it is.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("configs.redb");
        let opened = std::fs::create_dir_all(folder)
            .map_err(redb::Error::Io)
            .and_then(|()| Database::create(&path).map_err(redb::Error::from));
        match opened {
            Ok(database) => {
                let store = Self { path, database };
                store.check_layout()?;
                Ok(store)
            }
            Err(source) => Err(StoreError::Open {
                path,
                source: Box::new(source),
            }),
        }
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            if transaction.list_tables()?.next().is_none() {
                return Ok(Some(LAYOUT));
            }
            match transaction.open_table(NUMBERS) {
                Ok(numbers) => Ok(numbers.get(LAYOUT_NUMBER)?.map(|number| number.value())),
                // Tables that are none of ours.
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        match read().map_err(|source| self.failed("read", source))? {
            Some(LAYOUT) => Ok(()),
            found => Err(StoreError::Layout {
                path: self.path.clone(),
                found: found.unwrap_or(0),
            }),
        }
    }

    /// Writes all of `writes` in their order, or nothing. With [`Durability::Immediate`] it is on disk once this returns.
    pub fn commit(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        self.write(writes, durability)
            .map_err(|source| self.failed("write", source))
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        for write in writes {
            apply(&transaction, write)?;
        }
        // All tables are there from the first time on, also after they were cleared.
        for table in [CONFIGS, NAMESPACES] {
            transaction.open_table(table)?;
        }
        transaction.open_table(CHANGES)?;
        transaction.open_table(CONTENTS)?;
        transaction.open_table(TOMBSTONES)?;
        let found = transaction
            .open_table(NUMBERS)?
            .get(LAYOUT_NUMBER)?
            .map(|number| number.value());
        if found.is_none() {
            transaction.open_table(NUMBERS)?.insert(LAYOUT_NUMBER, LAYOUT)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Everything but the contents of changes.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        // Makes the tables of a new store, so that they can be read.
        self.commit(&[], Durability::Immediate)?;
        let failed = |source: redb::Error| self.failed("read", source);
        let transaction = self.database.begin_read().map_err(|e| failed(e.into()))?;
        let mut loaded = Loaded::default();
        let rows = |table| rows(&transaction, table).map_err(failed);
        loaded.configs = self.decoded("configs", &rows(CONFIGS)?)?;
        loaded.namespaces = self.decoded("namespaces", &rows(NAMESPACES)?)?;
        let read = || -> Result<_, redb::Error> {
            let numbers = transaction.open_table(NUMBERS)?;
            for row in numbers.iter()? {
                let (name, number) = row?;
                loaded.numbers.insert(name.value().to_owned(), number.value());
            }
            let tombstones = transaction.open_table(TOMBSTONES)?;
            for row in tombstones.iter()? {
                let (key, version) = row?;
                loaded
                    .tombstones
                    .extend(ConfigKey::parse(key.value()).map(|key| (key, version.value())));
            }
            let (changes, contents) = (
                transaction.open_table(CHANGES)?,
                transaction.open_table(CONTENTS)?,
            );
            let mut raw = Vec::new();
            for row in changes.iter()? {
                let (nid, change) = row?;
                let bytes = contents
                    .get(nid.value())?
                    .map_or(0, |content| content.value().len());
                raw.push((change.value().to_vec(), bytes as u64));
            }
            Ok(raw)
        };
        let mut read = read;
        let changes = read().map_err(failed)?;
        for (row, bytes) in changes {
            loaded.changes.push((self.decode("changes", &row)?, bytes));
        }
        Ok(loaded)
    }

    /// The content kept with a change.
    pub fn content(&self, nid: u64) -> Result<Option<String>, StoreError> {
        let read = || -> Result<_, redb::Error> {
            let contents = self.database.begin_read()?.open_table(CONTENTS)?;
            Ok(contents.get(nid)?.map(|content| content.value().to_owned()))
        };
        read().map_err(|source| self.failed("read", source))
    }

    fn decoded<T: DeserializeOwned>(
        &self,
        table: &'static str,
        rows: &[Vec<u8>],
    ) -> Result<Vec<T>, StoreError> {
        rows.iter().map(|row| self.decode(table, row)).collect()
    }

    fn decode<T: DeserializeOwned>(&self, table: &'static str, row: &[u8]) -> Result<T, StoreError> {
        serde_json::from_slice(row).map_err(|source| StoreError::Damaged {
            path: self.path.clone(),
            table,
            source,
        })
    }

    fn failed(&self, doing: &'static str, source: redb::Error) -> StoreError {
        StoreError::Use {
            doing,
            path: self.path.clone(),
            source: Box::new(source),
        }
    }
}

fn rows(
    transaction: &redb::ReadTransaction,
    table: TableDefinition<'_, &'static str, &'static [u8]>,
) -> Result<Vec<Vec<u8>>, redb::Error> {
    let table = transaction.open_table(table)?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        rows.push(row?.1.value().to_vec());
    }
    Ok(rows)
}

fn apply(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    match write {
        Write::Put(config) => {
            let row = encoded(&**config);
            transaction
                .open_table(CONFIGS)?
                .insert(config.key.as_str(), row.as_slice())?;
        }
        Write::Remove(key) => drop(transaction.open_table(CONFIGS)?.remove(key.as_str())?),
        Write::Changed(change, content) => {
            let row = encoded(change);
            transaction
                .open_table(CHANGES)?
                .insert(change.nid, row.as_slice())?;
            transaction.open_table(CONTENTS)?.insert(change.nid, &**content)?;
        }
        Write::Forget(nid) => {
            transaction.open_table(CHANGES)?.remove(*nid)?;
            transaction.open_table(CONTENTS)?.remove(*nid)?;
        }
        Write::Bury(key, version) => {
            drop(
                transaction
                    .open_table(TOMBSTONES)?
                    .insert(key.as_str(), *version)?,
            );
        }
        Write::Exhume(key) => drop(transaction.open_table(TOMBSTONES)?.remove(key.as_str())?),
        Write::PutNamespace(namespace) => {
            let row = encoded(namespace);
            transaction
                .open_table(NAMESPACES)?
                .insert(namespace.id.as_str(), row.as_slice())?;
        }
        Write::RemoveNamespace(id) => drop(transaction.open_table(NAMESPACES)?.remove(id.as_str())?),
        Write::Number(name, number) => drop(transaction.open_table(NUMBERS)?.insert(*name, *number)?),
        Write::Clear => {
            transaction.delete_table(CONFIGS)?;
            transaction.delete_table(CHANGES)?;
            transaction.delete_table(CONTENTS)?;
            transaction.delete_table(NAMESPACES)?;
            transaction.delete_table(TOMBSTONES)?;
            transaction.delete_table(NUMBERS)?;
        }
    }
    Ok(())
}

fn encoded(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have no maps with other keys than texts")
}

#[cfg(test)]
mod tests {
    use redb::TableHandle as _;

    use super::*;

    #[test]
    fn a_store_of_another_layout_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("configs.redb");
        let tables = || {
            let database = Database::create(&path).unwrap();
            let transaction = database.begin_read().unwrap();
            let tables = transaction.list_tables().unwrap();
            tables.map(|table| table.name().to_owned()).collect::<Vec<_>>()
        };
        for (table, found) in [(NUMBERS, LAYOUT + 1), (TableDefinition::new("strange"), 0)] {
            let database = Database::create(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction
                .open_table(table)
                .unwrap()
                .insert(LAYOUT_NUMBER, LAYOUT + 1)
                .unwrap();
            transaction.commit().unwrap();
            drop(database);
            let before = tables();
            let refused = Store::open(folder.path()).unwrap_err();
            assert!(
                matches!(refused, StoreError::Layout { found: other, .. } if other == found),
                "{refused}"
            );
            assert_eq!(tables(), before);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
