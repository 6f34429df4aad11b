//! At which addresses of this machine a service is reached. A caller whose connects are redirected may know it by any of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::fleet::Member;
use crate::process::socket::{Owner, is_one_listener, is_taken, owner};

impl Member {
    /// The address that it is known by, if it has one, then the others: this machine's own of the other family where it listens there
    /// as well, since `localhost` may be either, and what else the name in its address stands for. As of now; connects to nothing.
    pub fn reached_at(&self) -> Vec<SocketAddr> {
        let Some(address) = self.address else {
            return Vec::new();
        };
        let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let mut others: Vec<_> = own.map(|ip| SocketAddr::new(ip, address.port())).into();
        others.extend(&self.also);
        others.retain(|other| *other != address);
        others.sort_unstable();
        others.dedup();
        if let Some(process) = &self.process {
            let pids = process.pids().unwrap_or_default();
            others.retain(|other| owner(*other, &pids) == Owner::Asked);
        } else {
            let view = rustix::process::getpid().as_raw_nonzero().get();
            let is_named = |other: &SocketAddr| self.also.contains(other) && is_taken(*other, view);
            others.retain(|other| is_named(other) || is_one_listener(address, *other, view));
        }
        others.insert(0, address);
        others
    }
}
