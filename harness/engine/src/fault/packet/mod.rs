//! What is done to the packets of an edge, in a scenario whose network is isolated: the kernel drops them on the bridge between the
//! places of caller and callee, or lets them go no faster than a rate.
//!
//! Faults say what they do to packets ([`PacketDeed`]), and [`PacketFault`] does it. The evidence is what the kernel counts: before
//! the drop, at the drop, and in the queue of a limit. It neither knows nor makes places, and nothing here reads a packet.

mod faults;

use squall_edge::Direction;
use squall_model::units::{Ratio, human};

use super::{Ends, Here, Lack, Way};
use crate::network::{self, Unavailable};

pub use faults::PacketFault;

/// How partitions and losses work in an isolated network.
pub const PACKETS: Way = Way {
    name: "packets",
    about: "with `network: isolated`: the kernel drops packets between network namespaces (nftables); TCP and UDP, any program",
    check,
};

/// How bandwidth is limited in an isolated network.
pub const QUEUE: Way = Way {
    name: "queue",
    about: "with `network: isolated`: a token bucket (tbf) on the cable of the callee; TCP and UDP, any program",
    check,
};

/// Whether this machine lets networks be isolated.
fn check(_: &Here) -> Result<(), Lack> {
    network::probe().map_err(|why| match why {
        Unavailable::Refused { what, error, remedy } => Lack {
            missing: format!("this machine refuses {what} ({error})"),
            unlock: remedy,
        },
        other => Lack {
            missing: other.to_string(),
            unlock: "try again".to_owned(),
        },
    })
}

/// What is done to packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PacketDeed {
    /// So large a share of them is dropped.
    Drop(Ratio),
    /// They go through the callee's cable at so many bytes a second, headers included.
    Limit(u64),
}

/// The packets of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketPath {
    /// A load or a service.
    pub caller: String,
    /// A service.
    pub callee: String,
    /// Which of the packets between them.
    pub directions: Vec<Direction>,
}

impl PacketPath {
    /// `feed->ranking`
    pub fn name(&self) -> String {
        format!("{}->{}", self.caller, self.callee)
    }

    /// What crosses the callee's cable in these directions, whoever sends it or gets it.
    fn cable(&self) -> String {
        let verbs = self.directions.iter().map(|direction| match direction {
            Direction::Upstream => "gets",
            Direction::Downstream => "sends",
        });
        format!(
            "all that {} {}",
            self.callee,
            verbs.collect::<Vec<_>>().join(" or ")
        )
    }

    /// Sender and receiver.
    fn ways(&self) -> impl Iterator<Item = (Direction, &str, &str)> {
        self.directions.iter().map(|direction| match direction {
            Direction::Upstream => (*direction, self.caller.as_str(), self.callee.as_str()),
            Direction::Downstream => (*direction, self.callee.as_str(), self.caller.as_str()),
        })
    }
}

/// A fault on packets as planned: what is done, and to which.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketSpec {
    /// What is done.
    pub deed: PacketDeed,
    /// To the packets of these edges; at least one.
    pub paths: Vec<PacketPath>,
}

impl PacketSpec {
    /// What it does, in words; `ends` are as the scenario names them.
    pub fn about(&self, ends: &Ends) -> String {
        match self.deed {
            PacketDeed::Drop(share) if share.get() < 1.0 => {
                format!("drops {} of the packets {ends}", human::ratio(share.get()))
            }
            PacketDeed::Drop(_) => format!("drops every packet {ends}"),
            PacketDeed::Limit(rate) => {
                let cables: Vec<String> = self.paths.iter().map(PacketPath::cable).collect();
                format!("lets {} go at {}/s", cables.join(" and "), human::bytes(rate))
            }
        }
    }

    /// Whether two of them can't hold at once: a packet is dropped only once, and a cable has one limit.
    pub fn excludes(&self, other: &PacketSpec) -> bool {
        let is_drop = |spec: &PacketSpec| matches!(spec.deed, PacketDeed::Drop(_));
        let meet = |one: &PacketPath, another: &PacketPath| {
            let same_way = one.directions.iter().any(|way| another.directions.contains(way));
            let same_caller = !is_drop(self) || one.caller == another.caller;
            same_way && same_caller && one.callee == another.callee
        };
        let all = |one: &PacketPath| other.paths.iter().any(|another| meet(one, another));
        is_drop(self) == is_drop(other) && self.paths.iter().any(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(deed: PacketDeed, caller: &str, directions: &[Direction]) -> PacketSpec {
        PacketSpec {
            deed,
            paths: vec![PacketPath {
                caller: caller.to_owned(),
                callee: "ids".to_owned(),
                directions: directions.to_vec(),
            }],
        }
    }

    #[test]
    fn a_packet_is_dropped_once_and_a_cable_has_one_limit() {
        let (all, some) = (
            PacketDeed::Drop(Ratio::new(1.0)),
            PacketDeed::Drop(Ratio::new(0.1)),
        );
        let slow = PacketDeed::Limit(1000);
        let [up, down] = [[Direction::Upstream], [Direction::Downstream]];
        let both = Direction::BOTH;
        for (one, other, expected) in [
            (spec(all, "a", &both), spec(some, "a", &up), true),
            (spec(all, "a", &up), spec(some, "a", &down), false),
            (spec(all, "a", &both), spec(all, "b", &both), false),
            (spec(slow, "a", &both), spec(slow, "b", &down), true),
            (spec(slow, "a", &up), spec(slow, "b", &down), false),
            (spec(all, "a", &both), spec(slow, "a", &both), false),
        ] {
            assert_eq!(one.excludes(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.excludes(&one), expected, "{other:?} {one:?}");
        }
    }
}
