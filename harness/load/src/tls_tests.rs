//! Both ends in memory: the layer against rustls's own server.

use rustls::{ServerConfig, ServerConnection};

use super::*;

/// An authority and a server's certificate for `localhost` that it signed.
struct Signed {
    authority: rcgen::Certificate,
    config: ServerConfig,
}

fn signed(alpn: &[&[u8]]) -> Signed {
    signed_by("an authority", alpn)
}

fn signed_by(name: &str, alpn: &[&[u8]]) -> Signed {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            own_key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Signed { authority, config }
}

fn client(name: &str, trust: Trust, speaks: &'static [u8]) -> Layer {
    let name = name.into();
    let client = Client::new(&Tls { name, trust }, Some(speaks)).unwrap();
    client.layer().unwrap()
}

/// What the server has to send.
fn sent(server: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Gives bytes to the server; returns what they say.
fn give(server: &mut ServerConnection, mut bytes: &[u8]) -> Result<Vec<u8>, rustls::Error> {
    let mut plain = Vec::new();
    while !bytes.is_empty() {
        server.read_tls(&mut bytes).unwrap();
        server.process_new_packets()?;
        let mut reader = server.reader();
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            plain.extend_from_slice(chunk);
            let count = chunk.len();
            reader.consume(count);
        }
    }
    Ok(plain)
}

/// Shakes hands, the client's bytes coming `step` at a time; returns what the client says of it, and what the server then sends.
fn shake(layer: &mut Layer, server: &mut ServerConnection, step: usize) -> Result<(), String> {
    let mut plain = Vec::new();
    for _ in 0..4 {
        let mut out = Vec::new();
        layer.seal(&[], &mut out).unwrap();
        let _ = give(server, &out);
        for piece in sent(server).chunks(step) {
            layer.receive(piece, &mut plain)?;
        }
    }
    assert!(plain.is_empty());
    layer.check_agreed()
}

#[test]
fn bytes_may_be_split_anywhere() {
    let signed = signed(&[b"http/1.1"]);
    let config = Arc::new(signed.config);
    let trust = Trust::Authorities(vec![signed.authority.der().clone()]);
    let body: Vec<u8> = (0..40_000_u32).map(|n| n as u8).collect();
    for step in [1, 2, 3, 5, 7, 64, 1_000, 16_384, 100_000] {
        let mut layer = client("localhost", trust.clone(), b"http/1.1");
        let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
        shake(&mut layer, &mut server, step).unwrap();
        assert!(!layer.is_handshaking() && !layer.has_ended());

        let mut out = Vec::new();
        layer.seal(&body, &mut out).unwrap();
        assert_eq!(give(&mut server, &out).unwrap(), body);

        server.writer().write_all(&body).unwrap();
        server.send_close_notify();
        let mut plain = Vec::new();
        for piece in sent(&mut server).chunks(step) {
            layer.receive(piece, &mut plain).unwrap();
        }
        assert_eq!(plain, body, "{step} bytes at a time");
        assert!(layer.has_ended());
    }
}

#[test]
fn a_certificate_is_judged_by_who_signed_it_and_for_whom() {
    let signed = signed(&[]);
    let config = Arc::new(signed.config);
    let own = Trust::Authorities(vec![signed.authority.der().clone()]);
    let other = Trust::Authorities(vec![signed_by("another", &[]).authority.der().clone()]);
    let said = |name: &str, trust: &Trust| {
        let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut layer = client(name, trust.clone(), b"http/1.1");
        shake(&mut layer, &mut server, 1_000)
    };
    assert_eq!(said("localhost", &own), Ok(()));
    assert_eq!(said("localhost", &Trust::Anyone), Ok(()));
    assert_eq!(said("else.test", &Trust::Anyone), Ok(()));
    let error = said("localhost", &other).unwrap_err();
    assert!(
        error.contains("UnknownIssuer") && error.contains("`ca: FILE`"),
        "{error}"
    );
    let error = said("else.test", &own).unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn a_target_that_does_not_agree_to_the_protocol_is_told_apart() {
    let said = |offers: &[&[u8]], speaks| {
        let signed = signed(offers);
        let mut server = ServerConnection::new(Arc::new(signed.config)).unwrap();
        shake(
            &mut client("localhost", Trust::Anyone, speaks),
            &mut server,
            1_000,
        )
    };
    assert_eq!(said(&[b"h2", b"http/1.1"], b"h2"), Ok(()));
    assert_eq!(said(&[], b"http/1.1"), Ok(()), "HTTP/1.1 goes without saying");
    let error = said(&[], b"h2").unwrap_err();
    assert_eq!(
        error,
        "the target does not speak h2 over TLS (ALPN): it chose nothing"
    );
    let error = said(&[b"http/1.1"], b"h2").unwrap_err();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn what_is_no_tls_is_an_error_and_never_a_panic() {
    let mut layer = client("localhost", Trust::Anyone, b"http/1.1");
    let mut out = Vec::new();
    layer.seal(&[], &mut out).unwrap();
    let error = layer.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut Vec::new());
    assert!(error.unwrap_err().contains("does the target speak TLS"));
    // Its last word is an alert.
    let mut last = Vec::new();
    layer.seal(&[], &mut last).unwrap();
    assert_eq!(last.first(), Some(&21));
}

#[test]
fn a_file_of_authorities_is_read_or_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let said = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let found = Trust::from_file(&path).map_err(|e| e.to_string());
        found.map_err(|text| text.replace(path.to_str().unwrap(), "ca.pem"))
    };
    let signed = signed(&[]);
    let trust = Trust::Authorities(vec![signed.authority.der().clone()]);
    assert_eq!(said(&signed.authority.pem()), Ok(trust));
    let errors = [
        said("nothing"),
        said("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
        said("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"),
    ]
    .map(Result::unwrap_err);
    expect_test::expect![[r"
        ca.pem holds no certificate: it must have one that begins with -----BEGIN CERTIFICATE-----
        reading the certificates in ca.pem: base64 decode error: InvalidCharacter(42); it must be in PEM form
        reading the certificates in ca.pem: a certificate in it is none"]]
    .assert_eq(&errors.join("\n"));
    let missing = Trust::from_file(&folder.path().join("none.pem"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("No such file"), "{missing}");
}

#[test]
fn nothing_else_than_a_host_can_be_certified() {
    let name = "a b".to_owned();
    let trust = Trust::Anyone;
    let error = Client::new(&Tls { name, trust }, None).unwrap_err().to_string();
    assert!(error.contains("neither a host name nor an IP address"), "{error}");
}
