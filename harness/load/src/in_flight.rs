//! What a load is waiting for, in order of starting: requests sent and connections being opened.
//!
//! All of one load have the same timeout, so the one started first is always the next to run out, and a list threaded
//! through a slab gives it in constant time and keeps memory at what is really outstanding.

use crate::ledger::Ended;

const NONE: u32 = u32::MAX;

/// One thing waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The connection's slot.
    pub(crate) connection: u32,
    /// When it was started, in nanoseconds since the epoch.
    pub(crate) started_ns: u64,
    /// The request; `None` while the connection is being opened.
    pub(crate) request: Option<Request>,
}

impl Wait {
    /// The request that ended at `now_ns` with this wait, if it was for one.
    pub(crate) fn ended(self, now_ns: u64) -> Option<Ended> {
        self.request.map(|request| Ended {
            request,
            started_ns: self.started_ns,
            now_ns,
        })
    }
}

/// A request that the schedule or a user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Which of the load's phases it belongs to.
    pub(crate) phase: u32,
    /// Its number in the load and phase.
    pub(crate) number: u64,
    /// When it was meant to be sent, in nanoseconds since the epoch.
    pub(crate) intended_ns: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    wait: Wait,
    before: u32,
    after: u32,
}

/// The list.
pub(crate) struct InFlight {
    entries: Vec<Entry>,
    free: Vec<u32>,
    first: u32,
    last: u32,
}

impl InFlight {
    pub(crate) fn new() -> InFlight {
        InFlight {
            entries: Vec::new(),
            free: Vec::new(),
            first: NONE,
            last: NONE,
        }
    }

    /// Adds what was just started; returns its tag, which is free again once it was removed.
    pub(crate) fn push(&mut self, wait: Wait) -> u32 {
        let entry = Entry {
            wait,
            before: self.last,
            after: NONE,
        };
        let tag = if let Some(tag) = self.free.pop() {
            self.entries[tag as usize] = entry;
            tag
        } else {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        match self.last {
            NONE => self.first = tag,
            last => self.entries[last as usize].after = tag,
        }
        self.last = tag;
        tag
    }

    /// Removes and returns the one called `tag`, which must be in the list.
    pub(crate) fn remove(&mut self, tag: u32) -> Wait {
        let Entry { wait, before, after } = self.entries[tag as usize];
        match before {
            NONE => self.first = after,
            before => self.entries[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.entries[after as usize].before = before,
        }
        self.free.push(tag);
        wait
    }

    /// The one called `tag`, which must be in the list.
    #[inline]
    pub(crate) fn get(&self, tag: u32) -> Wait {
        self.entries[tag as usize].wait
    }

    /// Those of one connection, by tag. Walks the whole list.
    pub(crate) fn of_connection(&self, connection: u32) -> Vec<u32> {
        let mut tags = Vec::new();
        let mut at = self.first;
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.wait.connection == connection {
                tags.push(at);
            }
            at = entry.after;
        }
        tags
    }

    /// The one started first, with its tag.
    pub(crate) fn first(&self) -> Option<(u32, Wait)> {
        self.entries
            .get(self.first as usize)
            .map(|entry| (self.first, entry.wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wait(started_ns: u64) -> Wait {
        Wait {
            connection: 0,
            started_ns,
            request: None,
        }
    }

    proptest! {
        #[test]
        fn the_first_is_always_the_oldest_left(steps in proptest::collection::vec((any::<bool>(), 0..64_usize), 0..200)) {
            let mut list = InFlight::new();
            let mut model: Vec<(u32, u64)> = Vec::new();
            for (at, (add, pick)) in steps.into_iter().enumerate() {
                if add || model.is_empty() {
                    model.push((list.push(wait(at as u64)), at as u64));
                } else {
                    let (tag, started_ns) = model.remove(pick % model.len());
                    prop_assert_eq!(list.remove(tag).started_ns, started_ns);
                }
                prop_assert_eq!(list.first().map(|(_, wait)| wait.started_ns), model.first().map(|&(_, at)| at));
            }
            prop_assert!(list.entries.len() <= 200);
        }
    }
}
