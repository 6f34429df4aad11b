//! The two texts of the listener's protocol: what a client watches, and what has changed of it.
//!
//! After Nacos 1.4's `MD5Util`: fields end in character 2 and entries in character 1. A client sends data id, group, MD5 and,
//! where it has one, tenant; the answer has data id, group and tenant, percent-encoded as a whole.

use form_urlencoded::byte_serialize;

use crate::key::{ConfigKey, WORD_SEPARATOR};

/// What stands after each entry.
const LINE_SEPARATOR: char = '\u{1}';
/// The most configurations of one request, as Nacos has it.
pub const KEYS_MAX: usize = 10_000;

/// A configuration that a client watches, and what it has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub key: ConfigKey,
    /// The MD5 of the content it has; empty where it has none.
    pub md5: String,
}

/// Reads `Listening-Configs`. `None` if it is not what the protocol says.
pub fn parse(text: &str) -> Option<Vec<Watched>> {
    let mut all = Vec::new();
    for line in text.split_inclusive(LINE_SEPARATOR) {
        // What is not ended was cut off; Nacos passes over it too.
        let Some(line) = line.strip_suffix(LINE_SEPARATOR) else {
            break;
        };
        let fields: Vec<&str> = line.splitn(5, WORD_SEPARATOR).collect();
        let (data_id, group, md5, tenant) = match fields[..] {
            [data_id, group, md5] => (data_id, group, md5, ""),
            [data_id, group, md5, tenant] => (data_id, group, md5, tenant),
            _ => return None,
        };
        let key = ConfigKey::new(data_id, group, tenant).ok()?;
        let md5 = md5.to_owned();
        all.push(Watched { key, md5 });
        if all.len() > KEYS_MAX {
            return None;
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Writes `Listening-Configs`, as a client does.
pub fn format<'a>(watched: impl IntoIterator<Item = (&'a ConfigKey, &'a str)>) -> String {
    let mut text = String::new();
    for (key, md5) in watched {
        for (field, end) in [
            (key.data_id(), WORD_SEPARATOR),
            (key.group(), WORD_SEPARATOR),
            (
                md5,
                if key.tenant().is_empty() {
                    LINE_SEPARATOR
                } else {
                    WORD_SEPARATOR
                },
            ),
        ] {
            text.push_str(field);
            text.push(end);
        }
        if !key.tenant().is_empty() {
            text.push_str(key.tenant());
            text.push(LINE_SEPARATOR);
        }
    }
    text
}

/// The answer: what has changed, with the end of line that Nacos's answers have.
pub fn answer<'a>(changed: impl IntoIterator<Item = &'a ConfigKey>) -> String {
    let mut text = String::new();
    for key in changed {
        text.push_str(key.data_id());
        text.push(WORD_SEPARATOR);
        text.push_str(key.group());
        if !key.tenant().is_empty() {
            text.push(WORD_SEPARATOR);
            text.push_str(key.tenant());
        }
        text.push(LINE_SEPARATOR);
    }
    let mut encoded: String = byte_serialize(text.as_bytes()).collect();
    encoded.push('\n');
    encoded
}

/// Reads an answer, as a client does. What it cannot read is passed over: the client asks for it again.
pub fn parse_answer(body: &str) -> Vec<ConfigKey> {
    let decoded = decoded(body.trim_end());
    decoded
        .split(LINE_SEPARATOR)
        .filter(|line| !line.is_empty())
        .filter_map(|line| {
            let mut fields = line.split(WORD_SEPARATOR);
            let (data_id, group) = (fields.next()?, fields.next()?);
            ConfigKey::new(data_id, group, fields.next().unwrap_or_default()).ok()
        })
        .collect()
}

/// Percent-decodes a text, as `application/x-www-form-urlencoded` has it.
pub fn decoded(text: &str) -> String {
    // The pair's name is all of it, as neither `=` nor `&` stands in what is decoded here.
    form_urlencoded::parse(text.as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, answer, format, parse, parse_answer};
    use crate::key::ConfigKey;

    fn key(tenant: &str) -> ConfigKey {
        ConfigKey::new("a.json", "G", tenant).unwrap()
    }

    #[test]
    fn what_a_client_writes_the_server_reads() {
        let text = format([(&key(""), "1f"), (&key("t"), "")]);
        assert_eq!(text, "a.json\u{2}G\u{2}1f\u{1}a.json\u{2}G\u{2}\u{2}t\u{1}");
        let read = parse(&text).unwrap();
        assert_eq!((&read[0].key, read[0].md5.as_str()), (&key(""), "1f"));
        assert_eq!((&read[1].key, read[1].md5.as_str()), (&key("t"), ""));
    }

    #[test]
    fn what_is_not_the_protocol_is_refused() {
        for text in [
            "",
            "a",
            "a\u{1}",
            "a\u{2}b\u{1}",
            "a\u{2}b\u{2}c\u{2}d\u{2}e\u{1}",
            "a b\u{2}g\u{2}\u{1}",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        let line = "a\u{2}b\u{2}c\u{1}";
        assert!(parse(&line.repeat(KEYS_MAX)).is_some());
        assert_eq!(parse(&line.repeat(KEYS_MAX + 1)), None);
    }

    #[test]
    fn an_answer_is_percent_encoded_and_read_back() {
        let body = answer([&key(""), &key("t")]);
        assert_eq!(body, "a.json%02G%01a.json%02G%02t%01\n");
        assert_eq!(parse_answer(&body), [key(""), key("t")]);
        assert!(parse_answer("").is_empty() && parse_answer("%02%01\n").is_empty());
    }
}
