//! What is created, dropped and altered on a real server is told once, without literals and without waiting for locks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, which clippy sees only in functions marked as such; what they print is their result"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{
    ACTION_FACT, Batch, Change, ChangeKind, GapReason, OBJECT_FACT, ROLE_FACT, TABLE_FACT, Text, Timestamp,
};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::query::connection::Connection;
use dbintel_receiver_postgresql::query::facts::{Facts, SeenFacts};
use dbintel_receiver_postgresql::query::schema;
use dbintel_receiver_postgresql::state::schema::{MAX_DEFINITIONS_PER_READ, Schema};
use dbintel_testkit::postgres::{Cluster, Major, Options, StopMode};
use support::client::{Busy, send};
use support::proxy::Proxy;
use support::settings::{cluster, yaml};
use support::{Watched, changes};

const MARK: &str = "public.end_of_step";

fn words(change: &Change) -> String {
    let text = |text: Option<&Text>| text.map_or("-", |text| &**text).to_owned();
    let fact = |key| change.text_fact(key);
    let all = [
        fact(OBJECT_FACT),
        fact(ACTION_FACT),
        change.subject.as_ref(),
        fact(TABLE_FACT),
        change.before.as_ref(),
        change.after.as_ref(),
    ];
    all.map(text).join(" | ")
}

/// What was told of DDL since the last call, by its words, after this was done. A table that is created last shows that all
/// before it has been read.
async fn told(watched: &mut Watched, cluster: &Cluster, statements: &[&str]) -> Vec<String> {
    for statement in statements {
        cluster.execute("postgres", statement).await;
    }
    cluster.execute("postgres", "CREATE TABLE end_of_step ()").await;
    let is_mark = |change: &&Change| change.subject.as_deref() == Some(MARK);
    watched.until("the end of a step", |batches| changes(batches).find(is_mark).map(drop)).await;
    let is_ddl = |change: &&Change| change.kind == ChangeKind::Ddl && !is_mark(change);
    let told = changes(watched.batches()).filter(is_ddl).map(words).collect();
    watched.forget();
    cluster.execute("postgres", "DROP TABLE end_of_step").await;
    watched.until("the end of the mark", |batches| changes(batches).find(is_mark).map(drop)).await;
    watched.forget();
    told
}

const TABLES: &str = "CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
       kind varchar(20) NOT NULL DEFAULT 'canary-1', price numeric(10,2) CHECK (price < 4711), maker int); \
     CREATE TABLE maker (id int PRIMARY KEY); \
     CREATE INDEX item_open ON item (kind, lower(kind) text_pattern_ops, price DESC) WHERE kind <> 'canary-2'";

async fn ddl(major: Major) {
    let cluster = cluster(major, Options::new().setting("autovacuum", "off")).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(2).await;
    assert_eq!(changes(watched.batches()).count(), 0, "{:?}", changes(watched.batches()).collect::<Vec<_>>());
    let item = "table; column id integer not null identity; column kind character varying(20) not null default \
        ?::character varying; column maker integer; column price numeric(10,2); constraint item_price_check check \
        (price < (?)::numeric)";
    let open = "btree (kind, (expression) text_pattern_ops, price desc) on lower((kind)::text) where ((kind)::text <> ?::text)";
    assert_eq!(
        told(&mut watched, &cluster, &[TABLES]).await,
        [
            format!("table | created | public.item | - | - | {item}"),
            format!("index | created | public.item_open | public.item | - | {open}"),
            "index | created | public.item_pkey | public.item | - | primary key btree (id)".into(),
            "table | created | public.maker | - | - | table; column id integer not null".into(),
            "index | created | public.maker_pkey | public.maker | - | primary key btree (id)".into(),
        ]
    );
    let altered = [
        "ALTER TABLE item ALTER kind SET STATISTICS 1000, ALTER maker SET (n_distinct = 7), ALTER price TYPE bigint, \
           ADD FOREIGN KEY (maker) REFERENCES maker NOT VALID, DROP CONSTRAINT item_price_check",
        "ALTER TABLE maker SET (fillfactor = 70); ALTER TABLE maker ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE orders ADD COLUMN more text COLLATE \"C\"",
        "DROP INDEX item_open; CREATE UNIQUE INDEX item_open ON item USING btree (id) INCLUDE (kind)",
        "CREATE STATISTICS item_both (dependencies) ON kind, maker FROM item",
    ];
    let key = "constraint item_maker_fkey foreign key (maker) references public.maker";
    assert_eq!(
        told(&mut watched, &cluster, &altered).await,
        [
            format!(
                "table | altered | public.item | - | column kind character varying(20) not null default ?::character \
                 varying; column maker integer; column price numeric(10,2); constraint item_price_check check \
                 (price < (?)::numeric) | column kind character varying(20) not null statistics 1000 default ?::character \
                 varying; column maker integer n_distinct=7; column price bigint; {key} not valid"
            ),
            format!(
                "index | altered | public.item_open | public.item | {open} | unique btree (id) include (kind)"
            ),
            "table | altered | public.maker | - | table | table, row security, fillfactor=70".into(),
            "table | altered | public.orders | - | - | column more text collate C".into(),
            "statistics | created | public.item_both | public.item | - | dependencies (kind, maker)".into(),
        ]
    );
    let values = [
        "ALTER TABLE item ALTER kind SET DEFAULT 'canary-3'",
        "ALTER TABLE item VALIDATE CONSTRAINT item_maker_fkey",
    ];
    let kind = "column kind character varying(20) not null statistics 1000 default ?::character varying";
    assert_eq!(
        told(&mut watched, &cluster, &values).await,
        [format!(
            "table | altered | public.item | - | {kind}; {key} not valid | {kind} (other values); {key}"
        )]
    );
    let partitions = [
        "CREATE TABLE event (at date, n int) PARTITION BY RANGE (at); CREATE INDEX event_n ON event (n); \
           CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "ALTER TABLE item RENAME COLUMN maker TO builder; CREATE UNLOGGED TABLE scratch (n int)",
    ];
    assert_eq!(
        told(&mut watched, &cluster, &partitions).await,
        [
            "table | created | public.event | - | - | partitioned table; column at date; column n integer",
            "table | created | public.event_1 | - | - | table, child of public.event; column at date; column n integer",
            "index | created | public.event_1_n_idx | public.event_1 | - | btree (n)",
            "index | created | public.event_n | public.event | - | btree (n)",
            "table | altered | public.item | - | column maker integer n_distinct=7; constraint item_maker_fkey foreign key \
             (maker) references public.maker | column builder integer n_distinct=7; constraint item_maker_fkey foreign key \
             (builder) references public.maker",
            "table | created | public.scratch | - | - | table, unlogged; column n integer",
        ]
    );
    // What plans do not depend on, what the server writes itself, what is temporary.
    let quiet = [
        "GRANT SELECT ON item TO PUBLIC; GRANT SELECT (id) ON item TO dbintel; COMMENT ON TABLE item IS 'canary-4'",
        "VACUUM ANALYZE",
        "VACUUM FULL pg_class",
        "REINDEX INDEX CONCURRENTLY item_open",
        "CREATE TEMP TABLE passing (id int PRIMARY KEY)",
    ];
    assert_eq!(told(&mut watched, &cluster, &quiet).await, [""; 0]);
    let dropped = told(&mut watched, &cluster, &["DROP TABLE item, event, scratch"]).await;
    let names = |line: &String| line.split(" | ").take(3).collect::<Vec<_>>().join(" ");
    assert_eq!(
        dropped.iter().map(names).collect::<Vec<_>>(),
        [
            "table dropped public.event",
            "table dropped public.event_1",
            "index dropped public.event_1_n_idx",
            "index dropped public.event_n",
            "table dropped public.item",
            "index dropped public.item_open",
            "index dropped public.item_pkey",
            "table dropped public.scratch",
            "statistics dropped public.item_both",
        ]
    );
    assert_eq!(watched.missing("postgres: schema"), None);
    assert!(watched.account("receiver postgresql schema") > Some(0.0));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ddl_is_told_with_what_it_was_and_what_it_is() {
    tokio::join!(ddl(Major::V13), ddl(Major::V18));
}

/// DDL in other databases is told there, and what another session has locked or not committed keeps nobody waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_keeps_no_reading_from_its_end() {
    let cluster = cluster(Major::V17, Options::new()).await;
    cluster.create_database("other").await;
    let schema = "CREATE TABLE t (id int DEFAULT 4711); CREATE INDEX t_id ON t (id) WHERE id > 4711";
    cluster.execute("other", schema).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(2).await;
    let before = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; ALTER TABLE t ADD COLUMN uncommitted int";
    let holder = Busy::start(&cluster, "other", before, "SELECT pg_sleep(600)").await;
    cluster.execute("other", "CREATE TABLE u (id int)").await;
    let find = |batches: &[Arc<Batch>]| {
        changes(batches).find(|change| change.subject.as_deref() == Some("public.u")).cloned()
    };
    let told = watched.until("the other table", find).await;
    assert_eq!(told.database.as_deref(), Some("other"));
    // A baseline that is read while the table is locked.
    let second = Watched::start(&yaml(cluster.port(), &[]));
    second.until_own("dbintel_polls_total", &[("loop", "databases")], |polls| polls >= 3.0).await;
    assert_eq!(second.missing("other: schema"), None);
    for watched in [watched, second] {
        assert_eq!(
            watched.own("dbintel_gaps_total", &[("part", "schema"), ("reason", "lock_timeout")]),
            None
        );
        assert_eq!(
            changes(watched.batches()).filter(|change| change.subject.as_deref() == Some("public.t")).count(),
            0
        );
        watched.stop().await;
    }
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend({})", holder.pid)).await;
}

/// Settings of roles and databases are told with whom they are of; what the server does not define keeps its value.
async fn role_settings(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    cluster.execute("postgres", "CREATE ROLE web; ALTER ROLE web SET work_mem = '7MB'").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(2).await;
    let statements = "ALTER ROLE web SET enable_seqscan = off; ALTER ROLE web RESET work_mem; \
        ALTER DATABASE postgres SET app.token = 'canary-1'; ALTER ROLE web IN DATABASE postgres SET jit = off; \
        ALTER ROLE ALL SET geqo = off";
    cluster.execute("postgres", statements).await;
    let mut told: Vec<String> = watched
        .until("five settings", |batches| {
            let words = |change: &Change| {
                let role = change.text_fact(ROLE_FACT);
                let all = [
                    change.database.as_ref(),
                    role,
                    change.subject.as_ref(),
                    change.before.as_ref(),
                    change.after.as_ref(),
                ];
                all.map(|text| text.map_or("-", |text| &**text).to_owned()).join(" ")
            };
            let told: Vec<_> = changes(batches).map(words).collect();
            (told.len() >= 5).then_some(told)
        })
        .await;
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "- - geqo - off",
            "- web enable_seqscan - off",
            "- web work_mem 7MB -",
            "postgres - app.token - [redacted]",
            "postgres web jit - off",
        ]
    );
    cluster.execute("postgres", "ALTER DATABASE postgres SET app.token = 'canary-2'").await;
    let find = |batches: &[Arc<Batch>]| changes(batches).nth(5).cloned();
    let change = watched.until("another value", find).await;
    assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("[redacted]"), Some("[redacted]")));
    assert!(!format!("{:?}", watched.batches()).contains("canary"));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_roles_are_told_with_their_role() {
    tokio::join!(role_settings(Major::V13), role_settings(Major::V18));
}

/// A reading that fails is a gap of its part, costs no other part, and changes nothing: the next one tells all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_fails_changes_nothing() {
    let cluster = cluster(Major::V16, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(2).await;
    cluster.execute("postgres", "REVOKE SELECT ON pg_catalog.pg_statistic_ext FROM PUBLIC").await;
    cluster.execute("postgres", "CREATE TABLE while_it_failed (id int); DROP INDEX IF EXISTS none").await;
    let gap = watched.gap("schema").await;
    assert_eq!(gap.reason, GapReason::InsufficientPrivilege, "{gap:?}");
    watched.still_delivers("postgresql.rows", &[]).await;
    assert_eq!(changes(watched.batches()).filter(|change| change.kind == ChangeKind::Ddl).count(), 0);
    watched.forget();
    cluster.execute("postgres", "GRANT SELECT ON pg_catalog.pg_statistic_ext TO PUBLIC").await;
    let is_ddl = |change: &&Change| change.kind == ChangeKind::Ddl;
    let change = watched.until("what was done", |batches| changes(batches).find(is_ddl).cloned()).await;
    assert_eq!(words(&change), "table | created | public.while_it_failed | - | - | table; column id integer");
    watched.stop().await;
}

/// The server does not say when an object was created, or a setting altered: it was after the reading before, which the change says. A
/// reading that failed is none.
async fn dated(major: Major) {
    let cluster = cluster(major, Options::new().setting("autovacuum", "off")).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(2).await;
    let clock = async || {
        let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::int8";
        Timestamp::from_micros(cluster.scalar("postgres", sql).await)
    };
    let mut begun = vec![Timestamp::default(); 2];
    for (round, how) in ["", "", "the reading fails", "nobody counts it", ""].into_iter().enumerate() {
        begun.push(clock().await);
        let mut client = cluster.connect("postgres").await;
        if how == "nobody counts it" {
            send(&mut client, "SET track_counts = off").await;
        }
        send(&mut client, &format!("CREATE TABLE t{round} (id int)")).await;
        send(&mut client, &format!("ALTER ROLE dbintel SET work_mem = '{}MB'", 10 + round)).await;
        let done = clock().await;
        if how == "the reading fails" {
            cluster.execute("postgres", "REVOKE SELECT ON pg_catalog.pg_statistic_ext FROM PUBLIC").await;
            watched.gap("schema").await;
            cluster.execute("postgres", "GRANT SELECT ON pg_catalog.pg_statistic_ext TO PUBLIC").await;
        }
        let created = format!("public.t{round}");
        for subject in [created.as_str(), "work_mem"] {
            let is_it = |change: &&Change| change.subject.as_deref() == Some(subject);
            let change =
                watched.until("what was done", |batches| changes(batches).find(is_it).cloned()).await;
            let not_before = change.not_before.expect("a change after a reading");
            assert_eq!(change.at, None);
            // A table can have been seen by a reading that failed later in its round.
            assert!(not_before < done, "{subject}: {not_before:?}, done by {done:?}");
            // The reading that noticed the round before may have begun before that was done, but after the one before it.
            assert!(not_before > begun[round], "{subject}: {not_before:?} of {begun:?}");
        }
        watched.forget();
    }
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_does_not_date_is_dated_by_the_reading_before() {
    tokio::join!(dated(Major::V14), dated(Major::V18));
}

/// A standby that is promoted has the schema of its primary: nothing is told again, and what is done there is.
async fn failover(major: Major) {
    let mut primary = cluster(major, Options::new()).await;
    let standby = primary.standby().await;
    let proxy = Proxy::start(&[primary.port()]).await;
    let mut watched = Watched::start(&yaml(proxy.port(), &[]));
    watched.readings(2).await;
    let created = told(&mut watched, &primary, &["CREATE TABLE before (id int)"]).await;
    assert_eq!(created, ["table | created | public.before | - | - | table; column id integer"]);
    primary.wait_for_standby(&standby).await;
    primary.stop(StopMode::Immediate).await;
    standby.promote().await;
    proxy.lead_to(&[standby.port()]);
    let is_failover = |change: &&Change| change.kind == ChangeKind::Failover;
    watched.until("the failover", |batches| changes(batches).find(is_failover).map(drop)).await;
    let created = told(&mut watched, &standby, &["CREATE TABLE after (id int)"]).await;
    assert_eq!(created, ["table | created | public.after | - | - | table; column id integer"]);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_tells_nothing_again() {
    tokio::join!(failover(Major::V14), failover(Major::V18));
}

/// How long a reading takes the server; what is printed is in `docs/cost.md`. Once everything is known, nothing but the marks
/// is read.
async fn cost(major: Major) {
    let cluster = cluster(major, Options::new().setting("autovacuum", "off")).await;
    let mut client = cluster.connect("postgres").await;
    let columns: Vec<String> = (2..20).map(|n| format!("c{n} text")).collect();
    let many = format!(
        "DO $$ BEGIN FOR n IN 1..1000 LOOP \
           EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, c1 int DEFAULT 5, {})', n); \
           EXECUTE format('CREATE INDEX ON many_%s (c1); CREATE INDEX ON many_%s (c2, c3) WHERE c1 > 7', n, n); \
         END LOOP; END $$",
        columns.join(", ")
    );
    send(&mut client, &many).await;
    send(&mut client, "VACUUM ANALYZE").await;
    let settings: Settings = dbintel_config::from_yaml(&yaml(cluster.port(), &[])).unwrap();
    let config = validate(&settings).unwrap().config;
    let mut connection = Connection::open(config.connect.clone(), "postgres".into()).await.unwrap();
    connection.begin(config.limits, "").await.unwrap();
    let facts = Facts::read(&mut connection, config.limits, &SeenFacts::default()).await.unwrap();
    let (mut known, mut readings) = (None, 0);
    loop {
        let _ = connection.meter().take();
        let reading = schema::marks(&mut connection, config.limits).await.unwrap();
        let of_marks = connection.meter().take().unwrap();
        assert_eq!((reading.marks.len(), reading.is_cut), (4_002, false), "with public.orders and its index");
        let wanted = Schema::wanted(known.as_ref(), &reading);
        println!("{major}: marks of {} objects took {of_marks:?}", reading.marks.len());
        if wanted.is_empty() {
            break;
        }
        let found = schema::definitions(&mut connection, config.limits, &facts, &wanted).await.unwrap();
        let of_definitions = connection.meter().take().unwrap();
        println!("{major}: {} definitions took {of_definitions:?}", found.len());
        assert_eq!(found.len(), wanted.len());
        let step = Schema::step(known.as_ref(), &"postgres".into(), &reading, &found);
        assert_eq!((step.changes.len(), step.left), (0, 0));
        (known, readings) = (Some(step.schema), readings + 1);
    }
    println!("{major}: {} bytes held", known.unwrap().weight_bytes());
    assert_eq!(readings, 5, "as many as {MAX_DEFINITIONS_PER_READ} at a time");
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_all_is_known_only_marks_are_read() {
    cost(Major::V13).await;
    cost(Major::V18).await;
}

/// Where the server counts what it writes, the marks are read only if something was written since. A session that has
/// just written something else tells the server late.
async fn settled(major: Major) {
    let options = Options::new().setting("autovacuum", "off").setting("log_statement", "all");
    let cluster = cluster(major, options).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.readings(5).await;
    let seen = |what: &str| cluster.log().matches(what).count();
    let (marks, asked) = ("hashtextextended(concat_ws", "pg_stat_get_tuples_inserted(c)");
    let before = (seen(marks), seen(asked));
    watched.readings(8).await;
    let after = (seen(marks), seen(asked));
    // All the same they are read every ten seconds here, and when a backend tells late what it had written.
    let (read, asked) = (after.0 - before.0, after.1 - before.1);
    assert!(asked >= 5 && 2 * read <= asked, "{major}: {before:?} {after:?}");
    let mut client = cluster.connect("postgres").await;
    send(&mut client, "CREATE TABLE one_of_two (id int)").await;
    send(&mut client, "CREATE TABLE two_of_two (id int)").await;
    let is_second = |change: &&Change| change.subject.as_deref() == Some("public.two_of_two");
    watched.until("the second one", |batches| changes(batches).find(is_second).map(drop)).await;
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_are_read_only_after_something_was_written() {
    tokio::join!(settled(Major::V15), settled(Major::V18));
}
