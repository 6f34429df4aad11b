//! Pushes a run's numbers to an OpenTelemetry collector: OTLP over HTTP with Protobuf, at `<endpoint>/v1/metrics`.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>. One thread pushes what stands on the board; a collector that is slow or
//! gone costs pushes and nothing else. A push is never repeated: the next one holds everything again, since sums are
//! cumulative from the run's start.

use std::time::Duration;

use anyhow::{Context as _, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use squall_engine::observer::{BUCKETS_US, MeasuredLatency};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::family::{Data, Family, Labels, Number, Samples, Unit, families};
use super::{Board, View};
use crate::output;

/// How often numbers are pushed.
const EVERY: Duration = Duration::from_secs(5);

/// How long one push may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Failed pushes that are told.
const TOLD: u32 = 3;

/// Pushes until it is dropped.
pub struct Pusher {
    wish: Sender<Sender<()>>,
}

impl Pusher {
    /// Begins to push to the collector at `endpoint`, such as `http://127.0.0.1:4318`.
    pub fn start(endpoint: &str, board: Board) -> anyhow::Result<Pusher> {
        if !endpoint.starts_with("http://") {
            bail!(
                "--otlp {endpoint}: only http:// is spoken; put a collector on this machine that speaks more"
            );
        }
        let url = format!("{}/v1/metrics", endpoint.trim_end_matches('/'));
        let (wish, wishes) = bounded(1);
        std::thread::Builder::new()
            .name("squall-otlp".to_owned())
            .spawn(move || push_all(&url, &board, &wishes))
            .context("starting the thread that pushes")?;
        Ok(Pusher { wish })
    }

    /// Pushes what stands on the board now, and waits until that has been tried.
    pub fn flush(&self) {
        let (done, is_done) = bounded(1);
        // A thread that has gone pushes nothing, and has said why.
        let _ = self.wish.send_timeout(done, PATIENCE);
        let _ = is_done.recv_timeout(2 * PATIENCE);
    }
}

fn push_all(url: &str, board: &Board, wishes: &Receiver<Sender<()>>) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut failed = 0;
    loop {
        let wish = match wishes.recv_timeout(EVERY) {
            Ok(wish) => Some(wish),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(request) = request(&board.view()) {
            let sent = agent
                .post(url)
                .header("content-type", "application/x-protobuf")
                .send(&request.encode_to_vec()[..]);
            if let Err(e) = sent {
                failed += 1;
                if failed <= TOLD {
                    output::note(&format!(
                        "warning: pushing metrics to {url}: {e}; the run is not affected"
                    ));
                }
            }
        }
        drop(wish);
    }
}

/// A view as a collector takes it; nothing before a run has begun.
fn request(view: &View) -> Option<ExportMetricsServiceRequest> {
    let started = OffsetDateTime::parse(&view.header.started_at, &Rfc3339).ok()?;
    let start_nanos = u64::try_from(started.unix_timestamp_nanos()).ok()?;
    let times = Times {
        start_nanos,
        at_nanos: start_nanos + view.measured.at_us * 1_000,
    };
    let resource = [
        ("service.name", "squall".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("squall.scenario", view.header.scenario.clone()),
    ];
    Some(ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: attributes(&resource),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "squall".to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: families(view)
                    .into_iter()
                    .map(|family| times.metric(family))
                    .collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    })
}

/// From when to when everything in a request was counted.
#[derive(Clone, Copy)]
struct Times {
    start_nanos: u64,
    at_nanos: u64,
}

impl Times {
    fn metric(self, family: Family) -> Metric {
        let (mut name, unit) = (family.name.to_owned(), family.unit);
        let data = match family.data {
            // There is no such kind: by custom it is a gauge that is always one.
            Data::Info(facts) => {
                name += "_info";
                let ones = facts.into_iter().map(|labels| (labels, Number::Whole(1)));
                metric::Data::Gauge(Gauge {
                    data_points: self.numbers(ones.collect()),
                })
            }
            Data::Gauge(samples) => metric::Data::Gauge(Gauge {
                data_points: self.numbers(samples),
            }),
            Data::Counter(samples) => metric::Data::Sum(Sum {
                data_points: self.numbers(samples),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            Data::Histogram(samples) => metric::Data::Histogram(Histogram {
                data_points: samples
                    .into_iter()
                    .map(|(labels, latency)| self.histogram(&labels, &latency))
                    .collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
        };
        // Units by UCUM, as OpenTelemetry has them.
        let unit = match unit {
            Some(Unit::Seconds) => "s",
            Some(Unit::Bytes) => "By",
            None => "",
        };
        Metric {
            name,
            description: family.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    fn numbers(self, samples: Samples<Number>) -> Vec<NumberDataPoint> {
        let point = |(labels, value): (Labels, Number)| NumberDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: self.start_nanos,
            time_unix_nano: self.at_nanos,
            value: Some(match value {
                Number::Whole(value) => {
                    number_data_point::Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
                }
                Number::Real(value) => number_data_point::Value::AsDouble(value),
            }),
            ..NumberDataPoint::default()
        };
        samples.into_iter().map(point).collect()
    }

    fn histogram(self, labels: &Labels, latency: &MeasuredLatency) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start_nanos,
            time_unix_nano: self.at_nanos,
            count: latency.count,
            sum: Some(latency.sum_us / 1e6),
            bucket_counts: latency.buckets.to_vec(),
            explicit_bounds: BUCKETS_US.iter().map(|us| *us as f64 / 1e6).collect(),
            ..HistogramDataPoint::default()
        }
    }
}

fn attributes(labels: &[(&'static str, String)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&'static str, String)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.clone())),
        }),
        ..KeyValue::default()
    };
    labels.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::metrics::exposition::tests::view;

    /// One request as a collector gets it: its head and its body.
    fn take(stream: &mut TcpStream) -> (String, Vec<u8>) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let end = bytes
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
                .map(|at| at + 4);
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.expect("a length").parse().expect("a number");
                if bytes.len() >= end + length {
                    return (head, bytes[end..].to_vec());
                }
            }
            let read = stream.read(&mut chunk).expect("readable");
            assert!(read > 0, "cut off");
            bytes.extend_from_slice(&chunk[..read]);
        }
    }

    fn begun() -> View {
        let mut view = view();
        view.header.started_at = "2026-11-22T19:59:50.5Z".to_owned();
        view
    }

    #[test]
    fn a_collector_gets_every_family_with_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let board = Board::default();
        board.put(begun());
        let pusher = Pusher::start(&format!("http://{address}/"), board).expect("started");
        let flushing = std::thread::spawn(move || pusher.flush());
        let (mut stream, _) = listener.accept().expect("pushed");
        let (head, body) = take(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .expect("answered");
        flushing.join().expect("it waits no longer");
        assert!(head.starts_with("post /v1/metrics http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let request = ExportMetricsServiceRequest::decode(&body[..]).expect("what a collector decodes");
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        assert_eq!(metrics.len(), families(&begun()).len());
        let metric = |name: &str| metrics.iter().find(|metric| metric.name == name).expect("sent");
        let Some(metric::Data::Sum(requests)) = &metric("squall_requests").data else {
            panic!("{metrics:?}")
        };
        assert!(requests.is_monotonic);
        let ok = &requests.data_points[0];
        assert_eq!(ok.value, Some(number_data_point::Value::AsInt(3)));
        assert_eq!(ok.start_time_unix_nano, 1_795_377_590_500_000_000);
        assert_eq!(ok.time_unix_nano - ok.start_time_unix_nano, 1_500_000_000);
        let labels: Vec<&str> = ok.attributes.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(labels, ["load", "outcome"]);
        let response = metric("squall_response_time");
        let Some(metric::Data::Histogram(histogram)) = &response.data else {
            panic!("{response:?}")
        };
        let point = &histogram.data_points[0];
        assert_eq!((response.unit.as_str(), point.count), ("s", 4));
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), 4);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }

    #[test]
    fn a_collector_that_is_gone_holds_nothing_up() {
        let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = gone.local_addr().expect("bound");
        drop(gone);
        let board = Board::default();
        board.put(begun());
        Pusher::start(&format!("http://{address}"), board)
            .expect("started")
            .flush();
    }

    #[test]
    fn before_a_run_has_begun_there_is_nothing_to_push() {
        assert!(request(&View::default()).is_none());
        assert!(Pusher::start("https://127.0.0.1:1", Board::default()).is_err());
    }
}
