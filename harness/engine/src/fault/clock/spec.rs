//! The clock fault as a plan holds it.

use std::path::Path;
use std::sync::Arc;

use squall_model::units::{SignedDuration, duration_text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fault::{ClockFault, ClockParams};
use super::law::ClockChange;
use super::page::ClockPage;
use super::preload::{install, loadable, page_path};
use super::reach::reachable;
use crate::fault::{Fault, FaultError, FaultSpec, SpawnNeeds, Target};
use crate::undo::Undo;

/// A clock fault on a service, decoded and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSpec {
    service: String,
    params: ClockParams,
}

impl ClockSpec {
    /// A fault on the service of this name. Fails where the parameters could never be injected.
    pub fn new(service: String, params: ClockParams) -> Result<Self, FaultError> {
        params.check()?;
        Ok(Self { service, params })
    }
}

impl FaultSpec for ClockSpec {
    fn about(&self) -> String {
        let Self {
            service,
            params: ClockParams { clock, change },
        } = self;
        match change {
            ClockChange::Step(by_ns) => {
                let by = SignedDuration::from_nanos(*by_ns);
                let way = if by.is_negative() { "back" } else { "forward" };
                format!(
                    "steps the {clock} clock of {service} {way} by {}",
                    duration_text(by.magnitude())
                )
            }
            ClockChange::JumpTo(to_ns) => {
                format!("sets the {clock} clock of {service} to {}", date_text(*to_ns))
            }
            ClockChange::Freeze => format!("stops the {clock} clock of {service}"),
            ClockChange::Drift { ppb } => {
                format!(
                    "lets the {clock} clock of {service} drift by {} ppm",
                    *ppb as f64 / 1e3
                )
            }
        }
    }

    fn target(&self) -> Option<&str> {
        Some(&self.service)
    }

    fn available(&self, program: &Path, reports: &Path) -> Result<(), String> {
        reachable(program).map_err(|why| why.to_string())?;
        loadable(reports).map_err(|why| why.to_string())?;
        Ok(())
    }

    fn needs(&self, folder: &Path) -> Result<SpawnNeeds, FaultError> {
        Ok(install(folder, &self.service)?.needs())
    }

    fn arm(&self, folder: &Path, target: Option<&Target>) -> Result<Box<dyn Fault>, FaultError> {
        let page = Arc::new(ClockPage::open(&page_path(folder, &self.service))?);
        let fault = ClockFault::new(self.params, page)?;
        Ok(match target {
            Some(target) => Box::new(fault.for_target(target.process.clone())),
            None => Box::new(fault),
        })
    }

    fn undo(&self, folder: &Path) -> Option<Undo> {
        Some(Undo::ResetClockPage {
            path: page_path(folder, &self.service),
        })
    }
}

fn date_text(unix_ns: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns)).ok();
    date.and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix_ns} ns after 1970"))
}

#[cfg(test)]
mod tests {
    use super::super::ClockFamily;
    use super::*;
    use crate::fault::Receipt;

    fn spec(change: ClockChange) -> ClockSpec {
        ClockSpec::new(
            "ids".to_owned(),
            ClockParams {
                clock: ClockFamily::Realtime,
                change,
            },
        )
        .unwrap()
    }

    #[test]
    fn a_plan_reads_as_a_person_would_say_it() {
        let about = |change| spec(change).about();
        assert_eq!(
            about(ClockChange::Step(-50_000_000)),
            "steps the realtime clock of ids back by 50ms"
        );
        assert_eq!(
            about(ClockChange::Step(3_600_000_000_000)),
            "steps the realtime clock of ids forward by 1h"
        );
        assert_eq!(
            about(ClockChange::JumpTo(0)),
            "sets the realtime clock of ids to 1970-01-01T00:00:00Z"
        );
        assert_eq!(about(ClockChange::Freeze), "stops the realtime clock of ids");
        assert_eq!(
            about(ClockChange::Drift { ppb: -500 }),
            "lets the realtime clock of ids drift by -0.5 ppm"
        );
    }

    #[test]
    fn faults_of_one_service_need_the_same_page() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (spec(ClockChange::Step(-5)), spec(ClockChange::Freeze));
        let mut needs = first.needs(folder.path()).unwrap();
        needs.merge(second.needs(folder.path()).unwrap()).unwrap();
        assert_eq!((needs.preload.len(), needs.env.len()), (1, 1));
        let mut fault = first.arm(folder.path(), None).unwrap();
        fault.inject().unwrap();
        let page = ClockPage::open(&page_path(folder.path(), "ids")).unwrap();
        assert_eq!(page.epoch(), 2);
        assert_eq!(fault.prove(), Receipt::Pending);
        assert_eq!(first.undo(folder.path()), second.undo(folder.path()));
    }

    #[test]
    fn what_could_never_be_injected_is_refused_when_planned() {
        let params = ClockParams {
            clock: ClockFamily::Monotonic,
            change: ClockChange::JumpTo(0),
        };
        assert!(ClockSpec::new("ids".to_owned(), params).is_err());
        let params = ClockParams {
            change: ClockChange::Drift { ppb: -1_000_000_000 },
            ..params
        };
        assert!(ClockSpec::new("ids".to_owned(), params).is_err());
    }
}
