//! The protocols that a load can speak, as a scenario writes them: a file and a line here for each.

mod framed;
mod http;
mod journey;
mod live;

use std::sync::Arc;

use squall_model::decode::{Decode as _, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::node::Node;

pub use framed::{Tcp, Udp};
pub use http::{HeaderName, Http};
pub use journey::Routes;
pub use live::{Sse, Ws};

use super::data::Data;

/// One protocol.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Its key in a load.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Reads what is asked in it; placeholders are looked up in the load's data.
    pub decode: fn(&Node, &mut Data, &mut Diagnostics) -> Option<Asked>,
    /// The schema of that.
    pub schema: fn() -> Schema,
}

/// Every protocol.
pub static PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "http",
        about: "HTTP/1.1 with keep-alive, or HTTP/2 with many requests at once; also over TLS and unix sockets",
        decode: http::decode,
        schema: Http::schema,
    },
    Protocol {
        name: "tcp",
        about: "A message and its answer over TCP, framed by lines, lengths or a fixed size",
        decode: framed::decode_tcp,
        schema: Tcp::schema,
    },
    Protocol {
        name: "udp",
        about: "A datagram and the next one back",
        decode: framed::decode_udp,
        schema: Udp::schema,
    },
    Protocol {
        name: "ws",
        about: "WebSocket: a message and the next one back, or connections that stay open",
        decode: live::decode_ws,
        schema: Ws::schema,
    },
    Protocol {
        name: "sse",
        about: "Server-sent events: streams that stay open, or the first few events of one",
        decode: live::decode_sse,
        schema: Sse::schema,
    },
    Protocol {
        name: "journey",
        about: "Users who take several HTTP steps in turn, with pauses between",
        decode: journey::decode,
        schema: Routes::schema,
    },
];

/// What a load asks, in whatever protocol.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What the generator is given.
    pub protocol: Arc<dyn squall_load::Protocol>,
    /// In a few words, such as `GET /id`.
    pub shown: String,
    /// The path that is asked for with its query, in a protocol that has paths.
    pub path: Option<String>,
    /// A request opens a connection and whoever asked stays on it, so only users can ask.
    pub holds: bool,
}
