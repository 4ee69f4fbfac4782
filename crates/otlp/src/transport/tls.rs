//! Whom to trust, and who we are.
//!
//! The crypto provider is named here and nowhere taken from a process-wide default, so nothing depends on who
//! installed one first.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Largest file of certificates or keys that is read.
pub const PEM_BYTES_MAX: u64 = 4 << 20;

/// TLS as configured. Files are read when a client is made.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// Certificates of the authorities to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Trust the system's authorities beside those of `ca_file`.
    pub include_system_roots: bool,
    /// Our own certificate.
    pub client: Option<ClientCertificate>,
    /// Name that the server's certificate must be for, instead of the host of the endpoint.
    pub server_name_override: Option<String>,
    /// Accept every certificate.
    pub skip_verify: bool,
}

/// Our own certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, with its chain.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Why TLS cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any bundle of certificates.
    #[error("{} is larger than {PEM_BYTES_MAX} bytes: is it a PEM file?", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// A file has no certificate in it.
    #[error("{} has no PEM certificate in it", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// A file has no private key in it.
    #[error("{} has no unencrypted PEM private key in it", path.display())]
    NoKey {
        /// Which.
        path: PathBuf,
    },
    /// The system trusts nobody.
    #[error("no trusted certificates found on this system: install ca-certificates, or set ca_file")]
    NoSystemRoots,
    /// Certificate and key cannot be used.
    #[error("the certificate {} and its key cannot be used", path.display())]
    Client {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The name is no server name.
    #[error("server_name_override is not a host name or an IP address")]
    ServerName,
    /// The crypto provider has no protocol version in common with us.
    #[error("TLS is not available in this build")]
    Provider(#[source] rustls::Error),
}

/// Accepts every certificate. Signatures are still checked, so that the peer has the key it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

// === impl TlsSettings ===

impl TlsSettings {
    /// Reads the files and makes rustls' configuration.
    pub(super) fn load(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?;
        let builder = if self.skip_verify {
            let verifier = Arc::new(AcceptAny(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let Some(client) = &self.client else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(&client.cert_file)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&client.key_file)?);
        let key = key.map_err(|_| TlsError::NoKey { path: client.key_file.clone() })?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|source| TlsError::Client { path: client.cert_file.clone(), source })
    }

    /// For endpoints without TLS: reads nothing, trusts nobody.
    pub(super) fn trust_nobody() -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?;
        Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }

    pub(super) fn server_name(&self) -> Result<Option<ServerName<'static>>, TlsError> {
        let name = self.server_name_override.clone().map(ServerName::try_from);
        name.transpose().map_err(|_| TlsError::ServerName)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if self.ca_file.is_none() || self.include_system_roots {
            // What cannot be parsed is skipped: system stores hold odd certificates.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let Some(path) = &self.ca_file else {
            return if roots.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(roots) };
        };
        let (added, _ignored) = roots.add_parsable_certificates(certificates(path)?);
        if added == 0 {
            return Err(TlsError::NoCertificate { path: path.clone() });
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.unwrap_or_default();
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(failed)?.take(PEM_BYTES_MAX + 1);
    if file.read_to_end(&mut bytes).map_err(failed)? as u64 > PEM_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

// === impl AcceptAny ===

impl ServerCertVerifier for AcceptAny {
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
