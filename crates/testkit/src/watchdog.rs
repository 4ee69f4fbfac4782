//! No orphans: a shell process that outlives a killed test process and ends what it started.
//!
//! It holds the read end of a pipe whose other end only the test process has. A line means "all is cleaned up, go";
//! end of file without a line means that the test process is gone, however it went. Death signals
//! (`PR_SET_PDEATHSIG`) would not do: they follow the thread that started the process, and test threads end earlier
//! than the servers they share.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// The process that waits. Dropping it without [`Watchdog::dismiss`] makes it clean up.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// `script` is run by `sh` with `argument` as `$1` when the test process is gone.
    pub(crate) fn watch(script: &str, argument: impl AsRef<OsStr>) -> Self {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("if read -r _; then exit 0; fi\n{script}"))
            .arg("dbintel-testkit-watchdog")
            .arg(argument)
            .current_dir("/")
            // Ctrl-C and test runners signal the group of the test.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program sh");
        Self { shell }
    }

    /// Nothing is left to do.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}
