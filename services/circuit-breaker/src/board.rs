//! All resources and the rules in force: where a call asks whether it may go.
//!
//! Everything a call reads hangs on one pointer. A rule set comes into force by a swap of it: a call sees the rules before
//! or the rules after, never some of each. What was counted, and the state of what did not change, is shared by both.
//!
//! A resource is made when it is asked for, never because a rule names it: rules may come and go with any names, and what is kept is bounded
//! by [`RESOURCES_MAX`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::breaker::{Breaker, Ticket};
use crate::event::{Event, Observe, Observer, State};
use crate::flow::{Check, FlowControl};
use crate::guard::{Blocked, Entry, Guard, Waiting};
use crate::latency::LatencyWatch;
use crate::plant::Plant;
use crate::reading::{InForce, Reading};
use crate::rule::{BREAKERS_MAX, DegradeRule, Grade, RuleErrors, RuleSet};
use crate::stats::{Snapshot, Stats};

/// The most resources that a switchboard takes on, as many as Sentinel.
pub const RESOURCES_MAX: usize = 6_000;

/// A resource of one switchboard: what its calls are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceId(usize);

/// There are too many resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {RESOURCES_MAX} resources already; name what is called, not each call")]
pub struct TooManyResources;

/// A resource with its rules.
pub(crate) struct Guarded {
    name: Arc<str>,
    pub(crate) stats: Arc<Stats>,
    flows: Box<[Arc<FlowControl>]>,
    concurrency: Option<u64>,
    pub(crate) breakers: Box<[Arc<Breaker>]>,
    pub(crate) latency: Option<Arc<LatencyWatch>>,
}

impl Guarded {
    fn without_rules(name: Arc<str>) -> Self {
        Self {
            name,
            stats: Arc::default(),
            flows: Box::default(),
            concurrency: None,
            breakers: Box::default(),
            latency: None,
        }
    }
}

impl Guarded {
    /// Ends what does not go on under new rules.
    fn retire(&self, next: &Self) {
        let goes_on = |old: &Arc<Breaker>| next.breakers.iter().any(|new| Arc::ptr_eq(old, new));
        for breaker in self.breakers.iter().filter(|breaker| !goes_on(breaker)) {
            breaker.retire();
        }
        let goes_on =
            |old: &Arc<LatencyWatch>| next.latency.as_ref().is_some_and(|new| Arc::ptr_eq(old, new));
        if let Some(latency) = self.latency.as_ref().filter(|latency| !goes_on(latency)) {
            latency.retire();
        }
    }
}

/// What one pointer leads to.
pub(crate) struct Table {
    pub(crate) version: u64,
    rules: Arc<RuleSet>,
    resources: Vec<Arc<Guarded>>,
    names: HashMap<Arc<str>, ResourceId>,
}

impl Table {
    #[inline]
    pub(crate) fn guarded(&self, resource: ResourceId) -> &Guarded {
        &self.resources[resource.0]
    }

    /// The same with one more resource.
    fn with(&self, guarded: Guarded) -> (Self, ResourceId) {
        let id = ResourceId(self.resources.len());
        let mut table = Self {
            version: self.version,
            rules: Arc::clone(&self.rules),
            resources: self.resources.clone(),
            names: self.names.clone(),
        };
        table.names.insert(Arc::clone(&guarded.name), id);
        table.resources.push(Arc::new(guarded));
        (table, id)
    }
}

/// Guards calls to any number of resources, from any number of threads.
pub struct Switchboard {
    table: InForce,
    /// Held by whoever makes the next table.
    writing: Mutex<()>,
    observer: Observer,
    plant: Plant,
}

impl Switchboard {
    /// With no rules: every call passes.
    pub fn new(observer: Arc<dyn Observe>) -> Self {
        Self::planted(observer, Plant::None)
    }

    /// The same with a bug.
    pub fn planted(observer: Arc<dyn Observe>, plant: Plant) -> Self {
        Self {
            table: InForce::new(Table {
                version: 0,
                rules: Arc::default(),
                resources: Vec::new(),
                names: HashMap::new(),
            }),
            writing: Mutex::new(()),
            observer: Observer::new(observer),
            plant,
        }
    }

    /// The resource of this name, taken on if it is new. It stays the same for the switchboard's life.
    pub fn resource(&self, name: &str) -> Result<ResourceId, TooManyResources> {
        if let Some(id) = self.table.load().names.get(name) {
            return Ok(*id);
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        if let Some(id) = table.names.get(name) {
            return Ok(*id);
        }
        if table.resources.len() >= RESOURCES_MAX {
            return Err(TooManyResources);
        }
        let fresh = Guarded::without_rules(name.into());
        let (next, id) = table.with(self.renew(&fresh, &table.rules, table.version));
        self.table.store(next);
        Ok(id)
    }

    /// Puts a rule set in force in the place of the one before, or refuses all of it. Returns its version.
    ///
    /// A rule that did not change keeps its state; a limit of calls per second that changed keeps what it has admitted, and a queue who
    /// stands in it. A degrade rule that changed starts closed.
    pub fn apply(&self, rules: &RuleSet) -> Result<u64, RuleErrors> {
        rules.check()?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.table.load();
        let version = before.version + 1;
        let renew = |guarded: &Arc<Guarded>| Arc::new(self.renew(guarded, rules, version));
        let resources: Vec<_> = before.resources.iter().map(renew).collect();
        // Before others take their places, so that what is told of one place is told in order.
        for (old, new) in before.resources.iter().zip(&resources) {
            old.retire(new);
        }
        self.table.store(Table {
            version,
            rules: Arc::new(rules.clone()),
            resources,
            names: before.names.clone(),
        });
        self.observer.tell(&Event::RulesApplied {
            version,
            rules: rules.len(),
        });
        Ok(version)
    }

    /// The rules in force, and their version.
    pub fn rules(&self) -> (Arc<RuleSet>, u64) {
        let table = self.table.load();
        (Arc::clone(&table.rules), table.version)
    }

    /// Asks whether a call to a resource may go, at this time in nanoseconds of a clock that never goes back.
    #[inline]
    pub fn entry(&self, resource: ResourceId, now_ns: u64) -> Entry<'_> {
        let table = self.table.load();
        let guarded = table.guarded(resource);
        if let Some(blocked) = refusing(guarded, now_ns) {
            guarded.stats.refuse(now_ns);
            return Entry::Blocked(blocked);
        }
        let (mut wait_ns, mut admitted_ns) = (0, now_ns);
        for (at, flow) in guarded.flows.iter().enumerate() {
            match flow.check(now_ns, &guarded.stats) {
                Check::Pass(at_ns) => admitted_ns = admitted_ns.max(at_ns),
                Check::Wait(ns) => wait_ns = wait_ns.max(ns),
                Check::Refuse => {
                    give_back(&guarded.flows[..at], now_ns);
                    guarded.stats.refuse(now_ns);
                    return Entry::Blocked(if flow.rule().control_behavior.queues() {
                        Blocked::QueueFull
                    } else {
                        Blocked::Qps
                    });
                }
            }
        }
        if wait_ns > 0 {
            return Entry::Wait(Waiting::new(self, resource, Duration::from_nanos(wait_ns)));
        }
        let entry = self.enter(&table, resource, now_ns, admitted_ns);
        if matches!(entry, Entry::Blocked(_)) {
            give_back(&guarded.flows, now_ns);
        }
        entry
    }

    /// What comes after flow control: concurrency and breakers.
    #[inline]
    pub(crate) fn enter(
        &self,
        table: &Table,
        resource: ResourceId,
        now_ns: u64,
        admitted_ns: u64,
    ) -> Entry<'_> {
        let guarded = table.guarded(resource);
        if let Some(limit) = guarded.concurrency
            && !guarded.stats.occupy(limit)
        {
            guarded.stats.refuse(now_ns);
            return Entry::Blocked(Blocked::Concurrency);
        }
        let mut tickets = [Ticket::default(); BREAKERS_MAX];
        for (at, breaker) in guarded.breakers.iter().enumerate() {
            match breaker.admit(now_ns) {
                Ok(ticket) => tickets[breaker.slot()] = ticket,
                Err(state) => {
                    turn_away(guarded, &guarded.breakers[..at], tickets, now_ns);
                    return Entry::Blocked(Blocked::Breaker(state));
                }
            }
        }
        guarded.stats.pass(now_ns);
        let occupies = guarded.concurrency.is_some();
        Entry::Pass(Guard::new(
            self,
            resource,
            (now_ns, admitted_ns),
            table.version,
            tickets,
            occupies,
        ))
    }

    /// The table in force.
    #[inline]
    pub(crate) fn table(&self) -> Reading {
        self.table.load()
    }

    /// The version of the rules in force; 0 before any were applied.
    pub fn version(&self) -> u64 {
        self.table.load().version
    }

    /// What was counted of a resource in the last second.
    pub fn snapshot(&self, resource: ResourceId, now_ns: u64) -> Snapshot {
        self.table.load().guarded(resource).stats.snapshot(now_ns)
    }

    /// How many calls are under way that a limit of concurrency counts.
    pub fn under_way(&self, resource: ResourceId) -> u64 {
        self.table.load().guarded(resource).stats.under_way()
    }

    /// The states of a resource's breakers, in the order of their rules.
    pub fn states(&self, resource: ResourceId) -> Vec<State> {
        let table = self.table.load();
        let breakers = &table.guarded(resource).breakers;
        breakers.iter().map(|breaker| breaker.state()).collect()
    }

    /// Whether a resource is slow by its latency rule. One without such a rule never is.
    #[inline]
    pub fn is_slow(&self, resource: ResourceId) -> bool {
        let table = self.table.load();
        let latency = &table.guarded(resource).latency;
        latency.as_ref().is_some_and(|latency| latency.is_slow())
    }

    /// Whether a resource that is slow is to be called all the same, since nobody else has called it in this step of its latency rule. Who
    /// is told so calls it.
    pub fn wants_sample(&self, resource: ResourceId, now_ns: u64) -> bool {
        let table = self.table.load();
        let latency = &table.guarded(resource).latency;
        latency
            .as_ref()
            .is_some_and(|latency| latency.wants_sample(now_ns))
    }

    /// A resource under new rules, with what it can keep.
    fn renew(&self, before: &Guarded, rules: &RuleSet, version: u64) -> Guarded {
        let own = || rules.flow.iter().filter(|rule| *rule.resource == *before.name);
        let qps: Vec<_> = own().filter(|rule| rule.grade == Grade::Qps).collect();
        let concurrency = own()
            .filter(|rule| rule.grade == Grade::Concurrency)
            .map(|rule| rule.count as u64)
            .min();
        let latency = rules.latency.iter().find(|rule| *rule.resource == *before.name);
        let unchanged = |rule| before.latency.as_ref().filter(|old| old.rule() == rule);
        let latency = latency.map(|rule| match unchanged(rule) {
            Some(old) => Arc::clone(old),
            None => Arc::new(LatencyWatch::new(
                rule.clone(),
                Arc::clone(&before.name),
                self.observer.clone(),
            )),
        });
        Guarded {
            name: Arc::clone(&before.name),
            stats: Arc::clone(&before.stats),
            flows: FlowControl::renew(&qps, &before.flows, self.plant),
            concurrency,
            breakers: self.renew_breakers(before, rules, version),
            latency,
        }
    }

    fn renew_breakers(&self, before: &Guarded, rules: &RuleSet, version: u64) -> Box<[Arc<Breaker>]> {
        let own = || rules.degrade.iter().filter(|rule| *rule.resource == *before.name);
        let mut spare = before.breakers.to_vec();
        let kept: Vec<Option<Arc<Breaker>>> = own()
            .map(|rule| {
                let at = spare.iter().position(|old| old.rule() == rule)?;
                Some(spare.remove(at))
            })
            .collect();
        let taken: Vec<usize> = kept.iter().flatten().map(|breaker| breaker.slot()).collect();
        let mut free = (0..BREAKERS_MAX).filter(|slot| !taken.contains(slot));
        let renew = |(rule, kept): (&_, Option<Arc<Breaker>>)| {
            kept.or_else(|| {
                let slot = free.next()?;
                let (name, observer) = (Arc::clone(&before.name), self.observer.clone());
                let rule = DegradeRule::clone(rule);
                Some(Arc::new(Breaker::new(
                    rule, name, slot, version, observer, self.plant,
                )))
            })
        };
        own().zip(kept).filter_map(renew).collect()
    }
}

/// The breaker that refuses a call already before flow control is asked, so that no permit is spent on it.
#[inline]
fn refusing(guarded: &Guarded, now_ns: u64) -> Option<Blocked> {
    let mut breakers = guarded.breakers.iter();
    breakers
        .find_map(|breaker| breaker.refuses(now_ns))
        .map(Blocked::Breaker)
}

#[cold]
fn give_back(flows: &[Arc<FlowControl>], now_ns: u64) {
    for flow in flows {
        flow.give_back(now_ns);
    }
}

/// Undoes what a call was given before a breaker refused it.
#[cold]
fn turn_away(guarded: &Guarded, admitted_by: &[Arc<Breaker>], tickets: [Ticket; BREAKERS_MAX], now_ns: u64) {
    // None of them is to wait for a probe that does not take place.
    for breaker in admitted_by {
        breaker.abandon(tickets[breaker.slot()], now_ns);
    }
    if guarded.concurrency.is_some() {
        guarded.stats.vacate();
    }
    guarded.stats.refuse(now_ns);
}
