//! x
#![allow(warnings, clippy::all)]
use dbintel_benches::scenario::server::*;
use dbintel_receiver_postgresql::query::connection::{Connection as Conn, ConnectSettings, Limits, Tls};
use dbintel_receiver_postgresql::query::facts::Facts;
use dbintel_receiver_postgresql::query::statements::StatementsPlan;
use sqlx::{Connection, Executor, Row, AssertSqlSafe, postgres::*};
use futures::TryStreamExt;
use std::time::{Instant, Duration};
use std::sync::Arc;
mod futures { pub use sqlx_tries::*; pub mod sqlx_tries { pub use futures_util::TryStreamExt; } }
fn cpu() -> f64 { let mut t=0.0; for e in std::fs::read_dir("/proc/self/task").unwrap() { if let Ok(s)=std::fs::read_to_string(e.unwrap().path().join("schedstat")) { t += s.split(' ').next().unwrap().parse::<f64>().unwrap(); } } t/1e6 }
async fn pgss(c: &mut PgConnection) -> Vec<(i64,f64,f64,String)> {
    sqlx::query("SELECT calls, total_exec_time, min_exec_time, query FROM pg_stat_statements s JOIN pg_roles r ON r.oid=s.userid WHERE rolname='dbintel' ORDER BY 2 DESC LIMIT 4").fetch_all(c).await.unwrap().iter().map(|r| (r.get(0), r.get(1), r.get(2), r.get(3))).collect()
}
#[tokio::main(flavor="multi_thread", worker_threads=2)]
async fn main() {
    let server = Server::loaded().await;
    let mut admin = server.cluster.connect("postgres").await;
    let limits = Limits { statement_timeout: Duration::from_secs(5), lock_timeout: Duration::from_millis(100) };
    for (name, host) in [("tcp", "127.0.0.1".to_owned()), ("unix", server.cluster.socket_directory().display().to_string())] {
        let settings = ConnectSettings { host: host.clone(), port: server.cluster.port(), username: "dbintel".into(), password: None, tls: Tls::Off };
        let mut c = Conn::open(settings, "postgres".into()).await.unwrap();
        c.begin(limits, "").await.unwrap();
        let facts = Facts::read(&mut c, limits).await.unwrap();
        let plan = StatementsPlan::new(&facts, "postgres").unwrap();
        c.end().await.unwrap();
        for pause in [0u64, 1000] {
        admin.execute("SELECT pg_stat_statements_reset(userid) FROM (SELECT oid AS userid FROM pg_roles WHERE rolname='dbintel') x").await.unwrap();
        let mut walls = Vec::new(); let mut cpus = Vec::new();
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            c.begin(limits, "").await.unwrap();
            let node = Arc::new(dbintel_model::Node::default());
            let (s, c0) = (Instant::now(), cpu());
            let r = plan.read(&mut c, limits, node, dbintel_model::Timestamp::from_nanos(1)).await.unwrap();
            walls.push(s.elapsed().as_secs_f64()*1e3); cpus.push(cpu()-c0);
            c.end().await.unwrap();
        }
        walls.sort_by(f64::total_cmp); cpus.sort_by(f64::total_cmp);
        let top = pgss(&mut admin).await;
        println!("product read {name} pause {pause}: wall min {:.1} med {:.1}; client cpu min {:.1} med {:.1}; pgss mean {:.1} min {:.1}", walls[0], walls[5], cpus[0], cpus[5], top[0].1/top[0].0 as f64, top[0].2);
        }
        // variants of the client
        let mut opt = PgConnectOptions::new_without_pgpass().port(server.cluster.port()).username("dbintel").database("postgres").ssl_mode(PgSslMode::Disable).statement_cache_capacity(0);
        opt = if name=="tcp" { opt.host(&host) } else { opt.socket(&host) };
        let mut c = PgConnection::connect_with(&opt).await.unwrap();
        c.execute("SET jit=off").await.unwrap();
        let times = ["(extract(epoch FROM stats_since) * 1000000)::int8, (extract(epoch FROM minmax_stats_since) * 1000000)::int8", "stats_since, minmax_stats_since"];
        for (v, times) in times.iter().enumerate() {
        let sql = format!("SELECT dbid::int8, userid::int8, queryid, toplevel, calls, total_exec_time, mean_exec_time, stddev_exec_time, min_exec_time, max_exec_time, {times}, plans, total_plan_time, rows, shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written, local_blks_hit, local_blks_read, local_blks_dirtied, local_blks_written, temp_blks_read, temp_blks_written, shared_blk_read_time, shared_blk_write_time, temp_blk_read_time, temp_blk_write_time, wal_records, wal_fpi, wal_bytes::int8, jit_functions, jit_generation_time, jit_inlining_time, jit_optimization_time, jit_emission_time FROM public.pg_stat_statements(false)");
        for mode in ["none", "raw", "try_get"] {
            if v==1 && mode=="try_get" { continue; }
            admin.execute("SELECT pg_stat_statements_reset(userid) FROM (SELECT oid AS userid FROM pg_roles WHERE rolname='dbintel') x").await.unwrap();
            let mut walls = Vec::new(); let mut cpus = Vec::new(); let mut sum = 0i64; let mut n=0;
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let (s, c0) = (Instant::now(), cpu());
                { let mut rows = sqlx::query(AssertSqlSafe(sql.clone())).persistent(false).fetch(&mut c);
                n=0;
                while let Some(row) = rows.try_next().await.unwrap() { n+=1;
                    match mode { "none" => {}, "raw" => { for i in 0..row.len() { let raw = row.try_get_raw(i).unwrap(); if let Ok(b) = raw.as_bytes() { if let Ok(b) = <[u8;8]>::try_from(b) { sum = sum.wrapping_add(i64::from_be_bytes(b)); } } } },
                    _ => { for i in 0..row.len() { match i { 3 => {}, 5..=9 | 13 | 25..=28 | 33..=36 => { sum = sum.wrapping_add(row.try_get::<Option<f64>,_>(i).unwrap_or(None).unwrap_or(0.0) as i64); } _ => { sum = sum.wrapping_add(row.try_get::<Option<i64>,_>(i).unwrap_or(None).unwrap_or(0)); } } } } }
                } }
                walls.push(s.elapsed().as_secs_f64()*1e3); cpus.push(cpu()-c0);
            }
            walls.sort_by(f64::total_cmp); cpus.sort_by(f64::total_cmp);
            let top = pgss(&mut admin).await;
            println!("  {name} times {v} {mode} rows {n}: wall min {:.1} med {:.1}; client cpu min {:.1} med {:.1}; pgss mean {:.1} min {:.1} {}", walls[0], walls[5], cpus[0], cpus[5], top[0].1/top[0].0 as f64, top[0].2, sum%2);
        }}
    }
    for (calls, total, min, q) in pgss(&mut admin).await { println!("{calls} {total} {min} {}", &q[..60.min(q.len())]); }
}
