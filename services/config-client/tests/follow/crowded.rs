//! More configurations than fit in memory.

use std::sync::Arc;

use squall_config_client::GetError;

use crate::script::{Answer, Asked, Number, Script, client, key, now};

/// How many fit.
const FIT: usize = 4;

/// A server whose configurations all have one content, which is a number.
fn counting() -> (Script, Arc<Number>) {
    let number = Arc::new(Number::default());
    let counted = Arc::clone(&number);
    let script = Script::start(move |asked| match asked {
        Asked::Fetch(_) => Answer::Content(counted.content()),
        Asked::Poll(watched, hangs) => counted.listen(watched, *hangs, &["watched"]),
        Asked::Alive => Answer::Status(200),
    });
    (script, number)
}

#[test]
fn of_many_more_gets_than_fit_at_once_each_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (script, _) = counting();
    let (client, _) = client(&script, folder.path(), |settings| settings.entries_max = FIT);
    now(async {
        let gets: Vec<_> = (0..40 * FIT)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move { client.get(&key(&format!("n{n}"))).await })
            })
            .collect();
        for get in gets {
            let entry = get.await.unwrap().unwrap();
            assert_eq!(entry.content.as_deref(), Some("0"));
        }
    });
}

#[test]
fn a_watch_hears_of_changes_however_many_others_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let (script, number) = counting();
    let (client, _) = client(&script, folder.path(), |settings| settings.entries_max = FIT);
    now(async {
        for round in 1..=20 {
            // Others that push out whatever is not watched, before, while and after it comes to be.
            let others: Vec<_> = (0..2 * FIT)
                .map(|n| {
                    let client = client.clone();
                    tokio::spawn(async move { client.get(&key(&format!("n{n}"))).await.map(drop) })
                })
                .collect();
            let mut watch = client.watch(&key("watched")).await.unwrap();
            for other in others {
                other.await.unwrap().unwrap();
            }
            number.set(round);
            let wanted = round.to_string();
            while watch.changed().await.content.as_deref() != Some(&*wanted) {}
        }
    });
}

#[test]
fn where_all_are_watched_one_more_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (script, _) = counting();
    let (client, _) = client(&script, folder.path(), |settings| settings.entries_max = FIT);
    now(async {
        let mut watches = Vec::new();
        for n in 0..FIT {
            watches.push(client.watch(&key(&format!("n{n}"))).await.unwrap());
        }
        let full = GetError::Full { entries_max: FIT };
        assert_eq!(client.watch(&key("more")).await.unwrap_err(), full);
        assert_eq!(client.get(&key("more")).await.unwrap_err(), full);
        watches.pop();
        assert!(client.get(&key("more")).await.is_ok());
    });
}
