//! A server that says no versions, as a real Nacos: what is new and what is older data.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use squall_config_client::Incident;
use squall_config_client::checksum::md5;

use crate::script::{Answer, Asked, DEADLINE, Heard, Script, client, key, now, until};

/// What the server has, one after the other; before the one at [`STOPS_BEFORE`] it stops, and comes back with what it had.
const CONTENTS: [&str; 5] = ["one", "two", "one", "two", "three"];
const STOPS_BEFORE: usize = 3;

fn is_stale(told: &Incident) -> bool {
    matches!(told, Incident::Stale { .. })
}

fn is_away(told: &Incident) -> bool {
    matches!(told, Incident::Away { .. })
}

/// How far a server may go on, and is.
#[derive(Debug, Default)]
struct Steps {
    allowed: Mutex<usize>,
    more: Condvar,
    at: Mutex<usize>,
}

impl Steps {
    fn at(&self) -> usize {
        *self.at.lock().unwrap()
    }

    fn allow(&self, step: usize) {
        *self.allowed.lock().unwrap() = step;
        self.more.notify_all();
    }

    /// Goes on to the next once it may; which that is.
    fn go_on(&self) -> usize {
        let next = self.at() + 1;
        let allowed = self.allowed.lock().unwrap();
        let waited = self
            .more
            .wait_timeout_while(allowed, DEADLINE, |allowed| *allowed < next);
        assert!(!waited.unwrap().1.timed_out(), "the test lets it not go on");
        *self.at.lock().unwrap() = next;
        next
    }
}

/// A server that goes on to the next content with each poll that hangs, once a test lets it.
fn forgetful(says_news: bool) -> (Script, Arc<Steps>) {
    let steps = Arc::new(Steps::default());
    let of_script = Arc::clone(&steps);
    let script = Script::start(move |asked| {
        let now = CONTENTS[of_script.at()];
        match asked {
            Asked::Fetch(_) => Answer::Content(now.to_owned()),
            Asked::Poll(watched, _) if watched.iter().any(|(_, had)| *had != md5(now)) => {
                Answer::Changed(vec!["a"])
            }
            Asked::Poll(_, true) => match of_script.go_on() {
                STOPS_BEFORE if says_news => Answer::Lastly(Box::new(Answer::Changed(vec!["a"]))),
                STOPS_BEFORE => Answer::Lastly(Box::new(Answer::Changed(Vec::new()))),
                _ => Answer::Changed(vec!["a"]),
            },
            Asked::Poll(_, false) => Answer::Changed(Vec::new()),
            Asked::Alive => Answer::Status(200),
        }
    });
    (script, steps)
}

#[test]
fn after_a_server_closed_the_connection_with_its_answer_what_it_had_before_is_older_data() {
    for says_news in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (script, steps) = forgetful(says_news);
        let (client, heard) = client(&script, folder.path(), |_| {});
        let mut watch = now(client.watch(&key("a"))).unwrap();
        // While the connection holds, what it had before is new.
        for (next, content) in CONTENTS[..STOPS_BEFORE].iter().enumerate() {
            assert_eq!(now(watch.changed()).content.as_deref(), Some(*content));
            steps.allow(next + 1);
        }
        until("it is not dropped", || heard.count(is_stale) > 0);
        assert_eq!(watch.current().unwrap().content.as_deref(), Some("one"));
        steps.allow(CONTENTS.len() - 1);
        assert_eq!(now(watch.changed()).content.as_deref(), Some("three"));
        // It was there whenever it was asked.
        assert_eq!(heard.count(is_away), 0);
    }
}

/// A server with the configurations `a` and `b`, whose contents are the same number. It goes on from 1 to 2 and 3 with each poll that
/// hangs, closes the connection with the first fetch of 3, and has 1 from then on.
fn set_back_between_two_fetches() -> Script {
    let state = Mutex::new((1, false));
    Script::start(move |asked| {
        let (number, is_set_back) = &mut *state.lock().unwrap();
        match asked {
            Asked::Fetch(_) if *number == 3 => {
                (*number, *is_set_back) = (1, true);
                Answer::Lastly(Box::new(Answer::Content("3".to_owned())))
            }
            Asked::Fetch(_) => Answer::Content(number.to_string()),
            Asked::Poll(_, false) => Answer::Changed(Vec::new()),
            Asked::Poll(watched, true) if watched.len() == 2 && !*is_set_back => {
                *number += 1;
                Answer::Changed(vec!["a", "b"])
            }
            Asked::Poll(_, true) => Answer::Hang,
            Asked::Alive => Answer::Status(200),
        }
    })
}

#[test]
fn what_comes_on_another_connection_than_the_answer_before_may_be_older_data() {
    let folder = tempfile::tempdir().unwrap();
    let script = set_back_between_two_fetches();
    let (client, heard): (_, Arc<Heard>) = client(&script, folder.path(), |_| {});
    let watches = ["a", "b"].map(|id| now(client.watch(&key(id))).unwrap());
    until("it is not dropped", || heard.count(is_stale) > 0);
    let shown = || {
        let mut shown = watches.each_ref().map(|watch| {
            let content = watch.current().and_then(|entry| entry.content.clone());
            content.map_or_else(String::new, |content| content.to_string())
        });
        shown.sort();
        shown
    };
    until("the newest of each is not shown", || shown() == ["2", "3"]);
    assert_eq!(heard.count(is_away), 0);
}

#[test]
fn what_is_published_again_after_the_connection_was_replaced_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let hung = AtomicUsize::new(0);
    let script = Script::start(move |asked| match (asked, hung.load(Ordering::SeqCst)) {
        (Asked::Fetch(_), 0 | 3..) => Answer::Content("one".to_owned()),
        (Asked::Fetch(_), _) => Answer::Content("two".to_owned()),
        (Asked::Poll(_, true), before) => {
            hung.store(before + 1, Ordering::SeqCst);
            match before {
                0 | 2 => Answer::Changed(vec!["a"]),
                1 => Answer::Lastly(Box::new(Answer::Changed(Vec::new()))),
                _ => Answer::Hang,
            }
        }
        (Asked::Poll(_, false), _) => Answer::Changed(Vec::new()),
        (Asked::Alive, _) => Answer::Status(200),
    });
    let (client, heard) = client(&script, folder.path(), |_| {});
    let mut watch = now(client.watch(&key("a"))).unwrap();
    until("the last is not shown", || {
        let entry = watch.current();
        entry.is_some_and(|entry| entry.version == 3 && entry.content.as_deref() == Some("one"))
    });
    assert_eq!(now(watch.changed()).version, 3);
    assert_eq!(heard.count(is_stale), 0);
}
