//! Any bytes as the files of `/proc` and of control groups. What is checked: no panic, and no folder outside of where
//! control groups are mounted.
//!
//! The parsers' file is included as it is: the crate around it would bring a web server into a build with coverage.
#![no_main]

#[path = "../../crates/admin/src/resources/parse.rs"]
mod parse;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (first, second) = text.split_once('\0').unwrap_or((&text, &text));
    let _ = (parse::statm_resident_pages(first), parse::stat_cpu_ticks(first));
    let _ =
        (parse::meminfo_total_bytes(first), parse::memory_max(first), parse::memory_limit_in_bytes(first));
    for cpus in [parse::cpu_max(first), parse::cfs_quota(first, second)].into_iter().flatten() {
        assert!(cpus > 0.0 && cpus.is_finite(), "{cpus}");
    }
    let (groups, mounts) = (parse::own_groups(first), parse::group_mounts(second));
    for mount in [&mounts.v2, &mounts.v1_memory, &mounts.v1_cpu].into_iter().flatten() {
        for group in [&groups.v2, &groups.v1_memory, &groups.v1_cpu].into_iter().flatten() {
            let folders = parse::group_folders(mount, group);
            assert!(!folders.is_empty(), "{mount:?} {group:?}");
            for folder in &folders {
                let below = folder.strip_prefix(&mount.point).expect("within the mount");
                let is_down = |part| matches!(part, std::path::Component::Normal(_));
                assert!(below.components().all(is_down), "{folder:?} of {mount:?} {group:?}");
            }
            assert!(folders.windows(2).all(|pair| pair[0].parent() == Some(&pair[1])), "{folders:?}");
        }
    }
});
