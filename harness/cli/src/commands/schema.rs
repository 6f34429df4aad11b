//! `squall schema`: the JSON Schema of scenarios.

use squall_engine::fault::FAULTS;
use squall_engine::plan::{INVARIANTS, PACERS, PROTOCOLS};
use squall_model::exit::Exit;
use squall_model::scenario::{Described, Vocabulary, schema};

use crate::output;

/// Prints it.
pub fn run() -> anyhow::Result<Exit> {
    output::line(&serde_json::to_string_pretty(&schema(&vocabulary()))?);
    Ok(Exit::Pass)
}

/// What the registries know.
pub fn vocabulary() -> Vocabulary {
    Vocabulary {
        faults: FAULTS
            .iter()
            .map(|fault| Described {
                name: fault.name,
                about: fault.about,
                schema: (fault.schema)(),
            })
            .collect(),
        protocols: PROTOCOLS
            .iter()
            .map(|protocol| Described {
                name: protocol.name,
                about: protocol.about,
                schema: (protocol.schema)(),
            })
            .collect(),
        arrivals: PACERS
            .iter()
            .map(|pacer| Described {
                name: pacer.name,
                about: pacer.about,
                schema: (pacer.schema)(),
            })
            .collect(),
        invariants: INVARIANTS
            .iter()
            .map(|kind| Described {
                name: kind.name,
                about: kind.about,
                schema: kind.schema(),
            })
            .collect(),
    }
}
