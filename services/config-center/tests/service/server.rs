//! The server over real connections: the protocol as Nacos 1.x has it, the long polls, the limits.

use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{CONFIGS, Client, Setup, start, until_hanging};
use squall_config_center::center::Limits;
use squall_config_client::checksum::md5;
use squall_service_kit::Host;
use tempfile::tempdir;

const LISTENER: &str = "/nacos/v1/cs/configs/listener";
const HANG: &str = "Long-Pulling-Timeout: 30000\r\n";
const LOOK: &str = "Long-Pulling-Timeout: 30000\r\nLong-Pulling-Timeout-No-Hangup: true\r\n";

fn limited(data: &Path, limits: Limits) -> Host {
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    setup.start(data)
}

fn listening(entries: &[(&str, &str)]) -> String {
    let mut form = "Listening-Configs=".to_owned();
    for (id, md5) in entries {
        form.extend([id, "%02G%02", md5, "%01"]);
    }
    form
}

#[test]
fn what_is_published_is_fetched_with_all_that_nacos_says_of_it() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    let form = "dataId=a.json&group=G&tenant=t&type=json&content=%7B%22n%22%3A%22h%C3%A9%22%7D";
    let published = client.ask("POST", CONFIGS, "", form);
    assert_eq!((published.status, published.body.as_str()), (200, "true"));
    let fetched = client.get(&format!("{CONFIGS}?dataId=a.json&group=G&tenant=t"));
    assert_eq!(
        (fetched.status, fetched.body.as_str()),
        (200, "{\"n\":\"h\u{e9}\"}")
    );
    assert_eq!(fetched.header("content-md5"), md5(&fetched.body));
    assert_eq!(fetched.header("content-type"), "application/json;charset=UTF-8");
    assert_eq!(fetched.header("config-type"), "json");
    assert_eq!(
        fetched.header("squall-version"),
        published.header("squall-version")
    );
    let elsewhere = client.fetch("a.json");
    assert_eq!(
        (elsewhere.status, elsewhere.body.as_str()),
        (404, "config data not exist\n")
    );
    let deleted = client.ask(
        "DELETE",
        &format!("{CONFIGS}?dataId=a.json&group=G&tenant=t"),
        "",
        "",
    );
    assert_eq!((deleted.status, deleted.body.as_str()), (200, "true"));
    let gone = client.get(&format!("{CONFIGS}?dataId=a.json&group=G&tenant=t"));
    assert_eq!((gone.status, gone.header("squall-version")), (404, "2"));
}

#[test]
fn every_refusal_is_in_nacos_words() {
    let folder = tempdir().unwrap();
    let limits = Limits {
        content_bytes_max: 100,
        ..Limits::default()
    };
    let host = limited(folder.path(), limits);
    let mut client = Client::connect(host.listen());
    let missing = |name: &str| {
        format!(
            r#"{{"error":"Bad Request","message":"Required String parameter '{name}' is not present","path":"{CONFIGS}","status":400}}"#
        )
    };
    let long = "x".repeat(101);
    let cases = [
        ("", 400, missing("dataId")),
        ("dataId=a", 400, missing("group")),
        ("dataId=a&group=G", 400, missing("content")),
        (
            "dataId=a%20b&group=G&content=x",
            400,
            "caused: invalid dataId : a b;".to_owned(),
        ),
        (
            "dataId=a&group=%2F&content=x",
            400,
            "caused: invalid group : /;".to_owned(),
        ),
        (
            "dataId=a&group=G&tenant=!&content=x",
            400,
            "caused: invalid tenant;".to_owned(),
        ),
        (
            "dataId=a&group=G&content=%20",
            400,
            "caused: content is blank :  ;".to_owned(),
        ),
        (
            &format!("dataId=a&group=G&content={long}"),
            400,
            "caused: invalid content, over 100;".to_owned(),
        ),
        (
            &format!("dataId=a&group=G&content=x&effect={long}"),
            400,
            "caused: too long effect, over 32;".to_owned(),
        ),
        (
            "dataId=a&group=G&content=x&tag=t",
            501,
            "caused: this server has no tags;".to_owned(),
        ),
    ];
    for (form, status, body) in cases {
        let answer = client.ask("POST", CONFIGS, "", form);
        assert_eq!((answer.status, answer.body), (status, body), "{form}");
    }
    let beta = client.ask(
        "POST",
        CONFIGS,
        "betaIps: 1.2.3.4\r\n",
        "dataId=a&group=G&content=x",
    );
    assert_eq!(beta.status, 501);
    for listening in ["", "Listening-Configs=", "Listening-Configs=nonsense%01"] {
        let answer = client.ask("POST", LISTENER, HANG, listening);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, "caused: invalid probeModify;"),
            "{listening}"
        );
    }
    assert_eq!(client.get("/nacos/v1/cs/nothing").status, 404);
    let huge = "x".repeat(70_000);
    let answer = client.ask("POST", CONFIGS, "", &format!("dataId=a&group=G&content={huge}"));
    assert_eq!(answer.status, 413);
}

#[test]
fn of_many_that_compare_and_publish_none_is_lost() {
    const CLIENTS: u32 = 6;
    const EACH: u32 = 20;
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let address = host.listen();
    Client::connect(address).publish("n", "0");
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                let mut done = 0;
                while done < EACH {
                    let seen = client.fetch("n");
                    let next: u32 = seen.body.parse::<u32>().unwrap() + 1;
                    let cas = format!("casMd5: {}\r\n", seen.header("content-md5"));
                    let answer =
                        client.ask("POST", CONFIGS, &cas, &format!("dataId=n&group=G&content={next}"));
                    match answer.status {
                        200 => done += 1,
                        500 => assert_eq!(
                            answer.body,
                            "caused: Cas publish fail, server md5 may have changed.;"
                        ),
                        other => panic!("{other}: {}", answer.body),
                    }
                }
            });
        }
    });
    let last = Client::connect(address).fetch("n");
    assert_eq!(last.body, (CLIENTS * EACH).to_string());
}

#[test]
fn a_poll_hangs_until_what_it_watches_changes() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    client.publish("a", "1");
    client.publish("b", "1");
    let mut admin = Client::connect(host.admin());
    for (change, told) in [("POST", "a%02G%01\n"), ("DELETE", "a%02G%01\n")] {
        let now = client.fetch("a").header("content-md5").to_owned();
        let mut poll = Client::connect(host.listen());
        let watched = listening(&[("b", &md5("1")), ("a", &now), ("never", "")]);
        poll.send("POST", LISTENER, HANG, &watched).unwrap();
        // It hangs, and is counted.
        until_hanging(&host, 1);
        client.ask(change, CONFIGS, "", "dataId=a&group=G&content=2");
        let answer = poll.receive().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, told));
    }
    let metrics = admin.get("/metrics").body;
    assert!(metrics.contains("\nconfig_center_woken_total 2\n"), "{metrics}");
}

#[test]
fn a_poll_that_asks_for_the_content_is_answered_by_it_and_where_it_is_gone_by_the_word() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    client.publish("a", "1");
    let mut poll = Client::connect(host.listen());
    let with_content = format!("{HANG}squall-with-content: true\r\n");
    let watched = listening(&[("never", ""), ("a", &md5("1"))]);
    poll.send("POST", LISTENER, &with_content, &watched).unwrap();
    until_hanging(&host, 1);
    let published = client.publish("a", "2");
    let answer = poll.receive().unwrap();
    let fetched = client.fetch("a");
    assert_eq!((answer.status, answer.body.as_str()), (200, "2"));
    assert_eq!(answer.header("squall-changed"), "a%02G%01");
    assert_eq!(
        answer.header("squall-version"),
        published.header("squall-version")
    );
    for header in ["content-md5", "content-type", "config-type", "squall-version"] {
        assert_eq!(answer.header(header), fetched.header(header), "{header}");
    }
    assert_eq!(fetched.header("squall-changed"), "");

    let watched = listening(&[("a", &md5("2"))]);
    poll.send("POST", LISTENER, &with_content, &watched).unwrap();
    until_hanging(&host, 1);
    client.delete("a");
    let answer = poll.receive().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "a%02G%01\n"));
    assert_eq!(
        (answer.header("squall-changed"), answer.header("squall-version")),
        ("", "")
    );

    // What has changed already is told by the word as well.
    let answer = poll.ask("POST", LISTENER, &with_content, &listening(&[("a", "stale")]));
    assert_eq!((answer.status, answer.body.as_str()), (200, "a%02G%01\n"));
}

#[test]
fn a_poll_is_answered_at_once_where_it_should_be() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    client.publish("a", "1");
    let current = md5("1");
    let cases = [
        (HANG, "stale", "a%02G%01\n"),
        (LOOK, current.as_str(), ""),
        (LOOK, "stale", "a%02G%01\n"),
        ("", current.as_str(), ""),
        ("", "", "a%02G%01\n"),
    ];
    for (headers, md5, body) in cases {
        let answer = client.ask("POST", LISTENER, headers, &listening(&[("a", md5)]));
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, body),
            "{headers} {md5}"
        );
    }
    // Encoded twice, as some clients do.
    let twice = "Listening-Configs=a%2502G%2502x%2501";
    assert_eq!(client.ask("POST", LISTENER, LOOK, twice).body, "a%02G%01\n");
}

#[test]
fn a_server_that_stops_lets_its_polls_go() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut poll = Client::connect(host.listen());
    poll.send("POST", LISTENER, HANG, &listening(&[("a", "")]))
        .unwrap();
    until_hanging(&host, 1);
    assert!(host.stop(), "requests were left");
    assert_eq!(poll.receive().unwrap().status, 200);
}

#[test]
fn history_has_each_change_with_what_it_replaced() {
    let folder = tempdir().unwrap();
    let limits = Limits {
        changes_per_config_max: 3,
        ..Limits::default()
    };
    let host = limited(folder.path(), limits);
    let mut client = Client::connect(host.listen());
    for content in ["one", "two", "three"] {
        client.publish("a", content);
    }
    let history = "/nacos/v1/cs/history";
    let page = client.get(&format!("{history}?search=accurate&dataId=a&group=G&pageSize=2"));
    let page = page.json();
    assert_eq!(
        (&page["totalCount"], &page["pagesAvailable"]),
        (&3.into(), &2.into())
    );
    let items = page["pageItems"].as_array().unwrap();
    let nids: Vec<&str> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(nids, ["3", "2"]);
    assert_eq!(items[0]["opType"].as_str().unwrap().trim(), "U");
    for (nid, content) in [(1, "one"), (2, "one"), (3, "two")] {
        let one = client
            .get(&format!("{history}?nid={nid}&dataId=a&group=G"))
            .json();
        assert_eq!(
            (&one["content"], &one["md5"]),
            (&content.into(), &md5(content).into())
        );
    }
    let previous = client.get(&format!("{history}/previous?id=1&dataId=a&group=G"));
    assert_eq!(previous.json()["content"], "two");
    let other = client.get(&format!("{history}?nid=1&dataId=b&group=G"));
    assert_eq!(
        (other.status, other.body.as_str()),
        (400, "caused: Please check dataId and group.;")
    );
    client.publish("a", "four");
    let forgotten = client.get(&format!("{history}?nid=1&dataId=a&group=G"));
    assert_eq!((forgotten.status, forgotten.body.as_str()), (200, ""));
}

#[test]
fn namespaces_come_and_go() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    let path = "/nacos/v1/console/namespaces";
    let form = "customNamespaceId=shop&namespaceName=Shop&namespaceDesc=of%20things";
    assert_eq!(client.ask("POST", path, "", form).body, "true");
    assert_eq!(client.ask("POST", path, "", form).body, "false", "it is there");
    let bad = "customNamespaceId=a%20b&namespaceName=x";
    assert_eq!(client.ask("POST", path, "", bad).body, "false");
    client.ask("POST", CONFIGS, "", "dataId=a&group=G&tenant=shop&content=1");
    client.ask(
        "PUT",
        path,
        "",
        "namespace=shop&namespaceShowName=Store&namespaceDesc=x",
    );
    let all = client.get(path).json();
    assert_eq!(all["data"][0]["namespaceShowName"], "public");
    let shop = &all["data"][1];
    assert_eq!(
        (
            &shop["namespace"],
            &shop["namespaceShowName"],
            &shop["configCount"]
        ),
        (&"shop".into(), &"Store".into(), &1.into())
    );
    let exists = format!("{path}?checkNamespaceIdExist=true&customNamespaceId=shop");
    assert_eq!(client.get(&exists).body, "true");
    assert_eq!(client.ask("DELETE", path, "", "namespaceId=shop").body, "true");
    assert_eq!(client.get(&exists).body, "false");
}

#[test]
fn what_is_too_much_is_refused_and_takes_nothing_away() {
    let folder = tempdir().unwrap();
    let limits = Limits {
        configs_max: 2,
        contents_bytes_max: 100,
        watchers_max: 1,
        ..Limits::default()
    };
    let host = limited(folder.path(), limits);
    let mut client = Client::connect(host.listen());
    let long = "x".repeat(99);
    for (data_id, content, status, body) in [
        ("a", "1", 200, "true"),
        ("b", "1", 200, "true"),
        ("c", "1", 429, "false"),
        ("a", &*long, 200, "true"),
        ("b", "22", 429, "false"),
        ("a", "1", 200, "true"),
        ("b", "22", 200, "true"),
    ] {
        let answer = client.publish(data_id, content);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{data_id}");
    }
    let mut poll = Client::connect(host.listen());
    let watched = listening(&[("a", &md5("1"))]);
    poll.send("POST", LISTENER, HANG, &watched).unwrap();
    until_hanging(&host, 1);
    assert_eq!(client.ask("POST", LISTENER, HANG, &watched).status, 503);
    client.publish("a", "2");
    assert_eq!(
        poll.receive().unwrap().body,
        "a%02G%01\n",
        "the one that was there is told"
    );
    let metrics = Client::connect(host.admin()).get("/metrics").body;
    for wanted in ["refused_total 2", "overloaded_total 1", "woken_total 1"] {
        assert!(
            metrics.contains(&format!("\nconfig_center_{wanted}\n")),
            "{wanted}: {metrics}"
        );
    }
}

#[test]
fn a_poll_is_counted_as_woken_once_however_much_of_it_changes() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut poll = Client::connect(host.listen());
    let ids: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let watched: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, "")).collect();
    poll.send("POST", LISTENER, HANG, &listening(&watched)).unwrap();
    until_hanging(&host, 1);
    let address = host.listen();
    // All at once, so that some are of one group.
    thread::scope(|scope| {
        for id in &ids {
            scope.spawn(move || Client::connect(address).publish(id, "1"));
        }
    });
    assert_eq!(poll.receive().unwrap().status, 200);
    let metrics = Client::connect(host.admin()).get("/metrics").body;
    assert!(metrics.contains("\nconfig_center_woken_total 1\n"), "{metrics}");
}

#[test]
fn connections_that_announce_large_bodies_and_send_none_hold_up_nobody() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let idle: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(host.listen()).unwrap();
            let length = 30 << 20;
            write!(
                stream,
                "POST {CONFIGS} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\ncontent="
            )
            .unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    let mut client = Client::connect(host.listen());
    assert_eq!(client.publish("a", "1").body, "true");
    let look = client.ask("POST", LISTENER, LOOK, &listening(&[("a", "")]));
    assert_eq!(look.status, 200);
    // The idle ones have 10 s each; whoever had to wait for one of them would have waited for that long.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(idle);
}

#[test]
fn a_large_content_is_published_and_fetched_whole() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    let content = "0123456789abcdef".repeat((10 << 20) / 16);
    assert_eq!(client.publish("a", &content).body, "true");
    assert!(client.fetch("a").body == content);
    let export = client.get("/squall/export").json();
    assert_eq!(
        export["configs"][0]["content"].as_str().map(str::len),
        Some(content.len())
    );
    assert_eq!(client.publish("a", &(content + "x")).status, 400);
}

#[test]
fn searches_give_pages() {
    let folder = tempdir().unwrap();
    let host = start(folder.path());
    let mut client = Client::connect(host.listen());
    for data_id in ["feed-a", "feed-b", "shop-a"] {
        client.publish(data_id, "1");
    }
    let found = |client: &mut Client, query: &str| {
        let page = client
            .get(&format!("{CONFIGS}?{query}&pageNo=1&pageSize=10"))
            .json();
        let items = page["pageItems"].as_array().unwrap().iter();
        items
            .map(|item| item["dataId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(&mut client, "search=blur&dataId=feed*&group="),
        ["feed-a", "feed-b"]
    );
    assert_eq!(
        found(&mut client, "search=accurate&dataId=shop-a&group=G"),
        ["shop-a"]
    );
    let detail = client
        .get(&format!("{CONFIGS}?show=all&dataId=feed-a&group=G"))
        .json();
    assert_eq!((&detail["content"], &detail["id"]), (&"1".into(), &"1".into()));
}
