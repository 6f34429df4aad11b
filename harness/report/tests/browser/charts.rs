//! What a reader can do with the charts of time: read all at once, zoom, link to a window, turn lines off; by mouse and by keyboard.

use squall_model::histogram::quantile;
use squall_model::hlog::{self, Kind};
use squall_model::series::SeriesRow;

use crate::chromium::chromium;
use crate::page;
use crate::synthetic;
use crate::tab::{SCREEN, Tab};

/// A moment at which everything happens: the clock has just stepped back by 50 ms.
const MOMENT_US: u64 = 42_250_000;

/// For expressions: the drawings that are shown of the charts of time, and where a moment lies on the screen.
const TOOLS: &str = "const shown = [...document.querySelectorAll('figure[data-end]')]
       .map(figure => [...figure.querySelectorAll(':scope > svg')].find(svg => svg.getClientRects().length));
     const place = (svg, us) => {
       const [left, top, right, bottom] = svg.dataset.plot.split(' ').map(Number);
       const box = svg.getBoundingClientRect();
       const scale = box.width / svg.viewBox.baseVal.width;
       const end = +svg.parentElement.dataset.end;
       return [box.x + (left + us / end * (right - left)) * scale, box.y + (top + bottom) / 2 * scale];
     };";

/// Evaluates with [`TOOLS`].
pub fn with_tools<T: serde::de::DeserializeOwned>(tab: &mut Tab, expression: &str) -> T {
    tab.eval(&format!("(() => {{ {TOOLS} return {expression}; }})()"))
}

/// Brings the first chart that matches to the middle of the screen.
pub fn scroll_to(tab: &mut Tab, chart: &str) {
    tab.eval::<()>(&format!(
        "void document.querySelector('{chart}').scrollIntoView({{ block: 'center', behavior: 'instant' }})"
    ));
    tab.frames();
}

/// Any chart.
const ANY: &str = "figure";

/// Where a moment lies in the first chart that matches, on the screen.
fn place(tab: &mut Tab, chart: &str, us: u64) -> (f64, f64) {
    with_tools(
        tab,
        &format!("place(shown.find(svg => svg.parentElement.matches('{chart}')), {us})"),
    )
}

/// Draws the pointer across the first chart that matches.
pub fn drag(tab: &mut Tab, chart: &str, from_us: u64, to_us: u64) {
    let (from, to) = (place(tab, chart, from_us), place(tab, chart, to_us));
    tab.mouse("mouseMoved", from);
    tab.mouse("mousePressed", from);
    tab.mouse("mouseMoved", (f64::midpoint(from.0, to.0), from.1));
    tab.mouse("mouseMoved", to);
    tab.mouse("mouseReleased", to);
    tab.frames();
}

/// The windows of time that the charts show, each as `FROM-TO` in tenths of a second.
fn windows(tab: &mut Tab) -> Vec<String> {
    with_tools(
        tab,
        "[...new Set(shown.map(svg => {
           const frame = svg.querySelector('svg[viewBox]');
           const [left, , right] = svg.dataset.plot.split(' ').map(Number);
           const end = +svg.parentElement.dataset.end / 1e5;
           const [x, , width] = frame ? frame.getAttribute('viewBox').split(' ').map(Number) : [left, 0, right - left];
           const moment = at => Math.round((at - left) / (right - left) * end);
           return `${moment(x)}-${moment(x + width)}`;
         }))]",
    )
}

/// `1.25 ms` or `2k/s` as microseconds or per second.
fn number(text: &str) -> f64 {
    let digits: String = text
        .chars()
        .take_while(|c| c.is_ascii_digit() || ".,".contains(*c))
        .collect();
    let unit = text[digits.len()..].trim();
    let factor = match unit {
        "µs" | "/s" => 1.0,
        "ms" | "k/s" => 1e3,
        "s" => 1e6,
        _ => panic!("an unknown unit: {text:?}"),
    };
    digits
        .replace(',', "")
        .parse::<f64>()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
        * factor
}

#[track_caller]
fn near(shown: &str, truth: f64) {
    let value = number(shown);
    assert!(
        (value / truth - 1.0).abs() < 0.02,
        "{shown} is shown, {truth} is true"
    );
}

#[test]
fn the_crosshair_stands_at_one_moment_in_all_charts_and_reads_what_the_data_says() {
    let Some(browser) = chromium() else { return };
    let folder = synthetic::folder(7);
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let at = place(&mut tab, ANY, MOMENT_US);
    tab.mouse("mouseMoved", at);
    tab.frames();
    let (charts, places, times): (usize, Vec<String>, Vec<String>) = with_tools(
        &mut tab,
        "[shown.length,
          shown.map(svg => {
            const [left, , right] = svg.dataset.plot.split(' ').map(Number);
            const x = +svg.querySelector('line.cross').getAttribute('x1');
            return ((x - left) / (right - left)).toFixed(4);
          }),
          shown.map(svg => svg.querySelector('text.cross').textContent)]",
    );
    assert!(charts >= 6, "{charts}");
    assert_eq!(places, vec![places[0].clone(); charts]);
    assert_eq!(times, vec!["42.3 s".to_owned(); charts]);

    let outputs: Vec<String> = with_tools(
        &mut tab,
        "shown.slice(0, 3).map(svg => svg.parentElement.querySelector('.legend output').textContent)",
    );
    let log = hlog::parse(&folder.hlogs["next_id"]);
    let second = log
        .intervals
        .iter()
        .find(|one| one.kind == Kind::Response && (one.start_us..one.end_us).contains(&MOMENT_US));
    let histogram = second.unwrap().histogram().unwrap();
    near(&outputs[0], quantile(&histogram, 0.99).unwrap() as f64);
    let rows = folder.recording().series;
    let pause = rows.iter().find_map(|row| match row {
        squall_model::series::Row::Service(row) if (row.start_us..row.end_us).contains(&MOMENT_US) => {
            row.pause_max
        }
        _ => None,
    });
    near(&outputs[1], pause.unwrap() as f64);
    near(&outputs[2], 2_000.0);

    tab.mouse("mouseMoved", (5.0, 5.0));
    tab.frames();
    let left: usize = tab.eval("document.querySelectorAll('line.cross').length");
    assert_eq!(left, 0, "it goes when the pointer does");
}

#[test]
fn dragging_zooms_all_charts_and_the_address_leads_to_the_same_window() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let whole = windows(&mut tab);
    assert_eq!(whole.len(), 1, "{whole:?}");
    drag(&mut tab, ANY, 20_000_000, 30_000_000);
    let zoomed = windows(&mut tab);
    assert_eq!(zoomed, ["200-300"]);
    let cells: bool =
        tab.eval("[...document.querySelectorAll('#heat use')].every(one => one.closest('svg svg'))");
    assert!(cells, "the cells of heat maps move with the rest");
    let hash: String = tab.eval("location.hash");
    let (from, to) = hash
        .trim_start_matches("#t=")
        .split_once('-')
        .expect("two moments");
    let (from, to): (f64, f64) = (from.parse().unwrap(), to.parse().unwrap());
    assert!((from - 20.0).abs() < 0.1 && (to - 30.0).abs() < 0.1, "{hash}");

    let mut linked = Tab::open(&browser, SCREEN, &page(), &hash);
    assert_eq!(windows(&mut linked), zoomed);
    assert_eq!(linked.complaints(), [""; 0]);
    linked.eval::<()>("document.querySelector('figure[data-end] > svg').focus()");
    linked.key("Escape");
    assert_eq!(windows(&mut linked), whole);
    let hash: String = linked.eval("location.hash");
    assert_eq!(hash, "");

    tab.click(".zoom button");
    assert_eq!(windows(&mut tab), whole);
    let hidden: bool = tab.eval("document.querySelector('.zoom').hidden");
    assert!(hidden, "the bar goes with the zoom");
}

#[test]
fn the_crosshair_reads_the_same_in_a_window() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let read =
        "[...document.querySelectorAll('figure[data-end] .legend output')].map(one => one.textContent)";
    let at = place(&mut tab, ANY, MOMENT_US);
    tab.mouse("mouseMoved", at);
    let whole: Vec<String> = tab.eval(read);
    tab.mouse("mouseMoved", (5.0, 5.0));
    // The moment is in the middle of the window, and so of the chart.
    drag(&mut tab, ANY, MOMENT_US - 5_000_000, MOMENT_US + 5_000_000);
    let (at, end): ((f64, f64), f64) = with_tools(
        &mut tab,
        "[place(shown[0], 0), +shown[0].parentElement.dataset.end]",
    );
    let right = place(&mut tab, ANY, end as u64);
    tab.mouse("mouseMoved", (f64::midpoint(at.0, right.0), at.1));
    tab.frames();
    let zoomed: Vec<String> = tab.eval(read);
    assert_eq!(zoomed, whole);
}

#[test]
fn a_line_goes_when_its_button_is_pressed_and_comes_back() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let state = "(() => {
        const figure = document.querySelector('#latency figure');
        const item = figure.querySelector('.legend li[data-line]');
        const svg = [...figure.querySelectorAll(':scope > svg')].find(one => one.getClientRects().length);
        const parts = [...svg.querySelectorAll(`[data-line=\"${item.dataset.line}\"]`)];
        const others = [...svg.querySelectorAll('[data-line]')].filter(one => !parts.includes(one));
        const seen = one => getComputedStyle(one).display !== 'none';
        return [item.querySelector('button').getAttribute('aria-pressed'), parts.length > 0 && parts.every(seen),
          others.length > 0 && others.every(seen)];
      })()";
    let is = |tab: &mut Tab| tab.eval::<(String, bool, bool)>(state);
    assert_eq!(is(&mut tab), ("true".to_owned(), true, true));
    tab.click("#latency .legend button");
    assert_eq!(is(&mut tab), ("false".to_owned(), false, true));
    tab.click("#latency .legend button");
    assert_eq!(is(&mut tab), ("true".to_owned(), true, true));
}

#[test]
fn everything_works_from_the_keyboard() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let focused = "(() => { const one = document.activeElement; return `${one.localName}.${one.className.baseVal ?? one.className}`; })()";
    let (mut charts, mut buttons, mut names) = (0, 0, Vec::new());
    let stops: usize = tab.eval(
        "[...document.querySelectorAll('a, button, [tabindex]')].filter(one => one.getClientRects().length).length",
    );
    for _ in 0..=stops {
        tab.key("Tab");
        let name: String = tab.eval(focused);
        charts += usize::from(name.starts_with("svg."));
        buttons += usize::from(tab.eval::<bool>("document.activeElement.matches('.legend button')"));
        names.push(name);
    }
    let (drawn, switches): (usize, usize) = with_tools(
        &mut tab,
        "[shown.length, [...document.querySelectorAll('.legend button')].length]",
    );
    assert_eq!((charts, buttons), (drawn, switches), "{names:?}");
    let outlined: bool = with_tools(
        &mut tab,
        "(shown[0].focus({ focusVisible: true }), getComputedStyle(shown[0]).outlineStyle !== 'none')",
    );
    assert!(outlined, "where the focus is must be seen");
    let read = "[document.querySelectorAll('line.cross').length, document.querySelector('text.cross')?.textContent ?? '']";
    let (none, _): (usize, String) = tab.eval(read);
    assert_eq!(none, 0);
    tab.key("ArrowRight");
    let (one, before): (usize, String) = tab.eval(read);
    assert_eq!(one, drawn);
    for _ in 0..4 {
        tab.key("ArrowRight");
    }
    let (_, after): (usize, String) = tab.eval(read);
    let seconds = |text: &str| text.trim_end_matches(" s").parse::<f64>().unwrap();
    assert!(seconds(&after) > seconds(&before), "{before} {after}");
}

#[test]
fn every_key_of_a_chart_does_what_the_hint_says() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let hint: String = tab.eval("document.querySelector('.hint').textContent");
    assert!(hint.contains("← → move") && hint.contains("Esc"), "{hint}");
    with_tools::<()>(&mut tab, "void shown[0].focus()");
    let at = |tab: &mut Tab| -> f64 {
        with_tools(
            tab,
            "(([left, , right]) => (+shown[0].querySelector('line.cross').getAttribute('x1') - left) / (right - left))
               (shown[0].dataset.plot.split(' ').map(Number))",
        )
    };
    let mut pressed = |keys: &[&str]| {
        for key in keys {
            tab.key(key);
        }
        let at = at(&mut tab);
        (at, windows(&mut tab).remove(0))
    };
    let whole = pressed(&["Home"]);
    assert!(whole.0.abs() < 1e-6, "{whole:?}");
    let (end, _) = pressed(&["End"]);
    assert!((end - 1.0).abs() < 1e-6, "{end}");
    let (slow, _) = pressed(&["Home", "ArrowRight"]);
    let (fast, _) = pressed(&["Home", "Shift+ArrowRight"]);
    assert!(
        (slow - 0.005).abs() < 1e-3 && (fast - 0.05).abs() < 1e-3,
        "{slow} {fast}"
    );
    let (back, _) = pressed(&["End", "Shift+ArrowLeft"]);
    assert!((back - 0.95).abs() < 1e-3, "{back}");
    let length = |window: &str| {
        let (from, to) = window.split_once('-').expect("two moments");
        to.parse::<i64>().unwrap() - from.parse::<i64>().unwrap()
    };
    let (_, half) = pressed(&["Home", "+"]);
    let (_, quarter) = pressed(&["+"]);
    assert!(
        (length(&whole.1) - 2 * length(&half)).abs() <= 2,
        "{} {half}",
        whole.1
    );
    assert!(
        (length(&half) - 2 * length(&quarter)).abs() <= 2,
        "{half} {quarter}"
    );
    assert_eq!(pressed(&["-"]).1, half);
    assert_eq!(pressed(&["Escape"]).1, whole.1);
    assert_eq!(pressed(&["-"]).1, whole.1, "there is no more than all");
}

#[test]
fn what_changes_is_said_to_those_who_do_not_see_it() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let said = "document.querySelector('[role=status]').textContent";
    assert_eq!(tab.eval::<String>(said), "");
    with_tools::<()>(&mut tab, "void shown[0].focus()");
    tab.key("Home");
    tab.key("ArrowRight");
    tab.key("Shift+ArrowRight");
    let text: String = tab.eval(said);
    assert!(text.contains(" s, next_id ") && text.ends_with('s'), "{text}");
    tab.key("+");
    let text: String = tab.eval(said);
    assert!(text.starts_with("Shown is ") && text.contains(" of "), "{text}");
    tab.key("Escape");
    assert_eq!(tab.eval::<String>(said), "All of the time is shown");
}

#[test]
fn the_link_leads_to_the_window_whatever_the_address_says() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "#t=20-30");
    tab.eval::<()>(
        "(location.hash = '#timeline', Object.defineProperty(navigator, 'clipboard', { value: { writeText: async text => { window.copied = text; } } }), undefined)",
    );
    tab.frames();
    tab.click(".zoom button:last-child");
    tab.frames();
    let (copied, said, read): (String, String, String) = tab.eval(
        "[window.copied, document.querySelector('.zoom button:last-child').textContent, document.querySelector('[role=status]').textContent]",
    );
    assert!(
        copied.starts_with("file://") && copied.ends_with(".html#t=20.000-30.000"),
        "{copied}"
    );
    assert_eq!((said.as_str(), read.as_str()), ("Copied", "Copied"));
}

#[test]
fn what_names_and_marks_a_stretch_of_time_stays_inside_the_plot_of_a_window() {
    let Some(browser) = chromium() else { return };
    let mut recording = synthetic::folder(7).recording();
    // A second of its own between two without any requests is a dot.
    let mut rows: Vec<SeriesRow> = recording
        .series
        .iter()
        .map(squall_model::series::Row::to_owned)
        .collect();
    rows.retain(|row| match row {
        SeriesRow::Load(row) => {
            !(21_000_000..23_000_000).contains(&row.start_us) || row.start_us / 100_000 == 220
        }
        SeriesRow::Service(_) => true,
    });
    recording.series = rows.into_iter().collect();
    let page = squall_report::html(&recording);
    for hash in ["#t=21-24", "#t=30.3-45", "#t=46-61"] {
        let mut tab = Tab::open(&browser, SCREEN, &page, hash);
        let (names, dots, outside, odd): (usize, usize, Vec<String>, Vec<String>) = with_tools(
            &mut tab,
            "(() => {
               const seen = (svg, what) => [...svg.querySelectorAll(what)].filter(one => one.getAttribute('visibility') !== 'hidden');
               const names = shown.flatMap(svg => seen(svg, 'text[data-k]'));
               const dots = shown.flatMap(svg => seen(svg, 'circle'));
               const outside = [...names, ...dots].filter(one => {
                 const svg = one.ownerSVGElement;
                 const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
                 const [left, , right] = svg.dataset.plot.split(' ').map(Number);
                 const [box, all] = [one.getBoundingClientRect(), svg.getBoundingClientRect()];
                 return box.left < all.left + left * scale - 4 || box.right > all.left + right * scale + 4;
               });
               const odd = dots.map(one => one.getBoundingClientRect()).filter(box => Math.abs(box.width - box.height) > 0.5);
               return [names.length, dots.length, outside.map(one => one.outerHTML), odd.map(box => `${box.width} ${box.height}`)];
             })()",
        );
        assert!(names > 3, "{names} names in {hash}");
        assert!(dots > 0 || hash != "#t=21-24", "no dot in {hash}");
        assert_eq!((outside, odd), (Vec::new(), Vec::new()), "in {hash}");
    }
}
