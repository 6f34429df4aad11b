//! What the first blocks choose: which metrics are tested, and which of them a pass waits for.
//!
//! All metrics that have values are tested for a regression, however much they vary, and share alpha by Holm. Since that does not depend on
//! what was measured, the chance of a false alarm stays what it is whatever is chosen here. A pass waits only for those that decide: at
//! most [`MOST_DECIDING`], and only such as can be seen to be within their tolerance in the time there is. They are chosen by how much the
//! metric varied from block to block, which says nothing of which way it went or how far: to add a constant to all changes of a metric
//! changes nothing (docs/decisions/022-what-the-plan-promises.md).

use squall_model::gate::MetricKind;

use super::super::limits::{Limits, shown};
use super::super::looks::{MOST_BLOCKS, Tests};
use super::super::metric::series::{Series, series};
use super::super::metric::{MetricId, Readings};
use super::super::planner::{self, Noise, Plan};
use super::settings::Checked;
use super::words;

/// How many blocks the pilot has: those of the first look.
pub(super) const PILOT: usize = super::super::looks::LOOKS[0];

/// The most metrics that a pass waits for.
pub const MOST_DECIDING: usize = 8;

/// How many of the pilot's blocks must have a value of a metric, for it to be tested at all: half.
const FEWEST: usize = PILOT / 2;

/// A metric that is tested at every look.
#[derive(Clone, Debug)]
pub(super) struct Tested {
    pub(super) id: MetricId,
    /// What it is held to.
    pub(super) limits: Limits,
    /// What it is held to where a commit accepts a change for the worse; else the same.
    pub(super) accepting: Limits,
    pub(super) noise: Noise,
    pub(super) plan: Plan,
    /// Why no pass waits for it; nothing where one does.
    pub(super) why_not: Option<String>,
}

impl Tested {
    pub(super) fn decides(&self) -> bool {
        self.why_not.is_none()
    }
}

/// Chooses by the first blocks; `blocks` is how many there is time for in all.
pub(super) fn choose(readings: &[Readings], checked: &Checked, blocks: usize) -> Vec<Tested> {
    let pilot = &readings[..PILOT.min(readings.len())];
    let candidates: Vec<(MetricId, Noise)> = ids(pilot)
        .into_iter()
        .filter(|id| checked.tests(id))
        .filter_map(|id| {
            let noise = noise(&series(pilot, &id, PILOT))?;
            Some((id, noise))
        })
        .collect();
    let tests = Tests {
        gates: checked.settings().gates,
        metrics: candidates.len().max(1),
    };
    let test = |(id, noise): (MetricId, Noise)| {
        let limits = checked.limits(&id);
        let accepted = checked.accepted(&id).map_or(0.0, |accepted| accepted.by);
        let accepting = limits.accepting(accepted);
        Tested {
            plan: planner::plan(noise, accepting, blocks, tests),
            id,
            limits,
            accepting,
            noise,
            why_not: None,
        }
    };
    let mut tested: Vec<Tested> = candidates.into_iter().map(test).collect();
    decide(&mut tested);
    tested
}

/// Says of each why it does not decide, where it does not.
fn decide(tested: &mut [Tested]) {
    // The sooner first; of those that come at the same look, in the order of the kinds.
    let mut order: Vec<(Option<usize>, usize)> = tested
        .iter()
        .enumerate()
        .map(|(at, metric)| (metric.plan.look, at))
        .collect();
    order.sort_by_key(|(look, at)| (look.unwrap_or(usize::MAX), *at));
    for (place, (look, at)) in order.into_iter().enumerate() {
        tested[at].why_not = match look {
            None => Some(short(&tested[at])),
            Some(_) if place >= MOST_DECIDING => Some(format!("{MOST_DECIDING} others are seen sooner")),
            Some(_) => None,
        };
    }
    // That nothing failed says nothing of how fast anything was.
    let is_of_errors = |metric: &Tested| metric.id.kind == MetricKind::Errors;
    let is_carried = tested
        .iter()
        .any(|metric| metric.decides() && !is_of_errors(metric));
    if is_carried || tested.iter().all(is_of_errors) {
        return;
    }
    for metric in tested.iter_mut().filter(|metric| metric.decides()) {
        metric.why_not = Some("errors alone carry no pass where times and work were measured".to_owned());
    }
}

fn short(metric: &Tested) -> String {
    let Plan { needed, smallest, .. } = metric.plan;
    let seen = match smallest {
        Some(smallest) => format!("would see {}", words::change(metric.limits.scale(), smallest)),
        None => "would see nothing".to_owned(),
    };
    let blocks = if needed > MOST_BLOCKS as f64 {
        format!("more than {MOST_BLOCKS} blocks")
    } else {
        format!("{} blocks", needed.ceil())
    };
    format!("not decidable here, {seen}; it takes {blocks}")
}

/// All metrics that any of the blocks has, in order.
pub(super) fn ids(readings: &[Readings]) -> Vec<MetricId> {
    let mut ids: Vec<MetricId> = readings.iter().flat_map(|block| block.keys().cloned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Nothing where too few blocks have a value.
fn noise(pilot: &Series) -> Option<Noise> {
    let changes = pilot.until(PILOT);
    if changes.len() < FEWEST {
        return None;
    }
    Some(Noise {
        spread: planner::spread(&changes)?,
        share: changes.len() as f64 / pilot.changes.len() as f64,
    })
}

/// Why a metric is not even tested.
pub(super) fn why_untested(id: &MetricId, series: &Series, checked: &Checked) -> String {
    let blocks = series.changes.len().min(PILOT);
    if !checked.tests(id) {
        "not among the metrics that were asked for".to_owned()
    } else if blocks < PILOT {
        format!("{blocks} blocks count, and the first look takes {PILOT}")
    } else {
        let with = series.until(PILOT).len();
        format!(
            "{with} of the first {PILOT} blocks have a value: {}",
            series.why_not
        )
    }
}

/// A change on the axis of the test, as files have it.
pub(super) fn as_shown(id: &MetricId, change: Option<f64>) -> Option<f64> {
    change.map(|change| shown(id.scale(), change))
}
