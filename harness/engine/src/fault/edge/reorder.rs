//! `reorder`: datagrams arrive behind the next.

super::datagram::of_datagrams! {
    /// Puts a share of the datagrams of an edge behind the next of their flow, or 100 ms later if none comes.
    Reorder, "reorder", "puts datagrams of an edge behind the next", Reorder, &[super::DATAGRAM_PROXY],
    "the kernel puts a stream back in order; `latency` with `jitter` is what is left of it there"
}
