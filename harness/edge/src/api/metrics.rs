//! What `/metrics` says: Toxiproxy's two counters of bytes, in the text format of Prometheus.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::entry::Entry;
use crate::{Direction, EdgeSeen};

/// Label sets that are kept of proxies that are gone; beyond it those that come first in their order go.
const KEPT_MAX: usize = 4_096;

/// The labels of a sample, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    direction: &'static str,
    listener: String,
    proxy: String,
    upstream: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bytes {
    received: u64,
    sent: u64,
}

/// What proxies that are gone have counted: a counter never goes back.
#[derive(Debug, Default)]
pub(super) struct Counters(BTreeMap<Labels, Bytes>);

impl Counters {
    /// Takes an entry's proxy away, and keeps what it has counted.
    pub(super) fn keep(&mut self, entry: &mut Entry) {
        let Some(proxy) = entry.give_up() else { return };
        // First its connections, which count to their end. Where its threads have ended there are none.
        let _ = proxy.disable();
        add(&mut self.0, entry, &proxy.seen());
        while self.0.len() > KEPT_MAX {
            self.0.pop_first();
        }
    }

    /// The text, with what the proxies that are there have counted.
    pub(super) fn text<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> String {
        let mut all = self.0.clone();
        for entry in entries {
            if let Some(proxy) = entry.proxy() {
                add(&mut all, entry, &proxy.seen());
            }
        }
        let received = family(&all, "received", "read from the sender", |bytes| bytes.received);
        received + &family(&all, "sent", "written to the receiver", |bytes| bytes.sent)
    }
}

fn add(to: &mut BTreeMap<Labels, Bytes>, entry: &Entry, seen: &EdgeSeen) {
    for direction in Direction::BOTH {
        let labels = Labels {
            direction: direction.name(),
            listener: entry.listen().to_owned(),
            proxy: entry.name().to_owned(),
            upstream: entry.upstream().to_owned(),
        };
        let bytes = to.entry(labels).or_default();
        bytes.received += seen.direction(direction).entered.bytes;
        bytes.sent += seen.direction(direction).forwarded.bytes;
    }
}

fn family(all: &BTreeMap<Labels, Bytes>, what: &str, help: &str, of: impl Fn(&Bytes) -> u64) -> String {
    let name = format!("toxiproxy_proxy_{what}_bytes_total");
    let mut text = format!("# HELP {name} Bytes of a proxy and a direction {help}.\n# TYPE {name} counter\n");
    for (labels, bytes) in all {
        let Labels {
            direction,
            listener,
            proxy,
            upstream,
        } = labels;
        let [listener, proxy, upstream] = [listener, proxy, upstream].map(|value| escaped(value));
        writeln!(
            text,
            r#"{name}{{direction="{direction}",listener="{listener}",proxy="{proxy}",upstream="{upstream}"}} {}"#,
            of(bytes)
        )
        .expect("a string takes any text");
    }
    text
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}
