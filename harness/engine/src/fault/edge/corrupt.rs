//! `corrupt`: datagrams arrive with a bit flipped.

super::datagram::of_datagrams! {
    /// Flips a bit in a share of the datagrams of an edge; their checksums are right.
    Corrupt, "corrupt", "flips a bit in datagrams of an edge", Corrupt, &[super::DATAGRAM_PROXY],
    "of HTTP/1.1, `http` with `body` changes what is answered"
}
