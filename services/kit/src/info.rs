//! The description a service exports: everything that a program which starts, loads and judges it has to know.
//!
//! Plain data and one function, so that a catalogue of services is a list.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::setting::{Setting, Settings};
use crate::telemetry::Telemetry;

/// A reference service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The name in scenarios, on the command line and in reports.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What may be set when it starts.
    pub settings: &'static [Setting],
    /// The services it calls.
    pub roles: &'static [Role],
    /// What it calls under names of its user's choosing, where it does: then any role may be given.
    pub other_roles: Option<&'static str>,
    /// What it promises under any fault.
    pub invariants: &'static [InvariantInfo],
    /// What it can be seen to have done.
    pub milestones: &'static [Milestone],
    /// Runs it in this thread until it is told to stop.
    pub run: fn(Launch) -> Result<(), ServiceError>,
}

impl ServiceInfo {
    /// The milestones whose metric is no counter that `telemetry` exports at 0, as that of a service which has just started: none, or
    /// nobody could ever see them reached.
    pub fn unseen_milestones(&self, telemetry: &Telemetry) -> Vec<&'static str> {
        let exported = telemetry.encode().unwrap_or_default();
        let is_seen = |milestone: &&Milestone| exported.contains(&format!("\n{} 0\n", milestone.metric));
        let unseen = self.milestones.iter().filter(|milestone| !is_seen(milestone));
        unseen.map(|milestone| milestone.name).collect()
    }
}

/// A part another service plays for this one.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The name in `--peer NAME=ADDRESS`.
    pub name: &'static str,
    /// What it is called for.
    pub about: &'static str,
    /// Whether the service refuses to start without it.
    pub required: bool,
}

/// A promise that can be checked from outside.
#[derive(Debug, Clone, Copy)]
pub struct InvariantInfo {
    /// The name within the service.
    pub name: &'static str,
    /// The promise, in a line.
    pub about: &'static str,
    /// What is looked at, and how it must be.
    pub promise: Promise,
}

/// What a promise is about.
#[derive(Debug, Clone, Copy)]
pub enum Promise {
    /// Values in responses.
    Values {
        /// The checker that judges them: `unique`, `monotonic`, `nondecreasing` or `agree`.
        kind: &'static str,
        /// Where they are found.
        sources: &'static [ResponseValues],
    },
    /// Changes of state that the service tells: those that may be, each as `FROM -> TO`.
    Transitions(&'static [&'static str]),
}

/// Values within the JSON body of a successful response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseValues {
    /// The path that was requested, without its query.
    pub path: &'static str,
    /// The JSON pointer (RFC 6901) to the value in the body.
    pub pointer: &'static str,
    /// Whether the pointer leads to an array whose elements are the values, in order.
    pub each: bool,
}

/// Something a service can be seen to have done, so that a test can require that the machinery it aims at engaged.
#[derive(Debug, Clone, Copy)]
pub struct Milestone {
    /// The name within the service.
    pub name: &'static str,
    /// What has happened once it is reached, in a line.
    pub about: &'static str,
    /// The counter in `/metrics` that is above zero from then on, until the process ends.
    pub metric: &'static str,
}

/// How one instance is to run.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Where it serves; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where it answers its operator; port 0 takes any free one.
    pub admin: SocketAddr,
    /// Its own folder, kept across restarts. Made if it is missing.
    pub data: PathBuf,
    /// The `host:port` of each role.
    pub peers: BTreeMap<String, String>,
    /// Its settings, valid for the service.
    pub settings: Settings,
}

/// Why a service could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A listener could not be opened.
    #[error("cannot listen on {address} for {purpose}: {source}; free the port or give another address")]
    Listen {
        /// What the listener is for.
        purpose: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime, its threads or its signal handlers could not be made.
    #[error("cannot start the {part} of the service: {source}")]
    Start {
        /// What could not be made.
        part: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody could be told that the service is ready.
    #[error("cannot print the ready line: {0}; keep standard output open until the service is ready")]
    Ready(#[source] io::Error),
    /// The service's own part failed.
    #[error(transparent)]
    Service(Box<dyn std::error::Error + Send + Sync>),
}

impl ServiceError {
    /// Wraps the error of the service's own part.
    pub fn service(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Service(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::{Milestone, ServiceInfo, Telemetry};

    #[test]
    fn a_milestone_whose_metric_nobody_exports_is_named() {
        const fn milestone(name: &'static str, metric: &'static str) -> Milestone {
            Milestone {
                name,
                about: "",
                metric,
            }
        }
        static MILESTONES: [Milestone; 2] = [
            milestone("done", "x_done_total"),
            milestone("lost", "x_lost_total"),
        ];
        let service = ServiceInfo {
            name: "x",
            about: "",
            settings: &[],
            roles: &[],
            other_roles: None,
            invariants: &[],
            milestones: &MILESTONES,
            run: |_| Ok(()),
        };
        let mut telemetry = Telemetry::new();
        let _done = telemetry.counter("x_done", "Done");
        assert_eq!(service.unseen_milestones(&telemetry), ["lost"]);
    }
}
