//! What became of one metric from one side to another.

use super::measure::{Better, By, Value};
use super::rank_sum::{self, Cuts, Interval, is_enough};
use crate::block::Tone;
use crate::figure::{self, ABSENT, Unit};

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The value of the first side: the median of its runs.
    pub(crate) before: Option<f64>,
    /// The same of the other side.
    pub(crate) after: Option<f64>,
    /// The ratio or the difference, by Hodges and Lehmann; absent where it has no meaning.
    pub(crate) estimate: Option<f64>,
    /// What it may as well be.
    pub(crate) interval: Option<Interval>,
    /// Whether a run says itself that a value that went in can't be trusted.
    pub(crate) spoilt: bool,
    /// How many runs went in on each side.
    runs: (usize, usize),
}

impl Change {
    /// From the runs of the first side to those of another. Runs whose value is spoilt are left out where a side has others.
    pub(crate) fn of(by: By, first: &[Value], second: &[Value], cuts: &mut Cuts) -> Change {
        let (first, second) = (usable(first), usable(second));
        let shift = match by {
            By::Difference => rank_sum::shift(&first.0, &second.0, cuts),
            By::Ratio => match (logarithms(&first.0), logarithms(&second.0)) {
                (Some(first), Some(second)) => rank_sum::shift(&first, &second, cuts),
                _ => None,
            },
        };
        let back = |value: f64| match by {
            By::Difference => value,
            By::Ratio => value.exp(),
        };
        Change {
            before: median(&first.0),
            after: median(&second.0),
            estimate: shift.as_ref().map(|shift| back(shift.estimate)),
            interval: shift.and_then(|shift| shift.interval).map(|interval| Interval {
                low: back(interval.low),
                high: back(interval.high),
                ..interval
            }),
            spoilt: first.1 || second.1,
            runs: (first.0.len(), second.0.len()),
        }
    }

    /// Why there is no interval, where there are values on both sides.
    pub(crate) fn no_interval(&self) -> Option<String> {
        match self.runs {
            _ if self.interval.is_some() => None,
            (0, _) | (_, 0) => Some("not measured on both sides".to_owned()),
            (1, 1) => Some("one run each".to_owned()),
            (first, second) if !is_enough(first, second) => Some(too_few(first, second)),
            _ => Some("a value is zero, so there is no ratio".to_owned()),
        }
    }
}

/// Why so many runs have no interval.
pub(crate) fn too_few(first: usize, second: usize) -> String {
    format!(
        "{first} and {second} runs are too few for an interval at 95 %, which takes at least 4 and 4, 3 and 5 or 2 and 8"
    )
}

/// The values that may be used, and whether they are spoilt all the same because there are no others.
fn usable(runs: &[Value]) -> (Vec<f64>, bool) {
    let sound: Vec<f64> = runs
        .iter()
        .filter(|run| !run.spoilt)
        .filter_map(|run| run.value)
        .collect();
    if sound.is_empty() {
        let all: Vec<f64> = runs.iter().filter_map(|run| run.value).collect();
        let spoilt = !all.is_empty();
        (all, spoilt)
    } else {
        (sound, false)
    }
}

/// The logarithms; nothing where a value is zero.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    values
        .iter()
        .map(|value| (*value > 0.0).then(|| value.ln()))
        .collect()
}

/// The median, that of an even number halfway between the middle two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

impl Change {
    /// Whether the repeated runs bear out that something changed: the interval leaves no room for "nothing".
    pub(crate) fn is_borne_out(&self, by: By) -> bool {
        let nothing = match by {
            By::Ratio => 1.0,
            By::Difference => 0.0,
        };
        self.interval
            .is_some_and(|interval| interval.low > nothing || interval.high < nothing)
            && !self.spoilt
    }

    /// Whether it went the wrong way; nothing where there is no wrong way, or nothing changed.
    pub(crate) fn is_worse(&self, by: By, better: Better) -> Option<bool> {
        let estimate = self.estimate?;
        let grew = match by {
            By::Ratio => estimate > 1.0,
            By::Difference => estimate > 0.0,
        };
        match better {
            Better::Lower => Some(grew),
            Better::Higher => Some(!grew),
            Better::Neither => None,
        }
    }

    /// Good or bad only where repeated runs bear it out.
    pub(crate) fn tone(&self, by: By, better: Better) -> Tone {
        if self.spoilt {
            return Tone::Doubt;
        }
        match self.is_worse(by, better) {
            Some(worse) if self.is_borne_out(by) => {
                if worse {
                    Tone::Bad
                } else {
                    Tone::Good
                }
            }
            _ => Tone::Plain,
        }
    }

    /// How far it is from nothing, to sort by: the logarithm of the ratio.
    pub(crate) fn size(&self, by: By) -> f64 {
        let estimate = self.estimate.unwrap_or(match by {
            By::Ratio => 1.0,
            By::Difference => 0.0,
        });
        match by {
            By::Ratio => estimate.ln().abs(),
            By::Difference => estimate.abs(),
        }
    }

    /// `×1.24`, `+0.12 %` or what stands for nothing; with a question mark where it can't be trusted.
    pub(crate) fn text(&self, by: By) -> String {
        let doubt = if self.spoilt { " ?" } else { "" };
        format!("{}{doubt}", self.sure_text(by))
    }

    fn sure_text(&self, by: By) -> String {
        match (self.estimate, by) {
            (Some(ratio), By::Ratio) => times(ratio),
            (Some(difference), By::Difference) => points(difference),
            // From none to some, or the other way.
            (None, _) if self.before.is_some() && self.after.is_some() => "no ratio".to_owned(),
            (None, _) => ABSENT.to_owned(),
        }
    }

    /// `1.10 to 1.31`; nothing where there is no interval, or none that shows.
    pub(crate) fn interval_text(&self, by: By) -> Option<String> {
        let interval = self.interval?;
        let print = match by {
            By::Ratio => decimals,
            By::Difference => points,
        };
        let (low, high) = (print(interval.low), print(interval.high));
        (low != high).then(|| format!("{low} to {high}"))
    }

    /// `683 µs → 847 µs`, and once what looks the same.
    pub(crate) fn values_text(&self, unit: Unit) -> String {
        let print = |value: Option<f64>| figure::or_absent(value, |value| unit.print(value));
        let (before, after) = (print(self.before), print(self.after));
        if before == after {
            return before;
        }
        format!("{before} → {after}")
    }
}

/// `×1.24`: two decimals around one, three digits elsewhere.
pub(crate) fn times(ratio: f64) -> String {
    format!("×{}", decimals(ratio))
}

fn decimals(ratio: f64) -> String {
    if (0.095..99.5).contains(&ratio) {
        format!("{ratio:.2}")
    } else {
        figure::three(ratio)
    }
}

/// A difference of shares: `+0.12 %`, and `0` where there is none.
fn points(difference: f64) -> String {
    if difference == 0.0 {
        return "0".to_owned();
    }
    let sign = if difference < 0.0 { "−" } else { "+" };
    format!("{sign}{}", figure::ratio(difference.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(runs: &[f64]) -> Vec<Value> {
        let value = |value: &f64| Value {
            value: Some(*value),
            spoilt: false,
        };
        runs.iter().map(value).collect()
    }

    fn change(by: By, first: &[f64], second: &[f64]) -> Change {
        Change::of(by, &values(first), &values(second), &mut Cuts::default())
    }

    #[test]
    fn one_run_each_has_a_ratio_without_interval_or_colour() {
        let change = change(By::Ratio, &[1_000.0], &[2_500.0]);
        assert_eq!(change.text(By::Ratio), "×2.50");
        assert_eq!(change.values_text(Unit::Duration), "1 ms → 2.50 ms");
        assert_eq!(change.tone(By::Ratio, Better::Lower), Tone::Plain);
        assert_eq!(change.no_interval().as_deref(), Some("one run each"));
    }

    #[test]
    fn repeats_that_lie_apart_bear_a_change_out() {
        let before = [100.0, 101.0, 102.0, 103.0];
        let after = [150.0, 151.0, 152.0, 153.0];
        let change = change(By::Ratio, &before, &after);
        let interval = change.interval.unwrap();
        assert!(
            1.4 < interval.low && interval.high < 1.6 && change.is_borne_out(By::Ratio),
            "{change:?}"
        );
        assert_eq!(change.tone(By::Ratio, Better::Lower), Tone::Bad);
        assert_eq!(change.tone(By::Ratio, Better::Higher), Tone::Good);
    }

    #[test]
    fn repeats_that_mix_bear_nothing_out() {
        let change = change(
            By::Ratio,
            &[100.0, 120.0, 140.0, 160.0],
            &[110.0, 130.0, 150.0, 170.0],
        );
        assert!(change.interval.is_some() && !change.is_borne_out(By::Ratio));
        assert_eq!(change.tone(By::Ratio, Better::Lower), Tone::Plain);
    }

    #[test]
    fn shares_are_subtracted_and_zero_has_no_ratio() {
        let text = |first: &[f64], second: &[f64]| change(By::Difference, first, second).text(By::Difference);
        assert_eq!(text(&[0.0], &[0.02]), "+2 %");
        assert_eq!(text(&[0.0], &[0.0]), "0");
        let none = change(By::Ratio, &[0.0, 1.0, 2.0, 3.0], &[5.0, 5.0, 5.0, 5.0]);
        assert_eq!(none.text(By::Ratio), "no ratio");
        assert!(none.no_interval().unwrap().contains("zero"));
    }

    #[test]
    fn spoilt_runs_are_left_out_where_there_are_others_and_marked_where_not() {
        let mut first = values(&[100.0, 9_000.0]);
        first[1].spoilt = true;
        let against = |first: &[Value]| Change::of(By::Ratio, first, &values(&[110.0]), &mut Cuts::default());
        let change = against(&first);
        assert_eq!(change.text(By::Ratio), "×1.10");
        assert!(!change.spoilt);
        first[0].spoilt = true;
        assert_eq!(against(&first).tone(By::Ratio, Better::Lower), Tone::Doubt);
    }
}
