//! Fields that are between two neighbours only (RFC 9110, 7.6.1), and so are not passed on.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes them, and what `Connection` names besides. That may not name the fields by which a message is routed and framed.
/// `TE: trailers` is kept where it is understood: gRPC asks for it.
pub fn strip(headers: &mut HeaderMap, keep_te: bool) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|token| HeaderName::try_from(token.trim()).ok())
            .filter(|name| name != HOST && name != CONTENT_LENGTH && name != TE)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
    if let Some(te) = headers.remove(TE)
        && keep_te
        && has_trailers(&te)
    {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn has_trailers(te: &HeaderValue) -> bool {
    te.to_str().is_ok_and(|te| {
        te.split(',')
            .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    })
}

#[cfg(test)]
mod tests {
    use http::header::HeaderMap;
    use http::{HeaderName, HeaderValue};

    use super::strip;

    #[track_caller]
    fn check(fields: &[(&'static str, &'static str)], keep_te: bool, left: &[&str]) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers, keep_te);
        let mut names: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        names.sort();
        assert_eq!(names, left);
    }

    #[test]
    fn what_is_between_neighbours_stays_there() {
        let fields = [
            ("connection", "x-mine, close"),
            ("connection", "X-Other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("accept", "*/*"),
        ];
        check(&fields, true, &["accept=*/*"]);
    }

    #[test]
    fn no_client_removes_what_frames_and_routes_a_message() {
        let fields = [
            ("connection", "host, content-length"),
            ("host", "a"),
            ("content-length", "3"),
        ];
        check(&fields, false, &["content-length=3", "host=a"]);
    }

    #[test]
    fn trailers_are_asked_for_where_they_are_understood() {
        check(&[("te", "gzip, Trailers")], true, &["te=trailers"]);
        check(&[("te", "trailers")], false, &[]);
    }
}
