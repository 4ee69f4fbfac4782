//! The command line: what a person types before anything runs, and what they are told when something is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::Output;

use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::Launch;

const VALID: &str = "receivers:\n  postgresql:\n    endpoint: localhost:5432\n    username: dbintel\n    \
    password: ${env:PG_SECRET}\nexporters:\n  debug:\nservice:\n  pipelines:\n    metrics:\n      \
    receivers: [postgresql]\n      exporters: [debug]\n";
const SECRET: &str = "CANARY-hunter2";

/// `dbintel COMMAND --config dbintel.yaml` with this text in the file.
async fn with_config(command: &str, config: &str) -> Output {
    let launch = Launch::command(&[command, "--config"]).env("PG_SECRET", SECRET);
    let file = launch.write_file("dbintel.yaml", config);
    launch.argument(file).output().await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_valid_configuration_is_said_to_be_valid() {
    let output = with_config("validate", VALID).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("configuration is valid: 1 receivers, 1 exporters"));
}

/// Who asks for findings in the wrong place is not told that there are none, and no store is made there.
#[tokio::test]
async fn findings_are_not_looked_for_in_a_store_that_is_not_there() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("state").join("store.db");
    let config = VALID.replace(
        "exporters:\n  debug:\nservice:\n",
        &format!(
            "exporters:\n  debug:\nextensions:\n  store: {{path: {}}}\nservice:\n  extensions: [store]\n",
            path.display()
        ),
    );
    let launch = Launch::command(&["findings", "list", "--config"]).env("PG_SECRET", SECRET);
    let file = launch.write_file("dbintel.yaml", &config);
    let output = launch.argument(file).output().await;
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("there is no store at"), "{told}");
    assert!(!path.parent().unwrap().exists());
}

/// Each mistake is answered with file, line and path, with exit code 2, by `run` too: before any connection is made.
#[tokio::test]
async fn a_mistake_is_answered_with_file_line_and_path_and_exit_code_2() {
    let check = |from: &str, to: &str, expected: &'static str| {
        let config = VALID.replace(from, to);
        async move {
            for command in ["validate", "run"] {
                let output = with_config(command, &config).await;
                let told = text(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{command}: {told}");
                assert!(told.contains("dbintel.yaml:") && told.contains(expected), "{command}: {told}");
                assert!(!told.contains(SECRET), "{told}");
            }
        }
    };
    check("endpoint:", "endpont:", "receivers.postgresql.endpont: unknown key; did you mean `endpoint`?")
        .await;
    check("localhost:5432", "[1, 2]", "receivers.postgresql.endpoint").await;
    check(
        "exporters: [debug]",
        "exporters: [debgu]",
        "exporter `debgu` is not defined; did you mean `debug`?",
    )
    .await;
    check("username: dbintel", "username: dbintel\n    collection_interval: 10", "write a unit").await;
    check(
        "username: dbintel",
        "username: dbintel\n    lock_timeout: 1h",
        "receivers.postgresql.lock_timeout",
    )
    .await;
    check("  debug:", "  debag:", "there is no exporter of type `debag`").await;
    check("${env:PG_SECRET}", "${env:NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE").await;
}

#[tokio::test]
async fn the_effective_configuration_is_printed_without_secrets_and_can_be_loaded_again() {
    let inline = VALID.replace("${env:PG_SECRET}", SECRET);
    for config in [VALID, &inline] {
        let output = with_config("print-config", config).await;
        let printed = text(&output.stdout);
        assert!(output.status.success() && printed.contains("endpoint: localhost:5432"), "{printed}");
        assert!(!printed.contains(SECRET) && !text(&output.stderr).contains(SECRET), "{printed}");
        assert!(with_config("validate", &printed).await.status.success());
    }
    let warned = with_config("validate", &inline).await;
    assert!(
        text(&warned.stderr).contains("password"),
        "an inline secret is a warning: {}",
        text(&warned.stderr)
    );
}

#[tokio::test]
async fn components_and_schema_name_what_there_is() {
    let components = Launch::command(&["components"]).output().await;
    let listed = text(&components.stdout);
    for name in [
        "postgresql",
        "memory_limiter",
        "circuit_breaker",
        "plan_extractor",
        "regression_verifier",
        "verification",
        "adaptive_sampler",
        "otlp",
        "otlphttp",
        "prometheus",
        "file",
        "debug",
        "health_check",
    ] {
        assert!(listed.contains(&format!("name: {name}\n")), "{name} in {listed}");
    }
    assert!(listed.contains("aliases: [otlp_grpc]") && listed.contains("aliases: [otlp_http]"), "{listed}");
    let schema = Launch::command(&["schema"]).output().await;
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["receivers"]["patternProperties"]["^postgresql(/.+)?$"].is_object());
}

/// `DBINTEL_ENVIRONMENT` chooses what `--environment` chooses, which wins where both are there.
#[tokio::test]
async fn the_environment_is_chosen_by_argument_or_variable() {
    let config = format!(
        "{VALID}environment_overrides:\n  staging:\n    receivers:\n      postgresql:\n        username: of_staging\n  \
         production:\n    receivers:\n      postgresql:\n        username: of_production\n"
    );
    let check = |argument: Option<&'static str>, variable: Option<&'static str>, expected: &'static str| {
        let launch = Launch::command(&["print-config"]).env("PG_SECRET", SECRET);
        let file = launch.write_file("dbintel.yaml", &config);
        let launch = launch.argument("--config").argument(file);
        let launch =
            variable.into_iter().fold(launch, |launch, name| launch.env("DBINTEL_ENVIRONMENT", name));
        let launch =
            argument.into_iter().fold(launch, |launch, name| launch.argument("--environment").argument(name));
        async move {
            let output = launch.output().await;
            let printed = text(&output.stdout);
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert!(
                printed.contains(&format!("username: {expected}\n")),
                "{argument:?} {variable:?}: {printed}"
            );
            printed
        }
    };
    check(None, None, "dbintel").await;
    check(None, Some(""), "dbintel").await;
    let chosen = check(Some("staging"), None, "of_staging").await;
    assert_eq!(check(None, Some("staging"), "of_staging").await, chosen);
    assert_eq!(check(Some("staging"), Some("production"), "of_staging").await, chosen);
    check(None, Some("production"), "of_production").await;
}

#[tokio::test]
async fn a_collector_file_with_batch_and_alias_names_is_accepted_with_notices() {
    let config = "receivers:\n  postgresql:\n    endpoint: localhost:5432\n    username: otel\n    password: ${env:PG_SECRET}\n\
        processors:\n  batch:\n    timeout: 5s\n  memory_limiter:\n    check_interval: 1s\n    limit_mib: 200\n\
        exporters:\n  otlp_http:\n    endpoint: http://localhost:4318\n  otlp_grpc:\n    endpoint: localhost:4317\n    \
        tls:\n      insecure: true\nextensions:\n  health_check:\n    endpoint: localhost:13133\n  zpages:\n\
        service:\n  extensions: [health_check, zpages]\n  pipelines:\n    metrics:\n      receivers: [postgresql]\n      \
        processors: [memory_limiter, batch]\n      exporters: [otlp_http, otlp_grpc]\n";
    let output = with_config("validate", config).await;
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("processors.batch") && told.contains("flush_timeout"), "{told}");
}

/// `doctor --plan-function` prints what a superuser can run as it is, and connects to nothing for it: the configuration's
/// server is not there. What `drop` prints undoes it.
#[tokio::test]
async fn the_plan_function_that_is_printed_can_be_installed_and_removed() {
    let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    for (arguments, functions) in [(vec!["create"], 2_i64), (vec![], 2), (vec!["drop"], 0)] {
        let launch = Launch::command(&["doctor", "--plan-function"]).env("PG_SECRET", SECRET);
        let file = launch.write_file("dbintel.yaml", VALID);
        let launch = arguments.into_iter().fold(launch, Launch::argument);
        let output = launch.argument("--config").argument(file).output().await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        let script = text(&output.stdout);
        assert!(script.starts_with("-- ") && !script.contains('{'), "{script}");
        cluster.execute("postgres", &script).await;
        let held = "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname = 'dbintel' AND has_function_privilege('dbintel', p.oid, 'EXECUTE')";
        assert_eq!(cluster.scalar::<i64>("postgres", held).await, functions);
    }
}

/// A configuration for this server, whose password is the one the test's role has.
fn on(cluster: &Cluster, username: &str) -> String {
    let port = cluster.port();
    format!(
        "receivers:\n  postgresql:\n    endpoint: 127.0.0.1:{port}\n    username: {username}\n    \
         password: ${{env:PG_SECRET}}\n    tls: {{insecure: true}}\n    initial_delay: 0s\nexporters:\n  debug:\n\
         service:\n  pipelines:\n    metrics:\n      receivers: [postgresql]\n      exporters: [debug]\n"
    )
}

async fn doctor(config: &str, password: &str, arguments: &[&'static str]) -> Output {
    let launch = Launch::command(&["doctor"]).env("PG_SECRET", password);
    let file = launch.write_file("dbintel.yaml", config);
    let launch = arguments.iter().copied().fold(launch, Launch::argument);
    launch.argument("--config").argument(file).output().await
}

/// `doctor` says what works, what is missing and the SQL that gets it; what it says can be run as it is, and then it says so no more.
#[tokio::test]
async fn the_doctor_says_what_is_missing_and_its_sql_gets_it() {
    let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
    let role = format!("CREATE ROLE newcomer LOGIN PASSWORD '{SECRET}'");
    cluster.execute("postgres", &role).await;
    let config = on(&cluster, "newcomer");
    let (mut asked, mut is_well) = (Vec::new(), false);
    // What one round of advice brings about can show what else is missing.
    for _ in 0..3 {
        let output = doctor(&config, SECRET, &[]).await;
        let (said, told) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{said} {told}");
        assert!(said.starts_with("postgresql\n  ok       connected to PostgreSQL "), "{said}");
        assert!(!said.contains(SECRET) && !told.contains(SECRET));
        let sql =
            said.lines().filter(|line| line.starts_with("           ")).map(|line| line.trim().to_owned());
        let sql: Vec<String> = sql.collect();
        if asked.is_empty() {
            assert!(said.contains("  missing  ") && said.contains("pg_stat_statements"), "{said}");
            cluster.create_extension("postgres", "pg_stat_statements").await;
        }
        if sql.is_empty() {
            assert!(said.contains("ms as the database measured it"), "{said}");
            is_well = true;
            break;
        }
        for statement in &sql {
            assert!(!asked.contains(statement), "{statement} is still asked for: {said}");
            cluster.execute("postgres", statement).await;
        }
        cluster.execute("postgres", "SELECT pg_reload_conf()").await;
        asked.extend(sql);
    }
    assert!(is_well, "it still asks for more: {asked:?}");
    for beginning in ["GRANT pg_monitor", "ALTER ROLE", "ALTER SYSTEM"] {
        assert!(asked.iter().any(|sql| sql.starts_with(beginning)), "{beginning}: {asked:?}");
    }
}

/// A server that cannot be read is said to be so, in words and by the exit code.
#[tokio::test]
async fn the_doctor_fails_where_it_cannot_connect() {
    let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
    for arguments in [&[][..], &["--statements"]] {
        let output = doctor(&on(&cluster, "nobody"), SECRET, arguments).await;
        let (said, told) = (text(&output.stdout), text(&output.stderr));
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains("no connection: ") && told.contains("1 of the servers could not be read"),
            "{told}"
        );
        assert!(!said.contains(SECRET) && !told.contains(SECRET));
    }
}

/// `doctor --statements` lists what can be sent, each with its name, and the server takes every one that has no parameters as it is.
/// What varies in them, and when those are sent that are not always, is said beside them.
#[tokio::test]
async fn the_statements_that_the_doctor_lists_are_those_of_the_server() {
    let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    let password = "monitor-of-the-test";
    let output = doctor(&on(&cluster, "dbintel"), password, &["--statements"]).await;
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said} {}", text(&output.stderr));
    assert!(said.starts_with("-- postgresql: every statement that can be sent to "), "{said}");
    let templates: Vec<(&str, &str)> =
        said.split("\n\n-- ").skip(1).filter_map(|template| template.split_once('\n')).collect();
    let names: Vec<&str> = templates.iter().map(|(name, _)| *name).collect();
    for name in ["node", "distress", "statements, all"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(templates.len() > 20, "{names:?}");
    for part in
        ["-- <milliseconds>: follows what our queries take, from 5000, ", "-- only where our role may set "]
    {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let mut prepared = 0;
    for (name, sql) in templates {
        if sql.starts_with("SELECT") && !sql.contains('$') {
            cluster.execute("postgres", &format!("EXPLAIN {sql}")).await;
            prepared += 1;
            assert!(sql.trim_end().ends_with(';'), "{name}: {sql}");
        }
    }
    assert!(prepared > 10, "{prepared} of them could be planned");
}
