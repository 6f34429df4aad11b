//! `squall list`: what there is, a line each.

use serde_json::{Map, Value, json};
use squall_engine::fault::FAULTS;
use squall_engine::plan::{INVARIANTS, PACERS, PROTOCOLS};
use squall_model::exit::Exit;

use crate::arguments::ListArguments;
use crate::catalogue::SERVICES;
use crate::{output, scenarios};

/// A kind of thing, and all there are: name and one line.
type Section = (&'static str, Vec<(String, String)>);

/// Lists.
pub fn run(arguments: &ListArguments) -> anyhow::Result<Exit> {
    let sections = sections();
    if arguments.json {
        let mut all = Map::new();
        for (kind, entries) in sections {
            let entries: Vec<Value> = entries
                .iter()
                .map(|(name, about)| json!({"name": name, "about": about}))
                .collect();
            all.insert(kind.to_owned(), Value::Array(entries));
        }
        output::line(&serde_json::to_string_pretty(&all)?);
        return Ok(Exit::Pass);
    }
    for (kind, entries) in sections {
        output::line(kind);
        let width = entries
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (name, about) in entries {
            output::line(&format!("  {name:<width$}  {about}"));
        }
        output::line("");
    }
    Ok(Exit::Pass)
}

fn sections() -> Vec<Section> {
    let pair = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    vec![
        (
            "scenarios",
            scenarios::all().iter().map(|path| scenario(path)).collect(),
        ),
        (
            "services",
            SERVICES
                .iter()
                .map(|service| pair(service.name, service.about))
                .collect(),
        ),
        (
            "faults",
            FAULTS.iter().map(|fault| pair(fault.name, fault.about)).collect(),
        ),
        (
            "protocols",
            PROTOCOLS
                .iter()
                .map(|protocol| pair(protocol.name, protocol.about))
                .collect(),
        ),
        (
            "pacers",
            PACERS.iter().map(|pacer| pair(pacer.name, pacer.about)).collect(),
        ),
        (
            "invariants",
            INVARIANTS
                .iter()
                .map(|kind| pair(kind.name, kind.about))
                .collect(),
        ),
    ]
}

fn scenario(path: &std::path::Path) -> (String, String) {
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let read = scenarios::read(&path.display().to_string(), &scenarios::How::default());
    let about = match read {
        Ok(scenarios::Read { plan: Some(plan), .. }) => plan.about,
        _ => "has errors: see `squall check`".to_owned(),
    };
    (name, about.split_whitespace().collect::<Vec<_>>().join(" "))
}
