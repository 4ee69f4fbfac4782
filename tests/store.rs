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

use dbintel_model::finding::{Category, Decision, DecisionAction, FindingKind, Identity, Subject};
use dbintel_model::{Clock as _, Finding, Server, SystemClock, Text, Timestamp};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{StateChange, StateStore as _};
use dbintel_store::{Instance, OnDamage, Place, Retention, Store, StoreConfig, StoreContext, Writer};
use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;
use serde_json::Value;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio_util::sync::CancellationToken;

/// Longer than a lane waits for a store that cannot be used.
const PATIENCE: Duration = Duration::from_secs(120);
/// The statement whose hours are compared, and one that is seen after it.
const LEARNT: &str = "SELECT count(*) FROM pg_attribute";
const LATER: &str = "SELECT count(*) FROM pg_index";
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
        self.start_at(&self.file()).await
    }

    async fn start_at(&self, file: &Path) -> Dbintel {
        let config = self.config(&format!("{{path: {}}}", file.display()));
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

    async fn run(&self, statement: &str, times: usize) {
        for _ in 0..times {
            self.cluster.execute("postgres", statement).await;
        }
    }

    /// The rows of the page of statements.
    async fn statements(&self, program: &Dbintel) -> Vec<String> {
        let (_, page) = program.http_get(self.ports.pages(), "/debug/queryz").await.unwrap();
        assert!(!page.contains("more that take less"), "{page}");
        page.split("<tr><td>").skip(1).map(str::to_owned).collect()
    }

    /// Waits until the row of the statement with these words has so many executions in all hours at least. Gives the row.
    async fn until_seen(&self, program: &Dbintel, words: &str, calls: f64) -> String {
        let mut row = None;
        until(words, program, async || {
            row = self.statements(program).await.into_iter().find(|row| row.contains(words));
            row.as_deref().is_some_and(|row| executions(row) >= calls)
        })
        .await;
        row.unwrap()
    }

    /// Statements whose history is in the file.
    async fn kept(&self) -> usize {
        let mut connection =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.file()).connect().await.unwrap();
        let text = "SELECT count(*) FROM dbintel_baselines WHERE CAST(key AS TEXT) LIKE 'regression_verifier/about/%'";
        let kept: i64 = sqlx::query_scalar(text).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        kept as usize
    }

    async fn metric(&self, program: &Dbintel, name: &str) -> f64 {
        let (_, body) = program.http_get(self.ports.metrics(), "/metrics").await.unwrap();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        body.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// What `dbintel findings` says, and whether it succeeds.
    async fn says(&self, arguments: &[&str]) -> (bool, String) {
        let launch = Launch::command(&[]);
        let config = self.config(&format!("{{path: {}}}", self.file().display()));
        let file = launch.write_file("store.yaml", &config);
        let launch = arguments.iter().fold(launch.argument("findings"), Launch::argument);
        let output = launch.argument("--config").argument(&file).output().await;
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// What health says of the store.
    async fn health(&self, program: &Dbintel) -> Value {
        let (status, body) = program.http_get(self.ports.health(), "/health").await.unwrap();
        assert_eq!(status.as_u16(), 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["components"]["extension:store"].clone()
    }

    async fn page(&self, program: &Dbintel) -> String {
        program.http_get(self.ports.pages(), "/debug/findingz").await.unwrap().1
    }

    /// Puts findings into the store, as the lane of this world would have left them.
    async fn leave(&self, objects: &[&'static str]) -> Vec<Finding> {
        let (store, writer) = store(&self.file()).await;
        let address = format!("127.0.0.1:{}", self.cluster.port());
        let lane = store.state_of(format!("postgresql {address}").into());
        let mut findings = Vec::new();
        for (subject, object) in objects.iter().enumerate() {
            let finding = opened(&store, (*object).into(), SystemClock::default().now()).await;
            let put = |kind: &str, value| {
                let key = format!("regression_verifier/{kind}/{}", finding.id);
                lane.put(StateChange { key: key.into(), value: Some(value) }).unwrap();
            };
            put("finding", serde_json::to_vec(&finding).unwrap());
            // The layout, to whom it belongs, and that nothing may have caused it.
            put("follow", [&[1][..], &(subject as u64).to_le_bytes(), &[0]].concat());
            findings.push(finding);
        }
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        writer.run(shutdown).await.unwrap();
        findings
    }

    /// `dbintel.finding.changed` as they arrived: id and decision.
    fn changed(&self) -> Vec<[String; 2]> {
        let received = self.sink.received();
        let events = received.log_records().filter(|record| record.event_name == "dbintel.finding.changed");
        let told = events.map(|record| {
            ["dbintel.finding.id", "dbintel.finding.decision"].map(|name| {
                let found = record.attributes.iter().find(|attribute| attribute.key == name);
                found.map(|attribute| format!("{:?}", attribute.value)).unwrap_or_default()
            })
        });
        told.collect()
    }
}

/// Executions in all hours of a statement on its page: its chart says in words between which numbers the hours are, of which there is one, or
/// two where one has ended meanwhile.
fn executions(row: &str) -> f64 {
    let between = |from, to| row.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap();
    if row.contains("calls by hour: nothing known") {
        return 0.0;
    }
    let range = between("<small>", " calls</small>");
    let (least, most) = range.split_once(" to ").unwrap();
    let [least, most]: [f64; 2] = [least, most].map(|number| number.parse().unwrap());
    let bars = between("class=\"bars\"", "/>").matches('M').count();
    assert!((1..=2).contains(&bars), "{row}");
    if bars == 2 { least + most } else { most }
}

async fn until(what: &str, program: &Dbintel, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
    assert!(in_time, "{what} did not happen\n{}", program.stderr());
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
    world.run(LEARNT, 20).await;
    world.until_seen(&program, LEARNT, 20.0).await;
    // The file is written in the order in which things were learnt: with the later statement it has these executions.
    world.run(LATER, 1).await;
    world.until_seen(&program, LATER, 1.0).await;
    until("all is in the file", &program, async || {
        world.kept().await == world.statements(&program).await.len()
    })
    .await;
    // Those of the last interval may be missing, and nothing else; nothing runs from here on until they are compared.
    world.run(LEARNT, 7).await;
    let before = world.until_seen(&program, LEARNT, 27.0).await;
    program.kill();
    program.wait(PATIENCE).await;
    let mut program = world.start().await;
    until_said(&program, TAKEN_OVER).await;
    // Its text comes with its next execution.
    let id = before.split(", query ").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
    let after = world.until_seen(&program, &format!(", query {id}<"), 0.0).await;
    let (before, after) = (executions(&before), executions(&after));
    assert!(before == 27.0 && (20.0..=27.0).contains(&after), "{after} of {before}");
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

/// The store of this file, beside whoever uses it.
async fn store(file: &Path) -> (Store, Writer) {
    let day = Duration::from_secs(86_400);
    let retention = Retention { findings: 90 * day, baselines: 30 * day, audit: 400 * day };
    let config = StoreConfig { place: Place::Sqlite(file.to_owned()), retention };
    let cx = StoreContext {
        clock: std::sync::Arc::new(SystemClock::default()),
        registry: Registry::default(),
        accounts: MemoryAccounts::default(),
        instance: Instance { id: "test".into(), host: "here".into() },
        on_damage: OnDamage::Fail,
    };
    Store::open(config, cx).await.unwrap()
}

/// Opens a finding about this table.
async fn opened(store: &Store, object: Text, now: Timestamp) -> Finding {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let subject = Subject::of_object(&server, None, "orders".into(), object);
    let kind = FindingKind::StatisticsStale;
    let ids = Identity { kind, subject: &subject, plan: None }.at(now);
    let mut finding = Finding::new(ids.id, kind, Category::Careful, subject, now);
    finding.summary = "The statistics are \u{1b}[31mold".into();
    store.open_finding(ids, &finding).await.unwrap();
    finding
}

/// Puts a finding into the store beside whoever uses it.
async fn find(file: &Path) -> Finding {
    let (store, _writer) = store(file).await;
    let finding = opened(&store, "public.orders".into(), SystemClock::default().now()).await;
    store.close().await;
    finding
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_read_and_decided_while_the_collector_runs() {
    let world = World::new().await;
    let program = world.start().await;
    let says = async |arguments: &[&str]| world.says(arguments).await;
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

/// A command of another process reaches the lane: its gauges, its pages, its state over a restart, and the backend.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_reach_the_collector_that_runs() {
    let world = World::new().await;
    let findings = world.leave(&["public.orders", "public.stock"]).await;
    let [accepted, rejected] = [&findings[0], &findings[1]].map(|finding| finding.id.to_string());
    let mut program = world.start().await;
    let open = async |program: &Dbintel| world.metric(program, "regression_verifier_findings_open").await;
    until("both are open", &program, async || open(&program).await == 2.0).await;
    let (done, text) = world.says(&["accept", &accepted, "--by", "eve"]).await;
    assert!(done, "{text}");
    let (done, text) = world.says(&["reject", &rejected, "--by", "eve", "--reason", "it is a copy"]).await;
    assert!(done, "{text}");
    let decisions =
        async |program: &Dbintel| world.metric(program, "regression_verifier_decisions_total").await;
    until("both decisions are heard", &program, async || decisions(&program).await == 2.0).await;
    until("the gauges have moved", &program, async || {
        open(&program).await == 1.0 && world.metric(&program, "dbintel_findings_open").await == 1.0
    })
    .await;
    let page = world.page(&program).await;
    assert!(page.contains("accepted") && page.contains(&accepted[..12]), "{page}");
    assert!(!page.contains(&rejected[..12]), "{page}");
    until("both events have left", &program, async || world.changed().len() == 2).await;
    let told = world.changed();
    let of = |id: &str, action: &str| told.iter().any(|[of, did]| of.contains(id) && did.contains(action));
    assert!(of(&accepted, "accept") && of(&rejected, "reject"), "{told:?}");
    // It knows them after a sudden end, and does not tell them again.
    program.kill();
    program.wait(PATIENCE).await;
    let mut program = world.start().await;
    until_said(&program, TAKEN_OVER).await;
    let looked = async || world.health(&program).await["last_success"].clone();
    until("the store was looked at", &program, async || !looked().await.is_null()).await;
    let first = looked().await;
    until("it was looked at again", &program, async || looked().await != first).await;
    until("the gauge is there", &program, async || open(&program).await == 1.0).await;
    assert_eq!((decisions(&program).await, world.changed().len()), (0.0, 2));
    // What is decided while it does not run is heard at the start.
    program.kill();
    program.wait(PATIENCE).await;
    let (done, text) = world.says(&["reject", &accepted, "--by", "eve", "--reason", "not now"]).await;
    assert!(done, "{text}");
    let program = world.start().await;
    until("the decision is heard", &program, async || decisions(&program).await == 1.0).await;
    until("the event has left", &program, async || world.changed().len() == 3).await;
    until("the gauge is down", &program, async || open(&program).await == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_is_said_by_the_page_and_by_health() {
    let world = World::new().await;
    world.leave(&["public.orders"]).await;
    let program = world.start().await;
    until("it is well", &program, async || world.health(&program).await["healthy"] == true).await;
    assert!(!world.page(&program).await.contains("The store could not be asked"));
    let rename = async |from: &str, to: &str| {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.file());
        let mut connection = options.connect().await.unwrap();
        let text = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    rename("dbintel_decisions", "taken_away").await;
    let page = world.page(&program).await;
    let said = "is not here. database: ";
    assert!(page.contains(said) && page.contains("what to do: check the version of the store"), "{page}");
    until("health says it", &program, async || world.health(&program).await["status"] == "degraded").await;
    let reason = world.health(&program).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("database: ") && reason.contains("what to do: "), "{reason}");
    rename("taken_away", "dbintel_decisions").await;
    until("it is well again", &program, async || world.health(&program).await["healthy"] == true).await;
    assert!(!world.page(&program).await.contains("The store could not be asked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_runs_on_without_a_store_and_uses_it_as_soon_as_it_can() {
    let world = World::new().await;
    let obstacle = world.directory.path().join("state");
    std::fs::write(&obstacle, "in the way").unwrap();
    let file = obstacle.join("store.db");
    let program = world.start_at(&file).await;
    until_said(&program, "the collector runs without, and goes on trying").await;
    world.sink.wait_for(PATIENCE, |received| received.data_points() > 0).await;
    until("health says it", &program, async || world.health(&program).await["status"] == "degraded").await;
    let reason = world.health(&program).await["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("unavailable: ") && reason.contains("check that the directory"), "{reason}");
    std::fs::remove_file(&obstacle).unwrap();
    until("it is well", &program, async || world.health(&program).await["healthy"] == true).await;
    world.until_written(&program).await;
    assert!(file.is_file());
}

/// A finding of the past is context for one of today, on the command line and on the page, and for nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn similar_past_cases_are_shown_beside_a_finding() {
    let world = World::new().await;
    let findings = world.leave(&["public.orders", "public.stock"]).await;
    let [like_it, unlike] = [&findings[0], &findings[1]].map(|finding| finding.id.to_string());
    let (store, _writer) = store(&world.file()).await;
    let lately = SystemClock::default().now();
    let days_ago = Timestamp::from_nanos(lately.as_nanos() - 5 * 86_400_000_000_000);
    let past = opened(&store, "public.orders".into(), days_ago).await;
    let reject = Decision::try_new(DecisionAction::Reject, "bob", days_ago, Some("seen before")).unwrap();
    store.decide(past.id, reject).await.unwrap();
    store.close().await;
    let past = past.id.to_string();
    let (done, text) = world.says(&["show", &like_it]).await;
    let case = text.find("similar past cases (context, no evidence)").map_or("", |from| &text[from..]);
    assert!(done && case.contains(&past) && case.contains("rejected by bob: seen before"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    for other in [&unlike, &past] {
        let (done, text) = world.says(&["show", other]).await;
        assert!(done && !text.contains("similar past cases"), "{text}");
    }
    let program = world.start().await;
    until_said(&program, TAKEN_OVER).await;
    until("the page has them", &program, async || {
        let page = world.page(&program).await;
        page.matches("<h3>Similar past cases").count() == 1 && page.contains("rejected by bob: seen before")
    })
    .await;
}
