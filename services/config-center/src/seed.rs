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

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::center::books::{Books, FLOOR, Order, REVISION};
use crate::center::limits::{NAMESPACES_MAX, TOMBSTONES_MAX};
use crate::center::{Limits, Refusal, StartError};
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
/// given out; each configuration takes one of them, by which its changes are found from then on.
fn restored(mut saved: Saved, path: &Path, revision: u64, limits: &Limits) -> Result<Vec<Write>, StartError> {
    let now_ms = wall::now_ms();
    let configs = saved.configs.iter().map(|config| config.version);
    let newest = configs.chain(saved.deleted.iter().map(|deletion| deletion.version));
    let mut revision = revision
        .max(saved.revision)
        .max(newest.max().unwrap_or(0))
        .saturating_add(AHEAD_AFTER_RESTORE);
    let mut writes = vec![Write::Clear];
    let mut contents_bytes = 0;
    for (before, config) in saved.configs.into_iter().enumerate() {
        // A file that somebody wrote has no versions: then it is older than anything that was ever published.
        let version = config.version.max(1);
        let draft = config.draft(path)?;
        contents_bytes += draft.content.len() as u64;
        if draft.content.len() > limits.content_bytes_max {
            let refusal = Refusal::TooLong(limits.content_bytes_max);
            return Err(refused(&draft.key, path, refusal));
        }
        if before >= limits.configs_max || contents_bytes > limits.contents_bytes_max {
            return Err(refused(&draft.key, path, Refusal::TooMany));
        }
        revision = revision.saturating_add(1);
        let mut config = Config::new(draft, version, now_ms);
        config.id = revision;
        writes.push(Write::Put(Arc::new(config)));
    }
    // The newest are remembered, as where they are made one after the other.
    saved.deleted.sort_by_key(|deletion| Reverse(deletion.version));
    for deletion in saved.deleted.drain(TOMBSTONES_MAX.min(saved.deleted.len())..) {
        saved.floor = saved.floor.max(deletion.version);
    }
    for deletion in saved.deleted {
        let key = ConfigKey::new(&deletion.data_id, &deletion.group, &deletion.tenant);
        let key = key.map_err(|source| SeedError::Key {
            path: path.to_owned(),
            source,
        })?;
        writes.push(Write::Bury(key, deletion.version));
    }
    if let Some(one_more) = saved.namespaces.get(NAMESPACES_MAX) {
        return Err(refused(
            format_args!("namespace {}", one_more.id),
            path,
            Refusal::TooMany,
        ));
    }
    writes.extend(saved.namespaces.into_iter().map(Write::PutNamespace));
    writes.push(Write::Number(REVISION, revision));
    writes.push(Write::Number(FLOOR, saved.floor));
    Ok(writes)
}

fn refused(what: impl Display, path: &Path, refusal: Refusal) -> StartError {
    StartError::Refused {
        what: what.to_string(),
        path: path.to_owned(),
        refusal,
    }
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
            store.commit(
                &restored(saved, path, books.revision, limits)?,
                Durability::Immediate,
            )?;
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
            made.map_err(|refusal| refused(&key, path, refusal))?;
        }
    }
    if !writes.is_empty() {
        store.commit(&writes, Durability::Immediate)?;
    }
    Ok(restored_from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_deletions_than_are_remembered_the_newest_are_and_the_others_count() {
        let deletion = |version: usize| SavedDeletion {
            data_id: format!("n{version}"),
            group: "G".to_owned(),
            tenant: String::new(),
            version: version as u64,
        };
        let saved = Saved {
            revision: 1,
            deleted: (1..=TOMBSTONES_MAX + 2).map(deletion).collect(),
            ..Saved::default()
        };
        let writes = restored(saved, Path::new("saved.json"), 0, &Limits::default()).unwrap();
        let buried = writes.iter().filter_map(|write| match write {
            Write::Bury(_, version) => Some(*version),
            _ => None,
        });
        assert_eq!((buried.clone().min(), buried.count()), (Some(3), TOMBSTONES_MAX));
        let floor = |write: &Write| matches!(write, Write::Number(FLOOR, 2));
        assert!(writes.iter().any(floor));
        let revision = (TOMBSTONES_MAX + 2) as u64 + AHEAD_AFTER_RESTORE;
        let goes_on = |write: &Write| matches!(write, Write::Number(REVISION, number) if *number == revision);
        assert!(writes.iter().any(goes_on));
    }

    #[test]
    fn no_more_namespaces_are_restored_than_may_be() {
        let namespaces = |count| Saved {
            namespaces: (0..count)
                .map(|n: usize| Namespace {
                    id: n.to_string(),
                    name: String::new(),
                    desc: String::new(),
                })
                .collect(),
            ..Saved::default()
        };
        let restored = |count| restored(namespaces(count), Path::new("saved.json"), 0, &Limits::default());
        assert!(restored(NAMESPACES_MAX).is_ok());
        let refused = restored(NAMESPACES_MAX + 1).unwrap_err().to_string();
        assert!(refused.contains("namespace 1000 of saved.json"), "{refused}");
    }
}
