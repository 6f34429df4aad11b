//! One fault on one edge: what was seen before and after it, and what that shows.
//!
//! What stands on an edge ([`Post`]) counts what crosses it; what is done there ([`Deed`]) says what of those counts shows that it
//! was felt, and that it is over.

use std::time::Duration;

use squall_edge::{DatagramProxy, DatagramSeen, Direction, EdgeSeen, Proxy};
use squall_model::units::human;

use super::{At, counted};
use crate::fault::FaultError;

/// What stands on an edge and counts what crosses it.
pub trait Post: Send + Sync + 'static {
    /// A snapshot of its counts.
    type Seen: Send;

    /// What one of those who cross is called.
    const CROSSES_ON: &'static str;

    /// A snapshot. What was over at the time of an earlier one need not be in it.
    fn look(&self, since: Option<&Self::Seen>) -> Self::Seen;

    /// Connections, or senders of datagrams, that there were.
    fn used_by(seen: &Self::Seen) -> u64;

    /// Bytes that crossed.
    fn crossed_bytes(seen: &Self::Seen) -> u64;
}

impl Post for Proxy {
    type Seen = EdgeSeen;

    const CROSSES_ON: &'static str = "connection";

    fn look(&self, since: Option<&EdgeSeen>) -> EdgeSeen {
        self.seen_since(since.map_or(u64::MAX, |seen| seen.at_ns))
    }

    fn used_by(seen: &EdgeSeen) -> u64 {
        seen.opened
    }

    fn crossed_bytes(seen: &EdgeSeen) -> u64 {
        seen.directions.iter().map(|one| one.forwarded.bytes).sum()
    }
}

impl Post for DatagramProxy {
    type Seen = DatagramSeen;

    const CROSSES_ON: &'static str = "socket";

    fn look(&self, _: Option<&DatagramSeen>) -> DatagramSeen {
        self.seen()
    }

    fn used_by(seen: &DatagramSeen) -> u64 {
        seen.flows_opened
    }

    fn crossed_bytes(seen: &DatagramSeen) -> u64 {
        seen.directions.iter().map(|one| one.forwarded.bytes).sum()
    }
}

/// What a fault does to an edge, and what shows it.
pub trait Deed<P: Post>: Send + Sync {
    /// Begins it.
    fn begin(&self, at: &At<P>) -> Result<(), FaultError>;

    /// Ends it.
    fn end(&self, at: &At<P>) -> Result<(), FaultError>;

    /// What of the caller's traffic has met it since it began, in words; nothing where none has. `before` was seen just before.
    fn met(&self, at: &At<P>, before: &P::Seen, now: &P::Seen) -> Option<String>;

    /// What shows that it is over, in words; nothing where nothing does yet. `after` was seen just before it was ended, so long ago.
    /// An edge that nobody used before must not have been used since.
    fn over(&self, at: &At<P>, after: &P::Seen, now: &P::Seen, ended_for: Duration) -> Option<String> {
        let _ = (at, ended_for);
        match P::crossed_bytes(now).saturating_sub(P::crossed_bytes(after)) {
            0 if P::used_by(after) > 0 => None,
            0 => Some("was not used".to_owned()),
            bytes => Some(format!("{} crossed again", human::bytes(bytes))),
        }
    }
}

/// A fault on an edge, whatever stands there.
pub trait OnEdge: Send {
    /// `feed->ranking`
    fn name(&self) -> String;

    /// Begins it.
    fn begin(&mut self) -> Result<(), FaultError>;

    /// What had crossed before and what met it since; nothing where nothing did.
    fn met(&self) -> Option<String>;

    /// What is lacking where nothing met it.
    fn lacking(&self) -> String;

    /// Ends it.
    fn end(&mut self) -> Result<(), FaultError>;

    /// What shows that it is over, `ended_for` after it was ended.
    fn over(&self, ended_for: Duration) -> Option<String>;
}

/// A deed where it is done.
pub(super) struct Site<P: Post, D> {
    at: At<P>,
    deed: D,
    before: Option<P::Seen>,
    after: Option<P::Seen>,
}

impl<P: Post, D: Deed<P> + 'static> Site<P, D> {
    pub(super) fn of(at: At<P>, deed: D) -> Box<dyn OnEdge> {
        Box::new(Site {
            at,
            deed,
            before: None,
            after: None,
        })
    }
}

impl<P: Post, D: Deed<P>> OnEdge for Site<P, D> {
    fn name(&self) -> String {
        self.at.name()
    }

    fn begin(&mut self) -> Result<(), FaultError> {
        self.before = Some(self.at.proxy.look(None));
        self.after = None;
        self.at.there(|| self.deed.begin(&self.at))
    }

    fn met(&self) -> Option<String> {
        let before = self.before.as_ref()?;
        let now = self.at.proxy.look(Some(before));
        let met = self.deed.met(&self.at, before, &now)?;
        Some(format!("{}, then {met}", had_crossed::<P>(before)))
    }

    fn lacking(&self) -> String {
        let At { caller, callee, .. } = &self.at;
        if P::used_by(&self.at.proxy.look(None)) == 0 {
            self.at.unused()
        } else {
            format!("{caller} sent nothing over its edge to {callee} that met it")
        }
    }

    fn end(&mut self) -> Result<(), FaultError> {
        self.after = Some(self.at.proxy.look(None));
        self.at.there(|| self.deed.end(&self.at))
    }

    fn over(&self, ended_for: Duration) -> Option<String> {
        let after = self.after.as_ref()?;
        let now = self.at.proxy.look(Some(after));
        self.deed.over(&self.at, after, &now, ended_for)
    }
}

/// What had crossed an edge, in words.
fn had_crossed<P: Post>(before: &P::Seen) -> String {
    match P::crossed_bytes(before) {
        0 => "nothing had crossed before".to_owned(),
        bytes => {
            let on = counted(P::used_by(before), P::CROSSES_ON);
            format!("{} had crossed on {on}", human::bytes(bytes))
        }
    }
}

impl<P> At<P> {
    /// `feed->ranking`
    pub fn name(&self) -> String {
        format!("{}->{}", self.caller, self.callee)
    }
}

/// The counts of the directions that a fault is for, together.
pub(super) fn in_directions(directions: &[Direction], count: impl Fn(Direction) -> u64) -> u64 {
    directions.iter().map(|way| count(*way)).sum()
}
