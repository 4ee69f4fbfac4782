use std::fs;
use std::path::Path;

use dbintel_model::{ManualClock, SystemClock, Timestamp};
use tempfile::TempDir;

use super::*;

/// A root folder with these files in it.
fn root(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    folder
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn limits(files: &[(&str, &str)]) -> Limits {
    Kernel::below(root(files).path()).limits()
}

fn bound(bytes: u64, source: BoundSource) -> Option<MemoryBound> {
    Some(MemoryBound { bytes, source })
}

const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal: 16384 kB\n");
const MACHINE: u64 = 16_384 * 1024;
const MOUNT_V2: (&str, &str) =
    ("/proc/self/mountinfo", "31 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
const MOUNT_V1: (&str, &str) = (
    "/proc/self/mountinfo",
    "40 32 0:35 /docker/a /cg/memory rw - cgroup cgroup rw,memory\n\
     41 32 0:36 /docker/a /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
);

#[test]
fn the_smallest_limit_of_the_own_group_and_those_above_counts() {
    let found = limits(&[
        MEMINFO,
        MOUNT_V2,
        ("/proc/self/cgroup", "0::/pods/pod1/app\n"),
        ("/sys/fs/cgroup/pods/pod1/app/memory.max", "max\n"),
        ("/sys/fs/cgroup/pods/pod1/memory.max", "4194304\n"),
        ("/sys/fs/cgroup/pods/memory.max", "8388608\n"),
        ("/sys/fs/cgroup/pods/pod1/app/cpu.max", "200000 100000\n"),
        ("/sys/fs/cgroup/pods/cpu.max", "50000 100000\n"),
    ]);
    assert_eq!(found.memory, bound(4_194_304, BoundSource::CgroupV2));
    assert_eq!(found.cpus, Some(0.5));
}

#[test]
fn version_1_is_read_where_version_2_says_nothing() {
    let found = limits(&[
        MEMINFO,
        MOUNT_V1,
        ("/proc/self/cgroup", "9:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n"),
        ("/cg/memory/memory.limit_in_bytes", "4194304\n"),
        ("/cg/cpu/cpu.cfs_quota_us", "150000\n"),
        ("/cg/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    assert_eq!(found.memory, bound(4_194_304, BoundSource::CgroupV1));
    assert_eq!(found.cpus, Some(1.5));
}

#[test]
fn without_a_limit_the_machine_is_the_limit() {
    let machine = bound(MACHINE, BoundSource::Machine);
    let check = |files: &[(&str, &str)]| assert_eq!(limits(files).memory, machine);
    check(&[MEMINFO]);
    check(&[MEMINFO, MOUNT_V2, ("/proc/self/cgroup", "0::/\n")]);
    check(&[
        MEMINFO,
        MOUNT_V2,
        ("/proc/self/cgroup", "0::/a\n"),
        ("/sys/fs/cgroup/a/memory.max", "99999999999\n"),
    ]);
    assert_eq!(limits(&[]), Limits::default());
}

#[test]
fn use_is_sampled_at_most_once_a_second_and_cpu_is_the_difference() {
    let stat = |ticks: u64| format!("1 (d) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0");
    let root = root(&[("/proc/self/statm", "9 5 0 0 0 0 0"), ("/proc/self/stat", &stat(100))]);
    let clock = ManualClock::at(Timestamp::default());
    let heap: ReadBytes = Arc::new(|| Some(77));
    let monitor =
        ResourceMonitor::with_kernel(Kernel::below(root.path()), Arc::new(clock.clone()), Some(heap));
    assert_eq!(monitor.sample().cpu_percent, None);

    write(root.path(), "/proc/self/stat", &stat(150));
    write(root.path(), "/proc/self/statm", "9 6 0 0 0 0 0");
    clock.advance(Duration::from_millis(900));
    assert_eq!(monitor.sample().rss_bytes, Some(5 * 4096));
    assert_eq!(monitor.rss_bytes(), Some(6 * 4096));
    clock.advance(Duration::from_millis(1100));
    let usage = monitor.sample();
    assert_eq!((usage.rss_bytes, usage.heap_bytes), (Some(6 * 4096), Some(77)));
    assert_eq!((usage.cpu_seconds, usage.cpu_percent), (Some(1.5), Some(25.0)));
    assert_eq!(usage.uptime, Duration::from_secs(2));
}

#[test]
fn limits_are_read_again_after_a_while() {
    let root = root(&[MEMINFO]);
    let clock = ManualClock::at(Timestamp::default());
    let monitor = ResourceMonitor::with_kernel(Kernel::below(root.path()), Arc::new(clock.clone()), None);
    write(root.path(), MEMINFO.0, "MemTotal: 1 kB");
    assert_eq!(monitor.limits().memory, bound(MACHINE, BoundSource::Machine));
    clock.advance(LIMITS_AGE_MAX);
    assert_eq!(monitor.limits().memory, bound(1024, BoundSource::Machine));
}

#[test]
fn what_is_unknown_is_not_a_metric() {
    let (root, registry) = (root(&[MEMINFO]), Registry::default());
    let clock = Arc::new(ManualClock::at(Timestamp::default()));
    ResourceMonitor::with_kernel(Kernel::below(root.path()), clock, None).observe(&registry);
    let names: Vec<_> = registry.read().iter().map(|reading| reading.metric.name).collect();
    assert_eq!(names, ["dbintel_process_memory_limit_bytes", "otelcol_process_uptime_seconds"]);
}

#[test]
#[cfg(target_os = "linux")]
fn this_process_has_memory_and_a_bound() {
    let monitor = ResourceMonitor::new(Arc::new(SystemClock::default()), None);
    let (usage, limits) = (monitor.sample(), monitor.limits());
    let bound = limits.memory.unwrap();
    assert!(usage.rss_bytes.unwrap() > 1 << 20 && usage.rss_bytes.unwrap() < bound.bytes);
    assert!(usage.cpu_seconds.is_some());
}
