//! At which addresses a service is reached. A caller whose connects are redirected may know it by any of them.

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
        if self.process.is_none() && !address.ip().to_canonical().is_loopback() {
            // Who listens on another machine can't be seen: what its name stands for is all that is known.
            let mut all = vec![address];
            all.extend(self.also.iter().filter(|one| **one != address));
            return all;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_service_elsewhere_is_not_reached_at_what_listens_here_at_its_port() {
        let here = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = here.local_addr().unwrap().port();
        let [first, second] = [1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], port)));
        let elsewhere = Member::running("far", first, vec![first, second]);
        assert_eq!(elsewhere.reached_at(), [first, second]);
        let local = Member::running("near", SocketAddr::from(([127, 0, 0, 1], port)), Vec::new());
        assert_eq!(local.reached_at()[0], SocketAddr::from(([127, 0, 0, 1], port)));
    }
}
