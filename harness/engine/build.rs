//! Compiles the clock fault's preload library, which the crate then carries inside it.
//!
//! It is plain C with the C library as its only need, so a C compiler is all that a build asks for.

use std::path::Path;
use std::{env, fs};

const SOURCES: &str = "src/fault/clock/preload";

fn main() {
    println!("cargo::rerun-if-changed={SOURCES}");
    let out = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("libsquall_clock.so");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        compile(&out);
    } else {
        // Elsewhere the fault is a missing capability, and there is nothing to embed.
        fs::write(&out, []).expect("cargo's OUT_DIR is writable");
    }
}

/// A shared library isn't what `cc` makes, so it is only asked which compiler to run and with what.
fn compile(out: &Path) {
    let compiler = cc::Build::new()
        .opt_level(2)
        .debug(false)
        .pic(true)
        .warnings(true)
        .get_compiler();
    let mut command = compiler.to_command();
    command
        .args(["-std=gnu11", "-shared", "-fvisibility=hidden", "-fno-lto"])
        // The C library's headers promise that some pointers aren't null; callers don't always keep the promise.
        .args(["-fno-delete-null-pointer-checks", "-Wno-nonnull-compare"])
        // Every symbol is bound when the library is loaded, so that a read in a signal handler resolves nothing.
        .args(["-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,defs", "-Wl,--build-id=none"])
        .args(["attach.c", "reads.c", "waits.c"].map(|name| format!("{SOURCES}/{name}")))
        .args(["-ldl", "-o"])
        .arg(out);
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "could not compile the clock library ({status:?}): squall needs a C compiler and the C library's headers \
         (on Debian: apt install gcc libc6-dev); the command was {command:?}"
    );
}
