//! Data directories: `initdb` once per package version into the cache, then a copy for each cluster.
//!
//! Copies share the template's system identifier, the number by which a collector recognises a server. Two clusters
//! that must look like different servers need `Options::fresh_identifier`, which runs `initdb` for that cluster.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::installation::Installation;
use super::user::ServerUser;
use crate::cache;

/// Name of the superuser in every cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// Makes `target` a data directory by copying the template, which is made first where it is missing.
pub(crate) fn copy_template(installation: &Installation, user: ServerUser, target: &Path) {
    let template = template(installation, user);
    copy_directory(&template, target);
}

/// Makes `target` a data directory of its own identity.
pub(crate) fn initdb(installation: &Installation, user: ServerUser, target: &Path, more: &[&str]) {
    let output = user
        .command(&installation.program("initdb"))
        .args(["-U", SUPERUSER, "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync", "-D"])
        .arg(target)
        .args(more)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .expect("initdb can be started");
    assert!(
        output.status.success(),
        "initdb failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Copies with owners, modes and times. Files that vanish under a running server are its own business: WAL replay
/// repairs the copy, so the exit status of `cp` is looked at only together with what arrived.
pub(crate) fn copy_directory(source: &Path, target: &Path) {
    let output = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([source, target])
        .output()
        .expect("the program cp");
    let vanished_only = String::from_utf8_lossy(&output.stderr)
        .lines()
        .all(|line| line.ends_with("No such file or directory"));
    assert!(
        vanished_only && target.join("PG_VERSION").exists(),
        "cannot copy {}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Several test processes may want the first template at the same time: one makes it, the others wait at the lock.
fn template(installation: &Installation, user: ServerUser) -> PathBuf {
    let templates = cache::root().join("templates");
    let template = templates.join(installation.package_version());
    if template.exists() {
        return template;
    }
    fs::create_dir_all(&templates)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", templates.display()));
    let lock =
        File::create(templates.join(format!("{}.lock", installation.package_version()))).expect("lock file");
    lock.lock().expect("flock");
    if !template.exists() {
        let unfinished = templates.join(format!("{}.unfinished", installation.package_version()));
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir(&unfinished).expect("cache is writable");
        user.own(&unfinished, 0o700);
        initdb(installation, user, &unfinished, &[]);
        fs::rename(&unfinished, &template).expect("same directory");
    }
    template
}
