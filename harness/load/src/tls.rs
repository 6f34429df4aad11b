//! TLS between a socket and a protocol: rustls as a state machine that is handed bytes. TLS 1.3 (RFC 8446) and 1.2 (RFC 5246).
//!
//! No I/O here and no clock of its own: ciphertext in, plaintext out, and back. One configuration serves all connections of a load,
//! so that sessions are resumed as any client would resume them.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What a target's TLS needs to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whom the certificate must be for: a host's name, which is also sent (RFC 6066, server name indication), or an IP address.
    pub name: String,
    /// Who may have signed it.
    pub trust: Trust,
}

/// Whose word on a certificate is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this machine trusts.
    Platform,
    /// These authorities alone.
    Authorities(Vec<CertificateDer<'static>>),
    /// Nobody's: any certificate will do. What is sent is encrypted, to whomever.
    Anyone,
}

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the authorities' certificates can't be read.
    #[error("reading the certificates in {path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file without certificates.
    #[error("{path} holds no certificate: it must have one that begins with -----BEGIN CERTIFICATE-----")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The machine trusts nobody.
    #[error(
        "no authority's certificate was found on this machine{why}; name the target's own with `ca: FILE`"
    )]
    NoPlatform {
        /// What went wrong, if anything did.
        why: String,
    },
    /// No certificate can be for this.
    #[error("{0:?} is neither a host name nor an IP address, so no certificate can be for it")]
    Name(String),
    /// rustls refuses.
    #[error("setting up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Whether a certificate can be for the name at all.
    pub fn check_name(&self) -> Result<(), TlsError> {
        self.server_name().map(drop)
    }

    fn server_name(&self) -> Result<ServerName<'static>, TlsError> {
        ServerName::try_from(self.name.clone()).map_err(|_| TlsError::Name(self.name.clone()))
    }
}

impl Trust {
    /// The authorities in a PEM file.
    pub fn from_file(path: &Path) -> Result<Trust, TlsError> {
        let failed = |why: String| TlsError::File {
            path: path.to_owned(),
            why,
        };
        let read = CertificateDer::pem_file_iter(path).map_err(|e| failed(pem_words(&e)))?;
        let found: Vec<CertificateDer<'static>> = read
            .collect::<Result<_, _>>()
            .map_err(|e| failed(pem_words(&e)))?;
        for certificate in &found {
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|_| failed("a certificate in it is none".to_owned()))?;
        }
        if found.is_empty() {
            return Err(TlsError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Trust::Authorities(found))
    }

    /// Whether there is anybody to trust: fails where the machine has no authorities.
    pub fn check(&self) -> Result<(), TlsError> {
        self.roots().map(drop)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match self {
            Trust::Anyone => {}
            Trust::Authorities(certificates) => {
                roots.add_parsable_certificates(certificates.iter().cloned());
            }
            Trust::Platform => {
                let found = rustls_native_certs::load_native_certs();
                // One that can't be parsed is one that nobody can have signed with.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = found.errors.first().map(|error| format!(" ({error})"));
                    return Err(TlsError::NoPlatform {
                        why: why.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(roots)
    }
}

fn pem_words(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error.to_string(),
        other => format!("{other}; it must be in PEM form"),
    }
}

/// How the connections of one load begin TLS.
#[derive(Debug)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    speaks: Option<&'static [u8]>,
}

impl Client {
    /// `speaks`: the protocol that goes inside, by its name in ALPN (RFC 7301).
    pub(crate) fn new(tls: &Tls, speaks: Option<&'static [u8]>) -> Result<Client, TlsError> {
        let name = tls.server_name()?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(tls.trust.roots()?);
        let mut config = builder.with_no_client_auth();
        if tls.trust == Trust::Anyone {
            config
                .dangerous()
                .set_certificate_verifier(Arc::new(TakesAny(provider)));
        }
        config.alpn_protocols = speaks.iter().map(|name| name.to_vec()).collect();
        Ok(Client {
            config: Arc::new(config),
            name,
            speaks,
        })
    }

    /// The state of a new connection.
    pub(crate) fn layer(&self) -> io::Result<Layer> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        Ok(Layer {
            connection: connection.map_err(io::Error::other)?,
            speaks: self.speaks,
            ended: false,
        })
    }
}

/// TLS on one connection.
#[derive(Debug)]
pub(crate) struct Layer {
    connection: ClientConnection,
    speaks: Option<&'static [u8]>,
    ended: bool,
}

impl Layer {
    /// Whether the handshake is not over yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has said that nothing more comes (`close_notify`): without it the end may have been cut off by anybody.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// After the handshake: whether the peer will speak what the load does. One that names nothing speaks HTTP/1.1 (RFC 9113, 3.3).
    pub(crate) fn check_agreed(&self) -> Result<(), String> {
        let agreed = self.connection.alpn_protocol();
        let Some(speaks) = self
            .speaks
            .filter(|speaks| agreed.unwrap_or(b"http/1.1") != *speaks)
        else {
            return Ok(());
        };
        Err(format!(
            "the target does not speak {} over TLS (ALPN): it chose {}",
            String::from_utf8_lossy(speaks),
            agreed.map_or("nothing".into(), String::from_utf8_lossy)
        ))
    }

    /// Takes ciphertext and appends what it says to `plain`, also where an error follows it.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        while !bytes.is_empty() {
            let read = self.connection.read_tls(&mut bytes).map_err(|e| e.to_string())?;
            let state = self.connection.process_new_packets();
            self.read_plain(plain);
            self.ended |= state.map_err(|e| in_words(&e))?.peer_has_closed();
            if read == 0 {
                // After the peer's last word; what follows means nothing.
                return Ok(());
            }
        }
        Ok(())
    }

    fn read_plain(&mut self, plain: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        while let Ok(chunk) = reader.fill_buf()
            && !chunk.is_empty()
        {
            plain.extend_from_slice(chunk);
            let count = chunk.len();
            reader.consume(count);
        }
    }

    /// Appends to `out` what has to be sent: TLS's own messages, and `plain` as ciphertext.
    pub(crate) fn seal(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            while self.connection.wants_write() {
                self.connection.write_tls(out)?;
            }
            if plain.is_empty() {
                return Ok(());
            }
            // Takes as much as its buffer has room for.
            match self.connection.writer().write(plain)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => plain = &plain[taken..],
            }
        }
    }
}

/// rustls's words, with what to do where that is known.
fn in_words(error: &rustls::Error) -> String {
    use rustls::CertificateError::UnknownIssuer;
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            format!("{error}: name the authority that signed it with `ca: FILE`")
        }
        rustls::Error::InvalidMessage(_) => format!("{error}: does the target speak TLS at this port?"),
        error => error.to_string(),
    }
}

/// Takes any certificate for good, but not a handshake that does not fit it.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
