//! The parameters of a request: those of its query, then those of its form, as a servlet has them.
//!
//! Bodies are bounded: each by what a valid one can have, all together by a budget that each takes its part of as it comes, and holds
//! for as long as the form is there.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::timeout;

use super::BODY_WITHIN;
use super::budget::{Budget, Held};
use super::refusal::Refused;
use squall_config_client::key::ConfigKey;

/// What stands in a form beside the content, at most.
const FIELDS_BYTES_MAX: usize = 64 << 10;
/// The most parameters that are looked at.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Form {
    pairs: Vec<(String, String)>,
    path: &'static str,
    /// The request's headers.
    pub(super) headers: HeaderMap,
    held: Held,
}

impl Form {
    /// Those of a request without a body.
    pub(super) fn of_query(request: &Request<Body>, path: &'static str) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self {
            pairs: pairs(query.as_bytes()).collect(),
            path,
            headers: request.headers().clone(),
            held: Held::default(),
        }
    }

    /// Those of a request whose form has at most `bytes_max` bytes once decoded, besides some small fields.
    pub(super) async fn read(
        request: Request<Body>,
        path: &'static str,
        bytes_max: usize,
        budget: &Budget,
    ) -> Result<Self, Refused> {
        let mut form = Self::of_query(&request, path);
        let reading = read(request.into_body(), bytes_max, budget, &mut form.held);
        let whole = timeout(BODY_WITHIN, reading)
            .await
            .unwrap_or(Err(Refused::Slow))?;
        form.pairs.extend(pairs(&whole));
        Ok(form)
    }

    /// A parameter, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Takes a parameter out of the form.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(key, _)| key == name)?;
        Some(std::mem::take(&mut self.pairs[at].1))
    }

    /// A parameter that must be there.
    pub(super) fn require(&self, name: &'static str) -> Result<&str, Refused> {
        self.get(name).ok_or(Refused::Missing {
            name,
            path: self.path,
        })
    }

    /// A parameter that must be there and be a whole number.
    pub(super) fn number(&self, name: &'static str) -> Result<u64, Refused> {
        let text = self.require(name)?;
        text.parse()
            .map_err(|_| Refused::Invalid(format!("For input string: \"{text}\"")))
    }

    /// A parameter that is a number from 1 on, if it is there.
    pub(super) fn count(&self, name: &'static str, default: usize) -> Result<usize, Refused> {
        match self.get(name) {
            None | Some("") => Ok(default),
            Some(_) => self.number(name).map(|number| (number as usize).max(1)),
        }
    }

    /// The configuration that the request is about.
    pub(super) fn key(&self) -> Result<ConfigKey, Refused> {
        let (data_id, group) = (self.require("dataId")?, self.require("group")?);
        let tenant = self.get("tenant").unwrap_or_default();
        Ok(ConfigKey::new(data_id, group, tenant)?)
    }

    /// A header, if it is there and not empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then_some(value)
    }
}

/// The most bytes of a body that has so many once decoded: every one may be written as three.
pub(super) const fn body_max(bytes_max: usize) -> usize {
    bytes_max.saturating_mul(3).saturating_add(FIELDS_BYTES_MAX)
}

async fn read(
    mut body: Body,
    bytes_max: usize,
    budget: &Budget,
    held: &mut Held,
) -> Result<Vec<u8>, Refused> {
    let too_large = || Refused::TooLarge(format!("invalid content, over {bytes_max}"));
    if body.size_hint().lower() > body_max(bytes_max) as u64 {
        return Err(too_large());
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refused::Invalid(format!("cannot read the body: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > body_max(bytes_max) {
            return Err(too_large());
        }
        if !budget.take(data.len(), held) {
            return Err(Refused::Overloaded("too many bodies are being read; try again"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

fn pairs(encoded: &[u8]) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(encoded)
        .take(PARAMETERS_MAX)
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::http::Request;
    use http_body_util::channel::Channel;
    use prometheus_client::metrics::counter::Counter;

    use super::super::budget::Budget;
    use super::super::refusal::Refused;
    use super::{Form, body_max};

    async fn read(body: impl Into<Body>, bytes_max: usize, budget: &Budget) -> Result<Form, Refused> {
        Form::read(Request::new(body.into()), "/", bytes_max, budget).await
    }

    #[tokio::test]
    async fn a_body_takes_of_the_budget_what_has_come_and_gives_it_back_with_the_form() {
        let budget = Budget::new(1_000, Counter::default());
        let form = read("content=1", 10, &budget).await.unwrap();
        assert_eq!((form.get("content"), budget.left()), (Some("1"), 1_000 - 9));
        drop(form);
        assert_eq!(budget.left(), 1_000);
        // Three that have announced all there is and sent nothing hold up nobody.
        let mut idle = Vec::new();
        for _ in 0..3 {
            let (sender, body) = Channel::<Bytes, std::io::Error>::new(1);
            let budget = budget.clone();
            let reading = tokio::spawn(async move { read(Body::new(body), 1_000, &budget).await.map(drop) });
            idle.push((sender, reading));
        }
        tokio::task::yield_now().await;
        assert_eq!(
            read("content=2", 10, &budget).await.unwrap().get("content"),
            Some("2")
        );
    }

    #[tokio::test]
    async fn what_does_not_fit_the_budget_is_refused_at_once_and_gives_back_what_it_had() {
        let budget = Budget::new(1_000, Counter::default());
        let held = read("x".repeat(600), 1_000, &budget).await.unwrap();
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(8);
        for _ in 0..5 {
            sender.send_data(vec![b'x'; 100].into()).await.unwrap();
        }
        drop(sender);
        let refused = read(Body::new(body), 1_000, &budget).await.unwrap_err();
        assert!(matches!(refused, Refused::Overloaded(_)), "{refused:?}");
        drop(held);
        assert_eq!(budget.left(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_in_time_is_refused_and_gives_back_what_it_had() {
        let budget = Budget::new(1_000, Counter::default());
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        sender.send_data(Bytes::from_static(b"content=")).await.unwrap();
        let refused = read(Body::new(body), 10, &budget).await.unwrap_err();
        assert_eq!((refused, budget.left()), (Refused::Slow, 1_000));
    }

    #[tokio::test]
    async fn a_body_that_could_hold_nothing_valid_is_refused_whether_it_says_so_or_not() {
        let budget = Budget::new(1 << 20, Counter::default());
        let long = "x".repeat(body_max(10) + 1);
        let announced = read(long.clone(), 10, &budget).await.unwrap_err();
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
        sender.send_data(long.into()).await.unwrap();
        drop(sender);
        let came = read(Body::new(body), 10, &budget).await.unwrap_err();
        assert_eq!((&announced, &came), (&came, &announced));
        assert!(matches!(came, Refused::TooLarge(_)), "{came:?}");
    }
}
