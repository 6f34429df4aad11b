//! Redirecting connects of real programs: a static C program, whatever runtimes the machine has, and what becomes of all
//! of them when something of squall's dies.

#[path = "../fixture/mod.rs"]
mod fixture;

mod cost;
mod death;
mod foreign;
mod native;
mod rig;
mod rules;
mod services;

use std::io::Write as _;

/// Says loudly why a test had nothing to test: the harness swallows what a test prints that passes, but not this.
fn skipped(why: &str) {
    drop(std::io::stderr().write_all(format!("NOT TESTED: {why}\n").as_bytes()));
}
