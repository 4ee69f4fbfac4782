//! State over a restart: the compiled program beside a real database, ended without warning, and started again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use dbintel_model::finding::{Category, FindingKind, Identity, Subject};
use dbintel_model::{Clock as _, Finding, Server, SystemClock};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_store::{Instance, OnDamage, Place, Retention, Store, StoreConfig, StoreContext};
use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;

const PATIENCE: Duration = Duration::from_secs(60);
/// What the lane says when it has taken over what was kept.
const TAKEN_OVER: &str = "what the store kept was taken over";

struct World {
    cluster: Cluster,
    sink: OtlpSink,
    ports: AdminPorts,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::start(Major::V17, Options::new()).await;
        cluster.create_monitor_role(OwnStatements::Untracked).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        let directory = tempfile::tempdir().unwrap();
        Self { cluster, sink: OtlpSink::start().await, ports: AdminPorts::default(), directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    fn config(&self, store: &str) -> String {
        format!(
            "receivers:\n  postgresql: {{endpoint: \"127.0.0.1:{}\", username: dbintel, password: monitor-of-the-test, \
             tls: {{insecure: true}}, collection_interval: 1s, initial_delay: 0, \
             top_query_collection: {{collection_interval: 1s}}}}\n\
             exporters:\n  otlphttp: {{endpoint: \"{}\"}}\n\
             extensions:\n  store: {store}\n\
             service:\n  extensions: [store]\n  pipelines:\n    databases:\n      receivers: [postgresql]\n      \
             processors: [memory_limiter, circuit_breaker, plan_extractor, regression_verifier, verification]\n      \
             exporters: [otlphttp]\n",
            self.cluster.port(),
            self.sink.http_endpoint(),
        )
    }

    async fn start(&self) -> Dbintel {
        let config = self.config(&format!("{{path: {}}}", self.file().display()));
        let mut program = self.ports.apply(Launch::run(&config)).start();
        program.wait_until_ready(self.ports.health(), "/health/ready", PATIENCE).await;
        program
    }

    /// Runs statements until values were written since now.
    async fn until_written(&self, program: &Dbintel) {
        let before = self.metric(program, "dbintel_store_written_total").await;
        let reached = async {
            while self.metric(program, "dbintel_store_written_total").await <= before {
                self.cluster.execute("postgres", "SELECT count(*) FROM pg_class").await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reached).await.is_ok();
        assert!(in_time, "nothing was written\n{}", program.stderr());
    }

    async fn metric(&self, program: &Dbintel, name: &str) -> f64 {
        let (_, body) = program.http_get(self.ports.metrics(), "/metrics").await.unwrap();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        body.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

async fn until_said(program: &Dbintel, words: &str) {
    let said = async {
        while !program.stderr().contains(words) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, said).await.is_ok();
    assert!(in_time, "it did not say: {words}\n{}", program.stderr());
}

fn set_aside(file: &Path) -> usize {
    let name = file.file_name().unwrap().to_str().unwrap();
    let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|found| found.starts_with(name) && found.contains("corrupt") && !found.contains("-wal"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_learnt_outlives_a_kill_and_a_damaged_file_is_set_aside() {
    let world = World::new().await;
    let mut program = world.start().await;
    world.until_written(&program).await;
    assert!(!program.stderr().contains(TAKEN_OVER), "{}", program.stderr());
    program.kill();
    program.wait(PATIENCE).await;
    let mut program = world.start().await;
    until_said(&program, TAKEN_OVER).await;
    world.until_written(&program).await;
    program.stop(PATIENCE).await;
    std::fs::write(world.file(), [b'x'; 8_192]).unwrap();
    let program = world.start().await;
    world.until_written(&program).await;
    assert_eq!(world.metric(&program, "dbintel_store_set_aside_total").await, 1.0);
    assert_eq!(set_aside(&world.file()), 1);
    assert!(!program.stderr().contains(TAKEN_OVER), "{}", program.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_the_watched_server_and_a_second_one_are_refused_before_anything_is_connected() {
    let world = World::new().await;
    let url = format!("postgresql://dbintel@127.0.0.1:{}/dbintel", world.cluster.port());
    let check = async |store: String| {
        let launch = Launch::command(&["validate", "--config"]);
        let file = launch.write_file("store.yaml", &world.config(&store));
        let output = launch.argument(&file).output().await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let tls = "tls: {insecure: true}";
    let (code, text) = check(format!("{{url: \"{url}\", {tls}}}")).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("store is on the server that `postgresql` watches"), "{text}");
    let (code, text) = check(format!("{{url: \"{url}\", {tls}, on_watched_server: true}}")).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = check("{path: /tmp/a.db}\n  store/second: {path: /tmp/b.db}".to_owned()).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("one store for all"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shortened_time_is_refused_in_production() {
    let world = World::new().await;
    let config = world.config(&format!("{{path: {}}}", world.file().display()));
    let config = format!("processors:\n  regression_verifier: {{acceleration: 60}}\n{config}");
    for (environment, code) in [("production", 2), ("staging", 0)] {
        let launch = Launch::command(&["validate", "--environment", environment, "--config"]);
        let file = launch.write_file("store.yaml", &config);
        let output = launch.argument(&file).output().await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(code == 0 || text.contains("processors.regression_verifier.acceleration"), "{text}");
    }
}

/// Puts a finding into the store beside whoever uses it.
async fn find(file: &Path) -> Finding {
    let day = Duration::from_secs(86_400);
    let retention = Retention { findings: 90 * day, baselines: 30 * day, audit: 400 * day };
    let config = StoreConfig { place: Place::Sqlite(file.to_owned()), retention };
    let clock = std::sync::Arc::new(SystemClock::default());
    let now = clock.now();
    let cx = StoreContext {
        clock,
        registry: Registry::default(),
        accounts: MemoryAccounts::default(),
        instance: Instance { id: "test".into(), host: "here".into() },
        on_damage: OnDamage::Fail,
    };
    let (store, _writer) = Store::open(config, cx).await.unwrap();
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let subject = Subject::of_object(&server, None, "orders".into(), "public.orders".into());
    let kind = FindingKind::StatisticsStale;
    let ids = Identity { kind, subject: &subject, plan: None }.at(now);
    let mut finding = Finding::new(ids.id, kind, Category::Careful, subject, now);
    finding.summary = "The statistics are \u{1b}[31mold".into();
    store.open_finding(ids, &finding).await.unwrap();
    store.close().await;
    finding
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_read_and_decided_while_the_collector_runs() {
    let world = World::new().await;
    let program = world.start().await;
    let says = async |arguments: &[&str]| {
        let launch = Launch::command(&[]);
        let config = world.config(&format!("{{path: {}}}", world.file().display()));
        let file = launch.write_file("store.yaml", &config);
        let launch = arguments.iter().fold(launch.argument("findings"), Launch::argument);
        let launch = launch.argument("--config").argument(&file);
        let output = launch.output().await;
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(says(&["list"]).await, (true, "no finding is open\n".to_owned()));
    let finding = find(&world.file()).await;
    let id = finding.id.to_string();
    let (done, text) = says(&["list"]).await;
    assert!(done && text.contains(&id[..12]) && text.contains("statistics_stale"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let (done, text) = says(&["show", &id[..12]]).await;
    assert!(done && text.contains(&id) && text.contains("object public.orders"), "{text}");
    let (done, text) = says(&["show", &id, "--json"]).await;
    assert!(done, "{text}");
    assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
    let (done, text) = says(&["reject", &id, "--by", "eve"]).await;
    assert!(!done && text.contains("a rejection needs a reason"), "{text}");
    let (done, text) = says(&["accept", &id[..12], "--by", "eve", "--reason", "tonight"]).await;
    assert!(done && text.ends_with("was open and is accepted now\n"), "{text}");
    let (done, text) = says(&["accept", &id, "--by", "eve"]).await;
    assert!(!done && text.contains("a finding that is accepted cannot be accepted"), "{text}");
    let (done, text) = says(&["show", &id]).await;
    assert!(done && text.contains("accept by eve: tonight"), "{text}");
    let (done, text) = says(&["list", "--state", "opened"]).await;
    assert!(!done && text.contains("none of open, accepted"), "{text}");
    assert!(says(&["show", "0123456789ab"]).await.1.contains("there is no finding"));
    world.until_written(&program).await;
}
