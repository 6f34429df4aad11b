//! A server that refuses one configuration, or says the same again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use squall_config_client::checksum::md5;
use squall_config_client::{GetError, Incident};

use crate::script::{Answer, Asked, Number, Script, client, key, now, until};

fn fetches(id: &'static str) -> impl Fn(&Asked) -> bool {
    move |asked| *asked == Asked::Fetch(id.to_owned())
}

fn hangs(asked: &Asked) -> bool {
    matches!(asked, Asked::Poll(_, true))
}

#[test]
fn one_that_is_refused_holds_up_no_other() {
    for status in [403, 409, 500] {
        let folder = tempfile::tempdir().unwrap();
        let number = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&number);
        let script = Script::start(move |asked| match asked {
            Asked::Fetch(id) if id == "refused" => Answer::Status(status),
            Asked::Fetch(_) => Answer::Content(counted.fetch_add(1, Ordering::SeqCst).to_string()),
            // It has changed for ever, and so has what nobody may read.
            Asked::Poll(..) => Answer::Changed(vec!["refused", "a", "b", "c"]),
            Asked::Alive => Answer::Status(200),
        });
        let (client, heard) = client(&script, folder.path(), |_| {});
        now(async {
            let refused = client.get(&key("refused")).await.unwrap_err();
            assert!(matches!(refused, GetError::Refused { .. }), "{refused}");
            for id in ["a", "b", "c"] {
                let mut watch = client.watch(&key(id)).await.unwrap();
                for _ in 0..5 {
                    watch.changed().await;
                }
            }
        });
        assert!(client.is_connected());
        assert_eq!(
            heard.count(|told| matches!(told, Incident::Refused { .. })),
            1,
            "told once"
        );
        assert_eq!(heard.count(|told| matches!(told, Incident::Away { .. })), 0);
    }
}

#[test]
fn one_that_is_refused_is_asked_for_again_ever_more_rarely_and_is_read_once_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let asked_for = AtomicU64::new(0);
    let script = Script::start(move |asked| match asked {
        Asked::Fetch(_) if asked_for.fetch_add(1, Ordering::SeqCst) < 4 => Answer::Status(403),
        Asked::Fetch(_) => Answer::Content("at last".to_owned()),
        Asked::Poll(..) => Answer::Hang,
        Asked::Alive => Answer::Status(200),
    });
    let (client, _) = client(&script, folder.path(), |_| {});
    now(async {
        let mut watch = client.watch(&key("a")).await.unwrap();
        assert_eq!(watch.changed().await.content.as_deref(), Some("at last"));
    });
    // Four waits, of 100 ms and then twice as long each, of which chance takes up to half, and what is due soon comes along.
    let took = script.wait(5, fetches("a"));
    assert!(
        took >= Duration::from_millis((50 + 100 + 200 + 400) - 4 * 50),
        "{took:?}"
    );
    // With nothing else to follow, no poll was sent that asks for nothing.
    assert_eq!(
        script.count(|asked| matches!(asked, Asked::Poll(watched, _) if watched.is_empty())),
        0
    );
}

#[test]
fn one_that_is_never_answered_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let number = Arc::new(Number::default());
    let counted = Arc::clone(&number);
    let script = Script::start(move |asked| match asked {
        Asked::Fetch(id) if id == "stuck" => Answer::Hang,
        Asked::Fetch(_) => Answer::Content(counted.content()),
        Asked::Poll(watched, hangs) => counted.listen(watched, *hangs, &["a", "b"]),
        Asked::Alive => Answer::Status(200),
    });
    let (client, heard) = client(&script, folder.path(), |settings| {
        settings.request_timeout = Duration::from_millis(300);
    });
    now(async {
        let mut watches = Vec::new();
        for id in ["a", "stuck", "b"] {
            watches.push(client.watch(&key(id)).await.unwrap());
        }
        for round in 1..=5 {
            number.set(round);
            let wanted = round.to_string();
            for watch in [0, 2] {
                while watches[watch].changed().await.content.as_deref() != Some(&*wanted) {}
            }
        }
        let stuck = client.get(&key("stuck")).await.unwrap_err();
        assert!(matches!(stuck, GetError::Refused { .. }), "{stuck}");
    });
    // It is asked for again and again, and polls hang in between.
    until("polls do not hang", || {
        script.count(fetches("stuck")) > 3 && script.count(hangs) > 3
    });
    let away = heard.count(|told| matches!(told, Incident::Away { .. }));
    let connected = heard.count(|told| *told == Incident::Connected);
    assert!(away <= 1 && connected <= 1 + away, "{away}, {connected}");
}

#[test]
fn a_content_that_is_not_what_its_checksum_says_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::start(|asked| match asked {
        Asked::Fetch(id) if id == "torn" => Answer::Torn("half".to_owned()),
        Asked::Fetch(_) => Answer::Content("whole".to_owned()),
        Asked::Poll(..) => Answer::Hang,
        Asked::Alive => Answer::Status(200),
    });
    let (client, heard) = client(&script, folder.path(), |_| {});
    now(async {
        let torn = client.get(&key("torn")).await.unwrap_err();
        assert!(matches!(torn, GetError::Refused { .. }), "{torn}");
        assert!(client.get(&key("a")).await.is_ok());
    });
    assert!(heard.count(|told| matches!(told, Incident::Mismatch { .. })) > 0);
}

#[test]
fn polls_that_the_server_does_not_let_hang_are_paced() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::start(|asked| match asked {
        Asked::Fetch(_) => Answer::Content("x".to_owned()),
        Asked::Poll(..) => Answer::Changed(Vec::new()),
        Asked::Alive => Answer::Status(200),
    });
    let (client, _) = client(&script, folder.path(), |_| {});
    now(client.get(&key("a"))).unwrap();
    let took = script.wait(5, hangs);
    assert!(took >= Duration::from_millis(25 + 50 + 100 + 200), "{took:?}");
}

#[test]
fn a_change_that_is_none_is_not_asked_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::start(|asked| match asked {
        Asked::Fetch(_) => Answer::Content("x".to_owned()),
        Asked::Poll(watched, _) => {
            assert!(watched.iter().all(|(_, had)| had.is_empty() || *had == md5("x")));
            Answer::Changed(vec!["a"])
        }
        Asked::Alive => Answer::Status(200),
    });
    let (client, _) = client(&script, folder.path(), |_| {});
    now(client.get(&key("a"))).unwrap();
    let took = script.wait(8, fetches("a"));
    // Of the eight, the first was asked for; then every other comes of a poll, and every other after a wait.
    assert!(
        took >= Duration::from_millis((50 + 100 + 200) - 3 * 50),
        "{took:?}"
    );
}

#[test]
fn what_is_pushed_and_is_none_of_what_was_asked_for_is_paced() {
    // What was asked for is put off by 100 ms and then twice as long each, twice for each poll where it is torn; what was not by 50 ms
    // likewise. Of each, chance takes up to half, and of the former what is due soon comes along.
    let put_off = (50 + 100 + 200) - 3 * 50;
    let paced = 25 + 50 + 100;
    let pushes = [
        ("unchanged", Answer::Pushed(vec!["a"], "x"), 4, put_off),
        ("of two", Answer::Pushed(vec!["a", "b"], "y"), 4, paced),
        ("not polled", Answer::Pushed(vec!["other"], "y"), 4, paced),
        ("of none", Answer::Pushed(vec![], "y"), 4, paced),
        (
            "torn",
            Answer::PushedTorn(vec!["a"], "y"),
            3,
            (50 + 100 + 200 + 400) - 4 * 50,
        ),
    ];
    for (what, push, polls, least_ms) in pushes {
        let folder = tempfile::tempdir().unwrap();
        let is_torn = matches!(push, Answer::PushedTorn(..));
        let script = Script::start(move |asked| match asked {
            Asked::Fetch(_) => Answer::Content("x".to_owned()),
            Asked::Poll(_, true) => push.clone(),
            Asked::Poll(_, false) => Answer::Changed(Vec::new()),
            Asked::Alive => Answer::Status(200),
        });
        let (client, heard) = client(&script, folder.path(), |_| {});
        let mut watch = now(client.watch(&key("a"))).unwrap();
        now(watch.changed());
        let took = script.wait(polls, hangs);
        assert!(took >= Duration::from_millis(least_ms), "{what}: {took:?}");
        assert_eq!(watch.current().unwrap().content.as_deref(), Some("x"), "{what}");
        let mismatches = heard.count(|told| matches!(told, Incident::Mismatch { .. }));
        assert_eq!(mismatches > 0, is_torn, "{what}");
    }
}

#[test]
fn polls_that_end_with_their_connection_are_paced_too() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::start(|asked| match asked {
        Asked::Fetch(_) => Answer::Content("x".to_owned()),
        Asked::Poll(_, true) => Answer::Lastly(Box::new(Answer::Changed(Vec::new()))),
        Asked::Poll(_, false) => Answer::Changed(Vec::new()),
        Asked::Alive => Answer::Status(200),
    });
    let (client, heard) = client(&script, folder.path(), |_| {});
    now(client.get(&key("a"))).unwrap();
    let took = script.wait(5, hangs);
    assert!(took >= Duration::from_millis(25 + 50 + 100 + 200), "{took:?}");
    assert_eq!(heard.count(|told| matches!(told, Incident::Away { .. })), 0);
}
