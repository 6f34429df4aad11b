//! What stopping at every connect costs. Prints figures and holds none: they are the machine's.

use std::sync::Arc;

use squall_engine::redirect::{Redirects, Transport};
use squall_engine::seccomp::Rule;

use crate::fixture::{PATIENCE, PROGRAM, Stage};
use crate::rig::{is_possible, request, serve, start};

#[test]
#[ignore = "a measurement: cargo test --release -p squall-engine --test redirect -- --ignored --nocapture cost"]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
fn cost_per_connect() {
    if !is_possible() {
        return;
    }
    let stage = Stage::set();
    let [real, proxy] = ["real", "proxy"].map(|name| serve("127.0.0.1", name));
    let real_text = real.to_string();
    let args = ["connects", &real_text, "2000"];
    let free = request(&stage, PROGRAM.as_ref(), &args);
    let spawned = stage.guard.spawn(&free).expect("started");
    spawned.exit.wait(PATIENCE).expect("it ends");
    let printed = std::fs::read_to_string(&free.log).expect("a log");
    println!("free        {}", printed.trim());
    for (name, is_redirected) in [("passed on  ", false), ("redirected ", true)] {
        let table = Redirects::new();
        if is_redirected {
            table.set(Transport::Stream, real, proxy).expect("one family");
        }
        let rules: Vec<Arc<dyn Rule>> = vec![Arc::new(table)];
        let printed = start(&stage, PROGRAM.as_ref(), &args, rules).finish();
        println!("{name} {}", printed.join(" "));
    }
}
