//! A client of any Nacos 1.x server, for services that read their configuration while they run; and what server and client agree on.
//!
//! ```no_run
//! # use squall_config_client::{Client, ConfigKey, Settings};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::start(Settings::new("127.0.0.1:8848", "/var/lib/feed/config"))?;
//! let mut rules = client.watch(&ConfigKey::new("feed-flow-rules.json", "SENTINEL_GROUP", "")?).await?;
//! loop {
//!     let entry = rules.changed().await;
//!     println!("version {} is {:?}", entry.version, entry.content);
//! }
//! # }
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`key`], [`checksum`], [`listening`], [`protocol`] | names, MD5s, the listener's texts, paths and headers: what a server needs too
//! | [`cache`] | what readers see: one pointer for each configuration, swapped whole |
//! | [`order`] | whether what the server says is newer than what is held |
//! | [`snapshot`] | the last of each configuration on disk |
//! | [`incident`] | what the client tells whoever watches it |
//! | [`plant`] | bugs on request |
//!
//! What must hold. A reader sees a content, its MD5 and its version together, or none of them. Versions never go back, also not
//! over a restart of the reader: a content is on disk before it is shown. A read of what was read before succeeds whatever the
//! server does. The client follows the server on one thread of its own, so a thousand readers ask no more than one. It never
//! reads the wall clock.

pub mod cache;
pub mod checksum;
mod follow;
pub mod incident;
pub mod key;
pub mod listening;
pub mod order;
pub mod plant;
pub mod protocol;
pub mod snapshot;
mod transport;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use self::cache::{Cache, Slot};
pub use self::cache::{Cached, Entry, Watch};
use self::follow::{Command, Follower};
pub use self::incident::{Incident, Observe, Unobserved};
pub use self::key::{ConfigKey, KeyError};
pub use self::plant::Plant;

/// How many requests to follow a configuration may wait.
const COMMANDS_MAX: usize = 1_024;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server, as `host:port`.
    pub server: String,
    /// The folder of its snapshots, which is for this server and this client alone.
    pub snapshots: PathBuf,
    /// The most configurations in memory; beyond, the one that was not read for longest goes, unless it is watched.
    pub entries_max: usize,
    /// How often the server is asked whether it is there.
    pub heartbeat: Duration,
    /// How long it may take to answer anything but a long poll.
    pub request_timeout: Duration,
    /// How long a long poll may hang.
    pub poll: Duration,
    /// The first wait before a new attempt; each is twice as long as the one before.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// A bug to plant.
    pub plant: Plant,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// The server cannot be reached, and there is no snapshot. It will be there once the server was reached.
    #[error("the configuration server at {server} cannot be reached, and there is no snapshot of {key}")]
    Away {
        /// The server.
        server: String,
        /// What was asked for.
        key: ConfigKey,
    },
    /// As many configurations are watched as may be in memory.
    #[error("{entries_max} configurations are watched, and no more fit; watch fewer or raise the limit")]
    Full {
        /// The limit.
        entries_max: usize,
    },
    /// The client is shutting down.
    #[error("the client of the configuration server has ended")]
    Ended,
}

/// A client. Clones are one client, which ends with the last of them and of its [`Watch`]es.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    cache: Arc<Cache>,
    commands: mpsc::Sender<Command>,
}

impl Settings {
    /// The usual ones.
    pub fn new(server: &str, snapshots: impl AsRef<Path>) -> Self {
        Self {
            server: server.to_owned(),
            snapshots: snapshots.as_ref().to_owned(),
            entries_max: 1_024,
            heartbeat: Duration::from_secs(5),
            request_timeout: Duration::from_secs(3),
            poll: Duration::from_secs(30),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            plant: Plant::None,
        }
    }
}

impl Client {
    /// Starts a client that tells nobody what it does.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_observed(settings, Arc::new(Unobserved))
    }

    /// Starts a client. The server need not be there.
    pub fn start_observed(settings: Settings, observe: Arc<dyn Observe>) -> io::Result<Self> {
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let cache = Arc::new(Cache::new());
        let follower = Follower::new(settings.clone(), Arc::clone(&cache), observe)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("config-client".to_owned())
            .spawn(move || runtime.block_on(follower.run(waiting)))?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                cache,
                commands,
            }),
        })
    }

    /// What is in memory, without waiting: the path for reads on every request. `None` for what was never asked for; see
    /// [`Client::get`].
    pub fn cached(&self, key: &ConfigKey) -> Option<Cached> {
        self.shared.cache.read(key)
    }

    /// What is in memory; what is not is asked of the server, once however many ask, or taken from its snapshot where the
    /// server is away. From then on it is kept up to date.
    pub async fn get(&self, key: &ConfigKey) -> Result<Arc<Entry>, GetError> {
        let slot = self.slot(key).await?;
        self.resolved(&slot, key).await
    }

    /// Likewise, and it stays in memory for as long as the [`Watch`] is there. It does not wait for the server: a watch may
    /// be had before there is anything to see.
    pub async fn watch(&self, key: &ConfigKey) -> Result<Watch, GetError> {
        let slot = self.slot(key).await?;
        Ok(Watch::new(slot, self.shared.commands.clone()))
    }

    /// Calls `callback` with what there is, and with each change from then on: the newest, where several came in the
    /// meantime. It runs on a task of the runtime that this is called in, and ends with it.
    pub async fn on_change(
        &self,
        key: &ConfigKey,
        mut callback: impl FnMut(&Entry) + Send + 'static,
    ) -> Result<(), GetError> {
        let mut watch = self.watch(key).await?;
        drop(tokio::spawn(async move {
            loop {
                let entry = watch.changed().await;
                callback(&entry);
            }
        }));
        Ok(())
    }

    /// What the server has right now, past the cache and its order, for whoever compares the two.
    pub async fn peek(&self, key: &ConfigKey) -> Result<Option<u64>, String> {
        follow::peek(&self.shared.settings, key).await
    }

    /// Whether the server answered when it was last asked.
    pub fn is_connected(&self) -> bool {
        self.shared.cache.is_connected()
    }

    async fn slot(&self, key: &ConfigKey) -> Result<Arc<Slot>, GetError> {
        if let Some(slot) = self.shared.cache.find(key) {
            return Ok(slot);
        }
        let (reply, answer) = oneshot::channel();
        let command = Command {
            key: key.clone(),
            reply,
        };
        let sent = self.shared.commands.send(command).await;
        sent.map_err(|_| GetError::Ended)?;
        answer.await.map_err(|_| GetError::Ended)?.ok_or(GetError::Full {
            entries_max: self.shared.settings.entries_max,
        })
    }

    async fn resolved(&self, slot: &Arc<Slot>, key: &ConfigKey) -> Result<Arc<Entry>, GetError> {
        let mut ticks = slot.ticks();
        loop {
            if let Some(entry) = slot.current() {
                return Ok(entry.to_entry());
            }
            if *ticks.borrow_and_update() > 0 {
                return Err(GetError::Away {
                    server: self.shared.settings.server.clone(),
                    key: key.clone(),
                });
            }
            ticks.changed().await.map_err(|_| GetError::Ended)?;
        }
    }
}
