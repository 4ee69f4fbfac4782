//! PostgreSQL: a database of the collector's own, by URL.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use tokio::io::AsyncReadExt as _;

use crate::StoreError;
use crate::config::{PostgresPlace, StoreTls};

/// Connections: one for baselines, one for findings.
const CONNECTIONS: u32 = 2;
/// How long an operation waits for a connection, the time to open one included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How a store shows in `pg_stat_activity`.
const APPLICATION_NAME: &str = "dbintel store";
/// Where systems keep the roots they trust.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/usr/local/etc/ssl/cert.pem",
];
/// Bytes of a file of roots.
const PEM_MAX_BYTES: u64 = 4 << 20;

/// Connections that are opened when they are needed.
pub(crate) async fn pool(place: &PostgresPlace) -> Result<PgPool, StoreError> {
    let unreadable =
        || StoreError::Open { place: place.host.clone(), reason: "the URL cannot be read".to_owned() };
    let options = PgConnectOptions::from_str(place.url.expose())
        .map_err(|_| unreadable())?
        .application_name(APPLICATION_NAME)
        // Transaction poolers have neither prepared statements nor this parameter.
        .statement_cache_capacity(0)
        .extra_float_digits(None)
        .disable_statement_logging();
    let options = match &place.password {
        Some(password) => options.password(password.expose()),
        None => options,
    };
    let options = match &place.tls {
        StoreTls::Off => options.ssl_mode(PgSslMode::Disable),
        StoreTls::Unverified => options.ssl_mode(PgSslMode::Require),
        StoreTls::Verified(ca_file) => {
            verified(options.ssl_mode(PgSslMode::VerifyFull), ca_file.as_deref()).await?
        }
    };
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

async fn verified(options: PgConnectOptions, ca_file: Option<&Path>) -> Result<PgConnectOptions, StoreError> {
    let system = || SYSTEM_ROOTS.iter().map(Path::new).find(|file| file.is_file());
    // A machine without roots of its own: those that are compiled in.
    let Some(file) = ca_file.or_else(system) else { return Ok(options) };
    let complaint = |reason: String| StoreError::Open { place: file.display().to_string(), reason };
    let reading = async {
        let mut text = Vec::new();
        let file = tokio::fs::File::open(file).await?;
        file.take(PEM_MAX_BYTES + 1).read_to_end(&mut text).await.map(|_| text)
    };
    let text = reading.await.map_err(|error| complaint(format!("tls.ca_file cannot be read: {error}")))?;
    if text.len() as u64 > PEM_MAX_BYTES {
        return Err(complaint(format!("tls.ca_file has more than {PEM_MAX_BYTES} bytes")));
    }
    Ok(options.ssl_root_cert_from_pem(text))
}
