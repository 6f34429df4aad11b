//! The reader's requests. Each but the last is answered from memory.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /config` | `{"version":7,"md5":"...","type":"json","source":"live","connected":true,"content":"..."}`; `source` is `snapshot` until the server was seen to have it |
//! | `GET /content` | the content itself |
//! | `GET /version` | `{"version":7,"read_at_ms":...}`, the time by the wall clock |
//! | `GET /checksums` | `{"checksums":["...","..."]}`: the MD5 that came with the content, and that of the content as it would be served now |
//! | `GET /watchers` | `{"versions":[7,7,...]}`: the version that the server has right now, then that of each watcher |
//!
//! Where the configuration was deleted, `/config` and `/content` are 404; while nothing is known of it, all are 503.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use squall_service_kit::answer::{error, json};

use super::report::Report;
use crate::wall;
use squall_config_client::checksum;
use squall_config_client::key::ConfigKey;
use squall_config_client::{Cached, Client, Plant, Watch};

/// What every request needs.
pub struct Reader {
    /// What is read.
    pub key: ConfigKey,
    /// The clients, each with its watch; the first answers.
    pub clients: Vec<(Client, Watch)>,
    /// A bug to plant.
    pub plant: Plant,
    /// What is counted.
    pub report: Arc<Report>,
}

/// The reader's routes. There is at least one client.
pub fn router(reader: Reader) -> Router {
    Router::new()
        .route("/config", get(config))
        .route("/content", get(content))
        .route("/version", get(version))
        .route("/checksums", get(checksums))
        .route("/watchers", get(watchers))
        .fallback(async || {
            let text = "no such path; there are /config, /content, /version, /checksums and /watchers";
            error(StatusCode::NOT_FOUND, text)
        })
        .with_state(Arc::new(reader))
}

impl Reader {
    fn current(&self) -> Result<Cached, Box<Response>> {
        let (client, watch) = &self.clients[0];
        if self.plant == Plant::FailsFast && !client.is_connected() {
            return Err(Box::new(unavailable("the configuration server is away")));
        }
        self.report.reads.inc();
        watch
            .current()
            .ok_or_else(|| Box::new(unavailable("nothing is known of the configuration yet")))
    }
}

async fn config(State(reader): State<Arc<Reader>>) -> Response {
    let entry = match reader.current() {
        Ok(entry) => entry,
        Err(response) => return *response,
    };
    let Some(content) = &entry.content else {
        return gone();
    };
    json_body(
        json!({
            "version": entry.version,
            "md5": &*entry.md5,
            "type": &*entry.kind,
            "source": if entry.live { "live" } else { "snapshot" },
            "connected": reader.clients[0].0.is_connected(),
            "content": &**content,
        })
        .to_string(),
    )
}

async fn content(State(reader): State<Arc<Reader>>) -> Response {
    let entry = match reader.current() {
        Ok(entry) => entry,
        Err(response) => return *response,
    };
    let Some(content) = &entry.content else {
        return gone();
    };
    let kind = if &*entry.kind == "json" {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    ([(CONTENT_TYPE, kind)], content.to_string()).into_response()
}

async fn version(State(reader): State<Arc<Reader>>) -> Response {
    match reader.current() {
        Ok(entry) => json_body(format!(
            r#"{{"version":{},"read_at_ms":{}}}"#,
            entry.version,
            wall::now_ms()
        )),
        Err(response) => *response,
    }
}

async fn checksums(State(reader): State<Arc<Reader>>) -> Response {
    match reader.current() {
        Ok(entry) => {
            let of_content = entry
                .content
                .as_ref()
                .map_or_else(String::new, |content| checksum::md5(content));
            json_body(format!(r#"{{"checksums":["{}","{of_content}"]}}"#, entry.md5))
        }
        Err(response) => *response,
    }
}

async fn watchers(State(reader): State<Arc<Reader>>) -> Response {
    let server = match reader.clients[0].0.peek(&reader.key).await {
        Ok(Some(version)) => version,
        Ok(None) => {
            return error(
                StatusCode::BAD_GATEWAY,
                "the server does not say which version it has",
            );
        }
        Err(reason) => return error(StatusCode::BAD_GATEWAY, &reason),
    };
    let mut body = format!(r#"{{"versions":[{server}"#);
    for (_, watch) in &reader.clients {
        let version = watch.current().map_or(0, |entry| entry.version);
        write!(body, ",{version}").expect("a string takes any text");
    }
    body.push_str("]}");
    json_body(body)
}

fn gone() -> Response {
    error(StatusCode::NOT_FOUND, "there is no such configuration")
}

fn unavailable(text: &str) -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, text)
}

fn json_body(body: String) -> Response {
    json(StatusCode::OK, body)
}
