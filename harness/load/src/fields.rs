//! The header fields of an answer, kept only where somebody looks at them.

use std::ops::Range;

/// Names and values, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl Fields {
    /// No fields at all.
    pub const NONE: &'static Fields = &Fields {
        bytes: Vec::new(),
        ends: Vec::new(),
    };

    /// Adds a field.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(name);
        let name_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(value);
        self.ends.push((name_end, self.bytes.len() as u32));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The value of the first field called `name`, in whatever case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Every name with its value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let (name, value): (Range<usize>, Range<usize>) =
                (start..name_end as usize, name_end as usize..end as usize);
            start = end as usize;
            (&self.bytes[name], &self.bytes[value])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_in_any_case() {
        let mut fields = Fields::default();
        fields.push(b"Content-Type", b"text/plain");
        fields.push(b"x-a", b"");
        fields.push(b"X-A", b"second");
        assert_eq!(fields.get("content-type"), Some(&b"text/plain"[..]));
        assert_eq!(fields.get("X-a"), Some(&b""[..]));
        assert_eq!(fields.get("y"), None);
        fields.clear();
        assert_eq!(fields.iter().count(), 0);
    }
}
