//! Tables, and requests that are led by them.

use std::collections::BTreeSet;
use std::sync::Arc;

use expect_test::{Expect, expect};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Route, RouteReason, RouteRequest, RouteTable, Router, RouterOptions};

fn clusters() -> BTreeSet<Arc<str>> {
    ["svc-v1", "svc-v2", "svc-v3"]
        .into_iter()
        .map(Arc::from)
        .collect()
}

fn router(table: &str) -> Router {
    let table = RouteTable::from_json(table, &clusters()).expect("the table is valid");
    let options = RouterOptions {
        seed: 7,
        ..RouterOptions::default()
    };
    Router::new(table, options).expect("buckets in memory")
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let value = HeaderValue::from_str(value).expect("a valid value");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

/// Tests have no runtime where a route is ready at once.
fn at_once(router: &Router, method: &str, path: &str, headers: &HeaderMap) -> Route {
    let request = RouteRequest {
        method,
        path,
        headers,
    };
    let mut future = std::pin::pin!(router.route(&request));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(route) => route,
        std::task::Poll::Pending => panic!("a route that must be ready at once is not"),
    }
}

fn check(router: &Router, request: (&str, &str, &[(&'static str, &str)]), route: &Expect) {
    let (method, path, fields) = request;
    let found = at_once(router, method, path, &headers(fields));
    let rule = found.rule.as_deref().unwrap_or("no rule");
    route.assert_eq(&format!("{} by {} ({rule})", found.cluster, found.reason));
}

#[test]
fn the_first_rule_that_matches_decides() {
    let router = router(
        r#"{
            "routes": [
                { "name": "gray", "match": { "headers": [{ "name": "X-Env", "exact": "gray" }] }, "cluster": "svc-v2" },
                { "name": "write", "match": { "prefix": "/feed", "method": ["POST", "PUT"] }, "cluster": "svc-v3" },
                { "name": "feed", "match": { "prefix": "/feed" }, "cluster": "svc-v2" },
                { "name": "root", "match": { "exact": "/" }, "cluster": "svc-v3" },
                { "match": { "prefix": "/below/" }, "cluster": "svc-v3" }
            ],
            "default": "svc-v1"
        }"#,
    );
    let check = |method, path, fields, route: Expect| check(&router, (method, path, fields), &route);
    check(
        "GET",
        "/feed",
        &[("x-env", "gray")],
        expect!["svc-v2 by header (gray)"],
    );
    check(
        "GET",
        "/x",
        &[("x-env", "b"), ("x-env", "gray")],
        expect!["svc-v2 by header (gray)"],
    );
    check(
        "GET",
        "/feed",
        &[("x-env", "grayish")],
        expect!["svc-v2 by path (feed)"],
    );
    check("PUT", "/feed/7?a=/b", &[], expect!["svc-v3 by path (write)"]);
    check("put", "/feed/7", &[], expect!["svc-v2 by path (feed)"]);
    check("GET", "/feed?x", &[], expect!["svc-v2 by path (feed)"]);
    check("GET", "/feedback", &[], expect!["svc-v1 by default (no rule)"]);
    check("GET", "/", &[], expect!["svc-v3 by path (root)"]);
    check("GET", "/below/x", &[], expect!["svc-v3 by path (routes[4])"]);
    check("GET", "/below", &[], expect!["svc-v1 by default (no rule)"]);
    check("OPTIONS", "*", &[], expect!["svc-v1 by default (no rule)"]);
}

#[test]
fn headers_match_in_each_way() {
    let router = router(
        r#"{
            "routes": [
                { "name": "regex", "match": { "headers": [{ "name": "a", "regex": "v\\d+|w" }] }, "cluster": "svc-v2" },
                { "name": "prefix", "match": { "headers": [{ "name": "a", "prefix": "v" }] }, "cluster": "svc-v2" },
                { "name": "both", "match": { "headers": [{ "name": "a", "present": true }, { "name": "b", "present": false }] },
                  "cluster": "svc-v2" }
            ],
            "default": "svc-v1"
        }"#,
    );
    let check = |fields, route: Expect| check(&router, ("GET", "/", fields), &route);
    check(&[("a", "v12")], expect!["svc-v2 by header (regex)"]);
    check(&[("a", "v12x")], expect!["svc-v2 by header (prefix)"]);
    check(&[("a", "w")], expect!["svc-v2 by header (regex)"]);
    check(&[("a", "ww")], expect!["svc-v2 by header (both)"]);
    check(&[("a", "ww"), ("b", "")], expect!["svc-v1 by default (no rule)"]);
    check(&[("b", "v12")], expect!["svc-v1 by default (no rule)"]);
}

#[test]
fn every_mistake_of_a_table_is_told_with_its_place() {
    let wrong = |table: &str, told: Expect| {
        let errors = RouteTable::from_json(table, &clusters()).expect_err("the table is wrong");
        told.assert_eq(&errors.to_string());
    };
    wrong(
        r#"{
            "experiments": [
                { "name": "e", "key": "not a name", "variants": [] },
                { "variants": [{ "name": "a", "cluster": "svc-v1", "weight": 1 }, { "name": "a", "cluster": "svc-v2", "weight": 0.5 }] }
            ],
            "routes": [
                { "match": { "prefix": "feed", "method": "get", "headers": [{ "name": "a", "regex": "a)|(b" }, { "name": "b" }] } },
                { "name": "two", "cluster": "svc-v1", "experiment": "e" },
                { "name": "two", "cluster": "svc-v9" },
                { "name": "two", "weights": [{ "cluster": "svc-v1", "weight": 0 }] },
                { "match": { "prefix": "/a", "exact": "/a" }, "experiment": "none", "cluste": "svc-v1" }
            ]
        }"#,
        expect![[r#"
            experiments[0].key is "not a name", which is no name of a header
            experiments[0].variants has no weight above zero, so nothing can be drawn
            experiments[1].name is missing
            experiments[1].variants[1].weight is 0.5; give a whole number from 0 to 4294967295
            experiments[1].variants[1].name is a, as that of another variant; name them apart
            routes[0].match.prefix is "feed"; a path begins with / and has no query
            routes[0].match.method is "get"; give a method such as GET
            routes[0].match.headers[0].regex is no regular expression: regex parse error:
                a)|(b
                 ^
            error: unopened group
            routes[0].match.headers[1] must have one of exact, prefix, regex, present
            routes[0] leads nowhere; give cluster, weights or experiment
            routes[1] leads to several; give one of cluster, weights or experiment
            routes[2].cluster is "svc-v9", which is no cluster; use one of svc-v1, svc-v2, svc-v3
            routes[3].weights has no weight above zero, so nothing can be drawn
            routes[4].cluste is not known here; use name, match, cluster, weights, experiment
            routes[4].match has both prefix and exact; give one of them
            routes[4].experiment is "none", which no valid one of experiments is named
            default is missing"#]],
    );
    wrong(
        "[1]",
        expect!["table is [1], not an object with experiments, routes, default"],
    );
    wrong(
        "{",
        expect!["table is not JSON: EOF while parsing an object at line 1 column 1"],
    );
}

/// How far a count of `n` draws with this share may be from its mean: six standard deviations, one seed in 500 million.
fn within(n: u32, share: f64, count: u32) -> bool {
    let sigma = (f64::from(n) * share * (1.0 - share)).sqrt();
    (f64::from(count) - f64::from(n) * share).abs() <= 6.0 * sigma
}

#[test]
fn weights_split_requests_by_weight() {
    let router = router(
        r#"{ "default": { "weights": [{ "cluster": "svc-v1", "weight": 65 }, { "cluster": "svc-v2", "weight": 35 }] } }"#,
    );
    let (requests, mut second) = (100_000, 0);
    for _ in 0..requests {
        // A user changes nothing: each request is drawn by itself.
        let route = at_once(&router, "GET", "/", &headers(&[("x-user-id", "1")]));
        assert_eq!(route.reason, RouteReason::Weight);
        second += u32::from(&*route.cluster == "svc-v2");
    }
    assert!(within(requests, 0.35, second), "{second} of {requests}");
    // The check can tell the weight from its neighbours.
    assert!(
        !within(requests, 0.33, second) && !within(requests, 0.37, second),
        "{second}"
    );
}

const EXPERIMENTS: &str = r#"{
    "experiments": [
        { "name": "one", "variants": [
            { "name": "a", "cluster": "svc-v1", "weight": 1 }, { "name": "b", "cluster": "svc-v2", "weight": 1 }] },
        { "name": "two", "variants": [
            { "name": "a", "cluster": "svc-v1", "weight": 1 }, { "name": "b", "cluster": "svc-v2", "weight": 1 }] }
    ],
    "routes": [{ "match": { "prefix": "/one" }, "experiment": "one" }],
    "default": { "experiment": "two" }
}"#;

#[test]
fn experiments_split_users_independently_of_each_other() {
    let router = router(EXPERIMENTS);
    let users = 40_000;
    let mut both = [[0; 2]; 2];
    for user in 0..users {
        let user = headers(&[("x-user-id", &format!("user-{user}"))]);
        let second = |path| usize::from(&*at_once(&router, "GET", path, &user).cluster == "svc-v2");
        both[second("/one")][second("/two")] += 1;
    }
    for count in both.as_flattened() {
        assert!(within(users, 0.25, *count), "{both:?}");
    }
}

#[test]
fn a_request_that_names_no_user_is_drawn_for_itself() {
    let router = router(EXPERIMENTS);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let route = at_once(&router, "GET", "/", &headers(&[("x-user-id", "")]));
        assert_eq!(route.reason, RouteReason::Weight);
        seen.insert(route.cluster);
    }
    assert_eq!(seen.len(), 2);
}

/// JSON that is a table more often than not.
fn any_table() -> impl Strategy<Value = serde_json::Value> {
    let cluster = || prop_oneof![Just("svc-v1"), Just("svc-v2"), Just("svc-v3"), Just("other")];
    let action = move || {
        prop_oneof![
            cluster().prop_map(|cluster| serde_json::json!({ "cluster": cluster })),
            prop::collection::vec((cluster(), 0_u32..3), 1..4).prop_map(|items| {
                let items: Vec<_> = items
                    .into_iter()
                    .map(|(cluster, weight)| serde_json::json!({ "cluster": cluster, "weight": weight }))
                    .collect();
                serde_json::json!({ "weights": items })
            }),
            Just(serde_json::json!({ "experiment": "e" })),
        ]
    };
    let matching = ("/[a-c]{0,2}", "[a-b]", 0_usize..5).prop_map(|(prefix, value, way)| {
        let header = match way {
            0 => serde_json::json!({ "name": "a", "exact": value }),
            1 => serde_json::json!({ "name": "a", "prefix": value }),
            2 => serde_json::json!({ "name": "a", "regex": format!("{value}+") }),
            3 => serde_json::json!({ "name": "a", "present": false }),
            _ => return serde_json::json!({ "prefix": prefix }),
        };
        serde_json::json!({ "prefix": prefix, "headers": [header] })
    });
    let rule = (matching, action()).prop_map(|(matching, mut rule)| {
        rule["match"] = matching;
        rule
    });
    let variants = prop::collection::vec((cluster(), 0_u32..3), 1..4).prop_map(|items| {
        let items: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(at, (cluster, weight))| {
                serde_json::json!({ "name": format!("v{at}"), "cluster": cluster, "weight": weight })
            })
            .collect();
        serde_json::json!([{ "name": "e", "variants": items }])
    });
    (variants, prop::collection::vec(rule, 0..5), action()).prop_map(|(experiments, routes, default)| {
        serde_json::json!({ "experiments": experiments, "routes": routes, "default": default })
    })
}

proptest! {
    #[test]
    fn any_table_leads_any_request_to_a_known_cluster(
        table in any_table(),
        method in "GET|POST|\\PC*",
        path in "/[a-c]{0,2}|\\PC*",
        a in prop::option::of("[a-b]{0,2}"),
        user in prop::option::of("[ -~]{0,20}"),
    ) {
        let Ok(table) = RouteTable::from_value(&table, &clusters()) else {
            return Ok(());
        };
        let router = Router::new(table, RouterOptions::default()).expect("buckets in memory");
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", a), ("x-user-id", user)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(&value).expect("a valid value"));
            }
        }
        let route = at_once(&router, &method, &path, &headers);
        prop_assert!(clusters().contains(&route.cluster));
    }

    #[test]
    fn any_text_is_a_table_or_told_what_is_wrong(text in "\\PC{0,100}") {
        if let Err(errors) = RouteTable::from_json(&text, &clusters()) {
            prop_assert!(!errors.0.is_empty());
        }
    }
}
