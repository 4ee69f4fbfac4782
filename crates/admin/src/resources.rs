//! What the process uses and may use, as the kernel says: resident memory, CPU time, and the limits on both.
//!
//! Promises:
//! * a number is what the kernel wrote, or absent; never zero for unknown;
//! * the memory limit is the smallest of the process's own control group and all groups above it (version 2, else
//!   version 1), or else the memory of the machine; it says which;
//! * nothing is cached for longer than [`SAMPLE_AGE_MAX`] (use) and [`LIMITS_AGE_MAX`] (limits, which Kubernetes can
//!   change while the process runs), and nothing is read more often, whoever asks;
//! * files are read up to [`FILE_BYTES_MAX`].

mod parse;
mod read;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Monotonic};
use dbintel_pipeline::telemetry::{Registry, definitions as shared};
use parking_lot::Mutex;

use crate::definitions;
use read::Kernel;

/// A reading of use that is younger than this is used again.
pub const SAMPLE_AGE_MAX: Duration = Duration::from_secs(1);
/// A reading of limits that is younger than this is used again.
pub const LIMITS_AGE_MAX: Duration = Duration::from_secs(60);
/// Bytes read of one file of the kernel. `/proc/self/mountinfo` of a busy Kubernetes node is the largest.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Tells a number of bytes that somebody else knows, for instance the allocator.
pub type ReadBytes = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Reads use and limits. Cloning it gives another handle to the same readings.
#[derive(Clone)]
pub struct ResourceMonitor(Arc<Shared>);

struct Shared {
    kernel: Kernel,
    clock: Arc<dyn Clock>,
    started: Monotonic,
    heap: Option<ReadBytes>,
    samples: Mutex<Samples>,
    limits: Mutex<(Monotonic, Limits)>,
}

struct Samples {
    latest: Usage,
    latest_at: Monotonic,
}

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident set size.
    pub rss_bytes: Option<u64>,
    /// CPU time since the start, user and system.
    pub cpu_seconds: Option<f64>,
    /// CPU use between the last two samples: 100 is one CPU.
    pub cpu_percent: Option<f64>,
    /// Bytes handed out by the allocator.
    pub heap_bytes: Option<u64>,
    /// Time since the start.
    pub uptime: Duration,
}

/// What the process may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Memory.
    pub memory: Option<MemoryBound>,
    /// CPUs, where a control group limits them.
    pub cpus: Option<f64>,
}

/// The bound on memory and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBound {
    /// So many bytes.
    pub bytes: u64,
    /// Who says so.
    pub source: BoundSource,
}

/// Who bounds the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundSource {
    /// `memory.max` of control group version 2.
    CgroupV2,
    /// `memory.limit_in_bytes` of control group version 1.
    CgroupV1,
    /// `MemTotal` of the machine.
    Machine,
}

// === impl ResourceMonitor ===

impl ResourceMonitor {
    /// A monitor of this process. `heap` tells what the allocator has handed out, where it can.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, heap: Option<ReadBytes>) -> Self {
        Self::with_kernel(Kernel::of_this_process(), clock, heap)
    }

    fn with_kernel(kernel: Kernel, clock: Arc<dyn Clock>, heap: Option<ReadBytes>) -> Self {
        let now = clock.monotonic();
        let limits = kernel.limits();
        let samples = Samples {
            latest: Usage {
                cpu_seconds: kernel.cpu_seconds(),
                rss_bytes: kernel.rss_bytes(),
                heap_bytes: heap.as_ref().and_then(|read| read()),
                ..Usage::default()
            },
            latest_at: now,
        };
        Self(Arc::new(Shared {
            kernel,
            clock,
            started: now,
            heap,
            samples: Mutex::new(samples),
            limits: Mutex::new((now, limits)),
        }))
    }

    /// Resident set size now, read anew: what the memory limiter compares with its limits.
    #[must_use]
    pub fn rss_bytes(&self) -> Option<u64> {
        self.0.kernel.rss_bytes()
    }

    /// What the process uses, at most [`SAMPLE_AGE_MAX`] old.
    #[must_use]
    pub fn sample(&self) -> Usage {
        let now = self.0.clock.monotonic();
        let mut samples = self.0.samples.lock();
        let elapsed = now.since(samples.latest_at);
        if elapsed >= SAMPLE_AGE_MAX {
            let before = samples.latest.cpu_seconds;
            samples.latest = self.0.read_usage(before, elapsed);
            samples.latest_at = now;
        }
        Usage { uptime: now.since(self.0.started), ..samples.latest }
    }

    /// What the process may use, at most [`LIMITS_AGE_MAX`] old.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let now = self.0.clock.monotonic();
        let mut limits = self.0.limits.lock();
        if now.since(limits.0) >= LIMITS_AGE_MAX {
            *limits = (now, self.0.kernel.limits());
        }
        limits.1
    }

    /// Makes use and limits visible as self-metrics.
    pub fn observe(&self, registry: &Registry) {
        let series = |metric, read: fn(&Self) -> Option<f64>| {
            let monitor = self.clone();
            registry.observe(metric, Vec::new(), move || read(&monitor));
        };
        series(&shared::PROCESS_RSS, |it| it.sample().rss_bytes.map(as_f64));
        series(&shared::PROCESS_CPU, |it| it.sample().cpu_seconds);
        series(&shared::PROCESS_HEAP, |it| it.sample().heap_bytes.map(as_f64));
        series(&shared::PROCESS_UPTIME, |it| Some(it.sample().uptime.as_secs_f64()));
        series(&definitions::PROCESS_CPU_LIMIT, |it| it.limits().cpus);
        series(&definitions::PROCESS_MEMORY_LIMIT, |it| it.limits().memory.map(|bound| as_f64(bound.bytes)));
    }
}

impl std::fmt::Debug for ResourceMonitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceMonitor").finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn read_usage(&self, cpu_before: Option<f64>, elapsed: Duration) -> Usage {
        let cpu_seconds = self.kernel.cpu_seconds();
        let cpu_percent = cpu_seconds
            .zip(cpu_before)
            .map(|(now, before)| (now - before).max(0.0) / elapsed.as_secs_f64() * 100.0);
        Usage {
            rss_bytes: self.kernel.rss_bytes(),
            cpu_seconds,
            cpu_percent,
            heap_bytes: self.heap.as_ref().and_then(|read| read()),
            uptime: Duration::ZERO,
        }
    }
}

// === impl BoundSource ===

impl BoundSource {
    /// The source in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CgroupV2 => "control group v2, memory.max",
            Self::CgroupV1 => "control group v1, memory.limit_in_bytes",
            Self::Machine => "machine, MemTotal",
        }
    }

    /// Whether it is a limit of the container, and not all the machine has.
    #[must_use]
    pub const fn is_container(self) -> bool {
        matches!(self, Self::CgroupV2 | Self::CgroupV1)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size, for display")]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
