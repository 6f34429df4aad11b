//! The page at every width, in both themes, on paper and without scripts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::chromium::chromium;
use crate::hostile::hostile;
use crate::page;
use crate::tab::{SCREEN, Screen, Tab, text};

const WIDTHS: [u32; 4] = [360, 768, 1280, 3840];

/// What reaches beyond the right edge and does not lie in something that scrolls of its own, `0` names the part.
const BEYOND: &str = "[...document.querySelectorAll('body *')].filter(one => {
       const box = one.getBoundingClientRect();
       return box.width > 1 && box.right > document.documentElement.clientWidth + 1
         && !one.closest('.scroll, pre, .skip, svg svg, defs');
     }).map(one => `${one.localName}.${one.className.baseVal ?? one.className} ${one.textContent.slice(0, 40)}`)";

#[test]
fn no_width_makes_the_page_scroll_sideways() {
    let Some(browser) = chromium() else { return };
    let compared = [crate::comparing::page(), crate::comparing::two_scenarios()];
    for html in [page(), squall_report::html(&hostile())]
        .into_iter()
        .chain(compared)
        .chain(crate::gate::pages())
    {
        let mut tab = Tab::open(&browser, SCREEN, &html, "");
        for width in WIDTHS {
            tab.resize(Screen { width, ..SCREEN });
            tab.frames();
            let (across, inside): (u32, u32) =
                tab.eval("[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
            let beyond: Vec<String> = tab.eval(BEYOND);
            assert!(
                across <= inside && inside == width,
                "{across} of {width}: {beyond:?}"
            );
            assert_eq!(beyond, [""; 0], "at {width}");
        }
    }
}

#[test]
fn on_a_usual_screen_every_table_is_seen_whole() {
    let Some(browser) = chromium() else { return };
    for html in [page(), crate::comparing::page(), crate::gate::page()] {
        let mut tab = Tab::open(&browser, SCREEN, &html, "");
        let cut: Vec<String> = tab.eval(
            "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
               .map(one => `${one.getAttribute('aria-label')}: ${one.scrollWidth} of ${one.clientWidth}`)",
        );
        assert_eq!(cut, [""; 0]);
    }
}

#[test]
fn one_drawing_of_each_chart_is_shown_and_its_text_can_be_read_at_every_width() {
    let Some(browser) = chromium() else { return };
    let widths = WIDTHS.map(|width| [(page(), width), (crate::gate::page(), width)]);
    for (html, width) in widths.into_iter().flatten() {
        let mut tab = Tab::open(&browser, Screen { width, ..SCREEN }, &html, "");
        let (figures, shown, smallest): (usize, usize, f64) = tab.eval(
            "(() => {
               const figures = [...document.querySelectorAll('figure')];
               const shown = [...document.querySelectorAll('figure > svg')].filter(svg => svg.getClientRects().length);
               const size = text => +text.getAttribute('font-size') * text.ownerSVGElement.getScreenCTM().a;
               return [figures.length, shown.length, Math.min(...shown.flatMap(svg => [...svg.querySelectorAll('text')]).map(size))];
             })()",
        );
        assert_eq!(figures, shown, "at {width}");
        assert!(smallest >= 9.5, "{smallest} pixels at {width}");
    }
}

#[test]
fn the_first_screen_holds_what_matters() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let parts: Vec<(String, f64)> = tab.eval(
        "['#verdict .verdict', '#verdict .lead', '.stack figure:nth-of-type(1)', '.stack figure:nth-of-type(2)', '.stack figure:nth-of-type(3)',
          '#overview table', '#overview pre'].map(one => [one, document.querySelector(one).getBoundingClientRect().bottom])",
    );
    for (part, bottom) in parts {
        assert!((1.0..=800.0).contains(&bottom), "{part} ends at {bottom}");
    }
    let links: Vec<(f64, f64)> = tab.eval(
        "[...document.querySelectorAll('nav a')].map(one => [one.getBoundingClientRect().right, one.closest('nav').getBoundingClientRect().right])",
    );
    assert!(
        links.len() > 8 && links.iter().all(|(link, nav)| link <= nav),
        "{links:?}"
    );
}

#[test]
fn the_dark_theme_has_colours_of_its_own_that_can_be_read() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    // The least contrast of a text in a drawing, which axe-core does not look at, and of a line: against the card, or against
    // what is drawn below it.
    let measure = "(() => {
        const channel = value => { value /= 255; return value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
        const light = colour => { const [r, g, b] = colour.match(/[0-9.]+/g).map(Number); return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b); };
        const contrast = (a, b) => { const [low, high] = [light(a), light(b)].sort((x, y) => x - y); return (high + .05) / (low + .05); };
        const card = getComputedStyle(document.querySelector('#latency')).backgroundColor;
        const shown = [...document.querySelectorAll('figure > svg')].filter(svg => svg.getClientRects().length);
        const texts = shown.flatMap(svg => [...svg.querySelectorAll('text')]);
        const below = text => {
          const at = text.getBoundingClientRect();
          const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
          const under = [...text.ownerSVGElement.querySelectorAll('rect:not(.name)')].filter(rect => {
            const box = rect.getBoundingClientRect();
            return box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
          });
          return under.length ? getComputedStyle(under[under.length - 1]).fill : card;
        };
        const lines = shown.flatMap(svg => [...svg.querySelectorAll('polyline[data-line]')]).map(line => getComputedStyle(line).stroke);
        return [getComputedStyle(document.body).backgroundColor, lines[0],
          Math.min(...texts.map(text => contrast(getComputedStyle(text).fill, below(text)))),
          Math.min(...lines.map(line => contrast(line, card)))];
      })()";
    let mut seen = Vec::new();
    for dark in [false, true] {
        tab.resize(Screen { dark, ..SCREEN });
        tab.frames();
        let (back, line, texts, lines): (String, String, f64, f64) = tab.eval(measure);
        assert!(texts >= 4.5, "a text has contrast {texts}, dark {dark}");
        // The slowest requests are meant to stay behind; everything else is well above.
        assert!(lines >= 2.2, "a line has contrast {lines}, dark {dark}");
        seen.push((back, line));
    }
    assert!(seen[0].0 != seen[1].0 && seen[0].1 != seen[1].1, "{seen:?}");
}

#[test]
fn without_scripts_everything_is_still_there() {
    let Some(browser) = chromium() else { return };
    let count = "[document.querySelectorAll('section').length, [...document.querySelectorAll('figure > svg')].filter(one => one.getClientRects().length).length,
       document.querySelectorAll('figure > svg [data-line]').length, document.querySelectorAll('.legend li').length,
       document.querySelectorAll('td').length]";
    let counts = |scripts| {
        let mut tab = Tab::open(&browser, Screen { scripts, ..SCREEN }, &page(), "");
        let buttons: usize = tab.eval("document.querySelectorAll('button').length");
        assert_eq!(
            buttons > 0,
            scripts,
            "a button that does nothing must not be there"
        );
        tab.eval::<[usize; 5]>(count)
    };
    let without = counts(false);
    assert_eq!(without, counts(true));
    assert!(without.iter().all(|count| *count > 5), "{without:?}");
}

/// A4 less 1 cm on each side, in CSS pixels.
pub const PAPER: Screen = Screen {
    width: 718,
    height: 1046,
    print: true,
    ..SCREEN
};

/// What reaches beyond the paper's right edge, and how many things are there that can't be pressed on paper.
pub fn not_for_paper(tab: &mut Tab) -> (Vec<String>, usize) {
    tab.eval(
        "[[...document.querySelectorAll('body *')].filter(one => {
            const box = one.getBoundingClientRect();
            return box.width > 1 && box.right > 719 && !one.closest('svg svg, .skip');
          }).map(one => `${one.localName}.${one.className.baseVal ?? one.className} ${one.getBoundingClientRect().right} ${one.textContent.slice(0, 40)}`),
          [...document.querySelectorAll('nav, .copy, .zoom, .hint')].filter(one => one.getClientRects().length).length]",
    )
}

#[test]
fn on_paper_nothing_is_cut_off() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, PAPER, &page(), "");
    assert_eq!(not_for_paper(&mut tab), (Vec::new(), 0));
    let clipped: Vec<String> = tab.eval(
        "[...document.querySelectorAll('.scroll, pre')].filter(one => one.scrollHeight > one.clientHeight + 1 && getComputedStyle(one).overflowY !== 'visible')
           .map(one => one.textContent.slice(0, 40))",
    );
    assert_eq!(clipped, [""; 0]);
    let options = json!({
        "paperWidth": 8.27, "paperHeight": 11.69, "marginLeft": 0.394, "marginRight": 0.394, "marginTop": 0.394, "marginBottom": 0.394,
        "printBackground": true,
    });
    let pdf = STANDARD
        .decode(text(&tab.ask("Page.printToPDF", &options)["data"]))
        .expect("base64");
    assert!(pdf.starts_with(b"%PDF-"));
    let pdf = String::from_utf8_lossy(&pdf);
    let pages = pdf.matches("/Type /Page\n").count() + pdf.matches("/Type /Page ").count();
    assert!((3..=30).contains(&pages), "{pages} pages");
}
