//! `/nacos/v1/console/namespaces`.

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Value, json};

use super::form::Form;
use super::refusal::Refused;
use super::{Server, boolean};
use crate::center::{Order, Refusal};
use crate::record::Namespace;
use squall_config_client::checksum::hex;

const PATH: &str = "/nacos/v1/console/namespaces";
/// The most characters of an id, as Nacos has it.
const ID_CHARS_MAX: usize = 128;
/// The most characters of a name and a description, as its table holds them.
const NAME_CHARS_MAX: usize = 128;
const DESC_CHARS_MAX: usize = 256;

/// Its number of configurations is not limited for each, and Nacos says 200 whatever it is.
const QUOTA: u64 = 200;

pub(super) async fn get(State(server): State<Server>, request: Request<Body>) -> Response {
    let form = Form::of_query(&request, PATH);
    let all = server.center.namespaces();
    if form.get("checkNamespaceIdExist") == Some("true") {
        let wanted = form.get("customNamespaceId").unwrap_or_default().trim();
        return boolean(!wanted.is_empty() && all.iter().any(|(one, _)| one.id == wanted));
    }
    if form.get("show") == Some("all") {
        let wanted = form.get("namespaceId").unwrap_or_default().trim();
        return match all.iter().find(|(one, _)| one.id == wanted) {
            Some((one, count)) => super::json(&row(one, *count, true)),
            None => Refused::Invalid(format!("there is no namespace {wanted}")).into_response(),
        };
    }
    let rows: Vec<Value> = all.iter().map(|(one, count)| row(one, *count, false)).collect();
    super::json(&json!({"code": 200, "message": null, "data": rows}))
}

fn row(one: &Namespace, count: usize, with_desc: bool) -> Value {
    let mut row = json!({
        "namespace": one.id,
        "namespaceShowName": one.name,
        "quota": QUOTA,
        "configCount": count,
        // 0 is the public one, 2 one that somebody made.
        "type": if one.id.is_empty() { 0 } else { 2 },
    });
    if with_desc {
        row["namespaceDesc"] = one.desc.as_str().into();
    }
    row
}

pub(super) async fn create(State(server): State<Server>, request: Request<Body>) -> Response {
    let answer = async {
        let form = Form::read(request, PATH, 0, &server.bodies).await?;
        let (id, name) = (
            form.require("customNamespaceId")?.trim(),
            form.require("namespaceName")?,
        );
        let id = if id.is_empty() { drawn_id() } else { id.to_owned() };
        let is_id = id
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || matches!(one, '_' | '-'));
        if !is_id || id.len() > ID_CHARS_MAX {
            return Ok(boolean(false));
        }
        let namespace = namespace(id, name, form.get("namespaceDesc"));
        match server.center.order(Order::CreateNamespace(namespace)).await {
            Err(Refusal::TooMany) => Ok(boolean(false)),
            result => Ok::<_, Refused>(result.map(|_| boolean(true))?),
        }
    };
    answer.await.into_response()
}

pub(super) async fn edit(State(server): State<Server>, request: Request<Body>) -> Response {
    let answer = async {
        let form = Form::read(request, PATH, 0, &server.bodies).await?;
        let (id, name) = (form.require("namespace")?, form.require("namespaceShowName")?);
        let namespace = namespace(id.to_owned(), name, form.get("namespaceDesc"));
        server.center.order(Order::EditNamespace(namespace)).await?;
        Ok::<_, Refused>(boolean(true))
    };
    answer.await.into_response()
}

pub(super) async fn delete(State(server): State<Server>, request: Request<Body>) -> Response {
    let answer = async {
        let form = Form::read(request, PATH, 0, &server.bodies).await?;
        let id = form.require("namespaceId")?.to_owned();
        server.center.order(Order::DeleteNamespace(id)).await?;
        Ok::<_, Refused>(boolean(true))
    };
    answer.await.into_response()
}

fn namespace(id: String, name: &str, desc: Option<&str>) -> Namespace {
    Namespace {
        id,
        name: name.chars().take(NAME_CHARS_MAX).collect(),
        desc: desc.unwrap_or_default().chars().take(DESC_CHARS_MAX).collect(),
    }
}

/// An id as those that Nacos draws: a random UUID.
fn drawn_id() -> String {
    let mut bytes = [0_u8; 16];
    // It never has fewer for so few; were it so, the id would be less random, and be refused if there is one like it.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}
