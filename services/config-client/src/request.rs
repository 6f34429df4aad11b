//! What the client asks of a Nacos server, as requests.

use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::Serializer;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Settings;
use crate::incident::{Incident, Observe};
use crate::key::ConfigKey;
use crate::listening;
use crate::protocol::{CONFIGS, HANGS, LISTENER, LIVENESS, NO_HANGUP, VERSION};
use crate::transport::{Ask, Transport};

/// A Nacos server lets a poll hang for at least this long, whatever it is told.
const HANGS_MIN: Duration = Duration::from_secs(10);

/// Asks for a configuration.
pub(crate) fn fetch(key: &ConfigKey) -> Ask {
    let mut query = Serializer::new(String::new());
    query.append_pair("dataId", key.data_id());
    query.append_pair("group", key.group());
    if !key.tenant().is_empty() {
        query.append_pair("tenant", key.tenant());
    }
    Ask::get(format!("{CONFIGS}?{}", query.finish()))
}

/// Asks what has changed of `watched`, configurations and the MD5s that the server was last seen to have; and how long the answer may
/// take. With `hangs` the server answers once something has.
pub(crate) fn poll<'a>(
    watched: impl IntoIterator<Item = (&'a ConfigKey, &'a str)>,
    hangs: bool,
    settings: &Settings,
) -> (Ask, Duration) {
    let form = Serializer::new(String::new())
        .append_pair("Listening-Configs", &listening::format(watched))
        .finish();
    let mut headers = HeaderMap::new();
    headers.insert(HANGS, HeaderValue::from(settings.poll.as_millis() as u64));
    let mut within = settings.poll.max(HANGS_MIN) + settings.request_timeout;
    if !hangs {
        headers.insert(NO_HANGUP, HeaderValue::from_static("true"));
        within = settings.request_timeout;
    }
    let ask = Ask {
        method: Method::POST,
        target: LISTENER.to_owned(),
        headers,
        form,
    };
    (ask, within)
}

/// The version that the server has of a configuration, where it says so, on a connection of its own.
pub(crate) async fn peek(settings: &Settings, key: &ConfigKey) -> Result<Option<u64>, String> {
    let mut transport = Transport::new(&settings.server, settings.request_timeout);
    let asked = transport.ask(&fetch(key), settings.request_timeout).await;
    let answer = asked.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK && answer.status != StatusCode::NOT_FOUND {
        return Err(format!("the server answered {}", answer.status));
    }
    Ok(answer.header(VERSION).and_then(|version| version.parse().ok()))
}

/// Asks the server again and again whether it is there, on a connection of its own, and counts what it misses.
pub(crate) async fn beat(settings: Settings, observe: Arc<dyn Observe>, missed: watch::Sender<u64>) {
    let within = settings.request_timeout.min(settings.heartbeat);
    let mut transport = Transport::new(&settings.server, within);
    let mut ticks = interval_at(Instant::now() + settings.heartbeat, settings.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ask = Ask::get(LIVENESS.to_owned());
    loop {
        ticks.tick().await;
        // Any answer says that it is there, also that of a server that has no such path.
        match transport.ask(&ask, within).await {
            Ok(_) => observe.note(&Incident::Heartbeat),
            Err(_) => missed.send_modify(|missed| *missed += 1),
        }
    }
}
