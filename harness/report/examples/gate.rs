//! Writes the pages and texts of made-up gates of every kind, to look at.
//!
//!     cargo run --release -p squall-report --example gate -- OUT_DIR
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/gates/mod.rs"]
mod gates;

use squall_report::gate_report::{annotations, html, junit, markdown, markdown_all, terminal};

fn main() -> std::io::Result<()> {
    let out = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    std::fs::create_dir_all(&out)?;
    let all = gates::all();
    for (name, gate) in all {
        std::fs::write(out.join(format!("{name}.html")), html(gate))?;
        std::fs::write(out.join(format!("{name}.md")), markdown(gate, None))?;
        println!("{}", terminal(gate, 80, true));
    }
    let hostile = gates::hostile("</title><script>alert(1)</script> \u{202e} [x](http://e.example)");
    std::fs::write(out.join("hostile.html"), html(&hostile))?;
    let records: Vec<_> = all.iter().map(|(_, gate)| gate.clone()).collect();
    std::fs::write(out.join("all.md"), markdown_all(&records))?;
    std::fs::write(out.join("junit.xml"), junit(&records))?;
    print!("{}", annotations(&records, Some("scenarios/config-center.yaml")));
    Ok(())
}
