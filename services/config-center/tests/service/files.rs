//! What a server starts with: files of configurations, exports, stores of before; whole, cut, and with other limits.

use std::sync::Arc;

use squall_config_center::center::{Center, Limits, StartError};
use squall_config_center::plant::Plant;
use squall_config_center::report::Report;
use squall_config_center::seed::Seeds;
use squall_config_center::store::Store;
use squall_config_client::ConfigKey;
use squall_service_kit::Telemetry;
use tempfile::tempdir;

use crate::support::{CONFIGS, Client, Setup, start, until};

fn seeded(seeds: &Seeds) -> Setup {
    Setup {
        seeds: seeds.clone(),
        ..Setup::default()
    }
}

fn limited(limits: Limits) -> Setup {
    Setup {
        limits,
        ..Setup::default()
    }
}

#[test]
fn what_a_server_saves_another_starts_with() {
    let (one, other) = (tempdir().unwrap(), tempdir().unwrap());
    let first = start(one.path());
    let mut client = Client::connect(first.listen());
    client.publish("a", "1");
    client.publish("b", "1");
    client.delete("b");
    let file = one.path().join("saved.json");
    std::fs::write(&file, client.get("/squall/export").body).unwrap();
    let seeds = Seeds {
        publish: vec![file.clone()],
        restore: Some(file),
    };
    let mut newest = 3;
    for _ in 0..3 {
        let host = seeded(&seeds).start(other.path());
        let mut client = Client::connect(host.listen());
        let fetched = client.fetch("a");
        assert_eq!(
            (fetched.body.as_str(), fetched.header("squall-version")),
            ("1", "1")
        );
        assert_eq!(client.fetch("b").header("squall-version"), "3");
        let version: u64 = client.publish("a", "2").header("squall-version").parse().unwrap();
        // Its numbers go on above all that were ever given out.
        assert!(version > newest);
        newest = version;
        let _ = host.stop();
    }
}

#[test]
fn a_file_without_numbers_sets_back_only_a_store_that_was_used() {
    let folder = tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = folder.path().join(name);
        let text = format!(r#"{{"configs":[{{"dataId":"a","group":"G","content":"{content}"}}]}}"#);
        std::fs::write(&file, text).unwrap();
        file
    };
    let seeds = Seeds {
        publish: vec![write("new.json", "new")],
        restore: Some(write("old.json", "old")),
    };
    for content in ["new", "old"] {
        let host = seeded(&seeds).start(&folder.path().join("data"));
        assert_eq!(Client::connect(host.listen()).fetch("a").body, content);
        let _ = host.stop();
    }
}

#[test]
fn lowered_limits_hold_for_what_is_kept_already() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    for content in ["1", "2", "3", "4", "5"] {
        Client::connect(host.listen()).publish("a", content);
    }
    let _ = host.stop();
    let limits = Limits {
        changes_per_config_max: 2,
        ..Limits::default()
    };
    let host = limited(limits).start(folder.path());
    let history = "/nacos/v1/cs/history?search=accurate&dataId=a&group=G";
    let page = Client::connect(host.listen()).get(history).json();
    assert_eq!(page["totalCount"], 2);
    assert_eq!(page["pageItems"][0]["id"], "5");
}

#[test]
fn files_with_more_than_may_be_held_are_refused_and_change_nothing() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file.json");
    std::fs::write(
        &file,
        r#"{"revision":9,"configs":[{"dataId":"a","group":"G","content":"12345"},{"dataId":"b","group":"G","content":"12345"}]}"#,
    )
    .unwrap();
    let limits = |content_bytes_max, configs_max, contents_bytes_max| Limits {
        content_bytes_max,
        configs_max,
        contents_bytes_max,
        ..Limits::default()
    };
    let cases = [
        (limits(4, 2, 10), Some("a")),
        (limits(5, 1, 10), Some("b")),
        (limits(5, 2, 9), Some("b")),
        (limits(5, 2, 10), None),
    ];
    let publish = Seeds {
        publish: vec![file.clone()],
        restore: None,
    };
    let restore = Seeds {
        publish: Vec::new(),
        restore: Some(file),
    };
    for seeds in [publish, restore] {
        let data = tempdir().unwrap();
        let host = start(data.path());
        Client::connect(host.listen()).publish("before", "1");
        Client::connect(host.listen()).delete("before");
        let _ = host.stop();
        for (limits, refused) in &cases {
            let report = Arc::new(Report::new(&mut Telemetry::new()));
            let setup = Setup {
                limits: *limits,
                seeds: seeds.clone(),
                ..Setup::default()
            };
            let started = setup.open(data.path(), &report);
            let what = started.map(drop).map_err(|error| match error {
                StartError::Refused { what, .. } => what,
                other => panic!("{other}"),
            });
            let key = |name: &&str| ConfigKey::new(name, "G", "").unwrap().to_string();
            assert_eq!(what.err(), refused.as_ref().map(key), "{limits:?}");
            if refused.is_some() {
                until("the store stays open", || Store::open(data.path()).is_ok());
                let loaded = Store::open(data.path()).unwrap().load().unwrap();
                assert_eq!((loaded.configs.len(), loaded.tombstones.len()), (0, 1));
            }
        }
    }
}

#[test]
fn what_is_restored_without_numbers_is_found_in_history_by_a_number_of_its_own() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let host = start(&data);
    Client::connect(host.listen()).publish("a", "before");
    let _ = host.stop();
    let file = folder.path().join("file.json");
    std::fs::write(
        &file,
        r#"{"configs":[{"dataId":"a","group":"G","content":"1"},{"dataId":"b","group":"G","content":"2"}]}"#,
    )
    .unwrap();
    let seeds = Seeds {
        publish: Vec::new(),
        restore: Some(file),
    };
    let host = seeded(&seeds).start(&data);
    let mut client = Client::connect(host.listen());
    for data_id in ["a", "b"] {
        client.publish(data_id, "after");
    }
    for (data_id, was) in [("a", "1"), ("b", "2")] {
        let detail = client.get(&format!("{CONFIGS}?show=all&dataId={data_id}&group=G"));
        let id = detail.json()["id"].as_str().unwrap().to_owned();
        let previous = format!("/nacos/v1/cs/history/previous?id={id}&dataId={data_id}&group=G");
        assert_eq!(client.get(&previous).json()["content"], was);
    }
    let _ = host.stop();
}

#[test]
fn an_export_that_was_cut_anywhere_is_refused() {
    let folder = tempdir().unwrap();
    let host = start(&folder.path().join("data"));
    let mut client = Client::connect(host.listen());
    client.publish("a", "1");
    let whole = client.get("/squall/export").body;
    let file = folder.path().join("cut.json");
    let seeds = Seeds {
        publish: Vec::new(),
        restore: Some(file.clone()),
    };
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let data = folder.path().join("other");
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        let refused = Center::start(&data, Limits::default(), &seeds, Plant::None, Arc::clone(&report));
        assert!(
            matches!(refused, Err(StartError::Seed(_))),
            "cut after {length} bytes: {refused:?}"
        );
    }
}

#[test]
fn a_store_that_was_cut_is_refused_or_whole() {
    let folder = tempdir().unwrap();
    let data = folder.path().join("data");
    let host = start(&data);
    Client::connect(host.listen()).publish("a", &"x".repeat(100_000));
    let _ = host.stop();
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    drop(Setup::default().open(&data, &report).unwrap());
    until("the store stays open", || Store::open(&data).is_ok());
    let whole = std::fs::read(data.join("configs.redb")).unwrap();
    let cut = folder.path().join("cut");
    std::fs::create_dir(&cut).unwrap();
    // In the header each byte counts; behind it pages do.
    let lengths = (1..512)
        .chain((512..whole.len()).step_by(4_096))
        .chain([whole.len() - 1]);
    for length in lengths {
        std::fs::write(cut.join("configs.redb"), &whole[..length]).unwrap();
        let Ok(store) = Store::open(&cut) else { continue };
        let Ok(loaded) = store.load() else { continue };
        let contents: Vec<usize> = loaded.configs.iter().map(|config| config.content.len()).collect();
        assert_eq!(contents, [100_000], "cut after {length} bytes");
    }
}
