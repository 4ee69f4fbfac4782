//! What happens in the demo: an index is dropped, the finding is read, also on its page, accepted, repaired by hand, and confirmed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::Received;
use dbintel_testkit::postgres::Cluster;
use dbintel_testkit::process::{Dbintel, Launch};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::attributes::text;

/// How long the collector learns what is usual: somewhat more than a day and a half of accelerated time.
const LEARN: Duration = Duration::from_secs(95);
/// How often the page of findings is asked for one, half a second apart.
const LOOKS: usize = 20;
const PAGES_PORT: u16 = 55_679;
const PAGE: &str = "/debug/findingz";
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
    chapter: Chapter,
    /// When the chapter began.
    begun: Instant,
    /// The chapters before it, and how long each took.
    read: Vec<(&'static str, Duration)>,
    told: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chapter {
    Learning,
    Broken,
    Repaired { finding: String },
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
        let (chapter, begun) = (Chapter::Learning, Instant::now());
        Self { cluster, database, program, chapter, begun, read: Vec::new(), told: 0 }
    }

    /// Whether the regression was found, repaired, and the repair confirmed.
    pub(crate) fn is_over(&self) -> bool {
        self.chapter == Chapter::Ended
    }

    /// The chapters that are over, each with the time it took.
    pub(crate) fn chapters(&self) -> &[(&'static str, Duration)] {
        &self.read
    }

    /// How far it came.
    pub(crate) fn ending(&self) -> &'static str {
        match self.chapter {
            Chapter::Learning => "the index was not dropped yet; run longer, or without SECONDS",
            Chapter::Broken => "the index was dropped, the regression not found yet",
            Chapter::Repaired { .. } => "the regression was found and repaired, the repair not confirmed yet",
            Chapter::Ended => "the regression was found, repaired, and the repair confirmed",
        }
    }

    /// Goes on as far as what was received allows.
    pub(crate) async fn go_on(&mut self, received: &Received, collector: &Dbintel) {
        self.tell_states(received);
        match self.chapter.clone() {
            Chapter::Learning if self.begun.elapsed() >= LEARN => {
                println!("=== somebody runs: {DROP}\n");
                self.cluster.execute(self.database, DROP).await;
                self.turn_to(Chapter::Broken, "learning what is usual");
            }
            Chapter::Broken => {
                if let Some(finding) = regression(received) {
                    let id = text(finding, "dbintel.finding.id");
                    self.turn_to(Chapter::Repaired { finding: id.clone() }, "from the drop to the finding");
                    self.repair(&id, finding, collector).await;
                    // What was measured of the repair began when it was made.
                    self.begun = Instant::now();
                }
            }
            Chapter::Repaired { finding } if is_confirmed(received, &finding) => {
                println!("=== confirmed:\n\n{}", self.program.run(&["findings", "show", &finding]).await);
                self.turn_to(Chapter::Ended, "from the repair to its confirmation");
            }
            _ => {}
        }
    }

    fn turn_to(&mut self, next: Chapter, read: &'static str) {
        self.read.push((read, self.begun.elapsed()));
        (self.chapter, self.begun) = (next, Instant::now());
    }

    /// What a person would do who reads the finding.
    async fn repair(&self, id: &str, finding: &LogRecord, collector: &Dbintel) {
        assert!(is_on_the_page(collector, id).await, "finding {id} is not on {PAGE}");
        println!("=== found, and on {PAGE}. dbintel findings show {id}\n");
        println!("{}", self.program.run(&["findings", "show", id]).await);
        println!("=== the DBA: dbintel findings accept {id}");
        println!("{}", self.program.run(&["findings", "accept", id, "--by", "demo"]).await);
        for statement in statements(&text(finding, "dbintel.finding.script.forward")) {
            println!("=== the DBA runs: {statement}\n");
            self.cluster.execute(self.database, &statement).await;
        }
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

/// Whether the page of findings has this one. The lane may be busy for a moment, and says so there.
async fn is_on_the_page(collector: &Dbintel, id: &str) -> bool {
    for _ in 0..LOOKS {
        let answer = collector.http_get(PAGES_PORT, PAGE).await;
        if answer.is_ok_and(|(status, page)| status.is_success() && page.contains(id)) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
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
