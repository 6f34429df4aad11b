//! One address of a cluster, shared by all workers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::pool::Pool;
use super::standing::{Standing, State};
use crate::config::{Ejection, EndpointSpec, Health};
use crate::report::Report;

/// An endpoint.
#[derive(Debug)]
pub struct Endpoint {
    spec: EndpointSpec,
    /// The cluster's name and its own, for events.
    label: String,
    in_flight: AtomicU32,
    standing: Mutex<Standing>,
    /// Whether `standing` says anything but up: what is looked at for each request.
    out: AtomicBool,
    /// Whether requests failed since the last that succeeded, so that those that succeed need no lock.
    failing: AtomicBool,
    pools: Box<[Pool]>,
    report: Arc<Report>,
}

/// One request that the endpoint works on, until this is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl Endpoint {
    pub(crate) fn new(cluster: &str, spec: EndpointSpec, workers: usize, report: Arc<Report>) -> Self {
        Self {
            label: format!("{cluster}/{}", spec.name),
            spec,
            in_flight: AtomicU32::new(0),
            standing: Mutex::default(),
            out: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            pools: (0..workers).map(|_| Pool::default()).collect(),
            report,
        }
    }

    /// Its name and address.
    pub fn spec(&self) -> &EndpointSpec {
        &self.spec
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.spec.address
    }

    /// Its cluster's name and its own.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The connections that a worker has to it.
    pub fn pool(&self, worker: usize) -> &Pool {
        &self.pools[worker]
    }

    /// The connections to it that are not in use.
    pub fn idle(&self) -> usize {
        self.pools.iter().map(Pool::idle).sum()
    }

    /// The requests that it works on.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.report.in_flight.inc();
        InFlight(Arc::clone(self))
    }

    /// Whether it may be used. An ejection that is over ends here.
    pub fn is_usable(&self) -> bool {
        !self.out.load(Ordering::Acquire) || self.restored()
    }

    fn restored(&self) -> bool {
        let now = Instant::now();
        let state = self.change("its time is over", |standing| {
            standing.restore(now);
        });
        matches!(state, State::Up | State::Gone)
    }

    /// Its state, as it was last looked at.
    pub fn state(&self) -> State {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .state()
    }

    /// A request was answered.
    pub fn succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.change("answered", Standing::succeeded);
        }
    }

    /// A request failed. Whether the endpoint is to be ejected.
    pub(crate) fn failed(&self, policy: &Ejection) -> bool {
        let mut eject = false;
        self.change("failed", |standing| eject = standing.failed(policy));
        eject
    }

    /// Ejects it.
    pub(crate) fn eject(&self, policy: &Ejection) {
        let now = Instant::now();
        let why = format!("{} requests in a row failed", policy.failures);
        self.change(&why, |standing| {
            standing.eject(policy, now);
        });
    }

    /// A health check was good, or failed for a reason.
    pub fn checked(&self, result: Result<(), String>, policy: &Health) {
        let well = result.is_ok();
        let why = match result {
            Ok(()) => "health checks are good".to_owned(),
            Err(why) => {
                self.report.checks_failed.inc();
                format!("health checks fail: {why}")
            }
        };
        self.change(&why, |standing| standing.checked(well, policy));
    }

    /// A document that is in force from now on lists it.
    pub(crate) fn enter(&self) {
        self.change("the document lists it", |standing| standing.list(true));
    }

    /// The document in force lists it no more. Requests under way may still be sent to it; what they meet is not noted.
    pub(crate) fn leave(&self) {
        self.change("the document lists it no more", |standing| standing.list(false));
    }

    /// Of a planted bug: ejects it although checks say that it is down.
    pub(crate) fn eject_down(&self, policy: &Ejection) {
        let now = Instant::now();
        self.change("planted", |standing| standing.eject_down(policy, now));
    }

    /// Nobody checks it any more: what checks said is forgotten.
    pub(crate) fn unchecked(&self) {
        self.change("it is checked no more", Standing::unchecked);
    }

    /// Changes what is known of it, tells of a change of state, and returns the state.
    fn change(&self, why: &str, change: impl FnOnce(&mut Standing)) -> State {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = standing.state();
        change(&mut standing);
        let after = standing.state();
        // One that left is in nobody's way: requests that may still go there have nowhere else to go.
        let is_out = matches!(after, State::Ejected | State::Down);
        self.out.store(is_out, Ordering::Release);
        self.failing.store(standing.failures() > 0, Ordering::Relaxed);
        if before != after {
            // Told under the lock, so that the order of events is that of the changes.
            self.tell(before, after, why);
        }
        after
    }

    fn tell(&self, before: State, after: State, why: &str) {
        match (before, after) {
            (State::Gone, _) | (_, State::Gone) => {}
            (_, State::Up) => drop(self.report.restored.inc()),
            (State::Up, _) => drop(self.report.ejected.inc()),
            _ => {}
        }
        self.report
            .endpoint(&self.label, before.word(), after.word(), why);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.report.in_flight.dec();
    }
}
