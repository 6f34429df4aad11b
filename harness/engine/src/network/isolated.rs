//! One isolated network: its places, what is dropped between their ends, and what is limited.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use squall_model::units::Ratio;
use thiserror::Error;

use super::filter::{Addresses, Chain, Filter, PacketCounts};
use super::link::{self, QueueCounts};
use super::namespace::{Namespace, Ownership};
use super::netlink::Socket;

/// The most places: a bridge has room for a few more cables.
const PLACES_MAX: usize = 1000;

/// The most ends in all.
const ENDS_MAX: usize = 10_000;

/// 198.18.0.0/15 is set aside for benchmarks (RFC 2544), and so is `2001:2::/48` (RFC 5180).
const IPV4_NET: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const IPV4_PREFIX: u8 = 16;
const IPV6_NET: u128 = 0x2001_0002 << 96;
const IPV6_PREFIX: u8 = 64;

/// The bridge, in the hub's namespace; the cables there have the numbers after it.
const BRIDGE: u32 = 2;

/// The cable's end, in each place's namespace.
const UPLINK: u32 = 2;

/// How much of a second's bytes pass a limit at once, and how much waits at it. At least 64 KiB wait, and 4 KiB pass.
const BURST: f64 = 0.02;
const QUEUE: f64 = 0.2;
const BURST_MIN: f64 = 4096.0;
const QUEUE_MIN: f64 = 65_536.0;

/// Why a network could not be made or changed.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The kernel refused something.
    #[error("{doing}: {source}")]
    Kernel {
        /// What was being done.
        doing: String,
        /// The kernel's words.
        source: io::Error,
    },
    /// No place or end has this name.
    #[error("the isolated network has no `{0}`")]
    Unknown(String),
    /// Two places or two ends have this name.
    #[error("the isolated network would have two `{0}`")]
    Twice(String),
    /// There are too many of them.
    #[error("an isolated network has room for {PLACES_MAX} places and {ENDS_MAX} ends")]
    TooMany,
    /// A share of nothing drops nothing, and one above 1 means nothing.
    #[error("{0} of all packets can't be dropped: a share is above 0 and at most 1")]
    Share(f64),
    /// A limit of nothing is no limit.
    #[error("a limit is at least 1 byte a second")]
    Limit,
}

impl NetworkError {
    /// A place could not be entered.
    pub fn entering(source: io::Error) -> Self {
        Self::Kernel {
            doing: "entering a place of the isolated network".to_owned(),
            source,
        }
    }
}

/// A place to be made.
#[derive(Clone, Debug)]
pub struct PlaceSpec {
    /// As the scenario calls it.
    pub name: String,
    /// What faults name in it, each with addresses of its own; programs that don't choose send from the first one's.
    pub ends: Vec<String>,
}

/// A network namespace with its cable to the others.
#[derive(Debug)]
pub struct Place {
    name: String,
    namespace: Namespace,
    route: Mutex<Socket>,
    /// The number of the cable's end in the hub.
    port: u32,
}

impl Place {
    /// As the scenario calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its programs are to be started, and its threads to [`Namespace::enter`].
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

#[derive(Debug)]
struct End {
    name: String,
    addresses: Addresses,
}

/// Which way a place's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the place.
    In,
    /// From the place.
    Out,
}

/// Packets from one end to another that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch(u32);

/// Packets from one end to another that are dropped. Dropping this value changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DropRule(u32);

/// Places that reach each other, and nobody else. It vanishes when this is dropped and its programs have ended.
#[derive(Debug)]
pub struct Network {
    places: Vec<Place>,
    ends: Vec<End>,
    hub: Mutex<Hub>,
    namespace: Namespace,
}

#[derive(Debug)]
struct Hub {
    route: Socket,
    filter: Filter,
}

impl Network {
    /// Makes a network. Needs no name that is free and leaves no trace outside of the kernel's memory.
    pub fn build(owner: Ownership, places: &[PlaceSpec]) -> Result<Self, NetworkError> {
        check(places)?;
        // Whoever makes a namespace is in it afterwards, so a thread does that nobody needs any more.
        std::thread::scope(|scope| {
            let maker = std::thread::Builder::new()
                .name("network".to_owned())
                .spawn_scoped(scope, || build(owner, places))
                .map_err(kernel("starting a thread"))?;
            let panicked = |_| kernel("making namespaces")(io::Error::other("it panicked"));
            maker.join().map_err(panicked)?
        })
    }

    /// A place by its name.
    pub fn place(&self, name: &str) -> Result<&Place, NetworkError> {
        let found = self.places.iter().find(|place| place.name == name);
        found.ok_or_else(|| NetworkError::Unknown(name.to_owned()))
    }

    /// All places, in the order in which they were asked for.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The namespace in which everything is forwarded.
    pub fn hub(&self) -> &Namespace {
        &self.namespace
    }

    /// The IPv4 address of an end.
    pub fn ipv4(&self, end: &str) -> Result<Ipv4Addr, NetworkError> {
        Ok(self.addresses(end)?.ipv4)
    }

    /// The IPv6 address of an end; `None` where the machine has no IPv6.
    pub fn ipv6(&self, end: &str) -> Result<Option<Ipv6Addr>, NetworkError> {
        Ok(self.addresses(end)?.ipv6)
    }

    fn addresses(&self, end: &str) -> Result<Addresses, NetworkError> {
        let found = self.ends.iter().find(|found| found.name == end);
        found
            .map(|end| end.addresses)
            .ok_or_else(|| NetworkError::Unknown(end.to_owned()))
    }

    /// Counts the packets from one end to another from now on, before any is dropped.
    pub fn watch(&self, from: &str, to: &str) -> Result<Watch, NetworkError> {
        let [sender, receiver] = [self.addresses(from)?, self.addresses(to)?];
        let added = self.lock_hub().filter.add(Chain::Seen, sender, receiver, 1.0);
        added
            .map(Watch)
            .map_err(refused(|| format!("counting packets from {from} to {to}")))
    }

    /// What a watch has counted.
    pub fn seen(&self, watch: Watch) -> Result<PacketCounts, NetworkError> {
        self.counts(Chain::Seen, watch.0)
    }

    /// Drops a share of all packets from one end to another, from now on. Not those of the way back.
    pub fn drop(&self, from: &str, to: &str, share: Ratio) -> Result<DropRule, NetworkError> {
        let share = share.get();
        if !(share > 0.0 && share <= 1.0) {
            return Err(NetworkError::Share(share));
        }
        let [sender, receiver] = [self.addresses(from)?, self.addresses(to)?];
        let added = self
            .lock_hub()
            .filter
            .add(Chain::Dropped, sender, receiver, share);
        added
            .map(DropRule)
            .map_err(refused(|| format!("dropping packets from {from} to {to}")))
    }

    /// What a rule has dropped.
    pub fn dropped(&self, rule: DropRule) -> Result<PacketCounts, NetworkError> {
        self.counts(Chain::Dropped, rule.0)
    }

    /// Lets pass again what a rule has dropped; returns what that was.
    pub fn heal(&self, rule: DropRule) -> Result<PacketCounts, NetworkError> {
        let dropped = self.dropped(rule)?;
        let removed = self.lock_hub().filter.remove(Chain::Dropped, rule.0);
        removed.map_err(refused(|| "healing a partition".to_owned()))?;
        Ok(dropped)
    }

    fn counts(&self, chain: Chain, rule: u32) -> Result<PacketCounts, NetworkError> {
        let counted = self.lock_hub().filter.counts(chain, rule);
        let counted = counted.and_then(|counts| counts.ok_or(Errno::NOENT));
        counted.map_err(refused(|| "reading the packet filter's counters".to_owned()))
    }

    /// Limits what a place receives, or sends, to so many bytes a second, headers included, and for all its ends together.
    /// 20 ms of it pass at once, 200 ms of it wait, what is more is dropped. Replaces a limit that is there.
    pub fn limit(
        &self,
        place: &str,
        direction: Direction,
        bytes_per_second: u64,
    ) -> Result<(), NetworkError> {
        if bytes_per_second == 0 {
            return Err(NetworkError::Limit);
        }
        let of = |share: f64, least: f64| (bytes_per_second as f64 * share).max(least) as u32;
        let [burst, queue] = [of(BURST, BURST_MIN), of(QUEUE, QUEUE_MIN)];
        let doing = || format!("limiting the bandwidth of {place}");
        self.at_cable(place, direction, |socket, index| {
            socket.request(link::token_bucket(index, bytes_per_second, burst, queue))
        })?
        .map_err(refused(doing))
    }

    /// Takes a limit away.
    pub fn unlimit(&self, place: &str, direction: Direction) -> Result<(), NetworkError> {
        let doing = || format!("lifting the limit of {place}");
        self.at_cable(place, direction, |socket, index| {
            socket.request(link::no_token_bucket(index))
        })?
        .map_err(refused(doing))
    }

    /// What passed a limit since it was set; `None` if there is none.
    pub fn limited(&self, place: &str, direction: Direction) -> Result<Option<QueueCounts>, NetworkError> {
        let doing = || format!("reading the queue of {place}");
        self.at_cable(place, direction, link::counts)?
            .map_err(refused(doing))
    }

    /// Does something at the end of a place's cable that sends in a direction.
    fn at_cable<T>(
        &self,
        place: &str,
        direction: Direction,
        act: impl FnOnce(&mut Socket, u32) -> T,
    ) -> Result<T, NetworkError> {
        let place = self.place(place)?;
        Ok(match direction {
            Direction::In => act(&mut self.lock_hub().route, place.port),
            Direction::Out => act(&mut lock(&place.route), UPLINK),
        })
    }

    fn lock_hub(&self) -> MutexGuard<'_, Hub> {
        lock(&self.hub)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kernel(doing: impl Into<String>) -> impl FnOnce(io::Error) -> NetworkError {
    move |source| NetworkError::Kernel {
        doing: doing.into(),
        source,
    }
}

fn refused(doing: impl FnOnce() -> String) -> impl FnOnce(Errno) -> NetworkError {
    move |errno| kernel(doing())(errno.into())
}

fn check(places: &[PlaceSpec]) -> Result<(), NetworkError> {
    let mut ends: Vec<&String> = places.iter().flat_map(|place| &place.ends).collect();
    let mut names: Vec<&String> = places.iter().map(|place| &place.name).collect();
    if names.len() > PLACES_MAX || ends.len() > ENDS_MAX {
        return Err(NetworkError::TooMany);
    }
    for all in [&mut ends, &mut names] {
        all.sort_unstable();
        if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(NetworkError::Twice(pair[0].clone()));
        }
    }
    Ok(())
}

/// On a thread of its own, which goes from one new namespace to the next.
fn build(owner: Ownership, specs: &[PlaceSpec]) -> Result<Network, NetworkError> {
    let namespace = Namespace::make(owner).map_err(kernel("making the hub's namespace"))?;
    let mut route = Socket::open(None).map_err(kernel("opening rtnetlink"))?;
    let filter = Filter::open().map_err(kernel("making the packet filter"))?;
    route
        .request(link::bridge(BRIDGE, "bridge"))
        .map_err(refused(|| "making the bridge".to_owned()))?;

    let mut places = Vec::new();
    let mut ends = Vec::new();
    for (spec, port) in specs.iter().zip(BRIDGE + 1..) {
        let place = cable(owner, &mut route, &spec.name, port)?;
        for name in &spec.ends {
            let number = ends.len() as u32 + 1;
            let addresses = give_addresses(&mut lock(&place.route), number)
                .map_err(refused(|| format!("giving {name} its addresses")))?;
            ends.push(End {
                name: name.clone(),
                addresses,
            });
        }
        places.push(place);
    }
    Ok(Network {
        places,
        ends,
        hub: Mutex::new(Hub { route, filter }),
        namespace,
    })
}

/// Makes a namespace and its cable, all of it up.
fn cable(owner: Ownership, hub: &mut Socket, name: &str, port: u32) -> Result<Place, NetworkError> {
    let namespace = Namespace::make(owner).map_err(kernel(format!("making a namespace for {name}")))?;
    let mut route = Socket::open(None).map_err(kernel("opening rtnetlink"))?;
    let port_name = format!("port{port}");
    let mut plug = || {
        hub.request(link::cable(
            (port, &port_name),
            BRIDGE,
            (UPLINK, "eth0"),
            Some(namespace.as_fd()),
        ))?;
        route.request(link::up(link::LOOPBACK))?;
        route.request(link::up(UPLINK))
    };
    plug().map_err(refused(|| format!("making a cable for {name}")))?;
    Ok(Place {
        name: name.to_owned(),
        namespace,
        route: Mutex::new(route),
        port,
    })
}

fn give_addresses(route: &mut Socket, number: u32) -> Result<Addresses, Errno> {
    let ipv4 = Ipv4Addr::from(IPV4_NET + number);
    let ipv6 = Ipv6Addr::from(IPV6_NET + u128::from(number));
    route.request(link::address(UPLINK, IpAddr::V4(ipv4), IPV4_PREFIX))?;
    let has_ipv6 = match route.request(link::address(UPLINK, IpAddr::V6(ipv6), IPV6_PREFIX)) {
        Ok(()) => true,
        // Built without it, or switched off (`net.ipv6.conf.default.disable_ipv6`).
        Err(Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::ACCESS | Errno::PERM) => false,
        Err(errno) => return Err(errno),
    };
    Ok(Addresses {
        ipv4,
        ipv6: has_ipv6.then_some(ipv6),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, ends: &[&str]) -> PlaceSpec {
        PlaceSpec {
            name: name.to_owned(),
            ends: ends.iter().map(|end| (*end).to_owned()).collect(),
        }
    }

    #[test]
    fn names_that_stand_twice_are_refused() {
        assert!(check(&[spec("feed", &["feed"]), spec("load", &["refresh", "browse"])]).is_ok());
        let twice = check(&[spec("feed", &["feed"]), spec("feed", &[])]).unwrap_err();
        assert!(twice.to_string().contains("two `feed`"), "{twice}");
        let twice = check(&[spec("a", &["x"]), spec("b", &["x"])]).unwrap_err();
        assert!(twice.to_string().contains("two `x`"), "{twice}");
    }
}
