//! The independent judge of our OTLP: `tests/oracle/otlp_receiver.py`, in Python, with the published protobufs.
//!
//! It decodes what dbintel sends without any of our code, and without prost. It always accepts; for failures use
//! [`crate::otlp_sink`]. Each request becomes one [`Value`]:
//!
//! ```json
//! {"transport": "http", "signal": "metrics", "content_type": "…", "encoding": "gzip", "wire_bytes": 1,
//!  "message_bytes": 1, "request": { "resourceMetrics": [] }}
//! ```
//!
//! Over gRPC there is no encoding (grpcio does not say), and no zstd (grpcio does not have it). A request that could
//! not be decoded has `error` instead of `request`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::wait::blocking;
use crate::{cache, scratch};

/// How often the file is read again while waiting.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running receiver. Dropping it ends it; it also ends by itself when the test process is gone, because its standard
/// input closes then.
#[derive(Debug)]
pub struct Oracle {
    process: Child,
    grpc_port: u16,
    http_port: u16,
    directory: TempDir,
}

impl Oracle {
    /// Starts the receiver on free ports of 127.0.0.1. Panics with the setup hint where its Python is missing.
    pub async fn start() -> Self {
        blocking(Self::start_blocking).await
    }

    /// `http://127.0.0.1:PORT`
    pub fn grpc_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// `http://127.0.0.1:PORT`, without the path of a signal.
    pub fn http_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.output()).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(|line| serde_json::from_str(line).expect("the oracle writes JSON")).collect()
    }

    /// Waits until `condition` holds. Panics after `timeout`, with what has come. For real time, not a paused clock.
    pub async fn wait_for(&self, timeout: Duration, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + timeout;
        loop {
            let requests = self.requests();
            if condition(&requests) {
                return requests;
            }
            let came = requests.len();
            assert!(Instant::now() < deadline, "the oracle waited {timeout:?} in vain, {came} requests came");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn start_blocking() -> Self {
        let directory = scratch::directory("dbintel-oracle-");
        let mut process = Command::new(cache::oracle_python())
            .arg(script())
            .arg(directory.path().join("requests.jsonl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let mut ready = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        output.read_line(&mut ready).expect("the oracle says its ports");
        let ports: Value = serde_json::from_str(&ready)
            .unwrap_or_else(|error| panic!("the oracle did not start ({error}): see its error above"));
        let port = |name: &str| u16::try_from(ports[name].as_u64().expect("a number")).expect("a port");
        Self { grpc_port: port("grpc"), http_port: port("http"), process, directory }
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("requests.jsonl")
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/otlp_receiver.py")
}
