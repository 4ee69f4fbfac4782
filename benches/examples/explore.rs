//! x
#![allow(warnings, clippy::all)]
use dbintel_benches::scenario::server::*;
use sqlx::{Connection, Executor, Row, AssertSqlSafe};
use std::time::Instant;
#[tokio::main]
async fn main() {
    let server = Server::loaded().await;
    let mut c = server.cluster.connect_as("dbintel", "postgres").await;
    c.execute("SET jit=off; SET search_path = pg_catalog").await.unwrap();
    let base = "dbid::int8, userid::int8, queryid, toplevel, calls, total_exec_time, mean_exec_time, stddev_exec_time, min_exec_time, max_exec_time";
    let times = "(extract(epoch FROM stats_since) * 1000000)::int8, (extract(epoch FROM minmax_stats_since) * 1000000)::int8";
    let times_raw = "stats_since, minmax_stats_since";
    let rest_nowal = "plans, total_plan_time, rows, shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written, local_blks_hit, local_blks_read, local_blks_dirtied, local_blks_written, temp_blks_read, temp_blks_written, shared_blk_read_time, shared_blk_write_time, temp_blk_read_time, temp_blk_write_time, wal_records, wal_fpi, jit_functions, jit_generation_time, jit_inlining_time, jit_optimization_time, jit_emission_time";
    let f = "FROM public.pg_stat_statements(false)";
    let variants: Vec<(&str, String)> = vec![
        ("count(*)", format!("SELECT count(*) {f}")),
        ("base only", format!("SELECT {base} {f}")),
        ("base+raw times", format!("SELECT {base}, {times_raw} {f}")),
        ("base+numeric times", format!("SELECT {base}, {times} {f}")),
        ("base+numeric epoch float", format!("SELECT {base}, (extract(epoch FROM stats_since)::float8 * 1000000)::int8, (extract(epoch FROM minmax_stats_since)::float8 * 1000000)::int8 {f}")),
        ("base+rest, no wal_bytes, no times", format!("SELECT {base}, {rest_nowal} {f}")),
        ("base+rest+raw times+wal_bytes raw", format!("SELECT {base}, {times_raw}, {rest_nowal}, wal_bytes {f}")),
        ("base+rest+raw times+wal_bytes::int8", format!("SELECT {base}, {times_raw}, {rest_nowal}, wal_bytes::int8 {f}")),
        ("as today", format!("SELECT {base}, {times}, {rest_nowal}, wal_bytes::int8 {f}")),
        ("active only (calls > x)", format!("SELECT {base}, {times_raw}, {rest_nowal}, wal_bytes::int8 {f} WHERE calls > 1000000")),
        ("key+calls+total only", format!("SELECT dbid, userid, queryid, toplevel, calls, total_exec_time, stats_since {f}")),
        ("texts one id", format!("SELECT dbid::int8, queryid, left(query, 8192), length(query) > 8192 FROM public.pg_stat_statements(true) WHERE queryid = ANY('{{1}}') AND query IS NOT NULL")),
        ("texts all, count", format!("SELECT count(*) FROM public.pg_stat_statements(true)")),
    ];
    for round in 0..2 {
    println!("{:40} {:>9} {:>9} {:>9} {:>9}", "variant", "explain", "fetch min", "med", "rows");
    for (name, sql) in &variants {
        let mut explain = Vec::new();
        for _ in 0..15 {
            let t = format!("EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, SERIALIZE BINARY) {sql}");
            let rows = sqlx::query(AssertSqlSafe(t)).persistent(false).fetch_all(&mut c).await.unwrap();
            let last: String = rows.iter().map(|r| r.get::<String,_>(0)).find(|l| l.contains("Execution Time")).unwrap();
            explain.push(last.split_whitespace().nth(2).unwrap().parse::<f64>().unwrap());
        }
        explain.sort_by(f64::total_cmp);
        let mut fetch = Vec::new(); let mut n=0;
        for _ in 0..15 {
            let s = Instant::now();
            let rows = sqlx::query(AssertSqlSafe(sql.clone())).persistent(false).fetch_all(&mut c).await.unwrap();
            fetch.push(s.elapsed().as_secs_f64()*1e3); n = rows.len();
        }
        fetch.sort_by(f64::total_cmp);
        println!("{name:40} {:9.2} {:9.2} {:9.2} {n:9}", explain[0], fetch[0], fetch[7]);
    }}
}
