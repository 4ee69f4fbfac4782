//! Every template on real servers, the oldest and the newest, with names that have to be quoted: it does what it says, its check answers, and
//! its way back takes it back.

use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::{AssertSqlSafe, Executor as _};

use super::*;
use crate::regression_verifier::advice::quote::identifier;

const SCHEMA: &str = r#"Sales 'EU' "1""#;
const TABLE: &str = r#"Order's "Lines""#;
const PARTITIONED: &str = "Order's Parts";
const INDEX: &str = r#"By "Customer"'s"#;
const ROLE: &str = r#"Web "App"'s \ role"#;
const DATABASE: &str = r#"Shop "One"'s"#;

/// What settings roles and databases have.
const SETTINGS: &str = "SELECT coalesce(string_agg(format('%s %s %s', s.setdatabase, s.setrole, s.setconfig), '; ' \
     ORDER BY s.setdatabase, s.setrole), '') FROM pg_db_role_setting s";

fn quoted(name: &str) -> String {
    identifier(name).unwrap()
}

fn of_schema(name: &str) -> String {
    format!("{SCHEMA}.{name}")
}

async fn shop(major: Major) -> Cluster {
    let cluster = Cluster::start(major, Options::new()).await;
    let [schema, table, parts, role] = [SCHEMA, TABLE, PARTITIONED, ROLE].map(quoted);
    cluster.execute("postgres", &format!("CREATE ROLE {role}")).await;
    cluster.execute("postgres", &format!("CREATE DATABASE {}", quoted(DATABASE))).await;
    cluster.create_extension(DATABASE, "pg_stat_statements").await;
    let sql = format!(
        "CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         CREATE TABLE {schema}.{table} (\"Customer\" int, created date, amount int, tags int[], place point, \"select\" text); \
         GRANT SELECT ON {schema}.{table} TO {role}; \
         INSERT INTO {schema}.{table} SELECT n, date '2026-01-01' + n, n, ARRAY[n], point(n, n), 'text' FROM generate_series(1, 1000) n; \
         CREATE TABLE {schema}.{parts} (\"Customer\" int) PARTITION BY RANGE (\"Customer\")"
    );
    cluster.execute(DATABASE, &sql).await;
    cluster
}

async fn run(cluster: &Cluster, script: Option<&Text>) {
    cluster.execute(DATABASE, script.unwrap()).await;
}

/// A script that cannot be done fails, and the server says why.
async fn fails(cluster: &Cluster, script: Option<&Text>) {
    let mut connection = cluster.connect(DATABASE).await;
    let script = sqlx::raw_sql(AssertSqlSafe(script.unwrap().to_string()));
    connection.execute(script).await.unwrap_err().into_database_error().unwrap();
}

/// A column of the one row that a check query gives.
async fn checked(cluster: &Cluster, check: Option<&Text>, column: &str) -> i64 {
    run(cluster, check).await;
    let check = check.unwrap().trim_end_matches(';');
    cluster.scalar(DATABASE, &format!("SELECT {column}::int8 FROM ({check}) AS checked")).await
}

async fn indexes(cluster: &Cluster) {
    let built = async |as_what: &str| -> i64 {
        let is_it = format!(
            "schemaname = {} AND indexname = {} AND indexdef LIKE {}",
            literal(SCHEMA),
            literal(INDEX),
            literal(as_what)
        );
        cluster.scalar(DATABASE, &format!("SELECT count(*) FROM pg_indexes WHERE {is_it}")).await
    };
    for (definition, made) in [
        (
            "btree (Customer, created desc) include (amount)",
            r#"INDEX %btree ("Customer", created DESC) INCLUDE (amount)"#,
        ),
        ("unique btree (Customer)", r#"UNIQUE INDEX %btree ("Customer")"#),
        ("hash (select)", r#"INDEX %hash ("select")"#),
        ("gist (place)", "INDEX %gist (place)"),
        ("gin (tags)", "INDEX %gin (tags)"),
        ("brin (created)", "INDEX %brin (created)"),
        ("spgist (place)", "INDEX %spgist (place)"),
    ] {
        let event = dropped(&of_schema(INDEX), &of_schema(TABLE), definition);
        let scripts = of(&event, &about(ROLE, DATABASE)).scripts;
        run(cluster, scripts.forward.as_ref()).await;
        assert_eq!(built(&format!("CREATE {made}")).await, 1, "{definition}");
        run(cluster, scripts.rollback.as_ref()).await;
        assert_eq!(built("%").await, 0, "{definition}");
    }
    let event = dropped(&of_schema(INDEX), &of_schema(PARTITIONED), "btree (Customer)");
    fails(cluster, of(&event, &about(ROLE, DATABASE)).scripts.forward.as_ref()).await;
    assert_eq!(built("%").await, 0);
}

async fn analyses(cluster: &Cluster) {
    let of_table = |what: &str, name: &str| {
        let table = literal(&format!("{}.{}", quoted(SCHEMA), quoted(name)));
        format!("SELECT {what} FROM pg_class WHERE oid = {table}::regclass")
    };
    let event_of = |kind, name: &str| Event { table: Some(of_schema(name).into()), ..event(kind) };
    let stale = event_of(ChangeKind::StatisticsStale, TABLE);
    let analysed = event_of(ChangeKind::Analyze, TABLE);
    for (advice, rows) in
        [(of(&stale, &about(ROLE, DATABASE)), 1_000_i64), (analyze_more_often(&stale), 2_000)]
    {
        run(cluster, advice.scripts.forward.as_ref()).await;
        let known: i64 = cluster.scalar(DATABASE, &of_table("reltuples::int8", TABLE)).await;
        assert_eq!(known, rows);
        run(cluster, advice.scripts.rollback.as_ref()).await;
        let table = format!("{}.{}", quoted(SCHEMA), quoted(TABLE));
        cluster.execute(DATABASE, &format!("INSERT INTO {table} SELECT * FROM {table}")).await;
    }
    let scripts = analyze_more_often(&analysed).scripts;
    let options = async || -> String {
        let options = of_table("coalesce(array_to_string(reloptions, ','), '')", TABLE);
        cluster.scalar(DATABASE, &options).await
    };
    run(cluster, scripts.forward.as_ref()).await;
    assert_eq!(options().await, "autovacuum_analyze_scale_factor=0.02");
    assert_eq!(checked(cluster, scripts.check.as_ref(), "count(*)").await, 1);
    run(cluster, scripts.rollback.as_ref()).await;
    assert_eq!(options().await, "");
    let of_parts = analyze_more_often(&event_of(ChangeKind::Analyze, PARTITIONED)).scripts;
    fails(cluster, of_parts.forward.as_ref()).await;
}

/// A setting of a role, a database or a role in a database, in every way in which it can change.
async fn settings_of_roles_and_databases(cluster: &Cluster) {
    let (role, database) = (quoted(ROLE), quoted(DATABASE));
    let told = async |name: &str, whose: &str| -> Option<String> {
        let value = "max(substr(one, strpos(one, '=') + 1))";
        let own = format!("split_part(one, '=', 1) = {} AND {whose}", literal(name));
        let from = "pg_db_role_setting s, unnest(s.setconfig) one";
        cluster.scalar(DATABASE, &format!("SELECT {value} FROM {from} WHERE {own}")).await
    };
    let of_role_in_database = "setrole <> 0 AND setdatabase <> 0";
    let scopes = [
        ((Some(ROLE), None), format!("ALTER ROLE {role}")),
        ((Some(ROLE), Some(DATABASE)), format!("ALTER ROLE {role} IN DATABASE {database}")),
        ((None, Some(DATABASE)), format!("ALTER DATABASE {database}")),
    ];
    let values = [
        ("work_mem", "'8MB'", "'64MB'"),
        ("search_path", r#""$user", "My Schema", public"#, "pg_catalog"),
        ("application_name", r"E'it''s \\ it'", "''"),
    ];
    for ((scope, target), (name, one, other)) in
        scopes.iter().flat_map(|scope| values.iter().map(move |value| (scope, value)))
    {
        for (first, second) in [(Some(one), Some(other)), (None, Some(other)), (Some(one), None)] {
            let what = format!("{target} {name} {first:?} {second:?}");
            let set = async |value: Option<&&str>| {
                let assigned =
                    value.map_or_else(|| format!("RESET {name}"), |value| format!("SET {name} = {value}"));
                cluster.execute(DATABASE, &format!("{target} {assigned}")).await;
                (told(name, "true").await, cluster.scalar::<String>(DATABASE, SETTINGS).await)
            };
            let ((before, at_first), (since, changed)) = (set(first).await, set(second).await);
            let event = setting_of(*scope, name, (before.as_deref(), since.as_deref()));
            let scripts = of(&event, &about(ROLE, DATABASE)).scripts;
            run(cluster, scripts.forward.as_ref()).await;
            if *scope == (Some(ROLE), None) && before.is_some() {
                assert_eq!(told(name, of_role_in_database).await, before, "{what}");
            } else {
                assert_eq!(cluster.scalar::<String>(DATABASE, SETTINGS).await, at_first, "{what}");
            }
            run(cluster, scripts.rollback.as_ref()).await;
            assert_eq!(cluster.scalar::<String>(DATABASE, SETTINGS).await, changed, "{what}");
            set(None).await;
        }
    }
}

/// Every setting that a session can have of its own, with the value as it is told: the server takes it.
async fn settings_of_the_server(cluster: &Cluster) {
    let all = "SELECT array_agg(name || '=' || reset_val || coalesce(' ' || unit, '') ORDER BY name COLLATE \"C\") FROM pg_settings \
               WHERE context IN ('user', 'superuser') AND name NOT LIKE 'transaction\\_%' AND reset_val IS NOT NULL \
                 AND name NOT IN ('application_name', 'client_encoding', 'session_authorization', 'role', 'seed')";
    let (mut forward, mut rollback, mut without) = (String::new(), String::new(), Vec::new());
    let all: Vec<String> = cluster.scalar(DATABASE, all).await;
    for (name, value) in all.iter().map(|setting| setting.split_once('=').unwrap()) {
        let scripts = of(&setting(name, value), &about(ROLE, DATABASE)).scripts;
        let Some((there, back)) = scripts.forward.zip(scripts.rollback) else {
            without.push(name);
            continue;
        };
        forward += &there;
        rollback += &back;
    }
    // Lists of names that are empty.
    assert_eq!(without, ["local_preload_libraries", "session_preload_libraries", "temp_tablespaces"]);
    cluster.execute(DATABASE, &forward).await;
    let count = "SELECT coalesce(sum(cardinality(setconfig)), 0)::int8 FROM pg_db_role_setting";
    assert_eq!(cluster.scalar::<i64>(DATABASE, count).await, (all.len() - without.len()) as i64);
    cluster.execute(DATABASE, &rollback).await;
    assert_eq!(cluster.scalar::<i64>(DATABASE, count).await, 0);
}

/// The check query of a statement gives its numbers, and only those of its role and database.
async fn check_of_a_statement(cluster: &Cluster) {
    let select = format!("SELECT amount FROM {}.{} WHERE \"Customer\" = 7", quoted(SCHEMA), quoted(TABLE));
    let as_role = format!("SET ROLE {}; {select}; {select}; RESET ROLE; {select}", quoted(ROLE));
    cluster.execute(DATABASE, &as_role).await;
    let query_id = "SELECT max(queryid) FROM pg_stat_statements WHERE query LIKE 'SELECT amount FROM%'";
    let mut about = about(ROLE, DATABASE);
    about.key.query_id = cluster.scalar(DATABASE, query_id).await;
    let check = of(&event(ChangeKind::Restart), &about).scripts.check;
    for (column, expected) in [("count(*)", 1), ("max(calls)", 2)] {
        assert_eq!(checked(cluster, check.as_ref(), column).await, expected, "{column}");
    }
    assert!(checked(cluster, check.as_ref(), "max(blocks_per_call)").await > 0);
}

async fn every_template(major: Major) {
    let cluster = shop(major).await;
    indexes(&cluster).await;
    analyses(&cluster).await;
    settings_of_roles_and_databases(&cluster).await;
    settings_of_the_server(&cluster).await;
    check_of_a_statement(&cluster).await;
}

#[tokio::test]
async fn every_template_does_what_it_says_on_the_oldest_server_and_the_newest() {
    tokio::join!(every_template(Major::OLDEST), every_template(Major::NEWEST));
}
