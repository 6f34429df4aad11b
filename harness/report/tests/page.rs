//! The page as a whole: it needs nothing, shows everything, and nothing that a hostile service wrote gets through.

mod hostile;
mod synthetic;

use squall_model::record::{RunRecord, Verdict};
use squall_report::{html, junit, markdown, terminal};

use hostile::hostile;

#[test]
fn the_page_needs_nothing_from_outside() {
    let page = html(&synthetic::folder(7).recording());
    for forbidden in [
        "http://", "https://", "url(", "@import", "<link", "<img", "<iframe", "style=", " src=",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for (at, _) in page.match_indices("href=\"") {
        assert!(page[at + 6..].starts_with('#'), "{}", &page[at..at + 40]);
    }
    let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap();
    let policy = policy.split('"').next().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert_eq!(policy.matches("; script-src 'sha256-").count(), 1, "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        page.matches("<script>").count(),
        1,
        "the page's own, which the policy names"
    );
}

#[test]
fn states_that_services_told_stand_under_every_chart_of_time_and_in_a_table() {
    let page = html(&synthetic::folder(7).recording());
    let charts: Vec<&str> = page
        .split("<figure ")
        .skip(1)
        // In a stack the last one has them, with the axis.
        .filter(|chart| chart.contains("class=\"window\"") && !chart.contains("overview-p99"))
        .collect();
    assert!(charts.len() > 2, "{}", charts.len());
    for chart in charts {
        let title = chart.split("</strong>").next();
        assert!(
            chart.contains("seque") && chart.contains("var(--state-second)"),
            "{title:?}"
        );
    }
    let table = page.split("id=\"states\"").nth(1).unwrap();
    assert!(
        table.contains(">sequencer<") && table.contains("backup "),
        "{table}"
    );
}

#[test]
fn nothing_a_hostile_service_wrote_becomes_markup() {
    let page = html(&hostile());
    assert!(
        page.contains("&lt;script&gt;alert(1)"),
        "the text itself is shown"
    );
    let body = &page[page.find("<body>").unwrap()..];
    // The page's own script is the last thing in it.
    let (body, _) = body.rsplit_once("<script>").unwrap();
    for forbidden in ["<script", "<img", "<!--", "</style", "\u{1b}", "\0", "\u{202e}"] {
        assert!(!body.contains(forbidden), "{forbidden:?}");
    }
    let figures = body.matches("<figure ").count();
    assert_eq!(body.matches("</svg>").count(), body.matches("<svg ").count());
    assert!(figures >= 4 && body.matches("class=\"wide\"").count() == figures);
}

#[test]
fn every_tag_that_opens_also_closes() {
    let page = html(&hostile());
    let closed = [
        "section", "table", "tbody", "tr", "td", "th", "figure", "svg", "text", "div", "ul", "li", "dl", "p",
        "pre",
    ];
    for tag in closed {
        let opens = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opens, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn ids_are_unique_in_the_page() {
    let page = html(&synthetic::folder(7).recording());
    let mut ids: Vec<&str> = page
        .match_indices(" id=\"")
        .map(|(at, key)| page[at + key.len()..].split('"').next().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let links = page
        .match_indices("href=\"#")
        .map(|(at, key)| page[at + key.len()..].split('"').next().unwrap());
    for link in links {
        assert!(ids.contains(&link), "{link} leads nowhere");
    }
}

#[test]
fn junit_stays_well_formed_and_terminal_output_obeys_no_escape() {
    let recording = hostile();
    let xml = junit(&recording);
    assert!(
        xml.chars().all(|c| c == '\n' || c == '\t' || c >= ' '),
        "XML 1.0 allows no control character"
    );
    assert!(!xml.contains("<script") && !xml.contains("]]>"));
    assert_eq!(
        xml.matches("<testsuite ").count(),
        xml.matches("</testsuite>").count()
    );
    let screen = terminal(&recording, 80, false);
    assert!(!screen.contains('\u{1b}') && !screen.contains('\0'));
    let summary = markdown(&recording);
    // Inside a fence nothing is markup.
    let outside: String = summary.split("```").step_by(2).collect();
    assert!(
        !outside.contains("<script") && !outside.contains("@all"),
        "{outside}"
    );
}

#[test]
fn a_record_of_nothing_still_makes_every_format() {
    let empty = |verdict| RunRecord {
        verdict,
        phases: vec![],
        faults: vec![],
        invariants: vec![],
        expectations: vec![],
        ..synthetic::folder(7).recording().record
    };
    for verdict in [Verdict::Pass, Verdict::Invalid, Verdict::Fail] {
        let run = serde_json::to_string(&empty(verdict)).unwrap();
        let recording =
            squall_report::recording("", "", &std::collections::BTreeMap::new(), Some(&run)).unwrap();
        assert!(html(&recording).contains(verdict.as_str()));
        assert!(markdown(&recording).contains(&verdict.as_str().to_uppercase()));
        assert!(terminal(&recording, 0, true).contains(&verdict.as_str().to_uppercase()));
        let xml = junit(&recording);
        assert_eq!(xml.contains("<failure"), verdict == Verdict::Fail, "{xml}");
        assert_eq!(xml.contains("<error"), verdict == Verdict::Invalid, "{xml}");
    }
}

#[test]
fn a_page_has_no_empty_boxes() {
    let bare = |change: &dyn Fn(&mut RunRecord)| {
        let mut recording = synthetic::folder(7).recording();
        change(&mut recording.record);
        recording
    };
    let mut nothing = bare(&|record| {
        (record.phases, record.faults) = (Vec::new(), Vec::new());
        (record.invariants, record.expectations) = (Vec::new(), Vec::new());
    });
    (nothing.series, nothing.events) = (squall_report::Series::default(), Vec::new());
    nothing.intervals.clear();
    let unasked = bare(&|record| {
        record.faults.clear();
        record.invariants.clear();
        record.expectations.clear();
    });
    let whole = bare(&|_| {});
    for recording in [&nothing, &unasked, &whole] {
        let page = html(recording);
        for empty in [
            "<div></div>",
            "<div class=\"stack\"></div>",
            "<tbody></tbody>",
            "<ul class=\"legend\"></ul>",
            "<figcaption></figcaption>",
            "<dl class=\"definitions\"></dl>",
            "<p></p>",
        ] {
            assert!(!page.contains(empty), "{empty}");
        }
        let sections = page.split("<section ").skip(1);
        for section in sections {
            let inside = section.split_once('>').map_or("", |(_, rest)| rest);
            assert!(!inside.starts_with("</section>"), "{}", &section[..60]);
        }
    }
    assert!(html(&unasked).contains("class=\"beside alone\""));
    assert!(html(&whole).contains("class=\"beside\""));
    // What no run measured is said once, not fault by fault.
    assert!(!html(&whole).contains("not measured</td>"));
}

#[test]
fn a_closed_loop_says_that_it_cannot_see_queueing() {
    let folder = synthetic::folder(7);
    assert!(!html(&folder.recording()).contains("queueing"));
    let run = folder.run_json.replace(
        "\"mode\":\"open\",\"target_rate\":2000.0,\"users\":null",
        "\"mode\":\"closed\",\"target_rate\":null,\"users\":50",
    );
    assert_ne!(run, folder.run_json);
    let recording = squall_report::recording(&folder.events_ndjson, "", &folder.hlogs(), Some(&run)).unwrap();
    assert!(html(&recording).contains("closed loop") && html(&recording).contains("50\u{a0}users"));
}

/// Threads that work ahead change nothing but when it is done.
#[test]
fn what_is_worked_out_ahead_is_the_same_page() {
    let (ahead, plain) = (synthetic::folder(7).recording(), synthetic::folder(7).recording());
    std::thread::scope(|scope| {
        for load in ahead.drawn_loads() {
            scope.spawn(|| ahead.work_out(load));
            scope.spawn(|| ahead.work_out(load));
        }
        scope.spawn(|| ahead.work_out("no such load"));
    });
    ahead.work_out_to_compare();
    assert!(html(&ahead) == html(&plain), "the pages differ");
}
