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
//! | [`cache`] | what readers see: one pointer to a view, swapped whole |
//! | [`order`] | whether what the server says is newer than what is held |
//! | [`snapshot`] | the last of each configuration on disk |
//! | [`incident`] | what the client tells whoever watches it |
//! | [`plant`] | bugs on request |
//!
//! What must hold. A reader sees a content, its MD5 and its version together, or none of them. Versions never go back, also not
//! over a restart of the reader: a content is on disk before it is shown. A read of what was read before succeeds whatever the
//! server does. The client follows the server on one thread of its own and writes on another, so a thousand readers ask no more than one. It never
//! reads the wall clock.

mod backoff;
pub mod cache;
pub mod checksum;
mod disk;
mod follow;
pub mod incident;
pub mod key;
pub mod listening;
pub mod order;
pub mod plant;
pub mod protocol;
mod request;
mod settings;
pub mod snapshot;
mod transport;

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use self::cache::Cache;
pub use self::cache::{Cached, Entry, Watch};
use self::follow::{Command, Follower};
pub use self::incident::{Incident, Observe, Unobserved};
pub use self::key::{ConfigKey, KeyError};
pub use self::plant::Plant;
pub use self::settings::{Settings, SettingsError};

/// How many requests to follow a configuration may wait.
const COMMANDS_MAX: usize = 1_024;

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
    /// The server is there and does not give it, and there is no snapshot. It will be there once the server does.
    #[error("the configuration server at {server} does not give {key}: {reason}")]
    Refused {
        /// The server.
        server: String,
        /// What was asked for.
        key: ConfigKey,
        /// What it said.
        reason: String,
    },
    /// The client has ended: it was dropped, or it can keep no snapshots any more, which it told as an incident.
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

impl Client {
    /// Starts a client that tells nobody what it does.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_observed(settings, Arc::new(Unobserved))
    }

    /// Starts a client. The server need not be there. [`io::ErrorKind::InvalidInput`] carries a [`SettingsError`].
    pub fn start_observed(settings: Settings, observe: Arc<dyn Observe>) -> io::Result<Self> {
        settings
            .check()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (commands, waiting) = mpsc::channel(COMMANDS_MAX);
        let cache = Arc::new(Cache::new(settings.entries_max));
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
    /// server is away, does not give it, or has older data. From then on it is kept up to date.
    pub async fn get(&self, key: &ConfigKey) -> Result<Arc<Entry>, GetError> {
        if let Some(entry) = self.cached(key) {
            return Ok(entry.to_entry());
        }
        let (reply, answer) = oneshot::channel();
        let key = key.clone();
        self.ask(Command::Get { key, reply }, answer).await
    }

    /// Likewise, and it stays in memory for as long as the [`Watch`] is there. It does not wait for the server: a watch may
    /// be had before there is anything to see.
    pub async fn watch(&self, key: &ConfigKey) -> Result<Watch, GetError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Watch {
            key: key.clone(),
            client: self.shared.commands.clone(),
            reply,
        };
        self.ask(command, answer).await
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
        request::peek(&self.shared.settings, key).await
    }

    /// Whether the server answered when it was last asked.
    pub fn is_connected(&self) -> bool {
        self.shared.cache.is_connected()
    }

    /// Sends a command, and waits for its answer.
    async fn ask<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, GetError>>,
    ) -> Result<T, GetError> {
        let sent = self.shared.commands.send(command).await;
        sent.map_err(|_| GetError::Ended)?;
        answer.await.map_err(|_| GetError::Ended)?
    }
}
