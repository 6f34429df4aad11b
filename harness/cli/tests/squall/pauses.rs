//! Pauses and resources of the user's programs, from the program's own output and state to the record and the screen.

use squall_model::exit::Exit;
use squall_model::record::Each;

use crate::support::Stage;

/// The length that the program's lines give, microseconds: 7.0 ms, and half of the last digit that Go prints.
const TOLD_US: u64 = 7_050;

#[test]
fn a_program_that_prints_its_collections_has_pauses_and_one_that_prints_nothing_says_why_not() {
    let stage = Stage::shared();
    let line = "gc 7 @0.132s 3%: 7.0+1.2+0 ms clock, 0.03+0.41/0.95/0+26 ms cpu, 4->4->3 MB, 2 P";
    let script = format!("while :; do echo '{line}'; sleep 0.05; done");
    let scenario = stage.write(
        "pauses.yaml",
        &format!(
            r#"squall: 1
name: pauses
services:
  telling: {{ run: [sh, -c, {script:?}], ready: {{ log: "^gc 7" }} }}
  silent: {{ run: [sleep, "600"] }}
phases: [{{ phase: p, for: 1s }}]
expect:
  p:
    - "telling.gc.max > 7ms"
    - "telling.pauses.count >= 1"
    - "silent.threads_max == 1"
    - "silent.descriptors_max >= 1"
    - "silent.gc.max < 1h"
    - "silent.pauses.max < 1h"
"#
        ),
    );
    let ended = stage.run(&scenario, &[]);
    ended.assert_exit(Exit::Invalid).assert_nothing_left();
    let record = ended.record();
    let verdicts: Vec<&str> = record
        .expectations
        .iter()
        .map(|one| one.verdict.as_str())
        .collect();
    assert_eq!(
        verdicts,
        ["pass", "pass", "pass", "pass", "invalid", "invalid"],
        "{ended}"
    );
    let (telling, silent) = (
        &record.phases[0].services["telling"],
        &record.phases[0].services["silent"],
    );
    let of_gc = &telling.pause_kinds["gc"];
    assert!(
        of_gc
            .max
            .is_some_and(|max| max.abs_diff(TOLD_US) * 1_000 <= TOLD_US),
        "{of_gc:?}"
    );
    // Each line has a second part, which was shorter than a microsecond.
    assert_eq!(of_gc.total, of_gc.count / 2 * TOLD_US);
    assert_eq!(telling.pauses_not_visible, ["hiccup"]);
    assert!(silent.pauses.is_none());
    assert!(
        !silent.pause_kinds.contains_key("gc"),
        "what can't be seen is not zero"
    );
    assert_eq!(silent.pause_kinds["run_queue"].each, Each::Interval);
    for words in ["silent: pauses not visible: hiccup", "gc (it printed no line of"] {
        let shown = ended.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(words), "{words}: {ended}");
    }
}
