//! Writes the index of a made-up folder of runs, to look at.
//!
//!     cargo run --release -p squall-report --example index -- index.html
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
#![expect(dead_code, reason = "the tests use more of the made-up runs")]

#[path = "../tests/history/mod.rs"]
mod history;
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use squall_report::block::Link;
use squall_report::index::{Compared, Index, html, terminal};

fn main() -> std::io::Result<()> {
    let compared = vec![Compared {
        name: "feed-refresh-a-vs-b".to_owned(),
        page: Link::file(b"compare/feed-refresh-a-vs-b.html"),
        runs: vec![13, 14],
    }];
    let index = Index::new("reports".to_owned(), history::mixed(), compared, Vec::new());
    println!("{}", terminal(&index, 110, true));
    std::fs::write(
        std::env::args().nth(1).unwrap_or_else(|| "index.html".to_owned()),
        html(&index),
    )
}
