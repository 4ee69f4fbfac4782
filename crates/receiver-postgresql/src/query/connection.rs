//! One connection and its read-only transactions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dbintel_config::values::Secret;
use dbintel_model::{GapReason, Text};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow, PgSslMode};
use sqlx::{Arguments as _, ConnectOptions, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::error::QueryError;
use super::meter::{Meter, Select, elapsed, is_row, metered};
use super::planning::{self, Beginning, Planning};
use super::sql::{literal, vouched};
use crate::state::other_instances::OwnBackend;

/// `application_name` of our sessions, by which a DBA recognises them.
pub const APPLICATION_NAME: &str = "dbintel";
/// By how much our own deadline is longer than the server's, so that the server gives up first.
pub const DEADLINE_MARGIN: Duration = Duration::from_secs(2);
/// Server-side limit on idling within a transaction: it ends our session if we stop in the middle.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Where systems keep the roots they trust: Debian and Alpine, Red Hat, older Red Hat, SUSE, FreeBSD.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// Bytes of a file of certificates: a bundle of all public authorities has about a tenth of it.
const PEM_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// What every PEM file holds.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";

/// Where and as whom to connect.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectSettings {
    /// Host name or address, or the directory of a Unix socket (a path that begins with `/`).
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub username: String,
    /// Password, if one is needed.
    pub password: Option<Secret>,
    /// Transport security.
    pub tls: Tls,
}

/// Transport security of a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Tls {
    /// None, as asked for by `tls.insecure: true`, or on a Unix socket.
    Off,
    /// Encrypted, the certificate is not checked: `tls.insecure_skip_verify: true`.
    Unverified(Identity),
    /// Certificate and host name are checked.
    Verified {
        /// Roots to trust besides the public ones.
        ca_file: Option<PathBuf>,
        /// Our own certificate.
        identity: Identity,
    },
}

/// A client certificate and its key, read anew at every connect so that they can be rotated.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Identity {
    /// Certificate file, PEM.
    pub cert_file: Option<PathBuf>,
    /// Key file, PEM.
    pub key_file: Option<PathBuf>,
}

/// Limits the server enforces on one transaction of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `statement_timeout`.
    pub statement_timeout: Duration,
    /// `lock_timeout`.
    pub lock_timeout: Duration,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    inner: PgConnection,
    /// The database it is connected to.
    pub database: Text,
    /// Process id of its backend, once it was asked for.
    pub backend_pid: Option<i64>,
    /// Says that this backend is ours, until the connection is gone.
    pub own_backend: Option<OwnBackend>,
    in_transaction: bool,
    /// Of the transaction that is open.
    deadline: Duration,
    meter: Arc<Meter>,
    planning: Planning,
}

impl Connection {
    /// Opens a connection. It has no deadline of its own; no statement is sent on it before its limits are.
    ///
    /// # Errors
    /// [`QueryError`] if the server cannot be reached or refuses us.
    pub async fn open(settings: ConnectSettings, database: Text) -> Result<Self, QueryError> {
        let options = settings.tls.apply(settings.options(&database)).await?;
        let inner = PgConnection::connect_with(&options).await?;
        Ok(Self {
            inner,
            database,
            backend_pid: None,
            own_backend: None,
            in_transaction: false,
            deadline: Duration::ZERO,
            meter: Arc::default(),
            planning: Planning::default(),
        })
    }

    /// Begins a read-only transaction with limits; an open one is rolled back first. `extra` is further `SET LOCAL`
    /// text of this crate.
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes.
    pub async fn begin(&mut self, limits: Limits, extra: &str) -> Result<(), QueryError> {
        let rollback = if self.in_transaction { "ROLLBACK; " } else { "" };
        let text = format!("{rollback}{}", begin_text(limits, extra));
        self.in_transaction = true;
        self.deadline = limits.deadline();
        let started = Instant::now();
        let begun =
            tokio::time::timeout(limits.deadline(), self.inner.execute(sqlx::raw_sql(vouched(&text)))).await;
        begun.map_err(|_elapsed| QueryError::deadline("beginning a transaction"))??;
        self.planning.round_trip(started.elapsed());
        Ok(())
    }

    /// Runs one statement of the transaction that has a row, and gives the first. `what` names it in errors.
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes.
    pub async fn first<T: Send>(
        &mut self,
        what: &str,
        limits: Limits,
        text: &str,
        take: impl Fn(&PgRow) -> Result<T, sqlx::Error> + Send + Sync,
    ) -> Result<Option<T>, QueryError> {
        let mut first = None;
        let take = |row: &PgRow| {
            if first.is_none() {
                first = Some(take(row)?);
            }
            Ok(())
        };
        self.stream(what, limits, Select::always(text), PgArguments::default(), take).await?;
        Ok(first)
    }

    /// Runs one statement, a `SELECT`, and hands each row to `take` as it arrives, so that no more than one is held. The
    /// time that the server says it took is added to [`Self::meter`].
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes; rows taken before stay taken.
    pub async fn stream(
        &mut self,
        what: &str,
        limits: Limits,
        select: Select<'_>,
        arguments: PgArguments,
        mut take: impl FnMut(&PgRow) -> Result<(), sqlx::Error> + Send,
    ) -> Result<(), QueryError> {
        use futures_util::TryStreamExt as _;
        let (text, plain) = (metered(select.text, select.rows), arguments.len() == 0);
        let (meter, mut took, mut beginning) = (Arc::clone(&self.meter), None, Beginning::default());
        let started = Instant::now();
        let reading = async {
            // Unnamed statements: a transaction pooler may give the next transaction to another backend.
            let query = sqlx::query_with(vouched(&text), arguments).persistent(false);
            let mut answer = query.fetch(&mut self.inner);
            while let Some(row) = answer.try_next().await? {
                took = elapsed(&row);
                beginning.row(started.elapsed(), took);
                if is_row(&row, select.rows) {
                    take(&row)?;
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        // Limits may have become tighter since the transaction began: the server gives up first all the same.
        let deadline = limits.deadline().max(self.deadline);
        let read = tokio::time::timeout(deadline, reading).await;
        meter.add(took);
        read.map_err(|_elapsed| QueryError::deadline(what))??;
        if plain {
            self.planning.add(what, &text, beginning);
        }
        Ok(())
    }

    /// How long the server plans a statement of ours, as it says itself. Runs in the transaction that is open.
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes.
    pub async fn planning_time(
        &mut self,
        limits: Limits,
        text: &str,
    ) -> Result<Option<Duration>, QueryError> {
        let text = format!("{}{text}", planning::EXPLAIN);
        let query = sqlx::query_with(vouched(&text), PgArguments::default()).persistent(false);
        let deadline = limits.deadline().max(self.deadline);
        let asked = tokio::time::timeout(deadline, query.fetch_all(&mut self.inner)).await;
        let lines = asked.map_err(|_elapsed| QueryError::deadline("planning")).and_then(|lines| Ok(lines?));
        let time = lines.as_ref().ok().and_then(|lines| {
            lines.iter().find_map(|line| planning::answer(&line.try_get::<String, _>(0).ok()?))
        });
        self.meter.add(time);
        lines.map(|_| time)
    }

    /// The text of a statement to ask [`Self::planning_time`] about, if one was suspicious since the last call.
    pub fn suspect(&mut self) -> Option<String> {
        self.planning.suspect()
    }

    /// Runs one statement that gives no rows. The server does not say what it took.
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes.
    pub async fn run(&mut self, what: &str, limits: Limits, text: &str) -> Result<(), QueryError> {
        let deadline = limits.deadline().max(self.deadline);
        let running = self.inner.execute(sqlx::raw_sql(vouched(text)));
        let run = tokio::time::timeout(deadline, running).await;
        self.meter.add(None);
        run.map_err(|_elapsed| QueryError::deadline(what))??;
        Ok(())
    }

    /// What the server says our statements cost.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// Ends the transaction. An error here says only that the connection is gone.
    ///
    /// # Errors
    /// [`QueryError`], also when our deadline passes.
    pub async fn end(&mut self) -> Result<(), QueryError> {
        if !self.in_transaction {
            return Ok(());
        }
        let ended = tokio::time::timeout(DEADLINE_MARGIN, self.inner.execute("ROLLBACK")).await;
        ended.map_err(|_elapsed| QueryError::deadline("ending a transaction"))??;
        self.in_transaction = false;
        Ok(())
    }

    /// Waits, without a deadline, for what the server still has to say after one of ours has passed, and then says
    /// goodbye. When it returns, the server has answered or closed the connection.
    pub async fn farewell(mut self) {
        // The connection is gone either way.
        let _ = self.inner.execute("ROLLBACK").await;
        let _ = self.inner.close().await;
    }

    /// Says goodbye to the server and closes the connection.
    pub async fn close(self) {
        // The connection is gone either way.
        let _ = tokio::time::timeout(DEADLINE_MARGIN, self.inner.close()).await;
    }
}

/// What begins a transaction of ours.
fn begin_text(limits: Limits, extra: &str) -> String {
    begin_with(&limits.statement_timeout.as_millis().to_string(), limits.lock_timeout, extra)
}

/// The same, with this in the place of the milliseconds of `statement_timeout`.
pub(super) fn begin_with(statement_timeout: &str, lock_timeout: Duration, extra: &str) -> String {
    format!(
        "BEGIN READ ONLY; {extra} SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
         SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL jit = off; SET LOCAL search_path = pg_catalog",
        literal(statement_timeout),
        millis(lock_timeout),
        millis(IDLE_IN_TRANSACTION_TIMEOUT),
    )
}

impl Limits {
    /// Our own deadline: longer than the server's.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.statement_timeout + DEADLINE_MARGIN
    }
}

impl ConnectSettings {
    fn options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .username(&self.username)
            .database(database)
            .application_name(APPLICATION_NAME)
            .statement_cache_capacity(0)
            // Values come in binary, and transaction poolers refuse the parameter.
            .extra_float_digits(None)
            .disable_statement_logging();
        let options = match &self.password {
            Some(password) => options.password(password.expose()),
            None => options,
        };
        match self.host.strip_prefix('/') {
            Some(_) => options.socket(&self.host),
            None => options.host(&self.host),
        }
    }
}

impl Tls {
    async fn apply(&self, options: PgConnectOptions) -> Result<PgConnectOptions, QueryError> {
        match self {
            Self::Off => Ok(options.ssl_mode(PgSslMode::Disable)),
            Self::Unverified(identity) => identity.apply(options.ssl_mode(PgSslMode::Require)).await,
            Self::Verified { ca_file, identity } => {
                let options = identity.apply(options.ssl_mode(PgSslMode::VerifyFull)).await?;
                let system = || SYSTEM_ROOTS.iter().map(Path::new).find(|file| file.is_file());
                let roots = match (ca_file, system()) {
                    (Some(file), _) => read_pem("tls.ca_file", file).await?,
                    (None, Some(file)) => read_pem("the system's file of roots", file).await?,
                    // A machine without roots of its own: those that are compiled in.
                    (None, None) => return Ok(options),
                };
                Ok(options.ssl_root_cert_from_pem(roots))
            }
        }
    }
}

impl Identity {
    async fn apply(&self, options: PgConnectOptions) -> Result<PgConnectOptions, QueryError> {
        let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) else {
            return Ok(options);
        };
        let cert = read_pem("tls.cert_file", cert).await?;
        let key = read_pem("tls.key_file", key).await?;
        Ok(options.ssl_client_cert_from_pem(cert).ssl_client_key_from_pem(key))
    }
}

/// The content of a PEM file. Nothing of it appears in an error.
async fn read_pem(setting: &str, file: &Path) -> Result<Vec<u8>, QueryError> {
    let complaint = |what: String| {
        let message = format!("{setting} {} {what}", file.display());
        QueryError { connection_usable: false, ..QueryError::new(GapReason::ConnectionFailed, message) }
    };
    let reading = async {
        let mut text = Vec::new();
        let file = tokio::fs::File::open(file).await?;
        file.take(PEM_MAX_BYTES + 1).read_to_end(&mut text).await.map(|_| text)
    };
    let text = reading.await.map_err(|error| complaint(format!("cannot be read: {error}")))?;
    if text.len() as u64 > PEM_MAX_BYTES || !text.windows(PEM_BEGIN.len()).any(|part| part == PEM_BEGIN) {
        return Err(complaint("is not a PEM file".to_owned()));
    }
    Ok(text)
}

fn millis(duration: Duration) -> String {
    literal(&duration.as_millis().to_string())
}

/// Text of a `SET LOCAL` that keeps our statements out of `pg_stat_statements`, for roles that may.
pub const UNTRACKED: &str = "SET LOCAL pg_stat_statements.track = 'none';";
