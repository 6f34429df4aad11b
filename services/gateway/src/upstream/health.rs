//! Active health checks: each endpoint is asked, on connections of its own, whether it is well.
//!
//! One task for each cluster that has checks and is in force. An endpoint is asked on a new connection each time, so that one that
//! accepts no more is found out although old connections go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::Full;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::Clusters;
use super::cluster::Cluster;
use super::connection::{self, Lease};
use super::endpoint::Endpoint;
use super::standing::State;
use crate::config::Health;
use crate::plant::Plant;
use crate::proxy::body::Outgoing;

/// The checks that run: those of the clusters in force, and no others. What a check finds of a cluster that is no longer in force must not
/// be noted, since its endpoints may be in another that is.
#[derive(Debug, Default)]
pub struct Watchers(Mutex<Vec<Watched>>);

#[derive(Debug)]
struct Watched {
    cluster: Arc<Cluster>,
    task: AbortHandle,
}

impl Watchers {
    /// Ends the checks of what is not among `clusters`, and begins those of what is new there.
    pub fn follow(&self, clusters: &Clusters, runtime: &Handle, plant: Plant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| {
            let stays = clusters.has(&it.cluster);
            if !stays {
                it.task.abort();
            }
            stays
        });
        for cluster in clusters.iter() {
            if all.iter().any(|it| Arc::ptr_eq(&it.cluster, cluster)) {
                continue;
            }
            let Some(health) = cluster.policy().health.clone() else {
                for endpoint in cluster.endpoints() {
                    endpoint.unchecked();
                }
                continue;
            };
            let task = runtime.spawn(watch(Arc::clone(cluster), health, plant));
            all.push(Watched {
                cluster: Arc::clone(cluster),
                task: task.abort_handle(),
            });
        }
    }
}

/// Checks the endpoints of a cluster until it is aborted.
async fn watch(cluster: Arc<Cluster>, health: Health, plant: Plant) {
    loop {
        round(&cluster, &health, plant).await;
        tokio::time::sleep(health.interval).await;
    }
}

async fn round(cluster: &Arc<Cluster>, health: &Health, plant: Plant) {
    let http2 = cluster.policy().http2;
    let mut checks = JoinSet::new();
    for endpoint in cluster.endpoints() {
        let (endpoint, health) = (Arc::clone(endpoint), health.clone());
        checks.spawn(async move {
            let result = ask(&endpoint, http2, &health.path, health.timeout).await;
            (endpoint, result)
        });
    }
    // Noted here, so that nothing is once this task is aborted.
    while let Some(check) = checks.join_next().await {
        let Ok((endpoint, result)) = check else { continue };
        endpoint.checked(result, health);
        if plant == Plant::EjectsDown && endpoint.state() == State::Down {
            endpoint.eject_down(&cluster.policy().ejection);
        }
    }
}

/// One check.
async fn ask(endpoint: &Endpoint, http2: bool, path: &str, within: Duration) -> Result<(), String> {
    let until = Instant::now() + within;
    let mut lease = if http2 {
        connection::http2(endpoint, until).await.map(Lease::Http2)
    } else {
        connection::http1(endpoint, until).await.map(Lease::Http1)
    }
    .map_err(|error| error.to_string())?;
    let request = request(endpoint, http2, path)?;
    let answer = timeout_at(until, lease.send(request)).await;
    let answer = answer
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|failed| failed.error.to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it said {status}")),
    }
}

fn request(endpoint: &Endpoint, http2: bool, path: &str) -> Result<Request<Outgoing>, String> {
    let authority = endpoint.address().to_string();
    let mut builder = Request::get(path).header(http::header::USER_AGENT, "squall-gateway");
    if http2 {
        let uri = Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query(path);
        builder = builder.uri(uri.build().map_err(|error| error.to_string())?);
    } else {
        builder = builder
            .header(http::header::HOST, authority)
            .header(http::header::CONNECTION, "close");
    }
    builder
        .body(Outgoing::Left(Full::default()))
        .map_err(|error| error.to_string())
}
