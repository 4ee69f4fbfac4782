//! Parsers of what the kernel says about memory and CPU: pure, and `None` for anything that does not look as the
//! manuals say (`proc(5)`, the kernel's `admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`).

use std::path::{Component, Path, PathBuf};

/// A limit of control group v1 at or above this is no limit: the kernel writes the largest page-aligned number.
const CGROUP_V1_UNLIMITED: u64 = 1 << 60;

/// Resident pages from `/proc/self/statm`.
pub(super) fn statm_resident_pages(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Clock ticks of user and system time together, from `/proc/self/stat`.
pub(super) fn stat_cpu_ticks(text: &str) -> Option<u64> {
    // The second field is the name of the program in parentheses, and may contain both spaces and parentheses.
    let (_, after_name) = text.rsplit_once(") ")?;
    // utime and stime are fields 14 and 15; the text starts at field 3.
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Bytes of memory of the machine, from `/proc/meminfo`.
pub(super) fn meminfo_total_bytes(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The limit in `memory.max` of control group v2; `None` where there is none.
pub(super) fn memory_max(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The limit in `memory.limit_in_bytes` of control group v1; `None` where there is none.
pub(super) fn memory_limit_in_bytes(text: &str) -> Option<u64> {
    let bytes = text.trim().parse().ok()?;
    (bytes < CGROUP_V1_UNLIMITED).then_some(bytes)
}

/// CPUs allowed by `cpu.max` of control group v2; `None` where there is no limit.
pub(super) fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_over_period(quota.parse().ok()?, period.parse().ok()?)
}

/// CPUs allowed by `cpu.cfs_quota_us` and `cpu.cfs_period_us` of control group v1; `None` where there is no limit.
pub(super) fn cfs_quota(quota: &str, period: &str) -> Option<f64> {
    // No limit is written as -1, which is not a number for us.
    quota_over_period(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn quota_over_period(quota_us: u32, period_us: u32) -> Option<f64> {
    (quota_us > 0 && period_us > 0).then(|| f64::from(quota_us) / f64::from(period_us))
}

/// The control groups of the process, from `/proc/self/cgroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnGroups {
    /// Path in the version 2 hierarchy.
    pub(super) v2: Option<String>,
    /// Path in the version 1 memory hierarchy.
    pub(super) v1_memory: Option<String>,
    /// Path in the version 1 CPU hierarchy.
    pub(super) v1_cpu: Option<String>,
}

/// Lines are `hierarchy:controllers:path`; the version 2 hierarchy has number 0 and no controllers.
pub(super) fn own_groups(text: &str) -> OwnGroups {
    let mut groups = OwnGroups::default();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }
        let has = |wanted: &str| controllers.split(',').any(|name| name == wanted);
        if number == "0" && controllers.is_empty() {
            groups.v2 = Some(path.to_owned());
        }
        if has("memory") {
            groups.v1_memory = Some(path.to_owned());
        }
        if has("cpu") {
            groups.v1_cpu = Some(path.to_owned());
        }
    }
    groups
}

/// Where control groups are mounted, from `/proc/self/mountinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupMounts {
    pub(super) v2: Option<GroupMount>,
    pub(super) v1_memory: Option<GroupMount>,
    pub(super) v1_cpu: Option<GroupMount>,
}

/// One mounted hierarchy of control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupMount {
    /// Path within the hierarchy that is mounted.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) point: String,
}

/// Lines are `id parent major:minor root point options [tags…] - type source super-options`; the first mount of a
/// kind is taken.
pub(super) fn group_mounts(text: &str) -> GroupMounts {
    let mut mounts = GroupMounts::default();
    for line in text.lines() {
        let Some((kind, mount, options)) = group_mount(line) else {
            continue;
        };
        let has = |wanted: &str| options.split(',').any(|name| name == wanted);
        if kind == "cgroup2" {
            mounts.v2.get_or_insert(mount);
        } else if kind == "cgroup" {
            if has("memory") {
                mounts.v1_memory.get_or_insert(mount.clone());
            }
            if has("cpu") {
                mounts.v1_cpu.get_or_insert(mount);
            }
        }
    }
    mounts
}

fn group_mount(line: &str) -> Option<(&str, GroupMount, &str)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (unescape(left.next()?), unescape(left.next()?));
    let mut right = right.split(' ');
    let (kind, _source, options) = (right.next()?, right.next()?, right.next()?);
    Some((kind, GroupMount { root, point }, options))
}

/// Undoes the kernel's octal escapes of space, tab, line feed and backslash.
fn unescape(field: &str) -> String {
    const ESCAPES: [(&str, &str); 4] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    ESCAPES.iter().fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// The folders of the process's own group and of all groups above it, as far as they are visible: own first.
///
/// A container without a namespace of its own for control groups sees the full path in `/proc/self/cgroup` but only
/// its own part mounted; `root` says which part that is.
pub(super) fn group_folders(mount: &GroupMount, group: &str) -> Vec<PathBuf> {
    let below_root = match mount.root.as_str() {
        "/" => Some(group),
        root => group.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/')),
    };
    // A group outside what is mounted, or a path out of it: only the mounted root is visible.
    let relative = Path::new(below_root.unwrap_or_default().trim_start_matches('/'));
    let is_inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let relative = if is_inside { relative } else { Path::new("") };
    let own = Path::new(&mount.point).join(relative);
    let levels = relative.components().count() + 1;
    own.ancestors().take(levels).map(Path::to_path_buf).collect()
}

#[cfg(test)]
mod tests;
