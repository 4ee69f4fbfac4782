//! Passwords and tokens from a command, run anew at every connect so that they can be rotated.

use std::process::Stdio;
use std::time::Duration;

use dbintel_config::values::Secret;
use dbintel_model::{Clock, GapReason, Monotonic};
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::query::error::QueryError;

/// How long a password command may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of output that are read, the password or token and what follows it.
const OUTPUT_MAX_BYTES: u64 = 16 * 1024;

/// How long a command that failed is not run again: at first, and after it has failed again and again.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Runs the command, and knows when it failed: what it asks may be in trouble itself, and every connection needs it.
#[derive(Debug, Default)]
pub(super) struct PasswordCommand(Mutex<Option<Failed>>);

#[derive(Debug)]
struct Failed {
    error: QueryError,
    wait: Duration,
    until: Monotonic,
}

impl PasswordCommand {
    /// The first line the command prints; until the wait after a failure is over, that failure.
    pub(super) async fn run(&self, command: &[String], clock: &dyn Clock) -> Result<Secret, QueryError> {
        if let Some(failed) = &*self.0.lock()
            && clock.monotonic() < failed.until
        {
            return Err(failed.error.clone());
        }
        let result = run(command).await;
        let mut failed = self.0.lock();
        *failed = result.as_ref().err().map(|error| {
            let wait = failed.as_ref().map_or(WAITS.0, |before| (before.wait * 2).min(WAITS.1));
            Failed { error: error.clone(), wait, until: clock.monotonic().plus(wait) }
        });
        result
    }
}

/// The first line a command prints. What it prints never appears in a log or an error.
async fn run(command: &[String]) -> Result<Secret, QueryError> {
    let running = tokio::time::timeout(TIMEOUT, output(command)).await;
    let text = running.unwrap_or_else(|_elapsed| Err("did not end within 10 s".to_owned()));
    let secret = text.and_then(|text| {
        let line = text.lines().next().filter(|line| !line.is_empty());
        line.map(|line| Secret::new(line.to_owned())).ok_or_else(|| "printed no password".to_owned())
    });
    secret.map_err(|what| {
        let message = format!("password_command {what}; run it by hand to see why");
        QueryError::not_sent(GapReason::AuthenticationFailed, message)
    })
}

async fn output(command: &[String]) -> Result<String, String> {
    let (program, arguments) = command.split_first().ok_or("is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("could not be started: {error}"))?;
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(OUTPUT_MAX_BYTES + 1);
        stdout.read_to_end(&mut printed).await.map_err(|error| format!("could not be read: {error}"))?;
    }
    if printed.len() as u64 > OUTPUT_MAX_BYTES {
        return Err("printed more than 16 KiB".to_owned());
    }
    let status = child.wait().await.map_err(|error| format!("could not be waited for: {error}"))?;
    if !status.success() {
        return Err(format!("ended with {status}"));
    }
    String::from_utf8(printed).map_err(|_| "printed no text".to_owned())
}

#[cfg(test)]
mod tests {
    use dbintel_model::{ManualClock, Timestamp};
    use dbintel_pipeline::admission::StatementError;

    use super::*;

    async fn sh(script: &str) -> Result<Secret, QueryError> {
        run(&["sh", "-c", script].map(str::to_owned)).await
    }

    #[tokio::test]
    async fn a_password_command_gives_its_first_line_and_its_output_stays_out_of_errors() {
        assert_eq!(sh("echo token-1; echo more").await.unwrap().expose(), "token-1");
        let error = sh("echo hunter2; echo hunter2 >&2; exit 3").await.unwrap_err();
        assert!(
            error.to_string().contains("exit status: 3") && !error.to_string().contains("hunter2"),
            "{error}"
        );
        let error = run(&["/nonexistent/program".to_owned()]).await.unwrap_err();
        assert!(error.to_string().contains("could not be started"), "{error}");
        assert_eq!(error.for_admission(), StatementError::NotSent);
        assert!(sh("true").await.unwrap_err().to_string().contains("no password"));
    }

    #[tokio::test]
    async fn a_command_that_failed_is_left_alone_for_a_while() {
        let place = tempfile::tempdir().unwrap();
        let (runs, works) = (place.path().join("runs"), place.path().join("works"));
        let script = format!("echo run >> {}; test -f {} && echo token", runs.display(), works.display());
        let command: Vec<String> = ["sh", "-c", &script].map(str::to_owned).into();
        let (clock, of_command) = (ManualClock::at(Timestamp::default()), PasswordCommand::default());
        let mut ran_at = Vec::new();
        for second in 0..200 {
            let before = std::fs::read_to_string(&runs).unwrap_or_default().lines().count();
            assert!(of_command.run(&command, &clock).await.is_err());
            if std::fs::read_to_string(&runs).unwrap().lines().count() > before {
                ran_at.push(second);
            }
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(ran_at, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        std::fs::write(&works, "").unwrap();
        clock.advance(Duration::from_secs(60));
        for _ in 0..2 {
            assert_eq!(of_command.run(&command, &clock).await.unwrap().expose(), "token");
        }
    }

    #[tokio::test]
    async fn a_command_that_prints_without_end_is_not_listened_to() {
        let error = sh("yes hunter2").await.unwrap_err();
        assert!(error.to_string().contains("16 KiB") && !error.to_string().contains("hunter2"), "{error}");
    }
}
