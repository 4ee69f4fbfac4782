//! How a cluster differs from the usual one.

/// Options of a cluster. The default is what most tests want: `pg_stat_statements` preloaded, `trust`, no TLS,
/// `fsync` off, small memory, a copy of the cached template.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) preload: Vec<String>,
    pub(crate) access: Vec<String>,
    pub(crate) tls: Tls,
    pub(crate) scram: bool,
    pub(crate) fresh_identifier: bool,
    pub(crate) data_checksums: bool,
}

/// Whether the server speaks TLS on its port. The unix socket never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    #[default]
    Off,
    Offered,
    Required,
}

impl Options {
    /// The usual cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// One line of `postgresql.conf`, after and therefore stronger than ours. The value is quoted for you.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Preloads a library besides `pg_stat_statements`.
    #[must_use]
    pub fn preload(mut self, library: &str) -> Self {
        self.preload.push(library.to_owned());
        self
    }

    /// Preloads `auto_explain`, still silent: set `auto_explain.log_min_duration` and the rest as the test wants.
    #[must_use]
    pub fn auto_explain(self) -> Self {
        self.preload("auto_explain")
    }

    /// One line of `pg_hba.conf`, before and therefore stronger than ours, such as
    /// `hostssl all dbintel 127.0.0.1/32 cert`.
    #[must_use]
    pub fn access(mut self, line: &str) -> Self {
        self.access.push(line.to_owned());
        self
    }

    /// Offers TLS with a certificate for `localhost` and `127.0.0.1`, see [`super::Cluster::authority`]. Plain
    /// connections stay allowed.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = Tls::Offered;
        self
    }

    /// Offers TLS and refuses plain connections on the port.
    #[must_use]
    pub fn require_tls(mut self) -> Self {
        self.tls = Tls::Required;
        self
    }

    /// Demands passwords (`scram-sha-256`) on the port. The superuser gets one, see [`super::Cluster::admin_url`].
    #[must_use]
    pub fn scram(mut self) -> Self {
        self.scram = true;
        self
    }

    /// Runs `initdb` for this cluster, about a second, so that its system identifier is its own.
    #[must_use]
    pub fn fresh_identifier(mut self) -> Self {
        self.fresh_identifier = true;
        self
    }

    /// Runs `initdb` for this cluster with checksums of data pages, which are the default from 18 on.
    #[must_use]
    pub fn data_checksums(mut self) -> Self {
        self.data_checksums = true;
        self
    }
}
