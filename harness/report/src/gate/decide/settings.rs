//! What a gate is told before it begins, checked once.

use std::num::NonZeroU32;
use std::time::Duration;

use squall_model::gate::{AcceptedRecord, MetricKind};

use super::super::limits::{Limits, LimitsError};
use super::super::metric::MetricId;

/// What a gate is told before it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The time it is given, builds not counted.
    pub budget: Duration,
    /// Gates of the whole command, which share its chance of a false alarm.
    pub gates: NonZeroU32,
    /// Whether both arms are one binary: then there is no margin but one that an override asks for.
    pub same_binary: bool,
    /// Whether it is of micro-benchmarks. They have whatever names somebody gave them, so any may be named.
    pub of_benchmarks: bool,
    /// The metrics that are tested, `p99` or `refresh.p99`; all where empty. The fewer, the smaller the regressions that are found.
    pub metrics: Vec<String>,
    /// Other limits than the usual ones. One for `refresh.p99` comes before one for `p99`.
    pub overrides: Vec<LimitOverride>,
    /// Regressions that a commit accepts.
    pub accepted: Vec<AcceptedRecord>,
    /// The most blocks that are run; those of the last look where absent.
    pub most_blocks: Option<NonZeroU32>,
}

impl Settings {
    /// One gate with nothing out of the ordinary.
    pub fn new(budget: Duration) -> Settings {
        Settings {
            budget,
            gates: NonZeroU32::MIN,
            same_binary: false,
            of_benchmarks: false,
            metrics: Vec::new(),
            overrides: Vec::new(),
            accepted: Vec::new(),
            most_blocks: None,
        }
    }
}

/// Other limits of a metric, or of all of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitOverride {
    /// `p99`, or `refresh.p99`.
    pub metric: String,
    /// A change below which is of no interest: a share of the base, of errors a difference of shares.
    pub margin: Option<f64>,
    /// A change above which must not stay hidden, in the same terms.
    pub tolerance: Option<f64>,
}

/// Settings that can't be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A name that ends in no kind of metric.
    #[error(
        "`{name}` names no metric: want cpu, p50, p99, p999, throughput, errors, pause or recovery, alone or after a load or fault, as in `refresh.p99`"
    )]
    UnknownMetric {
        /// As it was given.
        name: String,
    },
    /// Limits that leave no room for a verdict.
    #[error("limits of `{name}`: {source}")]
    Limits {
        /// The metric.
        name: String,
        /// What is wrong.
        source: LimitsError,
    },
    /// An accepted change that is none.
    #[error("accepting `{name}` {by:+}: want how much worse it may be, above 0")]
    Accepted {
        /// The metric.
        name: String,
        /// As it was given.
        by: f64,
    },
}

/// Settings that can be, and what they come to for each metric.
#[derive(Clone, Debug)]
pub(super) struct Checked(Settings);

impl Checked {
    pub(super) fn new(settings: Settings) -> Result<Checked, SettingsError> {
        let named = |name: &str| {
            if settings.of_benchmarks {
                return Ok(MetricId::of_benchmarks(name));
            }
            let known = MetricId::parse(name).filter(|id| id.kind != MetricKind::Time);
            known.ok_or_else(|| SettingsError::UnknownMetric {
                name: name.to_owned(),
            })
        };
        for name in &settings.metrics {
            named(name)?;
        }
        for changed in &settings.overrides {
            let id = named(&changed.metric)?;
            settings.limits(&id).map_err(|source| SettingsError::Limits {
                name: changed.metric.clone(),
                source,
            })?;
        }
        for accepted in &settings.accepted {
            named(&accepted.metric)?;
            if !(accepted.by > 0.0 && accepted.by.is_finite()) {
                return Err(SettingsError::Accepted {
                    name: accepted.metric.clone(),
                    by: accepted.by,
                });
            }
        }
        Ok(Checked(settings))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }

    pub(super) fn limits(&self, id: &MetricId) -> Limits {
        // What applies to a metric is what applies to the name it was overridden by, and that was checked.
        self.0.limits(id).unwrap_or(Limits::of(id.kind))
    }

    /// Whether it is tested at all.
    pub(super) fn tests(&self, id: &MetricId) -> bool {
        self.0.metrics.is_empty() || self.0.metrics.iter().any(|name| id.is_called(name))
    }

    /// What is accepted of it: of several, the most.
    pub(super) fn accepted(&self, id: &MetricId) -> Option<&AcceptedRecord> {
        let of = self
            .0
            .accepted
            .iter()
            .filter(|accepted| id.is_called(&accepted.metric));
        of.max_by(|a, b| a.by.total_cmp(&b.by))
    }
}

impl Settings {
    fn limits(&self, id: &MetricId) -> Result<Limits, LimitsError> {
        let usual = Limits::of(id.kind);
        let own = id.to_string();
        let of = |field: fn(&LimitOverride) -> Option<f64>| {
            let by = |name: &str| {
                let named = self.overrides.iter().filter(|changed| changed.metric == name);
                named.filter_map(field).next_back()
            };
            by(&own).or_else(|| by(id.kind.as_str()))
        };
        let margin = if self.same_binary { 0.0 } else { usual.margin() };
        Limits::new(
            usual.scale(),
            of(|changed| changed.margin).unwrap_or(margin),
            of(|changed| changed.tolerance).unwrap_or(usual.tolerance()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new(Duration::from_mins(10))
    }

    fn limit(metric: &str, margin: Option<f64>, tolerance: Option<f64>) -> LimitOverride {
        LimitOverride {
            metric: metric.to_owned(),
            margin,
            tolerance,
        }
    }

    fn accepted(metric: &str, by: f64) -> AcceptedRecord {
        AcceptedRecord {
            metric: metric.to_owned(),
            by,
            reason: "a cache less".to_owned(),
            commit: "1a2b3c4".to_owned(),
            used: false,
        }
    }

    #[test]
    fn the_nearer_override_wins_and_leaves_what_it_does_not_say() {
        let checked = Checked::new(Settings {
            overrides: vec![
                limit("refresh.p99", Some(0.03), None),
                limit("p99", Some(0.01), Some(0.2)),
            ],
            ..settings()
        })
        .unwrap();
        let of = |name: &str| checked.limits(&MetricId::new(MetricKind::P99, name));
        assert_eq!(of("refresh"), Limits::ratio(0.03, 0.2).unwrap());
        assert_eq!(of("read"), Limits::ratio(0.01, 0.2).unwrap());
        assert_eq!(checked.limits(&MetricId::of_arm(MetricKind::Cpu)), Limits::USUAL);
    }

    #[test]
    fn one_binary_has_no_margin_but_one_that_was_asked_for() {
        let checked = Checked::new(Settings {
            same_binary: true,
            overrides: vec![limit("p50", Some(0.03), None)],
            ..settings()
        })
        .unwrap();
        let margin = |kind| checked.limits(&MetricId::new(kind, "refresh")).margin();
        let margins = [MetricKind::P99, MetricKind::Errors, MetricKind::P50].map(margin);
        assert!(margins.iter().eq(&[0.0, 0.0, 0.03]), "{margins:?}");
    }

    #[test]
    fn what_names_nothing_or_leaves_no_room_is_refused() {
        let unknown = |settings| {
            let error = Checked::new(settings).unwrap_err();
            assert!(matches!(error, SettingsError::UnknownMetric { .. }), "{error}");
        };
        unknown(Settings {
            metrics: vec!["p98".to_owned()],
            ..settings()
        });
        unknown(Settings {
            overrides: vec![limit("refresh", Some(0.1), None)],
            ..settings()
        });
        unknown(Settings {
            accepted: vec![accepted("latency", 0.1)],
            ..settings()
        });
        let narrow = Settings {
            overrides: vec![limit("errors", Some(0.05), None)],
            ..settings()
        };
        let error = Checked::new(narrow).unwrap_err();
        assert_eq!(
            error.to_string(),
            "limits of `errors`: a margin of 0.05 and a tolerance of 0.002: want 0 <= margin < tolerance"
        );
        for by in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            let error = Checked::new(Settings {
                accepted: vec![accepted("p99", by)],
                ..settings()
            });
            assert!(matches!(error, Err(SettingsError::Accepted { .. })), "{by}");
        }
    }

    #[test]
    fn the_most_that_is_accepted_counts() {
        let checked = Checked::new(Settings {
            accepted: vec![accepted("p99", 0.08), accepted("refresh.p99", 0.05)],
            ..settings()
        })
        .unwrap();
        let by = |kind| {
            let accepted = checked.accepted(&MetricId::new(kind, "refresh"));
            accepted.map(|accepted| (accepted.by * 100.0) as u32)
        };
        assert_eq!([by(MetricKind::P99), by(MetricKind::P50)], [Some(8), None]);
    }
}
