//! `/nacos/v1/cs/history`: the changes that are kept.

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Server;
use super::form::Form;
use super::refusal::Refused;
use crate::record::Change;
use crate::wall;

const PATH: &str = "/nacos/v1/cs/history";
/// The most rows of a page, as Nacos has it.
const PAGE_MAX: usize = 500;

pub(super) async fn get(State(server): State<Server>, request: Request<Body>) -> Response {
    let form = Form::of_query(&request, PATH);
    let answer = if form.get("search") == Some("accurate") {
        list(&server, &form).await
    } else {
        one(&server, &form).await
    };
    answer.into_response()
}

pub(super) async fn previous(State(server): State<Server>, request: Request<Body>) -> Response {
    let form = Form::of_query(&request, "/nacos/v1/cs/history/previous");
    let answer = async {
        let id = form.number("id")?;
        matching(&form, server.center.previous(id).await?)
    };
    answer.await.into_response()
}

async fn list(server: &Server, form: &Form) -> Result<Response, Refused> {
    let key = form.key()?;
    let page_number = form.count("pageNo", 1)?;
    let size = form.count("pageSize", 100)?.min(PAGE_MAX);
    let (total, changes) = server.center.page(key, page_number, size).await?;
    let rows: Vec<Value> = changes.iter().map(|change| row(change, None)).collect();
    Ok(super::json(&page(total, page_number, size, &rows)))
}

async fn one(server: &Server, form: &Form) -> Result<Response, Refused> {
    let nid = form.number("nid")?;
    matching(form, server.center.change(nid).await?)
}

/// The change, if it is of the configuration that was named; nothing where there is none, as Nacos has it.
fn matching(form: &Form, found: Option<(Change, String)>) -> Result<Response, Refused> {
    let (data_id, group) = (form.require("dataId")?, form.require("group")?);
    let Some((change, content)) = found else {
        return Ok(().into_response());
    };
    if change.key.data_id() != data_id || change.key.group() != group {
        return Err(Refused::Invalid("Please check dataId and group.".to_owned()));
    }
    Ok(super::json(&row(&change, Some(&content))))
}

fn row(change: &Change, content: Option<&str>) -> Value {
    let at = wall::in_json(change.at_ms);
    json!({
        // A text, since it may be larger than what JavaScript keeps.
        "id": change.nid.to_string(),
        "lastId": -1,
        "dataId": change.key.data_id(),
        "group": change.key.group(),
        "tenant": change.key.tenant(),
        "appName": change.app,
        "md5": content.map(|_| &*change.md5),
        "content": content,
        "srcIp": change.source_ip,
        "srcUser": null,
        "opType": change.operation.as_str(),
        "createdTime": at,
        "lastModifiedTime": at,
    })
}

/// One page of `total` rows, as Nacos's `Page` has it.
pub(super) fn page(total: usize, number: usize, size: usize, rows: &[Value]) -> Value {
    json!({
        "totalCount": total,
        "pageNumber": number,
        "pagesAvailable": total.div_ceil(size),
        "pageItems": rows,
    })
}
