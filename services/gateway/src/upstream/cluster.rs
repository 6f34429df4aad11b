//! Endpoints with one policy, and the choice among them.
//!
//! The choice is of two endpoints drawn at random, the one with fewer requests in flight: near the best, and it does not herd as a
//! choice of the least of all would. Endpoints that are out are not drawn, unless all are: then none is known to be better, and all
//! are.

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;

use super::admission::Admission;
use super::endpoint::Endpoint;
use crate::budget::RetryBudget;
use crate::config::{ClusterSpec, EndpointSpec, Policy};
use crate::draw::Source;
use crate::report::Report;

/// A cluster in force.
#[derive(Debug)]
pub struct Cluster {
    spec: ClusterSpec,
    header: HeaderValue,
    endpoints: Vec<Arc<Endpoint>>,
    admission: Arc<Admission>,
    budget: Arc<RetryBudget>,
    /// Held while an endpoint is ejected, so that two at once can't be the last two.
    ejecting: Mutex<()>,
}

impl Cluster {
    pub(crate) fn new(
        spec: ClusterSpec,
        before: Option<&Self>,
        workers: usize,
        report: &Arc<Report>,
    ) -> Self {
        let known = |wanted: &EndpointSpec| {
            let before = before.filter(|before| before.spec.policy.http2 == spec.policy.http2)?;
            let same = before.endpoints.iter().find(|old| old.spec() == wanted);
            same.cloned()
        };
        let endpoints = spec.endpoints.iter().map(|wanted| {
            known(wanted).unwrap_or_else(|| {
                Arc::new(Endpoint::new(
                    &spec.name,
                    wanted.clone(),
                    workers,
                    Arc::clone(report),
                ))
            })
        });
        let endpoints: Vec<Arc<Endpoint>> = endpoints.collect();
        let policy = &spec.policy;
        let admission = before
            .filter(|before| before.spec.policy.limits == policy.limits)
            .map(|before| Arc::clone(&before.admission));
        let budget = before
            .filter(|before| before.spec.policy.retry.budget == policy.retry.budget)
            .map(|before| Arc::clone(&before.budget));
        Self {
            admission: admission
                .unwrap_or_else(|| Arc::new(Admission::new(policy.limits.requests, policy.limits.pending))),
            budget: budget.unwrap_or_else(|| Arc::new(RetryBudget::new(&policy.retry.budget))),
            endpoints,
            header: HeaderValue::from_str(&spec.name).expect("a document's names are visible text"),
            spec,
            ejecting: Mutex::new(()),
        }
    }

    /// As the document has it.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Its name, for answers.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// How it is treated.
    pub fn policy(&self) -> &Policy {
        &self.spec.policy
    }

    /// Its endpoints.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// What bounds its requests.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// What bounds its retries.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// Chooses an endpoint; another than `but` where there is one that may be used.
    pub fn choose(&self, draw: &Source, but: Option<&Arc<Endpoint>>) -> &Arc<Endpoint> {
        if let [only] = self.endpoints.as_slice() {
            return only;
        }
        let is_other = |it: &Arc<Endpoint>| but.is_none_or(|but| !Arc::ptr_eq(it, but));
        self.choose_where(draw, |it| is_other(it) && it.is_usable())
            .or_else(|| self.choose_where(draw, |it| it.is_usable()))
            .or_else(|| self.choose_where(draw, is_other))
            .unwrap_or(&self.endpoints[0])
    }

    fn choose_where(&self, draw: &Source, may: impl Fn(&Arc<Endpoint>) -> bool) -> Option<&Arc<Endpoint>> {
        let candidates = || self.endpoints.iter().filter(|it| may(it));
        let count = candidates().count();
        if count <= 1 {
            return candidates().next();
        }
        let first = draw.below(count);
        let second = (first + 1 + draw.below(count - 1)) % count;
        // Between the two calls one may have been taken out: then its neighbour or nobody.
        let (a, b) = (candidates().nth(first), candidates().nth(second));
        match (a, b) {
            (Some(a), Some(b)) if b.in_flight() < a.in_flight() => Some(b),
            (a, b) => a.or(b),
        }
    }

    /// A request to `endpoint` failed. One failure too many ejects it, unless it is the last that may be used.
    pub fn failed(&self, endpoint: &Arc<Endpoint>) {
        if !endpoint.failed(&self.policy().ejection) {
            return;
        }
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let another = self
            .endpoints
            .iter()
            .any(|it| !Arc::ptr_eq(it, endpoint) && it.is_usable());
        if another {
            endpoint.eject(&self.policy().ejection);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use squall_service_kit::Telemetry;

    use super::Cluster;
    use crate::config;
    use crate::draw::Source;
    use crate::report::Report;
    use crate::upstream::Clusters;
    use crate::upstream::standing::State;

    fn report() -> Arc<Report> {
        Arc::new(Report::new(&mut Telemetry::new()))
    }

    fn following(before: &Clusters, cluster: &Value, report: &Arc<Report>) -> Clusters {
        let document = json!({"clusters": {"a": cluster}});
        let specs = config::clusters(&document, &[].into()).unwrap();
        let after = Clusters::following(before, specs, 1, report);
        after.take_over(before);
        after
    }

    fn three() -> (Arc<Cluster>, Source) {
        let cluster =
            json!({"endpoints": ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], "ejection": {"failures": 2}});
        let clusters = following(&Clusters::default(), &cluster, &report());
        (Arc::clone(clusters.get("a").unwrap()), Source::new(1))
    }

    /// How often each endpoint is chosen of 3,000 times.
    fn chosen(cluster: &Cluster, draw: &Source, but: Option<usize>) -> [u32; 3] {
        let mut counts = [0; 3];
        for _ in 0..3_000 {
            let endpoint = cluster.choose(draw, but.map(|index| &cluster.endpoints()[index]));
            counts[usize::from(endpoint.address().port()) - 1] += 1;
        }
        counts
    }

    #[test]
    fn equals_are_chosen_equally_often() {
        let (cluster, draw) = three();
        let counts = chosen(&cluster, &draw, None);
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_busiest_is_never_chosen() {
        let (cluster, draw) = three();
        let _busy = [cluster.endpoints()[1].begin(), cluster.endpoints()[1].begin()];
        let _less = cluster.endpoints()[0].begin();
        let counts = chosen(&cluster, &draw, None);
        assert_eq!(counts[1], 0);
        assert!(counts[2] > counts[0], "{counts:?}");
    }

    #[test]
    fn an_attempt_goes_elsewhere_than_the_one_before() {
        let (cluster, draw) = three();
        assert_eq!(chosen(&cluster, &draw, Some(0))[0], 0);
    }

    #[test]
    fn what_fails_is_ejected_but_never_the_last() {
        let (cluster, draw) = three();
        let endpoints = cluster.endpoints();
        for endpoint in endpoints.iter().chain(endpoints) {
            cluster.failed(endpoint);
        }
        let states: Vec<State> = endpoints.iter().map(|it| it.state()).collect();
        assert_eq!(states, [State::Ejected, State::Ejected, State::Up]);
        assert_eq!(chosen(&cluster, &draw, None), [0, 0, 3_000]);
        assert_eq!(chosen(&cluster, &draw, Some(2)), [0, 0, 3_000]);
    }

    #[test]
    fn where_all_are_down_all_are_tried() {
        let (cluster, draw) = three();
        let health = config::Health {
            fall: 1,
            ..config::Health::default()
        };
        for endpoint in cluster.endpoints() {
            endpoint.checked(Err("refused".to_owned()), &health);
        }
        let counts = chosen(&cluster, &draw, None);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn what_stays_in_the_document_stays_in_force() {
        let report = report();
        let first = following(
            &Clusters::default(),
            &json!({"endpoints": ["127.0.0.1:1", "127.0.0.1:2"]}),
            &report,
        );
        let same = following(
            &first,
            &json!({"endpoints": ["127.0.0.1:1", "127.0.0.1:2"]}),
            &report,
        );
        let (old, new) = (first.get("a").unwrap(), same.get("a").unwrap());
        assert!(Arc::ptr_eq(old, new));
        let changed = json!({"endpoints": ["127.0.0.1:2", "127.0.0.1:3"], "deadline": "1s"});
        let third = following(&same, &changed, &report);
        let third = third.get("a").unwrap();
        assert!(Arc::ptr_eq(&third.endpoints()[0], &old.endpoints()[1]));
        assert!(Arc::ptr_eq(&third.budget, &old.budget) && Arc::ptr_eq(&third.admission, &old.admission));
        let limits = json!({"endpoints": ["127.0.0.1:2"], "limits": {"requests": 5}});
        let fourth = following(&same, &limits, &report);
        assert!(!Arc::ptr_eq(&fourth.get("a").unwrap().admission, &old.admission));
    }

    #[test]
    fn an_endpoint_that_left_is_silent_and_begins_anew_when_it_is_listed_again() {
        let report = report();
        let both = json!({"endpoints": ["127.0.0.1:1", "127.0.0.1:2"], "ejection": {"failures": 1}});
        let first = following(&Clusters::default(), &both, &report);
        let old = Arc::clone(&first.get("a").unwrap().endpoints()[0]);
        first.get("a").unwrap().failed(&old);
        assert_eq!(old.state(), State::Ejected);
        let without = following(&first, &json!({"endpoints": ["127.0.0.1:2"]}), &report);
        assert_eq!(old.state(), State::Gone);
        let again = following(&without, &both, &report);
        let new = &again.get("a").unwrap().endpoints()[0];
        assert_eq!((new.label(), new.state()), (old.label(), State::Up));
        // A request that began before.
        first.get("a").unwrap().failed(&old);
        assert_eq!((old.state(), new.state()), (State::Gone, State::Up));
    }
}
