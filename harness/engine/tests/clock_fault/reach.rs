//! Which programs are refused before anything starts, on real files where the machine can make them and on ELF files
//! made by hand everywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use squall_engine::fault::clock::{Unreachable, reachable, reachable_on};

use super::target::{compile, target_program};

fn program(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// An ELF program that is nothing but headers: one segment of a kind, holding `content`.
fn elf(class: u8, machine: u16, segment: u32, content: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    let mut file = b"\x7fELF".to_vec();
    file.extend([class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for half in [2_u16, machine] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // version
    for word in [0x40_0000_u64, 64, 0] {
        file.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for half in [segment, 4] {
        file.extend(half.to_le_bytes());
    }
    let size = content.len() as u64;
    for word in [HEADERS, 0x40_0000, 0x40_0000, size, size, 4] {
        file.extend(word.to_le_bytes());
    }
    file.extend(content);
    file
}

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const NOTE: u32 = 4;

fn ours() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

fn refusal(path: &Path) -> String {
    reachable(path).unwrap_err().to_string()
}

#[test]
fn programs_that_cannot_preload_are_refused_with_what_would_help() {
    let dir = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let error = refusal(&program(dir.path(), "program", bytes));
        assert!(error.contains(expected), "{error:?} has no {expected:?}");
    };
    // A note's three sizes and kind, its owner, what it says.
    let go_note = [
        4_u32.to_le_bytes(),
        4_u32.to_le_bytes(),
        4_u32.to_le_bytes(),
        *b"Go\0\0",
        *b"none",
    ]
    .concat();
    check(
        &elf(2, ours(), LOAD, b""),
        "statically linked, so no library can be preloaded into it: link it dynamically",
    );
    check(&elf(2, ours(), NOTE, &go_note), "written in Go");
    check(
        &elf(2, ours(), INTERPRETER, b"/lib/ld-musl-x86_64.so.1\0"),
        "linked with musl",
    );
    check(
        &elf(2, ours(), INTERPRETER, b"/system/bin/linker64\0"),
        "started by /system/bin/linker64",
    );
    check(&elf(2, 243, LOAD, b""), "another kind of processor");
    check(&elf(1, 3, LOAD, b""), "another kind of processor");
    check(b"echo no first line\n", "neither an ELF program nor a script");
    check(b"", "neither an ELF program nor a script");
    check(b"\x7fELF\x02\x01\x01", "neither an ELF program nor a script");
    let good = program(
        dir.path(),
        "good",
        &elf(2, ours(), INTERPRETER, b"/lib64/ld-linux-x86-64.so.2\0"),
    );
    reachable(&good).unwrap();
}

#[test]
fn scripts_are_followed_to_what_runs_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let fixed = program(dir.path(), "fixed", &elf(2, ours(), LOAD, b""));
    let script = |name: &str, line: &str| program(dir.path(), name, format!("#!{line}\nrest\n").as_bytes());
    reachable(&script("by-sh", "/bin/sh -e")).unwrap();
    reachable(&script("by-env", "/usr/bin/env sh")).unwrap();
    assert!(refusal(&script("by-static", fixed.to_str().unwrap())).contains("fixed is statically linked"));
    let nested = script("nested", path("by-static").to_str().unwrap());
    assert!(refusal(&nested).contains("fixed is statically linked"));
    let round = script("round", path("round").to_str().unwrap());
    assert!(matches!(
        reachable(&round),
        Err(Unreachable::ScriptsTooDeep { .. })
    ));
    assert!(refusal(&script("lost", "/no/such/interpreter")).contains("/no/such/interpreter was not found"));
}

#[test]
fn names_are_looked_up_in_the_path_that_the_service_gets() {
    let dir = tempfile::tempdir().unwrap();
    let good = elf(2, ours(), INTERPRETER, b"/lib64/ld-linux-x86-64.so.2\0");
    program(dir.path(), "only-here", &good);
    fs::write(dir.path().join("not-executable"), &good).unwrap();
    let found = |name: &str| reachable_on(name.as_ref(), Some(dir.path().as_os_str()));
    found("only-here").unwrap();
    assert!(matches!(
        found("not-executable"),
        Err(Unreachable::NotFound { .. })
    ));
    assert!(matches!(found("nowhere"), Err(Unreachable::NotFound { .. })));
    assert!(matches!(
        reachable("only-here".as_ref()),
        Err(Unreachable::NotFound { .. })
    ));
}

#[test]
fn real_programs_are_judged_right() {
    reachable("sh".as_ref()).unwrap();
    reachable(target_program()).unwrap();
    reachable(&std::env::current_exe().unwrap()).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made");
    for (compiler, arguments, expected) in [
        ("cc", &["-static", "-pthread"][..], "statically linked"),
        (
            "cc",
            &["-static-pie", "-fPIE", "-pthread"][..],
            "statically linked",
        ),
    ] {
        if compile(compiler, arguments, &made) {
            assert!(refusal(&made).contains(expected), "{}", refusal(&made));
        } else {
            super::skipped(&format!("{compiler} {arguments:?} can't link here"));
        }
    }
    match reachable("go".as_ref()) {
        Err(Unreachable::NotFound { .. }) => super::skipped("no Go program is here"),
        other => assert!(matches!(other, Err(Unreachable::Go { .. })), "{other:?}"),
    }
}

#[test]
fn a_program_that_gains_rights_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    fs::copy(target_program(), &copy).unwrap();
    // Set-user-id to oneself gains nothing.
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    reachable(&copy).unwrap();
    // Giving a file away takes root. Giving it clears the bit.
    match std::os::unix::fs::chown(&copy, Some(12_345), None) {
        Ok(()) => {
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
            assert!(
                refusal(&copy).contains("gains rights when it starts (set-user-id)"),
                "{}",
                refusal(&copy)
            );
        }
        Err(why) => super::skipped(&format!("no file of another user can be made: {why}")),
    }
}
