//! `/nacos/v1/cs/configs`: fetch, find, publish, delete.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, LAST_MODIFIED, PRAGMA};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::form::Form;
use super::refusal::Refused;
use super::{Server, boolean};
use crate::center::{Found, Order, Refusal};
use crate::record::{Config, Draft, kind_of};
use crate::wall;
use squall_config_client::protocol::{CONFIG_TYPE, CONFIGS, CONTENT_MD5, VERSION};

/// The longest descriptions, in characters, as `ParamUtils` has them.
const FIELDS_CHARS_MAX: [(&str, usize, &str); 5] = [
    ("desc", 128, "too long desc, over 128"),
    ("use", 32, "too long use, over 32"),
    ("effect", 32, "too long effect, over 32"),
    ("type", 32, "too long type, over 32"),
    ("schema", 32_768, "too long schema, over 32768"),
];
/// The most rows of a page.
const PAGE_MAX: usize = 500;

pub(super) async fn get(State(server): State<Server>, request: Request<Body>) -> Response {
    let form = Form::of_query(&request, CONFIGS);
    let answer = match form.get("search") {
        Some("accurate") => search(&server, &form, |value, wanted| {
            wanted.is_empty() || value == wanted
        }),
        Some("blur") => search(&server, &form, is_like),
        _ if form.get("show") == Some("all") => form.key().map(|key| detail(&server.center.get(&key))),
        _ => fetch(&server, &form),
    };
    answer.into_response()
}

fn fetch(server: &Server, form: &Form) -> Result<Response, Refused> {
    let key = form.key()?;
    untagged(form)?;
    server.report.fetches.inc();
    Ok(match server.center.get(&key) {
        Found::Config(config) => content(config),
        Found::Nothing(since) => {
            let version = [(VERSION, HeaderValue::from(since))];
            (StatusCode::NOT_FOUND, version, "config data not exist\n").into_response()
        }
    })
}

/// A configuration's content, with what a client needs to know of it.
pub(super) fn content(config: Arc<Config>) -> Response {
    let text = |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(&config.kind))),
        (CONFIG_TYPE, text(&config.kind)),
        (CONTENT_MD5, text(&config.md5)),
        (LAST_MODIFIED, text(&wall::in_http(config.modified_ms))),
        (VERSION, HeaderValue::from(config.version)),
        (PRAGMA, HeaderValue::from_static("no-cache")),
        (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache,no-store")),
    ];
    (headers, Bytes::from_owner(Content(config))).into_response()
}

/// A content that is sent as it stands in memory.
struct Content(Arc<Config>);

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        self.0.content.as_bytes()
    }
}

fn content_type(kind: &str) -> &'static str {
    match kind {
        "json" => "application/json;charset=UTF-8",
        "xml" => "application/xml;charset=UTF-8",
        "html" => "text/html;charset=UTF-8",
        _ => "text/plain;charset=UTF-8",
    }
}

/// `show=all`; nothing where there is nothing, as Nacos's console has it.
fn detail(found: &Found) -> Response {
    let Found::Config(config) = found else {
        return ().into_response();
    };
    let mut value = row(config);
    value["createTime"] = config.created_ms.into();
    value["modifyTime"] = config.modified_ms.into();
    value["desc"] = config.desc.as_str().into();
    for absent in ["createUser", "createIp", "use", "effect", "schema", "configTags"] {
        value[absent] = Value::Null;
    }
    super::json(&value)
}

fn row(config: &Config) -> Value {
    json!({
        // A text, since it may be larger than what JavaScript keeps.
        "id": config.id.to_string(),
        "dataId": config.key.data_id(),
        "group": config.key.group(),
        "content": &*config.content,
        "md5": &*config.md5,
        "tenant": config.key.tenant(),
        "appName": config.app,
        "type": config.kind,
    })
}

fn search(server: &Server, form: &Form, matches: impl Fn(&str, &str) -> bool) -> Result<Response, Refused> {
    let (data_id, group) = (form.require("dataId")?, form.require("group")?);
    let tenant = match form.get("tenant").unwrap_or_default() {
        "public" => "",
        tenant => tenant,
    };
    let page = form.count("pageNo", 1)?;
    let size = form.count("pageSize", 100)?.min(PAGE_MAX);
    let all = server.center.select(|config| {
        config.key.tenant() == tenant
            && matches(config.key.data_id(), data_id)
            && matches(config.key.group(), group)
    });
    let rows = all.iter().skip((page - 1).saturating_mul(size)).take(size);
    let rows: Vec<Value> = rows.map(|config| row(config)).collect();
    Ok(super::json(&super::history::page(all.len(), page, size, &rows)))
}

/// Whether `value` has the parts between the stars of `wanted` in their order; as SQL's LIKE, by which Nacos finds.
fn is_like(value: &str, wanted: &str) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let mut parts = wanted.split('*').peekable();
    let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else {
        return false;
    };
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// What one publishes or fetches for some clients only, Nacos can and this server cannot. Doing it for all would be wrong.
fn untagged(form: &Form) -> Result<(), Refused> {
    if form.get("tag").is_some_and(|tag| !tag.trim().is_empty()) {
        return Err(Refused::Absent("this server has no tags"));
    }
    if form.header("betaIps").is_some() || form.get("beta") == Some("true") {
        return Err(Refused::Absent(
            "this server publishes to all clients at once, not to some",
        ));
    }
    Ok(())
}

pub(super) async fn publish(State(server): State<Server>, request: Request<Body>) -> Response {
    let content_max = server.center.limits().content_bytes_max;
    match Form::read(request, CONFIGS, content_max, &server.bodies).await {
        Ok(form) => publish_form(&server, form).await.into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn publish_form(server: &Server, mut form: Form) -> Result<Response, Refused> {
    let key = form.key()?;
    untagged(&form)?;
    form.require("content")?;
    let content: Arc<str> = form.take("content").unwrap_or_default().into();
    if content.trim().is_empty() {
        return Err(Refused::Invalid(format!("content is blank : {content}")));
    }
    for (name, chars_max, text) in FIELDS_CHARS_MAX {
        if form
            .get(name)
            .is_some_and(|value| value.chars().count() > chars_max)
        {
            return Err(Refused::Invalid(text.to_owned()));
        }
    }
    let if_md5 = form
        .header("casMd5")
        .or_else(|| form.get("casMd5").filter(|md5| !md5.is_empty()))
        .map(str::to_owned);
    let draft = Draft {
        key,
        content,
        kind: kind_of(form.get("type").unwrap_or_default()).to_owned(),
        app: form
            .get("appName")
            .unwrap_or_default()
            .chars()
            .take(128)
            .collect(),
        desc: form.take("desc").unwrap_or_default(),
    };
    let order = Order::Publish {
        draft,
        if_md5,
        source_ip: source_ip(&form),
    };
    // The form, and with it its part of the budget, stays for as long as the content waits to be written, also where whoever
    // sent it goes away.
    let center = Arc::clone(&server.center);
    let done = tokio::spawn(async move {
        let version = center.order(order).await;
        drop(form);
        version
    });
    let version = done.await.unwrap_or(Err(Refusal::Busy))?;
    Ok(versioned(version))
}

pub(super) async fn delete(State(server): State<Server>, request: Request<Body>) -> Response {
    match Form::read(request, CONFIGS, 0, &server.bodies).await {
        Ok(form) => delete_form(&server, &form).await.into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn delete_form(server: &Server, form: &Form) -> Result<Response, Refused> {
    let key = form.key()?;
    untagged(form)?;
    let source_ip = source_ip(form);
    let version = server.center.order(Order::Delete { key, source_ip }).await?;
    Ok(versioned(version))
}

/// `true`, and which change it was.
fn versioned(version: u64) -> Response {
    let mut response = boolean(true);
    response.headers_mut().insert(VERSION, HeaderValue::from(version));
    response
}

/// Where a change comes from, as a proxy before the server says; it is kept for people.
fn source_ip(form: &Form) -> String {
    let given = form
        .header("x-forwarded-for")
        .or_else(|| form.header("x-real-ip"));
    let first = given
        .and_then(|given| given.split(',').next())
        .unwrap_or("127.0.0.1");
    first.trim().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn stars_stand_for_anything() {
        let cases = [
            ("feed-rules.json", "", true),
            ("feed-rules.json", "*", true),
            ("feed-rules.json", "feed*", true),
            ("feed-rules.json", "*rules*", true),
            ("feed-rules.json", "*.json", true),
            ("feed-rules.json", "feed*json", true),
            ("feed-rules.json", "feed", false),
            ("feed-rules.json", "*xml", false),
            ("feed-rules.json", "rules*", false),
        ];
        for (value, wanted, like) in cases {
            assert_eq!(is_like(value, wanted), like, "{wanted}");
        }
    }
}
