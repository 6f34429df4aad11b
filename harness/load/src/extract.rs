//! Values out of answers: by JSON pointer (RFC 6901), by header field, by regular expression.
//!
//! A JSON body is walked once per pointer and no tree of it is built; only the value pointed at is kept. The rest is checked
//! to be JSON. Nothing here judges a value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use squall_model::observation::ObservedBatch;

use crate::fields::Fields;
use crate::pattern::Pattern;
use crate::protocol::{Answer, KEPT_BODY_BYTES_MAX, Keep};

/// Where one value of an answer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A text, number or boolean in a JSON body.
    Json(Pointer),
    /// The first header field of this name.
    Header(String),
    /// What the first group of a pattern takes of the body, or the whole match where it has no group.
    Regex(Pattern),
}

/// What to read out of every response of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// One value.
    One(Place),
    /// Each element of the array at a pointer.
    Each(Pointer),
    /// One value from each of several places, in their order, all as texts.
    Together(Vec<Place>),
}

impl Place {
    /// What a session has to keep of an answer for it.
    pub fn keep(&self) -> Keep {
        let fields = matches!(self, Place::Header(_));
        Keep {
            fields,
            body: !fields,
        }
    }

    /// The value, a text without its quotes. The error says in words why there is none.
    pub fn read<'a>(&self, answer: &Answer<'a>) -> Result<Cow<'a, [u8]>, String> {
        if self.keep().body && !answer.whole {
            return Err(format!(
                "{self}: the body is longer than {KEPT_BODY_BYTES_MAX} bytes"
            ));
        }
        self.find(answer.fields, answer.body)
            .map_err(|problem| format!("{self}: {problem}"))
    }

    fn find<'a>(&self, fields: &'a Fields, body: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        match self {
            Place::Json(pointer) => {
                let raw = json_at(pointer, body)?;
                check_scalar(raw)?;
                Ok(match unquoted(raw) {
                    Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                    Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                })
            }
            Place::Header(name) => fields
                .get(name)
                .map(Cow::Borrowed)
                .ok_or_else(|| "not among the header fields".into()),
            Place::Regex(pattern) => pattern
                .capture(body)
                .map(Cow::Borrowed)
                .ok_or_else(|| "nothing in the body matches".into()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Json(pointer) => pointer.fmt(f),
            Place::Header(name) => write!(f, "header {name}"),
            Place::Regex(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

impl Extraction {
    /// What a session has to keep of an answer for it.
    pub fn keep(&self) -> Keep {
        match self {
            Extraction::One(place) => place.keep(),
            Extraction::Each(_) => Keep {
                fields: false,
                body: true,
            },
            Extraction::Together(places) => places.iter().map(Place::keep).fold(Keep::NOTHING, Keep::and),
        }
    }
}

impl fmt::Display for Extraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extraction::One(place) => place.fmt(f),
            Extraction::Each(pointer) => pointer.fmt(f),
            Extraction::Together(places) => {
                let places: Vec<String> = places.iter().map(Place::to_string).collect();
                f.write_str(&places.join(" with "))
            }
        }
    }
}

/// Takes one value from an answer for each of `places`, in their order; the error says which is missing and why.
pub fn take(places: &[Place], answer: &Answer<'_>) -> Result<Vec<Vec<u8>>, String> {
    let one = |place: &Place| place.read(answer).map(Cow::into_owned);
    places.iter().map(one).collect()
}

/// A JSON pointer, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    segments: Box<[Segment]>,
}

/// One step of a pointer: a member's name, which is also an index where it can be one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    name: String,
    index: Option<usize>,
}

/// A text that is no JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the JSON pointer {pointer:?}: {problem}")]
pub struct PointerError {
    pointer: String,
    problem: &'static str,
}

impl std::str::FromStr for Pointer {
    type Err = PointerError;

    fn from_str(pointer: &str) -> Result<Pointer, PointerError> {
        let error = |problem| PointerError {
            pointer: pointer.into(),
            problem,
        };
        if pointer.is_empty() {
            return Ok(Pointer {
                segments: Box::new([]),
            });
        }
        let rest = pointer
            .strip_prefix('/')
            .ok_or_else(|| error("it must be empty or begin with /"))?;
        rest.split('/')
            .map(|segment| Segment::parse(segment).ok_or_else(|| error("~ must be followed by 0 or 1")))
            .collect::<Result<_, _>>()
            .map(|segments| Pointer { segments })
    }
}

impl Pointer {
    /// The pointer that leads through these members of objects.
    pub fn of_members<'a>(names: impl IntoIterator<Item = &'a str>) -> Pointer {
        let segment = |name: &str| Segment::named(name.to_owned());
        Pointer {
            segments: names.into_iter().map(segment).collect(),
        }
    }
}

impl Segment {
    fn named(name: String) -> Segment {
        let is_index =
            name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        let index = if is_index { name.parse().ok() } else { None };
        Segment { name, index }
    }

    fn parse(text: &str) -> Option<Segment> {
        let escaped_well = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        escaped_well.then(|| Segment::named(text.replace("~1", "/").replace("~0", "~")))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.name.replace('~', "~0").replace('/', "~1")))
    }
}

/// Adds the values that `extraction` finds to the open response of `batch`; on an error it may hold some of them.
/// The error says what was missing, for people.
pub(crate) fn extract(
    extraction: &Extraction,
    fields: &Fields,
    body: &[u8],
    batch: &mut ObservedBatch,
) -> Result<(), String> {
    find(extraction, fields, body, batch).map_err(|problem| format!("{extraction}: {problem}"))
}

fn find(
    extraction: &Extraction,
    fields: &Fields,
    body: &[u8],
    batch: &mut ObservedBatch,
) -> Result<(), String> {
    match extraction {
        Extraction::One(Place::Json(pointer)) => walk(pointer, false, body, &mut |raw| push(raw, batch)),
        Extraction::Each(pointer) => walk(pointer, true, body, &mut |raw| push(raw, batch)),
        Extraction::One(place) => {
            batch.push_token(&String::from_utf8_lossy(&place.find(fields, body)?));
            Ok(())
        }
        Extraction::Together(places) => {
            for place in places {
                batch.push_text(&String::from_utf8_lossy(&place.find(fields, body)?));
            }
            Ok(())
        }
    }
}

/// Adds a value to the open response of `batch`.
fn push(raw: &str, batch: &mut ObservedBatch) -> Result<(), String> {
    check_scalar(raw)?;
    match raw.as_bytes() {
        [b't' | b'f', ..] => batch.push_text(raw),
        _ => batch.push_token(&unquoted(raw)),
    }
    Ok(())
}

fn check_scalar(raw: &str) -> Result<(), String> {
    match raw.as_bytes() {
        [b'"' | b't' | b'f' | b'-' | b'0'..=b'9', ..] => Ok(()),
        _ => Err("null, an object or an array where a value was due".into()),
    }
}

/// The JSON at `pointer`, as it is written.
pub(crate) fn json_at<'a>(pointer: &Pointer, body: &'a [u8]) -> Result<&'a str, String> {
    let mut found = "";
    walk(pointer, false, body, &mut |raw| {
        found = raw;
        Ok(())
    })?;
    Ok(found)
}

/// The text of a JSON string, and anything else as it is written.
pub(crate) fn unquoted(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes() {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            Cow::Borrowed(&raw[1..raw.len() - 1])
        }
        // It was read as JSON before.
        [b'"', ..] => serde_json::from_str(raw).map_or(Cow::Borrowed(raw), Cow::Owned),
        _ => Cow::Borrowed(raw),
    }
}

/// Hands the JSON at `pointer`, or each element of the array there, to `sink`.
fn walk<'de>(
    pointer: &Pointer,
    each: bool,
    body: &'de [u8],
    sink: &mut dyn FnMut(&'de str) -> Result<(), String>,
) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut found = 0;
    let walk = Walk {
        path: &pointer.segments,
        each,
        sink,
        found: &mut found,
    };
    walk.deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => format!("no JSON: {error}"),
        })?;
    if found == 0 {
        Err("nothing there".into())
    } else {
        Ok(())
    }
}

/// Follows the rest of a pointer into a value.
struct Walk<'a, 'de> {
    path: &'a [Segment],
    each: bool,
    sink: &'a mut dyn FnMut(&'de str) -> Result<(), String>,
    /// How often the pointed-at place was met; a repeated key is met once, at its first.
    found: &'a mut u32,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.path {
            [] if self.each => {
                *self.found += 1;
                value.deserialize_seq(Elements(self.sink))
            }
            [] => {
                *self.found += 1;
                Leaf(self.sink).deserialize(value)
            }
            _ => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object or array with {:?}", self.path[0].name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk {
            path,
            each,
            sink,
            found,
        } = self;
        while let Some(is_it) = map.next_key_seed(IsKey(&path[0].name))? {
            if is_it && *found == 0 {
                map.next_value_seed(Walk {
                    path: &path[1..],
                    each,
                    sink,
                    found,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Walk {
            path,
            each,
            sink,
            found,
        } = self;
        let index = path[0]
            .index
            .ok_or_else(|| A::Error::custom("an array where an object was due"))?;
        for _ in 0..index {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Walk {
            path: &path[1..],
            each,
            sink,
            found,
        })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Whether a key is the given one; unescapes it without keeping it.
struct IsKey<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Each element of an array is a value.
struct Elements<'a, 'de>(&'a mut dyn FnMut(&'de str) -> Result<(), String>);

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array, each element of which is a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Leaf(self.0))?.is_some() {}
        Ok(())
    }
}

/// A value, taken as it is written.
struct Leaf<'a, 'de>(&'a mut dyn FnMut(&'de str) -> Result<(), String>);

impl<'de> DeserializeSeed<'de> for Leaf<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let raw: &'de RawValue = serde::Deserialize::deserialize(value)?;
        (self.0)(raw.get()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extraction(pointer: &str, each: bool) -> Extraction {
        let pointer = pointer.parse().unwrap();
        if each {
            Extraction::Each(pointer)
        } else {
            Extraction::One(Place::Json(pointer))
        }
    }

    #[test]
    fn one_value_is_taken_from_each_place() {
        let mut fields = Fields::default();
        fields.push(b"X-Token", b"t 1");
        let body = br#"{"id": 7, "by": "a\"b", "csrf": "name=\"c\""}"#;
        let answer = Answer::whole(200, &fields, body);
        let places = [
            Place::Header("x-token".into()),
            Place::Json("/by".parse().unwrap()),
            Place::Regex(r#""id": (\d+)"#.parse().unwrap()),
        ];
        let taken = take(&places, &answer).unwrap();
        assert_eq!(taken, [&b"t 1"[..], b"a\"b", b"7"]);
        let missing = |place| take(&[place], &answer).unwrap_err();
        assert_eq!(
            missing(Place::Header("etag".into())),
            "header etag: not among the header fields"
        );
        assert_eq!(missing(Place::Json("/x".parse().unwrap())), "/x: nothing there");
        assert_eq!(
            missing(Place::Regex("q(.)".parse().unwrap())),
            "/q(.)/: nothing in the body matches"
        );
        let mut batch = ObservedBatch::new(0);
        for place in places.clone() {
            extract(&Extraction::One(place), &fields, body, &mut batch).unwrap();
        }
        batch.close_response(1, 2);
        // Together they are all texts, in their order.
        extract(&Extraction::Together(places.into()), &fields, body, &mut batch).unwrap();
        batch.close_response(1, 2);
        let mut responses = batch.responses();
        let apart = responses.next().unwrap();
        assert_eq!(apart.integers, [7]);
        assert_eq!(apart.texts.collect::<Vec<_>>(), ["t 1", "a\"b"]);
        let together = responses.next().unwrap();
        assert_eq!(together.texts.collect::<Vec<_>>(), ["t 1", "a\"b", "7"]);
    }

    fn found(pointer: &str, each: bool, body: &str) -> Result<(Vec<u64>, Vec<String>), String> {
        let mut batch = ObservedBatch::new(0);
        extract(
            &extraction(pointer, each),
            Fields::NONE,
            body.as_bytes(),
            &mut batch,
        )?;
        batch.close_response(0, 0);
        let response = batch.responses().next().unwrap();
        Ok((
            response.integers.to_vec(),
            response.texts.map(str::to_owned).collect(),
        ))
    }

    #[test]
    fn single_values_are_found_wherever_they_are() {
        let table: &[(&str, &str, &[u64], &[&str])] = &[
            ("/id", r#"{"id": 7}"#, &[7], &[]),
            (
                "/id",
                r#"{"a": {"id": 1}, "b": [{"id": 2}], "id": "18446744073709551615"}"#,
                &[u64::MAX],
                &[],
            ),
            ("/id", r#"{"id": -7}"#, &[], &["-7"]),
            ("/id", r#"{"id": 1.50}"#, &[], &["1.50"]),
            ("/id", r#"{"id": true}"#, &[], &["true"]),
            ("/id", r#"{"id": "a\"b\u00e9\n"}"#, &[], &["a\"b\u{e9}\n"]),
            ("/id", r#"{"id": "\u0037"}"#, &[7], &[]),
            ("/a~1b/m~0n", r#"{"a/b": {"m~n": 3}}"#, &[3], &[]),
            ("/\u{e9}", r#"{"\u00e9": 4}"#, &[4], &[]),
            ("/a/1/b", r#"{"a": [{"b": 1}, {"b": 2}, {"b": 3}]}"#, &[2], &[]),
            ("/0", r#"{"0": 5}"#, &[5], &[]),
            ("", "42", &[42], &[]),
            ("/", r#"{"": 6}"#, &[6], &[]),
            ("/id", r#"{"id": 1, "id": 2}"#, &[1], &[]),
        ];
        for (pointer, body, integers, texts) in table {
            let texts = texts.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(
                found(pointer, false, body),
                Ok((integers.to_vec(), texts)),
                "{pointer} in {body}"
            );
        }
    }

    #[test]
    fn each_element_of_an_array_is_a_value() {
        assert_eq!(
            found("/ids", true, r#"{"n": 2, "ids": [1, "2", "x"]}"#),
            Ok((vec![1, 2], vec!["x".into()]))
        );
        assert_eq!(found("", true, "[1,2,3]"), Ok((vec![1, 2, 3], vec![])));
        assert_eq!(found("/ids", true, r#"{"ids": []}"#), Ok((vec![], vec![])));
    }

    #[test]
    fn what_is_missing_or_of_another_shape_is_an_error_and_leaves_no_values() {
        let table = [
            ("/id", false, r#"{"ids": 1}"#),
            ("/id", false, r#"{"id": null}"#),
            ("/id", false, r#"{"id": {}}"#),
            ("/id", false, r#"{"id": [1]}"#),
            ("/id", false, "[1]"),
            ("/id/x", false, r#"{"id": 1}"#),
            ("/3", false, "[1, 2]"),
            ("/01", false, "[1, 2]"),
            ("/id", false, r#"{"id": 1"#),
            ("/id", false, r#"{"id": 1} x"#),
            ("/id", false, ""),
            ("/id", false, "<html>"),
            ("/ids", true, r#"{"ids": 1}"#),
            ("/ids", true, r#"{"ids": [1, null]}"#),
        ];
        for (pointer, each, body) in table {
            let mut batch = ObservedBatch::new(0);
            let extraction = extraction(pointer, each);
            assert!(
                extract(&extraction, Fields::NONE, body.as_bytes(), &mut batch).is_err(),
                "{pointer} in {body}"
            );
            batch.discard_open();
            assert_eq!(batch.values(), 0, "{pointer} in {body}");
        }
    }

    #[test]
    fn pointers_are_read_and_written_as_the_standard_says() {
        for text in ["", "/", "/a/b", "/a~1b/~0", "/0/1"] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
        for text in ["a", "/~", "/a~2", "/x~"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bomb_of_nested_arrays_is_refused() {
        assert!(found("/id", false, &"[".repeat(100_000)).is_err());
        assert!(found("/id", false, &format!(r#"{{"id":1,"x":{}"#, "[".repeat(100_000))).is_err());
    }
}
