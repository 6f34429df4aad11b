//! A small catalogue, and scenarios around the part that a test is about.

use std::net::SocketAddr;
use std::path::Path;

use expect_test::Expect;
use serde_json::json;
use squall_engine::catalogue::{
    Catalogue, CatalogueInvariant, CatalogueRole, CatalogueService, CatalogueSetting, Files, Promise,
    ResponseValues,
};
use squall_engine::plan::{Plan, Settings, Stored, compile};
use squall_load::Target;
use squall_load::protocol::Keep;
use squall_model::scenario::parse;

/// Two services: `store`, which promises something and takes settings, and `gateway`, which calls others.
pub fn catalogue() -> Catalogue {
    let setting = |name: &str| CatalogueSetting {
        files: None,
        name: name.to_owned(),
        about: "how many".to_owned(),
        schema: json!({"type": "integer", "minimum": 0, "maximum": 9}),
        check: |service, setting, value| match value.parse::<u64>() {
            Ok(0..=9) => Ok(()),
            _ => Err(format!(
                "{service}: `{setting}` is a number from 0 to 9, not {value}"
            )),
        },
    };
    let values = |path: &str, pointer: &str, each| ResponseValues {
        path: path.to_owned(),
        pointer: pointer.to_owned(),
        each,
    };
    let promise = |kind: &str| CatalogueInvariant {
        name: kind.to_owned(),
        about: format!("what it gives is {kind}"),
        promise: Promise::Values {
            kind: kind.to_owned(),
            values: vec![values("/id", "/id", false), values("/ids", "/ids", true)],
        },
    };
    let states = CatalogueInvariant {
        name: "states".to_owned(),
        about: "it is on or off".to_owned(),
        promise: Promise::Transitions(vec!["on -> off".parse().unwrap(), "off -> on".parse().unwrap()]),
    };
    let role = |name: &str, optional| CatalogueRole {
        name: name.to_owned(),
        optional,
    };
    let store = CatalogueService {
        name: "store".to_owned(),
        about: "keeps things".to_owned(),
        settings: vec![setting("shards"), setting("replicas")],
        roles: Vec::new(),
        other_roles: None,
        invariants: vec![promise("unique"), promise("monotonic")],
        metrics: vec!["store_writes_total".to_owned(), "store_reads_total".to_owned()],
    };
    let gateway = CatalogueService {
        name: "gateway".to_owned(),
        about: "calls others".to_owned(),
        settings: vec![CatalogueSetting {
            files: Some(Files::Many),
            check: |_, _, _| Ok(()),
            ..setting("routes")
        }],
        roles: vec![role("backend", false), role("cache", true)],
        other_roles: None,
        invariants: Vec::new(),
        metrics: Vec::new(),
    };
    let switch = CatalogueService {
        name: "switch".to_owned(),
        about: "calls whatever it is told of".to_owned(),
        settings: Vec::new(),
        roles: vec![role("center", false)],
        other_roles: Some("an upstream".to_owned()),
        invariants: vec![states],
        metrics: Vec::new(),
    };
    Catalogue {
        services: vec![store, gateway, switch],
        program: "/no-such-folder/squall".into(),
        server: "/no-such-folder/squall".into(),
    }
}

/// What came of a text: the plan where there is one, and everything that was found.
pub fn read(text: &str, quick: bool) -> (Option<Plan>, String) {
    read_in(Path::new("/scenarios"), text, quick)
}

/// The same for a scenario in the folder `base`.
pub fn read_in(base: &Path, text: &str, quick: bool) -> (Option<Plan>, String) {
    read_with(base, text, quick, None)
}

/// The same where something is stored of the scenario's earlier runs.
pub fn read_with(base: &Path, text: &str, quick: bool, stored: Option<Stored>) -> (Option<Plan>, String) {
    let (scenario, mut diagnostics, sources) = parse("s.yaml", text, &|_| None);
    let settings = Settings {
        secrets: Vec::new(),
        arm: squall_model::gate::Arm::Candidate,
        seed: None,
        drawn: 7,
        quick,
        base: base.to_owned(),
        allow_hosts: vec!["db.example".to_owned()],
        source: text.to_owned(),
        stored,
    };
    let plan = scenario
        .as_ref()
        .and_then(|scenario| compile(scenario, &catalogue(), settings, &mut diagnostics));
    (plan, diagnostics.display(&sources).to_string())
}

/// The plan of a scenario in which nothing is wrong.
pub fn plan(text: &str) -> Plan {
    planned(text, false)
}

/// The same with its phases scaled down.
pub fn quick(text: &str) -> Plan {
    planned(text, true)
}

fn planned(text: &str, quick: bool) -> Plan {
    let (plan, found) = read(text, quick);
    assert_eq!(found, "");
    plan.expect("a plan, where nothing is wrong")
}

/// Holds everything that is wrong with a text to `expected`.
#[track_caller]
pub fn check(text: &str, expected: &Expect) {
    let (plan, found) = read(text, false);
    assert!(plan.is_none(), "there must be no plan where there are errors");
    expected.assert_eq(&found);
}

/// The smallest scenario around `sections`; what they leave out is a service, a load on it and a phase.
pub fn around(sections: &str) -> String {
    let mut text = "squall: 1\nname: s\n".to_owned();
    for (key, default) in [
        ("services", "services: { ids: { use: store } }\n"),
        (
            "load",
            "load: { make: { to: ids, http: { get: /id }, rate: 1k/s } }\n",
        ),
        ("phases", "phases: [ { phase: steady, for: 10s } ]\n"),
    ] {
        if !sections.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text.push_str(default);
        }
    }
    text + sections
}

/// Where nothing is sent.
pub fn target() -> Target {
    Target {
        addr: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        host: "ids.test".into(),
        tls: None,
    }
}

/// What the load sends as its request `number`, on a connection of its own, as it goes over the wire.
pub fn asked_of(plan: &Plan, load: usize, number: u64) -> String {
    let target = target();
    let protocol = &plan.loads[load].asked.protocol;
    let mut session = protocol
        .dialect(&target, Keep::default())
        .expect("it was checked")
        .session();
    let mut out = Vec::new();
    session.start(0, number, &mut out);
    String::from_utf8(out).expect("text")
}
