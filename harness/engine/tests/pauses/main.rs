//! Pauses as they are read from the output of real programs and seen of real processes.
//!
//! A program that stops its own threads says by its own account for how long: what is read must find at least 95 % of the
//! pauses over 5 ms, with lengths within 10 %. The recorded logs are of such programs; where `go` and `java` are installed,
//! they are run again.

mod account;
mod live;
mod recorded;
mod stop;
