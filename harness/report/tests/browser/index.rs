//! The page over all runs: its filters, choosing runs to compare, and what the report's page is held to.

use squall_report::block::Link;
use squall_report::index::{Compared, Entry, Index, html};

use crate::chromium::chromium;
use crate::history::{History, entry, mixed};
use crate::tab::{SCREEN, Screen, Tab};

/// An index with runs of every kind.
pub fn page() -> String {
    let compared = Compared {
        name: "feed-refresh-a-vs-b".to_owned(),
        page: Link::file(b"compare/feed-refresh-a-vs-b.html"),
        runs: vec![29, 30],
    };
    html(&Index::new(
        "reports".to_owned(),
        mixed(),
        vec![compared],
        Vec::new(),
    ))
}

/// How many rows of runs are seen, those of the newest not counted twice.
const SEEN: &str = "[...document.querySelectorAll('section:not(#newest) td[data-h=Verdict]')].filter(one => one.getClientRects().length).length";

#[test]
fn it_complains_of_nothing_and_asks_for_nothing_but_itself() {
    let Some(browser) = chromium() else { return };
    for dark in [false, true] {
        let mut tab = Tab::open(&browser, Screen { dark, ..SCREEN }, &page(), "");
        assert_eq!(tab.complaints(), [""; 0]);
        assert_eq!(tab.requests().len(), 1);
        tab.key("Tab");
    }
}

#[test]
fn no_width_makes_it_scroll_sideways() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    tab.click("section:not(#newest) .choose");
    tab.click("section:not(#newest) tr:nth-child(2) .choose");
    for width in [360, 768, 1280, 2560] {
        tab.resize(Screen { width, ..SCREEN });
        tab.frames();
        let beyond: Vec<String> = tab.eval(
            "[...document.querySelectorAll('body *')].filter(one => {
               const box = one.getBoundingClientRect();
               return box.width > 1 && box.right > document.documentElement.clientWidth + 1 && !one.closest('.scroll, pre, .skip, svg svg');
             }).map(one => `${one.localName}.${one.className.baseVal ?? one.className}`)",
        );
        let across: u32 = tab.eval("document.documentElement.scrollWidth");
        assert_eq!((across, beyond), (width, Vec::new()), "at {width}");
    }
}

#[test]
fn filters_leave_what_fits_and_the_address_keeps_them() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let all: usize = tab.eval(SEEN);
    assert_eq!(all, mixed().len() - 1);
    let mut set = |name: &str, value: &str| -> (usize, String, String) {
        tab.eval::<Option<()>>(&format!(
            "{{ const control = document.getElementById('filter-{name}'); control.value = '{value}';
                control.dispatchEvent(new Event('input', {{ bubbles: true }})); null }}"
        ));
        tab.eval(&format!(
            "[{SEEN}, document.querySelector('.filters output').textContent, location.hash]"
        ))
    };
    let (seen, told, hash) = set("scenario", "gateway-swaps");
    assert_eq!((seen, told.as_str()), (30, format!("30 of {all} runs").as_str()));
    assert_eq!(hash, "#scenario=gateway-swaps");
    assert_eq!(set("scenario", "").0, all);
    assert_eq!(set("verdict", "fail").0, 1);
    assert_eq!(set("verdict", "invalid").0, 1);
    assert_eq!(set("text", "never read its clock").0, 1);
    assert_eq!(set("text", "no such words").0, 0);
    let hidden: (usize, usize) = tab.eval(
        "[[...document.querySelectorAll('#scenarios tbody tr')].filter(one => one.getClientRects().length).length,
          [...document.querySelectorAll('section:has(td[data-h=Verdict])')].filter(one => one.getClientRects().length).length]",
    );
    assert_eq!(hidden, (0, 0), "scenarios without a run that fits are hidden");
    tab.click(".filters button");
    assert_eq!(tab.eval::<usize>(SEEN), all);
    let mut again = Tab::open(&browser, SCREEN, &page(), "#scenario=shop-partition&verdict=pass");
    assert_eq!(again.eval::<usize>(SEEN), 7);
    let mut unknown = Tab::open(&browser, SCREEN, &page(), "#scenario=%3Cb%3E");
    assert_eq!(unknown.eval::<usize>(SEEN), all);
    assert_eq!(unknown.complaints(), [""; 0]);
}

#[test]
fn two_chosen_runs_are_a_command_to_copy_and_the_page_that_is_there() {
    let Some(browser) = chromium() else { return };
    let mut tab = Tab::open(&browser, SCREEN, &page(), "");
    let state = "(() => {
        const seen = one => one.getClientRects().length > 0;
        const choice = document.querySelector('.choice');
        const link = choice.querySelector('a');
        return [seen(choice), seen(choice.querySelector('code')), choice.querySelector('code').textContent,
          seen(link) ? link.getAttribute('href') : ''];
      })()";
    let at = |tab: &mut Tab| tab.eval::<(bool, bool, String, String)>(state);
    assert!(!at(&mut tab).0, "nothing is chosen yet");
    // The newest first: whichever is clicked first, the older one is what the other is held against.
    tab.click("#s0 tr:nth-child(1) .choose");
    let (seen, command, ..) = at(&mut tab);
    assert!(seen && !command, "one is not enough");
    tab.click("#s0 tr:nth-child(2) .choose");
    let (_, seen, command, page) = at(&mut tab);
    assert!(seen);
    assert_eq!(
        command,
        "squall compare reports/feed-refresh/20260202T093029.480Z-4f1c2ab reports/feed-refresh/20260203T093030.480Z-4f1c2ab"
    );
    assert_eq!(page, "./compare/feed-refresh-a-vs-b.html");
    let twins: usize = tab.eval("document.querySelectorAll('#newest .choose:checked').length");
    assert_eq!(twins, 2, "the same run is chosen wherever it is listed");
    tab.click("#s0 tr:nth-child(3) .choose");
    let (.., command, page) = at(&mut tab);
    assert_eq!((command.matches("reports/").count(), page.as_str()), (3, ""));
    let copies: usize = tab.eval("document.querySelectorAll('.choice .copy').length");
    assert_eq!(copies, 1);
    tab.click(".choice > button");
    assert!(!at(&mut tab).0);
}

#[test]
fn without_scripts_every_run_is_there_and_nothing_that_does_nothing() {
    let Some(browser) = chromium() else { return };
    let counts = |scripts| {
        let mut tab = Tab::open(&browser, Screen { scripts, ..SCREEN }, &page(), "");
        let live: usize = tab.eval("document.querySelectorAll('button, input, select').length");
        assert_eq!(live > 0, scripts);
        tab.eval::<[usize; 4]>(&format!(
            "[{SEEN}, document.querySelectorAll('section').length, document.querySelectorAll('a[href]').length - document.querySelectorAll('.choice a[href]').length,
              [...document.querySelectorAll('figure > svg')].filter(one => one.getClientRects().length).length]"
        ))
    };
    let without = counts(false);
    assert_eq!(without, counts(true));
    assert_eq!(without[3], 4, "a chart for each scenario");
}

#[test]
fn change_points_are_marked_and_named_in_the_chart() {
    let Some(browser) = chromium() else { return };
    for width in [360, 1280] {
        let mut tab = Tab::open(&browser, Screen { width, ..SCREEN }, &page(), "");
        let texts: Vec<String> = tab.eval(
            "[...document.querySelectorAll('#s0 figure > svg')].filter(one => one.getClientRects().length)
               .flatMap(one => [...one.querySelectorAll('text')].map(text => text.textContent.trim()))",
        );
        let named = |letter: &str| texts.iter().any(|text| text.split(' ').next() == Some(letter));
        assert!(named("A") && named("B"), "at {width}: {texts:?}");
        assert!(
            texts.iter().any(|text| text.ends_with(" Jan")),
            "dates: {texts:?}"
        );
        let words: String = tab.eval("document.querySelector('#s0').innerText");
        assert!(words.contains("change point") && words.contains("×1."), "{words}");
    }
}

#[test]
fn what_hostile_runs_say_does_nothing() {
    let Some(browser) = chromium() else { return };
    let bad = "<script>window.injected = 1</script><img src=x onerror=\"window.injected = 2\">'\" \u{202e}";
    let history = History::new();
    let mut entries: Vec<Entry> = (0..3)
        .map(|n| {
            let mut record = history.record(bad, n, 4_000);
            record["verdict"] = "fail".into();
            record["reasons"] = vec![bad].into();
            record["machine"]["cpu"] = bad.into();
            record["revision"] = bad.into();
            entry(&record, n)
        })
        .collect();
    entries[2].summary = Err(bad.to_owned());
    entries[2].report = Some(Link::file(b"javascript:window.injected=3"));
    let page = html(&Index::new(
        bad.to_owned(),
        entries,
        Vec::new(),
        vec![bad.to_owned()],
    ));
    let mut tab = Tab::open(&browser, SCREEN, &page, "");
    tab.click("section:not(#newest) .choose");
    tab.click("section:not(#newest) tr:nth-child(2) .choose");
    tab.frames();
    assert_eq!(tab.complaints(), [""; 0]);
    let (injected, strange): (Option<u32>, usize) =
        tab.eval("[window.injected ?? null, document.querySelectorAll('img, main script').length]");
    assert_eq!((injected, strange), (None, 0));
    let options: Vec<String> =
        tab.eval("[...document.querySelectorAll('#filter-scenario option')].map(one => one.textContent)");
    assert_eq!(options.len(), 2);
    assert!(
        options[1].contains("<script>"),
        "the text itself is shown: {options:?}"
    );
}
