//! What a server acknowledged on a disk that has not space for all of it, and whether it is there.

use std::collections::BTreeMap;

use crate::support::{Answer, Client};

/// The bytes of each content.
const CONTENT_BYTES: usize = 64 << 10;
/// The most that are published until one must be refused.
const CONTENTS_MAX: usize = 256;

/// Contents that a server acknowledged, by data id.
#[derive(Debug, Default)]
pub struct Acknowledged(BTreeMap<String, String>);

impl Acknowledged {
    /// Publishes a content that no other has.
    pub fn publish(&mut self, client: &mut Client, data_id: &str) -> Answer {
        let content = format!("{data_id}{}", "x".repeat(CONTENT_BYTES));
        let answer = client.publish(data_id, &content);
        if answer.status == 200 {
            self.0.insert(data_id.to_owned(), content);
        }
        answer
    }

    /// Publishes until it is refused, and looks that what was acknowledged can be read all the same; the refusal, if one came.
    pub fn publish_until_refused(&mut self, client: &mut Client) -> Option<Answer> {
        let mut publishes = (0..CONTENTS_MAX).map(|n| self.publish(client, &format!("n{n}")));
        let refused = publishes.find(|answer| answer.status != 200);
        assert_eq!(self.lost(client), [""; 0], "it cannot be read any more");
        refused
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that are not there, or not as they were acknowledged.
    pub fn lost(&self, client: &mut Client) -> Vec<&str> {
        let lost = self.0.iter().filter(|(data_id, content)| {
            let there = client.fetch(data_id);
            (there.status, &there.body) != (200, *content)
        });
        lost.map(|(data_id, _)| &**data_id).collect()
    }
}
