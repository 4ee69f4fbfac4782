//! Watching the program over some time.

use std::time::{Duration, Instant};

use dbintel_testkit::process::Figures;
use serde::Serialize;

use crate::collector::Collector;

/// How often memory is looked at. Reading `/proc` costs the program nothing.
const EVERY: Duration = Duration::from_millis(250);

/// Memory and CPU over some time.
#[derive(Clone, Debug, Serialize)]
pub struct Watched {
    /// How long.
    pub seconds: f64,
    /// CPU time in percent of one core.
    pub cpu_percent: f64,
    /// Median of resident memory.
    pub rss_median_mib: f64,
    /// Median over the first third.
    pub rss_first_third_mib: f64,
    /// Median over the last third.
    pub rss_last_third_mib: f64,
    /// The most resident memory it ever had, since its start.
    pub rss_peak_mib: f64,
    /// Median of resident memory that no file backs.
    pub anonymous_median_mib: f64,
    /// Threads at the end.
    pub threads: u64,
    /// Open files at the end.
    pub open_files: usize,
}

/// Looks at the program until `end`.
pub async fn watch(collector: &Collector, end: Instant) -> Watched {
    let (started, first) = (Instant::now(), collector.figures());
    let mut samples = vec![first];
    while Instant::now() < end {
        tokio::time::sleep(EVERY.min(end.saturating_duration_since(Instant::now()))).await;
        samples.push(collector.figures());
    }
    let (seconds, last) = (started.elapsed().as_secs_f64(), samples[samples.len() - 1]);
    let third = samples.len() / 3;
    let rss = |samples: &[Figures]| median(samples.iter().map(|sample| mib(sample.rss_bytes)));
    Watched {
        seconds,
        cpu_percent: (last.cpu_time.saturating_sub(first.cpu_time)).as_secs_f64() / seconds * 100.0,
        rss_median_mib: rss(&samples),
        rss_first_third_mib: rss(&samples[..=third]),
        rss_last_third_mib: rss(&samples[samples.len() - third - 1..]),
        rss_peak_mib: mib(last.rss_peak_bytes),
        anonymous_median_mib: median(samples.iter().map(|sample| mib(sample.anonymous_bytes))),
        threads: last.threads,
        open_files: last.open_files,
    }
}

/// Bytes in MiB.
#[must_use]
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The middle one; the upper of the two of an even number. 0 for none.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
