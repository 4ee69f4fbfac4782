//! The configuration as written.

use std::collections::BTreeMap;

use dbintel_config::values::{ByteSize, Duration, Endpoint, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Polls one PostgreSQL server, version 13 to 18.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Host and port, for instance `localhost:5432`; with `transport: unix`, the socket directory and port, for
    /// instance `/var/run/postgresql:5432`.
    #[serde(default = "default_endpoint")]
    pub endpoint: String,
    /// `tcp` or `unix`.
    #[serde(default)]
    pub transport: Transport,
    /// Role to connect as. It needs `pg_monitor` and nothing else.
    #[serde(default)]
    pub username: String,
    /// Password; by reference: `${env:PGPASSWORD}` or `${file:/run/secrets/pg}`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Command and arguments that print a password or token, run before each connect, for instance of a cloud's
    /// command-line client. Instead of `password`. (dbintel only)
    #[serde(default)]
    pub password_command: Option<Vec<String>>,
    /// Not supported: an extension id. Use `password_command`.
    #[serde(default)]
    pub db_auth: Option<String>,
    /// Databases to read; empty means all that one can connect to.
    #[serde(default)]
    pub databases: Vec<String>,
    /// Databases to leave out. Those of managed services' providers are left out anyway.
    #[serde(default)]
    pub exclude_databases: Vec<String>,
    /// Database for what concerns the whole server; `pg_stat_statements` must be installed there.
    #[serde(default = "default_connect_database")]
    pub connect_database: String,
    /// Transport security. Certificates and host names are verified unless said otherwise.
    #[serde(default)]
    pub tls: TlsSettings,
    /// How often metrics are read.
    #[serde(default = "default_collection_interval")]
    pub collection_interval: Duration,
    /// How long to wait before the first poll.
    #[serde(default = "default_initial_delay")]
    pub initial_delay: Duration,
    /// `statement_timeout` of our statements, enforced by the server. 0 means the default of 5s.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// `lock_timeout` of our statements, enforced by the server. (dbintel only)
    #[serde(default = "default_lock_timeout")]
    pub lock_timeout: Duration,
    /// Connections.
    #[serde(default)]
    pub connection_pool: ConnectionPool,
    /// Events.
    #[serde(default)]
    pub events: Events,
    /// How sessions are sampled.
    #[serde(default)]
    pub query_sample_collection: QuerySampleCollection,
    /// How statement statistics are read.
    #[serde(default)]
    pub top_query_collection: TopQueryCollection,
    /// How plans are obtained. (dbintel only)
    #[serde(default)]
    pub plan_collection: PlanCollectionSettings,
    /// How tables, indexes, functions and locks of each database are read. (dbintel only)
    #[serde(default)]
    pub object_collection: ObjectCollection,
    /// How exact sizes, and what changes as slowly (sequences, number of tables, progress of maintenance), are read. (dbintel only)
    #[serde(default)]
    pub size_collection: SizeCollection,
    /// How settings, extensions, names and tables are compared. (dbintel only)
    #[serde(default)]
    pub catalogue_collection: CatalogueCollection,
    /// Metrics by name, to switch on or off.
    #[serde(default)]
    pub metrics: BTreeMap<String, Switch>,
    /// Resource attributes by name, to switch on or off.
    #[serde(default)]
    pub resource_attributes: BTreeMap<String, Switch>,
    /// `server`: one resource per server. `contrib`: one per database, table and index, as contrib's receiver does
    /// today. (dbintel only)
    #[serde(default)]
    pub resource_layout: Layout,
    /// Further resource attributes of everything read from this server. (dbintel only)
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// How to reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// A Unix socket.
    Unix,
}

/// How objects appear in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One resource per server.
    #[default]
    Server,
    /// One resource per database, table and index.
    Contrib,
}

/// Transport security.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// No TLS at all.
    #[serde(default)]
    pub insecure: bool,
    /// TLS without checking the server's certificate. Anyone in between can read and change what is sent.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// Roots to trust besides the public ones that are built in, PEM; without it, those of the system.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// Client certificate, PEM.
    #[serde(default)]
    pub cert_file: Option<String>,
    /// Key of the client certificate, PEM.
    #[serde(default)]
    pub key_file: Option<String>,
    /// Not supported: the certificate is checked for the host of `endpoint`.
    #[serde(default)]
    pub server_name_override: Option<String>,
}

/// Connections.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionPool {
    /// Connections at the same time, at most; from 2 to 16, default 5.
    #[serde(default)]
    pub max_open: Option<usize>,
    /// Accepted and not needed: every connection in use is kept.
    #[serde(default)]
    pub max_idle: Option<usize>,
    /// Accepted and not needed: idle connections are not kept.
    #[serde(default)]
    pub max_idle_time: Option<Duration>,
    /// Accepted and not needed: a connection is opened anew whenever it fails.
    #[serde(default)]
    pub max_lifetime: Option<Duration>,
}

/// Events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Session samples; off by default.
    #[serde(default, rename = "db.server.query_sample")]
    pub query_sample: OptionalSwitch,
    /// Top statements; on by default.
    #[serde(default, rename = "db.server.top_query")]
    pub top_query: OptionalSwitch,
    /// Plans; off by default.
    #[serde(default, rename = "db.server.query_plan")]
    pub query_plan: OptionalSwitch,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// On or off.
    pub enabled: bool,
}

/// A switch that can be left as it is by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionalSwitch {
    /// On or off.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// How sessions are sampled.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuerySampleCollection {
    /// Sessions per sample; from 1 to 10,000.
    #[serde(default = "default_max_rows")]
    pub max_rows_per_query: u32,
    /// How often; from 1s to 10s. Default: `collection_interval`, 10s at most. (dbintel only)
    #[serde(default)]
    pub collection_interval: Option<Duration>,
}

/// How statement statistics are read.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopQueryCollection {
    /// Accepted and not needed: all statements are read, without their texts.
    #[serde(default)]
    pub max_rows_per_query: Option<u32>,
    /// Statements that leave, by total time of the interval; from 1 to 10,000.
    #[serde(default = "default_top_n")]
    pub top_n_query: u32,
    /// How often.
    #[serde(default = "default_top_query_interval")]
    pub collection_interval: Duration,
    /// Accepted and not needed: `plan_collection.max_per_collection` bounds it.
    #[serde(default)]
    pub max_explain_each_interval: Option<u32>,
    /// Accepted and not needed: it is not the receiver that remembers plans.
    #[serde(default)]
    pub query_plan_cache_size: Option<u32>,
    /// Accepted and not needed: it is not the receiver that remembers plans.
    #[serde(default)]
    pub query_plan_cache_ttl: Option<Duration>,
}

/// How plans of the top statements are obtained: from the server's log, and by EXPLAIN, never with ANALYZE.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanCollectionSettings {
    /// On or off. Default: whether the event `db.server.query_plan` is enabled, which it is not by default.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// How often a few statements are explained.
    #[serde(default = "default_plan_collection_interval")]
    pub collection_interval: Duration,
    /// Statements that are explained each time, at most; from 1 to 100.
    #[serde(default = "default_max_per_collection")]
    pub max_per_collection: u32,
    /// How often the same statement is explained, if nothing that its plan depends on is seen to change.
    #[serde(default = "default_plan_interval")]
    pub interval: Duration,
    /// Whether statements are planned also for a frequent and for an absent value of a parameter. Values stay in the server;
    /// it needs the function that `dbintel doctor --plan-function` prints.
    #[serde(default)]
    pub parameter_sensitivity: ParameterSensitivity,
    /// Whether the text of a session that is running a statement is planned as well, with the values in it. Texts and values
    /// stay in the server and in our memory; it needs PostgreSQL 14 and the function that `dbintel doctor --plan-function`
    /// prints, and is not done where the server would log the text.
    #[serde(default)]
    pub samples: bool,
    /// Whether statements are explained. Without it plans come from the log only.
    #[serde(default = "default_explain")]
    pub explain: bool,
    /// The server's log files, for plans that auto_explain has put there.
    #[serde(default)]
    pub log: PlanLogSettings,
}

/// How statements are planned for values of a parameter.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterSensitivity {
    /// On or off.
    #[serde(default)]
    pub enabled: bool,
    /// How often the same statement, at most: it is done when the statement is explained anyway.
    #[serde(default = "default_sensitivity_interval")]
    pub interval: Duration,
}

/// The server's log files, for plans that auto_explain has put there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLogSettings {
    /// Paths of the files, with `*` and `?` in their names, for instance `/var/log/postgresql/*.json`; 16 at most. Empty
    /// means that no log is read.
    #[serde(default)]
    pub include: Vec<String>,
    /// `auto`, `jsonlog`, `csvlog` or `stderr`. `auto` goes by the names, as the server gives them: `.json`, `.csv`, and
    /// `stderr` otherwise.
    #[serde(default)]
    pub format: LogFormatSetting,
    /// Bytes that are read each time, at most; from 64KiB to 1GiB. Of more the oldest are skipped.
    #[serde(default = "default_log_bytes")]
    pub max_bytes_per_collection: ByteSize,
    /// Largest record that is read; from 4KiB to 16MiB, and no more than `max_bytes_per_collection`.
    #[serde(default = "default_log_size")]
    pub max_log_size: ByteSize,
}

/// How the server's log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormatSetting {
    /// As the name of the file says.
    #[default]
    Auto,
    /// An object in each line, from PostgreSQL 15 on.
    Jsonlog,
    /// Columns.
    Csvlog,
    /// Lines that begin with `log_line_prefix`.
    Stderr,
}

/// How tables, indexes, functions and locks of each database are read.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectCollection {
    /// How often, but never more often than the receiver's `collection_interval`. It costs the server a few microseconds
    /// for each table and index, most of which have not changed.
    #[serde(default = "default_object_interval")]
    pub collection_interval: Duration,
}

/// How exact sizes, and what changes as slowly (sequences, number of tables, progress of maintenance), are read.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SizeCollection {
    /// How often. Sizes change slowly, and the server looks at every file for them.
    #[serde(default = "default_size_interval")]
    pub collection_interval: Duration,
}

/// How settings, extensions, names of databases and maintenance of tables are compared.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueCollection {
    /// How often. A change is told at the next comparison.
    #[serde(default = "default_catalogue_interval")]
    pub collection_interval: Duration,
}

fn default_endpoint() -> String {
    "localhost:5432".to_owned()
}

fn default_connect_database() -> String {
    "postgres".to_owned()
}

const fn default_collection_interval() -> Duration {
    Duration::from_secs(10)
}

const fn default_initial_delay() -> Duration {
    Duration::from_secs(1)
}

const fn default_lock_timeout() -> Duration {
    Duration::from_millis(100)
}

const fn default_max_rows() -> u32 {
    1_000
}

const fn default_top_n() -> u32 {
    200
}

const fn default_top_query_interval() -> Duration {
    Duration::from_secs(60)
}

const fn default_plan_collection_interval() -> Duration {
    Duration::from_secs(60)
}

const fn default_max_per_collection() -> u32 {
    5
}

const fn default_plan_interval() -> Duration {
    Duration::from_secs(3_600)
}

const fn default_sensitivity_interval() -> Duration {
    Duration::from_secs(24 * 3_600)
}

const fn default_explain() -> bool {
    true
}

const fn default_log_bytes() -> ByteSize {
    ByteSize::from_mib(16)
}

const fn default_log_size() -> ByteSize {
    ByteSize::from_mib(1)
}

const fn default_object_interval() -> Duration {
    Duration::from_secs(30)
}

const fn default_size_interval() -> Duration {
    Duration::from_secs(60)
}

const fn default_catalogue_interval() -> Duration {
    Duration::from_secs(60)
}

impl Default for QuerySampleCollection {
    fn default() -> Self {
        Self { max_rows_per_query: default_max_rows(), collection_interval: None }
    }
}

impl Default for TopQueryCollection {
    fn default() -> Self {
        Self {
            max_rows_per_query: None,
            top_n_query: default_top_n(),
            collection_interval: default_top_query_interval(),
            max_explain_each_interval: None,
            query_plan_cache_size: None,
            query_plan_cache_ttl: None,
        }
    }
}

impl Default for PlanCollectionSettings {
    fn default() -> Self {
        Self {
            enabled: None,
            collection_interval: default_plan_collection_interval(),
            max_per_collection: default_max_per_collection(),
            interval: default_plan_interval(),
            parameter_sensitivity: ParameterSensitivity::default(),
            samples: false,
            explain: default_explain(),
            log: PlanLogSettings::default(),
        }
    }
}

impl Default for PlanLogSettings {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            format: LogFormatSetting::default(),
            max_bytes_per_collection: default_log_bytes(),
            max_log_size: default_log_size(),
        }
    }
}

impl Default for ParameterSensitivity {
    fn default() -> Self {
        Self { enabled: false, interval: default_sensitivity_interval() }
    }
}

impl Default for ObjectCollection {
    fn default() -> Self {
        Self { collection_interval: default_object_interval() }
    }
}

impl Default for SizeCollection {
    fn default() -> Self {
        Self { collection_interval: default_size_interval() }
    }
}

impl Default for CatalogueCollection {
    fn default() -> Self {
        Self { collection_interval: default_catalogue_interval() }
    }
}

/// Host and port of a TCP endpoint, or directory and port of a socket.
pub(super) fn address(endpoint: &str, transport: Transport) -> Result<(String, u16), String> {
    match transport {
        Transport::Tcp => {
            let endpoint: Endpoint = endpoint.parse().map_err(|error| format!("{error}"))?;
            match (endpoint.host(), endpoint.port()) {
                (Some(host), Some(port)) => Ok((host.to_owned(), port)),
                _ => Err("a socket path needs transport: unix".to_owned()),
            }
        }
        Transport::Unix => {
            let (directory, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "5432"));
            let port =
                port.parse().map_err(|_| "expected a socket directory such as /var/run/postgresql:5432")?;
            // Contrib's users write the path without its leading slash, or with a file name; both are understood.
            let directory = directory.trim_end_matches('/');
            let directory =
                if directory.starts_with('/') { directory.to_owned() } else { format!("/{directory}") };
            Ok((directory, port))
        }
    }
}
