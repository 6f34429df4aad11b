//! From a method and a path to what is asked for. Decides nothing else.

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Version,
    Metrics,
    Reset,
    Populate,
    Proxies,
    CreateProxy,
    Proxy(String),
    UpdateProxy(String),
    DeleteProxy(String),
    Toxics(String),
    CreateToxic(String),
    Toxic(String, String),
    UpdateToxic(String, String),
    DeleteToxic(String, String),
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Routed {
    To(Route),
    /// There is no such path.
    Nowhere,
    /// There is such a path, and not for this method.
    OtherMethod,
    /// The same path, written properly.
    Moved(String),
}

/// Finds the way. Escapes are resolved before the path is taken apart, as in the original: a name with a slash in it can't be
/// reached.
pub(super) fn route(method: &str, target: &str) -> Routed {
    let (written, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let path = unescaped(written);
    let clean = cleaned(&path);
    if clean != path {
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        return Routed::Moved(escaped(&clean) + &query);
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if parts.contains(&"") {
        return Routed::Nowhere;
    }
    let name = |at: usize| parts[at].to_owned();
    Routed::To(match (parts.as_slice(), method) {
        (["version"], "GET") => Route::Version,
        (["metrics"], _) => Route::Metrics,
        (["reset"], "POST") => Route::Reset,
        (["populate"], "POST") => Route::Populate,
        (["proxies"], "GET") => Route::Proxies,
        (["proxies"], "POST") => Route::CreateProxy,
        (["proxies", _], "GET") => Route::Proxy(name(1)),
        // Clients from before 2.6 update by POST.
        (["proxies", _], "POST" | "PATCH") => Route::UpdateProxy(name(1)),
        (["proxies", _], "DELETE") => Route::DeleteProxy(name(1)),
        (["proxies", _, "toxics"], "GET") => Route::Toxics(name(1)),
        (["proxies", _, "toxics"], "POST") => Route::CreateToxic(name(1)),
        (["proxies", _, "toxics", _], "GET") => Route::Toxic(name(1), name(3)),
        (["proxies", _, "toxics", _], "POST" | "PATCH") => Route::UpdateToxic(name(1), name(3)),
        (["proxies", _, "toxics", _], "DELETE") => Route::DeleteToxic(name(1), name(3)),
        (
            ["version" | "reset" | "populate" | "proxies"]
            | ["proxies", _]
            | ["proxies", _, "toxics"]
            | ["proxies", _, "toxics", _],
            _,
        ) => return Routed::OtherMethod,
        _ => return Routed::Nowhere,
    })
}

/// Without empty steps, `.` and `..`; a slash at the end stays.
fn cleaned(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    let end = if path.ends_with('/') && !steps.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", steps.join("/"))
}

/// With `%41` as `A`. What is no escape stays as it is.
fn unescaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = path.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let digits = digits.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        plain.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The other way round: all but what a path may hold as it is.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte);
    path.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_original_leads_them() {
        let proxy = |name: &str| Routed::To(Route::Proxy(name.to_owned()));
        let toxic = || ("a".to_owned(), "b".to_owned());
        for (method, target, expected) in [
            ("GET", "/proxies", Routed::To(Route::Proxies)),
            ("POST", "/proxies", Routed::To(Route::CreateProxy)),
            ("GET", "/proxies/a%20b", proxy("a b")),
            ("GET", "/proxies/a+b", proxy("a+b")),
            ("GET", "/proxies/a?q=/x", proxy("a")),
            ("GET", "/proxies/%zz%4", proxy("%zz%4")),
            ("GET", "/proxies/%C3%A4", proxy("ä")),
            ("GET", "/proxies/a%2Fb", Routed::Nowhere),
            ("GET", "/proxies/", Routed::Nowhere),
            ("GET", "/", Routed::Nowhere),
            ("GET", "/nowhere", Routed::Nowhere),
            ("GET", "//proxies", Routed::Moved("/proxies".to_owned())),
            (
                "GET",
                "/proxies/./a%20b?q",
                Routed::Moved("/proxies/a%20b?q".to_owned()),
            ),
            ("GET", "/../version", Routed::Moved("/version".to_owned())),
            (
                "PATCH",
                "/proxies/a",
                Routed::To(Route::UpdateProxy("a".to_owned())),
            ),
            (
                "POST",
                "/proxies/a",
                Routed::To(Route::UpdateProxy("a".to_owned())),
            ),
            ("PUT", "/proxies/a", Routed::OtherMethod),
            ("HEAD", "/proxies", Routed::OtherMethod),
            ("GET", "/reset", Routed::OtherMethod),
            ("PUT", "/metrics", Routed::To(Route::Metrics)),
            (
                "PATCH",
                "/proxies/a/toxics/b",
                Routed::To(Route::UpdateToxic(toxic().0, toxic().1)),
            ),
            (
                "POST",
                "/proxies/a/toxics/b",
                Routed::To(Route::UpdateToxic(toxic().0, toxic().1)),
            ),
            (
                "DELETE",
                "/proxies/a/toxics/b",
                Routed::To(Route::DeleteToxic(toxic().0, toxic().1)),
            ),
            ("DELETE", "/proxies/a/toxics", Routed::OtherMethod),
            ("GET", "/proxies/a/toxics/b/c", Routed::Nowhere),
        ] {
            assert_eq!(route(method, target), expected, "{method} {target}");
        }
    }
}
