//! What happens in the demo: an index is dropped, the finding is read, accepted, repaired by hand, and confirmed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::Received;
use dbintel_testkit::postgres::Cluster;
use dbintel_testkit::process::Launch;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::attributes::text;

/// How long the collector learns what is usual: somewhat more than a day and a half of accelerated time.
const LEARN: Duration = Duration::from_secs(95);
/// What somebody does: the index of the orders by their time goes.
const DROP: &str = "DROP INDEX orders_placed";

/// How the program is called with the demo's configuration.
pub(crate) struct Program {
    pub(crate) config: PathBuf,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// Where the story is.
pub(crate) struct Story<'a> {
    cluster: &'a Cluster,
    database: &'a str,
    program: &'a Program,
    begun: Instant,
    chapter: Chapter,
    told: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chapter {
    Learning,
    Broken { at: Instant },
    Repaired { finding: String, at: Instant },
    Ended,
}

// === impl Program ===

impl Program {
    /// `dbintel` with these arguments: what it printed.
    async fn run(&self, arguments: &[&str]) -> String {
        let mut launch = Launch::command(arguments).argument("--config").argument(&self.config);
        for (name, value) in &self.environment {
            launch = launch.env(name, value);
        }
        let output = launch.output().await;
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

// === impl Story ===

impl<'a> Story<'a> {
    pub(crate) fn new(cluster: &'a Cluster, database: &'a str, program: &'a Program) -> Self {
        Self { cluster, database, program, begun: Instant::now(), chapter: Chapter::Learning, told: 0 }
    }

    /// How far it came.
    pub(crate) fn ending(&self) -> &'static str {
        match self.chapter {
            Chapter::Learning => "the index was not dropped yet; run longer, or without SECONDS",
            Chapter::Broken { .. } => "the index was dropped, the regression not found yet",
            Chapter::Repaired { .. } => "the regression was found and repaired, the repair not confirmed yet",
            Chapter::Ended => "the regression was found, repaired, and the repair confirmed",
        }
    }

    /// Goes on as far as what was received allows.
    pub(crate) async fn go_on(&mut self, received: &Received) {
        self.tell_states(received);
        match self.chapter.clone() {
            Chapter::Learning if self.begun.elapsed() >= LEARN => {
                println!("=== somebody runs: {DROP}\n");
                self.cluster.execute(self.database, DROP).await;
                self.chapter = Chapter::Broken { at: Instant::now() };
            }
            Chapter::Broken { at } => {
                if let Some(finding) = regression(received) {
                    self.repair(&text(finding, "dbintel.finding.id"), finding, at).await;
                }
            }
            Chapter::Repaired { finding, at } if is_confirmed(received, &finding) => {
                println!("=== confirmed {:.0} s after the repair:\n", at.elapsed().as_secs_f64());
                println!("{}", self.program.run(&["findings", "show", &finding]).await);
                self.chapter = Chapter::Ended;
            }
            _ => {}
        }
    }

    /// What a person would do who reads the finding.
    async fn repair(&mut self, id: &str, finding: &LogRecord, broken_at: Instant) {
        println!(
            "=== found {:.0} s after the drop. dbintel findings show {id}\n",
            broken_at.elapsed().as_secs_f64()
        );
        println!("{}", self.program.run(&["findings", "show", id]).await);
        println!("=== the DBA: dbintel findings accept {id}");
        println!("{}", self.program.run(&["findings", "accept", id, "--by", "demo"]).await);
        for statement in statements(&text(finding, "dbintel.finding.script.forward")) {
            println!("=== the DBA runs: {statement}\n");
            self.cluster.execute(self.database, &statement).await;
        }
        self.chapter = Chapter::Repaired { finding: id.to_owned(), at: Instant::now() };
    }

    fn tell_states(&mut self, received: &Received) {
        let changes: Vec<&LogRecord> =
            received.log_records().filter(|record| record.event_name == "dbintel.finding.changed").collect();
        for change in changes.iter().skip(self.told) {
            println!(
                "  FINDING {}: {} -> {}: {}\n",
                text(change, "dbintel.finding.kind"),
                text(change, "dbintel.finding.previous_state"),
                text(change, "dbintel.finding.state"),
                text(change, "dbintel.finding.summary"),
            );
        }
        self.told = changes.len();
    }
}

/// The regression of a plan that was found first.
fn regression(received: &Received) -> Option<&LogRecord> {
    received.log_records().find(|record| {
        record.event_name == "dbintel.finding.opened"
            && text(record, "dbintel.finding.kind") == "plan_regression"
    })
}

fn is_confirmed(received: &Received, id: &str) -> bool {
    received.log_records().any(|record| {
        record.event_name == "dbintel.finding.changed"
            && text(record, "dbintel.finding.id") == id
            && text(record, "dbintel.finding.state") == "confirmed"
    })
}

/// The statements of a script, without its comments. Each is sent by itself: some may not run in a transaction.
fn statements(script: &str) -> Vec<String> {
    let code: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
