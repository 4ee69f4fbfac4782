//! What is watched: a server, or one database of it, and which node of it really answered.

use std::fmt;
use std::sync::Arc;

use crate::{Attribute, Text, Timestamp};

/// How the objects of a server (databases, tables, indexes) appear in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResourceLayout {
    /// One resource per server; `db.namespace`, `db.collection.name` and `postgresql.index.name` are attributes of
    /// the data point. This is the layout OpenTelemetry contrib is moving to.
    #[default]
    Server,
    /// One resource per database, table and index, as OpenTelemetry contrib's receiver does today.
    Contrib,
}

/// A server as configured: one endpoint, one lane.
#[derive(Debug, PartialEq)]
pub struct Server {
    /// The receiver that watches it, as written in the configuration: `postgresql/orders`.
    pub receiver: Text,
    /// Value of `db.system.name`, for instance `postgresql`.
    pub system: Text,
    /// Value of `server.address`: host name, IP address or socket directory, as configured.
    pub address: Text,
    /// Value of `server.port`.
    pub port: u16,
    /// Attributes of the OTLP resource of everything read from this server, `server.*`, `service.*` and the user's
    /// tags included. Built once, so that an encoder can cache their bytes.
    pub resource: Vec<Attribute>,
}

/// A server, or one of its databases. Delta state is kept and committed per target.
#[derive(Debug, PartialEq)]
pub struct Target {
    /// The server.
    pub server: Arc<Server>,
    /// The database; `None` for what concerns the whole server (statements, activity, WAL, replication).
    pub database: Option<Text>,
}

/// Which server really answered, read on the same connection as the data.
///
/// A host name can lead to another machine tomorrow (failover, reader endpoints, poolers). Counters of two nodes must
/// never be subtracted from each other.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Node {
    /// `system_identifier` of the cluster; the same on a primary and its standbys. Absent where the role may not
    /// call `pg_control_system()`.
    pub system_identifier: Option<u64>,
    /// Timeline; it grows when a standby is promoted. Absent where the role may not read it.
    pub timeline: Option<u32>,
    /// When the server process started.
    pub started_at: Timestamp,
    /// Whether the server is a standby (or still recovering).
    pub in_recovery: bool,
    /// Address and port the server itself sees, `inet_server_addr():inet_server_port()`; absent on a Unix socket.
    pub address: Option<Text>,
    /// Version as the server prints it, for instance `17.10`.
    pub version: Text,
    /// Version as a number: 170010.
    pub version_number: u32,
}

// === impl Server ===

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

// === impl Target ===

impl Target {
    /// The whole server.
    #[must_use]
    pub fn server(server: Arc<Server>) -> Self {
        Self { server, database: None }
    }

    /// One database of a server.
    #[must_use]
    pub fn database(server: Arc<Server>, database: Text) -> Self {
        Self { server, database: Some(database) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.database {
            Some(database) => write!(f, "{}/{database}", self.server),
            None => write!(f, "{}", self.server),
        }
    }
}

// === impl Node ===

impl Node {
    /// Whether counters read from `self` and from `other` belong to the same run of the same server.
    ///
    /// A promotion changes the timeline and `in_recovery` but not the process: its counters go on, yet it is treated
    /// as another node, since what it counts (replayed or executed work) has changed its meaning.
    #[must_use]
    pub fn continues(&self, other: &Self) -> bool {
        self.system_identifier == other.system_identifier
            && self.timeline == other.timeline
            && self.started_at == other.started_at
            && self.in_recovery == other.in_recovery
            && self.address == other.address
    }
}
