//! `tcp:` and `udp:`: a message and its answer, without a protocol around them.

use std::num::NonZeroU32;
use std::sync::Arc;

use squall_load::framed::{Frame, Message};
use squall_model::decode::Decode as _;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::node::Node;
use squall_model::placeholder::Template;
use squall_model::span::Spanned;
use squall_model::{choice, record};

use super::Asked;
use crate::plan::data::Data;

record! {
    /// A message over TCP, and where the answer ends.
    pub struct Tcp {
        /// What is sent, without its frame.
        pub send: Spanned<Template>,
        /// Where messages end, in both directions; at a line feed if left out.
        pub frame: Option<Spanned<FrameKind>>,
        /// How many bytes an answer has, with `frame: fixed`.
        pub size: Option<Spanned<NonZeroU32>>,
    }
    needs ["size", "frame"];
}

choice! {
    /// Where a message ends.
    pub enum FrameKind {
        /// At a line feed, which is added to what is sent.
        Line = "line",
        /// After as many bytes as a number of one byte before it says.
        Length8 = "length-8",
        /// The same with two bytes, the highest first.
        Length16 = "length-16",
        /// The same with four bytes, the highest first.
        Length32 = "length-32",
        /// The same with two bytes, the lowest first.
        Length16Le = "length-16-le",
        /// The same with four bytes, the lowest first.
        Length32Le = "length-32-le",
        /// After `size` bytes.
        Fixed = "fixed",
    }
}

record! {
    /// A message in a UDP datagram; the answer is the next datagram back.
    pub struct Udp {
        /// What is sent.
        pub send: Spanned<Template>,
    }
}

/// Reads what a load asks over TCP.
pub(super) fn decode_tcp(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let tcp = Tcp::decode(node, diagnostics)?;
    let kind = tcp.frame.map_or(FrameKind::Line, |frame| frame.value);
    let length = |bytes, little_endian| Frame::Length { bytes, little_endian };
    let frame = match (kind, tcp.size) {
        (FrameKind::Fixed, Some(size)) => Frame::Fixed(size.get() as usize),
        (FrameKind::Fixed, None) => {
            let error = Diagnostic::error(tcp.frame?.span, "`fixed` needs the size of an answer");
            diagnostics.push(error.help("add `size: 16`"));
            return None;
        }
        (_, Some(size)) => {
            let error = Diagnostic::error(size.span, "only `frame: fixed` has a `size`");
            diagnostics.push(error.help("leave it out, or write `frame: fixed`"));
            return None;
        }
        (FrameKind::Line, None) => Frame::Line,
        (FrameKind::Length8, None) => length(1, false),
        (FrameKind::Length16, None) => length(2, false),
        (FrameKind::Length32, None) => length(4, false),
        (FrameKind::Length16Le, None) => length(2, true),
        (FrameKind::Length32Le, None) => length(4, true),
    };
    asked("TCP", &tcp.send, frame, data, diagnostics)
}

/// Reads what a load asks over UDP.
pub(super) fn decode_udp(node: &Node, data: &mut Data, diagnostics: &mut Diagnostics) -> Option<Asked> {
    let udp = Udp::decode(node, diagnostics)?;
    asked("UDP", &udp.send, Frame::Datagram, data, diagnostics)
}

fn asked(
    over: &str,
    send: &Spanned<Template>,
    frame: Frame,
    data: &mut Data,
    diagnostics: &mut Diagnostics,
) -> Option<Asked> {
    let found = diagnostics.error_count();
    let message = Message {
        send: data.text(&send.value, diagnostics),
        feeds: data.feeds(),
        frame,
    };
    if let Err(problem) = message.check() {
        diagnostics.push(Diagnostic::error(send.span, problem));
    }
    if diagnostics.error_count() > found {
        return None;
    }
    Some(Asked {
        shown: format!("a message over {over}"),
        path: None,
        holds: false,
        protocol: Arc::new(message),
    })
}
