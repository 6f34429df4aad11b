//! What is made of a gate's record, for every kind of gate, for people and for machines.
//!
//! The snapshots are files in `gates/`; `UPDATE_EXPECT=1` writes them anew.

mod gates;

use std::collections::BTreeSet;

use expect_test::{ExpectFile, expect_file};
use serde_json::Value;
use squall_model::gate::{Both, GateEnd, GateRecord, GateVerdict, HostRecord};
use squall_model::record::Machine;
use squall_report::gate_report::{annotations, html, junit, markdown, markdown_all, step_summary, terminal};

/// Texts that would do harm in one format or the other.
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script> \" ' ]]> <!-- --> </style></svg></details><img src=x onerror=alert(1)>",
    "@all [x](http://evil.example) | `a` **b** \n# heading\n| cell |\n::error::injected\r\n::set-output name=x::y",
    "\u{1b}[31m\u{1b}]0;title\u{7} \0 \u{202e}gpj.exe \u{2028} \u{9b}2J",
    "100%,file=/etc/passwd:x\n\n```\n</details>\n<!-- squall-gate: other -->\n````",
];

fn all_records() -> Vec<GateRecord> {
    gates::all().iter().map(|(_, gate)| gate.clone()).collect()
}

#[test]
fn a_screen_of_80_columns_tells_every_kind_of_gate() {
    for (name, gate) in gates::all() {
        let text = terminal(gate, 80, false);
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(longest <= 80, "{name}: {longest} columns");
        snapshot(name, "txt").assert_eq(&text);
    }
}

#[test]
fn a_comment_tells_every_kind_of_gate() {
    for (name, gate) in gates::all() {
        let link = Some("https://ci.example/runs/7/report.html?a=(b)");
        snapshot(name, "md").assert_eq(&markdown(gate, link));
    }
}

#[test]
fn machines_are_told_every_kind_of_gate() {
    let records = all_records();
    expect_file!["gates/snapshots/junit.xml"].assert_eq(&junit(&records));
    let file = Some("scenarios/config-center.yaml");
    expect_file!["gates/snapshots/annotations.log"].assert_eq(&annotations(&records, file));
}

fn snapshot(name: &str, extension: &str) -> ExpectFile {
    let path = format!(
        "{}/tests/gates/snapshots/{name}.{extension}",
        env!("CARGO_MANIFEST_DIR")
    );
    expect_test::expect_file![path]
}

#[test]
fn every_form_says_the_verdict_and_the_same_reason() {
    for (name, gate) in gates::all() {
        let word = match gate.verdict {
            GateVerdict::NoBase => "NO BASE",
            GateVerdict::Regressed => "REGRESSED",
            GateVerdict::Improved => "IMPROVED",
            GateVerdict::Pass => "PASS",
            GateVerdict::Inconclusive => "INCONCLUSIVE",
        };
        let screen = terminal(gate, 2_000, false);
        let reason = screen.lines().nth(1).unwrap_or_default();
        assert!(screen.starts_with(word) && reason.len() > 20, "{name}: {screen}");
        assert!(markdown(gate, None).contains(word), "{name}");
        let page = html(gate).replace('\u{a0}', " ").replace("&#39;", "'");
        assert!(page.contains(reason), "{name}: {reason}");
    }
}

#[test]
fn a_regression_is_told_with_its_size_its_interval_and_what_it_took() {
    let text = terminal(&gates::regressed(), 2_000, false);
    assert!(
        text.contains("P99 of refresh is 8.0 % worse (6.0 to 9.9 %), seen in 20 blocks and 3 min 33 s"),
        "{text}"
    );
}

#[test]
fn what_a_reader_must_know_first_stands_on_the_page() {
    let table: [(GateRecord, &[&str]); 6] = [
        (
            gates::passed(),
            &[
                "What this pass can&#39;t see: cpu (below",
                "lean towards what they stopped for",
            ],
        ),
        (
            gates::environment(),
            &[
                "this machine is too noisy to decide P99 of refresh",
                "What would help: other programs",
            ],
        ),
        (
            gates::interrupted(),
            &[
                "Interrupted after 3\u{a0}blocks, before the first look",
                "it was interrupted",
            ],
        ),
        (
            gates::no_base(),
            &["there is nothing to be held against", "it did not begin"],
        ),
        (
            gates::accepted(),
            &["A regression is accepted and does not block: p99 up to +12 %: checks signatures"],
        ),
        (
            gates::violated(),
            &[
                "The candidate broke feed.nondecreasing (4 times), which the base kept",
                "Both arms broke center.agree",
            ],
        ),
    ];
    for (gate, texts) in table {
        let page = html(&gate);
        for text in texts {
            let unbound = page.replace('\u{a0}', " ");
            assert!(unbound.contains(&text.replace('\u{a0}', " ")), "{text}");
        }
    }
    assert!(
        !html(&gates::longest()).contains("lean towards"),
        "its last look was taken"
    );
}

#[test]
fn the_page_of_the_longest_gate_is_small() {
    let bytes = html(&gates::longest()).len();
    assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn blocks_that_do_not_count_are_shaded_in_every_chart_over_time_and_listed() {
    let page = html(&gates::regressed());
    assert!(page.contains("block that does not count") && page.contains("the base did not answer within"));
    let none = html(&gates::improved());
    assert!(!none.contains("block that does not count") && !none.contains("id=\"left-out\""));
}

#[test]
fn a_comment_is_found_again_by_its_first_line_and_is_short() {
    let (first, second) = (gates::regressed(), gates::passed());
    for gate in [&first, &second] {
        let comment = markdown(gate, None);
        assert_eq!(
            comment.lines().next(),
            Some("<!-- squall-gate: config-center -->")
        );
        let shown = comment.split("<details>").next().unwrap_or_default();
        assert!(shown.lines().count() <= 20, "{shown}");
    }
    let several = markdown_all(&[first, second]);
    assert_eq!(several.lines().next(), Some("<!-- squall-gate -->"));
    assert_eq!(several.matches("<!--").count(), 1);
    assert_eq!(several.matches("### Gate: ").count(), 2);
    assert_eq!(step_summary(&all_records()), markdown_all(&all_records()));
}

#[test]
fn a_comment_stays_within_what_a_forge_takes() {
    let many = vec![gates::many_loads(); 40];
    for comment in [
        markdown_all(&many),
        markdown_all(&all_records()),
        markdown(&gates::many_loads(), None),
    ] {
        assert!(comment.chars().count() < 65_000, "{}", comment.chars().count());
    }
    assert!(
        !markdown_all(&many).contains("<details>"),
        "what is folded goes first"
    );
}

#[test]
fn hostile_texts_stay_texts_in_a_comment() {
    for text in HOSTILE {
        let gate = gates::hostile(text);
        let comment = markdown(&gate, Some("https://x.example/a> <script>\n[b](c)"));
        let rest = comment.lines().skip(1).collect::<Vec<_>>().join("\n");
        let fenced = outside_of_fences(&rest);
        for harm in [
            "<script",
            "<img",
            "<!--",
            "](http",
            "\n# heading",
            "\u{1b}",
            "\u{202e}",
            "@all",
            "www.",
        ] {
            assert!(!fenced.contains(harm), "{harm:?} of {text:?} in {fenced}");
        }
        assert_eq!(fenced.matches("<details>").count(), 1, "{fenced}");
        assert_eq!(fenced.matches("</details>").count(), 1, "{fenced}");
        let marker = comment.lines().next().unwrap_or_default();
        assert!(
            marker.starts_with("<!-- squall-gate: s") && marker.matches("--").count() == 2,
            "{marker}"
        );
    }
}

/// Markdown without what stands in fences, which is shown as it is.
fn outside_of_fences(markdown: &str) -> String {
    let mut fence: Option<usize> = None;
    let mut out = String::new();
    for line in markdown.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            Some(opened) if ticks >= opened && line.trim_end_matches('`').is_empty() => fence = None,
            Some(_) => {}
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a fence is left open");
    out
}

#[test]
fn hostile_texts_stay_texts_on_a_screen_and_for_machines() {
    for text in HOSTILE {
        let gate = gates::hostile(text);
        let screen = terminal(&gate, 80, false);
        assert!(
            !screen.contains(['\u{1b}', '\u{7}', '\0', '\u{202e}', '\u{9b}', '\r']),
            "{screen}"
        );
        let xml = junit(std::slice::from_ref(&gate));
        assert!(
            !xml.contains("<script") && !xml.contains(['\u{1b}', '\0', '\u{202e}']),
            "{xml}"
        );
        assert_eq!(xml.matches("<testsuite ").count(), 1);
        let commands = annotations(&[gate], Some(text));
        let commands: Vec<&str> = commands.lines().collect();
        assert!(!commands.is_empty());
        for command in commands {
            let known = ["::error ", "::warning ", "::notice "];
            assert!(
                known.iter().any(|known| command.starts_with(known)),
                "{command:?}"
            );
            let properties = command
                .trim_start_matches(':')
                .split("::")
                .next()
                .unwrap_or_default();
            let properties = properties
                .split_once(' ')
                .map_or("", |(_, properties)| properties);
            let names: Vec<&str> = properties
                .split(',')
                .filter_map(|one| one.split('=').next())
                .collect();
            assert_eq!(names, ["file", "title"], "{command:?}");
            assert!(!command.contains(['\r', '\u{1b}']), "{command:?}");
        }
    }
}

#[test]
fn junit_fails_where_the_gate_blocks_and_skips_what_does_not_decide() {
    let counts = |gate: &GateRecord| {
        let xml = junit(std::slice::from_ref(gate));
        let count = |element: &str| xml.matches(&format!("<{element} ")).count();
        (count("testcase"), count("failure"), count("skipped"))
    };
    assert_eq!(counts(&gates::regressed()), (8, 1, 3));
    assert_eq!(counts(&gates::passed()), (8, 0, 3));
    assert_eq!(
        counts(&gates::accepted()),
        (8, 0, 4),
        "what is accepted does not fail"
    );
    assert_eq!(
        counts(&gates::violated()),
        (10, 2, 3),
        "each invariant that the candidate broke fails"
    );
    assert_eq!(
        counts(&gates::beside()),
        (8, 1, 2),
        "a regression fails also where it does not decide"
    );
    assert_eq!(counts(&gates::no_base()), (1, 0, 1));
    let environment = gates::environment();
    assert_eq!(counts(&environment), (9, 1, 4), "it blocks, so something fails");
    let advised = GateRecord {
        exit_code: 0,
        blocks_merge: false,
        ..environment
    };
    assert_eq!(counts(&advised), (9, 0, 5), "under --advise nothing does");
}

#[test]
fn annotations_are_as_loud_as_the_gate() {
    let level = |gate: &GateRecord| {
        let text = annotations(std::slice::from_ref(gate), None);
        text.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(level(&gates::regressed()), "::error");
    assert_eq!(level(&gates::passed()), "::notice");
    assert_eq!(level(&gates::accepted()), "::notice");
    assert_eq!(level(&gates::no_base()), "::warning");
    assert_eq!(level(&gates::environment()), "::error");
    let advised = GateRecord {
        exit_code: 0,
        blocks_merge: false,
        ..gates::regressed()
    };
    assert_eq!(level(&advised), "::warning");
    let many = vec![gates::regressed(); 30];
    let errors = annotations(&many, None).matches("::error ").count();
    assert_eq!(errors, 10, "GitHub shows no more of a step");
}

/// A block that could not be run to its end is not among the blocks: those that are there did not go wrong.
#[test]
fn a_gate_that_one_block_broke_does_not_blame_the_others() {
    let mut gate = GateRecord {
        verdict: GateVerdict::Inconclusive,
        end: GateEnd::Broken,
        ..gates::regressed()
    };
    for block in &mut gate.blocks {
        block.invalid.clear();
    }
    for text in [html(&gate), terminal(&gate, 200, false), markdown(&gate, None)] {
        assert!(text.contains("Broken off after"), "{text}");
        assert!(!text.contains("again and again"), "{text}");
    }
    gate.blocks[0].invalid.push("the machine was busy".to_owned());
    assert!(terminal(&gate, 200, false).contains("again and again"));
}

#[test]
fn the_same_record_is_told_in_the_same_words() {
    assert_eq!(html(&gates::many_loads()), html(&gates::many_loads()));
}

/// Nothing that a gate may lack keeps the rest from being told.
#[test]
fn records_with_holes_are_told_too() {
    let mut gate = gates::regressed();
    for metric in &mut gate.metrics {
        metric.plan = None;
        metric.typical = None;
        if let Some(finding) = &mut metric.finding {
            finding.lower = None;
            finding.upper = None;
        }
    }
    let bare = GateRecord {
        machine: Machine::default(),
        reasons: Vec::new(),
        command: String::new(),
        arms: Both::default(),
        host: HostRecord::default(),
        ..gate.clone()
    };
    let nothing = GateRecord {
        blocks: Vec::new(),
        metrics: Vec::new(),
        ..bare.clone()
    };
    let mut odd = gate.clone();
    for metric in &mut odd.metrics {
        metric.changes = [f64::NAN, f64::INFINITY, -1.0, 0.0].map(Some).to_vec();
        metric.margin = f64::NAN;
    }
    let mut garbled = gate.clone();
    for block in &mut garbled.blocks {
        for load in block
            .arms
            .base
            .stretches
            .iter_mut()
            .flat_map(|stretch| stretch.load.values_mut())
        {
            load.response = "no histogram".to_owned();
        }
    }
    for record in [gate, bare, nothing, odd, garbled] {
        let page = html(&record);
        assert!(page.contains("REGRESSED") || page.contains("regressed"));
        assert!(!page.contains("NaN") && !page.contains("inf %"), "{page}");
        for width in [20, 40, 79, 200] {
            assert!(terminal(&record, width, true).contains("REGRESSED"));
        }
        let records = [record];
        assert!(!markdown_all(&records).is_empty() && !junit(&records).is_empty());
        assert!(!annotations(&records, None).is_empty());
    }
}

/// What reads `gate.json` finds each of its names in the document.
#[test]
fn every_field_of_the_record_is_described() {
    fn collect(value: &Value, fields: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
            Value::Object(object) => {
                for (key, inner) in object {
                    fields.insert(key.clone());
                    match (key.as_str(), inner) {
                        // Their keys are names of the scenario's.
                        ("load" | "times", Value::Object(named)) => {
                            named.values().for_each(|one| collect(one, fields));
                        }
                        // It is that of a run, whose document has it.
                        ("machine", _) => {}
                        _ => collect(inner, fields),
                    }
                }
            }
            _ => {}
        }
    }
    let mut fields = BTreeSet::new();
    for record in all_records() {
        collect(&serde_json::to_value(&record).unwrap(), &mut fields);
    }
    assert!(fields.len() > 70, "{fields:?}");
    let page = include_str!("../../../docs/gate-record.md");
    let missing = fields
        .iter()
        .filter(|field| !page.contains(&format!("`{field}`")));
    let missing: Vec<&String> = missing.collect();
    assert!(
        missing.is_empty(),
        "docs/gate-record.md does not mention {missing:?}"
    );
}
