//! Where the rules come from, and how they come into force.
//!
//! The service starts with rules of its own, from a file or the feed policy's. Where there is a config-center its rules take their place as soon as they
//! are known: asked for before the first request is served, and followed from then on by the client's long poll. While it is away the
//! client shows its local copy, and what is in force stays. A text that is no rule set is refused whole, with an event and a metric, and the
//! rules in force stay too, also over a restart, by [a copy of the last ones that were accepted](super::accepted). Where the configuration is deleted
//! the service's own rules come back.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use squall_config_client::{Client, ConfigKey, Entry, Watch};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::accepted::Accepted;
use super::report::Report;
use crate::{Plant, RuleSet, Switchboard};

/// How long the first rules are waited for, whatever else the client is told.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// Where rules are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The feed policy's figures.
    Default,
    /// The file of the setting `rules`.
    File,
    /// Config-center.
    Center,
    /// The copy of the last rules of config-center that were accepted.
    Accepted,
}

/// The rules of a switchboard. Clones are the same.
#[derive(Clone)]
pub struct Rules(Arc<Shared>);

struct Shared {
    board: Arc<Switchboard>,
    report: Arc<Report>,
    accepted: Accepted,
    own: RuleSet,
    own_source: Source,
    in_force: Mutex<InForce>,
    center: OnceLock<Center>,
    plant: Plant,
}

/// What the rules in force are.
#[derive(Debug, Clone, Copy)]
struct InForce {
    source: Source,
    /// The version in config-center that was taken last, 0 before any. Where rules are refused it stays.
    center_version: u64,
    /// Whether the server was seen to have them, or they come from its client's local copy.
    live: bool,
    /// Whether nothing of config-center's has come into force or been refused yet, so that the service's own rules are in force.
    is_first: bool,
}

/// That config-center's rules are followed, until this is dropped.
#[derive(Debug)]
pub struct Following {
    _end: oneshot::Sender<Infallible>,
}

struct Center {
    client: Client,
    key: ConfigKey,
    watch: Watch,
}

impl Rules {
    /// Puts the service's own rules in force. They are valid.
    pub fn new(
        board: Arc<Switchboard>,
        report: Arc<Report>,
        accepted: Accepted,
        (own, own_source): (RuleSet, Source),
        plant: Plant,
    ) -> Self {
        board.apply(&own).expect("they were checked when they were read");
        Self(Arc::new(Shared {
            board,
            report,
            accepted,
            own,
            own_source,
            in_force: Mutex::new(InForce {
                source: own_source,
                center_version: 0,
                live: false,
                is_first: true,
            }),
            center: OnceLock::new(),
            plant,
        }))
    }

    /// Takes the rules that config-center has, or waits no longer than its client does to learn that it is away; and follows them
    /// from then on, in a thread of its own, until what is returned is dropped. To be called once.
    pub fn follow(&self, client: &Client, key: &ConfigKey) -> io::Result<Following> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (mut watch, first) = runtime.block_on(async {
            let watch = client.watch(key).await.map_err(io::Error::other)?;
            let kept = client.watch(key).await.map_err(io::Error::other)?;
            let first = timeout(FIRST_WITHIN, client.get(key)).await;
            let center = Center {
                client: client.clone(),
                key: key.clone(),
                watch: kept,
            };
            let _ = self.0.center.set(center);
            Ok::<_, io::Error>((watch, first.ok().and_then(Result::ok)))
        })?;
        let mut taken = first.map(|entry| {
            self.take(&entry);
            entry.version
        });
        self.fall_back();
        let rules = self.clone();
        let (end, mut ended) = oneshot::channel();
        let follow = move || {
            runtime.block_on(async {
                loop {
                    let entry = tokio::select! {
                        entry = watch.changed() => entry,
                        _ = &mut ended => return,
                    };
                    if taken.replace(entry.version) != Some(entry.version) {
                        rules.take(&entry);
                    }
                }
            });
        };
        thread::Builder::new().name("rules".to_owned()).spawn(follow)?;
        Ok(Following { _end: end })
    }

    /// Where neither config-center nor its client's copy had rules that can be used, puts those in force that were accepted last.
    fn fall_back(&self) {
        let shared = &self.0;
        let mut in_force = shared.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        if in_force.source == Source::Center {
            return;
        }
        let kept = shared.accepted.rules();
        let applied = kept.and_then(|rules| Some((shared.board.apply(&rules).ok()?, rules.len())));
        if let Some((version, count)) = applied {
            in_force.source = Source::Accepted;
            // They were config-center's: where it now has none they are to go.
            in_force.is_first = false;
            let what = format!("version={version} rules={count} source=accepted");
            shared.report.accepted_applied(what);
        }
    }

    /// Keeps on disk what was accepted; `None` is that there is nothing any more.
    fn keep(&self, text: Option<&str>) {
        let accepted = &self.0.accepted;
        let kept = text.map_or_else(|| accepted.forget(), |text| accepted.keep(text));
        if let Err(error) = kept {
            self.0.report.rules_not_kept(error.to_string());
        }
    }

    /// Puts in force what config-center has, if it is rules.
    fn take(&self, entry: &Entry) {
        let shared = &self.0;
        let mut in_force = shared.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.plant == Plant::DeafToRules && !in_force.is_first {
            return;
        }
        let is_first = std::mem::replace(&mut in_force.is_first, false);
        if is_first && entry.content.is_none() {
            // Nothing has been published: the service's own rules, which are in force, are what is to be.
            in_force.center_version = entry.version;
            drop(in_force);
            return self.keep(None);
        }
        let (read, source) = match &entry.content {
            Some(text) => (RuleSet::from_json(text), Source::Center),
            None => (Ok(shared.own.clone()), shared.own_source),
        };
        let applied = read.and_then(|rules| Ok((shared.board.apply(&rules)?, rules.len())));
        match applied {
            Ok((version, count)) => {
                in_force.source = source;
                in_force.center_version = entry.version;
                in_force.live = entry.live;
                let what = format!(
                    "version={version} center_version={} rules={count} source={}",
                    entry.version,
                    source.word(entry.live)
                );
                shared.report.rules_applied(entry.live, what);
                // Whoever asks what is in force is not to wait for the disk.
                drop(in_force);
                self.keep(entry.content.as_deref());
            }
            Err(errors) => {
                let what = format!("center_version={} {errors}", entry.version);
                shared.report.rules_refused(what);
            }
        }
    }

    /// Whether a rule in force is for this resource.
    pub fn name(&self, resource: &str) -> bool {
        let (rules, _) = self.0.board.rules();
        let flow = rules.flow.iter().map(|rule| &rule.resource);
        let degrade = rules.degrade.iter().map(|rule| &rule.resource);
        let latency = rules.latency.iter().map(|rule| &rule.resource);
        flow.chain(degrade).chain(latency).any(|named| named == resource)
    }

    /// The rules in force, where they are from, and their versions here and in config-center.
    pub fn describe(&self) -> Value {
        // Under the lock, so that rules and version are of one another.
        let in_force = self.0.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let (rules, version) = self.0.board.rules();
        let center = self.0.center.get();
        // What came from the copy may have been seen at the server since.
        let current = center.and_then(|center| center.watch.current());
        let is_seen = current.is_some_and(|entry| entry.live && entry.version == in_force.center_version);
        let live = in_force.live || is_seen;
        json!({
            "version": version,
            "center_version": in_force.center_version,
            "source": in_force.source.word(live),
            "connected": center.is_some_and(|center| center.client.is_connected()),
            "rules": &*rules,
        })
    }

    /// The version that config-center has right now, then that of the rules in force.
    pub async fn versions(&self) -> Result<[u64; 2], String> {
        let Some(center) = self.0.center.get() else {
            return Err("there is no config-center to follow".to_owned());
        };
        let server = center.client.peek(&center.key).await?;
        let server = server.ok_or("config-center does not say which version it has")?;
        let in_force = self.0.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        Ok([server, in_force.center_version])
    }
}

impl Source {
    fn word(self, live: bool) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Center if live => "live",
            Self::Center => "snapshot",
            Self::Accepted => "accepted",
        }
    }
}
