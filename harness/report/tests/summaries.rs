//! The short formats, word for word.
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod synthetic;

use expect_test::expect;
use squall_model::record::{EdgeRecord, Verdict};
use squall_report::{html, junit, markdown, terminal};

#[test]
fn markdown_is_short_and_says_what_matters() {
    expect![[r#"
        # id-generator-clock-rollback

        **✅ PASS** – Everything that was expected held, and everything needed to say so was seen.

        112,000 requests at 2k/s over 56 s: 7 failed \(warm-up not counted\). P99 was 683 µs in steady and at worst 809 µs in back-500ms. The slowest request took 50.2 ms, in back-50ms. 4 faults were injected between 22.2 s and 52.2 s, each proved to have taken effect, within 380 µs. ids.unique held over 120,000 checks; ids.defended held over 4 checks.

        ## Expectations

        5 of 5 expectations held.

        ## Invariants

        | Verdict | Invariant | Promise | Checked | Violations | Seen |
        | :-- | :-- | :-- | --: | --: | :-- |
        | pass | ids.unique | no id is ever issued twice | 120,000 | 0 |  |
        | pass | ids.defended | each defence against a rollback was used | 4 | 0 | spin 1, sleep 2, backup 1 |

        ## Faults

        |  | Fault | On | Phase | From | To | Took effect |
        | :-- | :-- | :-- | :-- | --: | --: | :-- |
        | A | back-5ms<br>the clock of ids steps back 5 ms | ids | back-5ms | 22.240 s | 29.840 s | proved after 380 µs |
        | B | back-20ms<br>the clock of ids steps back 20 ms | ids | back-20ms | 32.240 s | 39.840 s | proved after 380 µs |
        | C | back-50ms<br>the clock of ids steps back 50 ms | ids | back-50ms | 42.240 s | 49.840 s | proved after 380 µs |
        | D | back-500ms<br>the clock of ids steps back 500 ms | ids | back-500ms | 52.240 s | 59.840 s | proved after 380 µs |

        ## Phases

        | Phase | Load | Target | Done | Errors | P50 | P99 | P99.9 | Max |
        | :-- | :-- | --: | --: | --: | --: | --: | --: | --: |
        | warm-up | next\_id | 2k/s | 2k/s | 0 % | 497 µs | 1.09 ms | – | 6.36 ms |
        | steady | next\_id | 2k/s | 2k/s | 0 % | 315 µs | 683 µs | 3.07 ms | 3.92 ms |
        | back-5ms | next\_id | 2k/s | 2k/s | 0 % | 313 µs | 695 µs | 3.33 ms | 5.47 ms |
        | back-20ms | next\_id | 2k/s | 2k/s | 0 % | 314 µs | 706 µs | 10.4 ms | 20.3 ms |
        | back-50ms | next\_id | 2k/s | 2k/s | 0 % | 313 µs | 792 µs | 40.2 ms | 50.2 ms |
        | back-500ms | next\_id | 2k/s | 2k/s | 0.035 % | 359 µs | 809 µs | 3.75 ms | 4.72 ms |

        –: not measured, or fewer than 10 samples beyond the percentile.

        ## Services

        ids: pauses not visible: gc \(it printed no line of it\).

        ## Where this comes from

        ```
        squall run scenarios/id-generator-clock-rollback.yaml --seed 7
        ```

    "#]].assert_eq(&markdown(&synthetic::folder(7).recording()));
}

#[test]
fn the_terminal_gets_the_same_in_columns() {
    expect![[r#"
        PASS  id-generator-clock-rollback
        Everything that was expected held, and everything needed to say so was seen.

        112,000 requests at 2k/s over 56 s: 7 failed (warm-up not counted). P99 was
        683 µs in steady and at worst 809 µs in back-500ms. The slowest request took
        50.2 ms, in back-50ms. 4 faults were injected between 22.2 s and 52.2 s, each
        proved to have taken effect, within 380 µs. ids.unique held over 120,000 checks;
        ids.defended held over 4 checks.

        Expectations
        5 of 5 expectations held.

        Invariants
        Verdict  Invariant     Checked  Violations  Seen
        pass     ids.unique    120,000           0
        pass     ids.defended        4           0  spin 1, sleep 2, backup 1

        Faults
           Fault                            On       From        To  Took effect
        A  back-5ms: the clock of ids ste…  ids  22.240 s  29.840 s  proved after 380 µs
        B  back-20ms: the clock of ids st…  ids  32.240 s  39.840 s  proved after 380 µs
        C  back-50ms: the clock of ids st…  ids  42.240 s  49.840 s  proved after 380 µs
        D  back-500ms: the clock of ids s…  ids  52.240 s  59.840 s  proved after 380 µs

        Phases
        Phase       Load     Target  Done   Errors     P50      P99    P99.9      Max
        warm-up     next_id    2k/s  2k/s      0 %  497 µs  1.09 ms        –  6.36 ms
        steady      next_id    2k/s  2k/s      0 %  315 µs   683 µs  3.07 ms  3.92 ms
        back-5ms    next_id    2k/s  2k/s      0 %  313 µs   695 µs  3.33 ms  5.47 ms
        back-20ms   next_id    2k/s  2k/s      0 %  314 µs   706 µs  10.4 ms  20.3 ms
        back-50ms   next_id    2k/s  2k/s      0 %  313 µs   792 µs  40.2 ms  50.2 ms
        back-500ms  next_id    2k/s  2k/s  0.035 %  359 µs   809 µs  3.75 ms  4.72 ms

        –: not measured, or fewer than 10 samples beyond the percentile.

        Services
        ids: pauses not visible: gc (it printed no line of it).

        Where this comes from
          squall run scenarios/id-generator-clock-rollback.yaml --seed 7

    "#]]
    .assert_eq(&terminal(&synthetic::folder(7).recording(), 80, false));
}

#[test]
fn every_line_fits_the_screen() {
    let recording = synthetic::folder(7).recording();
    for width in [60, 80, 120] {
        let screen = terminal(&recording, width, false);
        let longest = screen
            .lines()
            .filter(|line| !line.starts_with("  "))
            .map(|line| line.chars().count())
            .max();
        assert!(longest <= Some(width), "{longest:?} > {width}\n{screen}");
    }
}

#[test]
fn junit_has_a_suite_per_scope_and_a_case_per_check() {
    let mut recording = synthetic::folder(7).recording();
    recording.record.verdict = Verdict::Fail;
    recording.record.expectations[2].verdict = Verdict::Fail;
    recording.record.expectations[2].value = Some(91_200.0);
    recording.record.expectations[0].verdict = Verdict::Invalid;
    recording.record.expectations[0].value = None;
    recording.record.expectations[0].reason = "the generator ran 12 ms behind its schedule".to_owned();
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="id-generator-clock-rollback" tests="7" failures="1" errors="1" time="60.300">
          <testsuite name="steady" tests="2" failures="0" errors="1" skipped="0" timestamp="2026-01-15T09:30:12.480Z">
            <testcase classname="id-generator-clock-rollback.steady" name="next_id.p99 &lt; 5ms">
              <error type="invalid" message="the generator ran 12 ms behind its schedule">the generator ran 12 ms behind its schedule</error>
            </testcase>
            <testcase classname="id-generator-clock-rollback.steady" name="next_id.errors == 0%"/>
          </testsuite>
          <testsuite name="back-50ms" tests="1" failures="1" errors="0" skipped="0" timestamp="2026-01-15T09:30:12.480Z">
            <testcase classname="id-generator-clock-rollback.back-50ms" name="next_id.max &lt; 80ms">
              <failure type="fail" message="measured 91.2 ms">measured 91.2 ms</failure>
            </testcase>
          </testsuite>
          <testsuite name="run" tests="4" failures="0" errors="0" skipped="0" timestamp="2026-01-15T09:30:12.480Z">
            <testcase classname="id-generator-clock-rollback.run" name="ids.unique"/>
            <testcase classname="id-generator-clock-rollback.run" name="next_id.achieved &gt; 99%"/>
            <testcase classname="id-generator-clock-rollback.run" name="ids.unique"/>
            <testcase classname="id-generator-clock-rollback.run" name="ids.defended"/>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&junit(&recording));
}

#[test]
fn edges_are_there_where_there_were_proxies_and_one_that_nobody_used_stands_out() {
    let mut recording = synthetic::folder(7).recording();
    assert!(!html(&recording).contains("Longest silence"));
    recording.record.edges = vec![
        EdgeRecord {
            caller: "feed".to_owned(),
            callee: "ids".to_owned(),
            bytes: 3 * 1024 * 1024,
            connections: 1_204,
            connections_per_s_max: 310.4,
            requests: Some(24_000),
            requests_per_call: Some(1.2),
            longest_silence_us: Some(995_732),
            redirected: None,
            missed: None,
        },
        EdgeRecord {
            caller: "feed".to_owned(),
            callee: "ranking".to_owned(),
            ..EdgeRecord::default()
        },
    ];
    let text = markdown(&recording);
    let section = text.split("## ").find(|section| section.starts_with("Edges"));
    expect![[r#"
        Edges

        | Edge | Connections | Most per second | Requests | Per call | Bytes | Longest silence |
        | :-- | --: | --: | --: | --: | --: | --: |
        | feed-&gt;ids | 1,204 | 310 | 24,000 | 1.20 | 3 MiB | 996 ms |
        | feed-&gt;ranking | never used | 0 | – | – | 0 B | – |

    "#]]
    .assert_eq(section.unwrap_or_default());
    assert!(html(&recording).contains("Longest silence"));
}

#[test]
fn where_connects_were_redirected_the_report_counts_them_and_those_that_were_missed_stand_out() {
    let mut recording = synthetic::folder(7).recording();
    let edge = |callee: &str, redirected, missed| EdgeRecord {
        caller: "feed".to_owned(),
        callee: callee.to_owned(),
        connections: 5,
        redirected,
        missed,
        ..EdgeRecord::default()
    };
    recording.record.edges = vec![
        edge("ids", Some(1_204), Some(0)),
        edge("ranking", Some(3), Some(2)),
        edge("told", None, None),
    ];
    let text = markdown(&recording);
    let section = text.split("## ").find(|section| section.starts_with("Edges"));
    expect![[r#"
        Edges

        | Edge | Connections | Most per second | Requests | Per call | Bytes | Longest silence | Redirected |
        | :-- | --: | --: | --: | --: | --: | --: | --: |
        | feed-&gt;ids | 5 | 0 | – | – | 0 B | – | 1,204 |
        | feed-&gt;ranking | 5 | 0 | – | – | 0 B | – | 3, 2 missed |
        | feed-&gt;told | 5 | 0 | – | – | 0 B | – | – |

    "#]]
    .assert_eq(section.unwrap_or_default());
}
