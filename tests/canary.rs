//! What must not leave does not leave: literals, comments, bodies and passwords are in no byte that is sent, logged, kept
//! or shown, whatever statement, session or setting they are in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use dbintel_testkit::otlp_sink::{OtlpSink, Received};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;
use sqlx::Executor as _;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is hidden, and where. Each is found nowhere outside of the server.
const CANARIES: [&str; 18] = [
    "canary-literal",
    "canary-comment",
    "canary-line-comment",
    "canary-do-body",
    "canary-role-password",
    "canary-altered-password",
    "canary-dollar-quoted",
    "canary-escape-string",
    "canary-activity",
    "canary-conninfo",
    "canary.person@mail.test",
    "4111 1111 1111 1111",
    "ghp_canarycanarycanarycanarycanarycanary1",
    "monitor-of-the-test",
    "canary-of-a-view",
    "canary-in-a-large-plan",
    "canary-of-an-index",
    "canary-error",
];

/// What plans have literals of that are in no statement. The plan of `wide` has some kilobytes: it is held
/// compressed, and leaves whole.
const WORLD: &str = "
CREATE TABLE public.orders (id int, note text);
CREATE INDEX orders_few ON orders (id) WHERE note = 'canary-of-an-index';
CREATE VIEW noted AS SELECT * FROM orders WHERE note = 'canary-of-a-view';
DO $$ BEGIN EXECUTE 'CREATE VIEW wide AS ' || string_agg(
    format('SELECT id FROM orders WHERE note = %L', 'canary-in-a-large-plan' || n), ' UNION ALL ')
    FROM generate_series(1, 10) n; END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO dbintel";

/// Their plans are in the server's log.
const STATEMENTS: [&str; 12] = [
    "SELECT count(*) FROM orders WHERE note = 'canary-literal'",
    "SELECT count(*) FROM orders /* canary-comment */ WHERE id > 17",
    "SELECT count(*) -- canary-line-comment\nFROM orders WHERE id < 17",
    "DO $$ BEGIN PERFORM 'canary-do-body'; END $$",
    "CREATE ROLE canary_role PASSWORD 'canary-role-password'",
    "ALTER ROLE canary_role PASSWORD 'canary-altered-password'",
    "SELECT count(*) FROM orders WHERE note = $tag$canary-dollar-quoted$tag$",
    "SELECT count(*) FROM orders WHERE note = E'canary-escape-string\\n'",
    "SELECT count(*) FROM orders WHERE note IN ('canary.person@mail.test', '4111 1111 1111 1111')",
    "SELECT count(*) FROM orders WHERE note LIKE 'ghp_canarycanarycanarycanarycanarycanary1%'",
    "COMMENT ON TABLE orders IS 'canary-comment'",
    "SELECT 'canary-error'::int FROM orders",
];
/// Their plans are asked for.
const EXPLAINED: [&str; 3] = [
    "SELECT count(*) FROM noted WHERE id > 17",
    "SELECT count(*) FROM wide WHERE id > 17",
    "SELECT count(*) FROM orders WHERE note = 'canary-of-an-index' AND id > 17",
];

/// Whether plans have left: of the log, with the values of an execution, and of views that have literals, a large one among
/// them.
fn have_plans_left(received: &Received) -> bool {
    let records = received.log_records().filter(|record| record.event_name == "db.server.query_plan");
    let plans: Vec<String> = records.map(|record| format!("{record:?}")).collect();
    let has = |parts: &[&str]| plans.iter().any(|plan| parts.iter().all(|part| plan.contains(part)));
    has(&["StringValue(\"actual\")", "FROM orders WHERE note = ", "Filter"])
        && has(&["StringValue(\"generic\")", "FROM noted", "Filter"])
        && has(&["StringValue(\"generic\")", "FROM wide", "Append", "Filter"])
}

/// Series have the labels that the document of telemetry lists; of two metrics each series has some of them.
fn labels_are_as_defined(text: &str) {
    let all = [
        dbintel_pipeline::telemetry::definitions::ALL,
        dbintel_admin::definitions::ALL,
        dbintel_processors::definitions::ALL,
        dbintel_store::definitions::ALL,
    ];
    for metric in all.into_iter().flatten() {
        if ["dbintel_limit_reached_total", "verification_cost_per_day"].contains(&metric.name) {
            continue;
        }
        let of_metric = text.lines().filter_map(|line| line.strip_prefix(metric.name));
        for series in of_metric.filter(|rest| rest.starts_with(['{', ' '])) {
            let has = |label: &&'static str| {
                ["{", ","].iter().any(|before| series.contains(&format!("{before}{label}=\"")))
            };
            assert!(metric.labels.iter().all(has), "{} {:?}: {series}", metric.name, metric.labels);
        }
    }
}

/// A page, when the lanes have answered.
async fn page(program: &Dbintel, port: u16, path: &str) -> String {
    let answered = async {
        loop {
            let (_, body) = program.http_get(port, path).await.unwrap();
            // A busy machine may let a lane be late.
            if !body.contains("gave no answer") {
                return body;
            }
        }
    };
    let body = tokio::time::timeout(PATIENCE, answered).await.expect("lanes answer pages");
    assert!(body.ends_with("</html>\n"), "{path}: {body}");
    body
}

/// Every plan that is held, large ones compressed, as a tree: the pages that `planz` leads to.
async fn plans_held(program: &Dbintel, port: u16, planz: &str) -> String {
    let mut trees = String::new();
    let links = planz.split("href=\"").filter_map(|link| link.split('"').next());
    for link in links.filter(|link| link.contains("statement=")) {
        trees.push_str(&page(program, port, &link.replace("&amp;", "&")).await);
    }
    trees
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_leaves() {
    let options = Options::new()
        .auto_explain()
        .setting("pg_stat_statements.track", "all")
        .setting("compute_query_id", "on")
        .setting("logging_collector", "on")
        .setting("log_filename", "pg.log")
        .setting("log_destination", "csvlog")
        .setting("auto_explain.log_format", "json")
        .setting("auto_explain.log_min_duration", "0");
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    cluster.execute("postgres", WORLD).await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let kept = tempfile::tempdir().unwrap();
    let config = format!(
        "receivers:\n  postgresql:\n    endpoint: 127.0.0.1:{}\n    username: dbintel\n    \
         password: monitor-of-the-test\n    tls: {{insecure: true}}\n    collection_interval: 1s\n    initial_delay: 0\n    \
         catalogue_collection: {{collection_interval: 1s}}\n    \
         events: {{db.server.query_sample: {{enabled: true}}}}\n    \
         query_sample_collection: {{collection_interval: 1s}}\n    \
         top_query_collection: {{collection_interval: 1s, top_n_query: 1000}}\n    \
         plan_collection: {{enabled: true, collection_interval: 1s, max_per_collection: 100, log: {{include: [{}]}}}}\n\
         processors:\n  circuit_breaker: {{limits: {{budget: 60s, plans_per_minute: 10000}}}}\n  adaptive_sampler:\n\
         exporters:\n  otlphttp: {{endpoint: \"{}\"}}\n  file: {{path: telemetry.jsonl}}\n  debug: {{verbosity: detailed}}\n\
         extensions:\n  store: {{path: {}}}\n\
         service:\n  extensions: [store]\n  telemetry: {{logs: {{level: debug}}}}\n  pipelines:\n    databases:\n      \
         receivers: [postgresql]\n      \
         processors: [memory_limiter, adaptive_sampler, circuit_breaker, plan_extractor, regression_verifier, verification]\n      \
         exporters: [otlphttp, file, debug]\n",
        cluster.port(),
        cluster.data_dir().join("log/pg.csv").display(),
        sink.http_endpoint(),
        kept.path().join("store.db").display(),
    );
    let mut program = ports.apply(Launch::run(&config)).start();
    sink.wait_for(PATIENCE, |received| received.data_points() > 0).await;
    let mut active = cluster.connect("postgres").await;
    let mut activity = tokio::task::JoinSet::new();
    activity.spawn(async move {
        // Ends with the connection, at the latest with the server.
        let _ = active.execute("SELECT 'canary-activity', pg_sleep(60) /* canary-comment */").await;
    });
    let conninfo = "ALTER SYSTEM SET primary_conninfo = 'host=other password=canary-conninfo'";
    for statement in [conninfo, "SELECT pg_reload_conf()"] {
        cluster.execute("postgres", statement).await;
    }
    let mut client = cluster.connect("postgres").await;
    // What the log has a plan of is not explained.
    let mut unlogged = cluster.connect("postgres").await;
    unlogged.execute("SET auto_explain.log_min_duration = -1").await.unwrap();
    let arrived = async {
        loop {
            for statement in STATEMENTS {
                // The role exists the second time, and one fails each time.
                let _ = client.execute(statement).await;
            }
            for statement in EXPLAINED {
                unlogged.execute(statement).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let plans_left = have_plans_left(&sink.received());
            let received = format!("{:?}", sink.received());
            // The texts around the canaries, the session, the setting, and the error have arrived.
            let texts = [
                "FROM orders WHERE note",
                "pg_sleep",
                "primary_conninfo",
                "db.server.query_sample",
                "postgresql.log.errors",
            ];
            if plans_left && texts.iter().all(|text| received.contains(text)) {
                break;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, arrived).await.is_ok(), "{}", program.stderr());
    let mut places = vec![("bytes that leave", format!("{:?}", sink.received()))];
    for path in ["/health", "/health/ready"] {
        places.push(("health", program.http_get(ports.health(), path).await.unwrap().1));
    }
    // The sampler has decided about sessions, and the large plan is held compressed.
    let counted = async {
        loop {
            let metrics = program.http_get(ports.metrics(), "/metrics").await.unwrap().1;
            let names = ["adaptive_sampler_rule_matches_total{", "plan_store_compression_ratio{"];
            if names.iter().all(|name| metrics.contains(&format!("\n{name}"))) {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let metrics = tokio::time::timeout(PATIENCE, counted).await.expect("the sampler and a compressed plan");
    labels_are_as_defined(&metrics);
    places.push(("self-metrics", metrics));
    for name in ["servicez", "pipelinez", "findingz", "queryz", "planz", "extensionz", "tracez"] {
        let body = page(&program, ports.pages(), &format!("/debug/{name}")).await;
        // The masked texts are there, and a course of each statement; nothing was concluded yet.
        assert!(
            name != "queryz" || body.contains("FROM orders WHERE note") && body.contains("<svg"),
            "{body}"
        );
        assert!(name != "findingz" || body.contains("No finding waits"), "{body}");
        if name == "planz" {
            let held = plans_held(&program, ports.pages(), &body).await;
            assert!(held.contains("Append") && held.contains("filter: "), "{held}");
            places.push(("plans held", held));
        }
        places.push(("pages", body));
    }
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
    let file = std::fs::read_to_string(program.directory().join("telemetry.jsonl")).unwrap();
    assert!(file.contains("FROM orders WHERE note"), "the file has what left");
    // Whatever files the store consists of.
    let kept =
        std::fs::read_dir(kept.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let kept = String::from_utf8_lossy(&kept.collect::<Vec<_>>().concat()).into_owned();
    assert!(kept.contains("regression_verifier/about/"), "the store has what was learnt");
    places.push(("store", kept));
    places.extend([("file", file), ("log", program.stderr()), ("output", program.stdout())]);
    for (place, text) in &places {
        for canary in CANARIES {
            let found = text.find(canary).map(|at| text.get(at.saturating_sub(200)..at + canary.len()));
            assert!(found.is_none(), "{canary} in {place}: {found:?}");
        }
    }
    activity.abort_all();
}
