//! One instance of a plug-in: its memory and its globals, used by one call at a time.

use std::sync::Arc;

use wasmi::errors::ErrorKind;
use wasmi::{Error, Linker, Module, Store, TrapCode, TypedFunc};

use super::abi::{self, Call, Refused};
use super::{Clusters, FUEL_MAX, Metadata, PluginFailure, Target};
use crate::route::RouteRequest;

pub(super) struct Instance {
    store: Store<Call>,
    route: TypedFunc<(), ()>,
}

impl Instance {
    pub(super) fn new(
        module: &Module,
        linker: &Linker<Call>,
        metadata: &Arc<Metadata>,
    ) -> Result<Self, Error> {
        let mut store = Store::new(module.engine(), Call::new(Arc::clone(metadata)));
        store.limiter(|call| &mut call.limits);
        store.set_fuel(FUEL_MAX)?;
        let instance = linker.instantiate_and_start(&mut store, module)?;
        store.data_mut().memory = instance.get_memory(&store, abi::MEMORY);
        let route = instance.get_typed_func(&store, abi::ROUTE)?;
        Ok(Self { store, route })
    }

    /// Asks it about a request. After a failure it must not be used again.
    pub(super) fn call(
        &mut self,
        request: &RouteRequest<'_>,
        clusters: Clusters<'_>,
    ) -> Result<Option<Target>, PluginFailure> {
        self.store.data_mut().begin(request);
        self.store
            .set_fuel(FUEL_MAX)
            .map_err(|_| PluginFailure::Internal)?;
        self.route
            .call(&mut self.store, ())
            .map_err(|error| failure(&error))?;
        let Some((cluster, weight)) = self.store.data().target() else {
            return Ok(None);
        };
        if !(0.0..=1.0).contains(&weight) {
            return Err(PluginFailure::Weight);
        }
        let cluster = clusters(cluster).ok_or(PluginFailure::Cluster)?;
        Ok(Some(Target { cluster, weight }))
    }
}

pub(super) fn failure(error: &Error) -> PluginFailure {
    if let Some(Refused(failure)) = error.downcast_ref() {
        return *failure;
    }
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => PluginFailure::Fuel,
        Some(TrapCode::GrowthOperationLimited) => PluginFailure::Memory,
        Some(_) => PluginFailure::Trap,
        None => match error.kind() {
            ErrorKind::Memory(_) | ErrorKind::Table(_) => PluginFailure::Memory,
            ErrorKind::Fuel(_) => PluginFailure::Fuel,
            _ => PluginFailure::Internal,
        },
    }
}
