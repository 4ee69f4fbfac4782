//! What the kernel writes, in, and what it means, out; what it does not write is `None`.

use super::*;

#[test]
fn resident_pages() {
    let check = |text, expected| assert_eq!(statm_resident_pages(text), expected, "{text:?}");
    check("24213 5131 2718 1201 0 3821 0\n", Some(5131));
    check("24213", None);
    check("", None);
    check("a b c", None);
    check("1 -5 3", None);
    check("1 18446744073709551616 3", None);
}

#[test]
fn cpu_ticks() {
    let check = |text: &str, expected| assert_eq!(stat_cpu_ticks(text), expected, "{text:?}");
    let stat = |name: &str, user: &str, system: &str| {
        format!("42 ({name}) S 1 42 42 0 -1 4194560 100 0 0 0 {user} {system} 0 0 20 0 4 0 100 1 2 3")
    };
    check(&stat("dbintel", "150", "50"), Some(200));
    check(&stat("odd ) name (x", "1", "2"), Some(3));
    check(&stat("dbintel", "-1", "2"), None);
    check(&stat("dbintel", "18446744073709551615", "1"), None);
    check("42 (dbintel) S 1 2 3", None);
    check("42 dbintel S", None);
    check("", None);
}

#[test]
fn memory_of_the_machine() {
    let check = |text, expected| assert_eq!(meminfo_total_bytes(text), expected, "{text:?}");
    check("MemTotal:       24676328 kB\nMemFree: 1 kB\n", Some(24_676_328 * 1024));
    check("MemFree: 1 kB\nMemTotal: 2 kB", Some(2048));
    check("MemTotal: 2 MB", None);
    check("MemTotal: kB", None);
    check("MemTotal: 18446744073709551615 kB", None);
    check("", None);
}

#[test]
fn memory_limits() {
    assert_eq!(memory_max("536870912\n"), Some(536_870_912));
    for text in ["max\n", "", "-1", "1.5", "12 34"] {
        assert_eq!(memory_max(text), None, "{text:?}");
    }
    assert_eq!(memory_limit_in_bytes("536870912\n"), Some(536_870_912));
    for text in ["9223372036854771712\n", "-1", "", "max"] {
        assert_eq!(memory_limit_in_bytes(text), None, "{text:?}");
    }
}

#[test]
fn cpu_limits() {
    assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
    for text in ["max 100000\n", "0 100000", "100000 0", "100000", "", "1 2 3", "-1 100000"] {
        assert_eq!(cpu_max(text), None, "{text:?}");
    }
    assert_eq!(cfs_quota("50000\n", "100000\n"), Some(0.5));
    for (quota, period) in [("-1", "100000"), ("50000", "0"), ("", ""), ("0", "100000")] {
        assert_eq!(cfs_quota(quota, period), None, "{quota:?} {period:?}");
    }
}

#[test]
fn groups_of_the_process() {
    assert_eq!(own_groups("0::/kubepods.slice/pod1/abc\n").v2.unwrap(), "/kubepods.slice/pod1/abc");
    let v1 = own_groups("12:memory:/docker/a\n4:cpu,cpuacct:/docker/b\n1:name=systemd:/x:y\n0::/\n");
    assert_eq!(v1.v1_memory.as_deref(), Some("/docker/a"));
    assert_eq!(v1.v1_cpu.as_deref(), Some("/docker/b"));
    assert_eq!(v1.v2.as_deref(), Some("/"));
    for text in ["", "garbage", "0:", "0::", "0::relative", "::::", "5:cpuset:/x"] {
        assert_eq!(own_groups(text), OwnGroups::default(), "{text:?}");
    }
}

#[test]
fn mounts_of_groups() {
    let text = "25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
                31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
                40 32 0:35 /docker/a /my\\040groups/memory rw - cgroup cgroup rw,memory\n\
                41 32 0:36 /docker/a /groups/cpu ro master:18 - cgroup cgroup rw,cpu,cpuacct\n";
    let mounts = group_mounts(text);
    let mount = |root: &str, point: &str| Some(GroupMount { root: root.to_owned(), point: point.to_owned() });
    assert_eq!(mounts.v2, mount("/", "/sys/fs/cgroup"));
    assert_eq!(mounts.v1_memory, mount("/docker/a", "/my groups/memory"));
    assert_eq!(mounts.v1_cpu, mount("/docker/a", "/groups/cpu"));
    for text in ["", "garbage", " - ", "1 2 3 4 - cgroup2 x", "1 2 3 / /x rw cgroup2 a b"] {
        assert_eq!(group_mounts(text), GroupMounts::default(), "{text:?}");
    }
}

#[test]
fn folders_from_the_own_group_upwards() {
    let check = |root: &str, group: &str, expected: &[&str]| {
        let mount = GroupMount { root: root.to_owned(), point: "/cg".to_owned() };
        let folders = group_folders(&mount, group);
        assert_eq!(folders, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{root} {group}");
    };
    check("/", "/", &["/cg"]);
    check("/", "/a/b", &["/cg/a/b", "/cg/a", "/cg"]);
    check("/docker/a", "/docker/a", &["/cg"]);
    check("/docker/a", "/docker/a/b", &["/cg/b", "/cg"]);
    check("/docker/a", "/docker/ab", &["/cg"]);
    check("/docker/a", "/elsewhere", &["/cg"]);
    check("/", "/../../etc", &["/cg"]);
}
