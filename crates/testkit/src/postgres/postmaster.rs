//! The server process: start, ready, freeze, stop.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::installation::Installation;
use super::user::ServerUser;
use crate::wait::poll_until;

/// A start that takes longer has failed. Crash recovery of a big workload is the slowest case.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// After this the stop is forced with SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of the server's log goes into the panic text when it does not start.
const LOG_TAIL_LINES: usize = 30;

/// How the server is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Wait for clients to leave (SIGTERM).
    Smart,
    /// Disconnect clients, checkpoint, end (SIGINT).
    Fast,
    /// End at once, recover at the next start (SIGQUIT). What a crash looks like.
    Immediate,
    /// SIGKILL to the postmaster: its children notice and end, nothing is tidied up.
    Kill,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Postmaster {
    process: Child,
}

impl Postmaster {
    /// Starts the server of `data` and returns when it accepts connections. Panics with the end of its log.
    pub(crate) fn start(installation: &Installation, user: ServerUser, data: &Path, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("own directory");
        let process = user
            .command(&installation.program("postgres"))
            .arg("-D")
            .arg(data)
            .env_clear()
            .current_dir(data.parent().expect("data lies in the directory of the cluster"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("postgres can be started");
        let mut postmaster = Self { process };
        if let Err(problem) = postmaster.wait_ready(data) {
            let _ = postmaster.process.kill();
            let _ = postmaster.process.wait();
            panic!("{problem}; end of {}:\n{}", log.display(), tail(log));
        }
        postmaster
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Stops every process of the server: connections stay open and nobody answers.
    pub(crate) fn freeze(&self) {
        // The postmaster first, so that it starts no child behind our back.
        signal(self.pid(), Signal::STOP);
        for child in self.children() {
            signal(child, Signal::STOP);
        }
    }

    pub(crate) fn thaw(&self) {
        for child in self.children() {
            signal(child, Signal::CONT);
        }
        signal(self.pid(), Signal::CONT);
    }

    /// Returns when the process is gone.
    pub(crate) fn stop(mut self, mode: StopMode) {
        self.stop_now(mode);
    }

    fn stop_now(&mut self, mode: StopMode) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        self.thaw();
        signal(
            self.pid(),
            match mode {
                StopMode::Smart => Signal::TERM,
                StopMode::Fast => Signal::INT,
                StopMode::Immediate => Signal::QUIT,
                StopMode::Kill => Signal::KILL,
            },
        );
        let gone = poll_until(STOP_TIMEOUT, || self.process.try_wait().ok().flatten());
        if gone.is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// The postmaster writes its state into the last line of `postmaster.pid`; `pg_ctl -w` reads the same.
    fn wait_ready(&mut self, data: &Path) -> Result<(), String> {
        let pid_file = data.join("postmaster.pid");
        let pid = self.pid().to_string();
        poll_until(START_TIMEOUT, || match self.process.try_wait() {
            Ok(None) => is_ready(&pid_file, &pid).then_some(Ok(())),
            ended => Some(Err(format!("the server ended while starting: {ended:?}"))),
        })
        .unwrap_or_else(|| Err(format!("the server is not ready after {START_TIMEOUT:?}")))
    }

    fn children(&self) -> Vec<u32> {
        let Ok(processes) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| parent_of(*pid) == Some(self.pid()))
            .collect()
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop_now(StopMode::Immediate);
    }
}

fn is_ready(pid_file: &PathBuf, pid: &str) -> bool {
    let Ok(text) = fs::read_to_string(pid_file) else {
        return false;
    };
    let mut lines = text.lines();
    lines.next() == Some(pid) && lines.next_back().is_some_and(|state| state.trim_end() == "ready")
}

/// Fourth field of `/proc/PID/stat`; the second is the name in brackets and may hold anything.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// A process that has just ended is no error.
fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    let _ = kill_process(pid, signal);
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
