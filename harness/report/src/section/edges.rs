//! What the proxies between callers and callees saw, over the whole run.

use squall_model::record::EdgeRecord;

use super::Detail;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let edges = &recording.record.edges;
    if edges.is_empty() {
        return Vec::new();
    }
    let redirects = edges.iter().any(|edge| edge.redirected.is_some());
    let mut columns = vec![
        Column::left("Edge", 0),
        Column::right("Connections", 0),
        Column::right("Most per second", 2),
        Column::right("Requests", 0),
        Column::right("Per call", 1),
        Column::right("Bytes", 2),
        Column::right("Longest silence", 1),
    ];
    let mut rows: Vec<_> = edges.iter().map(row).collect();
    if redirects {
        columns.push(Column::right("Redirected", 1));
        for (row, edge) in rows.iter_mut().zip(edges) {
            row.push(redirected(edge));
        }
    }
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        let text = "What the proxy on each edge saw in the whole run. Requests per call are those for each that the caller got \
                    itself; silence is time in which no byte came though a connection was open.";
        blocks.push(Block::Paragraph(text.to_owned()));
        if redirects {
            let text = "Redirected are connects of callers that are told nothing of the proxy and led to it; missed are those of the \
                        caller, to wherever, that squall could not look at or lead.";
            blocks.push(Block::Paragraph(text.to_owned()));
        }
    }
    blocks.push(Block::Table(Table::of(
        "Edges and what crossed them",
        columns,
        rows,
    )));
    blocks
}

fn redirected(edge: &EdgeRecord) -> Cell {
    let count = figure::or_absent(edge.redirected, figure::count);
    match edge.missed {
        None | Some(0) => count.into(),
        Some(missed) => Cell::plain(format!("{count}, {} missed", figure::count(missed))).toned(Tone::Doubt),
    }
}

fn row(edge: &EdgeRecord) -> Vec<Cell> {
    let connections = match edge.connections {
        0 => Cell::plain("never used").toned(Tone::Doubt),
        count => figure::count(count).into(),
    };
    vec![
        format!("{}->{}", edge.caller, edge.callee).into(),
        connections,
        figure::three(edge.connections_per_s_max).into(),
        figure::or_absent(edge.requests, figure::count).into(),
        figure::or_absent(edge.requests_per_call, per_call).into(),
        figure::bytes(edge.bytes as f64).into(),
        figure::or_absent(edge.longest_silence_us, |us| figure::duration(us as f64)).into(),
    ]
}

fn per_call(requests: f64) -> String {
    format!("{requests:.2}")
}
