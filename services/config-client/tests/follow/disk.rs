//! A disk that is slow, and one that is full.

use std::fs::File;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use squall_config_client::checksum::md5;
use squall_config_client::{Incident, Settings};
use std::time::Duration;

use crate::script::{Answer, Asked, Script, client, key, now, until};

fn steady() -> Script {
    Script::start(|asked| match asked {
        Asked::Fetch(id) => Answer::Content(format!("content of {id}")),
        Asked::Poll(..) => Answer::Hang,
        Asked::Alive => Answer::Status(200),
    })
}

fn often(settings: &mut Settings) {
    settings.heartbeat = Duration::from_millis(20);
}

#[test]
fn while_the_disk_stands_still_the_server_is_followed_and_nothing_is_shown_that_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let script = steady();
    let (client, heard) = client(&script, folder.path(), often);
    // A heartbeat may be missed on a busy machine: a watch waits until the server is asked again.
    now(async { client.watch(&key("before")).await.unwrap().changed().await });
    // Whoever opens this to write it stands still until somebody reads it.
    let file = format!(".{}.snapshot.new", md5(key("a").as_str()));
    let fifo = folder.path().join(file);
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until("it was not fetched", || {
        script.count(|asked| *asked == Asked::Fetch("a".to_owned())) > 0
    });
    let beats = || heard.count(|told| *told == Incident::Heartbeat);
    let before = beats();
    until("the heart stands still with the disk", || beats() >= before + 10);
    assert!(watch.current().is_none());
    assert!(now(client.get(&key("before"))).is_ok());
    let _reader = File::open(&fifo).unwrap();
    now(watch.changed());
    drop(client);
}
