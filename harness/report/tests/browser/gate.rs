//! The page of a gate: the first screen, the plot of all metrics, and all that every page is held to.

use serde_json::json;
use squall_model::gate::GateRecord;
use squall_report::gate_report::html;

use crate::charts::{scroll_to, with_tools};
use crate::chromium::chromium;
use crate::gates;
use crate::layout::{PAPER, not_for_paper};
use crate::tab::{SCREEN, Screen, Tab};

/// The page of the gate that regressed.
pub fn page() -> String {
    html(&gates::regressed())
}

/// All pages that differ in what they show: every kind, and one whose texts would do harm.
pub fn pages() -> Vec<String> {
    let hostile =
        gates::hostile("<script>alert(1)</script> \" </style></svg><img src=x onerror=alert(1)> \u{202e}");
    let gates = gates::all().iter().map(|(_, gate)| gate);
    gates.chain([&hostile]).map(html).collect()
}

#[test]
fn the_first_screen_of_a_gate_holds_what_matters() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let parts: Vec<(String, f64)> = tab.eval(
        "['#verdict .verdict', '#ratios-wide-t', '.forest:nth-of-type(1) svg', '.forest:nth-of-type(2) svg', '#first dl', '#first pre']
           .map(one => [one, document.querySelector(one).closest('svg, dl, pre, .verdict').getBoundingClientRect().bottom])",
    );
    for (part, bottom) in parts {
        assert!((1.0..=800.0).contains(&bottom), "{part} ends at {bottom}");
    }
}

#[test]
fn every_kind_of_gate_is_a_page_without_a_fault() {
    let Some(browser) = chromium() else { return };
    for html in pages() {
        let mut tab = Tab::open(&browser, SCREEN, &html, "");
        assert_eq!(tab.complaints(), [""; 0]);
        assert_eq!(
            tab.requests().len(),
            1,
            "nothing but the page itself is asked for"
        );
        let (scripts, strange): (u32, u32) = tab.eval(
            "[document.scripts.length, document.querySelectorAll('img, iframe, [onerror], [onclick], main script').length]",
        );
        assert_eq!((scripts, strange), (1, 0));
    }
}

#[test]
fn in_the_plot_what_is_worse_stands_further_right_and_every_text_has_room() {
    let Some(browser) = chromium() else { return };
    for gate in [gates::regressed(), gates::many_loads()] {
        for width in [360, 1280] {
            let mut tab = Tab::open(&browser, Screen { width, ..SCREEN }, &html(&gate), "");
            let (squares, apart): (Vec<f64>, Vec<String>) = tab.eval(
                "(() => {
                   const svg = [...document.querySelectorAll('.forest > svg')].find(one => one.getClientRects().length);
                   const squares = [...svg.querySelectorAll('rect.mark')].map(one => one.getBoundingClientRect().x);
                   const texts = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
                   const whole = svg.getBoundingClientRect();
                   const crossed = [];
                   for (const [at, [name, box]] of texts.entries()) {
                     if (box.right > whole.right + 1 || box.left < whole.left - 1) crossed.push(`${name} sticks out`);
                     for (const [other, next] of texts.slice(at + 1)) {
                       if (box.left < next.right && next.left < box.right && box.top + 3 < next.bottom && next.top + 3 < box.bottom) crossed.push(`${name} / ${other}`);
                     }
                   }
                   return [squares, crossed];
                 })()",
            );
            assert_eq!(apart, [""; 0], "at {width}");
            let estimates = estimates(&gate);
            assert_eq!(squares.len(), estimates.len());
            for (one, other) in (0..squares.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
                let further = (squares[one] - squares[other]) * (estimates[one] - estimates[other]);
                assert!(further >= -0.05, "{squares:?} {estimates:?}");
            }
        }
    }
}

/// The ratios that decide, in the order of the plot: by gravity.
fn estimates(gate: &GateRecord) -> Vec<f64> {
    let deciding = gate
        .metrics
        .iter()
        .filter(|metric| metric.decides && metric.name != "refresh.errors");
    let findings: Vec<_> = deciding.filter_map(|metric| metric.finding).collect();
    let (mut worse, other): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.verdict == squall_model::gate::GateVerdict::Regressed);
    worse.sort_by(|one, other| other.estimate.total_cmp(&one.estimate));
    worse
        .into_iter()
        .chain(other)
        .map(|finding| finding.estimate)
        .collect()
}

#[test]
fn the_zones_of_the_plot_can_be_told_apart_in_both_themes() {
    let Some(browser) = chromium() else { return };
    let mut seen = Vec::new();
    for dark in [false, true] {
        let mut tab = Tab::open(&browser, Screen { dark, ..SCREEN }, &page(), "");
        let mut fills: Vec<String> =
            tab.eval("['good', 'same', 'some', 'bad'].map(one => getComputedStyle(document.querySelector(`rect.zone.${one}`)).fill)");
        seen.push(fills.clone());
        fills.sort_unstable();
        fills.dedup();
        assert_eq!(fills.len(), 4, "{fills:?}");
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn a_gate_on_paper_is_whole() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, PAPER, &page(), "");
    assert_eq!(not_for_paper(&mut tab), (Vec::new(), 0));
    let pdf = tab.ask("Page.printToPDF", &json!({ "printBackground": true }));
    assert!(pdf["data"].as_str().is_some_and(|data| data.len() > 10_000));
}

#[test]
fn a_crosshair_reads_what_a_block_found() {
    let Some(browser) = chromium() else { return };
    let gate = gates::regressed();
    let mut tab = Tab::open(&browser, SCREEN, &html(&gate), "");
    let first = "#over-time figure";
    let block = &gate.blocks[0];
    let middle = block.start_us + block.duration_us / 2;
    scroll_to(&mut tab, first);
    let at = with_tools(
        &mut tab,
        &format!("place(shown.find(svg => svg.parentElement.matches('{first}')), {middle})"),
    );
    tab.mouse("mouseMoved", at);
    tab.frames();
    let read: Vec<String> = tab.eval(&format!(
        "[...document.querySelector('{first}').querySelectorAll('output')].map(one => one.textContent)"
    ));
    let p99 = gate
        .metrics
        .iter()
        .find(|metric| metric.name == "refresh.p99")
        .expect("there is one");
    let found = (p99.changes[0].expect("it counts") - 1.0) * 100.0;
    let shown: f64 = read[0]
        .trim_end_matches(" %")
        .replace('−', "-")
        .parse()
        .expect("a percentage");
    assert!((shown - found).abs() < 0.15, "{read:?} instead of {found}");
    assert_eq!(read[2], "+5.0 %", "the tolerance is the same everywhere");
    assert_eq!(tab.complaints(), [""; 0]);
}
