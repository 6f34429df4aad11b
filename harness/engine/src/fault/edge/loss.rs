//! `loss`: datagrams do not arrive; in an isolated network packets, whatever they are of.

super::datagram::of_datagrams! {
    /// Loses a share of the packets of an edge.
    Loss, "loss", "loses packets of an edge", Loss, &[super::DATAGRAM_PROXY, crate::fault::packet::PACKETS],
    "streams lose no bytes but with packets: write `network: isolated`, or use `partition`"
}
