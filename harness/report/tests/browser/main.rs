//! The page in a real browser: that nothing gets out or in, that the charts do what they promise, that it can be read at every
//! width, in both themes, on paper, by keyboard and without scripts, and that accessibility rules find nothing serious.
//!
//! Without a browser it says so loudly and checks nothing; see `chromium.rs` on where one is looked for.

#[path = "../gates/mod.rs"]
mod gates;
#[path = "../history/mod.rs"]
mod history;
#[path = "../hostile/mod.rs"]
mod hostile;
#[path = "../long_run/mod.rs"]
mod long_run;
#[path = "../synthetic/slower.rs"]
mod slower;
#[path = "../synthetic/mod.rs"]
mod synthetic;

mod axe;
mod charts;
mod chromium;
mod comparing;
mod gate;
mod index;
mod layout;
mod safe;
mod scale;
mod tab;

/// The page of the made-up run.
fn page() -> String {
    squall_report::html(&synthetic::folder(7).recording())
}
