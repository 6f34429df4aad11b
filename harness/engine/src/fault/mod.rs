//! Faults: what may be done to a service, one module each, and the small trait they all fulfil.
//!
//! A fault here only acts and gives evidence. It never decides when to: the supervisor calls [`Fault::prepare`] and
//! [`Fault::inject`], polls [`Fault::prove`] until the receipt is there or its deadline is over, and later does the same with
//! [`Fault::heal`] and [`Fault::prove_healed`]; for a fault that comes again, all of it once more. No method may wait for its
//! target.

pub mod clock;
pub mod edge;
mod ending;
pub mod kill;
pub mod packet;
pub mod pause;
pub mod restart;
mod target;
mod way;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use std::sync::Arc;
use std::time::{Duration, Instant};

use clock::{ClockError, LawError};
use squall_model::decode::Schema;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{self, Network};

pub use edge::{Carries, Crossing, Ends, Led, Misfit};
pub use packet::{PacketDeed, PacketFault, PacketPath, PacketSpec};
pub use target::{Target, TargetProcess};
pub use way::{Here, Lack, SIGNALS, Way};

use crate::network::NetworkError;
use crate::undo::Undo;

/// How long after healing something may take to cross an edge again: callers that lost their connections come back in their own time.
const CROSSES_WITHIN: Duration = Duration::from_secs(10);

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Every kind of fault that a scenario may name. A new fault is a module and a line here.
pub static FAULTS: &[FaultKind] = &[
    clock::KIND,
    pause::KIND,
    kill::KIND,
    restart::KIND,
    edge::partition::KIND,
    edge::latency::KIND,
    edge::bandwidth::KIND,
    edge::slicer::KIND,
    edge::limit_data::KIND,
    edge::slow_close::KIND,
    edge::timeout::KIND,
    edge::reset_peer::KIND,
    edge::down::KIND,
    edge::http::KIND,
    edge::loss::KIND,
    edge::duplicate::KIND,
    edge::reorder::KIND,
    edge::corrupt::KIND,
];

/// A kind of fault as `squall list` and `squall faults` show it.
#[derive(Debug, Clone, Copy)]
pub struct FaultKind {
    /// The key in a scenario's `faults`.
    pub name: &'static str,
    /// One line that says what it does to its target.
    pub about: &'static str,
    /// Reads its parameters, beyond those that every fault has (`after`, `for`, `through`, `as`).
    pub decode: fn(&scenario::Fault, &mut Diagnostics) -> Option<Arc<dyn FaultSpec>>,
    /// The schema of its parameters.
    pub schema: fn() -> Schema,
    /// The ways in which it works; at least one.
    pub ways: &'static [Way],
}

/// A fault as planned: its parameters, decoded and checked.
pub trait FaultSpec: Send + Sync + std::fmt::Debug {
    /// What it does, in words.
    fn about(&self) -> String;

    /// The service it hits, where it hits one.
    fn target(&self) -> Option<&str> {
        None
    }

    /// The services it hits: the first time it comes the first of them, then the next, and after the last the first again.
    fn targets(&self) -> Vec<&str> {
        self.target().into_iter().collect()
    }

    /// How long it holds where the scenario doesn't say so with `for`; nothing where that is to the end of its phase.
    fn holds(&self) -> Option<Duration> {
        None
    }

    /// What of its target it acts on, where faults of other kinds that act on the same must not hold at once.
    fn acts_on(&self) -> Option<Part> {
        None
    }

    /// Whether `program`, which its target runs, can be reached by it from a run's folder below `reports`, which exists;
    /// if not, why, and what would make it work.
    fn available(&self, program: &Path, reports: &Path) -> Result<(), String> {
        let _ = (program, reports);
        Ok(())
    }

    /// Sets up in the run's folder what its target must be started with.
    fn needs(&self, folder: &Path) -> Result<SpawnNeeds, FaultError> {
        let _ = folder;
        Ok(SpawnNeeds::default())
    }

    /// The fault, ready to be injected into `target`, which is up. `folder` is the one that [`FaultSpec::needs`] had. Asked
    /// once for each of [`FaultSpec::targets`].
    fn arm(&self, folder: &Path, target: Option<&Target>) -> Result<Box<dyn Fault>, FaultError> {
        let _ = (folder, target);
        Err(FaultError::Parameters("it hits no service".to_owned()))
    }

    /// The ends of the edges that it hits, where it hits edges.
    fn ends(&self) -> Option<&Ends> {
        None
    }

    /// Whether it can be done to what an edge carries. Asked of those that hit edges.
    fn fits(&self, carries: Carries) -> Result<(), Misfit> {
        match carries {
            Carries::Streams => Ok(()),
            Carries::Datagrams => Err(Misfit::of_streams()),
        }
    }

    /// Whether a Toxiproxy server can do it. Asked of those that hit edges.
    fn by_toxiproxy(&self) -> Result<(), Misfit> {
        Err(Misfit {
            problem: "it has no such fault".to_owned(),
            help: "leave `toxiproxy` out: squall's own proxies have this fault".to_owned(),
        })
    }

    /// Whether its edges must be read as HTTP/1.1.
    fn reads_http(&self) -> bool {
        false
    }

    /// What it does to the packets of its edges where the network is isolated; nothing where a proxy does it there too.
    fn on_packets(&self) -> Option<PacketDeed> {
        None
    }

    /// Why it can't be had in such a network with its parameters, and what to write instead; nothing where it can.
    fn refused_in(&self, network: Network) -> Option<Diagnostic> {
        let _ = network;
        None
    }

    /// In place of [`FaultSpec::arm`] for one that hits edges, whose proxies are up. `name` is the fault's own.
    fn arm_edges(&self, name: &str, crossings: Vec<Crossing>) -> Result<Box<dyn Fault>, FaultError> {
        let _ = crossings;
        Err(FaultError::Parameters(format!("{name} hits no edge")))
    }

    /// What reverses it from another process; nothing where it ends with its target, or where only [`Fault::prepare`] knows.
    fn undo(&self, folder: &Path) -> Option<Undo> {
        let _ = folder;
        None
    }
}

/// What of a service, or of an edge, a fault acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Whether its processes run.
    Processes,
    /// Of an edge: whether its connections go through.
    Edge,
}

/// One fault on one target. Synchronous, and quick: a method does its step and returns.
pub trait Fault: Send {
    /// Looks, shortly before it is injected, at what it will change; what reverses that from another process, beside
    /// [`FaultSpec::undo`]. Changes nothing.
    fn prepare(&mut self) -> Result<Vec<Undo>, FaultError> {
        Ok(Vec::new())
    }

    /// Starts the fault. The supervisor has pushed its undo before.
    fn inject(&mut self) -> Result<(), FaultError>;

    /// Whether the target felt it. Asked again and again until the answer is not [`Receipt::Pending`].
    fn prove(&mut self) -> Receipt;

    /// Whether it tells by [`Fault::onset`] when it took hold, so that it is given some time for that.
    fn tells_onset(&self) -> bool {
        false
    }

    /// The moment since which its target is held, once it is; what it is to hold is counted from there. Nothing where that is
    /// the injection itself.
    fn onset(&self) -> Option<Instant> {
        None
    }

    /// What is lacking where [`Fault::prove`] found nothing until the fault was healed.
    fn lacking(&self) -> String {
        "nothing shows that the target felt it".to_owned()
    }

    /// Looks, just before a proven fault is healed, whether it held all the time. The error says what ended it early.
    fn still_holds(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Ends the fault.
    fn heal(&mut self) -> Result<(), FaultError>;

    /// Whether the target felt that it is over. Asked like [`Fault::prove`].
    fn prove_healed(&mut self) -> Receipt;

    /// How long after it was healed [`Fault::prove_healed`] may take.
    fn over_within(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// How long it held its target the last time, as measured, where it measures that. Asked after [`Fault::prove_healed`].
    fn held(&self) -> Option<Duration> {
        None
    }

    /// The target's process has ended because that was asked for, and another will take its place: what is seen from now on is
    /// seen of that.
    fn target_gone(&mut self) {}

    /// Carries the fault over to the process that took the target's place after a restart. What was proven before
    /// says nothing about the new process: [`Fault::prove`] starts anew.
    fn rearm(&mut self, target: &TargetProcess) -> Result<(), FaultError>;
}

/// Evidence, gathered outside the code that injected a fault, that its target felt it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing was seen yet.
    Pending,
    /// The target felt it.
    Proven {
        /// What was seen, as a sentence with its figures.
        evidence: String,
    },
    /// What was seen contradicts the fault; waiting longer won't help.
    Failed {
        /// What was expected and what was seen.
        reason: String,
    },
}

/// Why a fault could not be injected or healed.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The clock's page failed.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The clock can't be set so.
    #[error(transparent)]
    Law(#[from] LawError),
    /// A proxy refused.
    #[error(transparent)]
    Edge(squall_edge::EdgeError),
    /// The isolated network refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A Toxiproxy server refused.
    #[error(transparent)]
    Toxiproxy(#[from] crate::toxiproxy::ToxiproxyError),
    /// The fault's parameters contradict each other.
    #[error("{0}")]
    Parameters(String),
    /// The system refused something about a service's processes.
    #[error("{doing} of {service}: {source}")]
    Processes {
        /// What was being done: `finding the processes`.
        doing: &'static str,
        /// The service.
        service: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The service is not there to be hit.
    #[error("{service} {state}")]
    NotUp {
        /// The service.
        service: String,
        /// How it stands instead.
        state: String,
    },
}

/// What must be set up before a service starts so that faults can reach it later; merged over all of its faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpawnNeeds {
    /// Libraries to preload, in order. Absolute paths without the loader's separators.
    pub preload: Vec<PathBuf>,
    /// Variables to set, beside the service's own.
    pub env: BTreeMap<String, OsString>,
}

/// Two faults need different values of one variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two faults on one service set {name} differently: {first:?} and {second:?}")]
pub struct NeedsConflict {
    /// The variable.
    pub name: String,
    /// What one fault needs.
    pub first: OsString,
    /// What the other needs.
    pub second: OsString,
}

impl SpawnNeeds {
    /// Adds what another fault on the same service needs. Needing the same twice is one need.
    pub fn merge(&mut self, other: SpawnNeeds) -> Result<(), NeedsConflict> {
        for library in other.preload {
            if !self.preload.contains(&library) {
                self.preload.push(library);
            }
        }
        for (name, value) in other.env {
            match self.env.get(&name) {
                Some(first) if *first != value => {
                    return Err(NeedsConflict {
                        name,
                        first: first.clone(),
                        second: value,
                    });
                }
                _ => {
                    self.env.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// The variables to set for the service. `preloaded` is the `LD_PRELOAD` it would have otherwise; ours go before
    /// it, so that they are asked first.
    pub fn environment(&self, preloaded: Option<&OsStr>) -> Vec<(OsString, OsString)> {
        let mut all: Vec<_> = self
            .env
            .iter()
            .map(|(name, value)| (OsString::from(name), value.clone()))
            .collect();
        if !self.preload.is_empty() {
            let ours = self.preload.iter().map(|path| path.as_os_str());
            let theirs = preloaded.filter(|list| !list.is_empty());
            let list: Vec<&OsStr> = ours.chain(theirs).collect();
            all.push((OsString::from("LD_PRELOAD"), list.join(OsStr::new(":"))));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(library: &str, name: &str, value: &str) -> SpawnNeeds {
        SpawnNeeds {
            preload: vec![PathBuf::from(library)],
            env: BTreeMap::from([(name.to_owned(), OsString::from(value))]),
        }
    }

    fn preload(needs: &SpawnNeeds, before: Option<&str>) -> Option<OsString> {
        let all = needs.environment(before.map(OsStr::new));
        all.into_iter()
            .find(|(name, _)| name == "LD_PRELOAD")
            .map(|(_, value)| value)
    }

    #[test]
    fn needing_the_same_twice_is_one_need() {
        let mut all = needs("/a.so", "PAGE", "/p");
        all.merge(needs("/a.so", "PAGE", "/p")).unwrap();
        all.merge(needs("/b.so", "OTHER", "1")).unwrap();
        assert_eq!(preload(&all, None).unwrap(), "/a.so:/b.so");
        assert_eq!(all.env.len(), 2);
    }

    #[test]
    fn different_values_for_one_variable_are_refused() {
        let mut all = needs("/a.so", "PAGE", "/p");
        let conflict = all.merge(needs("/a.so", "PAGE", "/q")).unwrap_err();
        assert!(
            conflict.to_string().contains("set PAGE differently"),
            "{conflict}"
        );
    }

    #[test]
    fn what_was_preloaded_before_stays_and_comes_after() {
        let ours = needs("/a.so", "PAGE", "/p");
        assert_eq!(
            preload(&ours, Some("/usr/lib/jemalloc.so")).unwrap(),
            "/a.so:/usr/lib/jemalloc.so"
        );
        assert_eq!(preload(&ours, Some("")).unwrap(), "/a.so");
        assert_eq!(
            preload(&SpawnNeeds::default(), Some("/usr/lib/jemalloc.so")),
            None
        );
    }

    #[test]
    fn kinds_have_names_of_their_own_and_say_what_they_do() {
        let mut names: Vec<_> = FAULTS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
        assert!(
            FAULTS
                .iter()
                .all(|kind| !kind.about.is_empty() && !kind.about.contains('\n'))
        );
        assert!(FAULTS.iter().all(|kind| !kind.ways.is_empty()));
    }
}
