//! A view as the text of `OpenMetrics` 1.0: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};
use squall_engine::observer::BUCKETS_US;

use super::View;
use super::family::{Data, Family, Labels, Number, Unit, families};

/// What a reader is told the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text.
pub fn text(view: &View) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families(view))));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a String takes every text");
    text
}

/// All families.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.0.iter().try_for_each(|family| encode(&mut encoder, family))
    }
}

fn encode(to: &mut DescriptorEncoder<'_>, family: &Family) -> Result<(), Error> {
    let unit = family.unit.map(|unit| match unit {
        Unit::Seconds => registry::Unit::Seconds,
        Unit::Bytes => registry::Unit::Bytes,
    });
    let kind = match family.data {
        Data::Info(_) => MetricType::Info,
        Data::Counter(_) => MetricType::Counter,
        Data::Gauge(_) => MetricType::Gauge,
        Data::Histogram(_) => MetricType::Histogram,
    };
    let mut to = to.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
    match &family.data {
        Data::Info(facts) => facts.iter().try_for_each(|labels| to.encode_info(labels)),
        Data::Counter(samples) => samples.iter().try_for_each(|(labels, value)| {
            labelled(&mut to, labels, |to| {
                to.encode_counter::<NoLabelSet, _, f64>(value, None)
            })
        }),
        Data::Gauge(samples) => samples
            .iter()
            .try_for_each(|(labels, value)| labelled(&mut to, labels, |to| to.encode_gauge(value))),
        Data::Histogram(samples) => samples.iter().try_for_each(|(labels, latency)| {
            let bounds = BUCKETS_US
                .iter()
                .map(|us| *us as f64 / 1e6)
                .chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(latency.buckets).collect();
            labelled(&mut to, labels, |to| {
                to.encode_histogram::<NoLabelSet>(latency.sum_us / 1e6, latency.count, &buckets, None)
            })
        }),
    }
}

/// Encodes one sample; the encoder wants one without labels to be no member of a family.
fn labelled(
    to: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if labels.is_empty() {
        encode(to)
    } else {
        encode(&mut to.encode_family(labels)?)
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut prometheus_client::encoding::GaugeValueEncoder<'_>) -> Result<(), Error> {
        match self {
            Number::Whole(value) => EncodeGaugeValue::encode(value, encoder),
            Number::Real(value) => EncodeGaugeValue::encode(value, encoder),
        }
    }
}

impl EncodeCounterValue for Number {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::CounterValueEncoder<'_>,
    ) -> Result<(), Error> {
        match self {
            Number::Whole(value) => EncodeCounterValue::encode(value, encoder),
            Number::Real(value) => EncodeCounterValue::encode(value, encoder),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect_file;
    use squall_engine::observer::{Measured, MeasuredFault, MeasuredLatency, MeasuredLoad, MeasuredService};
    use squall_model::event::RunHeader;

    use super::*;

    pub(in crate::metrics) fn view() -> View {
        let mut latency = MeasuredLatency {
            count: 4,
            sum_us: 61_000_300.0,
            recent: [Some(150), None, None, None],
            ..MeasuredLatency::default()
        };
        (latency.buckets[1], latency.buckets[2], latency.buckets[20]) = (1, 2, 1);
        let load = MeasuredLoad {
            name: "read".to_owned(),
            intended: 7,
            sent: 6,
            completed: 4,
            failed: 1,
            dropped: 1,
            in_flight: 2,
            errors: BTreeMap::from([("status_503".to_owned(), 1)]),
            target_rate: Some(100.0),
            response: latency.clone(),
            service: latency,
            ..MeasuredLoad::default()
        };
        View {
            header: RunHeader {
                scenario: "a \"b\" \\ c\nd".to_owned(),
                seed: 7,
                ..RunHeader::default()
            },
            measured: Measured {
                at_us: 1_500_000,
                phase: Some(("steady".to_owned(), 1)),
                phases: 3,
                loads: vec![load],
                services: vec![
                    MeasuredService {
                        name: "ids".to_owned(),
                        cpu_us: Some(250_000),
                        rss: Some(4_096),
                    },
                    MeasuredService {
                        name: "elsewhere".to_owned(),
                        ..MeasuredService::default()
                    },
                ],
                faults: vec![MeasuredFault {
                    name: "back".to_owned(),
                    kind: "clock".to_owned(),
                    holds: true,
                    proved: false,
                }],
            },
        }
    }

    #[test]
    fn a_view_is_the_text_of_open_metrics() {
        expect_file!["exposition.txt"].assert_eq(&text(&view()));
    }

    #[test]
    fn before_a_run_has_begun_there_are_families_without_samples() {
        let text = text(&View::default());
        assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
