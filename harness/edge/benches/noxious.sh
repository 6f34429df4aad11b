#!/usr/bin/env bash
# Builds noxious's core (crates.io) as a bare proxy beside the benchmark, so that `just bench-proxy` can measure it. Its server is not on
# crates.io; this runs a proxy on the same multi-threaded runtime, without the HTTP API, which carries no bytes.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=target/bench-noxious
mkdir -p "$folder/src"
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "noxious-proxy"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
bmrng = "0.4"
noxious = "=1.0.4"
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
TOML
cat > "$folder/src/main.rs" <<'RUST'
//! `noxious-proxy LISTEN UPSTREAM`: a proxy of noxious without toxics, until it is killed.

use noxious::proxy::{ProxyConfig, ProxyRunner, Runner, Toxics};
use noxious::signal::{Close, Stop};
use noxious::socket::TcpListener;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let config = ProxyConfig {
        name: "bench".to_owned(),
        listen: words[0].clone(),
        upstream: words[1].clone(),
        enabled: true,
        rand_seed: None,
    };
    let (listener, info) = ProxyRunner::initialize_proxy::<TcpListener>(config, Toxics::empty()).await.unwrap();
    let (_sender, receiver) = bmrng::channel(1);
    let (stop, _stopper) = Stop::new();
    let (_close, closer) = Close::new();
    ProxyRunner::run_proxy(listener, info, receiver, stop, closer).await.unwrap();
}
RUST
cargo build --release --manifest-path "$folder/Cargo.toml"
echo "built: $folder/target/release/noxious-proxy"
