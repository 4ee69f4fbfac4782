//! Overrides at night: the compiled program beside a real database, its own commands as the clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::ports::ReservedPort;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;

const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    cluster: Cluster,
    sink: OtlpSink,
    ports: AdminPorts,
    state: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::start(Major::V17, Options::new()).await;
        cluster.create_monitor_role(OwnStatements::Untracked).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        let state = tempfile::tempdir().unwrap();
        Self { cluster, sink: OtlpSink::start().await, ports: AdminPorts::default(), state }
    }

    fn config(&self) -> String {
        format!(
            "receivers:\n  postgresql: {{endpoint: \"127.0.0.1:{}\", username: dbintel, password: monitor-of-the-test, \
             tls: {{insecure: true}}, collection_interval: 1s, initial_delay: 0, \
             top_query_collection: {{collection_interval: 1s}}, query_sample_collection: {{collection_interval: 1s}}, \
             events: {{db.server.query_sample: {{enabled: true}}}}}}\n\
             processors:\n  circuit_breaker: {{limits: {{budget: 60s}}}}\n  adaptive_sampler:\n\
             exporters:\n  otlphttp: {{endpoint: \"{}\"}}\n\
             extensions:\n  control: {{state_directory: {}}}\n\
             service:\n  extensions: [control]\n  pipelines:\n    databases:\n      receivers: [postgresql]\n      \
             processors: [adaptive_sampler, circuit_breaker]\n      exporters: [otlphttp]\n",
            self.cluster.port(),
            self.sink.http_endpoint(),
            self.state.path().display(),
        )
    }

    fn launch(&self) -> Launch {
        // The socket is beside the state, so that clients find it after a restart.
        self.ports.apply(Launch::run(&self.config())).env("XDG_RUNTIME_DIR", self.state.path())
    }

    async fn start(&self) -> Dbintel {
        let mut program = self.launch().start();
        program.wait_until_ready(self.ports.health(), "/health/ready", PATIENCE).await;
        program
    }

    /// One of the program's own commands; what it said, and whether it went well.
    async fn says(&self, command: &[&str]) -> (bool, String) {
        let output = Launch::command(command).env("XDG_RUNTIME_DIR", self.state.path()).output().await;
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    async fn done(&self, command: &[&str]) -> String {
        let (is_done, text) = self.says(command).await;
        assert!(is_done, "{command:?}: {text}");
        text
    }

    async fn refused(&self, command: &[&str], words: &str) {
        let (is_done, text) = self.says(command).await;
        assert!(!is_done && text.contains(words), "{command:?}: {text}");
    }

    async fn metric(&self, program: &Dbintel, name: &str, labels: &[&str]) -> f64 {
        let (_, body) = program.http_get(self.ports.metrics(), "/metrics").await.unwrap();
        let matches = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        body.lines().filter(matches).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn until_metric(&self, program: &Dbintel, name: &str, labels: &[&str], is: impl Fn(f64) -> bool) {
        let reached = async {
            while !is(self.metric(program, name, labels).await) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reached).await.is_ok();
        assert!(in_time, "{name} {labels:?}\n{}", program.stderr());
    }

    /// Waits for points that are accepted from now on.
    async fn goes_on(&self, program: &Dbintel) {
        let name = "otelcol_receiver_accepted_metric_points";
        let before = self.metric(program, name, &[]).await;
        self.until_metric(program, name, &[], |now| now > before).await;
    }

    /// Statements of ours that the server counts from now on: none, over several polls.
    async fn is_silent(&self) {
        let statements = "SELECT coalesce(sum(xact_commit + xact_rollback), 0)::int8 FROM pg_stat_database \
                          WHERE datname = 'postgres'";
        let connections =
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel' AND state <> 'idle'";
        // A session that goes idle soon after it reported its statistics reports the rest ten seconds later.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let before: i64 = self.cluster.scalar("template1", statements).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(self.cluster.scalar::<i64>("template1", connections).await, 0);
        assert_eq!(self.cluster.scalar::<i64>("template1", statements).await, before);
    }
}

async fn health(world: &World, program: &Dbintel) -> serde_json::Value {
    let (_, body) = program.http_get(world.ports.health(), "/health").await.unwrap();
    serde_json::from_str(&body).unwrap()
}

/// Waits until a figure of a component in the health report is so: its self-metric is there under the name by which health
/// looks for it.
async fn until_figure(world: &World, program: &Dbintel, of: [&str; 2], is: impl Fn(f64) -> bool) {
    let [component, figure] = of;
    let reached = async {
        loop {
            let found = &health(world, program).await["components"][component]["metrics"][figure];
            if found.as_f64().is_some_and(&is) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reached).await.is_ok();
    assert!(in_time, "{of:?}\n{}\n{}", health(world, program).await, program.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_is_held_open_over_a_restart_and_released() {
    let world = World::new().await;
    let mut program = world.start().await;
    world.goes_on(&program).await;
    let list = world.done(&["circuits", "list"]).await;
    assert!(list.lines().any(|line| line.starts_with("postgresql") && line.contains("(server)")), "{list}");
    let told =
        world.done(&["circuits", "open", "postgresql", "--reason", "deploy of 3 a.m.", "--for", "2h"]).await;
    assert!(
        told.starts_with("held: postgresql (server) open, for 1h 59m") && !told.contains("note"),
        "{told}"
    );
    world.is_silent().await;
    let list = world.done(&["circuits", "list"]).await;
    let first = list.lines().nth(1).unwrap();
    assert!(first.contains("open") && first.contains("deploy of 3 a.m."), "{list}");
    // A crash: what is held is held from the first moment.
    program.kill();
    program.wait(PATIENCE).await;
    let program = world.start().await;
    world.is_silent().await;
    let reason = &health(&world, &program).await["components"]["extension:control"]["missing"];
    assert!(reason.to_string().contains("deploy of 3 a.m."), "{reason}");
    let breaker = &health(&world, &program).await["components"]["circuit_breaker:postgresql"];
    assert!(breaker["healthy"] == false && breaker["metrics"]["open"].as_u64() > Some(0), "{breaker}");
    let (_, page) = program.http_get(world.ports.pages(), "/debug/servicez").await.unwrap();
    assert!(page.contains("Overrides") && page.contains("deploy of 3 a.m."));
    world.done(&["circuits", "release", "postgresql"]).await;
    world.goes_on(&program).await;
    world.refused(&["circuits", "release", "postgresql"], "no such override").await;
    assert_eq!(world.done(&["bypass", "list"]).await, "no override is in force\n");
}

/// Somebody knows better than the breaker: what is held closed goes on asking although every try fails, until it is released.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_is_held_closed_and_released() {
    let world = World::new().await;
    let program = world.start().await;
    world.goes_on(&program).await;
    // What it cost is on the page of the pipelines, by purpose.
    let (_, page) = program.http_get(world.ports.pages(), "/debug/pipelinez").await.unwrap();
    assert!(
        page.contains("of 60000 ms database time in the last minute") && page.contains("statements "),
        "{page}"
    );
    let limiter = "rate_limiter:postgresql";
    until_figure(&world, &program, [limiter, "rejection_rate"], |rate| (0.0..=1.0).contains(&rate)).await;
    until_figure(&world, &program, [limiter, "budget_ratio"], |ratio| ratio > 0.0 && ratio < 1.0).await;
    until_figure(&world, &program, [limiter, "cadence_stretch"], |stretch| stretch >= 1.0).await;
    until_figure(&world, &program, ["adaptive_sampler:postgresql", "records_processed"], |_| true).await;
    let trips = async || world.metric(&program, "circuit_breaker_trips_total", &[]).await;
    let told = world
        .done(&["circuits", "close", "postgresql", "--reason", "the role is about to be back", "--for", "2h"])
        .await;
    assert!(told.starts_with("held: postgresql (server) closed, for 1h 59m"), "{told}");
    let lock_out = "ALTER ROLE dbintel NOLOGIN; \
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dbintel'";
    world.cluster.execute("postgres", lock_out).await;
    // One failure opens a breaker that nobody holds, and the second comes half a minute later.
    world
        .until_metric(&program, "dbintel_gaps_total", &["authentication_failed"], |failed| failed >= 5.0)
        .await;
    assert_eq!(trips().await, 0.0);
    let list = world.done(&["circuits", "list"]).await;
    let first = list.lines().nth(1).unwrap();
    assert!(first.contains("closed") && first.contains("the role is about to be back"), "{list}");
    world.done(&["circuits", "release", "postgresql"]).await;
    world.until_metric(&program, "circuit_breaker_trips_total", &[], |trips| trips >= 1.0).await;
    until_figure(&world, &program, ["circuit_breaker:postgresql", "trips"], |trips| trips >= 1.0).await;
    world.cluster.execute("postgres", "ALTER ROLE dbintel LOGIN").await;
    world.done(&["circuits", "close", "postgresql", "--reason", "it works again", "--for", "2h"]).await;
    world.goes_on(&program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_level_of_bypass_takes_away_what_it_names_and_ends_by_itself() {
    let world = World::new().await;
    let program = world.start().await;
    world.goes_on(&program).await;
    // A query: it alone is missing, and said to be.
    let why = ["--reason", "too many of them", "--for", "2h"];
    let set = |what: &'static str| ["bypass", "set", what].into_iter().chain(why).collect::<Vec<_>>();
    while !world.done(&["circuits", "list"]).await.contains("sessions") {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.done(&set("receivers/postgresql:sessions")).await;
    let bypassed = ["gate=\"bypass\"", "purpose=\"sessions\""];
    world.until_metric(&program, "dbintel_admission_denied_total", &bypassed, |denied| denied > 0.0).await;
    let others = ["gate=\"bypass\"", "purpose=\"statements\""];
    assert_eq!(world.metric(&program, "dbintel_admission_denied_total", &others).await, 0.0);
    world.goes_on(&program).await;
    world.done(&["bypass", "clear", "receivers/postgresql:sessions"]).await;
    // An exporter: it is handed nothing, and what it misses is counted.
    world.done(&set("exporters/otlphttp")).await;
    let lost = "otelcol_exporter_enqueue_failed_metric_points";
    world.until_metric(&program, lost, &["reason=\"bypassed\""], |lost| lost > 0.0).await;
    world.done(&["bypass", "clear", "exporters/otlphttp"]).await;
    // A processor that only shapes data can be passed by; one that protects cannot, and the answer says what can.
    world.done(&set("processors/adaptive_sampler")).await;
    world.refused(&set("processors/circuit_breaker"), "dbintel circuits close").await;
    world.refused(&set("receivers/postgres"), "there are: postgresql").await;
    world.refused(&set("receivers/postgresql:session"), "there is no query `session`").await;
    // Everything, for a while: it undoes itself.
    world.done(&["bypass", "set", "system", "--reason", "load", "--for", "25s"]).await;
    world.is_silent().await;
    world.goes_on(&program).await;
    let list = world.done(&["bypass", "list"]).await;
    assert!(list.contains("processors/adaptive_sampler") && !list.contains("system"), "{list}");
    assert!(program.stderr().contains("override is over"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bypass_of_the_start_is_in_force_before_anything_is_connected() {
    let world = World::new().await;
    let program = |launch: Launch| async {
        let mut program = launch.start();
        program.wait_until_ready(world.ports.health(), "/health/ready", PATIENCE).await;
        program
    };
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel'";
    let running =
        program(world.launch().argument("--bypass=system").argument("--bypass-reason=it hammers")).await;
    let list = world.done(&["bypass", "list"]).await;
    assert!(list.contains("startup") && list.contains("it hammers"), "{list}");
    world.is_silent().await;
    assert_eq!(world.cluster.scalar::<i64>("template1", connections).await, 0);
    world.done(&["bypass", "clear", "system"]).await;
    world.goes_on(&running).await;
    drop(running);
    // The environment says it where the command line cannot be changed quickly.
    let launch =
        world.launch().env("DBINTEL_BYPASS", "receivers/postgresql").env("DBINTEL_BYPASS_REASON", "load");
    let running = program(launch).await;
    world.is_silent().await;
    drop(running);
    // A mistake in it is no start: nobody would notice that nothing is bypassed.
    let mut wrong = world.launch().argument("--bypass=receivers/other").argument("--bypass-reason=x").start();
    assert_eq!(wrong.wait(PATIENCE).await.code(), Some(1));
    assert!(wrong.stderr().contains("there are: postgresql"), "{}", wrong.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tcp_the_commands_send_the_token_of_the_environment() {
    let world = World::new().await;
    let port = ReservedPort::reserve();
    let endpoint = format!("127.0.0.1:{}", port.get());
    let (token, sets) = ("a token of the test", ["endpoint", "token"]);
    let [at, known] = sets.map(|key| format!("extensions.control.{key}="));
    let launch = world.launch().env("CONTROL_TOKEN", token).argument("--set").argument(at + &endpoint);
    let mut program = launch.argument("--set").argument(known + "${env:CONTROL_TOKEN}").start();
    program.wait_until_ready(world.ports.health(), "/health/ready", PATIENCE).await;
    let list = |token: Option<&str>| {
        let launch = Launch::command(&["bypass", "list", "--endpoint", &endpoint]);
        let launch = token.map_or(Launch::command(&["bypass", "list", "--endpoint", &endpoint]), |token| {
            launch.env("DBINTEL_CONTROL_TOKEN", token)
        });
        launch.output()
    };
    let (none, wrong, right) = (list(None).await, list(Some("another")).await, list(Some(token)).await);
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !none.status.success() && said(&none).contains("DBINTEL_CONTROL_TOKEN is not set"),
        "{}",
        said(&none)
    );
    assert!(!wrong.status.success() && said(&wrong).contains("missing or wrong"), "{}", said(&wrong));
    assert_eq!(right.stdout, b"no override is in force\n");
    assert!(!program.stderr().contains(token));
}
