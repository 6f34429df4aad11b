//! A run of which every text that somebody else controls would do harm in a page.

use squall_report::Recording;

use crate::synthetic;

/// Texts that would do harm if a renderer forgot to escape them.
const HOSTILE: &str = "<script>alert(1)</script> \" ' ]]> <!-- </style></svg><img src=x onerror=alert(1)> \u{1b}[31m \0 \u{202e} & @all";

/// A recording in which every text that a scenario or a service controls is hostile.
pub(crate) fn hostile() -> Recording {
    let folder = synthetic::folder(7);
    let escaped = serde_json::to_string(HOSTILE).unwrap();
    let escaped = escaped.trim_matches('"');
    let mut run = folder.run_json.clone();
    let mut events = folder.events_ndjson.clone();
    let mut series = folder.series_ndjson.clone();
    for name in [
        "next_id",
        "back-5ms",
        "status 503",
        "hiccup",
        "rollback",
        "sequencer",
        "clock went back",
        "id-generator-clock",
    ] {
        for text in [&mut run, &mut events, &mut series] {
            *text = text.replace(name, &format!("{name}{escaped}"));
        }
    }
    let hlogs = folder
        .hlogs
        .iter()
        .map(|(load, text)| (format!("{load}{HOSTILE}"), text.as_str()))
        .collect();
    squall_report::recording(&events, &series, &hlogs, Some(&run)).unwrap()
}
