//! Whether the load generator itself kept up: a late generator makes slow numbers that are not the service's.

use super::Detail;
use crate::block::{Block, Cell};
use crate::figure;
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let generator = &recording.record.generator;
    if detail == Detail::Brief || generator.threads == 0 {
        return Vec::new();
    }
    let duration = |us: Option<u64>| figure::or_absent(us, |us| figure::duration(us as f64));
    let lag = &generator.schedule_lag;
    let host = &generator.host_pauses;
    let completed: u64 = recording
        .record
        .phases
        .iter()
        .flat_map(|p| p.load.values())
        .map(|load| load.completed)
        .sum();
    let per_request = (completed > 0).then(|| generator.cpu_us as f64 / completed as f64);
    let mut rows: Vec<(String, Cell)> = Vec::new();
    if let Some(verdict) = generator.verdict {
        rows.push(("Kept its schedule".to_owned(), Cell::verdict(verdict)));
    }
    let mut row = |name: &str, text: String| rows.push((name.to_owned(), Cell::plain(text)));
    if lag.count > 0 {
        row(
            "Behind its schedule",
            format!(
                "P50 {}, P99 {}, at most {}",
                duration(lag.p50),
                duration(lag.p99),
                duration(lag.max)
            ),
        );
    }
    let each = per_request.map_or_else(String::new, |us| {
        format!(", {} per request", figure::duration(us))
    });
    let threads = if generator.threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{} threads", generator.threads)
    };
    row(
        "CPU time",
        format!("{} on {threads}{each}", figure::duration(generator.cpu_us as f64)),
    );
    if !generator.placement.is_empty() {
        row("Placement", generator.placement.clone());
    }
    row(
        "Pauses of this machine",
        format!(
            "{} in all, {} long together, P99 {}, longest {}",
            figure::count(host.count),
            figure::duration(host.total as f64),
            duration(host.p99),
            duration(host.max)
        ),
    );
    row(
        "Cost of watching the machine",
        format!(
            "{} of CPU time",
            figure::duration(generator.host_meter_cpu_us as f64)
        ),
    );
    vec![Block::Definitions(rows)]
}
