//! Active health checks: each endpoint is asked, on connections of its own, whether it is well.
//!
//! One task for each cluster that has checks and is in force. An endpoint is asked on a new connection each time, so that one that
//! accepts no more is found out although old connections go on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Uri};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::connection::{self, Lease};
use super::endpoint::Endpoint;
use crate::config::Health;
use crate::proxy::body::Outgoing;

/// Checks the endpoints of a cluster until nobody holds it any more. A cluster without checks is left alone.
pub async fn watch(cluster: Weak<Cluster>) {
    loop {
        let Some(held) = cluster.upgrade() else { return };
        let Some(health) = held.policy().health.clone() else {
            return;
        };
        round(&held, &health).await;
        drop(held);
        tokio::time::sleep(health.interval).await;
    }
}

async fn round(cluster: &Arc<Cluster>, health: &Health) {
    let http2 = cluster.policy().http2;
    let checks: Vec<_> = cluster
        .endpoints()
        .iter()
        .map(|endpoint| {
            let (endpoint, health) = (Arc::clone(endpoint), health.clone());
            tokio::spawn(async move {
                let result = ask(&endpoint, http2, &health.path, health.timeout).await;
                endpoint.checked(result, &health);
            })
        })
        .collect();
    for check in checks {
        let _ = check.await;
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
