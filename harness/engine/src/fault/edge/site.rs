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

    /// Bytes that crossed in these directions.
    fn crossed_bytes(seen: &Self::Seen, directions: &[Direction]) -> u64;
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

    fn crossed_bytes(seen: &EdgeSeen, directions: &[Direction]) -> u64 {
        in_directions(directions, |way| seen.directions[way.index()].forwarded.bytes)
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

    fn crossed_bytes(seen: &DatagramSeen, directions: &[Direction]) -> u64 {
        in_directions(directions, |way| seen.directions[way.index()].forwarded.bytes)
    }
}

/// What a fault does to an edge, and what shows it.
pub trait Deed<P: Post>: Send + Sync {
    /// Whether beginning takes so long that what crosses meanwhile must not count as having met it.
    const BEGINS_SLOWLY: bool = false;

    /// Begins it.
    fn begin(&self, at: &At<P>) -> Result<(), FaultError>;

    /// Ends it.
    fn end(&self, at: &At<P>) -> Result<(), FaultError>;

    /// What of the caller's traffic has met it since it began, in words; nothing where none has. `before` was seen just before.
    fn met(&self, at: &At<P>, before: &P::Seen, now: &P::Seen) -> Option<String>;

    /// What shows that it is over, in words; nothing where nothing does yet. `after` was seen just before it was ended, so long ago.
    /// An edge that nobody used before must not have been used since.
    fn over(&self, at: &At<P>, after: &P::Seen, now: &P::Seen, ended_for: Duration) -> Option<String> {
        let _ = ended_for;
        crossed_again(at, after, now)
    }
}

/// That bytes crossed again in the directions that a fault was for: others may never have been cut.
pub(super) fn crossed_again<P: Post>(at: &At<P>, after: &P::Seen, now: &P::Seen) -> Option<String> {
    let crossed = |seen| P::crossed_bytes(seen, &at.directions);
    match crossed(now).saturating_sub(crossed(after)) {
        0 if P::used_by(after) > 0 => None,
        0 => Some("was not used".to_owned()),
        bytes => Some(format!("{} crossed again", human::bytes(bytes))),
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
        self.at.there(|| self.deed.begin(&self.at))?;
        if D::BEGINS_SLOWLY {
            self.before = Some(self.at.proxy.look(None));
        }
        Ok(())
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
    match P::crossed_bytes(before, &Direction::BOTH) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Led;
    use std::sync::{Arc, Mutex};

    /// What stands on an edge that one connection uses: bytes that crossed, by direction.
    #[derive(Default)]
    struct Counting(Mutex<[u64; 2]>);

    impl Counting {
        fn cross(&self, way: Direction, bytes: u64) {
            self.0.lock().unwrap()[way.index()] += bytes;
        }
    }

    impl Post for Counting {
        type Seen = [u64; 2];

        const CROSSES_ON: &'static str = "connection";

        fn look(&self, _: Option<&[u64; 2]>) -> [u64; 2] {
            *self.0.lock().unwrap()
        }

        fn used_by(_: &[u64; 2]) -> u64 {
            1
        }

        fn crossed_bytes(seen: &[u64; 2], directions: &[Direction]) -> u64 {
            in_directions(directions, |way| seen[way.index()])
        }
    }

    fn at(proxy: &Arc<Counting>, directions: &[Direction]) -> At<Counting> {
        At {
            caller: "get".to_owned(),
            callee: "ids".to_owned(),
            proxy: Arc::clone(proxy),
            led: Led::Told,
            directions: directions.to_vec(),
            place: None,
        }
    }

    /// Ten bytes cross while it begins.
    struct Slow;

    impl Deed<Counting> for Slow {
        const BEGINS_SLOWLY: bool = true;

        fn begin(&self, at: &At<Counting>) -> Result<(), FaultError> {
            at.proxy.cross(Direction::Upstream, 10);
            Ok(())
        }

        fn end(&self, _: &At<Counting>) -> Result<(), FaultError> {
            Ok(())
        }

        fn met(&self, _: &At<Counting>, before: &[u64; 2], now: &[u64; 2]) -> Option<String> {
            (now[0] > before[0]).then(|| format!("{} met it", now[0] - before[0]))
        }
    }

    #[test]
    fn what_crossed_while_a_fault_began_has_not_met_it() {
        let proxy = Arc::new(Counting::default());
        let mut site = Site::of(at(&proxy, &Direction::BOTH), Slow);
        site.begin().unwrap();
        assert_eq!(site.met(), None);
        proxy.cross(Direction::Upstream, 5);
        assert!(site.met().unwrap().ends_with("5 met it"));
    }

    #[test]
    fn that_a_fault_of_one_way_is_over_shows_in_that_way() {
        let proxy = Arc::new(Counting::default());
        let mut site = Site::of(at(&proxy, &[Direction::Downstream]), Slow);
        site.begin().unwrap();
        site.end().unwrap();
        proxy.cross(Direction::Upstream, 5);
        assert_eq!(site.over(Duration::ZERO), None, "that way was never cut");
        proxy.cross(Direction::Downstream, 5);
        assert!(site.over(Duration::ZERO).is_some());
    }
}
