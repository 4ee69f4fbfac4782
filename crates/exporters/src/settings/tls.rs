//! `tls`: whom to trust, and who we are.

use std::path::PathBuf;

use dbintel_otlp::transport::{self, ClientCertificate};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Unsupported;
use dbintel_config::Checks;

/// Transport security. Certificates and host names are verified unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// No TLS, where the endpoint has no scheme that says so.
    pub insecure: bool,
    /// TLS without checking the server's certificate. Anyone in between can read and change what is sent.
    pub insecure_skip_verify: bool,
    /// Authorities to trust, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// Trust the system's authorities beside those of `ca_file`.
    pub include_system_ca_certs_pool: bool,
    /// Own certificate with its chain, PEM.
    pub cert_file: Option<PathBuf>,
    /// Private key of the own certificate, PEM, not encrypted.
    pub key_file: Option<PathBuf>,
    /// Name that the server's certificate must be for, instead of the endpoint's host.
    pub server_name_override: Option<String>,
    /// Not supported: write the certificates to a file.
    pub ca_pem: Option<Unsupported>,
    /// Not supported: write the certificate to a file.
    pub cert_pem: Option<Unsupported>,
    /// Not supported: write the key to a file.
    pub key_pem: Option<Unsupported>,
    /// Not supported: TLS 1.2 and 1.3 are used.
    pub min_version: Option<Unsupported>,
    /// Not supported: TLS 1.2 and 1.3 are used.
    pub max_version: Option<Unsupported>,
    /// Not supported: the safe ones are used.
    pub cipher_suites: Option<Unsupported>,
    /// Not supported: the safe ones are used.
    pub curve_preferences: Option<Unsupported>,
    /// Not supported: certificates are read when the exporter starts.
    pub reload_interval: Option<Unsupported>,
    /// Not supported.
    pub tpm: Option<Unsupported>,
}

/// The transport's settings. Which endpoint uses them is the endpoint's matter.
pub(crate) fn tls(settings: &TlsSettings, checks: &mut Checks) -> transport::TlsSettings {
    for (field, value) in [
        ("tls.ca_pem", settings.ca_pem),
        ("tls.cert_pem", settings.cert_pem),
        ("tls.key_pem", settings.key_pem),
    ] {
        checks.unsupported(field, value.as_ref(), "write it to a file and name the file");
    }
    for (field, value) in [
        ("tls.min_version", settings.min_version),
        ("tls.max_version", settings.max_version),
        ("tls.cipher_suites", settings.cipher_suites),
        ("tls.curve_preferences", settings.curve_preferences),
    ] {
        checks.unsupported(field, value.as_ref(), "TLS 1.2 and 1.3 with their safe ciphers are used");
    }
    let reload = "certificates are read when the exporter starts; restart dbintel after a change";
    checks.unsupported("tls.reload_interval", settings.reload_interval.as_ref(), reload);
    checks.unsupported("tls.tpm", settings.tpm.as_ref(), "keys are read from files");
    if settings.insecure_skip_verify {
        let risk =
            "the server's certificate is not checked: anyone in between can read and change what is sent";
        checks.notice("tls.insecure_skip_verify", risk);
    }
    transport::TlsSettings {
        ca_file: settings.ca_file.clone(),
        include_system_roots: settings.include_system_ca_certs_pool,
        client: client_certificate(settings, checks),
        server_name_override: settings.server_name_override.clone(),
        skip_verify: settings.insecure_skip_verify,
    }
}

fn client_certificate(settings: &TlsSettings, checks: &mut Checks) -> Option<ClientCertificate> {
    match (&settings.cert_file, &settings.key_file) {
        (Some(cert_file), Some(key_file)) => {
            Some(ClientCertificate { cert_file: cert_file.clone(), key_file: key_file.clone() })
        }
        (None, None) => None,
        (Some(_), None) => {
            checks.error("tls.cert_file", "set key_file too");
            None
        }
        (None, Some(_)) => {
            checks.error("tls.key_file", "set cert_file too");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_can_be_done() {
        let settings: TlsSettings =
            serde_json::from_value(serde_json::json!({"reload_interval": "1m"})).unwrap();
        let mut checks = Checks::default();
        tls(&settings, &mut checks);
        let complaints = checks.finish(Some(())).unwrap_err();
        let told: Vec<&str> = complaints.iter().map(|complaint| complaint.message.as_str()).collect();
        assert!(matches!(told[..], [told] if told.ends_with("restart dbintel after a change")), "{told:?}");
    }
}
