//! The page of a long run with many services: how large it is, and that a browser can show it.

use std::io::Write as _;

use crate::chromium::chromium;
use crate::long_run;
use crate::tab::{SCREEN, Tab};

/// Three million bytes.
const LARGEST: usize = 3_000_000;

#[test]
fn an_hour_with_eighteen_services_and_ten_loads_is_a_page_of_less_than_three_megabytes() {
    // Drawings are thinned to columns of pixels: a row a second makes as many points as ten.
    let page = squall_report::html(&long_run::recording(7, 1_000_000));
    assert!(page.len() < LARGEST, "{} bytes", page.len());
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page, "#t=600-1200");
    let (loads, window): (usize, String) = tab.eval(
        "[document.querySelectorAll('#latency figure').length, document.querySelector('.zoom span').textContent]",
    );
    let window = window.split(" of ").next().unwrap_or_default();
    assert_eq!((loads, window), (long_run::LOADS, "0:10:00 to 0:20:00"));
    assert_eq!(tab.complaints(), [""; 0]);
    let across: u32 = tab.eval("document.documentElement.scrollWidth");
    assert_eq!(across, SCREEN.width);
}

/// A measurement, not a check: see `just bench-report`.
#[test]
#[ignore = "measures how soon the page is seen, which a busy machine decides"]
fn first_paint_of_an_hour() {
    let Some(browser) = chromium() else { return };
    let page = squall_report::html(&long_run::recording(7, 100_000));
    for _ in 0..3 {
        let mut tab = Tab::open(&browser, SCREEN, &page, "");
        let paint_ms: f64 = tab.eval("performance.getEntriesByName('first-contentful-paint')[0].startTime");
        let loaded_ms: f64 = tab.eval("performance.getEntriesByType('navigation')[0].loadEventEnd");
        let text = format!(
            "{} bytes, first paint after {paint_ms:.0} ms, loaded after {loaded_ms:.0} ms\n",
            page.len()
        );
        std::io::stderr().write_all(text.as_bytes()).expect("said");
    }
}
