//! What the admin endpoint answers besides: `GET /clusters`, the clusters in force as JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::proxy::forward::Gateway;
use crate::upstream::cluster::Cluster;

/// The gateway's own pages.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/clusters", get(clusters))
        .with_state(gateway)
}

async fn clusters(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let clusters = gateway.clusters.load();
    let all: Map<String, Value> = clusters
        .iter()
        .map(|cluster| (cluster.spec().name.to_string(), describe(cluster)))
        .collect();
    Json(Value::Object(all))
}

fn describe(cluster: &Cluster) -> Value {
    let endpoints: Vec<Value> = cluster
        .endpoints()
        .iter()
        .map(|endpoint| {
            json!({
                "name": *endpoint.spec().name,
                "address": endpoint.address().to_string(),
                "state": endpoint.state().word(),
                "in_flight": endpoint.in_flight(),
                "idle_connections": endpoint.idle(),
            })
        })
        .collect();
    json!({ "http2": cluster.policy().http2, "endpoints": endpoints })
}
