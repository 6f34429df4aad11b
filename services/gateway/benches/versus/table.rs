//! What was measured, as a table: medians, and ratios between ways that were measured right after each other.

/// A way from the client to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    Gateway,
    Nginx,
    HaProxy,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Gateway => "gateway",
            Way::Nginx => "nginx",
            Way::HaProxy => "HAProxy",
        }
    }
}

/// One measurement of one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) way: Way,
    /// With one connection.
    pub(crate) p50_ns: u64,
    /// With 64 connections.
    pub(crate) per_second: f64,
}

fn of(measured: &[Measured], way: Way) -> Vec<Measured> {
    measured.iter().copied().filter(|one| one.way == way).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a way adds to the direct one's median, in microseconds, each time.
fn added_us(measured: &[Measured], way: Way) -> Vec<f64> {
    let direct = of(measured, Way::Direct);
    let ways = of(measured, way);
    let pairs = ways.iter().zip(&direct);
    pairs
        .map(|(way, direct)| (way.p50_ns as f64 - direct.p50_ns as f64) / 1_000.0)
        .collect()
}

fn per_second(measured: &[Measured], way: Way) -> Vec<f64> {
    of(measured, way).iter().map(|one| one.per_second).collect()
}

fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let pairs = ours.iter().zip(theirs);
    median(pairs.map(|(ours, theirs)| ours / theirs).collect())
}

/// Prints the table and the ratios.
pub(crate) fn print(measured: &[Measured]) {
    let rounds = of(measured, Way::Direct).len();
    println!(
        "medians of {rounds} rounds, the ways one after the other in each; GET, 16 bytes of body, HTTP/1.1 on both sides"
    );
    println!("          P50, 1 connection   added P50   requests/s, 64 connections");
    for way in [Way::Direct, Way::Gateway, Way::Nginx, Way::HaProxy] {
        let ones = of(measured, way);
        if ones.is_empty() {
            continue;
        }
        let p50_us = median(ones.iter().map(|one| one.p50_ns as f64 / 1_000.0).collect());
        let added = match way {
            Way::Direct => "         -".to_owned(),
            _ => format!("{:7.1} us", median(added_us(measured, way))),
        };
        println!(
            "{:<8}  {p50_us:14.1} us  {added}  {:27.0}",
            way.name(),
            median(per_second(measured, way))
        );
    }
    let added = median(added_us(measured, Way::Gateway));
    println!("gateway: added P50 {added:.1} us (goal: at most 60)");
    let throughput = per_second(measured, Way::Gateway);
    for (other, goal) in [(Way::Nginx, " (goal: at least 0.5)"), (Way::HaProxy, "")] {
        if !of(measured, other).is_empty() {
            let ratio = ratio(&throughput, &per_second(measured, other));
            println!("gateway / {}: throughput {ratio:.2}{goal}", other.name());
        }
    }
}
