//! [`Cluster`]: one private server, from its directory to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;

use super::installation::{Installation, Major};
use super::options::{Options, Tls};
use super::postmaster::{Postmaster, StopMode};
use super::template::SUPERUSER;
use super::user::ServerUser;
use super::{settings, template};
use crate::ports::ReservedPort;
use crate::scratch;
use crate::tls::Authority;
use crate::wait::blocking;
use crate::watchdog::Watchdog;

/// Password of the superuser where the cluster demands one.
pub(crate) const SUPERUSER_PASSWORD: &str = "superuser-of-the-test";

/// What the watchdog does with the directory of a cluster, `data` in it. It waits for 10 s, twice the time after which
/// the postmaster itself kills children that do not answer.
const CLEAN_UP: &str = r#"
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ]; then
    kill -QUIT "$pid"
    kill -CONT "$pid"
    tries=100
    while [ "$tries" -gt 0 ] && [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null; do
        tries=$((tries - 1))
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

/// A private PostgreSQL server on 127.0.0.1 and on a unix socket. Dropping it stops the server and removes its files;
/// when the test process is killed, a watchdog does so.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: the server, then its directory, then the watchdog is dismissed (see `Drop`).
    postmaster: Option<Postmaster>,
    home: Arc<Home>,
    watchdog: Watchdog,
}

/// What stays the same when the server restarts.
#[derive(Debug)]
pub(crate) struct Home {
    directory: TempDir,
    pub(crate) port: ReservedPort,
    pub(crate) major: Major,
    installation: Installation,
    pub(crate) user: ServerUser,
    pub(crate) options: Options,
    pub(crate) authority: Option<Arc<Authority>>,
}

/// What the server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// `server_version_num`, such as 160014.
    pub server_version_num: i32,
    /// `server_version`, such as `16.14`.
    pub server_version: String,
    /// Version of `pg_stat_statements` that this server would create.
    pub pg_stat_statements: String,
}

// === impl Cluster ===

impl Cluster {
    /// A new cluster that accepts connections.
    pub async fn start(major: Major, options: Options) -> Self {
        let superuser_needs_password = options.scram;
        let cluster = blocking(move || {
            let authority = (options.tls != Tls::Off).then(|| Arc::new(Authority::new()));
            let home = Home::new(major, options, authority);
            if home.options.fresh_identifier || home.options.data_checksums {
                home.prepare_directory();
                let more: &[&str] = if home.options.data_checksums { &["--data-checksums"] } else { &[] };
                template::initdb(&home.installation, home.user, &home.data(), more);
            } else {
                template::copy_template(&home.installation, home.user, &home.data());
            }
            home.write_settings();
            Self::launch(home)
        })
        .await;
        if superuser_needs_password {
            cluster
                .execute("postgres", &format!("ALTER ROLE {SUPERUSER} PASSWORD '{SUPERUSER_PASSWORD}'"))
                .await;
        }
        cluster
    }

    /// Starts the server of a directory that is ready for it.
    pub(crate) fn launch(home: Home) -> Self {
        let watchdog = Watchdog::watch(CLEAN_UP, home.directory.path());
        let postmaster = home.start_postmaster();
        Self { postmaster: Some(postmaster), home: Arc::new(home), watchdog }
    }

    /// The port on 127.0.0.1. It stays the same, and ours, while the server is stopped.
    pub fn port(&self) -> u16 {
        self.home.port.get()
    }

    /// The major version.
    pub fn major(&self) -> Major {
        self.home.major
    }

    /// URL for the superuser over TCP, with a password where the cluster demands one.
    pub fn admin_url(&self, database: &str) -> String {
        self.url(SUPERUSER, SUPERUSER_PASSWORD, database)
    }

    /// URL for any role over TCP. The password is left out where the cluster does not ask for it; `sslmode=require`
    /// is added where the cluster refuses plain connections.
    pub fn url(&self, role: &str, password: &str, database: &str) -> String {
        let secret = if self.home.options.scram { format!(":{password}") } else { String::new() };
        let tls = if self.home.options.tls == Tls::Required { "?sslmode=require" } else { "" };
        format!("postgres://{role}{secret}@127.0.0.1:{}/{database}{tls}", self.port())
    }

    /// The authority that signed the server's certificate. Panics when the cluster has no TLS.
    pub fn authority(&self) -> &Authority {
        self.home.authority.as_deref().expect("start the cluster with Options::tls")
    }

    /// Directory of the unix socket.
    pub fn socket_directory(&self) -> &Path {
        self.home.directory.path()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.data()
    }

    /// Everything the server has written to its standard error so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.home.log()).unwrap_or_default()).into_owned()
    }

    /// The file that [`Self::log`] reads.
    pub fn log_file(&self) -> PathBuf {
        self.home.log()
    }

    /// Process id of the postmaster. Panics while the server is stopped.
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// Freezes every process of the server: connections hang without being refused.
    pub fn sigstop(&self) {
        self.running().freeze();
    }

    /// Undoes [`Self::sigstop`].
    pub fn sigcont(&self) {
        self.running().thaw();
    }

    /// Stops the server and returns when it is gone. No effect when it is stopped.
    pub async fn stop(&mut self, mode: StopMode) {
        if let Some(postmaster) = self.postmaster.take() {
            blocking(move || postmaster.stop(mode)).await;
        }
    }

    /// Starts a stopped server again, on the same port.
    pub async fn start_again(&mut self) {
        assert!(self.postmaster.is_none(), "the server is running");
        let home = Arc::clone(&self.home);
        self.postmaster = Some(blocking(move || home.start_postmaster()).await);
    }

    /// Fast stop, then start.
    pub async fn restart(&mut self) {
        self.stop(StopMode::Fast).await;
        self.start_again().await;
    }

    /// A superuser connection over the unix socket, without TLS and password whatever the options say.
    pub async fn connect(&self, database: &str) -> PgConnection {
        self.connect_as(SUPERUSER, database).await
    }

    /// A connection of any role over the unix socket.
    pub async fn connect_as(&self, role: &str, database: &str) -> PgConnection {
        self.socket_options(role, database)
            .connect()
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {database} as {role}: {error}\n{}", self.log()))
    }

    /// Connection options over the unix socket, for pools and for connections that may fail.
    pub fn socket_options(&self, role: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.socket_directory())
            .port(self.port())
            .username(role)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    }

    /// Runs SQL as superuser, several statements at once if wanted (simple protocol). Panics with the server's error.
    pub async fn execute(&self, database: &str, sql: &str) {
        let mut connection = self.connect(database).await;
        if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await {
            panic!("{error} in: {sql}");
        }
        let _ = connection.close().await;
    }

    /// The one value that a query returns.
    pub async fn scalar<T>(&self, database: &str, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = self.connect(database).await;
        let value = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
        let _ = connection.close().await;
        value.unwrap_or_else(|error| panic!("{error} in: {sql}"))
    }

    /// Versions of the server and of `pg_stat_statements`.
    pub async fn versions(&self) -> Versions {
        let extension =
            "SELECT default_version FROM pg_available_extensions WHERE name = 'pg_stat_statements'";
        Versions {
            server_version_num: self
                .scalar("postgres", "SELECT current_setting('server_version_num')::int")
                .await,
            server_version: self.scalar("postgres", "SELECT current_setting('server_version')").await,
            pg_stat_statements: self.scalar("postgres", extension).await,
        }
    }

    /// The number by which this server is recognised. Equal for clusters copied from one template.
    pub async fn system_identifier(&self) -> i64 {
        self.scalar("postgres", "SELECT system_identifier FROM pg_control_system()").await
    }

    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    fn running(&self) -> &Postmaster {
        self.postmaster.as_ref().expect("the server is running")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.postmaster.take());
        let _ = fs::remove_dir_all(self.home.directory.path());
        self.watchdog.dismiss();
    }
}

// === impl Home ===

impl Home {
    pub(crate) fn new(major: Major, options: Options, authority: Option<Arc<Authority>>) -> Self {
        let installation = Installation::find(major);
        for library in &options.preload {
            assert!(
                installation.has_library(library),
                "PostgreSQL {major} of the cache has no library {library}"
            );
        }
        let user = ServerUser::current();
        let directory = scratch::directory("dbintel-pg-");
        user.own(directory.path(), 0o700);
        Self { directory, port: ReservedPort::reserve(), major, installation, user, options, authority }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn write_settings(&self) {
        settings::write(
            &self.data(),
            self.user,
            &self.options,
            self.port.get(),
            self.directory.path(),
            self.authority.as_deref(),
        );
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    fn prepare_directory(&self) {
        fs::create_dir(self.data()).expect("own directory");
        self.user.own(&self.data(), 0o700);
    }

    fn start_postmaster(&self) -> Postmaster {
        Postmaster::start(&self.installation, self.user, &self.data(), &self.log())
    }
}
