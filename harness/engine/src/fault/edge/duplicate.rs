//! `duplicate`: datagrams arrive twice.

super::datagram::of_datagrams! {
    /// Sends a share of the datagrams of an edge twice, one right after the other.
    Duplicate, "duplicate", "sends datagrams of an edge twice", Duplicate, &[super::DATAGRAM_PROXY],
    "the kernel sorts out what comes twice in a stream; for repeated requests let the load send them"
}
