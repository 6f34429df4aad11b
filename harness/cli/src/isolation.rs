//! Being allowed to isolate networks.

use squall_engine::network::{self, Ownership};
use squall_engine::plan::Plan;
use squall_model::scenario::Network;

/// Makes squall one that may, if any of these plans asks for it and this machine has it; where it has not, each of their runs says so
/// itself. Moves an ordinary user's squall into a user namespace, which is possible only while it has one thread: to be called before
/// anything starts another.
pub fn prepare<'a>(mut plans: impl Iterator<Item = &'a Plan>) -> anyhow::Result<()> {
    if plans.any(|plan| plan.network == Network::Isolated) && network::probe().is_ok() {
        Ownership::take()?;
    }
    Ok(())
}
