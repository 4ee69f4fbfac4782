//! The families, as data. See [`Family`] for what the fields mean.
//!
//! Statements that wait behind an ACCESS EXCLUSIVE lock are in the `*_size` families only: `pg_relation_size` opens the
//! relation. Relations on which somebody holds or awaits such a lock have no size there, and what slips through runs
//! into `lock_timeout`. Temporary tables of others are nobody's business but theirs, and come and go.

use dbintel_model::GapReason;
use dbintel_pipeline::admission::Purpose;

use super::family::{Column, Family, Label, NullMeans, Scope};
use super::meter::Rows;

/// Rows of a family that has one row per server.
const ONE: usize = 1;
/// Rows of a family that has one row per database.
const DATABASES: usize = 2_000;
/// Rows of a family that has one row per table, index, function or sequence of a database.
pub const MAX_OBJECTS_PER_DATABASE: usize = 5_000;

/// A family with the fields most of them share.
const PLAIN: Family = Family {
    name: "",
    scope: Scope::Server,
    purpose: Purpose::Server,
    needs: None,
    from: "",
    labels: &[],
    start: None,
    columns: &[],
    view: None,
    tail: "",
    rows: Rows::Always,
    max_rows: ONE,
    of_all_roles: false,
    null_means: None,
    slow: false,
    rarely_if_empty: false,
};

/// A family of objects of one database, which may have none.
const OBJECTS: Family = Family {
    scope: Scope::Database,
    purpose: Purpose::Objects,
    rows: Rows::Perhaps,
    max_rows: MAX_OBJECTS_PER_DATABASE,
    ..PLAIN
};

const fn column(name: &'static str, expression: &'static str) -> Column {
    Column { name, needs: None, expression, start: None }
}

const fn column_if(
    name: &'static str,
    view: &'static str,
    needed: &'static str,
    expression: &'static str,
) -> Column {
    Column { name, needs: Some((view, needed)), expression, start: None }
}

/// A column that `pg_stat_bgwriter` had until 16.
const fn bgwriter(name: &'static str, expression: &'static str) -> Column {
    column_if(name, "pg_stat_bgwriter", name, expression)
}

/// A column of `pg_stat_checkpointer`, which has a reset of its own.
const fn checkpointer(name: &'static str, needed: &'static str, expression: &'static str) -> Column {
    let column = column_if(name, "pg_stat_checkpointer", needed, expression);
    Column { start: Some(CHECKPOINTER_RESET), ..column }
}

/// A sum over `pg_stat_io`, which has a reset of its own.
const fn of_io(name: &'static str, needed: &'static str, expression: &'static str) -> Column {
    let column = column_if(name, "pg_stat_io", needed, expression);
    Column { start: Some(IO_RESET), ..column }
}

// Tables and indexes are read from the catalogue with the statistics functions, as the views `pg_stat_user_tables`,
// `pg_statio_user_tables` and `pg_stat_user_indexes` do: to expand and plan the views, and to run three instead of one,
// costs the server more than twice as much.

/// Schemas whose objects are the user's, as the views have it.
macro_rules! user_schemas {
    () => {
        "pg_namespace n ON n.oid = c.relnamespace \
           AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'"
    };
}

/// Relations that are tables, as `pg_stat_user_tables` has it.
macro_rules! tables {
    () => {
        "c.relkind IN ('r', 'm', 'p')"
    };
}

/// Indexes with their tables.
macro_rules! user_indexes {
    () => {
        concat!(
            "pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN ",
            user_schemas!()
        )
    };
}

/// Sums over the indexes of a table; the table's number follows.
macro_rules! indexes_of {
    ($alias:literal) => {
        concat!(
            "(SELECT indrelid, sum(pg_stat_get_numscans(indexrelid)) AS scans, \
               sum(pg_stat_get_tuples_fetched(indexrelid)) AS fetches, \
               sum(pg_stat_get_blocks_hit(indexrelid)) AS hits, \
               sum(pg_stat_get_blocks_fetched(indexrelid) - pg_stat_get_blocks_hit(indexrelid)) AS reads \
             FROM pg_index GROUP BY indrelid) ",
            $alias,
            " ON ",
            $alias,
            ".indrelid = "
        )
    };
}

/// A column that not every version has.
const fn of_table(name: &'static str, expression: &'static str) -> Column {
    column_if(name, "pg_stat_user_tables", name, expression)
}

/// Relations of the connected database on which somebody holds or awaits an ACCESS EXCLUSIVE lock.
macro_rules! locked {
    () => {
        "(SELECT l.relation FROM pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL \
           AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))"
    };
}

const LOCKED: NullMeans = (
    GapReason::LockTimeout,
    "sizes are missing: their relations are locked ACCESS EXCLUSIVE by others, and we do not wait for them",
);
const HIDDEN_SIZES: NullMeans = (
    GapReason::InsufficientPrivilege,
    "sizes of databases are hidden; run: GRANT pg_read_all_stats TO the collector's role",
);

const CONNECTED: Label = Label::Database("current_database()");

/// Every family.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "database",
        from: "pg_stat_database s JOIN pg_database d ON d.oid = s.datid AND NOT d.datistemplate",
        labels: &[Label::Database("d.datname")],
        start: Some("s.stats_reset"),
        columns: &[
            column("numbackends", "s.numbackends"),
            column_if("blk_read_time", "pg_stat_database", "blk_read_time", "s.blk_read_time"),
        ],
        view: Some(("pg_stat_database", "s")),
        tail: "ORDER BY d.datname",
        max_rows: DATABASES,
        ..PLAIN
    },
    Family {
        name: "database_size",
        purpose: Purpose::Sizes,
        slow: true,
        from: "pg_database d",
        labels: &[Label::Database("d.datname")],
        columns: &[column(
            "size",
            "CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') \
             THEN pg_database_size(d.oid) END",
        )],
        tail: "WHERE NOT d.datistemplate AND d.datallowconn ORDER BY d.datname",
        max_rows: DATABASES,
        null_means: Some(HIDDEN_SIZES),
        ..PLAIN
    },
    Family {
        name: "database_conflicts",
        from: "pg_stat_database_conflicts s JOIN pg_database d ON d.oid = s.datid AND NOT d.datistemplate",
        labels: &[Label::Database("d.datname")],
        view: Some(("pg_stat_database_conflicts", "s")),
        tail: "ORDER BY d.datname",
        max_rows: DATABASES,
        ..PLAIN
    },
    Family {
        name: "database_age",
        from: "pg_database d",
        labels: &[Label::Database("d.datname")],
        columns: &[column("xid_age", "age(d.datfrozenxid)"), column("mxid_age", "mxid_age(d.datminmxid)")],
        tail: "WHERE d.datallowconn ORDER BY d.datname",
        max_rows: DATABASES,
        ..PLAIN
    },
    Family {
        name: "server",
        from: "(SELECT) one",
        columns: &[
            column("max_connections", "current_setting('max_connections')"),
            column("reserved_connections", "current_setting('superuser_reserved_connections')"),
            column("database_count", "(SELECT count(*) FROM pg_database WHERE NOT datistemplate)"),
            column("uptime", "extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"),
            column("in_recovery", "pg_is_in_recovery()::int4"),
            column("next_xid", "pg_snapshot_xmax(pg_current_snapshot())::text::numeric"),
            column("prepared_transactions", "(SELECT count(*) FROM pg_prepared_xacts)"),
        ],
        ..PLAIN
    },
    Family {
        name: "settings",
        rows: Rows::Perhaps,
        slow: true,
        from: "pg_settings s",
        columns: &[column("pending_restart", "count(*)")],
        tail: "WHERE s.pending_restart",
        ..PLAIN
    },
    Family {
        name: "bgwriter",
        from: "pg_stat_bgwriter b",
        start: Some("b.stats_reset"),
        columns: &[
            bgwriter("checkpoints_req", "b.checkpoints_req"),
            checkpointer("checkpoints_req", "num_requested", CHECKPOINTER_REQUESTED),
            bgwriter("checkpoints_timed", "b.checkpoints_timed"),
            checkpointer("checkpoints_timed", "num_timed", CHECKPOINTER_TIMED),
            bgwriter("checkpoint_sync_time", "b.checkpoint_sync_time"),
            checkpointer("checkpoint_sync_time", "sync_time", CHECKPOINTER_SYNC),
            bgwriter("checkpoint_write_time", "b.checkpoint_write_time"),
            checkpointer("checkpoint_write_time", "write_time", CHECKPOINTER_WRITE),
            bgwriter("buffers_checkpoint", "b.buffers_checkpoint"),
            checkpointer("buffers_checkpoint", "buffers_written", CHECKPOINTER_BUFFERS),
            bgwriter("buffers_backend", "b.buffers_backend"),
            of_io("buffers_backend", "writes", BACKEND_WRITES),
            bgwriter("buffers_backend_fsync", "b.buffers_backend_fsync"),
            of_io("buffers_backend_fsync", "fsyncs", BACKEND_FSYNCS),
            checkpointer("restartpoints_req", "restartpoints_req", RESTARTPOINTS_REQUESTED),
            checkpointer("restartpoints_timed", "restartpoints_timed", RESTARTPOINTS_TIMED),
            checkpointer("restartpoints_done", "restartpoints_done", RESTARTPOINTS_DONE),
        ],
        view: Some(("pg_stat_bgwriter", "b")),
        ..PLAIN
    },
    Family {
        name: "wal",
        needs: Some("pg_stat_wal"),
        from: "pg_stat_wal w",
        start: Some("w.stats_reset"),
        view: Some(("pg_stat_wal", "w")),
        ..PLAIN
    },
    Family {
        name: "archiver",
        from: "pg_stat_archiver a",
        start: Some("a.stats_reset"),
        columns: &[column("wal_age", "extract(epoch FROM clock_timestamp() - a.last_archived_time)")],
        view: Some(("pg_stat_archiver", "a")),
        ..PLAIN
    },
    Family {
        // Replicas behind one address are one client to OpenTelemetry contrib: the furthest behind speaks for all.
        name: "replication",
        rows: Rows::Perhaps,
        rarely_if_empty: true,
        from: "pg_stat_replication r",
        labels: &[Label::Plain("replication_client", "coalesce(host(r.client_addr), 'unix')")],
        columns: &[
            column(
                "data_delay",
                "max(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
                 ELSE pg_current_wal_lsn() END, r.replay_lsn))",
            ),
            column("write_lag", "max(extract(epoch FROM r.write_lag))"),
            column("flush_lag", "max(extract(epoch FROM r.flush_lag))"),
            column("replay_lag", "max(extract(epoch FROM r.replay_lag))"),
        ],
        tail: "WHERE r.state IS DISTINCT FROM 'backup' GROUP BY 1",
        max_rows: 256,
        of_all_roles: true,
        ..PLAIN
    },
    Family {
        name: "replication_slots",
        rows: Rows::Perhaps,
        rarely_if_empty: true,
        from: "pg_replication_slots s",
        labels: &[
            Label::Plain("postgresql.replication_slot.name", "s.slot_name"),
            Label::Plain("postgresql.replication_slot.type", "s.slot_type"),
        ],
        columns: &[
            column(
                "retained",
                "pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
                 ELSE pg_current_wal_lsn() END, s.restart_lsn)",
            ),
            column("active", "s.active::int4"),
        ],
        view: Some(("pg_replication_slots", "s")),
        tail: "ORDER BY 1",
        max_rows: 256,
        ..PLAIN
    },
    Family {
        name: "recovery",
        rows: Rows::Perhaps,
        rarely_if_empty: true,
        from: "(SELECT) one",
        columns: &[
            column("replay_delay", "extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"),
            column("replay_backlog", "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"),
        ],
        tail: "WHERE pg_is_in_recovery()",
        ..PLAIN
    },
    Family {
        name: "xmin",
        purpose: Purpose::Sessions,
        from: XMIN,
        columns: &[
            column("backend", "a.backend"),
            column(
                "replication_slot",
                "(SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_get_replication_slots())",
            ),
            column("prepared_transaction", "(SELECT max(age(transaction)) FROM pg_prepared_xact())"),
            column("standby", "a.standby"),
            column("oldest_active", "a.oldest_active"),
            column("oldest_idle_in_transaction", "a.oldest_idle"),
        ],
        of_all_roles: true,
        ..PLAIN
    },
    Family {
        name: "activity",
        rows: Rows::Perhaps,
        purpose: Purpose::Sessions,
        from: "pg_stat_activity a",
        labels: &[Label::Database("a.datname")],
        columns: &[
            column("active", "count(*) FILTER (WHERE a.state = 'active')"),
            column("idle", "count(*) FILTER (WHERE a.state = 'idle')"),
            column("idle_in_transaction", "count(*) FILTER (WHERE a.state LIKE 'idle in transaction%')"),
            column("waiting", "count(*) FILTER (WHERE a.state = 'active' AND a.wait_event_type = 'Lock')"),
            column(
                "in_flight_ms",
                "coalesce(1000 * sum(extract(epoch FROM clock_timestamp() - a.query_start)) \
                 FILTER (WHERE a.state = 'active'), 0)",
            ),
        ],
        tail: "WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.datname IS NOT NULL GROUP BY 1",
        max_rows: DATABASES,
        of_all_roles: true,
        ..PLAIN
    },
    Family {
        name: "io",
        needs: Some("pg_stat_io"),
        from: "pg_stat_io i",
        labels: &[
            Label::Plain("postgresql.backend.type", "i.backend_type"),
            Label::Plain("postgresql.io.object", "i.object"),
            Label::Plain("postgresql.io.context", "i.context"),
        ],
        start: Some("i.stats_reset"),
        columns: &[
            column_if("read_bytes", "pg_stat_io", "read_bytes", "i.read_bytes"),
            column_if("read_bytes", "pg_stat_io", "op_bytes", "i.reads * i.op_bytes"),
            column_if("write_bytes", "pg_stat_io", "write_bytes", "i.write_bytes"),
            column_if("write_bytes", "pg_stat_io", "op_bytes", "i.writes * i.op_bytes"),
            column_if("extend_bytes", "pg_stat_io", "extend_bytes", "i.extend_bytes"),
            column_if("extend_bytes", "pg_stat_io", "op_bytes", "i.extends * i.op_bytes"),
        ],
        view: Some(("pg_stat_io", "i")),
        max_rows: 256,
        ..PLAIN
    },
    Family {
        name: "slru",
        needs: Some("pg_stat_slru"),
        from: "pg_stat_slru s",
        labels: &[Label::Plain("postgresql.slru.name", "s.name")],
        start: Some("s.stats_reset"),
        view: Some(("pg_stat_slru", "s")),
        max_rows: 64,
        ..PLAIN
    },
    Family {
        name: "progress",
        rows: Rows::Perhaps,
        slow: true,
        from: PROGRESS,
        labels: &[
            Label::Database("p.datname"),
            Label::Plain("postgresql.progress.command", "p.command"),
            Label::Plain("postgresql.progress.phase", "p.phase"),
            Label::Plain("postgresql.progress.relation", "p.relation"),
        ],
        columns: &[
            column("done", "max(CASE WHEN p.total > 0 THEN p.work::float8 / p.total END)"),
            column("work", "max(p.work)"),
        ],
        tail: "GROUP BY 1, 2, 3, 4",
        max_rows: 256,
        of_all_roles: true,
        ..PLAIN
    },
    Family {
        name: "table_count",
        rows: Rows::Always,
        slow: true,
        from: concat!("pg_class c JOIN ", user_schemas!()),
        labels: &[CONNECTED],
        columns: &[column("tables", "count(*)")],
        tail: concat!("WHERE ", tables!()),
        max_rows: ONE,
        ..OBJECTS
    },
    Family {
        name: "table",
        from: concat!(
            "pg_class c JOIN ",
            user_schemas!(),
            " LEFT JOIN ",
            indexes_of!("i"),
            "c.oid LEFT JOIN ",
            indexes_of!("x"),
            "nullif(c.reltoastrelid, 0)"
        ),
        labels: &[CONNECTED, Label::Table("n.nspname", "c.relname")],
        columns: &[
            column("n_live_tup", "pg_stat_get_live_tuples(c.oid)"),
            column("n_dead_tup", "pg_stat_get_dead_tuples(c.oid)"),
            column("n_tup_ins", "pg_stat_get_tuples_inserted(c.oid)"),
            column("n_tup_upd", "pg_stat_get_tuples_updated(c.oid)"),
            column("n_tup_del", "pg_stat_get_tuples_deleted(c.oid)"),
            column("n_tup_hot_upd", "pg_stat_get_tuples_hot_updated(c.oid)"),
            of_table("n_tup_newpage_upd", "pg_stat_get_tuples_newpage_updated(c.oid)"),
            column("seq_scan", "pg_stat_get_numscans(c.oid)"),
            column("seq_tup_read", "pg_stat_get_tuples_returned(c.oid)"),
            column("idx_scan", "i.scans"),
            column("idx_tup_fetch", "i.fetches + pg_stat_get_tuples_fetched(c.oid)"),
            column("vacuum_count", "pg_stat_get_vacuum_count(c.oid)"),
            column("autovacuum_count", "pg_stat_get_autovacuum_count(c.oid)"),
            column("analyze_count", "pg_stat_get_analyze_count(c.oid)"),
            column("autoanalyze_count", "pg_stat_get_autoanalyze_count(c.oid)"),
            column("n_mod_since_analyze", "pg_stat_get_mod_since_analyze(c.oid)"),
            of_table("n_ins_since_vacuum", "pg_stat_get_ins_since_vacuum(c.oid)"),
            of_table("total_vacuum_time", "pg_stat_get_total_vacuum_time(c.oid)"),
            of_table("total_autovacuum_time", "pg_stat_get_total_autovacuum_time(c.oid)"),
            of_table("total_analyze_time", "pg_stat_get_total_analyze_time(c.oid)"),
            of_table("total_autoanalyze_time", "pg_stat_get_total_autoanalyze_time(c.oid)"),
            column("xid_age", "CASE WHEN c.relkind <> 'p' THEN age(c.relfrozenxid) END"),
            column("mxid_age", "CASE WHEN c.relkind <> 'p' THEN mxid_age(c.relminmxid) END"),
            column("heap_blks_hit", "CASE WHEN c.relkind <> 'p' THEN pg_stat_get_blocks_hit(c.oid) END"),
            column(
                "heap_blks_read",
                "CASE WHEN c.relkind <> 'p' THEN pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid) END",
            ),
            column("idx_blks_hit", "CASE WHEN c.relkind <> 'p' THEN i.hits END"),
            column("idx_blks_read", "CASE WHEN c.relkind <> 'p' THEN i.reads END"),
            column("toast_blks_hit", "pg_stat_get_blocks_hit(nullif(c.reltoastrelid, 0))"),
            column(
                "toast_blks_read",
                "pg_stat_get_blocks_fetched(nullif(c.reltoastrelid, 0)) \
                 - pg_stat_get_blocks_hit(nullif(c.reltoastrelid, 0))",
            ),
            column("tidx_blks_hit", "x.hits"),
            column("tidx_blks_read", "x.reads"),
        ],
        tail: concat!("WHERE ", tables!(), " AND c.relpersistence <> 't' ORDER BY c.relpages DESC, c.oid"),
        ..OBJECTS
    },
    Family {
        name: "table_size",
        purpose: Purpose::Sizes,
        slow: true,
        from: concat!("pg_class c JOIN ", user_schemas!()),
        labels: &[CONNECTED, Label::Table("n.nspname", "c.relname")],
        columns: &[column(
            "size",
            concat!("CASE WHEN c.oid NOT IN ", locked!(), " THEN pg_relation_size(c.oid) END"),
        )],
        tail: "WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' ORDER BY c.relpages DESC, c.oid",
        null_means: Some(LOCKED),
        ..OBJECTS
    },
    Family {
        name: "index",
        from: user_indexes!(),
        labels: &[CONNECTED, Label::Table("n.nspname", "c.relname"), Label::Index("i.relname")],
        columns: &[
            column("idx_scan", "pg_stat_get_numscans(i.oid)"),
            column("idx_tup_read", "pg_stat_get_tuples_returned(i.oid)"),
            column("idx_tup_fetch", "pg_stat_get_tuples_fetched(i.oid)"),
        ],
        tail: "WHERE c.relkind IN ('r', 'm') AND i.relpersistence <> 't' ORDER BY i.relpages DESC, i.oid",
        ..OBJECTS
    },
    Family {
        name: "index_size",
        purpose: Purpose::Sizes,
        slow: true,
        from: user_indexes!(),
        labels: &[CONNECTED, Label::Table("n.nspname", "c.relname"), Label::Index("i.relname")],
        columns: &[column(
            "size",
            concat!(
                "CASE WHEN i.oid NOT IN ",
                locked!(),
                " AND c.oid NOT IN ",
                locked!(),
                " THEN pg_relation_size(i.oid) END"
            ),
        )],
        tail: "WHERE c.relkind IN ('r', 'm') AND i.relpersistence <> 't' ORDER BY i.relpages DESC, i.oid",
        null_means: Some(LOCKED),
        ..OBJECTS
    },
    Family {
        // A function that is overloaded has one row per signature; its name alone is the attribute.
        name: "function",
        from: "pg_stat_user_functions f",
        labels: &[Label::Schema("f.schemaname"), Label::Plain("function", "f.funcname")],
        columns: &[
            column("calls", "sum(f.calls)"),
            column("total_time", "sum(f.total_time)"),
            column("self_time", "sum(f.self_time)"),
        ],
        tail: "GROUP BY 1, 2 ORDER BY 1, 2",
        ..OBJECTS
    },
    Family {
        name: "locks",
        purpose: Purpose::Sessions,
        from: "pg_locks l JOIN pg_class c ON c.oid = l.relation \
               AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
        labels: &[
            Label::Plain("relation", "c.relname"),
            Label::Plain("mode", "l.mode"),
            Label::Plain("lock_type", "l.locktype"),
        ],
        columns: &[column("locks", "count(*)")],
        tail: "WHERE l.pid IS DISTINCT FROM pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY count(*) DESC",
        ..OBJECTS
    },
    Family {
        // Without a privilege on the sequence its last value is NULL, and the row is left out.
        name: "sequence",
        slow: true,
        from: "pg_sequences s",
        labels: &[Label::Schema("s.schemaname"), Label::Plain("postgresql.sequence.name", "s.sequencename")],
        columns: &[column("used", SEQUENCE_USED)],
        tail: "WHERE s.last_value IS NOT NULL AND NOT s.cycle AND s.max_value > s.min_value \
               AND CASE WHEN s.increment_by > 0 \
                 THEN s.last_value::float8 - s.min_value > (s.max_value::float8 - s.min_value) / 2 \
                 ELSE s.max_value::float8 - s.last_value > (s.max_value::float8 - s.min_value) / 2 END \
               ORDER BY 1, 2",
        ..OBJECTS
    },
];

// The functions behind the view `pg_stat_checkpointer`, which has one row.
const CHECKPOINTER_REQUESTED: &str = "pg_stat_get_checkpointer_num_requested()";
const CHECKPOINTER_TIMED: &str = "pg_stat_get_checkpointer_num_timed()";
const CHECKPOINTER_SYNC: &str = "pg_stat_get_checkpointer_sync_time()";
const CHECKPOINTER_WRITE: &str = "pg_stat_get_checkpointer_write_time()";
const CHECKPOINTER_BUFFERS: &str = "pg_stat_get_checkpointer_buffers_written()";
const RESTARTPOINTS_REQUESTED: &str = "pg_stat_get_checkpointer_restartpoints_requested()";
const RESTARTPOINTS_TIMED: &str = "pg_stat_get_checkpointer_restartpoints_timed()";
const RESTARTPOINTS_DONE: &str = "pg_stat_get_checkpointer_restartpoints_performed()";
const CHECKPOINTER_RESET: &str = "pg_stat_get_checkpointer_stat_reset_time()";
/// All rows are reset at once.
const IO_RESET: &str = "(SELECT max(stats_reset) FROM pg_stat_io)";
/// What `buffers_backend` counted until 16: buffers of relations written by anybody but the checkpointer and the
/// background writer, extensions of a relation included.
const BACKEND_WRITES: &str = "(SELECT sum(coalesce(writes, 0) + coalesce(extends, 0)) FROM pg_stat_io \
     WHERE object = 'relation' AND backend_type NOT IN ('checkpointer', 'background writer'))";
const BACKEND_FSYNCS: &str = "(SELECT sum(fsyncs) FROM pg_stat_io \
     WHERE object = 'relation' AND backend_type NOT IN ('checkpointer', 'background writer'))";
/// Looks at every session once. The function instead of `pg_stat_activity`, which joins names that are not needed here.
const XMIN: &str = "(SELECT \
       max(age(backend_xmin)) FILTER (WHERE backend_type <> 'walsender' AND pid <> pg_backend_pid()) AS backend, \
       max(age(backend_xmin)) FILTER (WHERE backend_type = 'walsender') AS standby, \
       max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE state = 'active' \
         AND backend_type = 'client backend' AND pid <> pg_backend_pid()) AS oldest_active, \
       max(extract(epoch FROM clock_timestamp() - xact_start)) \
         FILTER (WHERE state LIKE 'idle in transaction%') AS oldest_idle \
     FROM pg_stat_get_activity(NULL)) a";
const SEQUENCE_USED: &str = "CASE WHEN s.increment_by > 0 \
     THEN (s.last_value::float8 - s.min_value) / (s.max_value::float8 - s.min_value) \
     ELSE (s.max_value::float8 - s.last_value) / (s.max_value::float8 - s.min_value) END";
/// Columns that every supported version has. Relations of another database than the connected one have a number only.
const PROGRESS: &str = "(SELECT datname::text, command, phase, \
       CASE WHEN datname = current_database() THEN relid::regclass::text ELSE relid::text END AS relation, work, total \
     FROM (SELECT datname, 'vacuum' AS command, phase, relid, \
       heap_blks_scanned AS work, heap_blks_total AS total FROM pg_stat_progress_vacuum \
     UNION ALL SELECT datname, 'analyze', phase, relid, \
       sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze \
     UNION ALL SELECT datname, lower(command), phase, relid, \
       heap_blks_scanned, heap_blks_total FROM pg_stat_progress_cluster \
     UNION ALL SELECT datname, lower(command), phase, relid, \
       blocks_done, blocks_total FROM pg_stat_progress_create_index \
     UNION ALL SELECT NULL, 'base backup', phase, NULL, \
       backup_streamed, backup_total FROM pg_stat_progress_basebackup) o) p";
