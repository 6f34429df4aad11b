//! `/nacos/v1/cs/configs/listener`: tells a client what has changed of what it has, at once or as soon as something has.
//!
//! After Nacos 1.4's `LongPollingService`. A client that sends `Long-Pulling-Timeout` is kept waiting for that time less half a
//! second, at least ten seconds; with `Long-Pulling-Timeout-No-Hangup: true` it is not. One that sends neither gets its answer
//! at once. Squall's own: one that hangs with `squall-with-content: true` gets the content itself, and what it is of in `squall-changed`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::Server;
use super::form::Form;
use super::refusal::Refused;
use crate::center::Found;
use crate::center::watchers::{Place, Told};
use squall_config_client::listening::{self, Watched};
use squall_config_client::protocol::{CHANGED, HANGS, LISTENER, NO_HANGUP, WITH_CONTENT};

/// How much earlier than a client gives up it is answered.
const EARLIER: Duration = Duration::from_millis(500);
/// The least time that a poll hangs.
const HANGS_MIN: Duration = Duration::from_secs(10);
/// The longest.
const HANGS_MAX: Duration = Duration::from_mins(5);
/// The most bytes of `Listening-Configs`: ten thousand configurations with names of usual length.
pub(super) const LISTENING_BYTES_MAX: usize = 2 << 20;

const UNCACHED: [(HeaderName, HeaderValue); 3] = [
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")),
    (CACHE_CONTROL, HeaderValue::from_static("no-cache,no-store")),
];

pub(super) async fn listen(State(server): State<Server>, request: Request<Body>) -> Response {
    let asked = match Form::read(request, LISTENER, LISTENING_BYTES_MAX, &server.listening).await {
        // The form goes here: there may be ten thousand that hang.
        Ok(form) => asked(&form),
        Err(refused) => return refused.into_response(),
    };
    server.report.polls.inc();
    match asked {
        Ok(Asked {
            watched,
            hangs: Some(hangs),
            with_content,
        }) => hang(&server, watched, hangs, with_content).await.into_response(),
        Ok(Asked { watched, .. }) => changed_now(&server, &watched).unwrap_or_else(nothing_changed),
        Err(refused) => refused.into_response(),
    }
}

/// What a poll asks.
struct Asked {
    watched: Vec<Watched>,
    /// How long it may hang, if it may.
    hangs: Option<Duration>,
    /// Whether what has changed is to come along, if that is one configuration.
    with_content: bool,
}

fn asked(form: &Form) -> Result<Asked, Refused> {
    let invalid = || Refused::Invalid("invalid probeModify".to_owned());
    let text = form
        .get("Listening-Configs")
        .filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(invalid)?;
    // Some clients encode it twice, and the server they are made for decodes it twice.
    let watched = if text.contains('%') {
        listening::parse(&listening::decoded(text))
    } else {
        listening::parse(text)
    };
    let watched = watched.ok_or_else(invalid)?;
    let Some(ms) = form.header(HANGS.as_str()) else {
        return Ok(Asked {
            watched,
            hangs: None,
            with_content: false,
        });
    };
    let given = ms.trim().parse().map(Duration::from_millis);
    let given = given.map_err(|_| Refused::Invalid(format!("For input string: \"{ms}\"")))?;
    let may_hang = form
        .header(NO_HANGUP.as_str())
        .is_none_or(|text| !text.eq_ignore_ascii_case("true"));
    let hangs = given.saturating_sub(EARLIER).clamp(HANGS_MIN, HANGS_MAX);
    let is_true = |text: &str| text.eq_ignore_ascii_case("true");
    Ok(Asked {
        watched,
        hangs: may_hang.then_some(hangs),
        with_content: form.header(WITH_CONTENT.as_str()).is_some_and(is_true),
    })
}

async fn hang(
    server: &Server,
    watched: Vec<Watched>,
    hangs: Duration,
    with_content: bool,
) -> Result<Response, Refused> {
    // Waits first and looks then: a change between the two wakes it.
    let keys = watched.iter().map(|one| one.key.clone());
    let Some(mut place) = server.center.watchers().enter(keys) else {
        return Err(server.overloaded("too many clients wait for changes; try again"));
    };
    if let Some(response) = changed_now(server, &watched) {
        return Ok(response);
    }
    drop(watched);
    let _counted = Counted::new(server);
    let mut stopping = server.stopping.clone();
    let Some(told) = told(&mut place, hangs, stopping.told()).await else {
        return Ok(nothing_changed());
    };
    server.report.woken.inc();
    let pushed = with_content.then(|| pushed(server, &told)).flatten();
    Ok(pushed.unwrap_or_else(|| changed(told.answer)))
}

/// What has changed, as it is now, with the word that it has: one request less for each who waits, where thousands do. None where it is
/// gone: a listener that answers 404 would seem to be none, so there the word has to do, and the client looks.
fn pushed(server: &Server, told: &Told) -> Option<Response> {
    let Found::Config(config) = server.center.get(&told.key) else {
        return None;
    };
    let mut response = super::configs::content(config);
    let said = HeaderValue::from_bytes(told.answer.trim_ascii_end()).ok()?;
    response.headers_mut().insert(CHANGED, said);
    Some(response)
}

/// What has changed; none if nothing has for as long as `hangs`, or until `stop`.
async fn told(place: &mut Place<'_>, hangs: Duration, stop: impl Future<Output = ()>) -> Option<Told> {
    tokio::select! {
        told = place.changed() => Some(told),
        () = tokio::time::sleep(hangs) => None,
        () = stop => None,
    }
}

fn changed_now(server: &Server, watched: &[Watched]) -> Option<Response> {
    let mut keys = watched
        .iter()
        .filter(|one| !server.center.is_current(&one.key, &one.md5))
        .map(|one| &one.key)
        .peekable();
    keys.peek()?;
    Some(changed(listening::answer(keys).into()))
}

fn changed(body: Bytes) -> Response {
    uncached(Body::from(body))
}

fn nothing_changed() -> Response {
    uncached(Body::empty())
}

fn uncached(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().extend(UNCACHED);
    response
}

/// Counts a poll while it hangs.
struct Counted(prometheus_client::metrics::gauge::Gauge);

impl Counted {
    fn new(server: &Server) -> Self {
        server.report.watchers.inc();
        Self(server.report.watchers.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::body::Body;
    use axum::http::Request;
    use squall_config_client::key::ConfigKey;
    use tokio::time::Instant;

    use super::*;
    use crate::center::watchers::Watchers;

    /// How long a poll may hang that has these headers.
    fn hangs(headers: &[(&str, &str)]) -> Option<Duration> {
        let mut request = Request::get("/?Listening-Configs=a%02G%02%01");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let form = Form::of_query(&request.body(Body::empty()).unwrap(), LISTENER);
        asked(&form).unwrap_or_else(|_| panic!("it is a poll")).hangs
    }

    #[test]
    fn a_poll_hangs_for_half_a_second_less_than_its_client_waits() {
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        let timeout = "long-pulling-timeout";
        assert_eq!(hangs(&[(timeout, "30000")]), ms(29_500));
        assert_eq!(hangs(&[(timeout, "1")]), ms(10_000), "at least");
        assert_eq!(hangs(&[(timeout, "999999999")]), ms(300_000), "at most");
        assert_eq!(
            hangs(&[(timeout, "30000"), ("long-pulling-timeout-no-hangup", "true")]),
            None
        );
        assert_eq!(hangs(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_ends_by_a_change_by_time_or_by_the_servers_end() {
        let watchers = Watchers::new(1, 1);
        let key = ConfigKey::new("a", "G", "").unwrap();
        let hangs = Duration::from_millis(29_500);
        let mut place = watchers.enter([key.clone()]).unwrap();
        let began = Instant::now();
        assert_eq!(told(&mut place, hangs, pending()).await, None);
        assert_eq!(began.elapsed(), hangs);
        let stop = tokio::time::sleep(hangs / 2);
        assert_eq!(told(&mut place, hangs, stop).await, None);
        assert_eq!(began.elapsed(), hangs * 3 / 2);
        watchers.wake(&key);
        assert!(told(&mut place, hangs, pending()).await.is_some());
        assert_eq!(began.elapsed(), hangs * 3 / 2);
    }
}
