//! The control API of proxies as a server: who may ask, and what they are told. What is asked for is done in `squall_edge::api`.

mod token;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use squall_edge::api::{self, Answer, Api};

use crate::http::{Request, Response, Server, WhenFull};
use crate::output;

pub use token::Token;

/// Clients come in crowds, where tests run beside each other: who finds every place taken waits for one.
const SERVER: Server = Server {
    threads: ["squall-api", "squall-api-ask"],
    patience: Duration::from_secs(5),
    body_bytes_max: 1 << 20,
    when_full: WhenFull::Wait,
};

/// Serves the API on `listener` until the process ends.
pub fn serve(listener: TcpListener, api: Arc<Api>, token: Option<Token>) -> io::Result<()> {
    SERVER.start(listener, move |request| {
        if !token
            .as_ref()
            .is_none_or(|token| token.is_known_to(request.field("authorization")))
        {
            return unauthorized();
        }
        let answer = api.answer(&api::Request {
            method: &request.method,
            target: &request.target,
            user_agent: request.field("user-agent").unwrap_or_default(),
            body: &request.body,
        });
        warn(request, &answer);
        response(answer)
    })
}

fn unauthorized() -> Response {
    let body =
        "{\"error\":\"this API asks for a token: send `authorization: Bearer TOKEN`\",\"status\":401}\n";
    let mut response = Response::text(401, "text/plain; charset=utf-8", body);
    response.fields.push(("www-authenticate", "Bearer".to_owned()));
    response
}

fn warn(request: &Request, answer: &Answer) {
    for warning in &answer.warnings {
        let text = format!("warning: {} {}: {warning}", request.method, request.target);
        output::note(&output::harmless(&text));
    }
}

fn response(answer: Answer) -> Response {
    let mut fields = vec![("server", concat!("squall/", env!("CARGO_PKG_VERSION")).to_owned())];
    fields.extend(answer.content_type.map(|kind| ("content-type", kind.to_owned())));
    fields.extend(answer.location.map(|to| ("location", to)));
    Response {
        status: answer.status,
        fields,
        body: answer.body,
    }
}
