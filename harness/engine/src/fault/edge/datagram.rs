//! What the faults of datagrams share: each is done to a share of the datagrams of an edge, one by one.

use std::sync::Arc;
use std::time::Duration;

use squall_edge::{DatagramDirectionSeen, DatagramFaults, DatagramProxy, DatagramSeen, Direction, Latency};
use squall_model::units::{Ratio, human};

use super::{At, Carries, Crossing, Deed, EdgeFault, Ends, Misfit, Post as _, counted, in_directions};
use crate::fault::{CROSSES_WITHIN, Fault, FaultError, FaultSpec, PacketDeed};

/// That a fault is over shows in as many datagrams that it left alone as it would leave alone with this probability if it went on.
const CHANCE: f64 = 0.01;

/// No more than so many datagrams are waited for.
const ALONE_MAX: u64 = 100;

/// What is done to a datagram; a share is that of the datagrams to which it is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Treatment {
    Loss(f64),
    Duplicate(f64),
    Reorder(f64),
    Corrupt(f64),
    Delay(Latency),
}

impl Treatment {
    fn share(self) -> f64 {
        match self {
            Treatment::Loss(share)
            | Treatment::Duplicate(share)
            | Treatment::Reorder(share)
            | Treatment::Corrupt(share) => share,
            Treatment::Delay(_) => 1.0,
        }
    }

    /// "loses 10% of the datagrams"
    fn about(self) -> String {
        let verb = match self {
            Treatment::Loss(_) => "loses",
            Treatment::Duplicate(_) => "doubles",
            Treatment::Reorder(_) => "puts behind the next",
            Treatment::Corrupt(_) => "flips a bit of",
            Treatment::Delay(_) => "delays",
        };
        format!("{verb} {} of the datagrams", human::ratio(self.share()))
    }

    /// What has become of those that met it.
    fn done(self) -> &'static str {
        match self {
            Treatment::Loss(_) => "lost",
            Treatment::Duplicate(_) => "sent twice",
            Treatment::Reorder(_) => "put behind the next",
            Treatment::Corrupt(_) => "corrupted",
            Treatment::Delay(_) => "delayed",
        }
    }

    fn apply(self, faults: &mut DatagramFaults) {
        match self {
            Treatment::Loss(share) => faults.loss = share,
            Treatment::Duplicate(share) => faults.duplicate = share,
            Treatment::Reorder(share) => faults.reorder = share,
            Treatment::Corrupt(share) => faults.corrupt = share,
            Treatment::Delay(delay) => faults.delay = Some(delay),
        }
    }

    fn lift(self, faults: &mut DatagramFaults) {
        match self {
            Treatment::Loss(_) => faults.loss = 0.0,
            Treatment::Duplicate(_) => faults.duplicate = 0.0,
            Treatment::Reorder(_) => faults.reorder = 0.0,
            Treatment::Corrupt(_) => faults.corrupt = 0.0,
            Treatment::Delay(_) => faults.delay = None,
        }
    }

    /// Datagrams of one direction that met it.
    fn count(self, seen: &DatagramDirectionSeen) -> u64 {
        let amount = match self {
            Treatment::Loss(_) => seen.lost,
            Treatment::Duplicate(_) => seen.duplicated,
            Treatment::Reorder(_) => seen.reordered,
            Treatment::Corrupt(_) => seen.corrupted,
            Treatment::Delay(_) => seen.delayed,
        };
        amount.chunks
    }

    /// How many datagrams it must leave alone to show that it is over.
    fn left_alone(self) -> u64 {
        let needed = (CHANCE.ln() / (-self.share()).ln_1p()).ceil();
        // A share of all needs one, for which the logarithm is infinite.
        (needed as u64).clamp(1, ALONE_MAX)
    }
}

impl Deed<DatagramProxy> for Treatment {
    fn begin(&self, at: &At<DatagramProxy>) -> Result<(), FaultError> {
        change(at, |faults| self.apply(faults))
    }

    fn end(&self, at: &At<DatagramProxy>) -> Result<(), FaultError> {
        change(at, |faults| self.lift(faults))
    }

    fn met(&self, at: &At<DatagramProxy>, before: &DatagramSeen, now: &DatagramSeen) -> Option<String> {
        let met = since(at, before, now, |seen| self.count(seen));
        let came = since(at, before, now, |seen| seen.entered.chunks);
        (met > 0).then(|| format!("{met} of {} {}", counted(came, "datagram"), self.done()))
    }

    /// One is enough when so few come that more would take too long.
    fn over(
        &self,
        at: &At<DatagramProxy>,
        after: &DatagramSeen,
        now: &DatagramSeen,
        ended_for: Duration,
    ) -> Option<String> {
        if DatagramProxy::used_by(after) == 0 && DatagramProxy::used_by(now) == 0 {
            return Some("was not used".to_owned());
        }
        // Whatever came between the look and the end may have met it: counted is from the last that did.
        let met = since(at, after, now, |seen| self.count(seen));
        let crossed = since(at, after, now, |seen| seen.forwarded.chunks);
        let needed = if ended_for < CROSSES_WITHIN / 2 {
            self.left_alone()
        } else {
            1
        };
        (crossed >= needed + met).then(|| {
            let crossed = counted(crossed - met, "datagram");
            format!("{crossed} crossed, none of them {}", self.done())
        })
    }
}

fn change(at: &At<DatagramProxy>, by: impl Fn(&mut DatagramFaults)) -> Result<(), FaultError> {
    for way in &at.directions {
        let mut faults = at.proxy.faults(*way);
        by(&mut faults);
        at.proxy.set_faults(*way, faults).map_err(FaultError::Edge)?;
    }
    Ok(())
}

/// By how much a count has grown, in the directions that the fault is for.
pub(super) fn since(
    at: &At<DatagramProxy>,
    before: &DatagramSeen,
    now: &DatagramSeen,
    count: impl Fn(&DatagramDirectionSeen) -> u64,
) -> u64 {
    let grown = |way: Direction| {
        let at = way.index();
        count(&now.directions[at]).saturating_sub(count(&before.directions[at]))
    };
    in_directions(&at.directions, grown)
}

/// A fault of datagrams as planned.
#[derive(Debug)]
pub(super) struct DatagramFault {
    pub(super) ends: Ends,
    pub(super) treatment: Treatment,
    /// What there is for streams in its place.
    pub(super) of_streams: &'static str,
}

impl DatagramFault {
    pub(super) fn spec(self) -> Arc<dyn FaultSpec> {
        Arc::new(self)
    }
}

impl FaultSpec for DatagramFault {
    fn about(&self) -> String {
        format!("{} {}", self.treatment.about(), self.ends)
    }

    fn ends(&self) -> Option<&Ends> {
        Some(&self.ends)
    }

    /// Losing is all that the kernel does to packets.
    fn on_packets(&self) -> Option<PacketDeed> {
        match self.treatment {
            Treatment::Loss(share) => Some(PacketDeed::Drop(Ratio::new(share))),
            _ => None,
        }
    }

    fn fits(&self, carries: Carries) -> Result<(), Misfit> {
        match carries {
            Carries::Datagrams => Ok(()),
            Carries::Streams => Err(Misfit {
                problem: "this fault is one of datagrams, such as a load with `udp` sends".to_owned(),
                help: self.of_streams.to_owned(),
            }),
        }
    }

    fn arm_edges(&self, _name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        EdgeFault::on(crossings, |crossing| crossing.datagrams(self.treatment))
    }
}

/// Declares a fault that is done to a share of the datagrams of an edge.
macro_rules! of_datagrams {
    (
        $(#[doc = $doc:literal])*
        $written:ident, $name:literal, $about:literal, $treatment:ident, $ways:expr, $of_streams:literal
    ) => {
        use std::sync::Arc;

        use squall_model::decode::{Decode as _, Schema};
        use squall_model::diagnostic::Diagnostics;
        use squall_model::scenario;
        use squall_model::span::Spanned;
        use squall_model::units::Ratio;

        use super::datagram::{DatagramFault, Treatment};
        use super::ends::{ends_of, on_an_edge, share};
        use crate::fault::{FaultKind, FaultSpec};

        pub(in crate::fault) const KIND: FaultKind = FaultKind {
            name: $name,
            about: $about,
            decode,
            schema,
            ways: $ways,
        };

        on_an_edge! {
            $(#[doc = $doc])*
            pub struct $written {
                /// The share of datagrams to which it is done.
                pub share: Spanned<Ratio>,
            }
            exactly_one ["between", "from"];
        }

        fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
            let written: $written = fault.decode_params(diagnostics)?;
            let planned = DatagramFault {
                ends: ends_of!(written, fault).ends(diagnostics)?,
                treatment: Treatment::$treatment(share(Some(&written.share), diagnostics)?),
                of_streams: $of_streams,
            };
            Some(planned.spec())
        }

        fn schema() -> Schema {
            $written::schema()
        }
    };
}
pub(super) use of_datagrams;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarer_a_fault_the_more_it_must_leave_alone_to_be_over() {
        let alone = |share| Treatment::Loss(share).left_alone();
        assert_eq!([1.0, 0.9, 0.5, 0.1, 0.001].map(alone), [1, 2, 7, 44, 100]);
    }
}
