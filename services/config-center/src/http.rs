//! The server's requests: Nacos 1.x's open HTTP API for configuration, and what its clients ask besides.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /nacos/v1/cs/configs` | the content; with `show=all` what is known of it, with `search=accurate` or `blur` a page |
//! | `POST /nacos/v1/cs/configs` | publishes; `true` |
//! | `DELETE /nacos/v1/cs/configs` | deletes; `true` |
//! | `POST /nacos/v1/cs/configs/listener` | what has changed of what the client has; hangs until something has |
//! | `GET /nacos/v1/cs/history` | with `search=accurate` a page of changes, with `nid` one of them |
//! | `GET /nacos/v1/cs/history/previous` | the newest change of the configuration with this `id` |
//! | `GET POST PUT DELETE /nacos/v1/console/namespaces` | namespaces |
//! | `GET /nacos/v1/console/health/liveness`, `readiness` | `OK` |
//! | `GET /nacos/v1/console/server/state` | what kind of server this is |
//! | `POST /nacos/v1/auth/login`, `/auth/users/login` | a token, for whoever asks: as Nacos's default, nothing is guarded |
//! | `GET /squall/export` | everything, to be loaded by `publish` or `restore` |
//!
//! Names, statuses and texts are Nacos 1.4's (`ConfigController`, `ConfigServletInner`, `LongPollingService`, `HistoryController`,
//! `NamespaceController`, `ParamUtils`); comparing by MD5 is that of its 2.3. Three headers are this server's own:
//! `squall-version`, the change that gave a configuration its content or took it away, of every answer that says either;
//! `squall-with-content`, by which a poll asks for the content beside the word that it has changed; and `squall-changed`, that word.

mod budget;
mod configs;
mod form;
mod history;
mod listener;
mod namespaces;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use squall_config_client::protocol::{CONFIGS, LISTENER, LIVENESS};
use squall_service_kit::Stopping;
use tokio::sync::Semaphore;

use self::budget::Budget;
use self::refusal::Refused;
use crate::center::Center;
use crate::report::Report;

/// The bytes of all request bodies that are held at once, until what they ask for is done.
const BODIES_BYTES_MAX: usize = 64 << 20;
/// The bytes of those in which clients say what they watch, likewise, until they are read.
const LISTENING_BODIES_BYTES_MAX: usize = 32 << 20;
/// The largest content that a server may be set to take: a body of it must fit.
pub const CONTENT_BYTES_MAX: usize = 20 << 20;
const _: () = assert!(form::body_max(CONTENT_BYTES_MAX) <= BODIES_BYTES_MAX);
const _: () = assert!(form::body_max(listener::LISTENING_BYTES_MAX) <= LISTENING_BODIES_BYTES_MAX);
/// How many write an export at once; it takes as much memory as all contents do.
const EXPORTS_MAX: usize = 1;
const JSON: &str = "application/json;charset=UTF-8";
/// How long a request may take to send its body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What every request needs.
#[derive(Clone)]
struct Server {
    center: Arc<Center>,
    report: Arc<Report>,
    bodies: Budget,
    listening: Budget,
    exports: Arc<Semaphore>,
    stopping: Stopping,
}

/// The server's routes.
pub fn router(center: Arc<Center>, report: Arc<Report>, stopping: Stopping) -> Router {
    let budget = |bytes| Budget::new(bytes, report.overloaded.clone());
    let server = Server {
        bodies: budget(BODIES_BYTES_MAX),
        listening: budget(LISTENING_BODIES_BYTES_MAX),
        center,
        report,
        exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
        stopping,
    };
    Router::new()
        .route(
            CONFIGS,
            get(configs::get).post(configs::publish).delete(configs::delete),
        )
        .route(LISTENER, post(listener::listen))
        .route("/nacos/v1/cs/history", get(history::get))
        .route("/nacos/v1/cs/history/previous", get(history::previous))
        .route(
            "/nacos/v1/console/namespaces",
            get(namespaces::get)
                .post(namespaces::create)
                .put(namespaces::edit)
                .delete(namespaces::delete),
        )
        .route(LIVENESS, get(async || "OK"))
        .route("/nacos/v1/console/health/readiness", get(async || "OK"))
        .route("/nacos/v1/console/server/state", get(state))
        .route("/nacos/v1/auth/login", post(login))
        .route("/nacos/v1/auth/users/login", post(login))
        .route("/squall/export", get(export))
        .fallback(async |uri: axum::http::Uri| {
            refusal::page(StatusCode::NOT_FOUND, "No message available", uri.path())
        })
        .with_state(server)
}

async fn state() -> Response {
    json(&json!({"version": "1.4.6", "standalone_mode": "standalone", "function_mode": null}))
}

async fn login() -> Response {
    json(&json!({"accessToken": "squall", "tokenTtl": 18_000, "globalAdmin": true, "username": "nacos"}))
}

/// Written on a thread of its own, since it may be all there is.
async fn export(State(server): State<Server>) -> Response {
    let Ok(turn) = Arc::clone(&server.exports).try_acquire_owned() else {
        return server
            .overloaded("another export is being written; try again")
            .into_response();
    };
    let writing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        serde_json::to_vec(&server.center.save()).expect("what is saved is JSON")
    });
    match writing.await {
        Ok(bytes) => ([(CONTENT_TYPE, JSON)], bytes).into_response(),
        // The runtime ends.
        Err(_) => Refused::Overloaded("the server stops").into_response(),
    }
}

impl Server {
    /// A refusal of what is too much at once, counted.
    fn overloaded(&self, text: &'static str) -> Refused {
        self.report.overloaded.inc();
        Refused::Overloaded(text)
    }
}

/// An answer of 200.
fn json(value: &serde_json::Value) -> Response {
    ([(CONTENT_TYPE, JSON)], value.to_string()).into_response()
}

/// `true` or `false`, as JSON has it.
fn boolean(value: bool) -> Response {
    json(&value.into())
}
