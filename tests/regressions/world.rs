//! A server with its workload, and one run of the program that watches it in shortened time.

use std::time::Duration;

use dbintel_model::Finding;
use dbintel_model::finding::{FindingKind, FindingState};
use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::schema;
use super::workload::Workload;

/// An hour is two seconds, so that two readings of the statements lie in each; a day is 48.
pub(crate) const ACCELERATION: u32 = 1_800;
/// How long a finding, or its end, is waited for.
const PATIENCE: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_secs(2);

/// By what plans are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// `EXPLAIN` without values, or with nulls before 16.
    Explained,
    /// auto_explain's plans in the server's log.
    Logged,
}

/// A server and the program beside it.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) workload: Workload,
    pub(crate) rung: Rung,
    program: Dbintel,
    config: String,
    ports: AdminPorts,
    started: Instant,
    seen: Mutex<Option<(Instant, Vec<Finding>)>>,
    _sink: OtlpSink,
    _directory: tempfile::TempDir,
}

// === impl World ===

impl World {
    /// Starts everything; time that passes from now on is what is usual.
    pub(crate) async fn start(major: Major, rung: Rung) -> Self {
        let cluster = Cluster::start(major, options(rung)).await;
        cluster.create_monitor_role(OwnStatements::Untracked).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        for sql in schema::schema() {
            cluster.execute("postgres", &sql).await;
        }
        let sink = OtlpSink::start().await;
        let (ports, directory) = (AdminPorts::default(), tempfile::tempdir().unwrap());
        let config = config(&cluster, rung, &sink.http_endpoint(), directory.path());
        let workload = Workload::start(&cluster, schema::clients());
        let mut program = ports.apply(Launch::run(&config)).start();
        program.wait_until_ready(ports.health(), "/health/ready", PATIENCE).await;
        Self {
            cluster,
            workload,
            rung,
            program,
            config,
            ports,
            started: Instant::now(),
            seen: Mutex::default(),
            _sink: sink,
            _directory: directory,
        }
    }

    /// Prints what has come to pass, for whoever runs the test with `--nocapture`.
    pub(crate) fn say(&self, what: &str) {
        println!(
            "[{:.0} s] PostgreSQL {}: {what}",
            self.started.elapsed().as_secs_f64(),
            self.cluster.major()
        );
    }

    /// Runs SQL as whoever administers the server.
    pub(crate) async fn run(&self, sql: &str) {
        self.cluster.execute("postgres", sql).await;
    }

    /// What the check query of a finding says of its statement, since the server began to count.
    pub(crate) async fn blocks_per_call(&self, check: &str) -> f64 {
        let check = check.trim_end_matches(';');
        self.cluster.scalar("postgres", &format!("SELECT blocks_per_call FROM ({check}) AS checked")).await
    }

    /// Every finding there is or was, the closed ones too; all who wait for one share what was read a moment ago.
    pub(crate) async fn findings(&self) -> Vec<Finding> {
        let mut seen = self.seen.lock().await;
        if let Some((at, findings)) = &*seen
            && at.elapsed() < PAUSE
        {
            return findings.clone();
        }
        let findings = self.list().await;
        *seen = Some((Instant::now(), findings.clone()));
        findings
    }

    async fn list(&self) -> Vec<Finding> {
        let (done, text) = self.says(&["list", "--all", "--json", "--limit", "100"]).await;
        assert!(done, "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The findings about statements that name this table.
    pub(crate) async fn about(&self, table: &str) -> Vec<Finding> {
        let mut findings = self.findings().await;
        findings.retain(|finding| is_about(finding, table));
        findings
    }

    /// The finding of this kind about this table, once it is there.
    pub(crate) async fn until_found(&self, table: &str, kind: FindingKind) -> Finding {
        self.until(&format!("no {kind} about {table}"), async || {
            self.about(table).await.into_iter().find(|finding| finding.kind == kind)
        })
        .await
    }

    /// The finding once it is in this state.
    pub(crate) async fn until_state(&self, finding: &Finding, state: FindingState) -> Finding {
        let what = format!("not {state}: {}", describe(finding));
        self.until(&what, async || {
            let now = self.findings().await.into_iter().find(|now| now.id == finding.id)?;
            let is_other = now.state.is_final() && now.state != state;
            assert!(!is_other, "PostgreSQL {}: {what}\n{}", self.cluster.major(), self.state().await);
            (now.state == state).then_some(now)
        })
        .await
    }

    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                sleep(PAUSE).await;
            }
        };
        match timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("PostgreSQL {}: {what}\n{}", self.cluster.major(), self.state().await),
        }
    }

    /// Notes the acceptance of a finding, as a person does.
    pub(crate) async fn accept(&self, finding: &Finding) {
        let id = finding.id.to_string();
        let (done, text) = self.says(&["accept", &id, "--by", "eve", "--reason", "by hand"]).await;
        assert!(done && text.contains("is accepted now"), "{text}");
    }

    async fn says(&self, arguments: &[&str]) -> (bool, String) {
        let launch = Launch::command(&[]);
        let file = launch.write_file("findings.yaml", &self.config);
        let launch = arguments.iter().fold(launch.argument("findings"), Launch::argument);
        let output = launch.argument("--config").argument(&file).output().await;
        let said = String::from_utf8(output.stdout).unwrap();
        let done = output.status.success();
        (done, if done { said } else { said + &String::from_utf8(output.stderr).unwrap() })
    }

    /// What there is to be read when something is missing.
    pub(crate) async fn state(&self) -> String {
        let mut text = String::new();
        for finding in self.findings().await {
            text += &describe(&finding);
        }
        let metrics = self.program.http_get(self.ports.metrics(), "/metrics").await.unwrap().1;
        let shown = ["regression_verifier_", "dbintel_plans_", "dbintel_limit_"];
        let own = metrics
            .lines()
            .filter(|line| shown.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0"));
        for line in own {
            text += &format!("{line}\n");
        }
        text
    }
}

/// So many hours of shortened time.
pub(crate) async fn hours(hours: u32) {
    sleep(Duration::from_secs(3_600) * hours / ACCELERATION).await;
}

/// Whether a finding is about a table, or a statement that names it.
pub(crate) fn is_about(finding: &Finding, table: &str) -> bool {
    let subject = &finding.subject;
    let names = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == table);
    subject.query_text.as_deref().is_some_and(names) || subject.object.as_deref().is_some_and(names)
}

/// A finding in a few lines.
pub(crate) fn describe(finding: &Finding) -> String {
    let subject =
        finding.subject.query_text.as_deref().or(finding.subject.object.as_deref()).unwrap_or("the server");
    let mut text = format!(
        "{} {} {}: {}\n  {subject}\n",
        finding.kind, finding.state, finding.category, finding.summary
    );
    for cause in &finding.causes {
        text += &format!("  cause {}: {}\n", cause.kind, cause.sentence);
    }
    if let Some(applied) = &finding.applied {
        text += &format!("  applied: {}\n", applied.how);
    }
    if let Some(outcome) = &finding.outcome {
        text += &format!(
            "  outcome {}: {} ({:?} to {:?})\n",
            outcome.verdict, outcome.sentence, outcome.ratio_low, outcome.ratio_high
        );
    }
    text
}

/// No maintenance but ours: an analysis that comes by itself is a change of its own.
fn options(rung: Rung) -> Options {
    let options = Options::new()
        .setting("autovacuum", "off")
        .setting("shared_buffers", "128MB")
        .setting("max_wal_size", "2GB")
        .setting("jit", "off");
    match rung {
        Rung::Explained => options,
        Rung::Logged => options
            .auto_explain()
            .setting("compute_query_id", "on")
            .setting("logging_collector", "on")
            .setting("log_filename", "pg.log")
            .setting("log_destination", "jsonlog")
            .setting("auto_explain.log_format", "json")
            .setting("auto_explain.log_verbose", "on")
            .setting("auto_explain.log_min_duration", "0")
            .setting("auto_explain.sample_rate", "0.2"),
    }
}

fn config(cluster: &Cluster, rung: Rung, sink: &str, directory: &std::path::Path) -> String {
    let plans = match rung {
        Rung::Explained => "interval: 5s".to_owned(),
        Rung::Logged => {
            let log = cluster.data_dir().join("log").join("pg.json");
            format!("explain: false, log: {{include: ['{}']}}", log.display())
        }
    };
    let port = cluster.port();
    let store = directory.join("store.db");
    let store = store.display();
    format!(
        "receivers:\n  postgresql:\n    endpoint: \"127.0.0.1:{port}\"\n    username: dbintel\n    password: monitor-of-the-test\n\
         \x20   tls: {{insecure: true}}\n    collection_interval: 1s\n    initial_delay: 0\n\
         \x20   events: {{db.server.query_sample: {{enabled: true}}}}\n\
         \x20   top_query_collection: {{collection_interval: 1s}}\n\
         \x20   query_sample_collection: {{collection_interval: 1s}}\n\
         \x20   object_collection: {{collection_interval: 1s}}\n\
         \x20   catalogue_collection: {{collection_interval: 1s}}\n\
         \x20   plan_collection: {{enabled: true, collection_interval: 1s, max_per_collection: 60, {plans}}}\n\
         processors:\n  circuit_breaker:\n    limits: {{budget: 60s, statements_per_second: 10000, burst: 10000, plans_per_minute: 10000}}\n\
         \x20   max_backoff: 1s\n    success_threshold: 1\n    slow_threshold: 60s\n    planning_time_max: 60s\n\
         \x20 regression_verifier:\n    acceleration: {ACCELERATION}\n    cool_down: 2160h\n    expire_after: 2160h\n\
         \x20   lost_time_per_day: 0s\n    caps: {{per_run: 100, per_object: 2, per_hour: 100}}\n\
         exporters:\n  otlphttp: {{endpoint: \"{sink}\"}}\n\
         extensions:\n  store: {{path: {store}}}\n\
         service:\n  extensions: [store]\n  pipelines:\n    databases:\n      receivers: [postgresql]\n      \
         processors: [memory_limiter, circuit_breaker, plan_extractor, regression_verifier, verification]\n      exporters: [otlphttp]\n"
    )
}
