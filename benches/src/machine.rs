//! The machine on which was measured.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dbintel_testkit::process::Launch;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// What a figure depends on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// Memory.
    pub memory_gib: f64,
    /// Kernel.
    pub kernel: String,
    /// `rustc --version`
    pub rustc: String,
    /// The server measured with.
    pub postgresql: String,
    /// The program measured, as it calls itself.
    pub dbintel: String,
    /// Path of the program; its directory is named after the Cargo profile.
    pub program: String,
    /// Cargo profile of the program.
    pub profile: String,
    /// Size of the program's file.
    pub program_mib: f64,
    /// Load average over 1, 5 and 15 minutes before the measurement.
    pub load_before: String,
    /// The same after it.
    pub load_after: String,
}

impl Machine {
    /// This machine; `program` is the `dbintel` that is measured.
    pub async fn describe(program: &Path, postgresql: String) -> Self {
        let version = Launch::command(&["--version"]).output().await.stdout;
        let profile = program.parent().and_then(Path::file_name);
        Self {
            cpu: proc_field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory_kib() / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            rustc: rustc(),
            postgresql,
            dbintel: String::from_utf8_lossy(&version).trim().to_owned(),
            program: program.display().to_string(),
            profile: profile.unwrap_or_default().to_string_lossy().into_owned(),
            program_mib: fs::metadata(program).map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20)),
            load_before: load(),
            load_after: String::new(),
        }
    }
}

/// Processor time of this thread. It has what the thread needs, and what the host of a virtual machine takes without telling the kernel;
/// what the kernel knows to have been taken, and what other threads took, is in the time by the clock only.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("it only grows");
    let nanos = u32::try_from(time.tv_nsec).expect("less than a second");
    Duration::new(seconds, nanos)
}

/// What the kernel says the host has taken from a virtual machine since it was started, from all cores together, in seconds; 0 where
/// it does not say.
#[must_use]
pub fn stolen_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // The word "cpu", then user, nice, system, idle, iowait, irq, softirq, steal.
    let ticks = stat.lines().next().and_then(|all| all.split_whitespace().nth(8)?.parse::<f64>().ok());
    ticks.unwrap_or_default() / rustix::param::clock_ticks_per_second() as f64
}

/// Load average over 1, 5 and 15 minutes.
#[must_use]
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn memory_kib() -> f64 {
    let total = proc_field("/proc/meminfo", "MemTotal").unwrap_or_default();
    total.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

fn proc_field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "unknown".to_owned(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}
