//! Whether what a server says is newer than what is held. Pure.
//!
//! This project's server says which change gave a configuration its content: the greater number is the newer, whatever the
//! server was restarted from. What is not newer is dropped.
//!
//! A Nacos server says no such thing. Then versions are counted here, and the order is that in which contents were seen: while
//! the connection holds, what comes is new. After it was lost, a content that was held before and replaced since is taken
//! for older data that the server came back with, and dropped; any other is new. So someone who publishes an old
//! content again while a client is cut off is not heard by it until the next change.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How many replaced contents are remembered.
const REPLACED_MAX: usize = 16;

/// What is held of a configuration, as far as order goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its version.
    pub version: u64,
    /// Its MD5; empty where it is known that there is none.
    pub md5: Arc<str>,
    /// The MD5s of contents that it replaced, the last one last.
    pub replaced: VecDeque<Arc<str>>,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The version, where the server has such a thing.
    pub version: Option<u64>,
    /// The MD5; empty where there is none.
    pub md5: Arc<str>,
    /// Whether the connection was lost since the server was last heard.
    pub after_gap: bool,
}

/// What is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is held from now on.
    Newer(Held),
    /// It is held already.
    Same,
    /// It is older than what is held.
    Stale,
}

/// Compares what a server says with what is held, if anything is.
pub fn judge(held: Option<&Held>, seen: &Seen) -> Judgement {
    let Some(held) = held else {
        return Judgement::Newer(Held {
            version: seen.version.unwrap_or(1),
            md5: Arc::clone(&seen.md5),
            replaced: VecDeque::new(),
        });
    };
    let is_same = held.md5 == seen.md5;
    match seen.version {
        // A number that comes again with another content is that of a server that forgot what it gave out.
        Some(version) if version < held.version || (version == held.version && !is_same) => Judgement::Stale,
        Some(version) if version == held.version => Judgement::Same,
        Some(version) => Judgement::Newer(held.replaced_by(version, &seen.md5)),
        None if is_same => Judgement::Same,
        None if seen.after_gap && held.replaced.contains(&seen.md5) => Judgement::Stale,
        None => Judgement::Newer(held.replaced_by(held.version + 1, &seen.md5)),
    }
}

impl Held {
    fn replaced_by(&self, version: u64, md5: &Arc<str>) -> Self {
        let mut replaced = self.replaced.clone();
        replaced.retain(|one| one != md5 && *one != self.md5);
        replaced.push_back(Arc::clone(&self.md5));
        while replaced.len() > REPLACED_MAX {
            replaced.pop_front();
        }
        Self {
            version,
            md5: Arc::clone(md5),
            replaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, Judgement, Seen, judge};

    fn seen(version: Option<u64>, md5: &str, after_gap: bool) -> Seen {
        Seen {
            version,
            md5: md5.into(),
            after_gap,
        }
    }

    /// What a reader holds after a server said these, one after the other: versions and MD5s.
    fn held(said: &[(Option<u64>, &str, bool)]) -> Vec<(u64, String)> {
        let mut held: Option<Held> = None;
        let mut all = Vec::new();
        for (version, md5, after_gap) in said {
            if let Judgement::Newer(newer) = judge(held.as_ref(), &seen(*version, md5, *after_gap)) {
                all.push((newer.version, newer.md5.to_string()));
                held = Some(newer);
            }
        }
        all
    }

    #[test]
    fn the_greater_version_is_the_newer() {
        let said = [
            (Some(7), "a", false),
            (Some(5), "b", true),
            (Some(7), "a", true),
            (Some(7), "c", true),
            (Some(0), "", true),
            (Some(9), "a", false),
            (Some(11), "", false),
        ];
        let held = held(&said);
        assert_eq!(held, [(7, "a".into()), (9, "a".into()), (11, String::new())]);
    }

    #[test]
    fn without_versions_what_comes_is_new_while_the_connection_holds() {
        let said = [
            (None, "a", false),
            (None, "b", false),
            (None, "b", false),
            (None, "a", false),
        ];
        assert_eq!(held(&said), [(1, "a".into()), (2, "b".into()), (3, "a".into())]);
    }

    #[test]
    fn without_versions_a_content_that_was_replaced_is_older_data_after_a_gap() {
        let said = [
            (None, "a", false),
            (None, "b", false),
            (None, "a", true),
            (None, "c", true),
            (None, "b", true),
            (None, "", true),
        ];
        assert_eq!(
            held(&said),
            [
                (1, "a".into()),
                (2, "b".into()),
                (3, "c".into()),
                (4, String::new())
            ]
        );
    }

    #[test]
    fn only_so_many_replaced_contents_are_remembered() {
        let mut held = Held::default();
        for n in 0..100 {
            held = held.replaced_by(n, &n.to_string().into());
        }
        assert_eq!(held.replaced.len(), super::REPLACED_MAX);
        assert_eq!(&**held.replaced.back().unwrap(), "98");
    }
}
