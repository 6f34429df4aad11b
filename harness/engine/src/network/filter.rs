//! Rules of the packet filter and their counters: `nf_tables` by netlink, as `linux/netfilter/nf_tables.h` lays it out.
//!
//! One table of the bridge's family in the hub's namespace, in which every packet from one end to another is forwarded. A
//! rule names its ends by their addresses, once for each family. Neighbour discovery and ARP pass always: they are what makes the
//! bridge a network, and a partition cuts what travels over it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;
use rustix::net::netlink;

use super::netlink::{CREATE, Message, Socket, attribute, attributes};

const TABLE: &str = "squall";

const APPEND: u16 = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;

const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

/// `NF_ACCEPT`, `NF_DROP`
const ACCEPT: u32 = 1;
const DROP: u32 = 0;

/// Where parts of a header are, in bytes.
const IPV4_ADDRESSES_AT: u32 = 12;
const IPV6_NEXT_HEADER_AT: u32 = 6;
const IPV6_SOURCE_AT: u32 = 8;
const IPV6_DESTINATION_AT: u32 = 24;

const ICMPV6: u8 = 58;

/// How finely a share of packets is told.
const SHARE_PARTS: u32 = 1_000_000;

/// A chain, in the order in which packets pass them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Chain {
    /// Counts what is on its way.
    Seen,
    /// Counts and drops.
    Dropped,
}

impl Chain {
    const ALL: [Self; 2] = [Self::Seen, Self::Dropped];

    fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Dropped => "dropped",
        }
    }

    /// Below -1, where the kernel's bridge-netfilter takes packets out of the bridge's hooks, to put them back after 0.
    fn priority(self) -> i32 {
        match self {
            Self::Seen => -20,
            Self::Dropped => -10,
        }
    }
}

/// Packets and their bytes, as the kernel counts them: what travels in one piece through the kernel, which may be several
/// segments of TCP, is one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets.
    pub packets: u64,
    /// Their bytes, headers of the internet protocol included.
    pub bytes: u64,
}

/// The addresses of an end; without the second one where the machine has no IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Option<Ipv6Addr>,
}

/// The packet filter of one namespace.
#[derive(Debug)]
pub(super) struct Filter {
    socket: Socket,
    last: u32,
}

impl Filter {
    /// The filter of the namespace in which the calling thread is, empty.
    pub(super) fn open() -> io::Result<Self> {
        let mut filter = Self {
            socket: Socket::open(Some(netlink::NETFILTER))?,
            last: 0,
        };
        filter.transaction(foundation())?;
        Ok(filter)
    }

    /// Adds a rule for packets between two ends; `share` of them, if it is below 1. Returns its number.
    pub(super) fn add(
        &mut self,
        chain: Chain,
        from: Addresses,
        to: Addresses,
        share: f64,
    ) -> Result<u32, Errno> {
        self.last += 1;
        let number = self.last;
        self.transaction(rules(chain, number, from, to, share))?;
        Ok(number)
    }

    /// Removes a rule; `ENOENT` if it is gone already.
    pub(super) fn remove(&mut self, chain: Chain, number: u32) -> Result<(), Errno> {
        let found = self.rules(chain)?;
        let of_rule = found.iter().filter(|rule| rule.label == label(number));
        let remove = of_rule.map(|rule| {
            let message = Message::new(kind(libc::NFT_MSG_DELRULE), 0, &header(0));
            let message = message
                .with_text(RULE_TABLE, TABLE)
                .with_text(RULE_CHAIN, chain.name());
            message.with(RULE_HANDLE, &rule.handle)
        });
        let remove: Vec<_> = remove.collect();
        if remove.is_empty() {
            return Err(Errno::NOENT);
        }
        self.transaction(remove)
    }

    /// What a rule has counted, both families together; `None` if it is gone.
    pub(super) fn counts(&mut self, chain: Chain, number: u32) -> Result<Option<PacketCounts>, Errno> {
        let found = self.rules(chain)?;
        let of_rule = found.iter().filter(|rule| rule.label == label(number));
        Ok(of_rule.map(|rule| rule.counts).reduce(|one, other| PacketCounts {
            packets: one.packets + other.packets,
            bytes: one.bytes + other.bytes,
        }))
    }

    fn rules(&mut self, chain: Chain) -> Result<Vec<Rule>, Errno> {
        let named = [(RULE_TABLE, TABLE), (RULE_CHAIN, chain.name())];
        let entries = self
            .socket
            .list(kind(libc::NFT_MSG_GETRULE), &header(0), &named)?;
        Ok(entries.iter().filter_map(|entry| Rule::read(entry)).collect())
    }

    /// All of it or nothing.
    fn transaction(&mut self, messages: Vec<Message>) -> Result<(), Errno> {
        self.socket.batch(transaction(messages))
    }
}

/// Messages as one piece that the kernel carries out as a whole.
pub(super) fn transaction(messages: Vec<Message>) -> Vec<Message> {
    let edge = |kind: i32| Message::new(kind as u16, 0, &header(libc::NFNL_SUBSYS_NFTABLES as u16)).silent();
    let mut all = vec![edge(libc::NFNL_MSG_BATCH_BEGIN)];
    all.extend(messages);
    all.push(edge(libc::NFNL_MSG_BATCH_END));
    all
}

/// The table and its chains.
pub(super) fn foundation() -> Vec<Message> {
    let table = Message::new(kind(libc::NFT_MSG_NEWTABLE), CREATE, &header(0)).with_text(TABLE_NAME, TABLE);
    let chains = Chain::ALL.map(|chain| {
        Message::new(kind(libc::NFT_MSG_NEWCHAIN), CREATE, &header(0))
            .with_text(CHAIN_TABLE, TABLE)
            .with_text(CHAIN_NAME, chain.name())
            .nest(CHAIN_HOOK, |hook| {
                let hook = number(hook, HOOK_NUMBER, libc::NF_BR_FORWARD as u32);
                hook.with(HOOK_PRIORITY, &chain.priority().to_be_bytes())
            })
            .with(CHAIN_POLICY, &ACCEPT.to_be_bytes())
            .with_text(CHAIN_TYPE, "filter")
    });
    std::iter::once(table).chain(chains).collect()
}

/// One rule for each family that both ends have.
pub(super) fn rules(chain: Chain, id: u32, from: Addresses, to: Addresses, share: f64) -> Vec<Message> {
    let parts = (share * f64::from(SHARE_PARTS)).round() as u32;
    let rule = |matches: &dyn Fn(Message) -> Message| {
        Message::new(kind(libc::NFT_MSG_NEWRULE), APPEND, &header(0))
            .with_text(RULE_TABLE, TABLE)
            .with_text(RULE_CHAIN, chain.name())
            .nest(RULE_EXPRESSIONS, |list| {
                let mut list = matches(list);
                if parts < SHARE_PARTS {
                    list = one_in(list, parts);
                }
                list = expression(list, "counter", |data| data);
                match chain {
                    Chain::Seen => list,
                    Chain::Dropped => drop_it(list),
                }
            })
            .with(RULE_USERDATA, &label(id))
    };
    let mut all = vec![rule(&|list| {
        let list = is_protocol(list, libc::ETH_P_IP as u16);
        let addresses = [from.ipv4.octets(), to.ipv4.octets()].concat();
        header_is(list, IPV4_ADDRESSES_AT, libc::NFT_CMP_EQ, &addresses)
    })];
    if let (Some(from), Some(to)) = (from.ipv6, to.ipv6) {
        all.push(rule(&|list| {
            let list = is_protocol(list, libc::ETH_P_IPV6 as u16);
            let list = header_is(list, IPV6_NEXT_HEADER_AT, libc::NFT_CMP_NEQ, &[ICMPV6]);
            let list = header_is(list, IPV6_SOURCE_AT, libc::NFT_CMP_EQ, &from.octets());
            header_is(list, IPV6_DESTINATION_AT, libc::NFT_CMP_EQ, &to.octets())
        }));
    }
    all
}

/// How a rule is found again, and what nft(8) shows of it: a comment.
fn label(id: u32) -> Vec<u8> {
    const COMMENT: u8 = 0;
    let text = format!("squall {id}\0");
    [&[COMMENT, text.len() as u8], text.as_bytes()].concat()
}

/// `struct nfgenmsg`.
fn header(resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [libc::NFPROTO_BRIDGE as u8, libc::NFNETLINK_V0 as u8, high, low]
}

fn kind(message: i32) -> u16 {
    ((libc::NFNL_SUBSYS_NFTABLES << 8) | message) as u16
}

/// Numbers of `nf_tables` are in the network's byte order.
fn number(message: Message, kind: u16, value: u32) -> Message {
    message.with(kind, &value.to_be_bytes())
}

fn expression(list: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    list.nest(LIST_ELEMENT, |element| {
        element
            .with_text(EXPRESSION_NAME, name)
            .nest(EXPRESSION_DATA, data)
    })
}

const REGISTER: u32 = libc::NFT_REG_1 as u32;

/// Goes on if the register compares so with `value`.
fn compare(list: Message, operation: i32, value: &[u8]) -> Message {
    const SOURCE: u16 = 1;
    const OPERATION: u16 = 2;
    const DATA: u16 = 3;
    const VALUE: u16 = 1;
    expression(list, "cmp", |data| {
        let data = number(data, SOURCE, REGISTER);
        let data = number(data, OPERATION, operation as u32);
        data.nest(DATA, |data| data.with(VALUE, value))
    })
}

/// Goes on if the packet's protocol is this one of Ethernet's.
fn is_protocol(list: Message, protocol: u16) -> Message {
    const DESTINATION: u16 = 1;
    const KEY: u16 = 2;
    let list = expression(list, "meta", |data| {
        let data = number(data, DESTINATION, REGISTER);
        number(data, KEY, libc::NFT_META_PROTOCOL as u32)
    });
    compare(list, libc::NFT_CMP_EQ, &protocol.to_be_bytes())
}

/// Goes on if the bytes at `offset` of the internet protocol's header compare so.
fn header_is(list: Message, offset: u32, operation: i32, value: &[u8]) -> Message {
    const DESTINATION: u16 = 1;
    const BASE: u16 = 2;
    const OFFSET: u16 = 3;
    const LENGTH: u16 = 4;
    let list = expression(list, "payload", |data| {
        let data = number(data, DESTINATION, REGISTER);
        let data = number(data, BASE, libc::NFT_PAYLOAD_NETWORK_HEADER as u32);
        let data = number(data, OFFSET, offset);
        number(data, LENGTH, value.len() as u32)
    });
    compare(list, operation, value)
}

/// Goes on for so many of a million packets, drawn by the kernel.
fn one_in(list: Message, parts: u32) -> Message {
    const DESTINATION: u16 = 1;
    const MODULUS: u16 = 2;
    const TYPE: u16 = 3;
    let list = expression(list, "numgen", |data| {
        let data = number(data, DESTINATION, REGISTER);
        let data = number(data, MODULUS, SHARE_PARTS);
        number(data, TYPE, libc::NFT_NG_RANDOM as u32)
    });
    // It is drawn in this machine's byte order and compared byte by byte.
    let list = expression(list, "byteorder", |data| {
        let values = [REGISTER, REGISTER, libc::NFT_BYTEORDER_HTON as u32, 4, 4];
        (1..)
            .zip(values)
            .fold(data, |data, (kind, value)| number(data, kind, value))
    });
    compare(list, libc::NFT_CMP_LT, &parts.to_be_bytes())
}

fn drop_it(list: Message) -> Message {
    const DESTINATION: u16 = 1;
    const DATA: u16 = 2;
    const VERDICT: u16 = 2;
    const CODE: u16 = 1;
    expression(list, "immediate", |data| {
        let data = number(data, DESTINATION, libc::NFT_REG_VERDICT as u32);
        data.nest(DATA, |data| {
            data.nest(VERDICT, |verdict| number(verdict, CODE, DROP))
        })
    })
}

/// A rule as the kernel tells of it.
#[derive(Debug)]
struct Rule {
    label: Vec<u8>,
    handle: [u8; 8],
    counts: PacketCounts,
}

impl Rule {
    fn read(entry: &[u8]) -> Option<Self> {
        let entry = entry.get(header(0).len()..)?;
        let of = |kind| attribute(entry, kind);
        let counter = attributes(of(RULE_EXPRESSIONS)?).find_map(|(_, element)| {
            let is_counter = attribute(element, EXPRESSION_NAME)? == b"counter\0";
            is_counter.then(|| attribute(element, EXPRESSION_DATA))?
        })?;
        let count = |kind| Some(u64::from_be_bytes(attribute(counter, kind)?.try_into().ok()?));
        Some(Self {
            label: of(RULE_USERDATA)?.to_vec(),
            handle: of(RULE_HANDLE)?.try_into().ok()?,
            counts: PacketCounts {
                packets: count(COUNTER_PACKETS)?,
                bytes: count(COUNTER_BYTES)?,
            },
        })
    }
}
