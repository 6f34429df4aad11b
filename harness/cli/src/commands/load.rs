//! `squall load`: load on one URL.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use squall_engine::measure::machine;
use squall_load::http1::RequestTemplate;
use squall_load::oneshot::{OneShot, Outcome};
use squall_load::url::HttpUrl;
use squall_load::{PacerKind, affinity};
use squall_model::exit::Exit;
use squall_model::histogram::Distribution;
use squall_model::record::{GeneratorRecord, LoadMode, LoadRecord, PhaseRecord, RunRecord, SCHEMA, Verdict};
use squall_model::seed::Seed;
use squall_model::units::{human, parse_duration};

use crate::arguments::LoadArguments;
use crate::output;

/// Puts load on a URL.
pub fn run(arguments: &LoadArguments) -> anyhow::Result<Exit> {
    let shot = match one_shot(arguments) {
        Ok(shot) => shot,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    let (rate, duration, about) = (shot.rate_per_s, shot.duration, placement(&shot));
    if !arguments.json {
        let how = match rate {
            Some(rate) => format!("open loop at {}", human::rate(rate)),
            None => format!("closed loop, {} users flat out", shot.connections),
        };
        output::note(&format!(
            "{} for {}, {how}",
            arguments.url,
            human::duration(duration)
        ));
    }
    let started_at =
        time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339)?;
    let outcome = shot.run()?;
    let record = record(arguments, started_at, rate, duration, about, &outcome);
    if arguments.json {
        output::line(&serde_json::to_string_pretty(&record)?);
    } else {
        print(
            &record.phases[0].load["load"],
            record.duration_us,
            &record.reasons,
        );
    }
    Ok(match record.verdict {
        Verdict::Pass => Exit::Pass,
        Verdict::Invalid | Verdict::Fail => Exit::Invalid,
    })
}

fn one_shot(arguments: &LoadArguments) -> anyhow::Result<OneShot> {
    let url: HttpUrl = arguments.url.parse()?;
    let target = url.resolve()?;
    if !target.addr.is_local() {
        bail!(
            "{} is not on this machine: this version puts load on loopback addresses only",
            arguments.url
        );
    }
    let header = |text: &String| {
        let (name, value) = text
            .split_once(':')
            .with_context(|| format!("the header `{text}` is not NAME: VALUE"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    let request = RequestTemplate {
        method: arguments.method.to_ascii_uppercase(),
        path: url.path,
        headers: arguments
            .headers
            .iter()
            .map(header)
            .collect::<anyhow::Result<_>>()?,
        body: arguments.body.clone().unwrap_or_default().into_bytes(),
    };
    request.check()?;
    let rate_per_s = arguments.rate.as_deref().map(parse_rate).transpose()?;
    let cpus = affinity::inherited_cpus().context("asking for the processors")?;
    let threads = arguments.threads.map_or_else(
        || affinity::default_threads(cpus.len()),
        |threads| threads as usize,
    );
    Ok(OneShot {
        target,
        request,
        connections: arguments.connections as usize,
        duration: parse_duration(&arguments.duration)
            .with_context(|| format!("--duration {}", arguments.duration))?,
        rate_per_s,
        pacer: PacerKind::Even,
        timeout: parse_duration(&arguments.timeout)
            .with_context(|| format!("--timeout {}", arguments.timeout))?,
        threads,
        cpus: affinity::plan_cpus(&cpus, threads).generator,
        seed: Seed::new(0),
    })
}

/// A rate with its unit, or requests per second where there is none, as other load generators take it.
fn parse_rate(text: &str) -> anyhow::Result<f64> {
    use squall_model::units::{Quantity as _, Rate};
    let rate = match text.parse::<f64>() {
        Ok(number) => number,
        Err(_) => Rate::parse(text).with_context(|| format!("--rate {text}"))?.get(),
    };
    if rate > 0.0 {
        Ok(rate)
    } else {
        bail!("--rate {text}: a rate must be above zero")
    }
}

fn placement(shot: &OneShot) -> String {
    match &shot.cpus {
        Some(cpus) => format!("generator on processors {cpus:?}"),
        None => "generator not pinned".to_owned(),
    }
}

fn record(
    arguments: &LoadArguments,
    started_at: String,
    rate: Option<f64>,
    duration: Duration,
    placement: String,
    outcome: &Outcome,
) -> RunRecord {
    let mode = if rate.is_some() {
        LoadMode::Open
    } else {
        LoadMode::Closed
    };
    let users = rate.is_none().then_some(arguments.connections);
    let length_us = duration.as_micros() as u64;
    let load: LoadRecord =
        squall_engine::measure::collector::load_record(&outcome.totals, mode, rate, users, length_us);
    let reasons = squall_engine::measure::validity::doubts("load", mode, &outcome.totals);
    let verdict = if reasons.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Invalid
    };
    let exit = if reasons.is_empty() {
        Exit::Pass
    } else {
        Exit::Invalid
    };
    RunRecord {
        squall: env!("CARGO_PKG_VERSION").to_owned(),
        schema: SCHEMA,
        scenario: "load".to_owned(),
        about: arguments.url.clone(),
        source: String::new(),
        command: String::new(),
        seed: 0,
        started_at,
        duration_us: outcome.elapsed_us,
        revision: "none".to_owned(),
        quick: false,
        machine: machine::describe(),
        verdict,
        reasons: reasons.clone(),
        exit_code: exit.code(),
        phases: vec![PhaseRecord {
            name: "load".to_owned(),
            start_us: 0,
            end_us: length_us,
            measure: true,
            complete: true,
            invalid: reasons,
            load: BTreeMap::from([("load".to_owned(), load)]),
            ..PhaseRecord::default()
        }],
        faults: Vec::new(),
        invariants: Vec::new(),
        expectations: Vec::new(),
        edges: Vec::new(),
        generator: GeneratorRecord {
            cpu_us: outcome.usage.cpu_us,
            placement,
            schedule_lag: Distribution::of(&outcome.totals.lag),
            verdict: Some(verdict),
            ..GeneratorRecord::default()
        },
        merged: None,
    }
}

fn print(load: &LoadRecord, elapsed_us: u64, reasons: &[String]) {
    let time = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |us| human::microseconds(us as f64));
    output::line(&format!(
        "{} requests in {}: {}, {} failed, {} dropped",
        human::count(load.completed),
        human::microseconds(elapsed_us as f64),
        human::rate(load.throughput),
        human::count(load.failed),
        human::count(load.dropped)
    ));
    let rows: &[(&str, &Distribution)] = match load.mode {
        LoadMode::Open => &[("response", &load.response), ("service", &load.service)],
        _ => &[("service", &load.service)],
    };
    output::line(&format!(
        "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "P50", "P90", "P99", "P99.9", "P99.99", "max"
    ));
    for (name, latency) in rows {
        output::line(&format!(
            "{name:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            time(latency.p50),
            time(latency.p90),
            time(latency.p99),
            time(latency.p999),
            time(latency.p9999),
            time(latency.max)
        ));
    }
    if load.mode == LoadMode::Closed {
        output::line(
            "closed loop: a user waits for its answer, so queueing at the service is not seen; use -r for that",
        );
    }
    for (kind, count) in &load.errors {
        output::line(&format!("  {kind}: {}", human::count(*count)));
    }
    for reason in reasons {
        output::note(&format!("invalid: {reason}"));
    }
}
