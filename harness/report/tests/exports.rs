//! A run in other formats: numbers for a time series database, charts as pictures.

mod hostile;
mod synthetic;

use std::collections::BTreeMap;

use squall_report::{PictureError, openmetrics, picture};

/// The samples of one name and one set of labels, in order: value and time.
fn samples(text: &str, series: &str) -> Vec<(f64, f64)> {
    let rest = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    rest.map(|rest| {
        let (value, at) = rest.split_once(' ').expect("a value and a time");
        (value.parse().expect("a number"), at.parse().expect("a time"))
    })
    .collect()
}

#[test]
fn every_count_ends_where_the_record_has_it_and_never_falls() {
    let recording = synthetic::folder(7).recording();
    let text = openmetrics(&recording).unwrap();
    let load = |of: fn(&squall_model::record::LoadRecord) -> u64| -> f64 {
        recording
            .record
            .phases
            .iter()
            .map(|phase| of(&phase.load["next_id"]))
            .sum::<u64>() as f64
    };
    let failed = load(|load| load.failed);
    let ended = [
        (
            "squall_requests_total{load=\"next_id\",outcome=\"ok\"}",
            load(|load| load.completed) - failed,
        ),
        (
            "squall_requests_total{load=\"next_id\",outcome=\"failed\"}",
            failed,
        ),
        (
            "squall_requests_sent_total{load=\"next_id\"}",
            load(|load| load.sent),
        ),
        (
            "squall_requests_intended_total{load=\"next_id\"}",
            load(|load| load.intended),
        ),
    ];
    assert!(failed > 0.0);
    for (series, all) in ended {
        let samples = samples(&text, series);
        assert_eq!(samples.first().map(|first| first.0), Some(0.0), "{series}");
        assert_eq!(samples.last().map(|last| last.0), Some(all), "{series}");
        assert!(samples.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1), "{series}");
    }
}

#[test]
fn every_fault_holds_from_its_injection_to_its_healing() {
    let recording = synthetic::folder(7).recording();
    let text = openmetrics(&recording).unwrap();
    for fault in &recording.record.faults {
        let series = format!(
            "squall_fault_holds{{fault=\"{}\",kind=\"{}\"}}",
            fault.name, fault.kind
        );
        let samples = samples(&text, &series);
        let start = samples[0].1;
        let turns: Vec<u64> = samples
            .windows(2)
            .filter(|pair| (pair[0].0 > 0.5) != (pair[1].0 > 0.5))
            .map(|pair| ((pair[1].1 - start) * 1e3).round() as u64)
            .collect();
        let asked = [fault.injected_us, fault.healed_us].map(|at| at.expect("it came and went") / 1_000);
        assert_eq!(turns, asked, "{series}");
    }
}

/// A timestamp has milliseconds, and what begins within that of a whole second begins nevertheless.
#[test]
fn no_series_has_two_samples_at_one_time_and_no_fault_is_lost_between_them() {
    let mut recording = synthetic::folder(7).recording();
    recording.events.clear();
    let fault = &mut recording.record.faults[0];
    (fault.repeated, fault.injected_us, fault.healed_us) = (None, Some(22_000_213), Some(22_900_000));
    recording.record.duration_us = 61_000_400;
    for phase in &mut recording.record.phases {
        phase.end_us = phase.end_us.min(61_000_400);
    }
    assert_eq!(
        recording.end_us() / 1_000,
        61_000,
        "within the millisecond of a whole second"
    );
    let name = recording.record.faults[0].name.clone();
    let text = openmetrics(&recording).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.rsplitn(3, ' ');
        let (at, _, series) = (words.next(), words.next(), words.next());
        assert!(seen.insert((series, at)), "twice: {line}");
    }
    assert!(seen.len() > 500);
    let holds = samples(
        &text,
        &format!("squall_fault_holds{{fault=\"{name}\",kind=\"clock\"}}"),
    );
    let on: Vec<u64> = holds
        .iter()
        .filter(|(value, _)| *value > 0.5)
        .map(|(_, at)| ((at - holds[0].1) * 1e3).round() as u64)
        .collect();
    assert_eq!(on, [22_000]);
}

/// Whatever a record says of its length, and of its texts.
#[test]
fn a_run_of_any_length_has_a_bounded_number_of_samples_and_texts_are_quoted() {
    let mut recording = synthetic::folder(7).recording();
    recording.record.duration_us = u64::MAX;
    recording.record.scenario = "a \"b\" \\ c\nd".to_owned();
    let text = openmetrics(&recording).unwrap();
    let runs: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("squall_run_info"))
        .collect();
    assert!((40_000..=86_401).contains(&runs.len()), "{}", runs.len());
    assert!(
        runs[0].starts_with(r#"squall_run_info{scenario="a \"b\" \\ c\nd",seed="7","#),
        "{}",
        runs[0]
    );
}

#[test]
fn families_come_once_and_the_text_has_an_end() {
    let text = openmetrics(&hostile::hostile()).unwrap();
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        *families.entry(name).or_default() += 1;
    }
    assert!(
        families.len() >= 14 && families.values().all(|times| *times == 1),
        "{families:?}"
    );
    assert!(text.ends_with("# EOF\n"));
    let odd: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("squall_"))
        .collect();
    assert_eq!(
        odd, [""; 0],
        "a line end in a label would begin a line of its own"
    );
}

#[test]
fn a_start_that_is_no_date_is_said() {
    let mut recording = synthetic::folder(7).recording();
    recording.record.started_at = "yesterday".to_owned();
    let error = openmetrics(&recording).unwrap_err().to_string();
    assert!(
        error.contains("`yesterday` in the run record is no date"),
        "{error}"
    );
}

#[test]
fn every_chart_that_is_listed_can_be_drawn_and_stands_alone() {
    for recording in [synthetic::folder(7).recording(), hostile::hostile()] {
        let Err(PictureError::Unknown { known, .. }) = picture(&recording, "no such chart") else {
            panic!("it was found");
        };
        assert!(known.len() > 8, "{known:?}");
        for (name, _) in &known {
            let svg = picture(&recording, name).unwrap();
            let drawings = svg.matches("<svg ").count();
            assert_eq!(drawings, svg.matches("</svg>").count(), "{name}");
            assert!(drawings >= 2, "{name}");
            for foreign in ["var(", "<script", "<img", "href", "<style", "\u{1b}"] {
                assert!(!svg.contains(foreign), "{foreign} in {name}");
            }
        }
    }
}

#[test]
fn a_picture_has_the_title_and_the_legend_that_a_page_sets_around_a_chart() {
    let svg = picture(&synthetic::folder(7).recording(), "latency").unwrap();
    for text in [">next_id: response time<", ">P50<", ">P99<", ">max<"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[cfg(feature = "png")]
#[test]
fn a_png_is_twice_as_large_as_the_picture_and_has_ink_where_words_are() {
    let svg = picture(&hostile::hostile(), "overview").unwrap();
    let png = squall_report::png(&svg).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    let height: u32 = svg
        .split("height=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!((number(16), number(20)), (1920, 2 * height));
    let mute = svg.replace("<text", "<g").replace("</text>", "</g>");
    assert!(
        squall_report::png(&mute).unwrap().len() < png.len(),
        "words take room"
    );
}
