//! What is kept of configurations, of their changes and of namespaces. Plain data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use squall_config_client::checksum;
use squall_config_client::key::ConfigKey;

/// The types that a content may have; anything else counts as text.
const KINDS: &[&str] = &["properties", "xml", "json", "text", "html", "yaml", "unset"];

/// A configuration as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// What it is called.
    pub key: ConfigKey,
    /// The number under which its changes are found in history; it keeps it until it is deleted.
    pub id: u64,
    /// The change that gave it its content. Of two contents, the one with the greater version is the newer.
    pub version: u64,
    /// The content's MD5.
    pub md5: Arc<str>,
    /// The content.
    pub content: Arc<str>,
    /// `json`, `yaml` and so on.
    pub kind: String,
    /// The application it is for, as its publisher says.
    pub app: String,
    /// What it is for, likewise.
    pub desc: String,
    /// When it was first published, in milliseconds of the wall clock; for people.
    pub created_ms: u64,
    /// When it was last published, likewise.
    pub modified_ms: u64,
}

/// What somebody asks to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is to be called.
    pub key: ConfigKey,
    /// Its content.
    pub content: Arc<str>,
    /// Its type, one of Nacos's.
    pub kind: String,
    /// The application it is for.
    pub app: String,
    /// What it is for.
    pub desc: String,
}

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// It was published for the first time.
    #[serde(rename = "I")]
    Insert,
    /// It was published again.
    #[serde(rename = "U")]
    Update,
    /// It was deleted.
    #[serde(rename = "D")]
    Delete,
}

/// A change, without the content that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number, greater than that of any change before.
    pub nid: u64,
    /// The number of the configuration.
    pub id: u64,
    /// The configuration.
    pub key: ConfigKey,
    /// What was done.
    pub operation: Operation,
    /// The MD5 of the content kept with it: as in Nacos the new one of an insertion, the old one of all else.
    pub md5: Arc<str>,
    /// The application it was for.
    pub app: String,
    /// Where the change came from.
    pub source_ip: String,
    /// When, in milliseconds of the wall clock; for people.
    pub at_ms: u64,
}

/// A namespace, which Nacos also calls a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub desc: String,
}

impl Draft {
    /// A content of this type, for no application.
    pub fn new(key: ConfigKey, content: &str, kind: &str) -> Self {
        Self {
            key,
            content: content.into(),
            kind: kind_of(kind).to_owned(),
            app: String::new(),
            desc: String::new(),
        }
    }
}

impl Config {
    /// The configuration that a draft becomes as change `version`.
    pub fn new(draft: Draft, version: u64, at_ms: u64) -> Self {
        Self {
            md5: checksum::md5(&draft.content).into(),
            key: draft.key,
            id: version,
            version,
            content: draft.content,
            kind: draft.kind,
            app: draft.app,
            desc: draft.desc,
            created_ms: at_ms,
            modified_ms: at_ms,
        }
    }
}

impl Operation {
    /// As Nacos writes it, padded to the width of its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "I         ",
            Self::Update => "U         ",
            Self::Delete => "D         ",
        }
    }
}

/// The type that `word` names.
pub fn kind_of(word: &str) -> &'static str {
    KINDS
        .iter()
        .find(|kind| kind.eq_ignore_ascii_case(word))
        .map_or("text", |kind| kind)
}
