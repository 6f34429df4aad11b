//! The requests.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /feed` | `{"card":"feed","admitted_us":...,"recall":"live","model":"full"}`: `recall` is `live` or `cache`, `model` is `full` or `light` |
//! | the same beyond L1 | `{"card":"fallback","reason":"..."}`, also 200: it is an answer that a client shows |
//! | `GET /guard/RESOURCE` | `{"admitted_us":...}`, or 429 where flow control refuses, 503 where a breaker does; 404 where no rule names it. Nothing is called, so a breaker learns nothing |
//! | `GET /rules` | the rules in force: `version`, `center_version`, `source` (`live`, `snapshot`, `accepted`, `file`, `default`), `connected`, `rules` |
//! | `GET /rules/versions` | `{"versions":[7,7]}`: that of config-center right now, and that in force |
//! | `GET /states` | `{"read_at_ms":...,"model":"full","breakers":{"recall":["closed"],...}}`, the time by the wall clock |
//! | `GET /recovered` | `{"states":["closed","closed"]}`: what every breaker of the feed's four resources is to be, then what each of them is |
//!
//! `admitted_us` is the time at which the limiter counts the request, on `CLOCK_MONOTONIC`. A refresh that was admitted and then failed is 502, or
//! 504 where the model did not answer in time; 503 where there is nothing to show, not even from the cache.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use squall_service_kit::answer::{self, error};
use tokio::time::Instant;

use super::refresh::{Failure, Recalled, Refresh, Refreshed};
use super::rules::{Following, Rules};
use super::time::wall_ms;
use super::upstream::CallError;
use crate::feed::{FEED, MODEL, MODEL_LIGHT, Model, RECALL};
use crate::{Blocked, Entry};

/// What every request needs.
pub struct App {
    /// What a refresh does.
    pub refresh: Arc<Refresh>,
    /// The rules.
    pub rules: Rules,
    /// That they follow config-center, for as long as the service is there.
    pub following: Option<Following>,
}

/// What the feed guards.
const RESOURCES: [&str; 4] = [FEED, RECALL, MODEL, MODEL_LIGHT];

/// The service's routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/feed", get(feed))
        .route("/guard/{resource}", get(guard))
        .route("/rules", get(rules))
        .route("/rules/versions", get(versions))
        .route("/states", get(states))
        .route("/recovered", get(recovered))
        .fallback(async || {
            let text =
                "no such path; there are /feed, /guard/RESOURCE, /rules, /rules/versions, /states and /recovered";
            error(StatusCode::NOT_FOUND, text)
        })
        .with_state(Arc::new(app))
}

async fn feed(State(app): State<Arc<App>>) -> Response {
    match app.refresh.run().await {
        Refreshed::Feed {
            admitted_ns,
            recalled,
            model,
        } => {
            let recall = match recalled {
                Recalled::Live => "live",
                Recalled::Cache => "cache",
            };
            let admitted_us = admitted_ns / 1_000;
            let model = word(model);
            ok(format!(
                r#"{{"card":"feed","admitted_us":{admitted_us},"recall":"{recall}","model":"{model}"}}"#
            ))
        }
        Refreshed::FallbackCard(why) => {
            ok(json!({ "card": "fallback", "reason": why.to_string() }).to_string())
        }
        Refreshed::Failed { admitted_ns, why } => {
            let status = match &why {
                Failure::NothingRecalled | Failure::ModelRefused(_) | Failure::ClientLeft(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                Failure::Model(CallError::Late) => StatusCode::GATEWAY_TIMEOUT,
                Failure::Model(_) => StatusCode::BAD_GATEWAY,
            };
            let body = json!({ "error": why.to_string(), "admitted_us": admitted_ns / 1_000 });
            answer::json(status, body.to_string())
        }
    }
}

async fn guard(State(app): State<Arc<App>>, Path(resource): Path<String>) -> Response {
    // Others are not made for whoever asks, since each is kept.
    if !RESOURCES.contains(&resource.as_str()) && !app.rules.name(&resource) {
        return error(StatusCode::NOT_FOUND, "no rule in force names this resource");
    }
    let board = app.refresh.policy.board();
    let id = match board.resource(&resource) {
        Ok(id) => id,
        Err(full) => return error(StatusCode::INSUFFICIENT_STORAGE, &full.to_string()),
    };
    let passed = match board.entry(id, app.refresh.time.now_ns()) {
        Entry::Pass(guard) => Ok(guard),
        Entry::Wait(waiting) => {
            let by = Instant::now() + app.refresh.deadline;
            app.refresh.wait(waiting, by).await
        }
        Entry::Blocked(why) => Err(why),
    };
    match passed {
        Ok(guard) => {
            let admitted_us = guard.admitted_ns() / 1_000;
            // Nothing was called, so no breaker is to learn from it: what a refresh finds of recall or a model is not to be watered down.
            drop(guard);
            ok(format!(r#"{{"admitted_us":{admitted_us}}}"#))
        }
        Err(why) => {
            let status = match why {
                Blocked::Breaker(_) => StatusCode::SERVICE_UNAVAILABLE,
                Blocked::Qps | Blocked::QueueFull | Blocked::Concurrency => StatusCode::TOO_MANY_REQUESTS,
            };
            error(status, &why.to_string())
        }
    }
}

async fn rules(State(app): State<Arc<App>>) -> Response {
    ok(app.rules.describe().to_string())
}

async fn versions(State(app): State<Arc<App>>) -> Response {
    match app.rules.versions().await {
        Ok([center, in_force]) => ok(format!(r#"{{"versions":[{center},{in_force}]}}"#)),
        Err(why) => error(StatusCode::BAD_GATEWAY, &why),
    }
}

async fn states(State(app): State<Arc<App>>) -> Response {
    let mut breakers = serde_json::Map::new();
    for resource in RESOURCES {
        let states = states_of(&app, resource);
        breakers.insert(resource.to_owned(), states.into_iter().map(Value::from).collect());
    }
    let model = word(app.refresh.policy.model_in_use());
    ok(json!({ "read_at_ms": wall_ms(), "model": model, "breakers": breakers }).to_string())
}

async fn recovered(State(app): State<Arc<App>>) -> Response {
    let all = RESOURCES
        .into_iter()
        .flat_map(|resource| states_of(&app, resource));
    let states: Vec<_> = ["closed"].into_iter().chain(all).collect();
    ok(json!({ "states": states }).to_string())
}

fn states_of(app: &App, resource: &str) -> Vec<&'static str> {
    let board = app.refresh.policy.board();
    let states = board.resource(resource).map(|id| board.states(id));
    let names = states.into_iter().flatten();
    names.map(crate::State::name).collect()
}

fn word(model: Model) -> &'static str {
    match model {
        Model::Full => "full",
        Model::Light => "light",
    }
}

fn ok(body: String) -> Response {
    answer::json(StatusCode::OK, body)
}
