//! Reading bodies as the original reads them: keys in any case, what is unknown ignored, what is null left as it was, and only
//! the first value of a body looked at.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::answer::ApiError;

/// Warnings that one body may give.
const WARNINGS_MAX: usize = 16;

/// A body, and what was ignored in it.
#[derive(Debug)]
pub(super) struct Body<'a> {
    bytes: &'a [u8],
    is_strict: bool,
    warnings: Vec<String>,
}

/// The fields of an object, by the names that they are known by. A field that is null is as good as left out.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<&'static str, Value>);

impl<'a> Body<'a> {
    pub(super) fn new(bytes: &'a [u8], is_strict: bool) -> Body<'a> {
        Body {
            bytes,
            is_strict,
            warnings: Vec::new(),
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The first value.
    pub(super) fn value(&self) -> Result<Value, ApiError> {
        let mut values = serde_json::Deserializer::from_slice(self.bytes).into_iter();
        match values.next() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) if error.is_eof() => Err(ApiError::body("unexpected EOF")),
            Some(Err(error)) => Err(ApiError::body(error)),
            None => Err(ApiError::body("EOF")),
        }
    }

    /// The `known` fields of a value that has to be an object. `what` it is stands in errors and warnings.
    pub(super) fn fields(
        &mut self,
        value: Value,
        what: &str,
        known: &[&'static str],
    ) -> Result<Fields, ApiError> {
        let object = match value {
            Value::Object(object) => object,
            Value::Null => Map::new(),
            other => return Err(mismatch(&other, what)),
        };
        let mut fields = BTreeMap::new();
        for (key, value) in object {
            match known.iter().find(|name| name.eq_ignore_ascii_case(&key)) {
                Some(name) if !value.is_null() => {
                    fields.insert(*name, value);
                }
                Some(_) => {}
                None => self.ignore(&format!("`{key}` of {what}"), "nobody knows it")?,
            }
        }
        Ok(Fields(fields))
    }

    /// Notes that something is ignored; an error where nothing may be.
    pub(super) fn ignore(&mut self, what: &str, why: &str) -> Result<(), ApiError> {
        if self.is_strict {
            return Err(ApiError::body(format!("{what}: {why}")));
        }
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(format!("{what} is ignored: {why}"));
        }
        Ok(())
    }
}

impl Fields {
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(mismatch(&other, &format!("{name}, a string"))),
            None => Ok(None),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(mismatch(&other, &format!("{name}, true or false"))),
            None => Ok(None),
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = value.as_f64().map(|number| number as f32);
        let number = number.filter(|number| number.is_finite());
        number
            .map(Some)
            .ok_or_else(|| mismatch(&value, &format!("{name}, a number")))
    }

    pub(super) fn whole(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let whole = value.as_i64();
        whole
            .map(Some)
            .ok_or_else(|| mismatch(&value, &format!("{name}, a whole number")))
    }
}

/// A value that is of another kind than what it is for.
pub(super) fn mismatch(value: &Value, what: &str) -> ApiError {
    let kind = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => format!("number {number}"),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    ApiError::body(format!("json: cannot unmarshal {kind} into {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, is_strict: bool) -> (Result<Fields, ApiError>, Vec<String>) {
        let mut body = Body::new(text.as_bytes(), is_strict);
        let read = body
            .value()
            .and_then(|value| body.fields(value, "a proxy", &["name", "enabled"]));
        (read, body.into_warnings())
    }

    #[test]
    fn keys_are_found_in_any_case_and_null_is_nothing() {
        let (read, warnings) = read(r#"{"NAME":"a","enabled":null} and more"#, true);
        let mut fields = read.unwrap();
        assert_eq!(fields.text("name").unwrap().as_deref(), Some("a"));
        assert_eq!(fields.flag("enabled").unwrap(), None);
        assert!(warnings.is_empty());
    }

    #[test]
    fn what_is_unknown_is_told_of_or_refused() {
        let text = r#"{"name":"a","nmae":"b"}"#;
        let (fields, warnings) = read(text, false);
        fields.unwrap();
        assert_eq!(warnings, ["`nmae` of a proxy is ignored: nobody knows it"]);
        let (refused, _) = read(text, true);
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.message,
            "bad request body: `nmae` of a proxy: nobody knows it"
        );
        assert_eq!(refused.status, 400);
    }

    #[test]
    fn a_body_full_of_unknown_keys_gives_few_warnings() {
        let many: Vec<String> = (0..1_000).map(|at| format!("\"k{at}\":0")).collect();
        let (fields, warnings) = read(&format!("{{{}}}", many.join(",")), false);
        fields.unwrap();
        assert_eq!(warnings.len(), WARNINGS_MAX);
    }
}
