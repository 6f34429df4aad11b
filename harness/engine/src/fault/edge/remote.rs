//! Faults that a Toxiproxy server does. It counts a connection's bytes only when that ends, so a proxy of squall's own stands before
//! it and counts: what is shown is what went in while the server listed the toxic, not what the toxic did to it.

use squall_edge::{Direction, EdgeSeen, Proxy, ToxicKind, ToxicSpec};
use squall_model::units::human;

use super::{At, Deed, Misfit, counted};
use crate::fault::FaultError;
use crate::toxiproxy::Remote;

/// A toxic there, one for each direction.
pub(super) struct RemoteToxic {
    pub(super) remote: Remote,
    pub(super) name: String,
    pub(super) kind: ToxicKind,
}

impl RemoteToxic {
    fn name(&self, way: Direction) -> String {
        format!("{}.{}", self.name, way.name())
    }
}

impl Deed<Proxy> for RemoteToxic {
    /// The server has to be asked.
    const BEGINS_SLOWLY: bool = true;

    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        for way in &at.directions {
            self.remote.add_toxic(&ToxicSpec {
                name: self.name(*way),
                stream: *way,
                toxicity: 1.0,
                kind: self.kind,
            })?;
        }
        Ok(())
    }

    /// All that can be removed are, also where one can't.
    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        let removed: Vec<_> = at
            .directions
            .iter()
            .map(|way| self.remote.remove_toxic(&self.name(*way)))
            .collect();
        Ok(removed.into_iter().collect::<Result<(), _>>()?)
    }

    fn met(&self, _: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        // Bytes pass it untouched: what it is for are ends.
        if matches!(self.kind, ToxicKind::SlowClose(_)) && now.closed == before.closed {
            return None;
        }
        let sent = |seen: &EdgeSeen| seen.direction(Direction::Upstream).forwarded.bytes;
        let bytes = sent(now).saturating_sub(sent(before));
        let kind = self.kind.type_name();
        (bytes > 0).then(|| format!("{} went to Toxiproxy while it listed {kind}", human::bytes(bytes)))
    }
}

/// The proxy there is disabled, and so is the one before it, so that callers are refused as they would be without it.
pub(super) struct RemoteDown {
    pub(super) remote: Remote,
}

impl Deed<Proxy> for RemoteDown {
    fn begin(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        self.remote.set_enabled(false)?;
        at.proxy.disable().map_err(FaultError::Edge)
    }

    fn end(&self, at: &At<Proxy>) -> Result<(), FaultError> {
        let enabled = self.remote.set_enabled(true);
        at.proxy.enable().map_err(FaultError::Edge)?;
        Ok(enabled?)
    }

    fn met(&self, _: &At<Proxy>, before: &EdgeSeen, now: &EdgeSeen) -> Option<String> {
        let closed = before.open();
        let closed = (closed > 0 && now.open() == 0).then(|| counted(closed, "open connection"))?;
        Some(format!("{closed} ended, with the proxy on Toxiproxy disabled"))
    }
}

/// Whether Toxiproxy can do what a toxic is to do; the reason if not.
pub(super) fn known(kind: ToxicKind, share: f64) -> Result<(), Misfit> {
    let misfit = |problem: &str, help: &str| {
        Err(Misfit {
            problem: problem.to_owned(),
            help: help.to_owned(),
        })
    };
    if share < 1.0 {
        return misfit(
            "it does not tell for which connections a `share` was drawn, so nothing could be proven",
            "leave `share` out, or `toxiproxy`",
        );
    }
    if let ToxicKind::Latency(latency) = kind
        && latency.distribution != squall_edge::Distribution::Uniform
    {
        return misfit(
            "its jitter is uniform",
            "leave `distribution` out, or `toxiproxy`",
        );
    }
    let written = serde_json::to_value(kind).ok();
    let read = written.and_then(|text| serde_json::from_value::<ToxicKind>(text).ok());
    if read != Some(kind) {
        return misfit(
            "it knows whole milliseconds only (of `slicer`, microseconds)",
            "round the time, or leave `toxiproxy` out",
        );
    }
    Ok(())
}
