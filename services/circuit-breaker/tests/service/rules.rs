//! Rules: followed, refused, kept, and gone when they are deleted.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use squall_config_client::checksum;

use crate::launched::{Breaker, Peers};
use crate::server::{Response, Server};

/// How long a poll hangs where nothing changes.
const HANGS: Duration = Duration::from_secs(2);

/// As much of Nacos as the client asks for.
pub struct Center {
    pub server: Server,
    published: Arc<Published>,
}

/// What it has: the number of the content, and the content, if there is one.
#[derive(Default)]
struct Published {
    now: Mutex<(u64, Option<String>)>,
    changed: Condvar,
}

impl Center {
    /// With this as its first version.
    pub fn start(content: Option<&str>) -> Self {
        let published = Arc::new(Published::default());
        let told = Arc::clone(&published);
        let center = Self {
            server: Server::start(move |path, body| told.answer(path, body)),
            published,
        };
        center.publish(content);
        center
    }

    /// Has this as its next version; `None` deletes what there is.
    pub fn publish(&self, content: Option<&str>) {
        let mut now = self.published.now.lock().unwrap();
        *now = (now.0 + 1, content.map(str::to_owned));
        self.published.changed.notify_all();
    }
}

impl Published {
    fn answer(&self, path: &str, body: &str) -> Response {
        let mut now = self.now.lock().unwrap();
        if path.contains("/configs/listener") {
            let is_known = |content: Option<&str>| body.contains(&format!("%02{}%01", md5(content)));
            (now, _) = self
                .changed
                .wait_timeout_while(now, HANGS, |(_, content)| is_known(content.as_deref()))
                .unwrap();
            let changed = "feed-flow-rules.json%02SENTINEL_GROUP%01";
            let said = if is_known(now.1.as_deref()) { "" } else { changed };
            return (200, String::new(), said.to_owned());
        }
        let (version, content) = &*now;
        let md5 = md5(content.as_deref());
        let headers = format!("squall-version: {version}\r\ncontent-md5: {md5}\r\nconfig-type: json\r\n");
        match content {
            Some(content) => (200, headers, content.clone()),
            None => (404, headers, "config data not exist".to_owned()),
        }
    }
}

fn md5(content: Option<&str>) -> String {
    content.map(checksum::md5).unwrap_or_default()
}

/// A limit of L1.
pub fn limit(count: u32) -> String {
    format!(r#"[{{ "resource": "feed", "count": {count} }}]"#)
}

/// What is no rule.
const MISTAKE: &str = r#"[{ "resource": "feed", "cuont": 1 }]"#;

/// Which limit of L1 is in force, and where it is from.
fn in_force(rules: &Value) -> (Option<f64>, &str) {
    let count = rules["rules"]["flow"][0]["count"].as_f64();
    (count, rules["source"].as_str().unwrap_or_default())
}

/// How many rule sets came into force: of config-center's in all, from its client's copy, and accepted before.
fn applied(breaker: &Breaker) -> [u64; 3] {
    ["applied", "from_copy", "from_accepted"].map(|how| breaker.metric(&format!("rules_{how}_total")))
}

fn peers<'a>(server: &'a Server, center: &'a Center) -> [(&'a str, &'a Server); 4] {
    [
        ("recall", server),
        ("model", server),
        ("model-light", server),
        ("config-center", &center.server),
    ]
}

/// Started again, on the same folder.
fn again(breaker: Breaker, peers: &Peers<'_>) -> Breaker {
    let data = Arc::clone(&breaker.data);
    drop(breaker);
    Breaker::start_in(data, peers, &[])
}

#[test]
fn rules_are_followed_and_refused_whole() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(70))));
    let breaker = Breaker::start(&peers(&server, &center), &[]);
    let (_, first) = breaker.get("/rules");
    assert_eq!(
        in_force(&first),
        (Some(70.0), "live"),
        "before the first request is served"
    );
    assert_eq!(first["connected"], true);

    center.publish(Some(&limit(80)));
    breaker.get_until("/rules", |rules| in_force(rules) == (Some(80.0), "live"));
    assert_eq!(breaker.get("/rules/versions").1["versions"], json!([2, 2]));

    center.publish(Some(MISTAKE));
    breaker.get_until("/rules", |_| breaker.metric("rules_refused_total") == 1);
    let (_, rules) = breaker.get("/rules");
    assert_eq!(
        (in_force(&rules), &rules["center_version"]),
        ((Some(80.0), "live"), &2.into())
    );
    assert_eq!(applied(&breaker), [2, 0, 0]);
}

/// Its own rules count too, whether or not there is a config-center.
#[test]
fn the_version_of_the_rules_in_force_is_told_as_a_metric() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(70))));
    let alone = Breaker::start(&peers(&server, &center)[..3], &[]);
    let following = Breaker::start(&peers(&server, &center), &[]);
    for breaker in [alone, following] {
        let (_, rules) = breaker.get("/rules");
        assert_eq!(rules["version"].as_u64(), Some(breaker.metric("rules_version")));
        assert!(breaker.metric("rules_version") > 0);
    }
}

#[test]
fn where_the_newest_rules_are_refused_a_restart_keeps_those_accepted_last() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(80))));
    let peers = peers(&server, &center);
    let breaker = Breaker::start(&peers, &[]);
    center.publish(Some(MISTAKE));
    breaker.get_until("/rules", |_| breaker.metric("rules_refused_total") == 1);
    for is_away in [false, true] {
        // While the server is away it is the client's copy that is refused.
        center.server.set_away(is_away);
        let breaker = Breaker::start_in(Arc::clone(&breaker.data), &peers, &[]);
        let (_, rules) = breaker.get("/rules");
        assert_eq!(in_force(&rules), (Some(80.0), "accepted"), "away: {is_away}");
        assert_eq!(applied(&breaker), [1, 0, 1], "away: {is_away}");
    }
}

#[test]
fn while_the_server_is_away_a_restart_takes_its_clients_copy() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(90))));
    let peers = peers(&server, &center);
    let breaker = Breaker::start(&peers, &[]);
    center.server.set_away(true);
    let breaker = again(breaker, &peers);
    let (_, rules) = breaker.get("/rules");
    assert_eq!(in_force(&rules), (Some(90.0), "snapshot"));
    assert_eq!(rules["connected"], false);
    assert_eq!(applied(&breaker), [1, 1, 0]);

    center.publish(Some(&limit(91)));
    center.server.set_away(false);
    breaker.get_until("/rules", |rules| in_force(rules) == (Some(91.0), "live"));
    assert_eq!(applied(&breaker), [2, 1, 0]);
}

#[test]
fn where_rules_are_deleted_the_services_own_come_back_and_stay_over_a_restart() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(70))));
    let peers = peers(&server, &center);
    let breaker = Breaker::start(&peers, &[]);
    assert_eq!(in_force(&breaker.get("/rules").1), (Some(70.0), "live"));
    center.publish(None);
    breaker.get_until("/rules", |rules| in_force(rules) == (Some(5_000.0), "default"));
    let breaker = again(breaker, &peers);
    assert_eq!(in_force(&breaker.get("/rules").1), (Some(5_000.0), "default"));
    assert_eq!(applied(&breaker)[1..], [0, 0]);
}

/// Another server, which the client has no copy of, is away at first: the rules accepted last are in force without a word of its own.
#[test]
fn a_deletion_ends_rules_that_were_accepted_before_the_restart_too() {
    let (server, center) = (Server::good(), Center::start(Some(&limit(70))));
    let breaker = Breaker::start(&peers(&server, &center), &[]);
    let other = Center::start(None);
    other.server.set_away(true);
    let breaker = again(breaker, &peers(&server, &other));
    assert_eq!(in_force(&breaker.get("/rules").1), (Some(70.0), "accepted"));
    other.server.set_away(false);
    breaker.get_until("/rules", |rules| in_force(rules) == (Some(5_000.0), "default"));
}
