//! The thin part that reads the kernel's files; what they mean is in [`super::parse`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::parse::{self, GroupMount};
use super::{BoundSource, FILE_BYTES_MAX, Limits, MemoryBound};

/// The kernel's files, below a root that is `/` except in tests.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    root: PathBuf,
    page_bytes: u64,
    ticks_per_second: u64,
}

// === impl Kernel ===

impl Kernel {
    pub(super) fn of_this_process() -> Self {
        Self {
            root: PathBuf::from("/"),
            page_bytes: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            ticks_per_second: rustix::param::clock_ticks_per_second(),
        }
    }

    #[cfg(test)]
    pub(super) fn below(root: &Path) -> Self {
        Self { root: root.to_owned(), page_bytes: 4096, ticks_per_second: 100 }
    }

    pub(super) fn rss_bytes(&self) -> Option<u64> {
        let pages = parse::statm_resident_pages(&self.read("/proc/self/statm")?)?;
        pages.checked_mul(self.page_bytes)
    }

    #[allow(clippy::cast_precision_loss, reason = "ticks of one process stay far below 2^53")]
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        let ticks = parse::stat_cpu_ticks(&self.read("/proc/self/stat")?)?;
        (self.ticks_per_second > 0).then(|| ticks as f64 / self.ticks_per_second as f64)
    }

    pub(super) fn limits(&self) -> Limits {
        let groups = parse::own_groups(&self.read("/proc/self/cgroup").unwrap_or_default());
        let mounts = parse::group_mounts(&self.read("/proc/self/mountinfo").unwrap_or_default());
        let v2 = folders(mounts.v2.as_ref(), groups.v2.as_deref());
        let v1_memory = folders(mounts.v1_memory.as_ref(), groups.v1_memory.as_deref());
        let v1_cpu = folders(mounts.v1_cpu.as_ref(), groups.v1_cpu.as_deref());
        let cpus = self.cpus_v2(&v2).or_else(|| self.cpus_v1(&v1_cpu));
        Limits { memory: self.memory(&v2, &v1_memory), cpus }
    }

    fn memory(&self, v2: &[PathBuf], v1: &[PathBuf]) -> Option<MemoryBound> {
        let machine = self.read("/proc/meminfo").and_then(|text| parse::meminfo_total_bytes(&text));
        let group = |folders: &[PathBuf], file, parse: fn(&str) -> Option<u64>, source| {
            let bytes = self.smallest(folders, file, parse)?;
            Some(MemoryBound { bytes, source })
        };
        let contained = group(v2, "memory.max", parse::memory_max, BoundSource::CgroupV2).or_else(|| {
            let (file, parse) = ("memory.limit_in_bytes", parse::memory_limit_in_bytes);
            group(v1, file, parse, BoundSource::CgroupV1)
        });
        // A group may be allowed more than the machine has.
        contained
            .filter(|bound| machine.is_none_or(|machine| bound.bytes < machine))
            .or_else(|| machine.map(|bytes| MemoryBound { bytes, source: BoundSource::Machine }))
    }

    fn smallest(&self, folders: &[PathBuf], file: &str, parse: fn(&str) -> Option<u64>) -> Option<u64> {
        folders.iter().filter_map(|folder| parse(&self.read(folder.join(file))?)).min()
    }

    fn cpus_v2(&self, folders: &[PathBuf]) -> Option<f64> {
        let limits = folders.iter().filter_map(|folder| parse::cpu_max(&self.read(folder.join("cpu.max"))?));
        limits.reduce(f64::min)
    }

    fn cpus_v1(&self, folders: &[PathBuf]) -> Option<f64> {
        let limits = folders.iter().filter_map(|folder| {
            let quota = self.read(folder.join("cpu.cfs_quota_us"))?;
            let period = self.read(folder.join("cpu.cfs_period_us"))?;
            parse::cfs_quota(&quota, &period)
        });
        limits.reduce(f64::min)
    }

    /// The text of a file, or nothing: a kernel without the file is as good as one that does not say.
    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let below_root = path.as_ref().strip_prefix("/").ok()?;
        let mut text = String::new();
        File::open(self.root.join(below_root)).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

fn folders(mount: Option<&GroupMount>, group: Option<&str>) -> Vec<PathBuf> {
    match (mount, group) {
        (Some(mount), Some(group)) => parse::group_folders(mount, group),
        _ => Vec::new(),
    }
}
