//! What a configuration is called: data id, group and tenant, as Nacos has them.
//!
//! A key is one text and its hash, so that finding one costs a comparison and no hashing. Clones share the text, so that whoever keeps
//! the key that it once asked with compares two pointers.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What stands between the parts of a key, as in the listener's protocol.
pub const WORD_SEPARATOR: char = '\u{2}';
/// The group of whoever names none.
pub const DEFAULT_GROUP: &str = "DEFAULT_GROUP";

/// The most characters of each part: what Nacos's tables hold.
const DATA_ID_CHARS_MAX: usize = 255;
const GROUP_CHARS_MAX: usize = 128;
const TENANT_CHARS_MAX: usize = 128;

/// The name of a configuration.
#[derive(Clone, Eq)]
pub struct ConfigKey {
    hash: u64,
    /// Data id, group and tenant with separators between them.
    text: Arc<str>,
}

/// Why a key is none. The texts are Nacos's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, too long, or with a character other than letters, digits and `_-.:`.
    #[error("invalid dataId : {0}")]
    DataId(String),
    /// Likewise.
    #[error("invalid group : {0}")]
    Group(String),
    /// It has such a character.
    #[error("invalid tenant")]
    Tenant,
    /// It is longer than 128 characters. Nacos calls it a tag here, and so do we.
    #[error("too long tag, over 128")]
    TenantTooLong,
}

impl ConfigKey {
    /// The key of these parts. The tenants `public` and none are one.
    pub fn new(data_id: &str, group: &str, tenant: &str) -> Result<Self, KeyError> {
        let (data_id, tenant) = (data_id.trim(), tenant.trim());
        if !is_word(tenant) {
            return Err(KeyError::Tenant);
        }
        if tenant.chars().count() > TENANT_CHARS_MAX {
            return Err(KeyError::TenantTooLong);
        }
        if data_id.is_empty() || !is_word(data_id) || data_id.chars().count() > DATA_ID_CHARS_MAX {
            return Err(KeyError::DataId(data_id.to_owned()));
        }
        if group.is_empty() || !is_word(group) || group.chars().count() > GROUP_CHARS_MAX {
            return Err(KeyError::Group(group.to_owned()));
        }
        let tenant = if tenant == "public" { "" } else { tenant };
        Ok(Self::of_text(
            format!("{data_id}{WORD_SEPARATOR}{group}{WORD_SEPARATOR}{tenant}").into(),
        ))
    }

    fn of_text(text: Arc<str>) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self {
            hash: hasher.finish(),
            text,
        }
    }

    /// Reads what [`ConfigKey::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(WORD_SEPARATOR);
        let (data_id, group, tenant) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Self::new(data_id, group, tenant).ok()
    }

    /// All of it as one text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash of all of it.
    #[inline]
    pub(crate) fn hashed(&self) -> u64 {
        self.hash
    }

    /// The name within the group.
    pub fn data_id(&self) -> &str {
        self.part(0)
    }

    /// The group.
    pub fn group(&self) -> &str {
        self.part(1)
    }

    /// The namespace; empty for the public one.
    pub fn tenant(&self) -> &str {
        self.part(2)
    }

    fn part(&self, index: usize) -> &str {
        self.text
            .split(WORD_SEPARATOR)
            .nth(index)
            .expect("a key has three parts")
    }
}

impl PartialEq for ConfigKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Ord for ConfigKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for ConfigKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for ConfigKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group(), self.data_id())?;
        if !self.tenant().is_empty() {
            write!(f, "@{}", self.tenant())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigKey({self})")
    }
}

impl Serialize for ConfigKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ConfigKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the key of a configuration"))
    }
}

/// Takes the hash that a key already has.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHash;

/// The hasher of [`KeyHash`].
#[derive(Debug, Clone, Copy, Default)]
pub struct TakenHash(u64);

impl BuildHasher for KeyHash {
    type Hasher = TakenHash;

    fn build_hasher(&self) -> TakenHash {
        TakenHash(0)
    }
}

impl Hasher for TakenHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Whether every character may stand in a name.
pub fn is_word(text: &str) -> bool {
    text.chars()
        .all(|one| one.is_alphanumeric() || matches!(one, '_' | '-' | '.' | ':'))
}

#[cfg(test)]
mod tests {
    use super::{ConfigKey, KeyError};

    #[test]
    fn a_key_is_its_three_parts() {
        let key = ConfigKey::new(" rules.json ", "SENTINEL_GROUP", "shop").unwrap();
        assert_eq!(
            (key.data_id(), key.group(), key.tenant()),
            ("rules.json", "SENTINEL_GROUP", "shop")
        );
        assert_eq!(ConfigKey::parse(key.as_str()), Some(key));
    }

    #[test]
    fn the_public_tenant_has_two_names() {
        assert_eq!(ConfigKey::new("a", "b", "public"), ConfigKey::new("a", "b", ""));
    }

    #[test]
    fn what_is_no_key_is_refused_in_nacos_words() {
        let cases = [
            ("", "g", "", "invalid dataId : "),
            ("a b", "g", "", "invalid dataId : a b"),
            ("a\u{2}b", "g", "", "invalid dataId : a\u{2}b"),
            ("a", "", "", "invalid group : "),
            ("a", "g/h", "", "invalid group : g/h"),
            ("a", "g", "t!", "invalid tenant"),
        ];
        for (data_id, group, tenant, text) in cases {
            assert_eq!(
                ConfigKey::new(data_id, group, tenant).unwrap_err().to_string(),
                text
            );
        }
        let long = "x".repeat(129);
        assert_eq!(ConfigKey::new("a", "g", &long), Err(KeyError::TenantTooLong));
        assert!(matches!(ConfigKey::new("a", &long, ""), Err(KeyError::Group(_))));
    }
}
