//! The walker and the JSON Schema are two readers of one language: they must accept the same documents.
//!
//! What only the walker can know is left out by construction: references, timelines and numbers beyond what fits are
//! reported after or beside decoding. [`decodes`] therefore decodes and no more.

use expect_test::expect;
use proptest::prelude::*;
use serde_json::Value;

use super::FULL;
use super::vocabulary::{read_open_parts, vocabulary};
use crate::decode::Decode;
use crate::diagnostic::Diagnostics;
use crate::node::{Kind, Limits, Node, parse};
use crate::scenario::{Scenario, environment, schema};
use crate::span::{Sources, Span, Spanned};

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema(&vocabulary())).expect("the schema is a schema")
}

fn tree(text: &str) -> Node {
    let mut sources = Sources::new();
    let id = sources.add("s.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let mut root = parse(id, text, &Limits::SCENARIO, &mut diagnostics)
        .unwrap_or_else(|| panic!("{}", diagnostics.display(&sources)));
    environment::substitute(&mut root, &super::environment, &mut diagnostics);
    assert!(diagnostics.is_empty());
    root
}

/// What the walker finds, structure only.
fn decodes(root: &Node) -> Diagnostics {
    let mut root = root.clone();
    if let Kind::Mapping(mapping) = &mut root.kind {
        mapping.entries.retain(|(key, _)| !key.starts_with("x-"));
    }
    let mut diagnostics = Diagnostics::new();
    if let Some(scenario) = Scenario::decode(&root, &mut diagnostics) {
        read_open_parts(&scenario, &mut diagnostics);
    }
    diagnostics
}

/// Why the two disagree, or nothing.
fn disagreement(validator: &jsonschema::Validator, root: &Node) -> Option<String> {
    let json = root.to_json();
    let found = decodes(root);
    let errors: Vec<String> = validator
        .iter_errors(&json)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    (errors.is_empty() != found.ok()).then(|| {
        let walker: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
        format!("schema: {errors:?}\nwalker: {walker:?}\ndocument: {json}")
    })
}

#[test]
fn the_schema_is_a_schema_and_accepts_what_is_accepted() {
    let schema = schema(&vocabulary());
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(disagreement(&validator(), &tree(FULL)), None);
    assert!(decodes(&tree(FULL)).ok());
    let definitions: Vec<&String> = schema["$defs"].as_object().unwrap().keys().collect();
    expect![[r#"["Arrivals", "Choices", "Clock", "Complete", "Down", "DrawnPause", "Fault", "Feed", "Gate", "GateLimits", "Generator", "Http", "Invariant", "Load", "LoadChange", "LoadOverride", "Network", "Partition", "Pause", "Phase", "Pick", "Poisson", "Ramp", "Ready", "Sequence", "Service", "Tls", "Zipf", "address", "duration", "expectation", "name", "rate", "ratio", "signed-duration", "text", "variable"]"#]].assert_eq(&format!("{definitions:?}"));
}

/// Values of every kind to put where they do or do not belong.
const VALUES: &[&str] = &[
    "~",
    "true",
    "yes",
    "5",
    "-5",
    "0",
    "1",
    "1.5",
    "0x10",
    "text",
    "Text",
    "''",
    "[]",
    "[a]",
    "[A]",
    "{}",
    "{a: b}",
    "{a: {}}",
    "5s",
    "-5s",
    "1m1h",
    "1h1m",
    "5 s",
    "2k/s",
    "2k",
    "5%",
    "5x",
    "5/s",
    "a.b < 5ms",
    "a.b",
    "[a.b < 5ms]",
    "[a.b <]",
    "{run: [a.b > 1 for 5s]}",
    "[./x, 5]",
    "[./x, ~]",
    "localhost:80",
    "http://a",
    "{tcp: true}",
    "{clock: {target: a, step: -5ms}}",
    "[{clock: {target: a, step: -5ms, after: 1s}}]",
    "[{clock: {target: a}}]",
    "[clock]",
    "[down]",
    "[{down: ~}]",
    "[{down: {for: 1s, through: a}}]",
    "[{down: {for: 1s, through: a, every: 2s}}]",
    "[{down: {times: 2}}]",
    "poisson",
    "{poisson: {}}",
    "ramp",
    "{ramp: {to: 5/s}}",
    "{ramp: {}}",
    "{phase: a, for: 5s}",
    "[{phase: a, for: 5s}]",
    "{get: /}",
    "{rate: 5x}",
    "{rate: 5x, users: 1}",
    "{x: {use: a}}",
    "{x: {use: a, run: [b]}}",
    "{x: {at: 'a:1', env: {A: b}}}",
    "{x: {run: [b], with: {}}}",
    "{A: {use: a}}",
    "{x: {to: a, http: {get: /}, rate: 5/s}}",
    "{x: {to: a, http: {get: /}, users: 5, arrivals: even}}",
    "{x: {to: a, users: 5}}",
    "{complete: {sent: a, seen: b}}",
];

/// Keys to rename a key to.
const KEYS: &[&str] = &[
    "x-extra", "matrix", "until", "rate", "users", "think", "use", "run", "at", "with", "env", "calls",
    "for", "through", "every", "times", "after", "as", "phase", "http", "tcp", "unknown", "ports",
    "arrivals", "name", "target", "step", "freeze", "data",
];

/// All nodes' paths: an index for each level.
fn paths(node: &Node) -> Vec<Vec<usize>> {
    let children: Vec<&Node> = match &node.kind {
        Kind::Scalar(_) => Vec::new(),
        Kind::Sequence(items) => items.iter().collect(),
        Kind::Mapping(mapping) => mapping.entries.iter().map(|(_, value)| value).collect(),
    };
    let below = children.into_iter().enumerate().flat_map(|(at, child)| {
        paths(child)
            .into_iter()
            .map(move |rest| std::iter::once(at).chain(rest).collect())
    });
    std::iter::once(Vec::new()).chain(below).collect()
}

fn at<'a>(node: &'a mut Node, path: &[usize]) -> &'a mut Node {
    let Some((first, rest)) = path.split_first() else {
        return node;
    };
    match &mut node.kind {
        Kind::Scalar(_) => unreachable!("paths end at scalars"),
        Kind::Sequence(items) => at(&mut items[*first], rest),
        Kind::Mapping(mapping) => at(&mut mapping.entries[*first].1, rest),
    }
}

/// One change of a document.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize),
    Remove(usize),
    Rename(usize, usize),
    Add(usize, usize),
}

fn change(root: &mut Node, path: usize, change: &Change) {
    let all = paths(root);
    let node = at(root, &all[path % all.len()]);
    let value = |index: usize| tree(VALUES[index % VALUES.len()]);
    match (change, &mut node.kind) {
        (Change::Replace(with), _) => *node = value(*with),
        (Change::Remove(which), Kind::Sequence(items)) if !items.is_empty() => {
            drop(items.remove(which % items.len()));
        }
        (Change::Remove(which), Kind::Mapping(mapping)) if !mapping.entries.is_empty() => {
            drop(mapping.entries.remove(which % mapping.entries.len()));
        }
        (Change::Rename(which, to), Kind::Mapping(mapping)) if !mapping.entries.is_empty() => {
            let to = KEYS[to % KEYS.len()];
            if mapping.get(to).is_none() {
                let count = mapping.entries.len();
                mapping.entries[which % count].0.value = to.to_owned();
            }
        }
        (Change::Add(key, with), Kind::Mapping(mapping)) => {
            let key = KEYS[key % KEYS.len()];
            if mapping.get(key).is_none() {
                mapping
                    .entries
                    .push((Spanned::new(key.to_owned(), Span::default()), value(*with)));
            }
        }
        (Change::Add(_, with), Kind::Sequence(items)) => items.push(value(*with)),
        _ => {}
    }
}

fn changes() -> impl Strategy<Value = Change> {
    let any = || 0_usize..1000;
    prop_oneof![
        any().prop_map(Change::Replace),
        any().prop_map(Change::Remove),
        (any(), any()).prop_map(|(which, to)| Change::Rename(which, to)),
        (any(), any()).prop_map(|(key, with)| Change::Add(key, with)),
    ]
}

#[test]
fn walker_and_schema_agree_on_every_single_replacement() {
    let validator = validator();
    let root = tree(FULL);
    let values: Vec<Node> = VALUES.iter().map(|text| tree(text)).collect();
    let mut accepted = 0;
    for (turn, path) in paths(&root).iter().enumerate() {
        // Every third, each time others: all pairs of a kind of place and a kind of value occur, in a third of the time.
        for value in values.iter().skip(turn % 3).step_by(3) {
            let mut changed = root.clone();
            *at(&mut changed, path) = value.clone();
            assert_eq!(disagreement(&validator, &changed), None);
            accepted += usize::from(decodes(&changed).ok());
        }
    }
    // Both kinds must occur, or the agreement says nothing.
    assert!(accepted > 150, "{accepted}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn walker_and_schema_agree_on_changed_documents(
        all in prop::collection::vec((0_usize..1000, changes()), 1..4)
    ) {
        thread_local!(static VALIDATOR: jsonschema::Validator = validator());
        let mut root = tree(FULL);
        for (path, one) in &all {
            change(&mut root, *path, one);
        }
        VALIDATOR.with(|validator| {
            prop_assert_eq!(disagreement(validator, &root), None);
            Ok(())
        })?;
    }
}

/// Each text is taken by the schema of `T` where its decoder takes it, and only there.
#[track_caller]
fn agree<T: Decode>(texts: &[&str]) {
    let validator = jsonschema::validator_for(&T::schema()).unwrap();
    for text in texts {
        let node = tree(&format!("[{text}]")).as_sequence().unwrap()[0].clone();
        let mut diagnostics = Diagnostics::new();
        T::decode(&node, &mut diagnostics);
        let json: Value = node.to_json();
        assert_eq!(
            validator.is_valid(&json),
            diagnostics.ok(),
            "{text} as {}",
            T::schema()
        );
    }
}

#[test]
fn a_limit_made_of_a_stored_value_reads_the_same() {
    agree::<crate::expression::Expression>(&[
        "a.b < baseline",
        "a.b<baseline*1.3",
        "a.b < baseline * 1.3 for 5s",
        "a.b < baseline * 0",
        "a.b < baseline * 0.0",
        "a.b < baseline * 0.50",
        "a.b < baseline * 10k",
        "a.b < baseline * 130%",
        "a.b < baseline * -1",
        "a.b < baseline + 5ms",
        "a.b < baseline -5ms",
        "a.b < baseline - -5ms",
        "a.b < baseline +",
        "a.b < baseline / 2",
        "a.b < 1.3 * baseline",
        "a.b < baselines",
        "a.b < baseline.c",
        "a.b < baseline 5ms",
    ]);
}

#[test]
fn a_value_of_any_quantity_reads_the_same() {
    let texts = [
        "5",
        "5s",
        "-5s",
        "+5s",
        "1h1m1s",
        "1m1h",
        "1s1s",
        "1.5h",
        ".5s",
        "5.s",
        "5us",
        "5µs",
        "1d",
        "'5s'",
        "5 s",
        "''",
        "100/s",
        "1.5k/s",
        "2K/s",
        "1M/h",
        "4B",
        "4KB",
        "4kB",
        "4KiB",
        "4kib",
        "1.5GiB",
        "5%",
        "100%",
        "150%",
        "-5%",
        "5ppm",
        "-5ppm",
        "10k",
        "1.5M",
        "5G",
        "5x",
        "0.5x",
        "x",
        "true",
        "~",
        "[]",
        "{}",
        "a.b < 5ms",
        "a.b<5ms for 5s",
        "a.b",
        "a",
        "a.b =< 5",
        "a-b.c-d->e.f > -1.5",
        "a.b > 5 for",
        "a.b > 5%",
        "a..b",
        "a:1",
        "'[::1]:80'",
        "http://a/",
        "https://a",
        "a",
        "a.b:99",
        "0x10",
    ];
    agree::<std::time::Duration>(&texts);
    agree::<crate::units::SignedDuration>(&texts);
    agree::<crate::units::Rate>(&texts);
    agree::<crate::units::Bytes>(&texts);
    agree::<crate::units::Ratio>(&texts);
    agree::<crate::units::Ppm>(&texts);
    agree::<crate::units::Count>(&texts);
    agree::<crate::units::Scale>(&texts);
    agree::<crate::expression::Expression>(&texts);
    agree::<crate::scenario::Address>(&texts);
    agree::<crate::decode::Text>(&texts);
    agree::<crate::name::Name>(&texts);
    agree::<u32>(&texts);
    agree::<f64>(&texts);
}
