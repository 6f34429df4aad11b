//! What was measured, as a table: medians, and ratios between ways that were measured right after each other.

/// A way from the client to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    Squall,
    HaProxy,
    Noxious,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Squall => "squall",
            Way::HaProxy => "HAProxy",
            Way::Noxious => "noxious",
        }
    }
}

/// One measurement of one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) way: Way,
    /// With one connection.
    pub(crate) p50_ns: u64,
    /// With 32 connections.
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
    let added = ways
        .iter()
        .zip(&direct)
        .map(|(way, direct)| way.p50_ns as f64 - direct.p50_ns as f64);
    added.map(|ns| ns / 1_000.0).collect()
}

fn per_second(measured: &[Measured], way: Way) -> Vec<f64> {
    of(measured, way).iter().map(|one| one.per_second).collect()
}

fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect(),
    )
}

/// Prints the table and the ratios.
pub(crate) fn print(measured: &[Measured]) {
    let rounds = of(measured, Way::Direct).len();
    println!("medians of {rounds} rounds, the ways one after the other in each; 128 bytes there and back");
    println!("          P50, 1 connection   added P50   round trips/s, 32 connections");
    for way in [Way::Direct, Way::Squall, Way::HaProxy, Way::Noxious] {
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
            "{:<8}  {p50_us:14.1} us  {added}  {:30.0}",
            way.name(),
            median(per_second(measured, way))
        );
    }
    let (added, throughput) = (added_us(measured, Way::Squall), per_second(measured, Way::Squall));
    for (other, limit) in [(Way::HaProxy, "at most 1"), (Way::Noxious, "at most 0.5")] {
        if of(measured, other).is_empty() {
            continue;
        }
        println!(
            "squall / {}: added P50 {:.2} (goal: {limit}), throughput {:.2}{}",
            other.name(),
            ratio(&added, &added_us(measured, other)),
            ratio(&throughput, &per_second(measured, other)),
            if other == Way::HaProxy {
                " (goal: at least 0.9)"
            } else {
                ""
            },
        );
    }
}
