//! `squall proxy`: fault proxies in the foreground, told what to do by Toxiproxy's API.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use squall_edge::api::{Api, ApiOptions};
use squall_model::exit::Exit;
use squall_model::seed::Seed;

use crate::arguments::ProxyArguments;
use crate::proxy::{self, Token};
use crate::{output, scenarios, stopping};

/// The longest wait for a Ctrl-C until it is looked for again.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest file of proxies.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Serves until told to stop.
pub fn run(arguments: &ProxyArguments) -> anyhow::Result<Exit> {
    let asked = listener(arguments).and_then(|(listener, token)| {
        let (api, seed) = api(arguments)?;
        Ok((listener, token, api, seed))
    });
    let (listener, token, api, seed) = match asked {
        Ok(asked) => asked,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    make_room();
    let stop = stopping::on_signals()?;
    let address = listener.local_addr().context("asking where the API listens")?;
    let api = Arc::new(api);
    proxy::serve(listener, Arc::clone(&api), token).context("serving the API")?;
    output::note(&format!("proxy: http://{address}, seed {seed}"));
    loop {
        if let Some((signal, exit)) = stopping::told(&stop) {
            output::note(&format!("{signal}: closing all proxies"));
            api.close();
            return Ok(exit);
        }
        std::thread::park_timeout(PATIENCE);
    }
}

/// Takes all the descriptors that it may have: each connection needs two, and nobody says how many there will be. The soft limit exists
/// for programs that use `select`.
fn make_room() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it may not, what is there has to do.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// The API's listener, and the token that it asks for. Listens before any proxy is made.
fn listener(arguments: &ProxyArguments) -> anyhow::Result<(TcpListener, Option<Token>)> {
    let listen = arguments.listen;
    let token = arguments.token.as_deref().map(Token::read).transpose()?;
    if !listen.ip().to_canonical().is_loopback() && token.is_none() {
        bail!(
            "--listen {listen} can be reached from other machines: whoever asks must know a token, which --token gives"
        );
    }
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    Ok((listener, token))
}

/// The API with the proxies of the file, and its seed.
fn api(arguments: &ProxyArguments) -> anyhow::Result<(Api, u64)> {
    let seed = arguments.seed.map_or_else(scenarios::draw_seed, Ok)?;
    let api = Api::start(ApiOptions {
        seed: Seed::new(seed).child("proxy"),
        allowed_hosts: arguments.allow_hosts.clone(),
        is_strict: arguments.strict,
    })?;
    if let Some(path) = &arguments.config {
        let name = path.display();
        let length = fs::metadata(path)
            .with_context(|| format!("reading {name}"))?
            .len();
        if length > CONFIG_BYTES_MAX {
            bail!("{name} is longer than {CONFIG_BYTES_MAX} bytes");
        }
        let json = fs::read(path).with_context(|| format!("reading {name}"))?;
        let warnings = api
            .populate(&json)
            .with_context(|| format!("making the proxies of {name}"))?;
        for warning in warnings {
            output::note(&format!("warning: {name}: {}", output::harmless(&warning)));
        }
    }
    Ok((api, seed))
}
