//! Connections: few, counted, and never more than allowed, not even when the server hangs.
//!
//! A connection on which our deadline passed is closed on our side, yet its backend may live on in the server. It keeps
//! its place among the allowed connections ("held") until the server is seen to have released it.

use std::sync::Arc;
use std::time::Duration;

use dbintel_config::values::Secret;
use dbintel_model::GapReason;
use dbintel_pipeline::telemetry::Gauge;
use parking_lot::Mutex;
use tokio::process::Command;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::query::connection::{Connection, Limits, UNTRACKED};
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::objects;

/// How long a password command may take.
const PASSWORD_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a password or token.
const PASSWORD_MAX_BYTES: usize = 16 * 1024;

/// Opens connections and knows how many there are.
#[derive(Debug)]
pub(super) struct Connections {
    config: Arc<Config>,
    slots: Arc<Semaphore>,
    held: Mutex<Vec<Held>>,
    open_gauge: Gauge,
    held_gauge: Gauge,
}

/// A connection in use, with what its server has.
#[derive(Debug)]
pub(super) struct Leased {
    /// The connection.
    pub(super) connection: Connection,
    /// What the database has.
    pub(super) facts: Facts,
    slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Held {
    backend_pid: i64,
    /// Keeps the place; a connection that was opened to look after the held ones has none.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connections {
    pub(super) fn new(config: Arc<Config>, open_gauge: Gauge, held_gauge: Gauge) -> Self {
        let slots = Arc::new(Semaphore::new(config.max_connections));
        Self { config, slots, held: Mutex::new(Vec::new()), open_gauge, held_gauge }
    }

    /// Opens a connection and looks at what the database has.
    pub(super) async fn open(&self, database: &str) -> Result<Leased, QueryError> {
        let slot = self.slot()?;
        let mut settings = self.config.connect.clone();
        if let Some(command) = &self.config.password_command {
            settings.password = Some(run_password_command(command).await?);
        }
        let connection = Connection::open(&settings, database).await?;
        let mut leased = Leased { connection, facts: Facts::default(), slot };
        match self.look(&mut leased).await {
            Ok(facts) => leased.facts = facts,
            Err(error) => {
                self.give_up(leased, &error).await;
                return Err(error);
            }
        }
        self.show();
        Ok(leased)
    }

    /// Looks again at what the database has.
    pub(super) async fn look(&self, leased: &mut Leased) -> Result<Facts, QueryError> {
        let limits = self.config.limits;
        leased.connection.begin(limits, "").await?;
        let facts = Facts::read(&mut leased.connection, limits).await?;
        self.look_after_held(&mut leased.connection, limits).await?;
        leased.connection.end().await?;
        Ok(facts)
    }

    /// Closes a connection after an error. If the server did not answer, its place stays taken.
    pub(super) async fn give_up(&self, leased: Leased, error: &QueryError) {
        let Leased { connection, slot, .. } = leased;
        if error.reason == GapReason::DeadlineExceeded {
            self.held.lock().push(Held { backend_pid: connection.backend_pid, _slot: slot });
            // Dropping closes the socket without waiting for an answer.
            drop(connection);
        } else {
            connection.close().await;
            drop(slot);
        }
        self.show();
    }

    /// Closes a connection that works.
    pub(super) async fn close(&self, leased: Leased) {
        let Leased { connection, slot, .. } = leased;
        connection.close().await;
        drop(slot);
        self.show();
    }

    /// A place for one more connection. If all places are held by backends that hang, one connection may go beyond them
    /// to see whether they are gone.
    fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, QueryError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Some(slot));
        }
        let held = self.held.lock().iter().filter(|held| held._slot.is_some()).count();
        if held >= self.config.max_connections {
            return Ok(None);
        }
        let message = format!(
            "all {} connections are in use, {held} of them by backends that did not answer; raise \
             connection_pool.max_open if this lasts",
            self.config.max_connections
        );
        Err(QueryError::new(GapReason::LimitReached, message))
    }

    /// Frees the places of held backends that the server does not show any more.
    async fn look_after_held(&self, connection: &mut Connection, limits: Limits) -> Result<(), QueryError> {
        let pids: Vec<i64> = self.held.lock().iter().map(|held| held.backend_pid).collect();
        if pids.is_empty() {
            return Ok(());
        }
        let running = objects::still_running(connection, limits, &pids).await?;
        self.held.lock().retain(|held| running.contains(&held.backend_pid));
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "a handful of connections")]
    fn show(&self) {
        let held = self.held.lock().len();
        let taken = self.config.max_connections.saturating_sub(self.slots.available_permits());
        self.held_gauge.set(held as f64);
        self.open_gauge.set(taken.saturating_sub(held) as f64);
    }
}

impl Leased {
    /// Begins a transaction that leaves no trace where our role may arrange that.
    pub(super) async fn begin(&mut self, limits: Limits) -> Result<(), QueryError> {
        let extra = if self.facts.may_untrack { UNTRACKED } else { "" };
        self.connection.begin(limits, extra).await
    }
}

/// The first line a command prints. What it prints never appears in a log or an error.
async fn run_password_command(command: &[String]) -> Result<Secret, QueryError> {
    let failed = |what: String| {
        QueryError::new(
            GapReason::AuthenticationFailed,
            format!("password_command {what}; run it by hand to see why"),
        )
    };
    let (program, arguments) = command.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(PASSWORD_COMMAND_TIMEOUT, running)
        .await
        .map_err(|_elapsed| failed("did not end within 10 s".to_owned()))?
        .map_err(|error| failed(format!("could not be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("printed no text".to_owned()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > PASSWORD_MAX_BYTES {
        return Err(failed("printed no password".to_owned()));
    }
    Ok(Secret::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    #[tokio::test]
    async fn a_password_command_gives_its_first_line_and_its_output_stays_out_of_errors() {
        let secret = run_password_command(&command(&["sh", "-c", "echo token-1; echo more"])).await.unwrap();
        assert_eq!(secret.expose(), "token-1");
        let error = run_password_command(&command(&["sh", "-c", "echo hunter2; exit 3"])).await.unwrap_err();
        assert!(
            error.to_string().contains("exit status: 3") && !error.to_string().contains("hunter2"),
            "{error}"
        );
        let error = run_password_command(&command(&["/nonexistent/program"])).await.unwrap_err();
        assert!(error.to_string().contains("could not be started"), "{error}");
    }
}
