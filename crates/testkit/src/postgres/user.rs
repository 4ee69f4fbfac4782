//! Who runs the servers: PostgreSQL refuses to run as root, so root hands them to the user `dbintel-test`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::cache::SETUP_HINT;

/// Created by scripts/setup-postgres.sh.
const SERVER_USER: &str = "dbintel-test";

/// The user of the server processes and of their files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerUser {
    /// The one who runs the test.
    Same,
    /// The test runs as root.
    Other { uid: u32, gid: u32 },
}

impl ServerUser {
    pub(crate) fn current() -> Self {
        if !rustix::process::getuid().is_root() {
            return Self::Same;
        }
        Self::Other { uid: numeric_id("-u"), gid: numeric_id("-g") }
    }

    /// A command that runs as this user, in its own process group: Ctrl-C must reach the test only, which then
    /// stops the server in an orderly way (or leaves it to the watchdog).
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0);
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives one file or directory to this user and hides it from others, as PostgreSQL demands.
    pub(crate) fn own(self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
        if let Self::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid)).expect("root may give files away");
        }
    }

    /// Writes a file that belongs to this user.
    pub(crate) fn write(self, path: &Path, content: impl AsRef<[u8]>) {
        fs::write(path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self.own(path, 0o600);
    }
}

fn numeric_id(flag: &str) -> u32 {
    let output = Command::new("id").args([flag, SERVER_USER]).output().expect("the program id");
    assert!(output.status.success(), "the system user {SERVER_USER} is missing: {SETUP_HINT}");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}
