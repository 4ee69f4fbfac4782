//! Settings of the store.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use dbintel_config::values::{self, Secret};
use dbintel_config::{Checks, Complaint, Validated};
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

const FINDINGS_DAYS: u64 = 90;
const BASELINES_DAYS: u64 = 30;
const AUDIT_DAYS: u64 = 400;
/// The longest that anything can be kept: ten years.
const RETENTION_MAX: Duration = Duration::from_secs(10 * 366 * DAY);
/// The shortest that anything can be kept: what is younger may still be in use.
const RETENTION_MIN: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 3_600;

/// The store as written: `path` of an SQLite file, or `url` of a PostgreSQL database.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// Absolute path of the SQLite file; it and its directory are made if they are not there. On a local disk only: SQLite
    /// cannot be shared over a network file system.
    pub path: Option<PathBuf>,
    /// URL of a PostgreSQL database of the collector's own, `postgresql://user@host:5432/dbintel`. It can be shared by many
    /// collectors. Its role needs to be able to create tables.
    pub url: Option<Secret>,
    /// Password, if it is not in the URL.
    pub password: Option<Secret>,
    /// Transport security, for `url`. The server's certificate is checked unless something else is set.
    pub tls: StoreTlsSettings,
    /// Allows `url` to be a server that is watched. Default: false, since what is watched must not carry our writes.
    pub on_watched_server: bool,
    /// How long things are kept.
    pub retention: RetentionSettings,
}

/// Transport security of the store.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTlsSettings {
    /// No TLS at all.
    pub insecure: bool,
    /// TLS without checking the server's certificate. Anyone in between can read and change what is sent.
    pub insecure_skip_verify: bool,
    /// Roots to trust, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
}

/// How long things are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Findings that are closed, since their last change. Default: 2160h (90 days). Open findings are kept.
    pub findings: Option<values::Duration>,
    /// Baselines, since they were written last. Default: 720h (30 days).
    pub baselines: Option<values::Duration>,
    /// Decisions and outcomes. Default: 9600h (400 days).
    pub audit: Option<values::Duration>,
}

/// The store, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where it is.
    pub place: Place,
    /// How long things are kept.
    pub retention: Retention,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresPlace),
}

/// A PostgreSQL database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPlace {
    /// The URL, without a password of its own where `password` is set.
    pub url: Secret,
    /// The password, if it is not in the URL.
    pub password: Option<Secret>,
    /// Transport security.
    pub tls: StoreTls,
    /// Host and port, for messages and to compare with servers that are watched.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it may be a server that is watched.
    pub on_watched_server: bool,
}

/// Transport security.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreTls {
    /// None.
    Off,
    /// TLS with any certificate.
    Unverified,
    /// TLS with a certificate for the host, by these roots or the system's.
    Verified(Option<PathBuf>),
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Closed findings.
    pub findings: Duration,
    /// Baselines.
    pub baselines: Duration,
    /// Decisions and outcomes.
    pub audit: Duration,
}

// === impl StoreSettings ===

impl StoreSettings {
    /// Checks the settings. Pure: no file, no network.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn validate(&self) -> Result<Validated<StoreConfig>, Vec<Complaint>> {
        let mut checks = Checks::default();
        let place = self.place(&mut checks);
        let retention = Retention {
            findings: kept(&mut checks, "retention.findings", self.retention.findings, FINDINGS_DAYS),
            baselines: kept(&mut checks, "retention.baselines", self.retention.baselines, BASELINES_DAYS),
            audit: kept(&mut checks, "retention.audit", self.retention.audit, AUDIT_DAYS),
        };
        checks.finish(place.map(|place| StoreConfig { place, retention }))
    }

    fn place(&self, checks: &mut Checks) -> Option<Place> {
        match (&self.path, &self.url) {
            (Some(_), Some(_)) => {
                checks.error("url", "path and url are two stores; set one of them");
                None
            }
            (None, None) => {
                checks.error("path", "set path to a file, or url to a PostgreSQL database");
                None
            }
            (Some(path), None) => {
                if !path.is_absolute() || path.file_name().is_none() {
                    checks.error("path", "expected an absolute path of a file");
                }
                checks.ignored("password", self.password.as_ref(), "an SQLite file has none");
                Some(Place::Sqlite(path.clone()))
            }
            (None, Some(url)) => self.postgres(checks, url).map(Place::Postgres),
        }
    }

    fn postgres(&self, checks: &mut Checks, url: &Secret) -> Option<PostgresPlace> {
        let scheme = ["postgresql://", "postgres://"].iter().any(|scheme| url.expose().starts_with(scheme));
        // An error of the parser could repeat the password.
        let options = PgConnectOptions::from_str(url.expose()).ok().filter(|_| scheme);
        let Some(options) = options else {
            checks.error("url", "expected a URL such as postgresql://user@host:5432/database");
            return None;
        };
        if options.get_database().is_none() {
            checks.error("url", "names no database; end it with /dbintel or the like");
        }
        if url.expose().contains("sslmode=") {
            checks.error("url", "TLS is set by tls, not by sslmode");
        }
        let socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        let tls = if self.tls.insecure || socket {
            StoreTls::Off
        } else if self.tls.insecure_skip_verify {
            checks
                .notice("tls.insecure_skip_verify", "anyone between us and the store can read and change it");
            StoreTls::Unverified
        } else {
            StoreTls::Verified(self.tls.ca_file.clone())
        };
        Some(PostgresPlace {
            url: url.clone(),
            password: self.password.clone(),
            tls,
            host: options.get_host().to_owned(),
            port: options.get_port(),
            on_watched_server: self.on_watched_server,
        })
    }
}

fn kept(checks: &mut Checks, field: &str, written: Option<values::Duration>, days: u64) -> Duration {
    let kept = written.map_or(Duration::from_secs(days * DAY), values::Duration::get);
    if !(RETENTION_MIN..=RETENTION_MAX).contains(&kept) {
        checks.error(field, "expected a duration from 24h to 87840h (ten years)");
    }
    kept
}

// === impl StoreConfig ===

impl StoreConfig {
    /// Whether the store would be on this watched server, and nobody has allowed that. Names are compared as written.
    #[must_use]
    pub fn is_forbidden_on(&self, address: &str, port: u16) -> bool {
        match &self.place {
            Place::Sqlite(_) => false,
            Place::Postgres(place) => {
                !place.on_watched_server && place.host.eq_ignore_ascii_case(address) && place.port == port
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(place) => write!(f, "postgresql://{}:{}", place.host, place.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(yaml: &str) -> Result<Validated<StoreConfig>, Vec<String>> {
        let settings: StoreSettings = dbintel_config::from_yaml(yaml).unwrap();
        settings.validate().map_err(|errors| errors.into_iter().map(|error| error.field).collect())
    }

    fn postgres(yaml: &str) -> PostgresPlace {
        match validate(yaml).unwrap().config.place {
            Place::Postgres(place) => place,
            Place::Sqlite(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn a_path_is_all_an_sqlite_store_needs() {
        let config = validate("path: /var/lib/dbintel/dbintel.db").unwrap().config;
        assert_eq!(config.place, Place::Sqlite("/var/lib/dbintel/dbintel.db".into()));
        assert_eq!(config.retention.findings, Duration::from_secs(90 * DAY));
        assert!(!config.is_forbidden_on("db", 5432));
    }

    #[test]
    fn a_postgresql_store_is_reached_with_verified_tls() {
        let place = postgres("url: postgresql://dbintel@state:6432/dbintel");
        assert_eq!((place.tls, place.host.as_str(), place.port), (StoreTls::Verified(None), "state", 6432));
        let place = postgres("{url: 'postgres://u@h/d', tls: {insecure_skip_verify: true}}");
        assert_eq!(place.tls, StoreTls::Unverified);
        let place = postgres("{url: 'postgres://u@h/d?host=/run/postgresql'}");
        assert_eq!(place.tls, StoreTls::Off);
    }

    #[test]
    fn the_watched_server_is_refused_unless_it_is_allowed() {
        let config =
            |more: &str| validate(&format!("{{url: 'postgresql://u@DB:5432/d'{more}}}")).unwrap().config;
        assert!(config("").is_forbidden_on("db", 5432));
        assert!(!config("").is_forbidden_on("db", 5433));
        assert!(!config(", on_watched_server: true").is_forbidden_on("db", 5432));
    }

    #[test]
    fn wrong_settings_are_named() {
        let fields = |yaml| validate(yaml).unwrap_err();
        assert_eq!(fields("{}"), ["path"]);
        assert_eq!(fields("{path: a.db}"), ["path"]);
        assert_eq!(fields("{path: /a.db, url: 'postgresql://h/d'}"), ["url"]);
        assert_eq!(fields("url: mysql://h/d"), ["url"]);
        assert_eq!(fields("url: postgresql://u@h"), ["url"]);
        assert_eq!(fields("url: postgresql://u@h/d?sslmode=disable"), ["url"]);
        assert_eq!(fields("{path: /a.db, retention: {findings: 1h, audit: 100000h}}").len(), 2);
    }
}
