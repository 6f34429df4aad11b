//! `gateway.json` as far as upstreams are concerned: clusters, their endpoints and how they are treated.
//!
//! A document is read whole and refused whole, with everything that is wrong with it. What comes out of here is valid: nothing
//! downstream checks again. Addresses are resolved here too, once, and off the request path.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use squall_service_kit::setting::parse_duration;

/// The most clusters of a document, and the most endpoints of a cluster.
const CLUSTERS_MAX: usize = 256;
const ENDPOINTS_MAX: usize = 256;
/// The longest that anything may take.
const LONGEST: Duration = Duration::from_hours(1);

/// A cluster, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is; none twice.
    pub endpoints: Vec<EndpointSpec>,
    /// How it is treated.
    pub policy: Policy,
}

/// One address of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSpec {
    /// As the document has it.
    pub name: Arc<str>,
    /// What that is.
    pub address: SocketAddr,
}

/// How a cluster is treated.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether it speaks HTTP/2, without TLS and from the first byte, instead of HTTP/1.1.
    pub http2: bool,
    /// How long a request may take, its answer's body included.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// How long opening a connection may take.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How its endpoints are asked whether they are well; not at all where it is left out.
    pub health: Option<Health>,
    /// When an endpoint that fails is left alone.
    pub ejection: Ejection,
    /// When a request is sent again.
    pub retry: Retry,
    /// What may be there at once.
    pub limits: Limits,
}

/// Active health checks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// What is asked for; 200 to 299 is well.
    pub path: String,
    /// From the end of one check to the next.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// How long an answer may take.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// So many good checks in a row let an endpoint in again.
    pub rise: u32,
    /// So many bad ones in a row take it out.
    pub fall: u32,
}

/// Passive health checks: what requests meet.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ejection {
    /// So many failures in a row eject an endpoint; 0 is never.
    pub failures: u32,
    /// How long the first time; each further time so much longer.
    #[serde(deserialize_with = "duration")]
    pub base: Duration,
    /// The longest.
    #[serde(deserialize_with = "duration")]
    pub max: Duration,
}

/// Retries.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The most attempts after the first.
    pub attempts: u32,
    /// The statuses that are no answer yet, for idempotent methods.
    pub statuses: Vec<u16>,
    /// How long one attempt may take, for idempotent methods; as long as the deadline where it is left out.
    #[serde(deserialize_with = "optional_duration")]
    pub attempt_timeout: Option<Duration>,
    /// The bytes of a body that are kept to be sent again.
    pub body_max: usize,
    /// What all requests together may send again.
    pub budget: Budget,
}

/// A retry budget: `ratio` of the requests of the last `window`, and `min_per_second` besides.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Retries for each request.
    pub ratio: f64,
    /// Retries a second that there are always.
    pub min_per_second: f64,
    /// How long a request counts.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

/// What may be there at once, of one cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that its endpoints work on; with HTTP/1.1 also the connections in use.
    pub requests: usize,
    /// Requests that wait for one of those.
    pub pending: usize,
    /// Connections kept while unused, by each worker for each endpoint.
    pub idle: usize,
    /// How long they are kept.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            http2: false,
            deadline: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(1),
            health: None,
            ejection: Ejection::default(),
            retry: Retry::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: "/healthz".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            rise: 2,
            fall: 3,
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            base: Duration::from_secs(1),
            max: Duration::from_secs(30),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            statuses: vec![502, 503, 504],
            attempt_timeout: None,
            body_max: 16 << 10,
            budget: Budget::default(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            min_per_second: 10.0,
            window: Duration::from_secs(10),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 1_024,
            pending: 1_024,
            idle: 64,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Everything that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
struct RawCluster {
    endpoints: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    policy: BTreeMap<String, Value>,
}

/// Reads the `clusters` of a document; `peers` are the addresses of the roles that it may name.
pub fn clusters(document: &Value, peers: &BTreeMap<String, String>) -> Result<Vec<ClusterSpec>, ConfigError> {
    let Some(Value::Object(named)) = document.get("clusters") else {
        return Err(ConfigError(vec![
            "`clusters` must be an object with at least one cluster".to_owned(),
        ]));
    };
    let mut errors = Vec::new();
    if named.is_empty() || named.len() > CLUSTERS_MAX {
        errors.push(format!(
            "`clusters` has {} clusters; 1 to {CLUSTERS_MAX} are possible",
            named.len()
        ));
    }
    let mut clusters = Vec::new();
    for (name, value) in named {
        match cluster(name, value, peers) {
            Ok(cluster) => clusters.push(cluster),
            Err(wrong) => errors.extend(
                wrong
                    .into_iter()
                    .map(|error| format!("cluster `{name}`: {error}")),
            ),
        }
    }
    if errors.is_empty() {
        Ok(clusters)
    } else {
        Err(ConfigError(errors))
    }
}

fn cluster(name: &str, value: &Value, peers: &BTreeMap<String, String>) -> Result<ClusterSpec, Vec<String>> {
    let raw = RawCluster::deserialize(value).map_err(|error| vec![error.to_string()])?;
    let policy = Value::Object(raw.policy.into_iter().collect());
    let mut errors = Vec::new();
    if http::HeaderValue::from_str(name).is_err() || name.is_empty() || name.len() > 64 {
        errors.push("its name must be 1 to 64 visible characters".to_owned());
    }
    let policy = Policy::deserialize(&policy).map_err(|error| errors.push(error.to_string()));
    if let Ok(policy) = &policy {
        check(policy, &mut errors);
    }
    if raw.endpoints.is_empty() || raw.endpoints.len() > ENDPOINTS_MAX {
        errors.push(format!(
            "it has {} endpoints; 1 to {ENDPOINTS_MAX} are possible",
            raw.endpoints.len()
        ));
    }
    let mut endpoints: Vec<EndpointSpec> = Vec::new();
    for text in raw.endpoints.iter().take(ENDPOINTS_MAX) {
        match resolve(text, peers) {
            Ok(address) if endpoints.iter().any(|other| other.address == address) => {
                errors.push(format!("endpoint `{text}` is {address}, which is there already"));
            }
            Ok(address) => endpoints.push(EndpointSpec {
                name: Arc::from(text.as_str()),
                address,
            }),
            Err(error) => errors.push(error),
        }
    }
    match policy {
        Ok(policy) if errors.is_empty() => Ok(ClusterSpec {
            name: Arc::from(name),
            endpoints,
            policy,
        }),
        _ => Err(errors),
    }
}

fn resolve(text: &str, peers: &BTreeMap<String, String>) -> Result<SocketAddr, String> {
    let address = match peers.get(text) {
        Some(address) => address.as_str(),
        None if text.contains(':') => text,
        None => {
            let known: Vec<&str> = peers.keys().map(String::as_str).collect();
            return Err(format!(
                "endpoint `{text}` is neither host:port nor one of the roles given: {}",
                known.join(", ")
            ));
        }
    };
    let found = address.to_socket_addrs().map(|mut all| all.next());
    match found {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(format!("endpoint `{text}` has no address")),
        Err(error) => Err(format!("endpoint `{text}` cannot be resolved: {error}")),
    }
}

fn check(policy: &Policy, errors: &mut Vec<String>) {
    let mut wrong = |text: &str| errors.push(text.to_owned());
    if let Some(health) = &policy.health {
        if !health.path.starts_with('/') || health.path.parse::<http::Uri>().is_err() {
            wrong("`health.path` must be a path, such as /healthz");
        }
        if health.rise == 0 || health.fall == 0 {
            wrong("`health.rise` and `health.fall` must be at least 1");
        }
    }
    if policy.ejection.max < policy.ejection.base {
        wrong("`ejection.max` is shorter than `ejection.base`");
    }
    let retry = &policy.retry;
    if retry.attempts > 10 {
        wrong("`retry.attempts` must be at most 10");
    }
    if retry.statuses.iter().any(|status| !(500..=599).contains(status)) {
        wrong("`retry.statuses` must be from 500 to 599");
    }
    if retry.body_max > 1 << 20 {
        wrong("`retry.body_max` must be at most 1048576");
    }
    let budget = &retry.budget;
    if !(0.0..=10.0).contains(&budget.ratio) || !(0.0..=1e6).contains(&budget.min_per_second) {
        wrong("`retry.budget.ratio` must be from 0 to 10, `min_per_second` from 0 to 1000000");
    }
    if budget.window < Duration::from_secs(1) || budget.window > Duration::from_mins(1) {
        wrong("`retry.budget.window` must be from 1s to 60s");
    }
    let limits = &policy.limits;
    if !(1..=1_000_000).contains(&limits.requests) || limits.pending > 1_000_000 || limits.idle > 65_536 {
        wrong("`limits.requests` must be from 1 to 1000000, `pending` at most 1000000, `idle` at most 65536");
    }
}

/// A length of time as scenarios and settings write it, more than nothing.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text)
        .filter(|length| !length.is_zero() && *length <= LONGEST)
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is no duration such as 300ms or 1.5s, or none of up to an hour"
            ))
        })
}

fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Policy, clusters};

    fn peers() -> BTreeMap<String, String> {
        BTreeMap::from([("svc".to_owned(), "127.0.0.1:7001".to_owned())])
    }

    #[track_caller]
    fn wrong(cluster: &Value, parts: &[&str]) {
        let error = clusters(&json!({"clusters": {"a": cluster}}), &peers()).unwrap_err();
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }

    #[test]
    fn what_is_left_out_has_its_default_and_roles_are_addresses() {
        let document = json!({"clusters": {"a": {"endpoints": ["svc", "127.0.0.1:7002"]}}});
        let found = clusters(&document, &peers()).unwrap();
        let ports: Vec<u16> = found[0].endpoints.iter().map(|it| it.address.port()).collect();
        assert_eq!(ports, [7001, 7002]);
        assert_eq!(found[0].policy, Policy::default());
    }

    #[test]
    fn what_is_given_replaces_the_default_alone() {
        let document = json!({"clusters": {"a": {
            "endpoints": ["svc"], "http2": true, "deadline": "300ms",
            "health": {"interval": "250ms"}, "retry": {"budget": {"ratio": 0.5}}
        }}});
        let policy = clusters(&document, &peers()).unwrap().remove(0).policy;
        assert!(policy.http2);
        assert_eq!(policy.deadline, Duration::from_millis(300));
        assert_eq!(policy.health.unwrap().interval, Duration::from_millis(250));
        assert!((policy.retry.budget.ratio - 0.5).abs() < f64::EPSILON);
        assert_eq!(policy.retry.attempts, 2);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let document = json!({"clusters": {
            "a": {"endpoints": [], "deadline": "0s"},
            "b": {"endpoints": ["nobody", "svc", "127.0.0.1:7001"], "retry": {"attempts": 11, "statuses": [200]}},
        }});
        let error = clusters(&document, &peers()).unwrap_err();
        assert_eq!(error.0.len(), 6, "{error}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        wrong(
            &json!({"endpoints": ["svc"], "helth": {}}),
            &["unknown field", "helth"],
        );
        wrong(
            &json!({"endpoints": ["svc"], "limits": {"requests": 0}}),
            &["limits.requests"],
        );
        wrong(
            &json!({"endpoints": ["svc"], "health": {"path": "x"}}),
            &["health.path"],
        );
        wrong(
            &json!({"endpoints": ["svc"], "health": {"rise": 0}}),
            &["health.rise"],
        );
        wrong(
            &json!({"endpoints": ["svc"], "retry": {"budget": {"window": "0.5s"}}}),
            &["window"],
        );
        wrong(
            &json!({"endpoints": ["svc"], "ejection": {"base": "2s", "max": "1s"}}),
            &["ejection.max"],
        );
        wrong(&json!({"endpoints": "svc"}), &["sequence"]);
        assert!(clusters(&json!({}), &peers()).is_err());
        assert!(clusters(&json!({"clusters": {}}), &peers()).is_err());
    }
}
