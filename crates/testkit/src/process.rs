//! The compiled `dbintel` as a process: start it with a configuration, ask it over loopback, signal it, measure it.
//!
//! The binary is `DBINTEL_BIN`, else the one beside the running test in the target directory. It has to be built
//! before: `cargo test` builds it for tests of its own package only.

mod figures;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::figures::Figures;
use crate::scratch;
use crate::wait::{blocking, poll_until};
use crate::watchdog::Watchdog;

/// How long an HTTP request to the process may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command that should end by itself may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// What the watchdog does with a process whose test is gone.
const KILL: &str = r#"kill -KILL "$1" 2>/dev/null"#;

/// How `dbintel` is to be started.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: TempDir,
}

/// A started `dbintel`. Dropping it kills it; a watchdog does so when the test process is killed.
#[derive(Debug)]
pub struct Dbintel {
    process: Child,
    directory: TempDir,
    watchdog: Watchdog,
}

// === impl Launch ===

impl Launch {
    /// `dbintel run --config FILE` with this text in the file.
    pub fn run(config: &str) -> Self {
        let launch = Self::command(&["run"]);
        let file = launch.write_file("dbintel.yaml", config);
        launch.argument("--config").argument(file)
    }

    /// `dbintel` with these arguments.
    pub fn command(arguments: &[&str]) -> Self {
        let mut launch = Self::bare(binary());
        launch.arguments = arguments.iter().map(OsString::from).collect();
        launch
    }

    /// Another program in place of `dbintel`, without arguments.
    pub fn bare(program: impl Into<PathBuf>) -> Self {
        let directory = scratch::directory("dbintel-run-");
        // Programs of tests that run at the same time have control sockets of their own.
        let runtime_directory = ("XDG_RUNTIME_DIR".into(), directory.path().as_os_str().to_owned());
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: vec![runtime_directory],
            directory,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One environment variable. The others are those of the test.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// A file in the working directory of the process; returns its path.
    pub fn write_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).expect("own directory");
        path
    }

    /// Starts the process in a directory of its own, standard output and error into files there.
    pub fn start(self) -> Dbintel {
        let output = |name| File::create(self.directory.path().join(name)).expect("own directory");
        let process = self
            .prepared()
            .stdin(Stdio::null())
            .stdout(output(STDOUT))
            .stderr(output(STDERR))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.program.display()));
        let watchdog = Watchdog::watch(KILL, process.id().to_string());
        Dbintel { process, directory: self.directory, watchdog }
    }

    /// Runs a command that ends by itself and returns its output. Panics after a minute.
    pub async fn output(self) -> Output {
        let mut running = self.start();
        let status = running.wait(COMMAND_TIMEOUT).await;
        Output { status, stdout: running.stdout().into_bytes(), stderr: running.stderr().into_bytes() }
    }

    fn prepared(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(self.directory.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

// === impl Dbintel ===

impl Dbintel {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The directory in which it runs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        self.read(STDOUT)
    }

    /// Standard error, the log, so far.
    pub fn stderr(&self) -> String {
        self.read(STDERR)
    }

    /// GET on 127.0.0.1: status and body. `Err` where nobody listens or nobody answers within 10 s.
    pub async fn http_get(&self, port: u16, path: &str) -> Result<(StatusCode, String), String> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let uri = format!("http://127.0.0.1:{port}{path}").parse().expect("a path");
        let exchange = async {
            let response = client.get(uri).await.map_err(|error| format!("{error:?}"))?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
            Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        let timed_out = || Err(format!("no answer within {HTTP_TIMEOUT:?}"));
        tokio::time::timeout(HTTP_TIMEOUT, exchange).await.unwrap_or_else(|_| timed_out())
    }

    /// Waits until GET answers 200. Panics after `timeout`, or when the process ends, with its log.
    pub async fn wait_until_ready(&mut self, port: u16, path: &str, timeout: Duration) {
        let attempts = async {
            while !matches!(self.http_get(port, path).await, Ok((StatusCode::OK, _))) {
                assert!(self.is_running(), "dbintel ended:\n{}", self.stderr());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // The future is dropped before `self` is used again.
        let in_time = tokio::time::timeout(timeout, attempts).await.is_ok();
        assert!(in_time, "dbintel was not ready within {timeout:?}:\n{}", self.stderr());
    }

    /// SIGTERM: end in an orderly way.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGINT, as Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// SIGHUP: read the configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGKILL: a crash.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for the end. Panics after `timeout`, with the log; the process goes on then.
    pub async fn wait(&mut self, timeout: Duration) -> ExitStatus {
        // `try_wait` is cheap and does not block; the sleeping does, so it is done elsewhere.
        let pid = self.process.id();
        let ended = blocking(move || poll_until(timeout, || has_ended(pid).then_some(()))).await;
        assert!(
            ended.is_some(),
            "dbintel (process {pid}) did not end within {timeout:?}:\n{}",
            self.stderr()
        );
        // The first thread has ended; the process is there for the moment until the others have.
        self.process.wait().expect("a child of ours")
    }

    /// SIGTERM, then [`Self::wait`].
    pub async fn stop(&mut self, timeout: Duration) -> ExitStatus {
        self.terminate();
        self.wait(timeout).await
    }

    /// Memory, CPU time, threads and open files as of now. Panics when the process has ended.
    pub fn figures(&self) -> Figures {
        Figures::of(self.pid())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        let _ = kill_process(pid, signal);
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Dbintel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.watchdog.dismiss();
    }
}

/// Gone, or a zombie that only we can reap.
fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// Tests lie in `target/PROFILE/deps`, examples and benches beside it; the binary one level up.
fn binary() -> PathBuf {
    if let Some(chosen) = std::env::var_os("DBINTEL_BIN") {
        return PathBuf::from(chosen);
    }
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("dbintel"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("no dbintel beside {}: run `cargo build -p dbintel` or set DBINTEL_BIN", test.display())
        })
}
