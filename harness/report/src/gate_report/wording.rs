//! How a metric, its change and what was found of it are told in words. The same words everywhere.

use squall_model::gate::{
    AcceptedRecord, BlockRecord, FindingRecord, GateEnd, GateRecord, GateVerdict, MetricKind, MetricRecord,
    MetricScale,
};
use squall_model::units::human;

use super::{looked_after_us, middle, valid};
use crate::block::{Cell, Tone};
use crate::figure::{self, ABSENT, Unit};

/// The most metrics that are named in a sentence.
const MOST_NAMED: usize = 3;

/// The verdict in a word or two.
pub(super) fn verdict(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::NoBase => "no base",
        other => other.as_str(),
    }
}

/// How good or bad a verdict is.
pub(super) fn tone(verdict: GateVerdict) -> Tone {
    match verdict {
        GateVerdict::Regressed => Tone::Bad,
        GateVerdict::Improved | GateVerdict::Pass => Tone::Good,
        GateVerdict::Inconclusive | GateVerdict::NoBase => Tone::Doubt,
    }
}

/// Why there was no further block.
pub(super) fn end(record: &GateRecord) -> &'static str {
    match record.end {
        GateEnd::Decided => "it ended as soon as it was decided",
        GateEnd::Environment => "it ended early, since the blocks there was time for could not decide",
        GateEnd::Budget => "the time it was given was used up",
        GateEnd::Blocks => "the last look was taken",
        GateEnd::Interrupted => "it was interrupted",
        GateEnd::Broken if is_cut_short(record) => "a block could not be brought to its end",
        GateEnd::Broken => "blocks went wrong again and again",
        GateEnd::NoBase => "it did not begin",
    }
}

/// Whether all blocks of a broken gate count: then the one that broke it is not among them.
fn is_cut_short(record: &GateRecord) -> bool {
    record.blocks.iter().all(BlockRecord::is_valid)
}

/// A metric in words: `P99 of refresh`.
pub(super) fn name(metric: &MetricRecord) -> String {
    let of = |what: &str| match metric.of.as_deref().map(|of| of.split_once(':').ok_or(of)) {
        Some(Ok((phase, load))) => format!("{what} of {load} in {phase}"),
        Some(Err(load)) => format!("{what} of {load}"),
        None => what.to_owned(),
    };
    match metric.kind {
        MetricKind::Cpu => "CPU per request".to_owned(),
        MetricKind::P50 => of("P50"),
        MetricKind::P99 => of("P99"),
        MetricKind::P999 => of("P99.9"),
        MetricKind::Throughput => of("throughput"),
        MetricKind::Errors => of("errors"),
        MetricKind::Pause => "longest pause".to_owned(),
        MetricKind::Recovery => match &metric.of {
            Some(fault) => format!("recovery from {fault}"),
            None => "recovery".to_owned(),
        },
        // Whatever it is: the name that somebody gave it.
        MetricKind::Time => metric.of.clone().unwrap_or_else(|| "time".to_owned()),
    }
}

/// The same at the start of a sentence or of a row.
pub(super) fn title(metric: &MetricRecord) -> String {
    let name = name(metric);
    if metric.kind == MetricKind::Time {
        return name;
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// What a metric's values are.
pub(super) fn unit(kind: MetricKind) -> Unit {
    match kind {
        MetricKind::Throughput => Unit::Rate,
        MetricKind::Errors => Unit::Ratio,
        MetricKind::Cpu
        | MetricKind::P50
        | MetricKind::P99
        | MetricKind::P999
        | MetricKind::Pause
        | MetricKind::Recovery
        | MetricKind::Time => Unit::Duration,
    }
}

/// What a metric's changes are.
pub(super) fn unit_of_change(scale: MetricScale) -> Unit {
    match scale {
        MetricScale::Ratio => Unit::Change,
        MetricScale::Difference => Unit::Points,
    }
}

/// A change with its sign; more than nothing is worse.
pub(super) fn change(metric: &MetricRecord, change: f64) -> String {
    unit_of_change(metric.scale).print(change)
}

/// A change that was found, or the middle of what was measured.
pub(super) fn estimate(metric: &MetricRecord) -> Option<f64> {
    metric
        .finding
        .map(|finding| finding.estimate)
        .or_else(|| middle(metric))
}

/// A margin, a tolerance or a smallest effect: `5 %`, `0.2 points`.
pub(super) fn size(metric: &MetricRecord, size: f64) -> String {
    match metric.scale {
        MetricScale::Ratio => figure::ratio(size),
        MetricScale::Difference => figure::size_of_points(size),
    }
}

/// `+5.2 to +11.3 %`, `below +3.1 %`; a dash where there is none.
pub(super) fn interval(metric: &MetricRecord, finding: &FindingRecord) -> String {
    let print = |bound: f64| change(metric, bound);
    match (finding.lower, finding.upper) {
        (Some(lower), Some(upper)) => span(&print(lower), &print(upper)),
        (Some(lower), None) => format!("above {}", print(lower)),
        (None, Some(upper)) => format!("below {}", print(upper)),
        (None, None) => ABSENT.to_owned(),
    }
}

/// From one figure to another, with the unit once where it is the same.
fn span(low: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// A p-value with as many digits as matter.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        figure::three(p)
    }
}

/// Whether a metric has a say: it decides, or it was tested and changed beyond its margin. A regression blocks either way.
pub(super) fn weighs(metric: &MetricRecord) -> bool {
    let changed = [GateVerdict::Regressed, GateVerdict::Improved];
    metric.decides
        || metric
            .finding
            .is_some_and(|finding| changed.contains(&finding.verdict))
}

/// What is said of a metric in a word, in its tone.
pub(super) fn said(metric: &MetricRecord) -> Cell {
    if !weighs(metric) {
        return Cell::plain("informs");
    }
    let Some(finding) = metric.finding else {
        return Cell::plain("too few blocks").toned(Tone::Doubt);
    };
    if finding.accepted {
        return Cell::plain(format!("{}, accepted", verdict(finding.verdict))).toned(Tone::Doubt);
    }
    Cell::plain(verdict(finding.verdict)).toned(tone(finding.verdict))
}

/// What was found of a metric, in a sentence without its full stop.
pub(super) fn sentence(record: &GateRecord, metric: &MetricRecord) -> String {
    let is = if metric.kind == MetricKind::Errors {
        "are"
    } else {
        "is"
    };
    let title = title(metric);
    if !weighs(metric) {
        let found = metric.finding.as_ref().map_or_else(String::new, |finding| {
            format!(
                " ({}, {})",
                change(metric, finding.estimate),
                interval(metric, finding)
            )
        });
        return format!("{title} informs and does not decide: {}{found}", metric.why_not);
    }
    let Some(finding) = &metric.finding else {
        return format!("{title} {is} not decided: too few blocks");
    };
    let seen = seen(record, finding);
    match finding.verdict {
        GateVerdict::Regressed => format!("{title} {is} {}, seen in {seen}", grown(metric, finding, "worse")),
        GateVerdict::Improved => format!(
            "{title} {is} {}, seen in {seen}",
            grown(metric, finding, "better")
        ),
        GateVerdict::Pass => format!(
            "{title} {is} within the tolerance of {}: {} ({}), seen in {seen}",
            size(metric, metric.tolerance),
            change(metric, finding.estimate),
            interval(metric, finding)
        ),
        GateVerdict::Inconclusive | GateVerdict::NoBase => format!(
            "{title} {is} not decided: {} ({}) after {seen}{}",
            change(metric, finding.estimate),
            interval(metric, finding),
            would_see(metric)
        ),
    }
}

/// `8.1 % worse (5.2 to 11.3 %)`: sizes, since the word says which way; with signs where the interval holds both ways.
fn grown(metric: &MetricRecord, finding: &FindingRecord, way: &str) -> String {
    let none = none(metric.scale);
    let size = |change: f64| match metric.scale {
        MetricScale::Ratio => figure::size_of_change(change),
        MetricScale::Difference => figure::size_of_points(change),
    };
    let is_worse = finding.estimate > none;
    let is_same_way = |bound: &Option<f64>| bound.is_none_or(|bound| (bound > none) == is_worse);
    let beside = match (finding.lower, finding.upper) {
        (Some(lower), Some(upper)) if [Some(lower), Some(upper)].iter().all(is_same_way) => {
            let (near, far) = if is_worse { (lower, upper) } else { (upper, lower) };
            span(&size(near), &size(far))
        }
        _ => interval(metric, finding),
    };
    format!("{} {way} ({beside})", size(finding.estimate))
}

/// `20 blocks and 3 min 20 s`.
fn seen(record: &GateRecord, finding: &FindingRecord) -> String {
    let blocks = blocks(finding.blocks as usize);
    match looked_after_us(record) {
        Some(us) => format!("{blocks} and {}", figure::duration(us as f64)),
        None => blocks,
    }
}

/// What it would have taken to see a regression of the tolerated size.
fn would_see(metric: &MetricRecord) -> String {
    match metric.plan.and_then(|plan| plan.smallest) {
        Some(smallest) => format!(
            "; in the time there is it would see {} or more, and the tolerance is {}",
            size(metric, smallest),
            size(metric, metric.tolerance)
        ),
        None => String::new(),
    }
}

/// A number of blocks in words.
pub(super) fn blocks(n: usize) -> String {
    figure::counted(n as u64, "block", "blocks")
}

/// What a commit accepts: `refresh.p99 +8 %: REASON (commit 1a2b3c4)`.
pub(super) fn accepted(accepted: &AcceptedRecord) -> String {
    format!(
        "{} up to +{}: {} (commit {})",
        accepted.metric,
        figure::ratio(accepted.by),
        accepted.reason,
        short(&accepted.commit)
    )
}

/// A commit as far as it is needed to find it.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// The metrics, the gravest first, and of those that regressed the one that lies furthest beyond what is tolerated; those that only
/// inform last.
pub(super) fn by_gravity(record: &GateRecord) -> Vec<&MetricRecord> {
    let rank = |metric: &MetricRecord| match metric.finding {
        _ if !weighs(metric) => 4,
        Some(finding) if finding.verdict == GateVerdict::Regressed => u8::from(finding.accepted),
        Some(finding) if finding.verdict == GateVerdict::Inconclusive => 2,
        None => 2,
        Some(_) => 3,
    };
    let beyond = |metric: &MetricRecord| match metric.finding {
        Some(finding) if finding.verdict == GateVerdict::Regressed => {
            (finding.estimate - none(metric.scale)) / metric.tolerance
        }
        _ => 0.0,
    };
    let mut metrics: Vec<&MetricRecord> = record.metrics.iter().collect();
    metrics.sort_by(|one, other| {
        rank(one)
            .cmp(&rank(other))
            .then_with(|| beyond(other).total_cmp(&beyond(one)))
    });
    metrics
}

/// What says that nothing changed.
pub(super) fn none(scale: MetricScale) -> f64 {
    match scale {
        MetricScale::Ratio => 1.0,
        MetricScale::Difference => 0.0,
    }
}

/// Why the verdict is what it is, in sentences without their full stops: at least one, the gravest first.
///
/// What metrics show is told from them; of what there is no other trace in the record, in its own words.
pub(super) fn reasons(record: &GateRecord) -> Vec<String> {
    let found = |wanted: GateVerdict| {
        let metrics = by_gravity(record).into_iter();
        let found = metrics.filter(move |metric| {
            metric
                .finding
                .is_some_and(|finding| finding.verdict == wanted && !finding.accepted)
        });
        found.map(|metric| sentence(record, metric))
    };
    let mut reasons: Vec<String> = match record.verdict {
        GateVerdict::Regressed => {
            let broken = super::section::broken(record).into_iter();
            broken.chain(found(GateVerdict::Regressed)).collect()
        }
        GateVerdict::Improved => found(GateVerdict::Improved).chain(passed(record)).collect(),
        GateVerdict::Pass => passed(record)
            .into_iter()
            .chain(found(GateVerdict::Improved))
            .collect(),
        GateVerdict::Inconclusive => undecided(record)
            .into_iter()
            .chain(record.reasons.iter().cloned())
            .collect(),
        GateVerdict::NoBase => Vec::new(),
    };
    if reasons.is_empty() {
        reasons.clone_from(&record.reasons);
    }
    if reasons.is_empty() {
        reasons.push(meaning(record.verdict).to_owned());
    }
    reasons
}

/// What passed, and on what ground; nothing where no metric decides.
fn passed(record: &GateRecord) -> Option<String> {
    let deciding = record.metrics.iter().filter(|metric| metric.decides);
    let passed = deciding.filter(|metric| {
        metric
            .finding
            .is_some_and(|finding| finding.verdict != GateVerdict::Regressed)
    });
    let passed: Vec<&MetricRecord> = passed.collect();
    let finding = passed.first()?.finding?;
    let what = match passed.len() {
        1 => format!("{} is not", title(passed[0])),
        n if record.benchmarks.is_some() => format!("None of the {n} benchmarks that decide is"),
        n => format!("None of the {n} metrics that decide is"),
    };
    Some(format!(
        "{what} worse by as much as its tolerance, seen in {}",
        seen(record, &finding)
    ))
}

/// What kept the gate from deciding; nothing where that is for its own words to say.
fn undecided(record: &GateRecord) -> Option<String> {
    let blocks = blocks(valid(record).count());
    let open: Vec<&MetricRecord> = by_gravity(record)
        .into_iter()
        .filter(|metric| is_open(metric))
        .collect();
    let names: Vec<String> = open.iter().map(|metric| name(metric)).collect();
    let names = human::some_of(&names, MOST_NAMED);
    let what = if names.is_empty() {
        "anything".to_owned()
    } else {
        names
    };
    Some(match record.end {
        GateEnd::Environment => {
            format!("Environment: this machine is too noisy to decide {what} in the time there is")
        }
        GateEnd::Budget => format!("The time was used up before {what} could be decided"),
        GateEnd::Blocks => format!("The last look, after {blocks}, could not decide {what}"),
        GateEnd::Interrupted if record.looked_at == 0 => {
            format!("Interrupted after {blocks}, before the first look")
        }
        GateEnd::Interrupted if open.is_empty() => {
            format!("Interrupted after {blocks}, while it waited for what looks worse")
        }
        GateEnd::Interrupted => format!("Interrupted after {blocks}, before {what} could be decided"),
        GateEnd::Broken if is_cut_short(record) => format!("Broken off after {blocks}"),
        GateEnd::Broken => format!(
            "Blocks went wrong again and again: {blocks} of {} count",
            record.blocks.len()
        ),
        GateEnd::Decided | GateEnd::NoBase => return None,
    })
}

/// Whether a metric that decides is still to be decided.
fn is_open(metric: &MetricRecord) -> bool {
    let verdict = metric.finding.map(|finding| finding.verdict);
    metric.decides && verdict.is_none_or(|verdict| verdict == GateVerdict::Inconclusive)
}

/// What a verdict means, where nothing says why.
fn meaning(verdict: GateVerdict) -> &'static str {
    match verdict {
        GateVerdict::Regressed => "A metric is worse by more than the margin",
        GateVerdict::Improved => "A metric is better by more than the margin, and none is worse",
        GateVerdict::Pass => "No metric that decides is worse by as much as its tolerance",
        GateVerdict::Inconclusive => "It can't be said whether a metric is worse",
        GateVerdict::NoBase => {
            "The base can't run this scenario, so there is nothing to hold the candidate against"
        }
    }
}

/// What a pass can't see, without the verdict before it and the full stop.
pub(super) fn blind_spot(record: &GateRecord) -> &str {
    let spot = record.blind_spot.trim().trim_end_matches('.');
    let rest = spot.strip_prefix(record.verdict.as_str());
    rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(spot)
}
