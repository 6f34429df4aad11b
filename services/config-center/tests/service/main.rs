//! The server and the client over real connections, in this process and in others. One binary, since all share the same support.

mod acknowledged;
mod client;
mod files;
mod foreign;
mod full_disk;
mod process;
mod server;
mod support;
