//! What the server knows, and what each change does to it. Pure: it reads no clock and no disk.
//!
//! A change yields the rows to write, and what readers are to see once they are written. If they could not be written, the
//! books are thrown away and made anew from the store.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::Refusal;
use super::limits::{Limits, NAMESPACES_MAX, TOMBSTONES_MAX};
use crate::record::{Change, Config, Draft, Namespace, Operation};
use crate::store::{Loaded, Write};
use squall_config_client::key::{ConfigKey, KeyHash};

/// The number of the last change.
pub(crate) const REVISION: &str = "revision";
/// The greatest number among the deletions that are no longer remembered.
pub(crate) const FLOOR: &str = "floor";

/// Something that changes what the server knows.
#[derive(Debug, Clone)]
pub enum Order {
    /// A configuration is to have this content.
    Publish {
        /// The content and what goes with it.
        draft: Draft,
        /// The MD5 that it must have now; else it is not published.
        if_md5: Option<String>,
        /// Who asks.
        source_ip: String,
    },
    /// A configuration is to be gone.
    Delete {
        /// Which.
        key: ConfigKey,
        /// Who asks.
        source_ip: String,
    },
    /// A namespace is to be there that is not.
    CreateNamespace(Namespace),
    /// A namespace is to be described so.
    EditNamespace(Namespace),
    /// A namespace is to be gone. Configurations in it stay, as in Nacos.
    DeleteNamespace(String),
}

/// A change that is kept.
#[derive(Debug, Clone)]
struct Kept {
    change: Change,
    bytes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) revision: u64,
    pub(crate) floor: u64,
    pub(crate) configs: HashMap<ConfigKey, Arc<Config>, KeyHash>,
    pub(crate) tombstones: HashMap<ConfigKey, u64, KeyHash>,
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    contents_bytes: u64,
    buried: BTreeMap<u64, ConfigKey>,
    changes: BTreeMap<u64, Kept>,
    changes_of: HashMap<ConfigKey, VecDeque<u64>, KeyHash>,
    changes_bytes: u64,
}

impl Books {
    pub(crate) fn new(loaded: Loaded) -> Self {
        let number = |name| loaded.numbers.get(name).copied().unwrap_or(0);
        let mut books = Self {
            revision: number(REVISION),
            floor: number(FLOOR),
            ..Self::default()
        };
        for config in loaded.configs {
            books.contents_bytes += config.content.len() as u64;
            books.configs.insert(config.key.clone(), Arc::new(config));
        }
        for (key, version) in loaded.tombstones {
            books.buried.insert(version, key.clone());
            books.tombstones.insert(key, version);
        }
        for (change, bytes) in loaded.changes {
            books.changes_bytes += bytes;
            books
                .changes_of
                .entry(change.key.clone())
                .or_default()
                .push_back(change.nid);
            books.changes.insert(change.nid, Kept { change, bytes });
        }
        let namespaces = loaded.namespaces.into_iter();
        books.namespaces = namespaces.map(|one| (one.id.clone(), one)).collect();
        books
    }

    /// Does what is asked, or refuses and leaves everything as it was. Returns the version that came of it.
    pub(crate) fn apply(
        &mut self,
        order: Order,
        limits: &Limits,
        at_ms: u64,
        writes: &mut Vec<Write>,
    ) -> Result<u64, Refusal> {
        match order {
            Order::Publish {
                draft,
                if_md5,
                source_ip,
            } => self.publish(draft, if_md5.as_deref(), source_ip, limits, at_ms, writes),
            Order::Delete { key, source_ip } => Ok(self.delete(&key, source_ip, limits, at_ms, writes)),
            Order::CreateNamespace(namespace) if self.namespaces.contains_key(&namespace.id) => {
                Err(Refusal::NamespaceExists(namespace.id))
            }
            Order::CreateNamespace(_) if self.namespaces.len() >= NAMESPACES_MAX => Err(Refusal::TooMany),
            Order::EditNamespace(namespace) if !self.namespaces.contains_key(&namespace.id) => {
                Ok(self.revision)
            }
            Order::CreateNamespace(namespace) | Order::EditNamespace(namespace) => {
                self.namespaces.insert(namespace.id.clone(), namespace.clone());
                writes.push(Write::PutNamespace(namespace.clone()));
                Ok(self.revision)
            }
            Order::DeleteNamespace(id) => {
                self.namespaces.remove(&id);
                writes.push(Write::RemoveNamespace(id.clone()));
                Ok(self.revision)
            }
        }
    }

    fn publish(
        &mut self,
        draft: Draft,
        if_md5: Option<&str>,
        source_ip: String,
        limits: &Limits,
        at_ms: u64,
        writes: &mut Vec<Write>,
    ) -> Result<u64, Refusal> {
        let old = self.configs.get(&draft.key).cloned();
        if if_md5.is_some_and(|md5| old.as_ref().is_none_or(|old| *old.md5 != *md5)) {
            return Err(Refusal::Changed);
        }
        if draft.content.len() > limits.content_bytes_max {
            return Err(Refusal::TooLong(limits.content_bytes_max));
        }
        let freed = old.as_ref().map_or(0, |old| old.content.len() as u64);
        let bytes = self.contents_bytes - freed + draft.content.len() as u64;
        if (old.is_none() && self.configs.len() >= limits.configs_max) || bytes > limits.contents_bytes_max {
            return Err(Refusal::TooMany);
        }
        self.contents_bytes = bytes;
        self.revision += 1;
        let mut config = Config::new(draft, self.revision, at_ms);
        let operation = if let Some(old) = &old {
            (config.id, config.created_ms) = (old.id, old.created_ms);
            if old.md5 == config.md5 {
                // The same content is the same version: nobody who has it has anything to fetch.
                config.version = old.version;
            }
            Operation::Update
        } else {
            Operation::Insert
        };
        let config = Arc::new(config);
        self.exhume(&config.key, writes);
        let kept = old.as_ref().unwrap_or(&config);
        self.record(kept, operation, source_ip, at_ms, limits, writes);
        self.configs.insert(config.key.clone(), Arc::clone(&config));
        writes.push(Write::Put(Arc::clone(&config)));
        writes.push(Write::Number(REVISION, self.revision));
        Ok(config.version)
    }

    fn delete(
        &mut self,
        key: &ConfigKey,
        source_ip: String,
        limits: &Limits,
        at_ms: u64,
        writes: &mut Vec<Write>,
    ) -> u64 {
        let Some(old) = self.configs.remove(key) else {
            return self.absent_since(key);
        };
        self.contents_bytes -= old.content.len() as u64;
        self.revision += 1;
        self.record(&old, Operation::Delete, source_ip, at_ms, limits, writes);
        self.bury(key, writes);
        writes.push(Write::Remove(key.clone()));
        writes.push(Write::Number(REVISION, self.revision));
        self.revision
    }

    /// The change since which there is no such configuration: the one that deleted it, or one before which no deletion
    /// is remembered.
    pub(crate) fn absent_since(&self, key: &ConfigKey) -> u64 {
        self.tombstones.get(key).copied().unwrap_or(self.floor)
    }

    fn bury(&mut self, key: &ConfigKey, writes: &mut Vec<Write>) {
        self.tombstones.insert(key.clone(), self.revision);
        self.buried.insert(self.revision, key.clone());
        writes.push(Write::Bury(key.clone(), self.revision));
        while self.buried.len() > TOMBSTONES_MAX
            && let Some((version, forgotten)) = self.buried.pop_first()
        {
            self.tombstones.remove(&forgotten);
            self.floor = self.floor.max(version);
            writes.push(Write::Exhume(forgotten));
            writes.push(Write::Number(FLOOR, self.floor));
        }
    }

    fn exhume(&mut self, key: &ConfigKey, writes: &mut Vec<Write>) {
        if let Some(version) = self.tombstones.remove(key) {
            self.buried.remove(&version);
            writes.push(Write::Exhume(key.clone()));
        }
    }

    /// Keeps a change, and forgets as many of the oldest as there are too many.
    fn record(
        &mut self,
        kept: &Config,
        operation: Operation,
        source_ip: String,
        at_ms: u64,
        limits: &Limits,
        writes: &mut Vec<Write>,
    ) {
        let change = Change {
            nid: self.revision,
            id: kept.id,
            key: kept.key.clone(),
            operation,
            md5: Arc::clone(&kept.md5),
            app: kept.app.clone(),
            source_ip,
            at_ms,
        };
        let bytes = kept.content.len() as u64;
        let of_key = self.changes_of.entry(kept.key.clone()).or_default();
        of_key.push_back(change.nid);
        writes.push(Write::Changed(change.clone(), Arc::clone(&kept.content)));
        self.changes.insert(change.nid, Kept { change, bytes });
        self.changes_bytes += bytes;
        self.trim_one(&kept.key, limits, writes);
        self.trim_all(limits, writes);
    }

    /// Forgets what is more than may be kept, such as after the limits were lowered.
    pub(crate) fn trim(&mut self, limits: &Limits, writes: &mut Vec<Write>) {
        for key in self.changes_of.keys().cloned().collect::<Vec<_>>() {
            self.trim_one(&key, limits, writes);
        }
        self.trim_all(limits, writes);
    }

    fn trim_one(&mut self, key: &ConfigKey, limits: &Limits, writes: &mut Vec<Write>) {
        while let Some(of_key) = self.changes_of.get(key)
            && of_key.len() > limits.changes_per_config_max
            && let Some(&oldest) = of_key.front()
        {
            self.forget(oldest, writes);
        }
    }

    fn trim_all(&mut self, limits: &Limits, writes: &mut Vec<Write>) {
        // The newest stays, however large it is.
        while self.changes.len() > 1
            && (self.changes.len() > limits.changes_max || self.changes_bytes > limits.changes_bytes_max)
            && let Some((&oldest, _)) = self.changes.first_key_value()
        {
            self.forget(oldest, writes);
        }
    }

    fn forget(&mut self, nid: u64, writes: &mut Vec<Write>) {
        let Some(kept) = self.changes.remove(&nid) else {
            return;
        };
        self.changes_bytes -= kept.bytes;
        if let Some(of_key) = self.changes_of.get_mut(&kept.change.key) {
            of_key.retain(|other| *other != nid);
            if of_key.is_empty() {
                self.changes_of.remove(&kept.change.key);
            }
        }
        writes.push(Write::Forget(nid));
    }

    /// How many changes of a configuration are kept, and those of one page, newest first; pages count from 1.
    pub(crate) fn page(&self, key: &ConfigKey, page: usize, size: usize) -> (usize, Vec<Change>) {
        let Some(of_key) = self.changes_of.get(key) else {
            return (0, Vec::new());
        };
        let newest_first = of_key
            .iter()
            .rev()
            .skip(page.saturating_sub(1).saturating_mul(size));
        let changes = newest_first
            .take(size)
            .filter_map(|nid| self.change(*nid))
            .collect();
        (of_key.len(), changes)
    }

    /// A change that is kept.
    pub(crate) fn change(&self, nid: u64) -> Option<Change> {
        self.changes.get(&nid).map(|kept| kept.change.clone())
    }

    /// The newest change of the configuration with this number.
    pub(crate) fn newest_of(&self, id: u64) -> Option<Change> {
        let newest_first = self.changes.values().rev();
        newest_first
            .map(|kept| &kept.change)
            .find(|change| change.id == id)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Books, Limits, NAMESPACES_MAX, Namespace, Order, Refusal};
    use crate::record::Draft;
    use squall_config_client::key::ConfigKey;

    fn key(name: &str) -> ConfigKey {
        ConfigKey::new(name, "G", "").unwrap()
    }

    fn publish(books: &mut Books, name: &str, content: &str, if_md5: Option<&str>) -> Result<u64, Refusal> {
        let limits = Limits {
            content_bytes_max: 50,
            configs_max: 3,
            contents_bytes_max: 64,
            changes_per_config_max: 4,
            changes_max: 6,
            ..Limits::default()
        };
        let order = Order::Publish {
            draft: Draft::new(key(name), content, "text"),
            if_md5: if_md5.map(str::to_owned),
            source_ip: String::new(),
        };
        books.apply(order, &limits, 0, &mut Vec::new())
    }

    fn delete(books: &mut Books, name: &str) -> u64 {
        let order = Order::Delete {
            key: key(name),
            source_ip: String::new(),
        };
        books
            .apply(order, &Limits::default(), 0, &mut Vec::new())
            .unwrap()
    }

    #[test]
    fn a_version_is_greater_than_all_before_and_stays_while_the_content_does() {
        let mut books = Books::default();
        assert_eq!(publish(&mut books, "a", "1", None), Ok(1));
        assert_eq!(publish(&mut books, "b", "1", None), Ok(2));
        assert_eq!(publish(&mut books, "a", "2", None), Ok(3));
        assert_eq!(publish(&mut books, "a", "2", None), Ok(3));
        assert_eq!(publish(&mut books, "a", "1", None), Ok(5));
        assert_eq!(delete(&mut books, "a"), 6);
        assert_eq!(delete(&mut books, "a"), 6, "it is gone since then");
        assert_eq!(publish(&mut books, "a", "1", None), Ok(7));
    }

    #[test]
    fn a_publish_that_compares_changes_nothing_if_another_came_first() {
        let mut books = Books::default();
        assert_eq!(publish(&mut books, "a", "1", Some("")), Err(Refusal::Changed));
        publish(&mut books, "a", "1", None).unwrap();
        let md5 = squall_config_client::checksum::md5("1");
        assert_eq!(publish(&mut books, "a", "2", Some(&md5)), Ok(2));
        assert_eq!(publish(&mut books, "a", "3", Some(&md5)), Err(Refusal::Changed));
        assert_eq!(&*books.configs[&key("a")].content, "2");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut books = Books::default();
        for name in ["a", "b", "c"] {
            publish(&mut books, name, "0123456789", None).unwrap();
        }
        assert_eq!(publish(&mut books, "d", "1", None), Err(Refusal::TooMany));
        assert_eq!(
            publish(&mut books, "a", &"x".repeat(50), None),
            Err(Refusal::TooMany)
        );
        assert!(publish(&mut books, "a", &"x".repeat(44), None).is_ok());
        assert_eq!(
            publish(&mut books, "a", &"x".repeat(51), None),
            Err(Refusal::TooLong(50))
        );
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let mut books = Books::default();
        for n in 0..9 {
            publish(&mut books, "a", &n.to_string(), None).unwrap();
        }
        let nids = |books: &Books, name| {
            let (total, page) = books.page(&key(name), 1, 100);
            assert_eq!(total, page.len());
            page.iter().map(|change| change.nid).collect::<Vec<_>>()
        };
        assert_eq!(nids(&books, "a"), [9, 8, 7, 6]);
        for n in 0..3 {
            publish(&mut books, "b", &n.to_string(), None).unwrap();
        }
        assert_eq!(
            (nids(&books, "a"), nids(&books, "b")),
            (vec![9, 8, 7], vec![12, 11, 10])
        );
        assert_eq!(books.page(&key("b"), 2, 2).1.len(), 1);
        assert_eq!(books.newest_of(10).unwrap().nid, 12);
    }

    #[test]
    fn what_is_more_than_lowered_limits_allow_is_forgotten() {
        let mut books = Books::default();
        for n in 0..4 {
            publish(&mut books, "a", &n.to_string(), None).unwrap();
        }
        publish(&mut books, "b", "1", None).unwrap();
        let mut trimmed = |changes_per_config_max, changes_max| {
            let limits = Limits {
                changes_per_config_max,
                changes_max,
                ..Limits::default()
            };
            let mut writes = Vec::new();
            books.trim(&limits, &mut writes);
            (writes.len(), books.changes.keys().copied().collect::<Vec<_>>())
        };
        assert_eq!(trimmed(4, 9), (0, vec![1, 2, 3, 4, 5]));
        assert_eq!(trimmed(2, 9), (2, vec![3, 4, 5]));
        assert_eq!(trimmed(2, 1), (2, vec![5]));
    }

    #[test]
    fn no_more_namespaces_are_made_than_may_be() {
        let mut books = Books::default();
        let mut apply = |order| books.apply(order, &Limits::default(), 0, &mut Vec::new());
        let namespace = |n: usize| Namespace {
            id: n.to_string(),
            name: String::new(),
            desc: String::new(),
        };
        for n in 0..NAMESPACES_MAX {
            assert!(apply(Order::CreateNamespace(namespace(n))).is_ok());
        }
        let one_more = || Order::CreateNamespace(namespace(NAMESPACES_MAX));
        assert_eq!(apply(one_more()), Err(Refusal::TooMany));
        assert!(apply(Order::EditNamespace(namespace(0))).is_ok());
        apply(Order::DeleteNamespace("0".to_owned())).unwrap();
        assert!(apply(one_more()).is_ok());
    }

    #[test]
    fn a_deletion_that_is_no_longer_remembered_still_counts() {
        let mut books = Books::default();
        for n in 0..=super::TOMBSTONES_MAX {
            let name = format!("n{n}");
            publish(&mut books, &name, "1", None).unwrap();
            delete(&mut books, &name);
        }
        assert_eq!(books.tombstones.len(), super::TOMBSTONES_MAX);
        assert_eq!(books.absent_since(&key("n0")), 2);
        assert_eq!(books.absent_since(&key("n1")), 4);
        assert_eq!(books.absent_since(&key("never")), 2);
    }
}
