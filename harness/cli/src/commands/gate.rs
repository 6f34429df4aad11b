//! `squall gate`: holds a candidate against its base on this machine.

mod subject;

use std::time::Instant;

use squall_engine::gate::{self, Block};
use squall_model::exit::Exit;
use squall_model::gate::Both;

use crate::arguments::GateArguments;
use crate::{diagnostics, output, scenarios, stopping};
use subject::{Prepared, here, prepare};

/// Gates scenarios, one after the other.
pub fn run(arguments: &GateArguments) -> anyhow::Result<Exit> {
    let stop = stopping::on_signals()?;
    let seed = arguments.seed.map_or_else(scenarios::draw_seed, Ok)?;
    for name in &arguments.scenarios {
        let places = Both::from_fn(|arm| here(name, arm.as_str()));
        let subject = match prepare(name, arguments, seed, &places)? {
            Prepared::Ready(subject) => subject,
            Prepared::Wrong(read) | Prepared::NoBase(read, _) => {
                diagnostics::print(&read);
                return Ok(Exit::ScenarioWrong);
            }
        };
        let began = Instant::now();
        for number in 1..=4 {
            let block = Block {
                plans: &subject.plans,
                catalogues: &subject.catalogues,
                number,
                began,
                folder: &arguments.out.join("blocks").join(format!("{number:03}")),
                command: "squall gate",
            };
            let outcome = gate::run(&block, &stop)?;
            for failure in &outcome.failures {
                output::note(&format!("{failure:?}"));
            }
            output::line(&serde_json::to_string_pretty(&outcome.record)?);
        }
    }
    Ok(Exit::Pass)
}
