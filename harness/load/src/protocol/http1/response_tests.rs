//! Tests of reading HTTP/1.1 answers, whole, in pieces and broken.

use super::*;
use proptest::prelude::*;

const BODIES: Keep = Keep {
    fields: false,
    body: true,
};

/// An owned copy of what the decoder said.
type Decoded = Result<Vec<(u16, Vec<u8>, bool, bool)>, Malformed>;

/// Decodes `bytes`, cut at `cuts`, as one response after another, then the end of the stream.
fn decode(head_only: bool, keep: Keep, bytes: &[u8], cuts: &[usize]) -> Decoded {
    let mut decoder = Decoder::new(head_only, keep);
    let mut responses = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|&cut| cut < bytes.len()).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        while start < end {
            let (used, response) = decoder.receive(&bytes[start..end])?;
            start += used;
            if let Some(Response {
                status,
                body,
                whole,
                reusable,
                ..
            }) = response
            {
                responses.push((status, body.to_vec(), whole, reusable));
                decoder.reset();
            } else {
                assert_eq!(start, end, "bytes left without a response");
            }
        }
    }
    if let Some(Response {
        status,
        body,
        whole,
        reusable,
        ..
    }) = decoder.end()
    {
        responses.push((status, body.to_vec(), whole, reusable));
    }
    Ok(responses)
}

fn check(bytes: &str, expected: &[(u16, &str, bool)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|&(s, body, reuse)| (s, body.as_bytes().to_vec(), true, reuse))
        .collect();
    assert_eq!(
        decode(false, BODIES, bytes.as_bytes(), &[]).as_ref(),
        Ok(&expected),
        "{bytes:?}"
    );
    for at in 1..bytes.len() {
        assert_eq!(
            decode(false, BODIES, bytes.as_bytes(), &[at]).as_ref(),
            Ok(&expected),
            "{bytes:?} cut at {at}"
        );
    }
    let every: Vec<usize> = (1..bytes.len()).collect();
    assert_eq!(
        decode(false, BODIES, bytes.as_bytes(), &every).as_ref(),
        Ok(&expected),
        "{bytes:?} byte by byte"
    );
}

#[test]
fn bodies_end_where_their_framing_says() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        &[(200, "hello", true)],
    );
    check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &[(200, "", true)]);
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        &[(200, "hello", true)],
    );
    check(
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        &[(200, "abc", true)],
    );
    check(
        "HTTP/1.1 200 OK\r\n\r\nuntil close",
        &[(200, "until close", false)],
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil close",
        &[(200, "until close", false)],
    );
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    check(both, &[(200, "x", true)]);
}

#[test]
fn statuses_without_body_have_none() {
    check(
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n",
        &[(204, "", true), (304, "", true)],
    );
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    check(interim, &[(200, "x", true)]);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(
        decode(true, BODIES, head, &[]),
        Ok(vec![(200, vec![], true, true)])
    );
}

#[test]
fn reuse_follows_version_and_connection_header() {
    check(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        &[(200, "x", false)],
    );
    check(
        "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\nx",
        &[(200, "x", false)],
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        &[(200, "x", false)],
    );
    check(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        &[(200, "x", true)],
    );
}

#[test]
fn only_the_beginning_of_an_errors_body_is_kept() {
    let long = "e".repeat(EXAMPLE_BODY_BYTES + 100);
    let bytes = format!("HTTP/1.1 500 Oh\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let split = decode(false, Keep::default(), bytes.as_bytes(), &[60]).unwrap();
    assert_eq!(
        split,
        [(500, long.as_bytes()[..EXAMPLE_BODY_BYTES].to_vec(), false, true)]
    );
    let fine = decode(
        false,
        Keep::default(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        &[39],
    )
    .unwrap();
    assert_eq!(fine, [(200, vec![], false, true)]);
}

#[test]
fn garbage_and_endless_heads_are_refused() {
    let table = [
        "nonsense\r\n\r\n".to_owned(),
        "HTTP/2 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_MAX as usize + 1),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1)),
    ];
    for bytes in &table {
        let every: Vec<usize> = (1..bytes.len()).collect();
        for cuts in [&[][..], &[5, 30], &every] {
            let got = decode(false, Keep::default(), bytes.as_bytes(), cuts);
            assert!(got.is_err(), "{:?}: {got:?}", &bytes[..bytes.len().min(60)]);
        }
    }
}

fn any_response() -> impl Strategy<Value = String> {
    let body = proptest::collection::vec("[ -~]{0,40}", 0..4);
    (200..600_u16, body, 0..3_u8, "[a-z]{1,20}").prop_map(|(status, chunks, kind, header)| match kind {
        0 => {
            let body = chunks.concat();
            format!("HTTP/1.1 {status} A\r\nX-{header}: y\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }
        1 => {
            let full = chunks.iter().filter(|chunk| !chunk.is_empty());
            let chunks: Vec<String> = full.map(|chunk| format!("{:x};q\r\n{chunk}\r\n", chunk.len())).collect();
            let chunks = chunks.concat();
            format!("HTTP/1.1 {status} A\r\nTransfer-Encoding: Chunked\r\n\r\n{chunks}0\r\nTrailer: {header}\r\n\r\n")
        }
        _ => format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 {header}\r\nConnection: close\r\n\r\n"),
    })
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_responses(
        stream in proptest::collection::vec(any_response(), 1..4),
        cuts in proptest::collection::vec(0..600_usize, 0..12),
    ) {
        let count = stream.len();
        let bytes = stream.concat();
        // A 304 or 204 made up above has no body, whatever its header says: keep to what a server may send.
        prop_assume!(!bytes.contains("HTTP/1.1 304 A") && !bytes.contains("HTTP/1.1 204 A"));
        let whole = decode(false, BODIES, bytes.as_bytes(), &[]);
        prop_assert_eq!(whole.as_ref().map(Vec::len), Ok(count));
        prop_assert_eq!(decode(false, BODIES, bytes.as_bytes(), &cuts), whole);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_depend_on_the_split(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), any::<u8>()], 0..200),
        cut in 0..200_usize,
    ) {
        let mut stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        stream.extend_from_slice(&bytes);
        let whole = decode(false, BODIES, &stream, &[]);
        let split = decode(false, BODIES, &stream, &[cut]);
        prop_assert_eq!(whole.is_ok(), split.is_ok());
        prop_assert!(whole.is_err() || whole == split);
    }
}
