//! `squall faults`: what this machine allows, fault by fault and way by way, and what would allow the rest.

use serde_json::{Value, json};
use squall_engine::fault::{FAULTS, FaultKind, Here, Lack, Way};
use squall_engine::run::existing;
use squall_model::exit::Exit;

use crate::arguments::FaultsArguments;
use crate::output;

/// Says it. What is missing here is no failure of this command.
pub fn run(arguments: &FaultsArguments) -> anyhow::Result<Exit> {
    let here = Here {
        reports: existing(&arguments.out),
    };
    if arguments.json {
        let all: Vec<Value> = FAULTS.iter().map(|kind| as_json(kind, &here)).collect();
        output::line(&serde_json::to_string_pretty(&all)?);
        return Ok(Exit::Pass);
    }
    for kind in FAULTS {
        output::line(&format!("{}: {}", kind.name, kind.about));
        for way in kind.ways {
            for line in told(way, (way.check)(&here)) {
                output::line(&line);
            }
        }
        output::line("");
    }
    Ok(Exit::Pass)
}

fn told(way: &Way, found: Result<(), Lack>) -> Vec<String> {
    match found {
        Ok(()) => vec![format!("  available  {}: {}", way.name, way.about)],
        Err(lack) => vec![
            format!("  missing    {}: {}", way.name, way.about),
            format!("             {}", lack.missing),
            format!("             to unlock: {}", lack.unlock),
        ],
    }
}

fn as_json(kind: &FaultKind, here: &Here) -> Value {
    let way = |way: &Way| {
        let lack = (way.check)(here).err();
        json!({
            "name": way.name,
            "about": way.about,
            "available": lack.is_none(),
            "missing": lack.as_ref().map(|lack| &lack.missing),
            "unlock": lack.as_ref().map(|lack| &lack.unlock),
        })
    };
    let ways: Vec<Value> = kind.ways.iter().map(way).collect();
    json!({"name": kind.name, "about": kind.about, "ways": ways})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_unlocks_it() {
        let way = Way {
            name: "packets",
            about: "drops them",
            check: |_| Ok(()),
        };
        assert_eq!(
            told(&way, (way.check)(&here())),
            ["  available  packets: drops them"]
        );
        let lack = Lack {
            missing: "user namespaces are off".to_owned(),
            unlock: "sysctl kernel.unprivileged_userns_clone=1".to_owned(),
        };
        assert_eq!(
            told(&way, Err(lack)),
            [
                "  missing    packets: drops them",
                "             user namespaces are off",
                "             to unlock: sysctl kernel.unprivileged_userns_clone=1"
            ]
        );
    }

    #[test]
    fn every_fault_has_its_ways_in_json() {
        for kind in FAULTS {
            let shown = as_json(kind, &here());
            assert_eq!(shown["ways"].as_array().map(Vec::len), Some(kind.ways.len()));
            assert!(shown["ways"][0]["available"].is_boolean(), "{shown}");
        }
    }

    fn here() -> Here {
        Here {
            reports: std::env::temp_dir(),
        }
    }
}
