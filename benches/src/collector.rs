//! The program under measurement: its configuration, its start, its pages.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dbintel_testkit::ports::ReservedPort;
use dbintel_testkit::process::{Dbintel, Figures, Launch};

use crate::scrape::Page;

/// How long the program may take to be ready before the measurement is given up.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How often readiness is looked at: the resolution of the start time.
const READY_INTERVAL: Duration = Duration::from_micros(500);

/// What is configured. Whatever is not here is the program's default.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Ports of the servers on 127.0.0.1, one receiver each.
    pub servers: Vec<u16>,
    /// Password of the role `dbintel` on all of them.
    pub password: String,
    /// Further settings of every receiver, as lines of YAML.
    pub receiver: Vec<String>,
    /// Settings of the exporter, as lines of YAML.
    pub exporter: Vec<String>,
    /// Settings of the memory limiter, as lines of YAML.
    pub memory_limiter: Vec<String>,
    /// Database time a minute that each database may be cost; without it, the program's default.
    pub budget: Option<String>,
    /// Processors after `memory_limiter` and `circuit_breaker`, with their defaults.
    pub processors: Vec<&'static str>,
}

/// A running program.
#[derive(Debug)]
pub struct Collector {
    process: Dbintel,
    metrics: ReservedPort,
    _others: [ReservedPort; 2],
    /// From before the process was made until `/health/ready` answered 200.
    pub start_to_ready: Duration,
}

// === impl Plan ===

impl Plan {
    /// One receiver per port, and OTLP over HTTP with gzip to `endpoint`.
    #[must_use]
    pub fn new(servers: Vec<u16>, password: &str, endpoint: &str) -> Self {
        Self {
            servers,
            password: password.to_owned(),
            receiver: Vec::new(),
            exporter: vec![format!("endpoint: {endpoint}"), "compression: gzip".to_owned()],
            memory_limiter: vec!["limit_percentage: 80".to_owned(), "spike_limit_percentage: 20".to_owned()],
            budget: None,
            processors: Vec::new(),
        }
    }

    /// Adds a setting to every receiver.
    #[must_use]
    pub fn receiver(mut self, line: impl Into<String>) -> Self {
        self.receiver.push(line.into());
        self
    }

    fn yaml(&self, health: u16, metrics: u16, zpages: u16) -> String {
        let mut text = String::from("receivers:\n");
        let mut names = Vec::new();
        for (number, port) in self.servers.iter().enumerate() {
            let name = format!("postgresql/{number}");
            let _ = write!(
                text,
                "  {name}:\n    endpoint: 127.0.0.1:{port}\n    username: dbintel\n    \
                 password: ${{env:BENCH_PASSWORD}}\n    connect_database: postgres\n    tls:\n      insecure: true\n"
            );
            push_lines(&mut text, &self.receiver);
            names.push(name);
        }
        text.push_str("processors:\n  memory_limiter:\n    check_interval: 1s\n");
        push_lines(&mut text, &self.memory_limiter);
        match &self.budget {
            Some(budget) => {
                let _ = writeln!(text, "  circuit_breaker:\n    limits: {{budget: {budget}}}");
            }
            None => text.push_str("  circuit_breaker:\n"),
        }
        for name in &self.processors {
            let _ = writeln!(text, "  {name}:");
        }
        let chain = [["memory_limiter", "circuit_breaker"].as_slice(), &self.processors].concat().join(", ");
        text.push_str("exporters:\n  otlphttp:\n");
        push_lines(&mut text, &self.exporter);
        let _ = write!(
            text,
            "extensions:\n  health_check:\n    endpoint: 127.0.0.1:{health}\n  zpages:\n    \
             endpoint: 127.0.0.1:{zpages}\nservice:\n  extensions: [health_check, zpages]\n  telemetry:\n    \
             metrics:\n      address: 127.0.0.1:{metrics}\n  pipelines:\n    databases:\n      \
             receivers: [{}]\n      processors: [{chain}]\n      exporters: [otlphttp]\n",
            names.join(", ")
        );
        text
    }
}

fn push_lines(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "    {line}");
    }
}

// === impl Collector ===

impl Collector {
    /// Starts the program and waits until it is ready. Panics with its log when it is not within 20 s.
    pub async fn start(plan: &Plan) -> Self {
        let [health, metrics, zpages] = std::array::from_fn(|_| ReservedPort::reserve());
        let launch = Launch::run(&plan.yaml(health.get(), metrics.get(), zpages.get()))
            .env("BENCH_PASSWORD", &plan.password);
        let port = health.get();
        let begun = Instant::now();
        let process = launch.start();
        let ready = tokio::task::spawn_blocking(move || wait_until_ready(port, begun)).await;
        let Ok(Some(start_to_ready)) = ready else {
            panic!("dbintel was not ready within {READY_TIMEOUT:?}:\n{}", process.stderr());
        };
        Self { process, metrics, _others: [health, zpages], start_to_ready }
    }

    /// Memory, CPU time, threads and open files as of now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.process.figures()
    }

    /// Its own metrics as of now.
    pub async fn metrics(&self) -> Page {
        let answer = self.process.http_get(self.metrics.get(), "/metrics").await;
        let (_, text) = answer.unwrap_or_else(|error| panic!("{error}:\n{}", self.process.stderr()));
        Page::new(text)
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Ends it in an orderly way and gives its log.
    pub async fn stop(mut self) -> String {
        self.process.stop(STOP_TIMEOUT).await;
        self.process.stderr()
    }
}

/// A new connection every half millisecond; not for runtime threads.
fn wait_until_ready(port: u16, begun: Instant) -> Option<Duration> {
    while begun.elapsed() < READY_TIMEOUT {
        if is_ready(port).unwrap_or(false) {
            return Some(begun.elapsed());
        }
        std::thread::sleep(READY_INTERVAL);
    }
    None
}

fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

/// The program that will be started, as testkit finds it: `DBINTEL_BIN`, else beside this program.
#[must_use]
pub fn program() -> PathBuf {
    if let Some(chosen) = std::env::var_os("DBINTEL_BIN") {
        return PathBuf::from(chosen);
    }
    let own = std::env::current_exe().expect("the path of this program");
    own.with_file_name("dbintel")
}
