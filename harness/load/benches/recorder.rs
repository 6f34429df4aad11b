//! What it costs to record one sample, beside `HdrHistogram` itself. The bar is 15 ns a sample.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_core::Rng;
use squall_load::recorder::Recorder;
use squall_model::histogram::empty;
use squall_model::seed::Seed;

const SAMPLES: usize = 1 << 16;

/// Latencies as a service has them: most near 200 us, a tail over several powers of two.
fn latencies_ns() -> Vec<u64> {
    let mut rng = Seed::new(7).rng();
    let latency_ns = |bits: u64| 150_000 + (bits & 0xffff) * (1 << ((bits >> 32).trailing_zeros().min(12)));
    (0..SAMPLES).map(|_| latency_ns(rng.next_u64())).collect()
}

fn record(c: &mut Criterion) {
    let latencies = latencies_ns();
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    group.bench_function("recorder", |bench| {
        let mut recorder = Recorder::new();
        bench.iter(|| {
            for &latency_ns in &latencies {
                recorder.record_ns(black_box(latency_ns));
            }
        });
    });
    group.bench_function("recorder, handed over every 2,000", |bench| {
        let mut recorder = Recorder::new();
        bench.iter(|| {
            for chunk in latencies.chunks(2_000) {
                for &latency_ns in chunk {
                    recorder.record_ns(black_box(latency_ns));
                }
                black_box(recorder.take());
            }
        });
    });
    group.bench_function("hdrhistogram", |bench| {
        let mut histogram = empty();
        bench.iter(|| {
            for &latency_ns in &latencies {
                histogram.saturating_record(black_box(latency_ns) / 1_000);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
