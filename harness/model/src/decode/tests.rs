//! What the macros make of a declaration: values, errors, schemas.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use expect_test::{Expect, expect};

use super::*;
use crate::name::Name;
use crate::node::{Limits, parse};
use crate::span::Sources;
use crate::units::Rate;
use crate::{choice, record, tagged, untagged};

choice! {
    /// Which way bytes go.
    enum Direction {
        /// From the caller.
        Request = "request",
        /// To the caller.
        Response = "response",
    }
}

record! {
    /// How values are drawn.
    struct Zipf {
        /// How many values there are.
        pub n: u64,
        /// How uneven they are.
        pub s: f64 = 1.0,
    }
}

tagged! {
    /// Where values come from.
    enum Data {
        /// Few values are frequent.
        Zipf(Zipf) = "zipf",
        /// Always the same text.
        Constant(String) = "constant",
    }
}

untagged! {
    /// One or many.
    enum Targets {
        /// One.
        One(Spanned<Name>) = scalar,
        /// Many.
        Many(Vec<Spanned<Name>>) = sequence,
    }
}

record! {
    /// Something with a field of each kind.
    ///
    /// And a second paragraph.
    struct Sample {
        /// It has to be there.
        pub name: Name,
        /// A keyword of Rust.
        pub length as "for": Option<std::time::Duration>,
        /// One of two.
        pub rate: Option<Rate>,
        /// The other.
        pub users: Option<u32>,
        /// Only with users.
        pub think: Option<bool>,
        /// A word.
        pub direction: Direction = Direction::Request,
        /// A tagged one.
        pub data: Option<Data>,
        /// One or many.
        pub targets: Option<Targets>,
    }
    exactly_one ["rate", "users"];
    needs ["think", "users"];
    later ["journey"];
}

fn check(text: &str, expected: &Expect) {
    let mut sources = Sources::new();
    let id = sources.add("t", text);
    let mut diagnostics = Diagnostics::new();
    let node = parse(id, text, &Limits::SCENARIO, &mut diagnostics).unwrap();
    let value = Sample::decode(&node, &mut diagnostics);
    let shown = if diagnostics.is_empty() {
        format!("{value:#?}\n")
    } else {
        String::new()
    };
    expected.assert_eq(&format!("{shown}{}", diagnostics.display(&sources)));
    let valid = jsonschema::is_valid(&Sample::schema(), &node.to_json());
    assert_eq!(
        valid,
        diagnostics.ok(),
        "the schema and the walker disagree on {text}"
    );
}

#[test]
fn a_value_is_read_with_its_defaults() {
    check(
        "{name: a, rate: 2k/s, for: 1m30s, data: {zipf: {n: 0x10}}, targets: [b]}",
        &expect![[r#"
        Some(
            Sample {
                name: Name(
                    "a",
                ),
                length: Some(
                    90s,
                ),
                rate: Some(
                    Rate {
                        per_second: 2000.0,
                    },
                ),
                users: None,
                think: None,
                direction: Request,
                data: Some(
                    Zipf(
                        Zipf {
                            n: 16,
                            s: 1.0,
                        },
                    ),
                ),
                targets: Some(
                    Many(
                        [
                            Spanned {
                                value: Name(
                                    "b",
                                ),
                                span: Span {
                                    source: SourceId(
                                        0,
                                    ),
                                    start: 69,
                                    end: 70,
                                },
                            },
                        ],
                    ),
                ),
            },
        )
    "#]],
    );
}

#[test]
fn every_error_is_found_at_once() {
    check(
        "name: A b\nfor: 5\nrats: 1/s\ndirection: respnse\ndata: {zipf: {s: x, m: 1}}\ntargets: {}\njourney: []\nthink: yes\n",
        &expect![[r#"
            t:1:7: error: `A b` is no name: a name is made of a-z, 0-9, `-` and `_` and starts with a letter
              help: write `a-b`
            t:2:6: error: `5` has no unit: write 5s or 5ms
            t:3:1: error: unknown key `rats`
              help: did you mean `rate`?
            t:4:12: error: `respnse` is not possible here
              help: did you mean `response`?
            t:5:14: error: the key `n` is missing
            t:5:18: error: expected a number, found the text `x`
            t:5:21: error: unknown key `m`
              help: one of `n`, `s`
            t:6:10: error: expected a single value or a list, found a mapping
            t:7:1: error: `journey` is not supported by this version (comes with a later one)
            t:8:1: error: `think` needs `users`
            t:8:8: error: expected `true` or `false`, found the text `yes`
              help: booleans are `true` and `false` only: write true"#]],
    );
    check(
        "{name: a, rate: 1/s, users: 5, data: {zipf: {n: 1}, constant: x}, targets: [B, 5]}",
        &expect![[r#"
        t:1:22: error: `rate` and `users` exclude each other
          t:1:11: the other one
        t:1:38: error: expected one key, found 2
          help: one of `zipf`, `constant`
        t:1:77: error: `B` is no name: a name is made of a-z, 0-9, `-` and `_` and starts with a letter
          help: write `b`
        t:1:80: error: expected a name, found the number `5`"#]],
    );
    check(
        "{name: a, users: -5, data: {normal: 1}, targets: ~, direction: ~}",
        &expect![[r#"
        t:1:18: error: -5 is out of range: 0 to 4294967295
        t:1:29: error: unknown key `normal`
          help: one of `zipf`, `constant`
        t:1:50: error: expected a name, found nothing
          help: give it a value or remove the key
        t:1:64: error: expected one of `request`, `response`, found nothing
          help: give it a value or remove the key"#]],
    );
    check(
        "{name: {port}, users: 1.5, data: 5, direction: 5}",
        &expect![[r#"
        t:1:8: error: expected a name; `{port}` without quotes is a YAML mapping
          help: quote it: "{port}"
        t:1:23: error: expected a whole number, found the number `1.5`
        t:1:34: error: expected a mapping with one of `zipf`, `constant`, found the number `5`
        t:1:48: error: `5` is not possible here
          help: one of `request`, `response`"#]],
    );
    check("[]", &expect!["t:1:1: error: expected a mapping, found a list"]);
    check(
        "name: true\nusers:\n",
        &expect![[r#"
        t:1:7: error: expected a name, found the boolean `true`
        t:2:1: error: expected a whole number, found nothing
          help: give it a value or remove the key"#]],
    );
}

record! {
    /// Few fields.
    struct Small {
        /// When.
        pub at: std::time::Duration,
        /// Or now.
        pub now: Option<bool>,
        /// Which way.
        pub direction as "way": Direction = Direction::Request,
    }
    at_most_one ["at", "now"];
}

#[test]
fn the_schema_says_what_the_declaration_says() {
    let schema = serde_json::to_string_pretty(&hoist(Small::schema())).unwrap();
    expect![[r##"
        {
          "$defs": {
            "Direction": {
              "description": "Which way bytes go.",
              "oneOf": [
                {
                  "const": "request",
                  "description": "From the caller."
                },
                {
                  "const": "response",
                  "description": "To the caller."
                }
              ],
              "title": "Direction"
            },
            "duration": {
              "description": "a duration: 300ms, 5s or 1h30m",
              "pattern": "^(?=[0-9])(?:[0-9]+(?:\\.[0-9]+)?d)?(?:[0-9]+(?:\\.[0-9]+)?h)?(?:[0-9]+(?:\\.[0-9]+)?m)?(?:[0-9]+(?:\\.[0-9]+)?s)?(?:[0-9]+(?:\\.[0-9]+)?ms)?(?:[0-9]+(?:\\.[0-9]+)?[uµ]s)?(?:[0-9]+(?:\\.[0-9]+)?ns)?$",
              "title": "duration",
              "type": "string"
            }
          },
          "additionalProperties": false,
          "allOf": [
            {
              "anyOf": [
                {
                  "oneOf": [
                    {
                      "required": [
                        "at"
                      ]
                    },
                    {
                      "required": [
                        "now"
                      ]
                    }
                  ]
                },
                {
                  "not": {
                    "anyOf": [
                      {
                        "required": [
                          "at"
                        ]
                      },
                      {
                        "required": [
                          "now"
                        ]
                      }
                    ]
                  }
                }
              ]
            }
          ],
          "description": "Few fields.",
          "properties": {
            "at": {
              "$ref": "#/$defs/duration",
              "description": "When."
            },
            "now": {
              "description": "Or now.",
              "type": "boolean"
            },
            "way": {
              "$ref": "#/$defs/Direction",
              "description": "Which way."
            }
          },
          "required": [
            "at"
          ],
          "title": "Small",
          "type": "object"
        }"##]].assert_eq(&schema);
}

#[test]
fn different_fragments_with_one_title_are_not_confused() {
    let schema = hoist(serde_json::json!({"properties": {
        "a": {"title": "T", "type": "string"},
        "b": {"title": "T", "type": "string"},
        "c": {"title": "T", "type": "number"},
    }}));
    expect![[r##"{"$defs":{"T":{"title":"T","type":"string"}},"properties":{"a":{"$ref":"#/$defs/T"},"b":{"$ref":"#/$defs/T"},"c":{"title":"T","type":"number"}}}"##]].assert_eq(&schema.to_string());
}
