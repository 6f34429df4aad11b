//! Trees and the errors of the YAML layer.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Kind, Limits, Node, Style, parse};
use crate::diagnostic::Diagnostics;
use crate::span::Sources;

fn read(text: &str, limits: &Limits) -> (Option<Node>, Diagnostics, Sources) {
    let mut sources = Sources::new();
    let id = sources.add("t.yaml", text);
    let mut diagnostics = Diagnostics::new();
    let node = parse(id, text, limits, &mut diagnostics);
    (node, diagnostics, sources)
}

/// The tree as JSON, then what was found.
fn check(text: &str, expected: &Expect) {
    let (node, diagnostics, sources) = read(text, &Limits::SCENARIO);
    let tree = node.map_or_else(|| "no tree".to_owned(), |node| node.to_json().to_string());
    let found = diagnostics.display(&sources).to_string();
    expected.assert_eq(&format!("{tree}\n{found}").trim_end().replace('\t', "\\t"));
}

#[test]
fn scalars_keep_what_was_written() {
    check(
        "{a: 1h30m, b: 5%, c: 0x10, d: 2k/s, e: -5ms, f: on, on: yes, g: true, h: 'true', i: ~, j: 1.50, k: !!str 5}",
        &expect![[
            r#"{"a":"1h30m","b":"5%","c":16,"d":"2k/s","e":"-5ms","f":"on","g":true,"h":"true","i":null,"j":1.5,"k":"5","on":"yes"}"#
        ]],
    );
}

#[test]
fn blocks_and_anchors_are_resolved() {
    check(
        "a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  q: 3\nd:\n  <<: [*x, {r: 4}]\n  \"<<\": text\n",
        &expect![[
            r#"{"a":{"p":1,"q":2},"b":{"p":1,"q":2},"c":{"p":1,"q":3},"d":{"<<":"text","p":1,"q":2,"r":4}}"#
        ]],
    );
    check(
        "a: |\n  one\n  two\nb: >-\n  one\n  two\nc: 'it''s'\nd: \"a\\tb\"\n",
        &expect![[r#"{"a":"one\ntwo\n","b":"one two","c":"it's","d":"a\tb"}"#]],
    );
}

#[test]
fn a_value_starts_after_its_anchor_and_tag() {
    let texts = [
        ("a: &one 5\n", "5"),
        ("a: &! (\n", "("),
        ("a: !!str &one 5\n", "5"),
        ("a: &one !!str 5\n", "5"),
        ("a: &one # a comment, & more\n  text\n", "text"),
        ("a: &one 'q'\n", "'q'"),
        ("a: &one [b, c]\n", "[b, c]"),
        ("a: &one\n  b: c\n", "b: c"),
        ("a: &one\r\n  - b\r\n", "- b"),
    ];
    for (text, value) in texts {
        let (node, diagnostics, sources) = read(text, &Limits::SCENARIO);
        assert!(diagnostics.is_empty(), "{text:?}: {diagnostics:?}");
        let node = node.unwrap();
        let (_, read) = &node.as_mapping().unwrap().entries[0];
        assert_eq!(sources.slice(read.span), value, "{text:?}");
    }
}

#[test]
fn a_quoted_value_ends_at_its_quote_also_before_a_bracket() {
    for text in [
        "a: [ \"one two\" ]",
        "a: [ 'x', 'one two'  ]",
        "a: { b: \"one two\" }",
        "a: \"one two\"  # three\n",
    ] {
        let (root, ..) = read(text, &Limits::SCENARIO);
        let root = root.expect("it is YAML");
        let mut value = root.get("a").expect("it is there");
        while value.as_scalar().is_none() {
            value = match value.as_sequence() {
                Some(items) => items.last().expect("it has one"),
                None => value.get("b").expect("it is there"),
            };
        }
        assert_eq!(&text[value.span_within(4..7).range()], "two", "{text}");
        assert!(text[value.span.range()].ends_with(['"', '\'']), "{text}");
    }
}

#[test]
fn an_empty_text_is_nothing() {
    check("", &expect!["null"]);
    check("# only a comment\n", &expect!["null"]);
    check("--- \n...\n", &expect!["null"]);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_do_not_shift_places() {
    let text = "\u{feff}a: é\r\nbc: déf\r\n";
    let (node, diagnostics, sources) = read(text, &Limits::SCENARIO);
    assert!(diagnostics.is_empty());
    let node = node.unwrap();
    let (key, value) = &node.as_mapping().unwrap().entries[1];
    assert_eq!(
        (sources.slice(key.span), sources.slice(value.span)),
        ("bc", "déf")
    );
}

#[test]
fn wrong_keys_are_reported_and_the_rest_is_kept() {
    check(
        "a: 1\nb: 2\na: 3\n5: x\ntrue: y\n? [p]\n: z\nc: 4\n",
        &expect![[r#"
        {"a":1,"b":2,"c":4}
        t.yaml:3:1: error: the key `a` is there twice
          t.yaml:1:1: first written here
          help: remove one, or merge the two
        t.yaml:4:1: error: a key must be text, found the number `5`
          help: put it in quotes: "5"
        t.yaml:5:1: error: a key must be text, found the boolean `true`
          help: put it in quotes: "true"
        t.yaml:6:3: error: a key must be text, found a list
          help: put text that starts with `{` or `[` in quotes"#]],
    );
    check(
        "a:\n  <<: 5\n",
        &expect![[r#"
        {"a":{}}
        t.yaml:2:7: error: `<<` merges mappings, found the number `5`"#]],
    );
}

#[test]
fn syntax_errors_say_where_and_what_to_do() {
    check(
        "a:\n\tb: 1\n",
        &expect![[r#"
        no tree
        t.yaml:2:2: error: not valid YAML: tabs disallowed within this context (block indentation)
          help: YAML is indented by spaces, never by tabs"#]],
    );
    check(
        "a: [1, 2\nb: 3\n",
        &expect![[r#"
        no tree
        t.yaml:2:2: error: not valid YAML: illegal placement of ':' indicator
          t.yaml:1:4: this is still open
          help: close it, or put it in quotes"#]],
    );
    check(
        "load: { get: /feed/{user} }\n",
        &expect![[r#"
        no tree
        t.yaml:1:20: error: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
          help: put text that holds `{user}` in quotes"#]],
    );
    check(
        "a: b: c\n",
        &expect![[r#"
        no tree
        t.yaml:1:5: error: not valid YAML: mapping values are not allowed in this context
          help: put a value that holds `: ` in quotes"#]],
    );
    check(
        "a: \"unfinished\n",
        &expect![[r#"
        no tree
        t.yaml:1:4: error: not valid YAML: while scanning a quoted scalar, found unexpected end of stream"#]],
    );
    check(
        "a: *nowhere\n",
        &expect![[r#"
        no tree
        t.yaml:1:4: error: not valid YAML: while parsing node, found unknown anchor"#]],
    );
    check(
        "a: 1\n---\nb: 2\n",
        &expect![[r#"
        no tree
        t.yaml:2:1: error: a second document starts here
          help: one file holds one document; remove the `---` and what does not belong"#]],
    );
    check(
        "a: !include x.yaml\n",
        &expect![[r#"
        no tree
        t.yaml:1:4: error: the tag `!include` means nothing here
          help: write the value without a tag"#]],
    );
    check(
        "a: \u{0}\n",
        &expect![[r#"
        no tree
        t.yaml:1:4: error: control character U+0000 in the text
          help: YAML allows none but tab and line breaks"#]],
    );
    check(
        "a: &x [*x]\n",
        &expect![[r#"
        no tree
        t.yaml:1:8: error: this alias stands inside what it repeats
          help: an alias can only repeat what is complete above it"#]],
    );
}

#[test]
fn a_large_text_is_refused_unread() {
    let text = "a".repeat(10 << 20);
    check(
        &text,
        &expect![[r#"
        no tree
        t.yaml:1:1: error: the text is too large: 10.0 MiB; at most 1.00 MiB is read"#]],
    );
}

/// Texts that ask for far more than their size.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs = (1..10).fold(
        "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        |text, level| {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            format!("{text}a{level}: &a{level} [{below}]\n")
        },
    );
    let long = format!(
        "a: &a \"{}\"\nb: [{}]\n",
        "x".repeat(500_000),
        vec!["*a"; 100_000].join(",")
    );
    let chain = (1..2_000).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [*a{}]\n", level - 1)
    });
    let anchors: String = (0..60).fold(String::new(), |text, at| text + &format!("&a{at} ["));
    vec![
        ("billion laughs", laughs),
        ("one long text often", long),
        ("a chain of aliases", chain),
        ("brackets", "[".repeat(1 << 20)),
        ("braces", "{a: ".repeat(1 << 18)),
        ("dashes", "- ".repeat(1 << 19)),
        ("question marks", "? ".repeat(1 << 19)),
        ("many items", format!("[{}]", "a,".repeat(1 << 18))),
        (
            "anchors within anchors",
            format!("{anchors}{}{}", "a, ".repeat(50_000), "]".repeat(60)),
        ),
    ]
}

#[test]
fn bombs_are_refused_by_count() {
    let refusals: Vec<String> = bombs()
        .iter()
        .map(|(name, text)| {
            let (node, diagnostics, _) = read(text, &Limits::SCENARIO);
            assert!(node.is_none(), "{name} was accepted");
            format!("{name}: {}", diagnostics.iter().next().unwrap().message)
        })
        .collect();
    expect![[r#"
        billion laughs: more than 100000 values, aliases resolved
        one long text often: more than 4194304 bytes of values, aliases resolved
        a chain of aliases: lists and mappings nest more than 64 deep
        brackets: lists and mappings nest more than 64 deep
        braces: lists and mappings nest more than 64 deep
        dashes: lists and mappings nest more than 64 deep
        question marks: lists and mappings nest more than 64 deep
        many items: more than 100000 values, aliases resolved
        anchors within anchors: more than 100000 values, aliases resolved"#]]
    .assert_eq(&refusals.join("\n"));
}

/// Every scalar that stands in the text as it is has exactly that place; what an alias repeats stands elsewhere.
fn places_fit(node: &Node, sources: &Sources) {
    match &node.kind {
        _ if sources.slice(node.span).starts_with('*') => {}
        Kind::Scalar(scalar) => {
            if scalar.style == Style::Plain && !scalar.text.is_empty() && !scalar.text.contains('\n') {
                let whole = node.span_within(0..scalar.text.len());
                let written = sources.slice(whole);
                let folded = written.split_whitespace().collect::<Vec<_>>().join(" ");
                assert_eq!(
                    folded,
                    scalar.text.split_whitespace().collect::<Vec<_>>().join(" ")
                );
            }
        }
        Kind::Sequence(items) => items.iter().for_each(|item| places_fit(item, sources)),
        Kind::Mapping(mapping) => mapping
            .entries
            .iter()
            .for_each(|(_, value)| places_fit(value, sources)),
    }
    assert!(sources.text(node.span.source).get(node.span.range()).is_some());
    assert!(sources.text(node.head.source).get(node.head.range()).is_some());
}

proptest! {
    #[test]
    fn no_text_panics_and_places_fit(
        text in "([a-zé0-9:{}\\[\\],&*!|>'\"%#? \\n\\t-]|: |- |\n  |<<: |&a |\\*a|!!str |\r\n){0,40}|\\PC{0,30}"
    ) {
        let (node, diagnostics, sources) = read(&text, &Limits::SCENARIO);
        for one in &diagnostics {
            prop_assert!(text.get(one.span.unwrap().range()).is_some(), "{one:?}");
        }
        if let Some(node) = node {
            places_fit(&node, &sources);
        } else {
            prop_assert!(!diagnostics.ok());
        }
    }
}
