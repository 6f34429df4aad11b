//! Routing plug-ins: WebAssembly modules that see a request and may name the cluster it goes to, for a share of the users.
//!
//! What a plug-in may import and must export is its [`abi`]; docs/decisions/020-gateway-plugin-abi.md says why it is one of our own. What is
//! pushed is compiled, checked and tried on a request without headers before anything sees it; then one pointer is swapped. A call has a
//! budget of fuel and memory. Whatever goes wrong in it is a [`PluginFailure`], and the request goes where the table says; never does
//! a plug-in fail a request, hold one up beyond its fuel, or see another plug-in's memory.
//!
//! Instances are kept and used again. Nothing is reset between calls: globals and memory stay as the last call left them, so a plug-in that
//! counts on fresh ones must set them itself. After a failure an instance is thrown away.

mod abi;
mod failure;
mod instance;
mod slot;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use wasmi::{CompilationMode, Config, Engine, ExternType, Linker, Module};

use self::abi::Call;
pub use self::failure::{PluginError, PluginFailure};
use self::instance::Instance;
pub(crate) use self::slot::Slot;
use crate::route::RouteRequest;

/// How much fuel a call has: about as many instructions, and more for what the host does.
pub const FUEL_MAX: u64 = 100_000;
/// How large a plug-in's memory may grow, in bytes.
pub const MEMORY_BYTES_MAX: usize = 1 << 20;
/// How many elements its table may have.
pub const TABLE_ELEMENTS_MAX: usize = 1_024;
/// After how many failures in a row a plug-in is asked no more, until another or another table is put in force.
pub const FAILURES_MAX: u32 = 10;
/// How deep calls inside a plug-in may nest.
const RECURSION_MAX: usize = 256;
/// How large the stack of a call may grow, in bytes.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// How many instances are kept for the next calls.
const INSTANCES_MAX: usize = 64;

/// What a plug-in can ask about the gateway itself, such as `version` and `region`.
pub type Metadata = BTreeMap<String, String>;

/// What a plug-in wants done with a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// One that there is.
    pub(crate) cluster: Arc<str>,
    /// The share of users for whom it holds: 0 to 1.
    pub(crate) weight: f64,
}

/// Finds a cluster by its name.
pub(crate) type Clusters<'a> = &'a dyn Fn(&str) -> Option<Arc<str>>;

/// A plug-in in force, or one that was: requests under way keep it.
pub(crate) struct Plugin {
    number: u64,
    module: Module,
    linker: Linker<Call>,
    metadata: Arc<Metadata>,
    idle: Mutex<Vec<Instance>>,
    failures_in_a_row: AtomicU32,
    quarantined: AtomicBool,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Compiles a binary module and checks that it is one of our plug-ins. Runs nothing of it.
    fn compile(number: u64, binary: &[u8], metadata: Arc<Metadata>) -> Result<Self, PluginError> {
        // An engine keeps the code of all modules it ever compiled, so each plug-in has one of its own.
        let engine = Engine::new(&config());
        let unusable = |error: wasmi::Error| PluginError::Module(error.to_string());
        let module = Module::new(&engine, binary).map_err(unusable)?;
        check_imports(&module)?;
        check_exports(&module)?;
        let linker = abi::linker(&engine).map_err(unusable)?;
        // That there can be one is found out here; it is the first to be used.
        let instance = Instance::new(&module, &linker, &metadata).map_err(unusable)?;
        Ok(Self {
            number,
            linker,
            module,
            metadata,
            idle: Mutex::new(vec![instance]),
            failures_in_a_row: AtomicU32::new(0),
            quarantined: AtomicBool::new(false),
        })
    }

    /// What it says about a request: nothing, or a target that is sound.
    fn call(
        &self,
        request: &RouteRequest<'_>,
        clusters: Clusters<'_>,
    ) -> Result<Option<Target>, PluginFailure> {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let mut instance = match self.take() {
                Some(instance) => instance,
                None => Instance::new(&self.module, &self.linker, &self.metadata)
                    .map_err(|error| instance::failure(&error))?,
            };
            let target = instance.call(request, clusters)?;
            Ok((instance, target))
        }));
        // A defect of the interpreter is the plug-in's failure too, not the request's.
        let (instance, target) = called.unwrap_or(Err(PluginFailure::Internal))?;
        self.keep(instance);
        Ok(target)
    }

    fn take(&self) -> Option<Instance> {
        match self.idle.try_lock() {
            Ok(mut idle) => idle.pop(),
            Err(TryLockError::Poisoned(idle)) => idle.into_inner().pop(),
            // A new instance costs less than to wait for who knows how long.
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn keep(&self, instance: Instance) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < INSTANCES_MAX {
            idle.push(instance);
        }
    }

    /// Takes note of how a call ended; true for the one failure by which it comes into quarantine.
    fn note(&self, failed: bool) -> bool {
        if !failed {
            if self.failures_in_a_row.load(Ordering::Relaxed) > 0 {
                self.failures_in_a_row.store(0, Ordering::Relaxed);
            }
            return false;
        }
        let failures = self
            .failures_in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        failures >= FAILURES_MAX && !self.quarantined.swap(true, Ordering::Relaxed)
    }

    fn forgive(&self) {
        self.failures_in_a_row.store(0, Ordering::Relaxed);
        self.quarantined.store(false, Ordering::Relaxed);
    }

    fn is_quarantined(&self) -> bool {
        self.quarantined.load(Ordering::Relaxed)
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .allow_start_fn(false)
        .ignore_custom_sections(true)
        // All of it off the path of requests.
        .compilation_mode(CompilationMode::Eager)
        .wasm_multi_memory(false)
        .set_max_recursion_depth(RECURSION_MAX)
        .set_min_stack_height(1024)
        .set_max_stack_height(STACK_BYTES_MAX);
    config
}

fn check_imports(module: &Module) -> Result<(), PluginError> {
    let unknown = module
        .imports()
        .find(|import| import.module() != abi::MODULE || !abi::FUNCTIONS.contains(&import.name()));
    match unknown {
        Some(import) => Err(PluginError::Import(format!(
            "{}.{}",
            import.module(),
            import.name()
        ))),
        None => Ok(()),
    }
}

fn check_exports(module: &Module) -> Result<(), PluginError> {
    match module.get_export(abi::ROUTE) {
        Some(ExternType::Func(ty)) if ty.params().is_empty() && ty.results().is_empty() => {}
        _ => {
            return Err(PluginError::Export(
                abi::ROUTE,
                "a function without parameters and results",
            ));
        }
    }
    match module.get_export(abi::MEMORY) {
        Some(ExternType::Memory(_)) => Ok(()),
        _ => Err(PluginError::Export(abi::MEMORY, "its memory")),
    }
}
