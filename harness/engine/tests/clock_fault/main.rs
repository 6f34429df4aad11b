//! The clock fault on real programs: a C target that the tests talk to, this test program itself, and whatever foreign
//! programs the machine has.

mod cost;
mod foreign;
mod reach;
mod receipts;
mod shim;
mod target;
mod waits;

/// Tells why a test had nothing to test here.
#[expect(
    clippy::print_stderr,
    reason = "the one way for a test to say that it was skipped"
)]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
