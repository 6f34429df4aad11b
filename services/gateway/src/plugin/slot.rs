//! The plug-in in force, and how another one takes its place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;

use super::{Clusters, Metadata, Plugin, PluginError, PluginFailure, Target, source};
use crate::route::{Event, Observe, RouteRequest};

/// How long a plug-in may take to compile. The largest that is allowed takes a small part of it.
const COMPILE_MAX: Duration = Duration::from_secs(5);

/// Where the plug-in in force hangs.
pub(crate) struct Slot {
    current: ArcSwapOption<Plugin>,
    metadata: Arc<Metadata>,
    /// How many were pushed.
    pushes: AtomicU64,
    /// One push at a time, so that the last one wins.
    pushing: Mutex<()>,
}

impl Slot {
    pub(crate) fn new(metadata: Metadata) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            metadata: Arc::new(metadata),
            pushes: AtomicU64::new(0),
            pushing: Mutex::new(()),
        }
    }

    /// Compiles, checks and tries what was pushed, and puts it in force. Takes as long as that takes, and nothing waits for it.
    pub(crate) fn apply(
        &self,
        source: &[u8],
        clusters: Clusters<'_>,
        observe: &dyn Observe,
    ) -> Result<(), PluginError> {
        let _one_at_a_time = self.pushing.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.pushes.fetch_add(1, Ordering::Relaxed) + 1;
        let prepared = prepare(number, source, &self.metadata).and_then(|plugin| {
            test_run(&plugin, clusters).map_err(PluginError::TestRun)?;
            Ok(plugin)
        });
        match prepared {
            Ok(plugin) => {
                self.current.store(Some(Arc::new(plugin)));
                observe.note(&Event::PluginSwapped { number });
                Ok(())
            }
            Err(error) => {
                observe.note(&Event::PluginRefused {
                    number,
                    error: &error,
                });
                Err(error)
            }
        }
    }

    /// Asks no plug-in from now on.
    pub(crate) fn remove(&self, observe: &dyn Observe) {
        let _one_at_a_time = self.pushing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = self.current.swap(None) {
            observe.note(&Event::PluginRemoved {
                number: plugin.number,
            });
        }
    }

    /// Another table is in force: a plug-in that was asked no more is asked again, since what it named may be there now.
    pub(crate) fn forgive(&self) {
        if let Some(plugin) = &*self.current.load() {
            plugin.forgive();
        }
    }

    /// What the plug-in in force says, where there is one that is fit to be asked and that says something.
    pub(crate) fn ask(
        &self,
        request: &RouteRequest<'_>,
        clusters: Clusters<'_>,
        observe: &dyn Observe,
    ) -> Option<Target> {
        let plugin = self.current.load();
        let plugin = plugin.as_ref().filter(|plugin| !plugin.is_quarantined())?;
        let said = plugin.call(request, clusters);
        let number = plugin.number;
        let quarantined = plugin.note(said.is_err());
        if let Err(failure) = said {
            observe.note(&Event::PluginFailed { number, failure });
        }
        if quarantined {
            observe.note(&Event::PluginQuarantined { number });
        }
        said.ok().flatten()
    }
}

/// What always fails is found before it is in force.
fn test_run(plugin: &Plugin, clusters: Clusters<'_>) -> Result<(), PluginFailure> {
    let request = RouteRequest {
        method: "GET",
        path: "/",
        headers: &HeaderMap::new(),
    };
    plugin.call(&request, clusters).map(drop)
}

/// Compiles on a thread of its own, since only so can it be left behind when it takes too long. It ends by itself, as what it was given has an end.
fn prepare(number: u64, source: &[u8], metadata: &Arc<Metadata>) -> Result<Plugin, PluginError> {
    if source.len() > source::SOURCE_BYTES_MAX {
        return source::binary(source).and(Err(PluginError::Compiler));
    }
    let (send, receive) = mpsc::sync_channel(1);
    let (source, metadata) = (source.to_owned(), Arc::clone(metadata));
    let compile = move || {
        let compiled = source::binary(&source).and_then(|binary| Plugin::compile(number, &binary, metadata));
        // Nobody waits for what came too late.
        let _ = send.send(compiled);
    };
    let thread = thread::Builder::new()
        .name("gateway-compile".to_owned())
        .spawn(compile);
    if thread.is_err() {
        return Err(PluginError::Compiler);
    }
    match receive.recv_timeout(COMPILE_MAX) {
        Ok(compiled) => compiled,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(PluginError::Slow(COMPILE_MAX)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(PluginError::Compiler),
    }
}
