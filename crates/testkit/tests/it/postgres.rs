//! Private clusters: what a test may rely on, for every major.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements, StopMode, available_majors};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

/// Runs one check against every major, one after the other: the machine has few cores.
async fn for_each_major<F: Future<Output = ()>>(check: impl Fn(Major) -> F) {
    for major in available_majors() {
        check(major).await;
    }
}

#[tokio::test]
async fn starts_and_reports_the_versions_it_was_asked_for() {
    for_each_major(|major| async move {
        let begin = Instant::now();
        let cluster = Cluster::start(major, Options::new()).await;
        println!("PostgreSQL {major} started in {:?}", begin.elapsed());
        let versions = cluster.versions().await;
        assert_eq!(versions.server_version_num / 10_000, i32::from(major.number()));
        let expected = match major {
            Major::V13 => "1.8",
            Major::V14 => "1.9",
            Major::V15 | Major::V16 => "1.10",
            Major::V17 => "1.11",
            Major::V18 => "1.12",
        };
        assert_eq!(versions.pg_stat_statements, expected);
    })
    .await;
}

#[tokio::test]
async fn a_second_start_from_the_template_is_fast() {
    drop(Cluster::start(Major::V16, Options::new()).await);
    let begin = Instant::now();
    let cluster = Cluster::start(Major::V16, Options::new()).await;
    println!("start from the template: {:?}", begin.elapsed());
    drop(cluster);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_monitor_role_reads_statements_over_tcp() {
    for_each_major(|major| async move {
        let cluster = Cluster::start(major, Options::new().scram()).await;
        cluster.create_database("shop").await;
        cluster.create_extension("shop", "pg_stat_statements").await;
        let role = cluster.create_monitor_role(OwnStatements::Untracked).await;
        let mut connection = PgConnection::connect(&cluster.monitor_url(&role, "shop")).await.unwrap();
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'CREATE%'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(seen > 0, "{major}: nothing tracked");
        let own: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_statements JOIN pg_roles r ON r.oid = userid WHERE rolname = 'dbintel'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(own, 0, "{major}: the role's own statements are tracked");
    })
    .await;
}

#[tokio::test]
async fn passwords_are_demanded_where_asked_for() {
    let cluster = Cluster::start(Major::NEWEST, Options::new().scram()).await;
    let wrong = cluster.url("postgres", "wrong", "postgres");
    let error = PgConnection::connect(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    PgConnection::connect(&cluster.admin_url("postgres")).await.unwrap();
}

#[tokio::test]
async fn a_standby_streams_and_can_be_promoted() {
    for_each_major(|major| async move {
        let primary = Cluster::start(major, Options::new()).await;
        primary.execute("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a").await;
        let standby = primary.standby().await;
        assert!(standby.is_in_recovery().await, "{major}");
        primary.execute("postgres", "INSERT INTO t SELECT generate_series(1001, 2000)").await;
        primary.wait_for_standby(&standby).await;
        assert_eq!(standby.scalar::<i64>("postgres", "SELECT count(*) FROM t").await, 2000, "{major}");
        assert_eq!(standby.scalar::<i64>("postgres", "SELECT count(*) FROM pg_replication_slots").await, 0);
        let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        assert_eq!(primary.scalar::<i64>("postgres", streaming).await, 1, "{major}");
        assert_eq!(primary.system_identifier().await, standby.system_identifier().await);
        drop(primary);
        standby.promote().await;
        standby.execute("postgres", "INSERT INTO t VALUES (0)").await;
    })
    .await;
}

#[tokio::test]
async fn a_frozen_server_hangs_without_refusing_and_answers_again() {
    for_each_major(|major| async move {
        let cluster = Cluster::start(major, Options::new()).await;
        let mut connection = cluster.connect("postgres").await;
        cluster.sigstop();
        let answer = tokio::time::timeout(Duration::from_millis(150), connection.ping()).await;
        assert!(answer.is_err(), "{major}: a frozen server answered");
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", cluster.port())).await;
        assert!(tcp.is_ok(), "{major}: a frozen server refuses connections");
        cluster.sigcont();
        assert_eq!(cluster.scalar::<i32>("postgres", "SELECT 1").await, 1, "{major}");
    })
    .await;
}

#[tokio::test]
async fn a_restart_keeps_port_data_and_settings() {
    let mut cluster = Cluster::start(Major::V15, Options::new().setting("work_mem", "5MB")).await;
    let (port, pid) = (cluster.port(), cluster.pid());
    cluster.execute("postgres", "CREATE TABLE kept (a int); CHECKPOINT").await;
    for mode in [StopMode::Smart, StopMode::Fast, StopMode::Immediate, StopMode::Kill] {
        cluster.stop(mode).await;
        let options = cluster.socket_options("postgres", "postgres");
        assert!(options.connect().await.is_err(), "{mode:?} left the server running");
        cluster.start_again().await;
    }
    assert_eq!(cluster.port(), port);
    assert_ne!(cluster.pid(), pid);
    assert_eq!(cluster.scalar::<i64>("postgres", "SELECT count(*) FROM kept").await, 0);
    assert_eq!(cluster.scalar::<String>("postgres", "SHOW work_mem").await, "5MB");
}

#[tokio::test]
async fn identifiers_are_shared_unless_asked_otherwise() {
    let first = Cluster::start(Major::V17, Options::new()).await;
    let second = Cluster::start(Major::V17, Options::new()).await;
    let begin = Instant::now();
    let own = Cluster::start(Major::V17, Options::new().fresh_identifier()).await;
    println!("start with initdb: {:?}", begin.elapsed());
    assert_eq!(first.system_identifier().await, second.system_identifier().await);
    assert_ne!(first.system_identifier().await, own.system_identifier().await);
}

#[tokio::test]
async fn tls_is_offered_with_a_certificate_of_the_test_authority() {
    let cluster = Cluster::start(Major::NEWEST, Options::new().require_tls()).await;
    let plain = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", cluster.port());
    assert!(PgConnection::connect(&plain).await.is_err(), "a plain connection was let in");
    let ca = cluster.socket_directory().join("ca.pem");
    fs::write(&ca, cluster.authority().certificate_pem()).unwrap();
    let verified = format!(
        "postgres://postgres@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
        cluster.port(),
        ca.display()
    );
    let mut connection = PgConnection::connect(&verified).await.unwrap();
    let encrypted: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(encrypted);
}

#[tokio::test]
async fn a_client_certificate_can_be_demanded() {
    let options = Options::new().tls().access("hostssl all dbintel 127.0.0.1/32 cert");
    let cluster = Cluster::start(Major::OLDEST, options).await;
    let role = cluster.create_monitor_role(OwnStatements::Tracked).await;
    let url = cluster.monitor_url(&role, "postgres");
    assert!(PgConnection::connect(&url).await.is_err(), "no certificate was asked for");
    let identity = cluster.authority().client(&role.name);
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("client.crt"), directory.path().join("client.key"));
    fs::write(&certificate, identity.certificate_pem).unwrap();
    fs::write(&key, identity.key_pem).unwrap();
    let url = format!("{url}?sslmode=require&sslcert={}&sslkey={}", certificate.display(), key.display());
    PgConnection::connect(&url).await.unwrap();
}

#[tokio::test]
async fn auto_explain_writes_plans_to_the_log() {
    let options = Options::new()
        .auto_explain()
        .setting("auto_explain.log_min_duration", "0")
        .setting("auto_explain.log_format", "json");
    let cluster = Cluster::start(Major::V14, options).await;
    cluster.execute("postgres", "SELECT count(*) FROM pg_class").await;
    assert!(cluster.log().contains("\"Node Type\": \"Aggregate\""), "{}", cluster.log());
}

#[tokio::test]
async fn dropping_a_cluster_leaves_neither_process_nor_directory() {
    let cluster = Cluster::start(Major::V13, Options::new()).await;
    let (pid, directory) = (cluster.pid(), cluster.socket_directory().to_owned());
    cluster.sigstop();
    drop(cluster);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
    assert!(!directory.exists());
}

/// The test runs this file's binary again, as the process that is killed: see the environment variable.
#[tokio::test]
async fn a_killed_test_process_leaves_neither_server_nor_directory() {
    const SIGNAL: &str = "DBINTEL_TESTKIT_ORPHAN";
    #[allow(clippy::disallowed_methods, reason = "how the child knows its role")]
    let role = std::env::var(SIGNAL);
    if let Ok(report) = role {
        let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
        let text = format!("{}\n{}\n", cluster.pid(), cluster.socket_directory().display());
        fs::write(format!("{report}.part"), text).unwrap();
        fs::rename(format!("{report}.part"), report).unwrap();
        std::future::pending::<()>().await;
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = scratch.path().join("report");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::a_killed_test_process_leaves_neither_server_nor_directory"])
        .env(SIGNAL, &report)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the child's cluster", || report.exists()).await;
    let text = fs::read_to_string(&report).unwrap();
    let (pid, directory) = text.trim().split_once('\n').unwrap();
    assert!(is_running(pid) && fs::exists(directory).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the watchdog", || !is_running(pid) && !fs::exists(directory).unwrap()).await;
}

/// A process without a reaper stays as a zombie in some containers: that is gone enough.
fn is_running(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..600 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited 30 s for {what}");
}
