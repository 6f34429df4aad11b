//! An AB experiment: its variants, and how a user's key becomes a draw.
//!
//! The hash is SipHash-2-4 with 128 bits of result. Its key is the first half of the SHA-256 of the experiment's name, so that a user's places
//! in two experiments have nothing to do with each other. The upper half of the result is the draw; all of it stands for the user in
//! maps and stores, which so never hold what users are called. It does not depend on the machine, so two gateways agree.

use std::hash::Hasher as _;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::split::{Draw, Split};

/// A user, in one experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UserDigest(pub(crate) u128);

impl UserDigest {
    pub(crate) fn draw(self) -> Draw {
        Draw::from_bits((self.0 >> 64) as u64)
    }
}

/// Hashes users for one purpose.
#[derive(Debug, Clone)]
pub(crate) struct UserHash(SipHasher24);

impl UserHash {
    /// What differs in `purpose` has nothing to do with each other.
    pub(crate) fn new(purpose: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(purpose).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(SipHasher24::new_with_key(&key))
    }

    pub(crate) fn digest(&self, user: &[u8]) -> UserDigest {
        let mut hasher = self.0;
        hasher.write(user);
        UserDigest(hasher.finish128().as_u128())
    }

    /// The same for something that differs from request to request.
    pub(crate) fn digest_in(&self, what: &str, user: &[u8]) -> UserDigest {
        let mut hasher = self.0;
        hasher.write(what.as_bytes());
        // No text has this byte, so where one ends and the other begins is told too.
        hasher.write(&[0xff]);
        hasher.write(user);
        UserDigest(hasher.finish128().as_u128())
    }
}

/// One of the things compared.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) name: Arc<str>,
    pub(crate) cluster: Arc<str>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    pub(crate) name: Arc<str>,
    /// The header whose value is the user.
    pub(crate) key: HeaderName,
    pub(crate) variants: Vec<Variant>,
    pub(crate) split: Split,
    pub(crate) hash: UserHash,
}

impl Experiment {
    /// The user of a request, or none where it names none.
    pub(crate) fn digest(&self, headers: &HeaderMap) -> Option<UserDigest> {
        let user = headers.get(&self.key)?.as_bytes();
        (!user.is_empty()).then(|| self.hash.digest(user))
    }

    /// The variant, by its place, that a user is given who has none, or had one that there is no more. The latter is drawn for anew, or else all
    /// users of a variant that is gone would go to its neighbours.
    pub(crate) fn give(&self, user: UserDigest, had: Option<&str>) -> usize {
        let draw = match had {
            None => user.draw(),
            Some(gone) => self.hash.digest_in(gone, &user.0.to_le_bytes()).draw(),
        };
        self.split.pick(draw)
    }

    /// The place of the variant of this name.
    pub(crate) fn variant(&self, name: &str) -> Option<usize> {
        self.variants.iter().position(|variant| *variant.name == *name)
    }

    /// Whether users are given the same variants as by the other.
    pub(crate) fn gives_as(&self, other: &Self) -> bool {
        let names = |experiment: &Self| -> Vec<Arc<str>> {
            experiment
                .variants
                .iter()
                .map(|variant| Arc::clone(&variant.name))
                .collect()
        };
        self.name == other.name
            && self.key == other.key
            && self.split == other.split
            && names(self) == names(other)
    }
}
