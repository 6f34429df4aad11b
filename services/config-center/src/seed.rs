//! Configuration from files: what a server starts with, what it saved, and what it is set back to.
//!
//! One shape for all three, JSON:
//!
//! ```json
//! { "configs": [ { "dataId": "rules.json", "group": "SENTINEL_GROUP", "tenant": "", "type": "json", "content": "[]" } ] }
//! ```
//!
//! `group` is `DEFAULT_GROUP`, `tenant` the public one and `type` `text` where left out. Instead of `content`, `file` names a file
//! beside this one. What a server saves also has `version` for each, and `revision`, `floor`, `deleted` and `namespaces`, so that
//! loading it brings back the whole state, also into a store that lost all of it. A file without these numbers sets back only a store
//! that was used before: a first start is no set-back.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::center::books::{Books, FLOOR, Order, REVISION};
use crate::center::{Limits, StartError};
use crate::record::{Config, Draft, Namespace, kind_of};
use crate::store::{Durability, Store, Write};
use crate::wall;
use squall_config_client::key::{ConfigKey, DEFAULT_GROUP, KeyError, KeyHash};

/// How far the numbers of changes are ahead after a server was set back, so that none repeats that was given out after the
/// file was saved, also where those are not known any more.
const AHEAD_AFTER_RESTORE: u64 = 1 << 32;

/// The files that a server starts with.
#[derive(Debug, Clone, Default)]
pub struct Seeds {
    /// Their configurations are published where the store has never heard of them.
    pub publish: Vec<PathBuf>,
    /// What the store is set back to: one that has been used before, or, by a file that a server saved, an empty one too.
    pub restore: Option<PathBuf>,
}

/// Why a file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is not a file of configurations: {source}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// One of its configurations has no valid name.
    #[error("{path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// One of them has not exactly one of `content` and `file`.
    #[error("{path}: {key} needs either `content` or `file`")]
    Content {
        /// The file.
        path: PathBuf,
        /// The configuration.
        key: ConfigKey,
    },
}

/// What a server saves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Saved {
    revision: u64,
    floor: u64,
    configs: Vec<SavedConfig>,
    deleted: Vec<SavedDeletion>,
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedConfig {
    data_id: String,
    #[serde(default = "default_group")]
    group: String,
    #[serde(default)]
    tenant: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    app: String,
    #[serde(default)]
    desc: String,
    #[serde(default)]
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedDeletion {
    data_id: String,
    group: String,
    #[serde(default)]
    tenant: String,
    version: u64,
}

fn default_group() -> String {
    DEFAULT_GROUP.to_owned()
}

impl Saved {
    pub(crate) fn new<'a>(
        revision: u64,
        floor: u64,
        configs: impl Iterator<Item = &'a Arc<Config>>,
        tombstones: &HashMap<ConfigKey, u64, KeyHash>,
        namespaces: &BTreeMap<String, Namespace>,
    ) -> Self {
        let mut configs: Vec<&Arc<Config>> = configs.collect();
        configs.sort_by(|a, b| a.key.cmp(&b.key));
        let configs = configs.into_iter().map(|config| SavedConfig {
            data_id: config.key.data_id().to_owned(),
            group: config.key.group().to_owned(),
            tenant: config.key.tenant().to_owned(),
            kind: config.kind.clone(),
            app: config.app.clone(),
            desc: config.desc.clone(),
            version: config.version,
            content: Some(Arc::clone(&config.content)),
            file: None,
        });
        let deleted = tombstones.iter().map(|(key, version)| SavedDeletion {
            data_id: key.data_id().to_owned(),
            group: key.group().to_owned(),
            tenant: key.tenant().to_owned(),
            version: *version,
        });
        Self {
            revision,
            floor,
            configs: configs.collect(),
            deleted: deleted.collect(),
            namespaces: namespaces.values().cloned().collect(),
        }
    }

    fn read(path: &Path) -> Result<Self, SeedError> {
        let text = read(path)?;
        serde_json::from_str(&text).map_err(|source| SeedError::Shape {
            path: path.to_owned(),
            source,
        })
    }
}

impl SavedConfig {
    fn key(&self, path: &Path) -> Result<ConfigKey, SeedError> {
        ConfigKey::new(&self.data_id, &self.group, &self.tenant).map_err(|source| SeedError::Key {
            path: path.to_owned(),
            source,
        })
    }

    /// What it says is to be published; `path` is the file that it stands in.
    fn draft(self, path: &Path) -> Result<Draft, SeedError> {
        let key = self.key(path)?;
        let content = match (self.content, self.file) {
            (Some(content), None) => content,
            (None, Some(file)) => read(&path.parent().unwrap_or(Path::new("")).join(file))?.into(),
            _ => {
                return Err(SeedError::Content {
                    path: path.to_owned(),
                    key,
                });
            }
        };
        Ok(Draft {
            key,
            content,
            kind: kind_of(&self.kind).to_owned(),
            app: self.app,
            desc: self.desc,
        })
    }
}

fn read(path: &Path) -> Result<String, SeedError> {
    fs::read_to_string(path).map_err(|source| SeedError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The rows that set a store back to what `saved` holds, which stood in `path`. The numbers of changes go on above all that were ever
/// given out.
fn restored(saved: Saved, path: &Path, revision: u64) -> Result<Vec<Write>, SeedError> {
    let now_ms = wall::now_ms();
    let newest = saved.configs.iter().map(|config| config.version).max();
    let revision = revision
        .max(saved.revision)
        .max(newest.unwrap_or(0))
        .saturating_add(AHEAD_AFTER_RESTORE);
    let mut writes = vec![Write::Clear];
    for config in saved.configs {
        // A file that somebody wrote has no versions: then it is older than anything that was ever published.
        let version = config.version.max(1);
        writes.push(Write::Put(Arc::new(Config::new(
            config.draft(path)?,
            version,
            now_ms,
        ))));
    }
    for deletion in saved.deleted {
        let key = ConfigKey::new(&deletion.data_id, &deletion.group, &deletion.tenant);
        let key = key.map_err(|source| SeedError::Key {
            path: path.to_owned(),
            source,
        })?;
        writes.push(Write::Bury(key, deletion.version));
    }
    writes.extend(saved.namespaces.into_iter().map(Write::PutNamespace));
    writes.push(Write::Number(REVISION, revision));
    writes.push(Write::Number(FLOOR, saved.floor));
    Ok(writes)
}

/// Loads the files into a store that was just opened, and into the books made of it.
pub(crate) fn load(
    store: &Store,
    books: &mut Books,
    seeds: &Seeds,
    limits: &Limits,
) -> Result<Option<PathBuf>, StartError> {
    let mut restored_from = None;
    if let Some(path) = &seeds.restore {
        let saved = Saved::read(path)?;
        if books.revision > 0 || saved.revision > 0 {
            store.commit(&restored(saved, path, books.revision)?, Durability::Immediate)?;
            *books = Books::new(store.load()?);
            restored_from = Some(path.clone());
        }
    }
    let mut writes = Vec::new();
    for path in &seeds.publish {
        for config in Saved::read(path)?.configs {
            let draft = config.draft(path)?;
            let key = draft.key.clone();
            if books.configs.contains_key(&key) || books.absent_since(&key) > 0 {
                continue;
            }
            let order = Order::Publish {
                draft,
                if_md5: None,
                source_ip: String::new(),
            };
            let made = books.apply(order, limits, wall::now_ms(), &mut writes);
            made.map_err(|refusal| StartError::Refused {
                key,
                path: path.clone(),
                refusal,
            })?;
        }
    }
    if !writes.is_empty() {
        store.commit(&writes, Durability::Immediate)?;
    }
    Ok(restored_from)
}
