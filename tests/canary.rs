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

use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::Launch;
use dbintel_tests::AdminPorts;
use sqlx::Executor as _;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is hidden, and where. Each is found nowhere outside of the server.
const CANARIES: [&str; 14] = [
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
];

const STATEMENTS: [&str; 11] = [
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
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_leaves() {
    let options = Options::new().setting("pg_stat_statements.track", "all");
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    cluster.execute("postgres", "CREATE TABLE public.orders (id int, note text)").await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let kept = tempfile::tempdir().unwrap();
    let config = format!(
        "receivers:\n  postgresql:\n    endpoint: 127.0.0.1:{}\n    username: dbintel\n    \
         password: monitor-of-the-test\n    tls: {{insecure: true}}\n    collection_interval: 1s\n    initial_delay: 0\n    \
         catalogue_collection: {{collection_interval: 1s}}\n    \
         events: {{db.server.query_sample: {{enabled: true}}}}\n    \
         query_sample_collection: {{collection_interval: 1s}}\n    \
         top_query_collection: {{collection_interval: 1s, top_n_query: 1000}}\n\
         processors:\n  circuit_breaker: {{limits: {{budget: 60s}}}}\n\
         exporters:\n  otlphttp: {{endpoint: \"{}\"}}\n  file: {{path: telemetry.jsonl}}\n  debug: {{verbosity: detailed}}\n\
         extensions:\n  store: {{path: {}}}\n\
         service:\n  extensions: [store]\n  telemetry: {{logs: {{level: debug}}}}\n  pipelines:\n    databases:\n      \
         receivers: [postgresql]\n      \
         processors: [memory_limiter, circuit_breaker, plan_extractor, regression_verifier, verification]\n      \
         exporters: [otlphttp, file, debug]\n",
        cluster.port(),
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
    let arrived = async {
        loop {
            for statement in STATEMENTS {
                // The role exists the second time.
                let _ = client.execute(statement).await;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let received = format!("{:?}", sink.received());
            // The texts around the canaries, the session, and the setting have arrived.
            if ["FROM orders WHERE note", "pg_sleep", "primary_conninfo", "db.server.query_sample"]
                .iter()
                .all(|text| received.contains(text))
            {
                break;
            }
        }
    };
    assert!(tokio::time::timeout(PATIENCE, arrived).await.is_ok(), "{}", program.stderr());
    let mut places = vec![("bytes that leave", format!("{:?}", sink.received()))];
    for path in ["/health", "/health/ready"] {
        places.push(("health", program.http_get(ports.health(), path).await.unwrap().1));
    }
    places.push(("self-metrics", program.http_get(ports.metrics(), "/metrics").await.unwrap().1));
    for page in ["servicez", "pipelinez", "findingz", "queryz", "planz", "extensionz", "tracez"] {
        let path = format!("/debug/{page}");
        let page_of = async {
            loop {
                let (_, body) = program.http_get(ports.pages(), &path).await.unwrap();
                // A busy machine may let a lane be late.
                if !body.contains("gave no answer") {
                    return body;
                }
            }
        };
        let body = tokio::time::timeout(PATIENCE, page_of).await.expect("lanes answer pages");
        assert!(body.ends_with("</html>\n"), "{page}: {body}");
        // The masked texts are there, and a course of each statement; nothing was concluded yet.
        assert!(
            page != "queryz" || body.contains("FROM orders WHERE note") && body.contains("<svg"),
            "{body}"
        );
        assert!(page != "findingz" || body.contains("No finding waits"), "{body}");
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
