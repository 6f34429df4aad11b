//! The clock fault as the supervisor drives it: changes a page's laws, and reads from the receipts what the target saw.
//!
//! The evidence is the target's own: it wrote down the real time it read and the time it was shown, and the law is
//! computed again here from the former. Overlapping clock faults on one service and family add up when injected, but
//! healing any of them puts the family back on real time; a plan must keep them apart.

use std::fs;
use std::sync::Arc;

use super::clocks::{ClockFamily, KernelClock, Laws, Readings};
use super::law::{ClockChange, LawError, Slope};
use super::page::{ClockPage, Seen};
use crate::fault::{Fault, FaultError, Receipt, TargetProcess};

/// How far what the target was shown may be from the law. The library's arithmetic is the same to the nanosecond;
/// another way of the same fault may round.
const TOLERANCE_NS: u64 = 1_000;

/// What a scenario says about a clock fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockParams {
    /// The clocks to move.
    pub clock: ClockFamily,
    /// What to do to them; nanoseconds and parts per billion.
    pub change: ClockChange,
}

impl ClockParams {
    /// Refuses what no clock could be made to do.
    pub fn check(&self) -> Result<(), LawError> {
        match self.change {
            ClockChange::JumpTo(_) if self.clock == ClockFamily::Monotonic => Err(LawError::NoDate),
            ClockChange::Drift { ppb } if Slope::from_ppb(ppb).is_none() => Err(LawError::Drift(ppb)),
            ClockChange::Step(by_ns) if by_ns.unsigned_abs() >= 1 << 62 => Err(LawError::OutOfRange),
            ClockChange::JumpTo(to_ns) if to_ns.unsigned_abs() >= 1 << 62 => Err(LawError::OutOfRange),
            _ => Ok(()),
        }
    }
}

/// What was published, and which receipts count for it.
#[derive(Debug, Clone, Copy)]
struct Published {
    epoch: u64,
    laws: Laws,
    at: Readings,
    /// Receipts up to this one are another process's, from before a restart.
    after_ticket: u64,
}

/// One clock fault on one service.
#[derive(Debug)]
pub struct ClockFault {
    params: ClockParams,
    page: Arc<ClockPage>,
    injected: Option<Published>,
    healed: Option<Published>,
    target: Option<TargetProcess>,
    /// The last receipt of a process that has ended since.
    last_of_gone: Option<u64>,
}

impl ClockFault {
    /// A fault on the service that was started with this page. Fails where the parameters could never be injected.
    pub fn new(params: ClockParams, page: Arc<ClockPage>) -> Result<Self, FaultError> {
        params.check()?;
        Ok(Self {
            params,
            page,
            injected: None,
            healed: None,
            target: None,
            last_of_gone: None,
        })
    }

    /// Names the process that stands for the service, so that evidence from a child of it says so.
    #[must_use]
    pub fn for_target(mut self, target: TargetProcess) -> Self {
        self.target = Some(target);
        self
    }

    fn publish(
        &self,
        change: impl FnOnce(&Laws, &Readings) -> Result<Laws, LawError>,
    ) -> Result<Published, FaultError> {
        let mut at = None;
        let (epoch, laws) = self.page.update(|laws| {
            let now = Readings::take();
            at = Some(now);
            change(laws, &now).map_err(FaultError::from)
        })?;
        Ok(Published {
            epoch,
            laws,
            at: at.unwrap_or_else(Readings::take),
            after_ticket: 0,
        })
    }

    /// What the receipts say about a published change; `what` names it.
    fn judge(&self, published: Option<Published>, what: &str) -> Receipt {
        let Some(published) = published else {
            return Receipt::Failed {
                reason: format!("the clock has had no {what} yet"),
            };
        };
        let family = self.params.clock;
        let counts = |seen: &Seen| {
            seen.ticket > published.after_ticket
                && seen.epoch >= published.epoch
                && seen.clock.family() == family
        };
        for seen in self.page.seen().into_iter().filter(counts) {
            let expected = published.laws.of(seen.clock).at(seen.real_ns);
            if seen.virtual_ns.abs_diff(expected) <= TOLERANCE_NS {
                return Receipt::Proven {
                    evidence: self.evidence(&seen, &published, what),
                };
            }
            if seen.epoch == published.epoch {
                return Receipt::Failed {
                    reason: format!(
                        "{} was shown a {family} clock {} after the {what}, where {} was due",
                        self.reader(seen.pid),
                        distance(seen.virtual_ns.wrapping_sub(seen.real_ns)),
                        distance(expected.wrapping_sub(seen.real_ns)),
                    ),
                };
            }
        }
        let laws = self.page.laws();
        let replaced = KernelClock::ALL
            .into_iter()
            .any(|clock| clock.family() == family && laws.of(clock) != published.laws.of(clock));
        if replaced {
            return Receipt::Failed {
                reason: format!(
                    "the {family} clock was changed again before the service read it after the {what}"
                ),
            };
        }
        Receipt::Pending
    }

    fn evidence(&self, seen: &Seen, published: &Published, what: &str) -> String {
        // A coarse clock's last tick may lie before the change.
        let later_ns = seen.real_ns.saturating_sub(published.at.of(seen.clock)).max(0);
        format!(
            "{} read its {} clock {} ms after the {what}: {}",
            self.reader(seen.pid),
            self.params.clock,
            milliseconds(later_ns.unsigned_abs(), 1),
            distance(seen.virtual_ns.wrapping_sub(seen.real_ns)),
        )
    }

    /// The process that wrote a receipt, with its command's name while it lives.
    fn reader(&self, pid: u32) -> String {
        let command = fs::read_to_string(format!("/proc/{pid}/comm"));
        let name = command
            .map(|text| format!(" ({})", text.trim_end()))
            .unwrap_or_default();
        match &self.target {
            Some(target) if target.pid != pid => {
                format!(
                    "pid {pid}{name}, a child of {} (pid {}),",
                    target.service, target.pid
                )
            }
            _ => format!("pid {pid}{name}"),
        }
    }

    fn name_of_change(&self) -> &'static str {
        match self.params.change {
            ClockChange::Step(_) => "step",
            ClockChange::JumpTo(_) => "jump",
            ClockChange::Freeze => "freeze",
            ClockChange::Drift { .. } => "start of the drift",
        }
    }
}

impl Fault for ClockFault {
    fn inject(&mut self) -> Result<(), FaultError> {
        let ClockParams { clock, change } = self.params;
        self.injected = Some(self.publish(|laws, now| laws.after(clock, change, now))?);
        self.healed = None;
        Ok(())
    }

    fn prove(&mut self) -> Receipt {
        self.judge(self.injected, self.name_of_change())
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        let clock = self.params.clock;
        self.healed = Some(self.publish(|laws, _| Ok(laws.healed(clock)))?);
        Ok(())
    }

    fn prove_healed(&mut self) -> Receipt {
        self.judge(self.healed, "healing")
    }

    fn target_gone(&mut self) {
        self.last_of_gone = Some(self.page.receipts());
    }

    /// The page outlives the process and its laws hold for the next one; only the receipts start anew. The next one may have
    /// left its first before it was ready.
    fn rearm(&mut self, target: &TargetProcess) -> Result<(), FaultError> {
        let so_far = self.last_of_gone.take().unwrap_or_else(|| self.page.receipts());
        for published in [&mut self.injected, &mut self.healed].into_iter().flatten() {
            published.after_ticket = so_far;
        }
        self.target = Some(target.clone());
        Ok(())
    }
}

/// "20.000 ms behind the real clock"
fn distance(ahead_ns: i64) -> String {
    match ahead_ns {
        0 => "equal to the real clock".to_owned(),
        _ => format!(
            "{} ms {} the real clock",
            milliseconds(ahead_ns.unsigned_abs(), 3),
            if ahead_ns < 0 { "behind" } else { "ahead of" }
        ),
    }
}

/// Nanoseconds as milliseconds with so many decimals.
pub(super) fn milliseconds(ns: u64, decimals: usize) -> String {
    format!("{:.decimals$}", ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn fault(clock: ClockFamily, change: ClockChange) -> (tempfile::TempDir, ClockFault) {
        let dir = tempfile::tempdir().unwrap();
        let page = Arc::new(ClockPage::create(&dir.path().join("page")).unwrap());
        (dir, ClockFault::new(ClockParams { clock, change }, page).unwrap())
    }

    #[test]
    fn nothing_is_proven_by_nobody() {
        let (_dir, mut fault) = fault(ClockFamily::Realtime, ClockChange::Step(-20 * MS));
        assert!(matches!(fault.prove(), Receipt::Failed { .. }));
        fault.inject().unwrap();
        assert_eq!(fault.prove(), Receipt::Pending);
        fault.heal().unwrap();
        assert_eq!(fault.prove_healed(), Receipt::Pending);
    }

    #[test]
    fn a_change_replaced_before_it_was_seen_has_failed() {
        let (_dir, mut first) = fault(ClockFamily::Realtime, ClockChange::Step(-20 * MS));
        first.inject().unwrap();
        let page = Arc::clone(&first.page);
        let other = ClockParams {
            clock: ClockFamily::Monotonic,
            change: ClockChange::Freeze,
        };
        ClockFault::new(other, Arc::clone(&page))
            .unwrap()
            .inject()
            .unwrap();
        assert_eq!(
            first.prove(),
            Receipt::Pending,
            "another family's change is none of its business"
        );
        let again = ClockParams {
            clock: ClockFamily::Realtime,
            change: ClockChange::Step(MS),
        };
        ClockFault::new(again, page).unwrap().inject().unwrap();
        assert!(matches!(first.prove(), Receipt::Failed { reason } if reason.contains("changed again")));
    }

    #[test]
    fn steps_of_several_faults_add_up_and_healing_ends_them() {
        let (_dir, mut fault) = fault(ClockFamily::Realtime, ClockChange::Step(-20 * MS));
        fault.inject().unwrap();
        fault.inject().unwrap();
        assert_eq!(fault.page.laws().of(KernelClock::Realtime).offset_ns, -40 * MS);
        fault.heal().unwrap();
        assert_eq!(fault.page.laws(), Laws::REST);
    }

    #[test]
    fn the_monotonic_clock_cannot_jump_to_a_date() {
        let dir = tempfile::tempdir().unwrap();
        let page = Arc::new(ClockPage::create(&dir.path().join("page")).unwrap());
        let params = ClockParams {
            clock: ClockFamily::Monotonic,
            change: ClockChange::JumpTo(0),
        };
        assert!(
            ClockFault::new(params, page)
                .unwrap_err()
                .to_string()
                .contains("no date")
        );
    }

    #[test]
    fn distances_read_as_a_person_would_say_them() {
        assert_eq!(distance(-20 * MS), "20.000 ms behind the real clock");
        assert_eq!(distance(1_500), "0.002 ms ahead of the real clock");
        assert_eq!(distance(0), "equal to the real clock");
    }
}
