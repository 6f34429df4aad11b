//! The server's state: what readers see, and the one thread that changes it.
//!
//! Readers never wait for the disk: what they see is in memory. A change goes to the writer, which makes a group of all that wait,
//! writes them together, and only then shows them, wakes the watchers and answers. So what was acknowledged, and whatever anybody
//! ever saw, is on disk.

pub(crate) mod books;
pub mod limits;
pub mod watchers;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use tokio::sync::{Semaphore, mpsc, oneshot};

pub use self::books::Order;
use self::books::{Books, FLOOR, REVISION};
pub use self::limits::Limits;
use self::limits::{ORDERS_MAX, QUESTIONS_MAX, WATCHED_MAX};
use self::watchers::Watchers;
use self::writer::{Job, Work, Writer};
use crate::plant::Plant;
use crate::record::{Change, Config, Namespace};
use crate::report::Report;
use crate::seed::{self, Saved, SeedError, Seeds};
use crate::store::{Durability, Store, StoreError, Write};
use squall_config_client::key::{ConfigKey, KeyHash};

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration has another content than whoever publishes believes.
    #[error("server md5 may have changed")]
    Changed,
    /// The content has more bytes than this, which is the most that one may have.
    #[error("its content has more than {0} bytes")]
    TooLong(usize),
    /// There are as many configurations, bytes or namespaces as there may be.
    #[error("over the server's quota")]
    TooMany,
    /// There is a namespace of this id.
    #[error("there is a namespace {0} already")]
    NamespaceExists(String),
    /// As many wait as may wait.
    #[error("too many changes, or questions about them, wait; try again")]
    Busy,
    /// The disk did not take it. It may be there or not; what is read from now on says so.
    #[error("{0}")]
    Store(String),
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its store could not be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of configurations could not be read.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The files have more in them than the server may hold.
    #[error("cannot load {what} of {path}: {refusal}; raise the limit or load less")]
    Refused {
        /// The configuration or the namespace.
        what: String,
        /// The file it stands in.
        path: std::path::PathBuf,
        /// Why not.
        refusal: Refusal,
    },
    /// The thread that writes could not be started.
    #[error("cannot start the thread that writes changes: {0}")]
    Thread(#[source] io::Error),
}

/// A server's state.
#[derive(Debug)]
pub struct Center {
    limits: Limits,
    view: RwLock<View>,
    watchers: Watchers,
    report: Arc<Report>,
    jobs: mpsc::Sender<Job>,
    /// A place for each change that may wait, and for each question about changes; neither takes the other's.
    orders: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

/// What readers see.
#[derive(Debug, Default)]
struct View {
    revision: u64,
    floor: u64,
    configs: HashMap<ConfigKey, Arc<Config>, KeyHash>,
    tombstones: HashMap<ConfigKey, u64, KeyHash>,
    namespaces: BTreeMap<String, Namespace>,
}

/// Whether there is a configuration.
#[derive(Debug, Clone)]
pub enum Found {
    /// There is.
    Config(Arc<Config>),
    /// There is none, since the change of this number at the latest.
    Nothing(u64),
}

impl Center {
    /// Opens the store in `folder`, loads `seeds`, and starts to write.
    pub fn start(
        folder: &Path,
        limits: Limits,
        seeds: &Seeds,
        plant: Plant,
        report: Arc<Report>,
    ) -> Result<Arc<Self>, StartError> {
        let store = Store::open(folder)?;
        let mut books = Books::new(store.load()?);
        // What is kept from a start with higher limits.
        let mut forgotten = Vec::new();
        books.trim(&limits, &mut forgotten);
        if !forgotten.is_empty() {
            store.commit(&forgotten, Durability::Immediate)?;
        }
        if let Some(path) = seed::load(&store, &mut books, seeds, &limits)? {
            report.event("restored", format!("from={}", path.display()));
        }
        let (center, waiting) = Self::of(&books, limits, report);
        // The writer ends once the last sender of jobs is gone, so it must not hold one.
        let writer = Writer::new(Arc::downgrade(&center), folder, store, books, plant);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(StartError::Thread)?;
        Ok(center)
    }

    /// What readers see of these books, and where the jobs of whoever writes come out.
    fn of(books: &Books, limits: Limits, report: Arc<Report>) -> (Arc<Self>, mpsc::Receiver<Job>) {
        report.configs.set(books.configs.len() as i64);
        let (jobs, waiting) = mpsc::channel(ORDERS_MAX + QUESTIONS_MAX);
        let center = Self {
            limits,
            view: RwLock::new(View::of(books)),
            watchers: Watchers::new(limits.watchers_max, WATCHED_MAX),
            report,
            jobs,
            orders: Arc::new(Semaphore::new(ORDERS_MAX)),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        };
        (Arc::new(center), waiting)
    }

    /// What may be held.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Those who wait for changes.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// A configuration.
    pub fn get(&self, key: &ConfigKey) -> Found {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        match view.configs.get(key) {
            Some(config) => Found::Config(Arc::clone(config)),
            None => Found::Nothing(view.tombstones.get(key).copied().unwrap_or(view.floor)),
        }
    }

    /// Whether what a client has is what there is. Nothing has no MD5.
    pub fn is_current(&self, key: &ConfigKey, md5: &str) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.configs.get(key).map_or("", |config| &config.md5) == md5
    }

    /// Every configuration that `wanted` picks, in the order of their keys.
    pub fn select(&self, wanted: impl Fn(&Config) -> bool) -> Vec<Arc<Config>> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Config>> = view
            .configs
            .values()
            .filter(|config| wanted(config))
            .map(Arc::clone)
            .collect();
        drop(view);
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// The namespaces, in the order of their ids, each with how many configurations are in it; first the public one,
    /// whose id is empty.
    pub fn namespaces(&self) -> Vec<(Namespace, usize)> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for key in view.configs.keys() {
            *counts.entry(key.tenant()).or_default() += 1;
        }
        let public = Namespace {
            id: String::new(),
            name: "public".to_owned(),
            desc: "Public Namespace".to_owned(),
        };
        std::iter::once(&public)
            .chain(view.namespaces.values())
            .map(|one| (one.clone(), counts.get(one.id.as_str()).copied().unwrap_or(0)))
            .collect()
    }

    /// Everything that readers see, to be loaded by another server or by this one later.
    pub fn save(&self) -> Saved {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        Saved::new(
            view.revision,
            view.floor,
            view.configs.values(),
            &view.tombstones,
            &view.namespaces,
        )
    }

    /// Makes a change; returns its version once it is on disk.
    pub async fn order(&self, order: Order) -> Result<u64, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(&self.orders, Work::Order { order, reply })?;
        answer.await.unwrap_or_else(|_| Err(writer_is_gone()))
    }

    /// How many changes of a configuration are kept, and one page of them, newest first; pages count from 1.
    pub async fn page(
        &self,
        key: ConfigKey,
        page: usize,
        size: usize,
    ) -> Result<(usize, Vec<Change>), Refusal> {
        let (reply, answer) = oneshot::channel();
        let question = Work::Page {
            key,
            page,
            size,
            reply,
        };
        self.send(&self.questions, question)?;
        answer.await.map_err(|_| writer_is_gone())
    }

    /// A change by its number, and the content kept with it.
    pub async fn change(&self, nid: u64) -> Result<Option<(Change, String)>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(&self.questions, Work::Change { nid, reply })?;
        answer.await.unwrap_or_else(|_| Err(writer_is_gone()))
    }

    /// The newest change of the configuration with this number, and the content kept with it.
    pub async fn previous(&self, id: u64) -> Result<Option<(Change, String)>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(&self.questions, Work::Previous { id, reply })?;
        answer.await.unwrap_or_else(|_| Err(writer_is_gone()))
    }

    fn send(&self, places: &Arc<Semaphore>, work: Work) -> Result<(), Refusal> {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.report.overloaded.inc();
            return Err(Refusal::Busy);
        };
        // There is room for as many as there are places.
        let sent = self.jobs.try_send(Job { work, place });
        sent.map_err(|_| writer_is_gone())
    }

    /// Shows readers what was written, and is on disk now, and wakes those who wait for it.
    fn show(&self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let changed = view.follow(writes);
        self.report.configs.set(view.configs.len() as i64);
        drop(view);
        for key in changed {
            self.watchers.wake(&key);
        }
    }

    /// Shows readers all of it, after it was read from disk anew.
    fn show_all(&self, books: &Books) {
        let new = View::of(books);
        self.report.configs.set(new.configs.len() as i64);
        let old = std::mem::replace(
            &mut *self.view.write().unwrap_or_else(PoisonError::into_inner),
            new,
        );
        let now = |key: &ConfigKey| books.configs.get(key).map(|config| &config.md5);
        let was = |key: &ConfigKey| old.configs.get(key).map(|config| &config.md5);
        for key in old.configs.keys().chain(books.configs.keys()) {
            if now(key) != was(key) {
                self.watchers.wake(key);
            }
        }
    }
}

impl View {
    fn of(books: &Books) -> Self {
        Self {
            revision: books.revision,
            floor: books.floor,
            configs: books.configs.clone(),
            tombstones: books.tombstones.clone(),
            namespaces: books.namespaces.clone(),
        }
    }

    /// Makes it what it is after these writes; the configurations that are others now.
    fn follow(&mut self, writes: Vec<Write>) -> Vec<ConfigKey> {
        let mut changed = Vec::new();
        for write in writes {
            match write {
                Write::Put(config) => {
                    let key = config.key.clone();
                    let md5 = Arc::clone(&config.md5);
                    let old = self.configs.insert(key.clone(), config);
                    if old.is_none_or(|old| old.md5 != md5) {
                        changed.push(key);
                    }
                }
                Write::Remove(key) => {
                    self.configs.remove(&key);
                    changed.push(key);
                }
                Write::Bury(key, version) => drop(self.tombstones.insert(key, version)),
                Write::Exhume(key) => drop(self.tombstones.remove(&key)),
                Write::PutNamespace(namespace) => {
                    self.namespaces.insert(namespace.id.clone(), namespace);
                }
                Write::RemoveNamespace(id) => drop(self.namespaces.remove(&id)),
                Write::Number(REVISION, revision) => self.revision = revision,
                Write::Number(FLOOR, floor) => self.floor = floor,
                // Readers see no changes, and nothing is cleared while there are any.
                Write::Number(..) | Write::Changed(..) | Write::Forget(_) | Write::Clear => {}
            }
        }
        changed
    }
}

fn writer_is_gone() -> Refusal {
    Refusal::Store("the thread that writes changes has ended; restart the server".to_owned())
}

#[cfg(test)]
mod tests {
    use squall_service_kit::Telemetry;

    use super::limits::TOMBSTONES_MAX;
    use super::*;
    use crate::record::Draft;

    /// Waits until all that was spawned has its place.
    async fn taken(places: &Semaphore) {
        for _ in 0..=2 * ORDERS_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.available_permits(), 0);
    }

    #[tokio::test]
    async fn changes_and_questions_about_them_have_places_of_their_own() {
        let report = Arc::new(Report::new(&mut Telemetry::new()));
        // Nobody writes, so all wait.
        let (center, _jobs) = Center::of(&Books::default(), Limits::default(), Arc::clone(&report));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..QUESTIONS_MAX {
            let center = Arc::clone(&center);
            waiting.spawn(async move { center.change(1).await.map(drop) });
        }
        taken(&center.questions).await;
        assert_eq!(center.change(1).await.unwrap_err(), Refusal::Busy);
        for _ in 0..ORDERS_MAX {
            let center = Arc::clone(&center);
            waiting.spawn(async move {
                center
                    .order(Order::DeleteNamespace(String::new()))
                    .await
                    .map(drop)
            });
        }
        taken(&center.orders).await;
        let one_more = center.order(Order::DeleteNamespace(String::new())).await;
        assert_eq!(one_more.unwrap_err(), Refusal::Busy);
        assert!(
            waiting.try_join_next().is_none(),
            "each of the others has its place"
        );
        assert_eq!(report.overloaded.get(), 2);
    }

    #[test]
    fn what_readers_see_follows_the_books_and_grows_no_larger() {
        let (mut books, mut view) = (Books::default(), View::default());
        let mut order = |order| {
            let mut writes = Vec::new();
            books.apply(order, &Limits::default(), 0, &mut writes).unwrap();
            view.follow(writes)
        };
        for number in 0..TOMBSTONES_MAX + 10 {
            let key = ConfigKey::new(&format!("n{number}"), "G", "").unwrap();
            let draft = Draft::new(key.clone(), "1", "text");
            let source_ip = String::new;
            let publish = Order::Publish {
                draft,
                if_md5: None,
                source_ip: source_ip(),
            };
            assert_eq!(order(publish), std::slice::from_ref(&key));
            if number > 0 {
                let delete = Order::Delete {
                    key: key.clone(),
                    source_ip: source_ip(),
                };
                assert_eq!(order(delete), [key]);
            }
        }
        assert_eq!(view.tombstones.len(), TOMBSTONES_MAX);
        let books = View::of(&books);
        assert_eq!(
            (view.revision, view.floor, view.configs.len()),
            (books.revision, books.floor, 1)
        );
        assert_eq!(view.tombstones, books.tombstones);
    }
}
