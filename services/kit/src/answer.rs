//! JSON answers, so that services say what went wrong in one shape: `{"error":"..."}`.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer of this status with a body that is JSON already.
pub fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// An answer that says what went wrong.
pub fn error(status: StatusCode, text: &str) -> Response {
    json(status, json!({ "error": text }).to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::{StatusCode, error};

    #[tokio::test]
    async fn an_error_is_json_whatever_its_text() {
        let response = error(StatusCode::NOT_FOUND, "no \"such\\thing\"\n");
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::NOT_FOUND, &"application/json".parse().unwrap())
        );
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, r#"{"error":"no \"such\\thing\"\n"}"#);
    }
}
