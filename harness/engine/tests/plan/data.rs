//! Data and checks of a load: what requests look like, and what is refused before anything starts.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use squall_engine::plan::Plan;
use tempfile::TempDir;

use crate::rig::{around, asked_of, check, read_in};

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A scenario whose load has these keys beside its target and rate, in lines or on one.
fn with(load: &str) -> String {
    if load.contains('\n') {
        around(&format!("load:\n  make:\n    to: ids\n    rate: 1k/s{load}"))
    } else {
        around(&format!("load: {{ make: {{ to: ids, rate: 1k/s, {load} }} }}\n"))
    }
}

fn plan_in(base: &Path, load: &str) -> Plan {
    let (plan, found) = read_in(base, &with(load), false);
    assert_eq!(found, "");
    plan.unwrap()
}

#[track_caller]
fn check_in(base: &Path, load: &str, expected: &Expect) {
    let (plan, found) = read_in(base, &with(load), false);
    assert!(plan.is_none(), "there must be no plan where there are errors");
    expected.assert_eq(&found.replace(&base.display().to_string(), "FOLDER"));
}

#[test]
fn a_request_has_values_from_every_kind_of_feed() {
    let folder = folder(&[
        ("items.csv", "sku,Name\na/1,\"x y\"\n"),
        ("events.jsonl", "{\"id\": 5, \"by\": {\"name\": \"\\\"q\\\"\"}}\n"),
    ]);
    let plan = plan_in(
        folder.path(),
        r#"
    http:
      post: "/{item.sku}/{order}?n={size}&u={user}"
      headers: { x-kind: "{kind}", x-name: "{item.name}" }
      body: '{event} {{event} {event.id} {event.by.name} {"a": 1}'
    data:
      item: { csv: items.csv }
      order: { sequence: { from: 40 } }
      size: { uniform: [3, 3] }
      user: { zipf: { n: 1, s: 1.1 } }
      kind: { choice: { a: 1, b: 0 } }
      event: { jsonl: events.jsonl, pick: random }
"#,
    );
    expect![[r#"
        POST /a%2F1/40?n=3&u=1 HTTP/1.1
        Host: ids.test
        x-kind: a
        x-name: x y
        Content-Length: 57

        {"id": 5, "by": {"name": "\"q\""}} {event} 5 "q" {"a": 1}"#]]
    .assert_eq(&asked_of(&plan, 0, 0).replace('\r', ""));
    assert_eq!(
        plan.loads[0].asked.shown,
        "POST /{item.sku}/{order}?n={size}&u={user}"
    );
}

#[test]
fn a_json_body_is_compact_and_what_stands_in_its_strings_is_escaped() {
    let folder = folder(&[("items.csv", "n,text\n7,\"a \"\"b\"\"\\\"\n")]);
    let plan = plan_in(
        folder.path(),
        r#"
    http:
      put: /
      json: { n: "{item.n}", text: "é\n<{item.text}>", list: [1, 2.50, true, null, "", "{{x}"], "q\"": {} }
    data: { item: { csv: items.csv } }
"#,
    );
    let written = asked_of(&plan, 0, 0);
    let (head, body) = written.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    expect![[r#"{"n":"7","text":"é\n<a \"b\"\\>","list":[1,2.5,true,null,"","{x}"],"q\"":{}}"#]]
        .assert_eq(body);
    let value: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
    assert_eq!(value["text"], "é\n<a \"b\"\\>");
    let own = plan_in(
        folder.path(),
        "http: { post: /, json: [], headers: { content-type: text/x } }",
    );
    let written = asked_of(&own, 0, 0);
    assert!(
        written.contains("content-type: text/x\r\n") && !written.contains("application/json"),
        "{written}"
    );
}

#[test]
fn what_is_drawn_depends_on_seed_load_feed_and_number() {
    let text =
        "http: { get: \"/{a}/{b}\" }, data: { a: { uniform: [1, 1000000] }, b: { uniform: [1, 1000000] } }";
    let base = Path::new("/");
    let (plan, again) = (plan_in(base, text), plan_in(base, text));
    let asked: Vec<String> = (0..20).map(|number| asked_of(&plan, 0, number)).collect();
    let asked_again: Vec<String> = (0..20)
        .rev()
        .map(|number| asked_of(&again, 0, number))
        .rev()
        .collect();
    assert_eq!(asked, asked_again);
    let path = |text: &String| text.split(' ').nth(1).unwrap().to_owned();
    let different: std::collections::BTreeSet<String> = asked.iter().map(path).collect();
    assert_eq!(different.len(), 20);
    assert!(different.iter().all(|path| {
        let mut parts = path[1..].split('/');
        parts.next() != parts.next()
    }));
}

#[test]
fn placeholders_are_held_to_the_data_that_there_is() {
    let folder = folder(&[
        ("i.csv", "sku,name\n1,a\n"),
        ("e.jsonl", "{\"id\": 1}\n\n{\"no\": 2}\n"),
    ]);
    check_in(
        folder.path(),
        r#"
    http: { post: "/{usr}/{user.id}/{item}/{item.skew}", headers: { a: "{event.id}" }, json: { "{user}": "x{y}" } }
    data: { user: { sequence: {} }, item: { csv: i.csv }, event: { jsonl: e.jsonl } }
"#,
        &expect![[r#"
            s.yaml:9:21: error: the load has no data called `usr`
              help: did you mean `user`?
            s.yaml:9:27: error: `user` has no parts, so no `id`
              help: write {user}
            s.yaml:9:37: error: `item` is a whole row
              help: name a column, such as {item.sku}
            s.yaml:9:44: error: i.csv has no column `skew`
              help: one of `sku`, `name`
            s.yaml:9:73: error: reading e.jsonl: line 3: /id: nothing there
              s.yaml:10:75: the file
            s.yaml:9:96: error: `{user}` stands in a key, and keys are the same in all requests
              help: use `body` for such a text
            s.yaml:9:108: error: the load has no data called `y`
              help: one of `user`, `item`, `event`"#]],
    );
    check(
        &with("http: { get: \"/{user}\" }"),
        &expect![[r#"
            s.yaml:5:53: error: the load has no data called `user`
              help: add it to the load's `data`, or write `{{` for a brace"#]],
    );
    let (plan, found) = read_in(
        folder.path(),
        &with("http: { get: / }, data: { user: { sequence: {} } }"),
        false,
    );
    assert!(plan.is_some());
    expect!["s.yaml:5:64: warning: no request uses `user`"].assert_eq(&found);
}

#[test]
fn files_are_read_before_anything_starts() {
    let folder = folder(&[
        ("ragged.csv", "a,b\n1,2\n\n3\n"),
        ("empty.csv", "a,b\n"),
        ("bad.jsonl", "{}\n{\n"),
    ]);
    check_in(
        folder.path(),
        r#"
    http: { get: "/{a.a}{b.b}{c}{d}{e.a}" }
    data:
      a: { csv: missing.csv }
      b: { csv: ragged.csv }
      c: { jsonl: bad.jsonl }
      d: { jsonl: . }
      e: { csv: empty.csv }
"#,
        &expect![[r#"
            s.yaml:11:17: error: reading missing.csv: No such file or directory (os error 2)
              help: paths are relative to the scenario's folder, FOLDER
            s.yaml:12:17: error: reading ragged.csv: line 4: 1 fields where the first line has 2
            s.yaml:13:19: error: reading bad.jsonl: line 2: no JSON: EOF while parsing an object at column 1
            s.yaml:14:19: error: reading .: it is no regular file
            s.yaml:15:17: error: reading empty.csv: there is no row below the line that names the columns"#]],
    );
}

#[test]
fn parameters_of_feeds_are_checked() {
    check(
        &with(
            r#"
    http: { get: "/{a}{b}{c}{d}{e}{f}{g}{h}" }
    data:
      a: { uniform: [2, 1] }
      b: { uniform: [1] }
      c: { zipf: { n: 0, s: 1 } }
      d: { zipf: { n: 5, s: -1 } }
      e: { choice: [] }
      f: { choice: { a: 0 } }
      g: { sequence: { from: 1 }, pick: random }
      h: { zip: { n: 1 } }
"#,
        ),
        &expect![[r#"
            s.yaml:11:21: error: there is no number from 2 to 1
            s.yaml:12:21: error: expected two numbers, found 1
              help: write the lowest and the highest: [1, 10]
            s.yaml:13:18: error: `n` must be between 1 and 9007199254740992, not 0
            s.yaml:14:18: error: `s` must be between 0 and 20, not -1
            s.yaml:15:20: error: the list is empty; at least one item is needed
            s.yaml:16:20: error: nothing to choose from: give at least one a weight
            s.yaml:17:35: error: `pick` needs `csv` or `jsonl`
            s.yaml:18:12: error: unknown key `zip`
              help: did you mean `zipf`?"#]],
    );
}

#[test]
fn checks_are_read_and_what_is_none_is_told() {
    let plan = plan_in(
        Path::new("/"),
        r#"
    http:
      get: /
      check:
        status: [2xx, 404]
        header: { content-type: application/json, etag: /./ }
        json: { /ok: true, "": { a: [1] }, /id: '/^[0-9]+$/' }
        size: [">= 1B", "< 10KiB"]
        body: "/o+k/"
"#,
    );
    let checks = plan.loads[0].asked.protocol.checks();
    assert!(checks.takes_status(204) && checks.takes_status(404) && !checks.takes_status(302));
    assert_eq!(
        (checks.headers.len(), checks.json.len(), checks.size.len()),
        (2, 3, 2)
    );
    assert!(checks.keep().fields && checks.keep().body && checks.body.is_some());
    check(
        &with(
            r#"
    http:
      get: /
      check:
        status: [2xy, 99, 600, 6xx, "200"]
        header: { etag: /(/ }
        json: { ok: true, /a: "/[/" }
        size: [10KiB, "<= 10", "~ 1B"]
        body: [a]
        statsu: 200
"#,
        ),
        &expect![[r#"
            s.yaml:12:18: error: expected a status such as 200 or 2xx, found the text `2xy`
            s.yaml:12:23: error: expected a status such as 200 or 2xx, found the number `99`
            s.yaml:12:27: error: expected a status such as 200 or 2xx, found the number `600`
            s.yaml:12:32: error: expected a status such as 200 or 2xx, found the text `6xx`
            s.yaml:12:37: error: expected a status such as 200 or 2xx, found the text `200`
            s.yaml:13:25: error: reading the regular expression "(": unclosed group
            s.yaml:14:17: error: reading the JSON pointer "ok": it must be empty or begin with /
            s.yaml:14:31: error: reading the regular expression "[": unclosed character class
            s.yaml:15:16: error: expected a condition on a size such as "<= 10KiB", found the text `10KiB`
            s.yaml:15:23: error: expected a condition on a size such as "<= 10KiB", found the text `<= 10`
            s.yaml:15:32: error: expected a condition on a size such as "<= 10KiB", found the text `~ 1B`
            s.yaml:16:15: error: expected a text, found a list
            s.yaml:17:9: error: unknown key `statsu`
              help: did you mean `status`?"#]],
    );
    check(
        &with("http: { get: /, check: {} }"),
        &expect![[r#"
        s.yaml:5:61: error: this checks nothing
          help: add one of `status`, `header`, `json`, `size`, `body`"#]],
    );
    check(
        &with("http: { get: /, json: [], body: x }"),
        &expect![[r#"
        s.yaml:5:64: error: `json` and `body` exclude each other
          s.yaml:5:54: the other one"#]],
    );
}
