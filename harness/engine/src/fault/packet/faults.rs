//! Doing it, and the kernel's evidence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_edge::Direction as Way;

use super::{PacketDeed, PacketPath, PacketSpec};
use crate::fault::{CROSSES_WITHIN, Fault, FaultError, Receipt, TargetProcess, milliseconds};
use crate::network::{Direction, DropRule, Network, NetworkError, Watch};

/// The longest that TCP waits between two attempts (tcp(7)).
const BACKOFF_MAX: Duration = Duration::from_mins(2);

/// One fault on the packets of one or more edges.
pub struct PacketFault {
    network: Arc<Network>,
    deed: PacketDeed,
    edges: Vec<Edge>,
    began: Option<Instant>,
    ended: Option<Instant>,
}

/// The packets of an edge and what becomes of them.
struct Edge {
    path: PacketPath,
    ways: Vec<Counted>,
}

/// The packets of one direction of an edge.
struct Counted {
    /// At which side of the callee's cable they pass.
    cable: Direction,
    from: String,
    to: String,
    watch: Watch,
    /// What drops them, while it holds.
    rule: Option<DropRule>,
    /// Whether they are limited.
    is_limited: bool,
    /// How many had crossed when it began, and when it ended.
    before: u64,
    after: u64,
    /// Of those that met it, how many were dropped or had to wait, as far as is known since it ended.
    met: u64,
}

/// What became of the packets of an edge since the fault began.
#[derive(Default)]
struct Met {
    packets: u64,
    dropped: u64,
    waited: u64,
}

impl PacketFault {
    /// A fault that waits. From now on the packets that it is for are counted.
    pub fn new(spec: &PacketSpec, network: &Arc<Network>) -> Result<PacketFault, FaultError> {
        let edge = |path: &PacketPath| -> Result<Edge, NetworkError> {
            let ways = path.ways().map(|(way, from, to)| {
                Ok(Counted {
                    cable: match way {
                        Way::Upstream => Direction::In,
                        Way::Downstream => Direction::Out,
                    },
                    from: from.to_owned(),
                    to: to.to_owned(),
                    watch: network.watch(from, to)?,
                    rule: None,
                    is_limited: false,
                    before: 0,
                    after: 0,
                    met: 0,
                })
            });
            Ok(Edge {
                path: path.clone(),
                ways: ways.collect::<Result<_, NetworkError>>()?,
            })
        };
        let edges = spec.paths.iter().map(edge);
        Ok(PacketFault {
            network: Arc::clone(network),
            deed: spec.deed,
            edges: edges.collect::<Result<_, NetworkError>>()?,
            began: None,
            ended: None,
        })
    }

    fn begin(&mut self) -> Result<(), NetworkError> {
        for edge in &mut self.edges {
            for way in &mut edge.ways {
                (way.after, way.met) = (0, 0);
                way.before = self.network.seen(way.watch)?.packets;
                match self.deed {
                    PacketDeed::Drop(share) => {
                        way.rule = Some(Network::drop(&self.network, &way.from, &way.to, share)?);
                    }
                    PacketDeed::Limit(rate) => {
                        self.network.limit(&edge.path.callee, way.cable, rate)?;
                        way.is_limited = true;
                    }
                }
            }
        }
        Ok(())
    }

    /// What has become of an edge's packets since it began.
    fn met(&self, edge: &Edge) -> Result<Met, NetworkError> {
        let mut met = Met::default();
        for way in &edge.ways {
            if let Some(rule) = way.rule {
                met.dropped += self.network.dropped(rule)?.packets;
            }
            if way.is_limited
                && let Some(queue) = self.network.limited(&edge.path.callee, way.cable)?
            {
                met.dropped += u64::from(queue.dropped);
                met.waited += u64::from(queue.waited);
            }
            // Afterwards, so that none was dropped that is not among them.
            met.packets += self.network.seen(way.watch)?.packets - way.before;
        }
        Ok(met)
    }

    /// Every edge must have met it.
    fn evidence(&self, began: Instant) -> Result<Option<String>, NetworkError> {
        let mut told = Vec::new();
        for edge in &self.edges {
            let met = self.met(edge)?;
            if met.packets == 0 || met.dropped + met.waited == 0 {
                return Ok(None);
            }
            let before: u64 = edge.ways.iter().map(|way| way.before).sum();
            let before = match before {
                0 => "no packet had crossed before".to_owned(),
                before => format!("{} had crossed", packets(before)),
            };
            let then = match self.deed {
                PacketDeed::Drop(_) => format!("{} of {} were dropped", met.dropped, met.packets),
                PacketDeed::Limit(_) => format!(
                    "{} met a queue in which they waited {} times for their turn, and {} were dropped",
                    met.packets, met.waited, met.dropped
                ),
            };
            told.push(format!("{}: {before}, then {then}", edge.path.name()));
        }
        Ok(Some(format!(
            "{}, within {}",
            told.join("; "),
            milliseconds(began.elapsed())
        )))
    }

    /// Why an edge did not meet it, and what would make it; nothing where it did.
    fn unmet(&self, path: &PacketPath, before: u64, met: &Met) -> Option<String> {
        let PacketPath { caller, callee, .. } = path;
        if before + met.packets == 0 {
            return Some(format!(
                "no packet crossed: {caller}, which would have to call {callee} while it holds, never used its edge to {callee}"
            ));
        }
        if met.packets == 0 {
            return Some(format!("no packet of {caller} and {callee} came while it held"));
        }
        let of = format!("of {caller} and {callee}");
        (met.dropped + met.waited == 0).then(|| match self.deed {
            PacketDeed::Drop(_) => format!(
                "{} {of} came and none was dropped, too few for such a share,",
                packets(met.packets)
            ),
            PacketDeed::Limit(_) => format!(
                "{} {of} came and none had to wait, since they need less than this limit,",
                packets(met.packets)
            ),
        })
    }

    /// Takes back all that can be, also where a part of it can't.
    fn end(&mut self) -> Result<(), NetworkError> {
        let mut failed = None;
        for edge in &mut self.edges {
            let callee = &edge.path.callee;
            for way in &mut edge.ways {
                let ended = way.end(&self.network, callee);
                if let Err(why) = ended {
                    failed.get_or_insert(why);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Each way that was ever used must have been used again.
    fn evidence_of_end(&self, ended: Instant) -> Result<Option<String>, NetworkError> {
        let mut told = Vec::new();
        for edge in &self.edges {
            let mut again = 0;
            for way in &edge.ways {
                let since = self.network.seen(way.watch)?.packets - way.after;
                if since == 0 && way.after > 0 {
                    return Ok(None);
                }
                again += since;
            }
            let name = edge.path.name();
            told.push(match again {
                0 => format!("{name} was not used"),
                again => format!("{name}: {} crossed again", packets(again)),
            });
        }
        let met: u64 = self
            .edges
            .iter()
            .flat_map(|edge| &edge.ways)
            .map(|way| way.met)
            .sum();
        let all: u64 = self
            .edges
            .iter()
            .flat_map(|edge| &edge.ways)
            .map(|way| way.after.saturating_sub(way.before))
            .sum();
        let deed = match self.deed {
            PacketDeed::Drop(_) => format!("{met} of {all} packets were dropped in all"),
            PacketDeed::Limit(_) => format!("{} went through the queue in all", packets(all)),
        };
        Ok(Some(format!(
            "{deed}; {}, within {}",
            told.join("; "),
            milliseconds(ended.elapsed())
        )))
    }
}

impl Counted {
    fn end(&mut self, network: &Network, callee: &str) -> Result<(), NetworkError> {
        if let Some(rule) = self.rule.take() {
            self.met = network.heal(rule)?.packets;
        }
        if std::mem::take(&mut self.is_limited) {
            network.unlimit(callee, self.cable)?;
        }
        self.after = network.seen(self.watch)?.packets;
        Ok(())
    }
}

impl Fault for PacketFault {
    fn inject(&mut self) -> Result<(), FaultError> {
        (self.began, self.ended) = (Some(Instant::now()), None);
        Ok(self.begin()?)
    }

    fn prove(&mut self) -> Receipt {
        let Some(began) = self.began else {
            return Receipt::Pending;
        };
        receipt(self.evidence(began))
    }

    fn lacking(&self) -> String {
        let told = self.edges.iter().find_map(|edge| {
            let before: u64 = edge.ways.iter().map(|way| way.before).sum();
            self.unmet(&edge.path, before, &self.met(edge).ok()?)
        });
        told.unwrap_or_else(|| "nothing shows that the edge felt it".to_owned())
    }

    /// Its counters must still be there.
    fn still_holds(&mut self) -> Result<(), String> {
        let held = self.edges.iter().map(|edge| self.met(edge).map(drop));
        held.collect::<Result<(), _>>().map_err(|e| e.to_string())
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        let ended = self.end();
        self.ended = Some(Instant::now());
        Ok(ended?)
    }

    fn prove_healed(&mut self) -> Receipt {
        let Some(ended) = self.ended else {
            return Receipt::Pending;
        };
        receipt(self.evidence_of_end(ended))
    }

    fn over_within(&self) -> Duration {
        let held = self.began.map(|began| began.elapsed()).unwrap_or_default();
        // A sender of TCP that has heard nothing for so long waits about as long again before it tries once more.
        CROSSES_WITHIN + held.min(BACKOFF_MAX)
    }

    /// A service that is started again is in the place where it was, on the same address.
    fn rearm(&mut self, _: &TargetProcess) -> Result<(), FaultError> {
        Ok(())
    }
}

fn receipt(found: Result<Option<String>, NetworkError>) -> Receipt {
    match found {
        Ok(Some(evidence)) => Receipt::Proven { evidence },
        Ok(None) => Receipt::Pending,
        Err(why) => Receipt::Failed {
            reason: why.to_string(),
        },
    }
}

/// `one packet`, `3 packets`
fn packets(count: u64) -> String {
    match count {
        1 => "one packet".to_owned(),
        count => format!("{count} packets"),
    }
}
