//! The page of a comparison, where charts of several runs, and of several scenarios, stand on one page.

use serde_json::json;
use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, Run, Side, html};

use crate::charts::{drag, scroll_to, with_tools};
use crate::chromium::chromium;
use crate::layout::{PAPER, not_for_paper};
use crate::slower::slower;
use crate::synthetic;
use crate::tab::{SCREEN, Tab};

/// The charts of the scenario that takes twice as long, and of the other.
const SHORT: &str = "figure[data-end=\"60240000\"]";
const LONG: &str = "figure[data-end=\"120000000\"]";

fn recording(scenario: &str, seed: u64, factor: f64) -> Recording {
    let mut recording = synthetic::folder(seed).recording();
    scenario.clone_into(&mut recording.record.scenario);
    recording.record.seed = seed;
    recording.record.duration_us = 60_240_000;
    recording.record.started_at = format!("2026-01-15T09:{seed:02}:12.480Z");
    slower(recording, factor)
}

fn comparison(scenario: &str, end_us: u64) -> Comparison {
    let side = |name: &str, seed, factor| {
        let mut recording = recording(scenario, seed, factor);
        name.clone_into(&mut recording.record.revision);
        recording.record.duration_us = end_us;
        Side {
            name: name.to_owned(),
            runs: vec![Run {
                name: format!("{name}/{seed}"),
                recording,
            }],
        }
    };
    Comparison::new(vec![side("base", 7, 1.0), side("candidate", 8, 1.4)]).expect("two sides")
}

/// The page of one scenario.
pub fn page() -> String {
    html(&Comparisons {
        of: vec![comparison("id-generator", 60_240_000)],
        notes: Vec::new(),
    })
}

/// The page of two scenarios, one twice as long as the other.
pub fn two_scenarios() -> String {
    html(&Comparisons {
        of: vec![comparison("short", 60_240_000), comparison("long", 120_000_000)],
        notes: vec!["alone is only in base.".to_owned()],
    })
}

/// Per chart that is shown and matches: where its crosshair stands, as a part of its plot; below zero where it has none.
fn crosshairs(tab: &mut Tab, of: &str) -> Vec<f64> {
    with_tools(
        tab,
        &format!(
            "shown.filter(svg => svg.parentElement.matches('{of}')).map(svg => {{
               const [left, , right] = svg.dataset.plot.split(' ').map(Number);
               const line = svg.querySelector('line.cross');
               return line ? (+line.getAttribute('x1') - left) / (right - left) : -1;
             }})"
        ),
    )
}

#[track_caller]
fn all_at(places: &[f64], truth: f64) {
    assert!(
        !places.is_empty() && places.iter().all(|place| (place - truth).abs() < 0.005),
        "{places:?} instead of {truth}"
    );
}

#[test]
fn a_moment_lies_in_each_chart_where_its_own_axis_has_it() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &two_scenarios(), "");
    let point = |tab: &mut Tab, of: &str, us: u64| {
        scroll_to(tab, of);
        let at = with_tools(
            tab,
            &format!("place(shown.find(svg => svg.parentElement.matches('{of}')), {us})"),
        );
        tab.mouse("mouseMoved", at);
        tab.frames();
    };
    point(&mut tab, LONG, 30_120_000);
    all_at(&crosshairs(&mut tab, LONG), 30_120.0 / 120_000.0);
    all_at(&crosshairs(&mut tab, SHORT), 0.5);
    point(&mut tab, LONG, 90_000_000);
    all_at(&crosshairs(&mut tab, LONG), 0.75);
    all_at(&crosshairs(&mut tab, SHORT), -1.0);
    let beyond: String = tab.eval(&format!(
        "document.querySelector('{SHORT} .legend output').textContent"
    ));
    assert_eq!(beyond, "", "nothing is known after the end");
    point(&mut tab, SHORT, 15_060_000);
    all_at(&crosshairs(&mut tab, SHORT), 0.25);
    all_at(&crosshairs(&mut tab, LONG), 15_060.0 / 120_000.0);
    assert_eq!(tab.complaints(), [""; 0]);
}

#[test]
fn a_zoom_shows_the_same_time_in_charts_of_different_length() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &two_scenarios(), "");
    let windows = "[...new Set(shown.map(svg => {
        const frame = svg.querySelector('svg[viewBox]');
        const [left, , right] = svg.dataset.plot.split(' ').map(Number);
        const [x, , width] = frame.getAttribute('viewBox').split(' ').map(Number);
        const moment = at => Math.round((at - left) / (right - left) * +svg.parentElement.dataset.end / 1e6);
        return `${moment(x)}-${moment(x + width)}`;
      }))]";
    scroll_to(&mut tab, LONG);
    drag(&mut tab, LONG, 20_000_000, 40_000_000);
    assert_eq!(with_tools::<Vec<String>>(&mut tab, windows), ["20-40"]);
    let bar: String = tab.eval("document.querySelector('.zoom span').textContent");
    assert_eq!(bar, "20 s to 40 s of 120 s");
    let mut linked = Tab::open(&browser, SCREEN, &two_scenarios(), "#t=20-40");
    assert_eq!(with_tools::<Vec<String>>(&mut linked, windows), ["20-40"]);
    assert_eq!(linked.complaints(), [""; 0]);
}

#[test]
fn every_heading_stands_once_and_the_navigation_leads_to_each_scenario() {
    let Some(browser) = chromium() else { return };
    for (page, links) in [(page(), None), (two_scenarios(), Some(["short", "long"]))] {
        let mut tab = Tab::open(&browser, SCREEN, &page, "");
        let headings: Vec<String> =
            tab.eval("[...document.querySelectorAll('h2')].map(one => one.textContent)");
        let mut once = headings.clone();
        once.sort_unstable();
        once.dedup();
        assert!(headings.len() > 4 && once.len() == headings.len(), "{headings:?}");
        let named: Vec<String> =
            tab.eval("[...document.querySelectorAll('nav a')].map(one => one.textContent)");
        match links {
            Some(links) => assert_eq!(named, links),
            None => assert_eq!(named, headings),
        }
    }
}

#[test]
fn the_first_screen_of_a_comparison_holds_what_matters() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let parts: Vec<(String, f64)> = tab.eval(
        "['#summary .lead', '.stack figure:nth-of-type(1)', '.stack figure:nth-of-type(2)', '.stack figure:nth-of-type(3)', '#first table']
           .map(one => [one, document.querySelector(one).getBoundingClientRect().bottom])",
    );
    for (part, bottom) in parts {
        assert!((1.0..=800.0).contains(&bottom), "{part} ends at {bottom}");
    }
}

#[test]
fn a_comparison_on_paper_is_whole() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, PAPER, &page(), "");
    assert_eq!(not_for_paper(&mut tab), (Vec::new(), 0));
    let pdf = tab.ask("Page.printToPDF", &json!({ "printBackground": true }));
    assert!(pdf["data"].as_str().is_some_and(|data| data.len() > 10_000));
}
