//! What `/proc` says about a process.

use std::fs;
use std::time::Duration;

/// One moment of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Resident memory.
    pub rss_bytes: u64,
    /// The most resident memory it ever had.
    pub rss_peak_bytes: u64,
    /// Resident memory that is not backed by a file: what it has allocated.
    pub anonymous_bytes: u64,
    /// CPU time in user and kernel mode, in steps of 10 ms.
    pub cpu_time: Duration,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_files: usize,
}

impl Figures {
    /// Panics when there is no such process: a measurement of nothing is worse than none.
    pub fn of(pid: u32) -> Self {
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{pid}/{name}"))
                .unwrap_or_else(|error| panic!("cannot read {name} of process {pid}: {error}"))
        };
        let status = read("status");
        Self {
            rss_bytes: kibibytes(&status, "VmRSS:"),
            rss_peak_bytes: kibibytes(&status, "VmHWM:"),
            anonymous_bytes: kibibytes(&status, "RssAnon:"),
            cpu_time: cpu_time(&read("stat")),
            threads: field(&status, "Threads:"),
            open_files: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        }
    }
}

fn kibibytes(status: &str, name: &str) -> u64 {
    field(status, name) * 1024
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{status}"))
}

/// Fields 14 and 15 of `stat`, in clock ticks; the second field is the name in brackets and may hold anything.
fn cpu_time(stat: &str) -> Duration {
    let (_, after_name) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_figures_are_plausible() {
        let figures = Figures::of(std::process::id());
        assert!(figures.rss_bytes > 1 << 20 && figures.rss_bytes <= figures.rss_peak_bytes, "{figures:?}");
        assert!(figures.anonymous_bytes <= figures.rss_bytes);
        assert!(figures.threads >= 1 && figures.open_files >= 3);
    }

    #[test]
    fn cpu_time_is_found_behind_a_strange_name() {
        let stat = "1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5 6 7";
        let ticks = 200.0 / rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu_time(stat), Duration::from_secs_f64(ticks));
    }
}
