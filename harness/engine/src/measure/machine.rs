//! What machine a run ran on.

use squall_model::record::Machine;

/// The machine as this process sees it: cores are those it may run on, not all there are.
pub fn describe() -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let uname = rustix::system::uname();
    let os = format!(
        "{} {}",
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy()
    );
    Machine {
        cores,
        memory: memory(),
        os,
        cpu: cpu(),
    }
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        text.lines().find_map(|line| {
            line.split_once(':')
                .filter(|(key, _)| key.trim() == name)
                .map(|(_, v)| v.trim())
        })
    };
    // Arm kernels give no model name, only the part's number.
    field("model name")
        .or_else(|| field("CPU part"))
        .unwrap_or(std::env::consts::ARCH)
        .to_owned()
}
