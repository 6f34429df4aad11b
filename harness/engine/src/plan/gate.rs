//! What a gate compares of a scenario: the phases, and how long each arm has load.

use std::time::Duration;

use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::{Gate, Scenario};

use super::{PlannedFault, PlannedPhase};

/// How long a slice is, unless told otherwise.
const SLICE: Duration = Duration::from_millis(800);

/// Slices of a phase that each arm has in a block, unless told otherwise.
const SLICES: u32 = 3;

/// The most of them: a block's timeline is kept whole.
const SLICES_MAX: u32 = 100;

/// How long both arms rest after each slice, unless told otherwise.
const GAP: Duration = Duration::from_millis(100);

/// How long each arm has load before anything counts, unless told otherwise.
const WARM_UP: Duration = Duration::from_secs(1);

/// What a gate does in each block, and what it holds the arms to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannedGate {
    /// Services that both arms use.
    pub shared: Vec<String>,
    /// The command that builds an arm; none if nothing says so.
    pub build: Option<Vec<String>>,
    /// The program that serves bundled services, relative to the root of an arm's repository.
    pub server: Option<String>,
    /// The phases that are compared, by index, in order.
    pub phases: Vec<usize>,
    /// How long one arm has load until it is the other's turn.
    pub slice: Duration,
    /// Slices of each phase that each arm has in a block.
    pub slices: u32,
    /// How long both rest after each.
    pub gap: Duration,
    /// How long each has load before anything counts.
    pub warm_up: Duration,
    /// Limits of all metrics but errors.
    pub limits: PlannedLimits,
    /// Limits of single metrics, by name.
    pub metrics: Vec<(String, PlannedLimits)>,
}

/// Limits as the scenario has them; nothing where it leaves them to the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlannedLimits {
    /// A change below which is of no interest.
    pub margin: Option<f64>,
    /// A change above which must not stay hidden.
    pub tolerance: Option<f64>,
}

/// The gate of a scenario, whether or not it says anything of one.
pub(super) fn compile(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    faults: &[PlannedFault],
    diagnostics: &mut Diagnostics,
) -> PlannedGate {
    let written = scenario.gate.as_ref();
    let named = written.map_or(&[][..], |gate| &gate.phases);
    let phases = if named.is_empty() {
        usual(phases, faults)
    } else {
        let index = |name: &str| phases.iter().position(|phase| phase.name == name);
        let mut found: Vec<usize> = named.iter().filter_map(|name| index(name.as_str())).collect();
        found.sort_unstable();
        found
    };
    let slices = written.and_then(|gate| gate.slices);
    if let Some(slices) = slices.filter(|slices| slices.get() > SLICES_MAX) {
        let error = Diagnostic::error(slices.span, "more slices than a block has room for");
        diagnostics.push(error.help(format!("at most {SLICES_MAX}; more blocks come by themselves")));
    }
    let ratio = |ratio: Option<squall_model::span::Spanned<squall_model::units::Ratio>>| {
        ratio.map(|ratio| ratio.get())
    };
    let limits = |gate: &Gate| PlannedLimits {
        margin: ratio(gate.margin),
        tolerance: ratio(gate.tolerance),
    };
    let single = |gate: &Gate| {
        let metrics = gate.metrics.iter().map(|(name, limits)| {
            let limits = PlannedLimits {
                margin: ratio(limits.margin),
                tolerance: ratio(limits.tolerance),
            };
            (name.value.as_str().to_owned(), limits)
        });
        metrics.collect()
    };
    PlannedGate {
        shared: written.map_or(Vec::new(), |gate| {
            gate.shared.iter().map(|name| name.as_str().to_owned()).collect()
        }),
        build: written.and_then(|gate| {
            let build = gate.build.as_ref()?;
            Some(build.iter().map(|word| word.value.clone()).collect())
        }),
        server: written.and_then(|gate| Some(gate.server.as_ref()?.value.clone())),
        phases,
        slice: written
            .and_then(|gate| gate.slice)
            .map_or(SLICE, |slice| slice.value),
        slices: slices.map_or(SLICES, |slices| slices.get()),
        gap: written.and_then(|gate| gate.gap).unwrap_or(GAP),
        warm_up: written.and_then(|gate| gate.warm_up).unwrap_or(WARM_UP),
        limits: written.map(limits).unwrap_or_default(),
        metrics: written.map(single).unwrap_or_default(),
    }
}

/// The baseline, or the first measured phase that no fault touches; and the first measured phase in which a fault begins.
fn usual(phases: &[PlannedPhase], faults: &[PlannedFault]) -> Vec<usize> {
    let begins = |at: usize| faults.iter().any(|fault| fault.phase == at);
    let is_calm = |at: usize| {
        let from: Duration = phases[..at].iter().map(|phase| phase.length).sum();
        let to = from + phases[at].length;
        let mut windows = faults.iter().flat_map(|fault| &fault.windows);
        !windows.any(|window| window.from < to && window.to > from)
    };
    let mut all = 0..phases.len();
    let calm = all
        .clone()
        .find(|at| phases[*at].baseline && is_calm(*at))
        .or_else(|| all.clone().find(|at| phases[*at].measure && is_calm(*at)));
    let hurt = all.find(|at| phases[*at].measure && begins(*at));
    let mut found: Vec<usize> = calm.into_iter().chain(hurt).collect();
    found.sort_unstable();
    found
}
