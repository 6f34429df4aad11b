//! Rules: Sentinel's JSON is read as Sentinel means it, and what is wrong is said with its place and what to do.

use squall_circuit_breaker::rule::{Behaviour, DegradeRule, FlowRule, Grade, LatencyRule, Strategy};
use squall_circuit_breaker::{FeedPolicy, RuleSet};

/// As Sentinel's dashboard writes flow rules to a data source.
const DASHBOARD: &str = r#"[{
    "id": 3, "app": "feed", "ip": "10.0.0.1", "port": 8719, "gmtCreate": null,
    "resource": "feed", "limitApp": "default", "grade": 1, "count": 5000.0, "strategy": 0, "refResource": null,
    "controlBehavior": 1, "warmUpPeriodSec": 30, "maxQueueingTimeMs": null, "clusterMode": false, "clusterConfig": null
}]"#;

/// As Sentinel 1.8 writes degrade rules.
const DEGRADE: &str = r#"{ "degrade": [{
    "resource": "recall", "limitApp": "default", "grade": 0, "count": 50.0, "timeWindow": 10, "minRequestAmount": 20,
    "slowRatioThreshold": 0.6, "statIntervalMs": 20000
}] }"#;

fn faults(text: &str) -> Vec<String> {
    let errors = RuleSet::from_json(text).expect_err("it is wrong");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_sentinels_dashboard_writes_is_read() {
    let flow = FlowRule {
        resource: "feed".to_owned(),
        grade: Grade::Qps,
        count: 5_000.0,
        control_behavior: Behaviour::WarmUp,
        warm_up_period_sec: 30,
        ..FlowRule::default()
    };
    assert_eq!(RuleSet::from_json(DASHBOARD).unwrap().flow, [flow]);
    let degrade = DegradeRule {
        resource: "recall".to_owned(),
        grade: Strategy::SlowRatio,
        count: 50.0,
        time_window: 10,
        min_request_amount: 20,
        slow_ratio_threshold: 0.6,
        stat_interval_ms: 20_000,
        ..DegradeRule::default()
    };
    assert_eq!(RuleSet::from_json(DEGRADE).unwrap().degrade, [degrade]);
}

#[test]
fn missing_fields_have_sentinels_defaults() {
    let rules = r#"{ "flow": [{ "resource": "a", "count": 1 }], "degrade": [{ "resource": "a", "count": 1, "timeWindow": 2 }] }"#;
    let rules = RuleSet::from_json(rules).unwrap();
    let (flow, degrade) = (&rules.flow[0], &rules.degrade[0]);
    assert_eq!(
        (flow.grade, flow.control_behavior),
        (Grade::Qps, Behaviour::Reject)
    );
    assert_eq!((flow.warm_up_period_sec, flow.max_queueing_time_ms), (10, 500));
    assert_eq!(
        (degrade.grade, degrade.min_request_amount),
        (Strategy::SlowRatio, 5)
    );
    assert_eq!((degrade.stat_interval_ms, degrade.stat_buckets), (1_000, 1));
}

#[test]
fn rules_survive_being_written_and_read() {
    let mut rules = FeedPolicy::rules();
    rules.latency.push(LatencyRule {
        resource: "other".to_owned(),
        ..LatencyRule::default()
    });
    let text = serde_json::to_string(&rules).unwrap();
    assert_eq!(RuleSet::from_json(&text).unwrap(), rules);
}

#[test]
fn every_fault_is_said_at_once_with_its_place_and_what_to_do() {
    let text = r#"{
        "flow": [{ "resource": "feed", "count": -1 }, { "count": 1 }, { "resource": "a", "count": 1, "statBuckets": 3 }],
        "degrade": [{ "resource": "recall", "grade": 1, "count": 5, "timeWindow": 0 }]
    }"#;
    assert_eq!(
        faults(text),
        [
            "flow[0] (resource `feed`): `count` is -1; give a number from 0 to 268435455",
            "flow[1]: `resource` is empty; give the name of what is guarded",
            "flow[2] (resource `a`): `statBuckets` of 3 do not cut `statIntervalMs` of 1000; \
             give 1 to 60 that divide it into equal parts of at least 10 ms",
            "degrade[0] (resource `recall`): `count` is 5; give a number from 0 to 1",
            "degrade[0] (resource `recall`): `timeWindow` is 0; give a number from 1 to 86400",
        ]
    );
}

#[test]
fn what_would_be_decided_otherwise_is_refused_rather_than_ignored() {
    for (field, value) in [
        ("limitApp", "\"app-a\""),
        ("strategy", "1"),
        ("clusterMode", "true"),
        ("regex", "true"),
        ("tokenCalculateStrategy", "1"),
        ("threshold", "5"),
    ] {
        let text = format!(r#"[{{ "resource": "a", "count": 1, "{field}": {value} }}]"#);
        let found = faults(&text);
        assert!(found[0].contains(field), "{found:?}");
    }
}

#[test]
fn a_field_that_nobody_knows_is_refused_with_those_there_are() {
    let text = r#"{
        "flow": [{ "resource": "a", "cuont": 1, "refResource": "b", "clusterConfig": {} }],
        "degrade": [{ "resource": "a", "count": 1, "timeWindow": 1, "controlBehavior": 0 }],
        "latency": [{ "resource": "a", "limitApp": "default" }]
    }"#;
    let found = faults(text);
    assert_eq!(
        found[0],
        "flow[0] (resource `a`): `cuont` is no field of this rule; use controlBehavior, count, grade, maxQueueingTimeMs, resource, \
         statBuckets, statIntervalMs, warmUpPeriodSec"
    );
    assert!(
        found[1].contains("`controlBehavior` is no field of this rule"),
        "{found:?}"
    );
    assert!(
        found[2].contains("`limitApp` is no field of this rule"),
        "{found:?}"
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn what_is_no_rule_is_refused_without_a_panic() {
    for text in [
        "",
        "7",
        "null",
        "[7]",
        "[null]",
        "[[]]",
        r#"{"flow": 7}"#,
        r#"{"flows": []}"#,
        r#"[{ "resource": "a", "grade": 2 }]"#,
        r#"[{ "resource": "a", "controlBehavior": 4, "count": 1 }]"#,
        r#"{"degrade": [{ "resource": "a", "grade": 3 }]}"#,
        r#"{"latency": [{ "resource": "a" }, { "resource": "a" }]}"#,
    ] {
        assert!(!faults(text).is_empty(), "{text}");
    }
    assert!(RuleSet::from_json("[]").unwrap().is_empty());
}

#[test]
fn the_numbers_of_rules_are_limited() {
    let many = |count| {
        let rule = r#"{ "resource": "a", "grade": 2, "count": 1, "timeWindow": 1 }"#;
        format!(r#"{{"degrade": [{}]}}"#, vec![rule; count].join(","))
    };
    assert!(RuleSet::from_json(&many(4)).is_ok());
    assert!(faults(&many(5))[0].contains("more than 4 degrade rules"));
    assert!(faults(&many(1_001))[0].contains("at most 1000"));
}
