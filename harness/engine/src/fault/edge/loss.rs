//! `loss`: datagrams do not arrive.

super::datagram::of_datagrams! {
    /// Loses a share of the datagrams of an edge.
    Loss, "loss", "loses datagrams of an edge", Loss,
    "streams lose no bytes but with packets: write `network: isolated`, or use `partition`"
}
