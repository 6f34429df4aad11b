//! Comparisons of made-up runs, read as people and programs read them.

#[path = "synthetic/slower.rs"]
mod slower;
mod synthetic;

use serde_json::Value;
use squall_model::record::{How, MergedFrom, MergedRun, Verdict};
use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, Run, Side, html, json, markdown, terminal};

const ONE_RUN_EACH: &str = "One run each: cannot separate a change from run-to-run variation";

fn run(name: &str, recording: Recording) -> Run {
    Run {
        name: name.to_owned(),
        recording,
    }
}

fn base(seed: u64) -> Recording {
    let mut recording = synthetic::folder(seed).recording();
    recording.record.seed = seed;
    recording.record.started_at = format!("2026-01-15T09:{:02}:12.480Z", 10 + seed);
    recording
}

fn candidate(seed: u64, factor: f64) -> Recording {
    let mut recording = slower::slower(base(seed), factor);
    "9d0e7f1".clone_into(&mut recording.record.revision);
    recording
}

fn side(name: &str, recordings: Vec<Recording>) -> Side {
    let runs = recordings.into_iter().enumerate();
    Side {
        name: name.to_owned(),
        runs: runs
            .map(|(at, recording)| run(&format!("{name}/{at}"), recording))
            .collect(),
    }
}

fn compared(sides: Vec<Side>) -> Comparisons {
    Comparisons {
        of: Comparison::new(sides).into_iter().collect(),
        notes: Vec::new(),
    }
}

fn one_each(before: Recording, after: Recording) -> Comparisons {
    compared(vec![side("", vec![before]), side("", vec![after])])
}

fn repeats(n: u64, factor: f64) -> Comparisons {
    let before = (1..=n).map(base).collect();
    let after = (n + 1..=2 * n).map(|seed| candidate(seed, factor)).collect();
    compared(vec![side("base", before), side("candidate", after)])
}

fn numbers(comparisons: &Comparisons) -> Value {
    serde_json::from_str(&json(comparisons)).unwrap()
}

/// The row of a metric of the load in a phase.
fn row<'v>(document: &'v Value, phase: &str, metric: &str) -> &'v Value {
    let rows = document["comparisons"][0]["changes"].as_array().unwrap();
    let mut found = rows
        .iter()
        .filter(|row| row["phase"] == phase && row["metric"] == metric && row["load"] == "next_id");
    found.next().unwrap()
}

#[test]
fn one_run_each_has_ratios_and_says_that_they_prove_nothing() {
    let comparisons = one_each(base(7), candidate(8, 1.5));
    let document = numbers(&comparisons);
    let p99 = &row(&document, "steady", "p99")["against_first"][0];
    let ratio = p99["ratio"].as_f64().unwrap();
    assert!((1.3..1.7).contains(&ratio), "{p99}");
    assert_eq!(p99["interval"], Value::Null);
    assert_eq!(p99["no_interval"], "one run each");
    for text in [
        html(&comparisons),
        markdown(&comparisons),
        terminal(&comparisons, 2_000, false),
    ] {
        assert!(text.contains(ONE_RUN_EACH), "{text}");
    }
    assert!(
        !html(&comparisons).contains("class=\"tone bad\""),
        "nothing is called worse"
    );
}

#[test]
fn repeats_bear_out_what_changed_and_nothing_else() {
    let comparisons = repeats(5, 1.5);
    let document = numbers(&comparisons);
    let p99 = &row(&document, "steady", "p99")["against_first"][0];
    let (low, high) = (
        p99["interval"]["low"].as_f64().unwrap(),
        p99["interval"]["high"].as_f64().unwrap(),
    );
    assert!(1.2 < low && low < 1.5 && 1.45 < high && high < 1.8, "{p99}");
    assert!(p99["interval"]["confidence"].as_f64().unwrap() >= 0.95);
    assert_eq!(p99["borne_out"], true);
    let throughput = &row(&document, "steady", "throughput")["against_first"][0];
    assert_eq!(
        (&throughput["ratio"], &throughput["borne_out"]),
        (&Value::from(1.0), &Value::from(false))
    );
    let page = html(&comparisons);
    assert!(
        page.contains("Worse: ") && page.contains("class=\"tone bad\""),
        "the page says so"
    );
    assert!(!page.contains(ONE_RUN_EACH));
}

#[test]
fn three_runs_a_side_are_said_to_be_too_few() {
    let comparisons = repeats(3, 1.5);
    let p99 = &row(&numbers(&comparisons), "steady", "p99")["against_first"][0].clone();
    assert!(p99["ratio"].is_f64() && p99["interval"].is_null(), "{p99}");
    assert!(markdown(&comparisons).contains("3 and 3 runs are too few for an interval at 95 %"));
}

#[test]
fn runs_are_aligned_at_the_first_fault() {
    let mut later = base(8);
    // As if its services had taken 3 s longer to start.
    let late = 3_000_000;
    for fault in &mut later.record.faults {
        fault.injected_us = fault.injected_us.map(|us| us + late);
    }
    let mut rows: Vec<squall_model::series::SeriesRow> = later
        .series
        .iter()
        .map(squall_model::series::Row::to_owned)
        .collect();
    for row in &mut rows {
        if let squall_model::series::SeriesRow::Load(row) = row {
            row.start_us += late;
            row.end_us += late;
        }
    }
    later.series = rows.into_iter().collect();
    for phase in &mut later.record.phases {
        phase.start_us += late;
        phase.end_us += late;
    }
    let page = html(&one_each(base(7), later));
    assert!(
        page.contains("aligned at the injection of back-5ms, at 22.2 s"),
        "it says where"
    );
    // Requests come evenly in both, so moved by 3 s the lines are one.
    let chart = page.split("id=\"first-done-wide-d").nth(1).unwrap_or_default();
    let chart = chart.split("</svg>").next().unwrap_or_default();
    let points = |line: &str| {
        let drawn = chart.split("<polyline").skip(1);
        let mut of_line = drawn.filter(|line_of| line_of.contains(&format!("data-line=\"{line}\"")));
        let text = of_line
            .next()
            .expect("a line")
            .split("points=\"")
            .nth(1)
            .expect("points");
        text.split('"').next().unwrap_or_default().trim().to_owned()
    };
    assert!(points("0").split(' ').count() > 20, "{}", points("0"));
    let ends = |line: &str| {
        let text = points(line);
        let mut places = text
            .split(' ')
            .map(|place| place.split(',').next().unwrap().parse::<i64>().unwrap());
        (places.next().unwrap(), places.next_back().unwrap())
    };
    let ((from, to), (from_later, to_later)) = (ends("0"), ends("1"));
    // In units of the drawing, of which 3 s are more than a hundred and a window of half a second some twenty.
    assert!(
        (from - from_later).abs() < 60 && (to - to_later).abs() < 60,
        "{:?} {:?}",
        ends("0"),
        ends("1")
    );
}

/// Makes `run` one that was merged from the runs of these seeds.
fn merge_of(run: &mut Recording, seeds: &[u64]) {
    let runs = seeds.iter().map(|seed| {
        let record = base(*seed).record;
        MergedRun {
            name: seed.to_string(),
            squall: record.squall,
            command: record.command,
            seed: *seed,
            started_at: record.started_at,
            duration_us: record.duration_us,
            revision: record.revision,
            machine: record.machine,
            verdict: record.verdict,
            exit_code: record.exit_code,
        }
    });
    run.record.merged = Some(Box::new(MergedFrom {
        how: How::Repeats,
        repeats: seeds.len() as u32,
        runs: runs.collect(),
        differ: Vec::new(),
    }));
}

#[test]
fn a_merged_run_beside_one_that_it_was_made_of_is_no_comparison_of_two_things() {
    let mut merged = base(9);
    merge_of(&mut merged, &[7, 8]);
    let doubts = |sides| numbers(&compared(sides))["comparisons"][0]["doubts"].to_string();
    let apart = doubts(vec![
        side("base", vec![base(5), base(6)]),
        side("candidate", vec![merged.clone()]),
    ]);
    assert_eq!(apart, "[]");
    let twice = doubts(vec![
        side("base", vec![base(5)]),
        side("candidate", vec![base(7), merged.clone()]),
    ]);
    assert!(twice.contains("candidate counts a run twice"), "{twice}");
    let both = doubts(vec![
        side("base", vec![base(7), base(8)]),
        side("candidate", vec![merged]),
    ]);
    assert!(
        both.contains("base and candidate have 2 runs in common"),
        "{both}"
    );
}

#[test]
fn what_should_not_be_compared_is_said_first() {
    type Spoil = fn(&mut Recording);
    let table: [(Spoil, &str); 7] = [
        (|run| merge_of(run, &[7, 9]), "have 1 run in common"),
        (
            |run| "another".clone_into(&mut run.record.scenario),
            "runs of different scenarios",
        ),
        (
            |run| run.record.quick = true,
            "made with --quick, the rest in full",
        ),
        (
            |run| {
                run.record.verdict = Verdict::Invalid;
                run.record.reasons = vec!["the generator was late".to_owned()];
            },
            "is invalid: the generator was late",
        ),
        (|run| run.record.machine.cores = 2, "come from different machines"),
        (
            |run| {
                for load in run
                    .record
                    .phases
                    .iter_mut()
                    .flat_map(|phase| phase.load.values_mut())
                {
                    load.target_rate = Some(9_000.0);
                }
            },
            "next_id in steady at 2k/s and 9k/s",
        ),
        (|run| run.events.truncate(20), "cut off before it could end"),
    ];
    for (spoil, words) in table {
        let mut spoilt = base(8);
        spoil(&mut spoilt);
        let comparisons = one_each(base(7), spoilt);
        let text = terminal(&comparisons, 2_000, false);
        let at = text
            .find(words)
            .unwrap_or_else(|| panic!("no `{words}` in\n{text}"));
        assert!(
            at < text.find("What changed").unwrap(),
            "`{words}` is not on top:\n{text}"
        );
        assert!(html(&comparisons).contains(words), "`{words}` is not on the page");
        let doubts = numbers(&comparisons)["comparisons"][0]["doubts"].to_string();
        assert!(doubts.contains(words), "{doubts}");
    }
    let sound = numbers(&one_each(base(7), base(8)));
    assert_eq!(sound["comparisons"][0]["doubts"], Value::Array(vec![]));
}

#[test]
fn a_changed_scenario_is_shown_line_by_line() {
    let mut changed = base(8);
    changed.record.source = changed.record.source.replacen("2k/s", "3k/s", 1);
    assert_ne!(changed.record.source, base(8).record.source);
    let comparisons = one_each(base(7), changed);
    let page = html(&comparisons);
    assert!(
        page.contains("\n+ ") && page.contains("3k/s"),
        "no line of the diff"
    );
    let sources = numbers(&comparisons)["comparisons"][0]["sources"][0].clone();
    let sources = sources.as_str().unwrap();
    assert_eq!(
        sources
            .lines()
            .filter(|line| line.starts_with(['+', '-']))
            .count(),
        2,
        "{sources}"
    );
}

#[test]
fn recovery_stands_side_by_side() {
    let mut lost = base(8);
    let mut well = base(7);
    well.record.faults[0].felt.recover_us = Some(640_000);
    lost.record.faults[0].felt.unrecovered_us = Some(7_000_000);
    let text = terminal(&one_each(well, lost), 200, false);
    assert!(text.contains("640 ms") && text.contains("not seen"), "{text}");
}

#[test]
fn several_scenarios_stand_on_one_page_without_sharing_a_name() {
    let renamed = |mut recording: Recording, name: &str| {
        name.clone_into(&mut recording.record.scenario);
        recording
    };
    let of = |name: &str| {
        let sides = vec![
            side("base", vec![renamed(base(7), name)]),
            side("candidate", vec![renamed(candidate(8, 1.1), name)]),
        ];
        Comparison::new(sides).unwrap()
    };
    let comparisons = Comparisons {
        of: vec![of("shop"), of("feed")],
        notes: vec!["cart is only in base.".to_owned()],
    };
    let page = html(&comparisons);
    let ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(ids.len(), once.len(), "an id stands twice");
    assert!(page.contains("cart is only in base.") && page.contains("2 scenarios"));
    assert!(terminal(&comparisons, 120, false).contains("feed"));
}

#[test]
fn texts_of_a_run_become_no_markup() {
    let mut hostile = base(8);
    let bad = "<script>alert(1)</script>";
    bad.clone_into(&mut hostile.record.revision);
    hostile.record.source.push_str(bad);
    hostile.record.command.push_str(bad);
    let comparisons = compared(vec![
        side("<img src=x onerror=y>", vec![base(7)]),
        side("b", vec![hostile]),
    ]);
    let page = html(&comparisons);
    assert!(
        !page.contains("<script>alert") && !page.contains("<img"),
        "markup came through"
    );
    assert!(!markdown(&comparisons).contains("<img"));
    assert_eq!(page.matches("<script>").count(), 1);
}

#[test]
fn fewer_than_two_sides_are_no_comparison() {
    assert!(Comparison::new(vec![side("a", vec![base(7)])]).is_none());
    assert!(Comparison::new(vec![side("a", vec![base(7)]), side("b", vec![])]).is_none());
}
