//! Values out of JSON bodies, by JSON pointer (RFC 6901).
//!
//! The body is walked once per extraction and no tree of it is built; only the value pointed at is kept. The rest is checked
//! to be JSON. Nothing here judges a value.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use squall_model::observation::ObservedBatch;

/// What to read out of every response of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// Where the value is.
    pub pointer: Pointer,
    /// The pointer names an array, and each of its elements is a value.
    pub each: bool,
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

impl Segment {
    fn parse(text: &str) -> Option<Segment> {
        let escaped_well = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        let name = text.replace("~1", "/").replace("~0", "~");
        let is_index =
            name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
        let index = if is_index { name.parse().ok() } else { None };
        escaped_well.then_some(Segment { name, index })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.name.replace('~', "~0").replace('/', "~1")))
    }
}

/// Adds the values that `extractions` find in `body` to the open response of `batch`; on an error the batch is as it was.
/// The error says what was missing, for people.
pub(crate) fn extract(
    extractions: &[Extraction],
    body: &[u8],
    batch: &mut ObservedBatch,
) -> Result<(), String> {
    for extraction in extractions {
        let result = extract_one(extraction, body, batch);
        if let Err(problem) = result {
            batch.discard_open();
            return Err(format!("{}: {problem}", extraction.pointer));
        }
    }
    Ok(())
}

fn extract_one(extraction: &Extraction, body: &[u8], batch: &mut ObservedBatch) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut found = 0;
    let walk = Walk {
        path: &extraction.pointer.segments,
        each: extraction.each,
        batch,
        found: &mut found,
    };
    walk.deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| error.to_string())?;
    if found == 0 {
        Err("not in the body".into())
    } else {
        Ok(())
    }
}

/// Follows the rest of a pointer into a value.
struct Walk<'a> {
    path: &'a [Segment],
    each: bool,
    batch: &'a mut ObservedBatch,
    /// How often the pointed-at place was met; a repeated key is met once, at its first.
    found: &'a mut u32,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.path {
            [] if self.each => {
                *self.found += 1;
                value.deserialize_seq(Elements(self.batch))
            }
            [] => {
                *self.found += 1;
                Leaf(self.batch).deserialize(value)
            }
            _ => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object or array with {:?}", self.path[0].name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk {
            path,
            each,
            batch,
            found,
        } = self;
        while let Some(is_it) = map.next_key_seed(IsKey(&path[0].name))? {
            if is_it && *found == 0 {
                map.next_value_seed(Walk {
                    path: &path[1..],
                    each,
                    batch,
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
            batch,
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
            batch,
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
struct Elements<'a>(&'a mut ObservedBatch);

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array, each element of which is a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Leaf(self.0))?.is_some() {}
        Ok(())
    }
}

/// A number, string or boolean, taken as it is written.
struct Leaf<'a>(&'a mut ObservedBatch);

impl<'de> DeserializeSeed<'de> for Leaf<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let raw: &'de RawValue = serde::Deserialize::deserialize(value)?;
        let raw = raw.get();
        match raw.as_bytes() {
            [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
                self.0.push_token(&raw[1..raw.len() - 1]);
            }
            [b'"', ..] => {
                let text: String = serde_json::from_str(raw).map_err(D::Error::custom)?;
                self.0.push_token(&text);
            }
            [b't' | b'f', ..] => self.0.push_text(raw),
            [b'-' | b'0'..=b'9', ..] => self.0.push_token(raw),
            _ => {
                return Err(D::Error::custom(
                    "null, an object or an array where a value was due",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pointer: &str, each: bool, body: &str) -> Result<(Vec<u64>, Vec<String>), String> {
        let mut batch = ObservedBatch::new(0);
        extract(
            &[Extraction {
                pointer: pointer.parse().unwrap(),
                each,
            }],
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
            let extraction = Extraction {
                pointer: pointer.parse().unwrap(),
                each,
            };
            assert!(
                extract(&[extraction], body.as_bytes(), &mut batch).is_err(),
                "{pointer} in {body}"
            );
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
