//! Every number of a run that an expectation could have named: what baselines are made of. Read as the judge reads them, and only where
//! nothing spoils them.

use squall_load::oneshot::Totals;
use squall_model::baseline::{Key, Values};

use super::Evidence;
use super::value::{Value, load_value};
use crate::plan::{Metric, Names, Scope, is_known_in, nameable, stored_scope};

impl Evidence<'_> {
    /// The numbers, by scope.
    pub fn measured(&self) -> Values {
        let names = Names::of(self.plan);
        let mut metrics = nameable(self.plan);
        metrics.extend(self.told.iter().flat_map(|(service, told)| {
            told.keys().map(|name| Metric::Reported {
                service: service.clone(),
                name: name.clone(),
            })
        }));
        let phases = self.plan.phases.iter().enumerate();
        let phases = phases
            .filter(|(_, phase)| phase.measure)
            .map(|(at, _)| Scope::Phase(at));
        let faults = (0..self.plan.faults.len()).map(Scope::Fault);
        let mut values = Values::default();
        for scope in std::iter::once(Scope::Run).chain(phases).chain(faults) {
            // Merged once for all metrics of a load.
            let loads = 0..self.plan.loads.len();
            let totals: Vec<Totals> = loads.map(|load| self.totals(load, &scope)).collect();
            let seconds = self.seconds(&scope);
            let is_of_scope = |metric: &&Metric| {
                is_known_in(metric, &scope) && stored_scope(metric, &scope, &self.plan.phases) == scope
            };
            for metric in metrics.iter().filter(is_of_scope) {
                let value = match metric {
                    Metric::Load { load, what } => load_value(&totals[*load], *what, seconds),
                    other => self.value(other, &scope),
                };
                if let Value::Number(value) = value
                    && self.spoiled(metric, &scope).is_none()
                    && let Some((of, metric)) = names.stored_as(metric)
                {
                    let scope = self.scope_name(&scope);
                    values.put(Key { scope, of, metric }, value);
                }
            }
        }
        values
    }
}
